//! Where the first NaN or infinity arose: a step or an evaluation, launch by launch.

use super::weights::Need;
use super::{TrainError, checkpoints, fitting};
use crate::ir::Phase;
use crate::plan::{BufferId, BufferKind, Plan};
use crate::runtime::cpu::CpuBackend;
use crate::runtime::{RuntimeError, Session};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// Where the first NaN or infinity arose.
#[derive(Clone, Debug, PartialEq)]
pub struct NonFinite {
    /// The layer that the launch serves; empty for what serves none.
    pub layer: String,
    /// The line of the model: `tiny.sph:6`.
    pub line: String,
    /// What kind of kernel made it.
    pub kernel: &'static str,
    /// What the result is.
    pub result: String,
    /// The first of its numbers that is NaN or infinite.
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

impl fmt::Display for NonFinite {
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
                write!(out, ", and some that are NaN or infinite")?;
            }
        }
        Ok(())
    }
}

/// Does the phase that comes next in `session`, launch by launch, until a number is not finite. `None` when every number is
/// finite: then the phase is done. Takes no memory to speak of on the CPU; other devices cannot be
/// looked into, and their phase is repeated on the CPU first.
pub fn first_non_finite(session: &mut Session, phase: Phase) -> Result<Option<NonFinite>, RuntimeError> {
    if let Searched::Done(found) = search(session, phase)? {
        return Ok(found);
    }
    let plan = Arc::new(Plan::clone(&session.plan).widened().packed());
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
    let Searched::Done(found) = search(&mut again, phase)? else { return Ok(None) };
    if found.is_none() {
        session.run(phase)?;
    }
    Ok(found)
}

/// What a search came to.
enum Searched {
    /// The first number that is not finite, if there is one.
    Done(Option<NonFinite>),
    /// The device cannot run launch by launch; nothing was done.
    Impossible,
}

fn search(session: &mut Session, phase: Phase) -> Result<Searched, RuntimeError> {
    let plan = session.plan.clone();
    let Some(launches) = plan.phases.get(&phase).map(|it| &it.launches) else { return Ok(Searched::Done(None)) };
    for (number, launch) in launches.iter().enumerate() {
        // What the launch overwrites is looked at before.
        let overwritten = |id: &BufferId| launch.outputs.iter().any(|it| plan.overlap(*it, *id));
        let mut before = BTreeMap::new();
        for &id in launch.inputs.iter().filter(|it| overwritten(it)) {
            before.insert(id, session.summary(id)?);
        }
        if !session.backend.run_one(phase, number)? {
            return Ok(Searched::Impossible);
        }
        for (at, &id) in launch.outputs.iter().enumerate() {
            let result = session.summary(id)?;
            let Some(found) = result.wild else { continue };
            let (kernel, inputs) = plan.kernels[launch.kernel].maker(at, launch.inputs.len());
            let mut operands = Vec::new();
            for id in &launch.inputs[inputs] {
                let numbers = match before.get(id) {
                    Some(it) => *it,
                    None => session.summary(*id)?,
                };
                let name = plan.buffers[id.0 as usize].name.clone();
                operands.push(Operand { name, range: numbers.range, finite: numbers.wild.is_none() });
            }
            let buffer = &plan.buffers[id.0 as usize];
            return Ok(Searched::Done(Some(NonFinite {
                layer: launch.layer.clone(),
                line: buffer.line.clone(),
                kernel,
                result: buffer.name.clone(),
                found,
                count: (result.wild_count, buffer.shape.len()),
                operands,
            })));
        }
    }
    Ok(Searched::Done(None))
}

/// Loads the newest checkpoint of a run into `session` and looks for the first NaN or infinity in the step that comes
/// next; with it, that step's number. The data must be bound.
pub fn replay(session: &mut Session, run: &Path) -> Result<(u64, Option<NonFinite>), TrainError> {
    let all = checkpoints(run);
    let Some((step, path)) = all.first() else {
        return Err(TrainError::RunDirectory {
            path: run.into(),
            cause: "it has no checkpoint".into(),
            remedy: "give the directory of a run that has one".into(),
        });
    };
    fitting(path, &session.plan, Need::Resume)?.load(session, Need::Resume)?;
    Ok((*step, first_non_finite(session, Phase::Step)?))
}
