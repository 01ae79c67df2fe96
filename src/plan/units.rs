//! A plan on a device where launches cost: those that follow each other are one where that can be.
//!
//! Which kernels can be one is in `kernel::join`, and how that is written is the device's; here is what memory has to say about it.

use super::arena::Slot;
use super::schedule::Step;
use super::{Launch, Plan};
use crate::ir::Phase;
use crate::kernel::{Join, KernelSpec};
use std::collections::BTreeMap;
use std::ops::Range;

/// Most launches that are one.
const MOST: usize = 12;

/// Launches of a phase that are one.
#[derive(Clone, Debug)]
pub struct Unit {
    /// Which of the phase.
    pub launches: Range<usize>,
    /// What became of them, as a position in [`Units::sources`].
    pub source: usize,
}

/// Kernels of a plan as a device has them.
#[derive(Clone, Debug)]
pub struct Source<T> {
    /// Which of the plan's, one after the other. Operands and results are those of each in turn.
    pub kernels: Vec<usize>,
    /// What the device makes of them.
    pub code: T,
}

/// A plan as a device runs it.
#[derive(Clone, Debug)]
pub struct Units<T> {
    /// Distinct codes.
    pub sources: Vec<Source<T>>,
    /// By phase, in order.
    pub phases: BTreeMap<Phase, Vec<Unit>>,
}

impl<T> Units<T> {
    /// Of a plan, given what makes code of kernels: of one always, of several where they can be one.
    pub fn new(plan: &Plan, write: impl Fn(&[&KernelSpec]) -> Option<T>) -> Units<T> {
        let mut units = Units { sources: Vec::new(), phases: BTreeMap::new() };
        let mut known: BTreeMap<Vec<usize>, Option<usize>> = BTreeMap::new();
        for (&phase, launches) in plan.phases.iter().map(|(phase, it)| (phase, &it.launches)) {
            let mut all = Vec::new();
            let mut first = 0;
            while first < launches.len() {
                let last = launches.len().min(first + MOST);
                let tried = (first + 1..=last).rev().find_map(|end| {
                    let launches = &launches[first..end];
                    let kernels: Vec<usize> = launches.iter().map(|it| it.kernel).collect();
                    let specs: Vec<&KernelSpec> = kernels.iter().map(|it| &plan.kernels[*it]).collect();
                    let join = Join::of(&specs)?;
                    if !plan.allows(join, launches) {
                        return None;
                    }
                    let source = *known.entry(kernels.clone()).or_insert_with(|| {
                        let code = write(&specs)?;
                        units.sources.push(Source { kernels, code });
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
    /// Whether what launches touch allows that they are joined so.
    fn allows(&self, join: Join, launches: &[Launch]) -> bool {
        let Some((last, before)) = launches.split_last() else { return false };
        match join {
            Join::Alone => true,
            Join::Rows { .. } => self.over_rows(launches).is_some(),
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
