//! How many nodes a plan has as a CUDA graph, which can be told without a GPU.

use crate::ir::Phase;
use crate::kernel::cuda::{Arithmetic, CudaSource, Options, beyond, write};
use crate::plan::{Plan, Units};

/// A plan's kernels as CUDA, those that follow each other joined: each launch of their text is a node of the graph. Of a plan that
/// [`beyond`] has nothing against.
pub(crate) fn cuda_units(plan: &Plan, options: &Options) -> Units<CudaSource> {
    Units::new(plan, |kernels| write(kernels, options))
}

/// How many nodes the graph of a phase has on a GPU of so many multiprocessors; nothing for a plan that no GPU can run. A kernel that
/// spills on a device gets a smaller tile there, and may then have one more or less. Nothing is set or copied within a phase but by
/// kernels.
pub fn cuda_nodes(plan: &Plan, phase: Phase, processors: usize) -> Option<usize> {
    if plan.kernels.iter().any(|it| beyond(it).is_some()) {
        return None;
    }
    let options = Options { arithmetic: Arithmetic::of(plan.precision)?, processors, ..Options::default() };
    let units = cuda_units(plan, &options);
    let of_phase = units.phases.get(&phase).map_or(&[][..], Vec::as_slice);
    Some(of_phase.iter().map(|it| units.sources[it.source].code.launches.len()).sum())
}
