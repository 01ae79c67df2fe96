//! What a plan is on a GPU: launches that follow each other and share kernels, and each kernel a node of a graph.
//!
//! Only the CUDA backend joins them: on a CPU a launch costs next to nothing. What belongs together, and how it is computed
//! then, is in `kernel::cuda::join`; here is what memory has to say about it.

use super::arena::Slot;
use super::schedule::Step;
use super::{Launch, Plan};
use crate::ir::Phase;
use crate::kernel::KernelSpec;
use crate::kernel::cuda::{Arithmetic, CudaSource, Join, Options, beyond, generate, joined};
use std::collections::BTreeMap;
use std::ops::Range;

/// Most launches that are one on a GPU.
const MOST: usize = 3;

/// Launches of a phase that are one on a GPU.
#[derive(Clone, Debug)]
pub struct Unit {
    /// Which of the phase.
    pub launches: Range<usize>,
    /// What became of them, as a position in [`Units::sources`].
    pub source: usize,
}

/// Kernels of a plan as CUDA.
#[derive(Clone, Debug)]
pub struct Source {
    /// Which of the plan's, one after the other. Operands and results are those of each in turn.
    pub kernels: Vec<usize>,
    /// Their text and how it is launched.
    pub cuda: CudaSource,
}

/// A plan as a GPU runs it.
#[derive(Clone, Debug, Default)]
pub struct Units {
    /// Distinct texts.
    pub sources: Vec<Source>,
    /// By phase, in order.
    pub phases: BTreeMap<Phase, Vec<Unit>>,
}

impl Units {
    /// Of a plan that [`beyond`] has nothing against.
    pub fn new(plan: &Plan, options: &Options) -> Units {
        let mut units = Units::default();
        let mut known: BTreeMap<Vec<usize>, Option<usize>> = BTreeMap::new();
        for (&phase, launches) in plan.phases.iter().map(|(phase, it)| (phase, &it.launches)) {
            let mut all = Vec::new();
            let mut first = 0;
            while first < launches.len() {
                let last = launches.len().min(first + MOST);
                let tried = (first + 1..=last).rev().find_map(|end| {
                    let launches = &launches[first..end];
                    let kernels: Vec<usize> = launches.iter().map(|it| it.kernel).collect();
                    let join = Join::of(&kernels.iter().map(|it| &plan.kernels[*it]).collect::<Vec<_>>())?;
                    if !plan.allows(join, launches) {
                        return None;
                    }
                    let source = *known.entry(kernels.clone()).or_insert_with(|| {
                        let cuda = source(plan, &kernels, options)?;
                        units.sources.push(Source { kernels, cuda });
                        Some(units.sources.len() - 1)
                    });
                    Some(Unit { launches: first..end, source: source? })
                });
                let unit = tried.expect("a launch by itself is a unit");
                first = unit.launches.end;
                all.push(unit);
            }
            units.phases.insert(phase, all);
        }
        units
    }

    /// How many nodes the graph of a phase has. Nothing is set or copied within a phase but by kernels.
    pub fn nodes(&self, phase: Phase) -> usize {
        let units = self.phases.get(&phase).map_or(&[][..], Vec::as_slice);
        units.iter().map(|it| self.sources[it.source].cuda.launches.len()).sum()
    }
}

/// Kernels of a plan as one, if they can be that.
pub fn source(plan: &Plan, kernels: &[usize], options: &Options) -> Option<CudaSource> {
    let specs: Vec<&KernelSpec> = kernels.iter().map(|it| &plan.kernels[*it]).collect();
    match specs[..] {
        [one] => Some(generate(one, options)),
        _ => joined(&specs, options),
    }
}

/// Has what a map touches live on while sums over windows of one of its results are written, so that both can be one.
pub(super) fn keep_apart(steps: &[Step], slots: &mut [Slot]) {
    let joined = |at: usize| {
        let (Some(one), Some(two)) = (steps.get(at), steps.get(at + 1)) else { return false };
        matches!(Join::of(&[&one.spec, &two.spec]), Some(Join::Window { result }) if two.inputs[..] == [one.outputs[result]])
    };
    let joined: Vec<bool> = (0..steps.len()).map(joined).collect();
    for it in slots.iter_mut().filter(|it| joined.get(it.last) == Some(&true)) {
        it.last += 1;
    }
}

impl Plan {
    /// How many nodes the graph of a phase has on a GPU of so many multiprocessors; nothing for a plan that no GPU can run. A
    /// kernel that spills on a device gets a smaller tile there, and may then have one more or less.
    pub fn nodes(&self, phase: Phase, processors: usize) -> Option<usize> {
        if self.kernels.iter().any(|it| beyond(it).is_some()) {
            return None;
        }
        let options = Options { arithmetic: Arithmetic::of(self.precision)?, processors, ..Options::default() };
        Some(Units::new(self, &options).nodes(phase))
    }

    /// Whether what launches touch allows that they are joined so.
    fn allows(&self, join: Join, launches: &[Launch]) -> bool {
        let Some((last, before)) = launches.split_last() else { return false };
        match join {
            Join::Alone => true,
            // Blocks of all are under way at the same time, so none may write what another one touches.
            Join::Side => {
                let touched = |it: &Launch| [it.inputs.clone(), it.outputs.clone()].concat();
                let apart = |a: &Launch, b: &Launch| {
                    touched(a).iter().all(|one| b.outputs.iter().all(|two| !self.overlap(*one, *two)))
                };
                launches
                    .iter()
                    .enumerate()
                    .all(|(at, a)| launches.iter().enumerate().all(|(other, b)| at == other || apart(a, b)))
            }
            // Blocks of the first are still reading while the window's results are written; the window reads just that result.
            Join::Window { result } => {
                let [map] = before else { return false };
                let written = |it: &super::BufferId| last.outputs.iter().any(|to| self.overlap(*it, *to));
                last.inputs[..] == [map.outputs[result]] && !map.inputs.iter().chain(&map.outputs).any(written)
            }
            // What comes after the sums of a column reads those of the same column, or what was there before. It is the last
            // kernel, so that nobody reads any more what it overwrites.
            Join::Columns => {
                let [sums] = before else { return false };
                let KernelSpec::Map(map) = &self.kernels[last.kernel] else { return false };
                let same = |(id, strides): (&super::BufferId, &[usize])| {
                    sums.outputs.iter().all(|it| !self.overlap(*it, *id) || (it == id && strides == [1]))
                };
                last.inputs.iter().zip(map.inputs.iter().map(|it| &it.strides[..])).all(same)
                    && last.outputs.iter().all(|it| {
                        sums.outputs.iter().all(|of| !self.overlap(*it, *of) || self.span(*it) == self.span(*of))
                    })
            }
        }
    }
}
