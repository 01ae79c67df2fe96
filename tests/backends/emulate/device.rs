//! The emulator's cases on a real device: `SPHC_TEST_DEVICE=cuda` (or `cuda:1`) takes the place of the emulator.

use cudarc::driver::sys::CUfunction_attribute;
use cudarc::driver::{CudaContext, CudaSlice, CudaStream, DevicePtr, LaunchConfig, PushKernelArg};
use cudarc::nvrtc::Ptx;
use sphc::kernel::cuda::{Argument, CudaSource};
use sphc::runtime::cuda::{Compiler, probe};
use std::sync::{Arc, OnceLock};

/// Bytes behind every buffer that no kernel may change.
const FENCE: usize = 512;

struct Device {
    context: Arc<CudaContext>,
    compiler: Compiler,
    architecture: String,
}

fn device(name: &str) -> &'static Device {
    static DEVICE: OnceLock<Device> = OnceLock::new();
    DEVICE.get_or_init(|| {
        let ordinal = name.strip_prefix("cuda:").map_or(0, |it| it.parse().unwrap());
        let setup = sphc::runtime::CudaSetup::of(&|name| std::env::var_os(name));
        let (major, minor) = probe(&setup).driver.unwrap().devices[ordinal].capability;
        let context = CudaContext::new(ordinal).unwrap();
        // SAFETY: every run has a stream of its own and waits for it.
        unsafe { context.disable_event_tracking() };
        Device { context, compiler: Compiler::new(&setup).unwrap(), architecture: format!("sm_{major}{minor}") }
    })
}

/// A buffer that starts as these bytes and is followed by a fence.
fn upload(stream: &Arc<CudaStream>, bytes: &[u8]) -> CudaSlice<u8> {
    stream.clone_htod(&[bytes, &[0xff; FENCE]].concat()).unwrap()
}

/// Runs all launches on the device that `name` names; `outputs` are replaced.
pub(super) fn run(
    name: &str,
    source: &CudaSource,
    inputs: &[&[u8]],
    outputs: &mut [Vec<u8>],
    seed: u64,
) -> Result<(), String> {
    let Device { context, compiler, architecture } = device(name);
    context.bind_to_thread().unwrap();
    let image = compiler.compile_all(&[&source.text], architecture).map_err(|it| it.cause)?.remove(0);
    let module = context.load_module(Ptx::from_binary(image.bytes)).map_err(|it| it.to_string())?;
    let stream = context.new_stream().unwrap();
    let inputs: Vec<CudaSlice<u8>> = inputs.iter().map(|it| upload(&stream, it)).collect();
    let results: Vec<CudaSlice<u8>> = outputs.iter().map(|it| upload(&stream, it)).collect();
    let scratch = upload(&stream, &vec![0xff; source.scratch]);
    let counters = upload(&stream, &vec![0; source.counters * 4]);
    let address = |it: &CudaSlice<u8>| it.device_ptr(&stream).0;
    for launch in &source.launches {
        let function = module.load_function(launch.entry).map_err(|it| it.to_string())?;
        let attribute = CUfunction_attribute::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
        function.set_attribute(attribute, launch.shared as i32).map_err(|it| format!("{}: {it}", launch.entry))?;
        let arguments: Vec<u64> = launch
            .arguments
            .iter()
            .map(|it| match *it {
                Argument::Input(at) => address(&inputs[at]),
                Argument::Output(at) => address(&results[at]),
                Argument::Scratch(offset) => address(&scratch) + offset as u64,
                Argument::Counters => address(&counters),
                Argument::Seed => seed,
                Argument::Null => 0,
            })
            .collect();
        let mut builder = stream.launch_builder(&function);
        arguments.iter().for_each(|it| {
            builder.arg(it);
        });
        let [x, y, z] = launch.grid;
        let config =
            LaunchConfig { grid_dim: (x, y, z), block_dim: (launch.block, 1, 1), shared_mem_bytes: launch.shared };
        // SAFETY: text and arguments were generated together; the buffers live until the stream is waited for.
        unsafe { builder.launch(config) }.map_err(|it| format!("{}: {it}", launch.entry))?;
    }
    stream.synchronize().map_err(|it| format!("{}: {it}", source.launches[0].entry))?;
    for (to, from) in outputs.iter_mut().zip(&results) {
        let all = stream.clone_dtoh(from).map_err(|it| it.to_string())?;
        let (result, fence) = all.split_at(to.len());
        if fence.iter().any(|it| *it != 0xff) {
            return Err(format!("{} writes behind its result", source.launches[0].entry));
        }
        to.copy_from_slice(result);
    }
    Ok(())
}
