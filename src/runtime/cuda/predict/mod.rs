//! How long a step is expected to take on a GPU that is not there: its kernels are compiled for that GPU, their machine code
//! is read, and a model adds up what it asks of the GPU. No number is measured.

mod code;
mod constants;
mod cubin;
mod model;

pub use code::{Class, Code, class};
pub use model::Bound;

use super::compiler::Compiler;
use super::probe::Missing;
use crate::ir::Phase;
use crate::kernel::cuda::{Arithmetic, Options};
use crate::kernel::{Join, KernelSpec};
use crate::plan::Plan;
use crate::runtime::CudaSetup;
use crate::runtime::cuda_units;
use model::Kernel;

/// A node of the graph.
#[derive(Clone, Debug)]
pub struct NodeTime {
    /// The layer that it serves; empty for what serves none.
    pub layer: String,
    /// Name of the kernel's entry.
    pub entry: &'static str,
    /// Blocks.
    pub blocks: u64,
    /// Operations; those of several kernels of a launch are with the first.
    pub flops: f64,
    /// Bytes read and written, likewise.
    pub bytes: f64,
    /// Seconds, from the one before to its own end.
    pub seconds: f64,
    /// What sets them.
    pub bound: Bound,
}

/// A phase, node by node.
#[derive(Clone, Debug)]
pub struct Prediction {
    /// The GPU.
    pub gpu: &'static str,
    /// In order.
    pub nodes: Vec<NodeTime>,
}

/// Architectures that there are figures for.
pub fn architectures() -> impl Iterator<Item = &'static str> {
    constants::GPUS.iter().map(|it| it.architecture)
}

/// Where the code of an entry is in a cubin, as bytes; for what looks at code.
pub fn code_of(cubin: &[u8], entry: &str, architecture: &str) -> Option<Code> {
    let split = architecture.trim_start_matches("sm_").parse::<u32>().is_ok_and(|it| 90 <= it);
    cubin::code(cubin, entry).map(|it| Code::new(it, split))
}

/// What a phase of a plan is expected to take.
pub fn predict(plan: &Plan, phase: Phase, architecture: &str, setup: &CudaSetup) -> Result<Prediction, Missing> {
    let missing = |cause: String, remedy: &str| Missing { cause, remedy: remedy.to_owned() };
    let gpu = constants::GPUS.iter().find(|it| it.architecture == architecture).ok_or_else(|| {
        let known: Vec<&str> = architectures().collect();
        missing(format!("there are no figures for `{architecture}`"), &format!("use `--arch {}`", known.join("` or `")))
    })?;
    let arithmetic = Arithmetic::of(plan.precision)
        .ok_or_else(|| missing("GPUs compute in single precision".to_owned(), "use another `--precision`"))?;
    if let Some(numbers) = plan.kernels.iter().find_map(crate::kernel::cuda::beyond) {
        let cause = format!("a tensor has {numbers} numbers, and kernels for CUDA count up to {}", super::REACH);
        return Err(missing(cause, "use a smaller `--batch`"));
    }
    let options = Options { arithmetic, processors: gpu.processors as usize, ..Options::default() };
    let units = cuda_units(plan, &options);
    let texts: Vec<&str> = units.sources.iter().map(|it| it.code.text.as_str()).collect();
    let images = Compiler::new(setup)?.compile_all(&texts, architecture)?;
    let launches = plan.phases.get(&phase).map_or(&[][..], |it| &it.launches);
    let mut nodes = Vec::new();
    for unit in units.phases.get(&phase).into_iter().flatten() {
        let own = &launches[unit.launches.clone()];
        let specs: Vec<&KernelSpec> = own.iter().map(|it| &plan.kernels[it.kernel]).collect();
        let over_rows = matches!(Join::of(&specs), Some(Join::Rows { .. }));
        let traffic = match over_rows {
            true => plan.traffic_over_rows(own),
            false => own.iter().map(|it| plan.traffic(it)).sum(),
        };
        let (source, image) = (&units.sources[unit.source].code, &images[unit.source]);
        for (number, launch) in source.launches.iter().enumerate() {
            let first = if number == 0 { 1.0 } else { 0.0 };
            let flops = first * own.iter().map(|it| plan.kernels[it.kernel].flops() as f64).sum::<f64>();
            let bytes = first * traffic as f64;
            let code = code_of(&image.bytes, launch.entry, architecture).ok_or_else(|| {
                let cause = format!("no machine code of `{}` was found in what NVRTC made", launch.entry);
                missing(cause, "please report this with the version of NVRTC")
            })?;
            let (seconds, bound) =
                Kernel { gpu, launch, text: &source.text, code: &code, flops, bytes, over_rows }.time();
            nodes.push(NodeTime {
                layer: own[0].layer.clone(),
                entry: launch.entry,
                blocks: launch.grid.iter().map(|it| u64::from(*it)).product(),
                flops,
                bytes,
                seconds: seconds + gpu.gap,
                bound,
            });
        }
    }
    Ok(Prediction { gpu: gpu.name, nodes })
}
