//! The CUDA backend: one allocation, kernels compiled for the device at hand, every phase one CUDA graph.
//!
//! The host does nothing inside a step: counters, rates and random numbers live on the device, so the
//! graph of a phase is captured once and launched again and again. `run` only queues it; whoever reads
//! a result waits for it. Nothing here panics where CUDA is not installed: see [`probe`].

mod compiler;
mod guard;
mod load;
mod memory;
pub mod predict;
mod probe;
mod readback;
mod timing;

pub use compiler::{Compiler, Image, Spills};
pub use guard::is_guarded;
pub use probe::{DeviceInfo, Driver, Probe, probe, usable};

use super::{Backend, CudaSetup, Peaks, RuntimeError, cuda_units};
use crate::ir::{DType, Phase};
use crate::kernel::cuda::{Argument, Arithmetic, Options, REACH, beyond};
use crate::plan::{BufferId, BufferKind, Launch, Plan, Unit};
use cudarc::driver::sys::{CUgraphInstantiate_flags, CUstreamCaptureMode};
use cudarc::driver::{
    CudaContext, CudaGraph, CudaSlice, CudaStream, DevicePtr, DriverError, LaunchConfig, PushKernelArg,
};
use load::Loaded;
use memory::Layout;
use readback::ReadBack;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Which device, and how it is used.
#[derive(Clone, Debug, Default)]
pub struct CudaOptions {
    /// Number of the device.
    pub ordinal: usize,
    /// Where libraries are, and how kernels are compiled and started.
    pub setup: CudaSetup,
}

/// What the compiler made of a kernel, for `bench` and `doctor`.
#[derive(Clone, Debug)]
pub struct KernelReport {
    /// Name of the entry.
    pub entry: &'static str,
    /// Registers of a thread.
    pub registers: i32,
    /// Bytes that a thread stores and loads because registers do not suffice.
    pub spilled: u32,
}

/// Runs a plan on an NVIDIA GPU.
pub struct CudaBackend {
    plan: Arc<Plan>,
    arithmetic: Arithmetic,
    options: CudaOptions,
    /// Field order is drop order: graphs before functions, memory before the stream.
    graphs: BTreeMap<Phase, CudaGraph>,
    /// Phases that ran once.
    started: BTreeSet<Phase>,
    /// Whether every launch is waited for, so that one that fails is known by its name.
    watched: bool,
    /// By source of the units.
    kernels: Vec<Loaded>,
    /// By phase, what runs in order.
    units: BTreeMap<Phase, Vec<Unit>>,
    layout: Layout,
    readback: ReadBack,
    memory: CudaSlice<u8>,
    bound: Vec<bool>,
    stream: Arc<CudaStream>,
    device: DeviceInfo,
}

impl CudaBackend {
    /// Compiles a plan's kernels for a device and allocates all memory, after checking that it is there.
    pub fn new(plan: Arc<Plan>, options: CudaOptions) -> Result<CudaBackend, RuntimeError> {
        let name = format!("cuda:{}", options.ordinal);
        let unavailable = |cause: String, remedy: &str| RuntimeError::Device {
            device: name.clone(),
            cause,
            remedy: remedy.to_owned(),
        };
        let arithmetic = Arithmetic::of(plan.precision).ok_or_else(|| {
            unavailable("it computes in single precision".into(), "use `--device cpu` for `--precision f64`")
        })?;
        let device = find_device(options.ordinal, &options.setup)?;
        let compiler = Compiler::new(&options.setup).map_err(|it| unavailable(it.cause, &it.remedy))?;

        if let Some(numbers) = plan.kernels.iter().find_map(beyond) {
            return Err(RuntimeError::Memory {
                bytes: numbers.saturating_mul(plan.precision.bytes(DType::Real)),
                what: format!("a tensor of {numbers} numbers"),
                cause: format!("kernels for CUDA count up to {REACH}"),
            });
        }
        let generation = Options { arithmetic, processors: device.processors, ..Options::default() };
        let refused = |cause| RuntimeError::Plan { cause };
        check_launches(&plan).map_err(refused)?;
        let units = cuda_units(&plan, &generation);
        let layout = Layout::new(&plan, units.sources.iter().map(|it| &it.code)).map_err(refused)?;

        let failed = |what: &str, error: DriverError| driver_error(&name, what, error);
        let context = CudaContext::new(options.ordinal).map_err(|it| failed("cannot open the device", it))?;
        // SAFETY: there is one stream, so no access needs an event to wait for.
        unsafe { context.disable_event_tracking() };
        let stream = context.new_stream().map_err(|it| failed("cannot make a stream", it))?;
        let enough = |layout: &Layout| match context.mem_get_info() {
            Ok((free, _)) if free < layout.bytes => Err(layout.too_large(&plan, free, &device.name)),
            Ok(_) => Ok(()),
            Err(error) => Err(failed("cannot ask for memory", error)),
        };
        // Before kernels are compiled, which takes a while; smaller tiles may change it a little.
        enough(&layout)?;
        let architecture = compiler.architecture(device.capability);
        let kernels = load::load(&plan, units.sources, &generation, &context, (&compiler, &architecture), &name);
        let kernels = kernels.map_err(|it| blame_versions(it, compiler.version(), &options.setup))?;
        check_arguments(&plan, &units.phases, &kernels).map_err(refused)?;
        let layout = Layout::new(&plan, kernels.iter().map(|it| &it.source)).map_err(refused)?;
        enough(&layout)?;
        // SAFETY: buffers are written before they are read: by the session, by `share`, or by a launch.
        let memory = unsafe { stream.alloc::<u8>(layout.bytes) };
        let mut memory = memory.map_err(|it| failed("cannot allocate memory", it))?;
        if !layout.counters.is_empty() {
            let zeros = vec![0u8; layout.counters.len()];
            let copied = stream.memcpy_htod(&zeros, &mut memory.slice_mut(layout.counters.clone()));
            copied.and_then(|()| stream.synchronize()).map_err(|it| failed("cannot copy to the device", it))?;
        }
        let readback = ReadBack::new(&context).map_err(|it| failed("cannot allocate pinned memory", it))?;
        let bound = vec![false; plan.buffers.len()];
        Ok(CudaBackend {
            plan,
            arithmetic,
            graphs: BTreeMap::new(),
            started: BTreeSet::new(),
            watched: options.setup.synchronous,
            options,
            kernels,
            units: units.phases,
            layout,
            readback,
            memory,
            bound,
            stream,
            device,
        })
    }

    /// Bytes that the plan takes on the device.
    pub fn memory_bytes(&self) -> usize {
        self.layout.bytes
    }

    fn error(&self, what: &str, error: DriverError) -> RuntimeError {
        driver_error(&format!("cuda:{}", self.options.ordinal), what, error)
    }

    fn range(&self, id: BufferId, found: usize) -> Result<std::ops::Range<usize>, RuntimeError> {
        let at = id.0 as usize;
        match self.layout.buffers.get(at) {
            Some(range) if range.len() == found => Ok(range.clone()),
            Some(range) => {
                let name = self.plan.buffers[at].name.clone();
                Err(RuntimeError::Size { name, expected: range.len(), found })
            }
            None => Err(RuntimeError::Size { name: format!("buffer {at}"), expected: 0, found }),
        }
    }

    /// The launches of a phase.
    fn launches(&self, phase: Phase) -> &[Launch] {
        self.plan.phases.get(&phase).map_or(&[], |it| &it.launches)
    }

    /// What runs of a phase, in order.
    fn units(&self, phase: Phase) -> &[Unit] {
        self.units.get(&phase).map_or(&[], Vec::as_slice)
    }

    /// Queues a phase's launches; `before` is called ahead of each, but not of one that shares the kernels of the one before.
    fn launch(
        &self,
        phase: Phase,
        mut before: impl FnMut(&Launch) -> Result<(), DriverError>,
    ) -> Result<(), DriverError> {
        let (base, _order) = self.memory.device_ptr(&self.stream);
        let address = |offset: usize| base + offset as u64;
        let of = |id: BufferId| address(self.layout.buffers[id.0 as usize].start);
        for unit in self.units(phase) {
            let steps = &self.launches(phase)[unit.launches.clone()];
            let Loaded { source, functions, .. } = &self.kernels[unit.source];
            let [inputs, outputs] = operands(steps);
            before(&steps[0])?;
            for (launch, function) in source.launches.iter().zip(functions) {
                let arguments: Vec<u64> = launch
                    .arguments
                    .iter()
                    .map(|it| match *it {
                        Argument::Input(at) => of(inputs[at]),
                        Argument::Output(at) => of(outputs[at]),
                        Argument::Scratch(offset) => address(self.layout.scratch + offset),
                        Argument::Counters => address(self.layout.counters.start),
                        Argument::Seed => self.plan.seed,
                        Argument::Null => 0,
                    })
                    .collect();
                let mut builder = self.stream.launch_builder(function);
                for argument in &arguments {
                    builder.arg(argument);
                }
                let [x, y, z] = launch.grid;
                let config = LaunchConfig {
                    grid_dim: (x, y, z),
                    block_dim: (launch.block, 1, 1),
                    shared_mem_bytes: launch.shared,
                };
                // SAFETY: the text and its arguments were generated together; every address lies in `memory`.
                unsafe { builder.launch(config) }?;
            }
        }
        Ok(())
    }

    /// Whether all data that a phase reads was given.
    fn check_bound(&self, phase: Phase) -> Result<(), RuntimeError> {
        for id in self.launches(phase).iter().flat_map(|it| &it.inputs) {
            let at = id.0 as usize;
            let buffer = &self.plan.buffers[at];
            if matches!(buffer.kind, BufferKind::Extern(_)) && !self.bound[at] {
                let expected = self.layout.buffers[at].len();
                return Err(RuntimeError::Size { name: buffer.name.clone(), expected, found: 0 });
            }
        }
        Ok(())
    }

    /// Runs a phase launch by launch and waits for each.
    fn run_watched(&self, phase: Phase) -> Result<(), RuntimeError> {
        let mut running = "the start".to_owned();
        let launched = self.launch(phase, |step| {
            self.stream.synchronize()?;
            running = format!("{} of `{}`", self.plan.kernels[step.kernel].family(), step.layer);
            Ok(())
        });
        let done = launched.and_then(|()| self.stream.synchronize());
        done.map_err(|it| self.error(&format!("a kernel failed ({running})"), it))
    }

    fn capture(&self, phase: Phase) -> Result<CudaGraph, DriverError> {
        self.stream.begin_capture(CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL)?;
        let launched = self.launch(phase, |_| Ok(()));
        // The capture must end in any case.
        let graph = self.stream.end_capture(CUgraphInstantiate_flags(0));
        launched?;
        let graph = graph?.ok_or(DriverError(cudarc::driver::sys::CUresult::CUDA_ERROR_STREAM_CAPTURE_INVALIDATED))?;
        graph.upload()?;
        Ok(graph)
    }
}

impl Backend for CudaBackend {
    fn write(&mut self, buffer: BufferId, bytes: &[u8]) -> Result<(), RuntimeError> {
        let range = self.range(buffer, bytes.len())?;
        self.bound[buffer.0 as usize] = true;
        if bytes.is_empty() {
            return Ok(());
        }
        let copied = self.stream.memcpy_htod(bytes, &mut self.memory.slice_mut(range));
        copied.and_then(|()| self.stream.synchronize()).map_err(|it| self.error("cannot copy to the device", it))
    }

    fn read(&self, buffer: BufferId) -> Result<Vec<u8>, RuntimeError> {
        let at = buffer.0 as usize;
        let range = self.range(buffer, self.layout.buffers.get(at).map_or(0, |it| it.len()))?;
        let mut bytes = vec![0u8; range.len()];
        if !bytes.is_empty() {
            // A kernel that failed before shows here, and is no fault of the copy.
            self.wait()?;
            let copied = self.stream.memcpy_dtoh(&self.memory.slice(range), &mut bytes[..]);
            copied
                .and_then(|()| self.stream.synchronize())
                .map_err(|it| self.error("cannot copy from the device", it))?;
        }
        Ok(bytes)
    }

    fn run(&mut self, phase: Phase) -> Result<(), RuntimeError> {
        if !self.graphs.contains_key(&phase) {
            self.check_bound(phase)?;
            if self.launches(phase).is_empty() {
                return Ok(());
            }
            // The first time without a graph: what the driver loads when it first needs it is none of a capture's business.
            if self.started.insert(phase) || self.watched {
                return self.run_watched(phase);
            }
            let graph = self.capture(phase).map_err(|it| self.error("cannot record a phase", it))?;
            self.graphs.insert(phase, graph);
        }
        self.graphs[&phase].launch().map_err(|it| self.error("cannot start a phase", it))
    }

    fn request(&mut self, buffers: &[BufferId]) -> Result<Option<Vec<u8>>, RuntimeError> {
        let (base, _order) = self.memory.device_ptr(&self.stream);
        let ranges = buffers.iter().map(|it| &self.layout.buffers[it.0 as usize]);
        let parts: Vec<(u64, usize)> = ranges.map(|it| (base + it.start as u64, it.len())).collect();
        let queued = self.readback.request(&self.stream, &parts);
        if queued.map_err(|it| driver_error(&self.device.name, "cannot copy from the device", it))? {
            return Ok(None);
        }
        let all = buffers.iter().map(|&it| self.read(it)).collect::<Result<Vec<_>, _>>()?;
        Ok(Some(all.concat()))
    }

    fn arrived(&mut self, wait: bool) -> Result<Option<Vec<u8>>, RuntimeError> {
        let arrived = self.readback.arrived(wait);
        arrived.map_err(|it| self.error("a kernel failed", it))
    }

    fn measure(&mut self, phase: Phase) -> Result<Vec<f64>, RuntimeError> {
        self.check_bound(phase)?;
        self.seconds_by_launch(phase).map_err(|it| self.error("cannot measure a phase", it))
    }

    fn peaks(&self) -> Option<Peaks> {
        timing::peaks(&self.device, self.arithmetic)
    }

    fn nodes(&self, phase: Phase) -> Option<usize> {
        Some(self.units(phase).iter().map(|it| self.kernels[it.source].source.launches.len()).sum())
    }

    fn wait(&self) -> Result<(), RuntimeError> {
        self.stream.synchronize().map_err(|it| self.error("a kernel failed", it))
    }

    fn describe(&self) -> String {
        let (major, minor) = self.device.capability;
        let arithmetic = match self.arithmetic {
            Arithmetic::F32 => "fp32",
            Arithmetic::Tf32 => "tf32",
            Arithmetic::Bf16 => "bf16",
        };
        format!("cuda:{}, {}, compute capability {major}.{minor}, {arithmetic}", self.options.ordinal, self.device.name)
    }
}

/// Bytes of memory that a device has free, if it can be asked.
pub fn free_bytes(ordinal: usize) -> Option<usize> {
    let context = CudaContext::new(ordinal).ok()?;
    Some(context.mem_get_info().ok()?.0)
}

/// Bytes that a plan takes on a device, as far as is known before its kernels are compiled.
pub fn needed_bytes(plan: &Plan, ordinal: usize, setup: &CudaSetup) -> Option<usize> {
    let processors = find_device(ordinal, setup).ok()?.processors;
    if plan.kernels.iter().any(|it| beyond(it).is_some()) {
        return None;
    }
    let options = Options { arithmetic: Arithmetic::of(plan.precision)?, processors, ..Options::default() };
    check_launches(plan).ok()?;
    let units = cuda_units(plan, &options);
    Some(Layout::new(plan, units.sources.iter().map(|it| &it.code)).ok()?.bytes)
}

/// Whether a device is there and new enough.
pub fn check_device(ordinal: usize, setup: &CudaSetup) -> Result<(), RuntimeError> {
    find_device(ordinal, setup).map(|_| ())
}

fn find_device(ordinal: usize, setup: &CudaSetup) -> Result<DeviceInfo, RuntimeError> {
    let unavailable = |cause: String, remedy: &str| RuntimeError::Device {
        device: format!("cuda:{ordinal}"),
        cause,
        remedy: remedy.to_owned(),
    };
    let driver = probe::driver(setup).map_err(|it| unavailable(it.cause, &it.remedy))?;
    let device = driver.devices.get(ordinal).cloned().ok_or_else(|| {
        let there = match driver.devices.len() {
            1 => "the only device is `cuda:0`".to_owned(),
            count => format!("there are devices `cuda:0` to `cuda:{}`", count - 1),
        };
        unavailable(there, "name one that is there")
    })?;
    if device.capability < (8, 0) {
        let (major, minor) = device.capability;
        let cause = format!("{} has compute capability {major}.{minor}, and the kernels need 8.0", device.name);
        return Err(unavailable(cause, "use `--device cpu`"));
    }
    Ok(device)
}

/// Operands and results of launches, those of each in turn.
fn operands(launches: &[Launch]) -> [Vec<BufferId>; 2] {
    let all = |of: fn(&Launch) -> &[BufferId]| launches.iter().flat_map(of).copied().collect();
    [all(|it| &it.inputs), all(|it| &it.outputs)]
}

/// Whether every launch names kernels and buffers that are there.
fn check_launches(plan: &Plan) -> Result<(), String> {
    for launch in plan.phases.values().flat_map(|it| &it.launches) {
        if plan.kernels.len() <= launch.kernel {
            return Err(format!("a launch of kernel {}, which is not there", launch.kernel));
        }
        if let Some(id) = launch.inputs.iter().chain(&launch.outputs).find(|it| plan.buffers.len() <= it.0 as usize) {
            return Err(format!("a launch on buffer {}, which is not there", id.0));
        }
    }
    Ok(())
}

/// Whether launches have as many buffers as their kernels take.
fn check_arguments(plan: &Plan, phases: &BTreeMap<Phase, Vec<Unit>>, kernels: &[Loaded]) -> Result<(), String> {
    for (phase, units) in phases {
        let launches = plan.phases.get(phase).map_or(&[][..], |it| &it.launches);
        for unit in units {
            let [inputs, outputs] = operands(&launches[unit.launches.clone()]);
            for argument in kernels[unit.source].source.launches.iter().flat_map(|it| &it.arguments) {
                let there = match *argument {
                    Argument::Input(at) => at < inputs.len(),
                    Argument::Output(at) => at < outputs.len(),
                    Argument::Scratch(_) | Argument::Counters | Argument::Seed | Argument::Null => true,
                };
                if !there {
                    let kernel = launches[unit.launches.start].kernel;
                    return Err(format!("a launch of kernel {kernel} with too few buffers"));
                }
            }
        }
    }
    Ok(())
}

/// A driver older than the compiler is the likely cause when kernels cannot be loaded.
fn blame_versions(error: RuntimeError, compiler: (i32, i32), setup: &CudaSetup) -> RuntimeError {
    match (error, probe::driver(setup).ok().and_then(|it| it.refuses(compiler))) {
        (RuntimeError::Device { device, cause, .. }, Some(found)) => {
            RuntimeError::Device { device, cause: format!("{cause}: {}", found.cause), remedy: found.remedy }
        }
        (error, _) => error,
    }
}

/// A failure of the driver that is not the fault of the plan.
fn driver_error(device: &str, what: &str, error: DriverError) -> RuntimeError {
    let remedy = "run `sphc doctor`; a newer driver or `--device cpu` may help".to_owned();
    RuntimeError::Device { device: device.to_owned(), cause: format!("{what}: {error}"), remedy }
}
