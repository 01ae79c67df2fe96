//! Where the first number that is none arose: a step or an evaluation, launch by launch.

use super::weights::Need;
use super::{TrainError, checkpoints, fitting};
use crate::ir::Phase;
use crate::plan::{BufferId, BufferKind, Plan};
use crate::runtime::cpu::CpuBackend;
use crate::runtime::{RuntimeError, Session};
use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// Where the first number that is none arose.
#[derive(Clone, Debug, PartialEq)]
pub struct Blame {
    /// The layer that the launch serves; empty for what serves none.
    pub layer: String,
    /// The line of the model: `tiny.sph:6`.
    pub line: String,
    /// What kind of kernel made it.
    pub kernel: &'static str,
    /// What the result is.
    pub result: String,
    /// The first of its numbers that is none.
    pub found: f64,
    /// How many are none, and of how many.
    pub count: (usize, usize),
    /// What it was made from.
    pub operands: Vec<Operand>,
}

/// What a launch was given.
#[derive(Clone, Debug, PartialEq)]
pub struct Operand {
    /// What it is.
    pub name: String,
    /// Its least and greatest finite number.
    pub range: (f64, f64),
    /// Whether all of it is finite.
    pub finite: bool,
}

impl fmt::Display for Blame {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let layer = if self.layer.is_empty() { String::new() } else { format!(" in layer `{}`", self.layer) };
        let line = if self.line.is_empty() { String::new() } else { format!(" ({})", self.line) };
        let (bad, all) = self.count;
        write!(out, "{} arose first{layer}{line}: {bad} of {all} numbers of `{}`", self.found, self.result)?;
        write!(out, ", which a {} makes of", self.kernel)?;
        for operand in &self.operands {
            let (low, high) = operand.range;
            write!(out, "\n    `{}` from {low:.3e} to {high:.3e}", operand.name)?;
            if !operand.finite {
                write!(out, ", and some that are no number")?;
            }
        }
        Ok(())
    }
}

/// Repeats the phase that comes next in `session` on the CPU, with all that it makes kept apart. `session` is left as it
/// is. `None` when every number is finite.
pub fn blame(session: &Session, phase: Phase) -> Result<Option<Blame>, RuntimeError> {
    let before = &session.plan;
    let plan = Arc::new(Plan::clone(before).widened().spread());
    let mut again = Session::new(plan.clone(), Box::new(CpuBackend::new(plan.clone(), None)?))?;
    let Some(launches) = plan.phases.get(&phase).map(|it| &it.launches) else { return Ok(None) };
    let touched: BTreeSet<_> = launches.iter().flat_map(|it| it.inputs.iter().chain(&it.outputs)).collect();
    for &id in touched {
        match plan.buffers[id.0 as usize].kind {
            BufferKind::Extern(_) => again.backend.share(id, Arc::new(session.backend.read(id)?))?,
            BufferKind::Param(_) | BufferKind::State(_) => again.backend.write(id, &session.backend.read(id)?)?,
            BufferKind::Const(_) | BufferKind::Arena { .. } => {}
        }
    }
    again.run(phase)?;

    // Until a launch writes it, a parameter or state is what it was before the step.
    let mut written: BTreeSet<BufferId> = BTreeSet::new();
    for launch in launches {
        let mut found = None;
        for &id in &launch.outputs {
            let values = again.values(id)?;
            if let Some(&first) = values.iter().find(|it| !it.is_finite()) {
                let bad = values.iter().filter(|it| !it.is_finite()).count();
                found = found.or(Some((id, first, (bad, values.len()))));
            }
        }
        let Some((id, found, count)) = found else {
            written.extend(&launch.outputs);
            continue;
        };
        let at = launch.outputs.iter().position(|it| *it == id).expect("found among them");
        let (kernel, inputs) = plan.kernels[launch.kernel].maker(at, launch.inputs.len());
        let operands = launch.inputs[inputs].iter().map(|id| {
            let operand = &plan.buffers[id.0 as usize];
            let kept = matches!(operand.kind, BufferKind::Param(_) | BufferKind::State(_));
            let from = if kept && !written.contains(id) { session } else { &again };
            Ok(Operand::of(&operand.name, &from.values(*id)?))
        });
        let buffer = &plan.buffers[id.0 as usize];
        return Ok(Some(Blame {
            layer: launch.layer.clone(),
            line: buffer.line.clone(),
            kernel,
            result: buffer.name.clone(),
            found,
            count,
            operands: operands.collect::<Result<_, RuntimeError>>()?,
        }));
    }
    Ok(None)
}

impl Operand {
    fn of(name: &str, values: &[f64]) -> Operand {
        let finite = || values.iter().copied().filter(|it| it.is_finite());
        let range = (finite().fold(f64::INFINITY, f64::min), finite().fold(f64::NEG_INFINITY, f64::max));
        Operand { name: name.to_owned(), range, finite: finite().count() == values.len() }
    }
}

/// Loads the newest checkpoint of a run into `session` and looks for the first number that is none in the step that comes
/// next; with it, that step's number. The data must be bound.
pub fn replay(session: &mut Session, run: &Path) -> Result<(u64, Option<Blame>), TrainError> {
    let all = checkpoints(run);
    let Some((step, path)) = all.first() else {
        return Err(TrainError::RunDirectory {
            path: run.into(),
            cause: "it has no checkpoint".into(),
            remedy: "give the directory of a run that has one".into(),
        });
    };
    fitting(path, &session.plan, Need::Resume)?.load(session, Need::Resume)?;
    Ok((*step, blame(session, Phase::Step)?))
}
