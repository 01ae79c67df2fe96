//! A plan's kernels on a device: generated, compiled, loaded. What would spill gets a smaller tile.

use super::compiler::{Compiler, Spills};
use super::{CudaBackend, KernelReport, driver_error};
use crate::kernel::KernelSpec;
use crate::kernel::cuda::{CudaLaunch, CudaSource, Options, TILES_BF16, write};
use crate::plan::{Plan, Source};
use crate::runtime::RuntimeError;
use cudarc::driver::sys::CUfunction_attribute;
use cudarc::driver::{CudaContext, CudaFunction, DriverError};
use cudarc::nvrtc::Ptx;
use std::sync::Arc;

/// A kernel on the device.
pub(super) struct Loaded {
    pub(super) source: CudaSource,
    /// By launch.
    pub(super) functions: Vec<CudaFunction>,
    spills: Spills,
}

impl Loaded {
    /// Whether threads keep something in memory that should be in registers.
    fn spills(&self) -> bool {
        self.reports().any(|it| 0 < it.spilled)
    }

    /// By launch.
    fn reports(&self) -> impl Iterator<Item = KernelReport> {
        self.source.launches.iter().zip(&self.functions).map(|(launch, function)| {
            // A compiler that says nothing leaves the stack frame to go by, in which there may be other things.
            let frame = || function.local_size_bytes().ok().and_then(|it| u32::try_from(it).ok());
            KernelReport {
                entry: launch.entry,
                registers: function.num_regs().unwrap_or(0),
                spilled: self.spills.of(launch.entry).or_else(frame).unwrap_or(0),
            }
        })
    }
}

/// Compiles and loads all kernels of a plan. `device` is what messages call it.
pub(super) fn load(
    plan: &Plan,
    all: Vec<Source<CudaSource>>,
    options: &Options,
    context: &Arc<CudaContext>,
    (compiler, architecture): (&Compiler, &str),
    device: &str,
) -> Result<Vec<Loaded>, RuntimeError> {
    let failed = |what: &str, error: DriverError| driver_error(device, what, error);
    let mut tiles = vec![options.first_tile; all.len()];
    let mut waiting: Vec<Option<CudaSource>> = all.iter().map(|it| Some(it.code.clone())).collect();
    let mut loaded: Vec<Option<Loaded>> = all.iter().map(|_| None).collect();
    loop {
        let (missing, sources): (Vec<usize>, Vec<CudaSource>) =
            waiting.iter_mut().enumerate().filter_map(|(at, it)| Some((at, it.take()?))).unzip();
        if missing.is_empty() {
            return Ok(loaded.into_iter().flatten().collect());
        }
        let texts: Vec<&str> = sources.iter().map(|it| it.text.as_str()).collect();
        let images = compiler.compile_all(&texts, architecture).map_err(|it| RuntimeError::Device {
            device: device.to_owned(),
            cause: it.cause,
            remedy: it.remedy,
        })?;
        for ((at, cuda), image) in missing.into_iter().zip(sources).zip(images) {
            let module = context.load_module(Ptx::from_binary(image.bytes));
            let module = module.map_err(|it| failed("the driver refuses what NVRTC compiled", it))?;
            let load = |launch: &CudaLaunch| {
                let function = module.load_function(launch.entry)?;
                // Above 48 KiB it is refused else, and what the driver keeps of that for itself is its own affair.
                if 0 < launch.shared {
                    let attribute = CUfunction_attribute::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
                    function.set_attribute(attribute, launch.shared as i32)?;
                }
                Ok(function)
            };
            let functions = cuda.launches.iter().map(load).collect::<Result<Vec<_>, DriverError>>();
            let functions = functions.map_err(|it| failed("cannot load a kernel", it))?;
            let kernel = Loaded { source: cuda, functions, spills: image.spills };
            let contracts = all[at].kernels.iter().any(|it| plan.kernels[*it].is_contraction());
            if contracts && tiles[at] + 1 < TILES_BF16 && kernel.spills() {
                tiles[at] += 1;
                let kernels: Vec<&KernelSpec> = all[at].kernels.iter().map(|it| &plan.kernels[*it]).collect();
                waiting[at] = write(&kernels, &Options { first_tile: tiles[at], ..*options });
            }
            // What can be joined with one tile alone stays as it is.
            if waiting[at].is_none() {
                loaded[at] = Some(kernel);
            }
        }
    }
}

impl CudaBackend {
    /// Registers and spills of every kernel.
    pub fn kernels(&self) -> Vec<KernelReport> {
        self.kernels.iter().flat_map(Loaded::reports).collect()
    }
}
