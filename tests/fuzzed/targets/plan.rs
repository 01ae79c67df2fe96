//! Plans from files: they run, or they are refused with the line.

use sphc::ir::Phase;
use sphc::plan::{Plan, from_yaml};
use sphc::runtime::cpu::{self, CpuBackend};
use sphc::runtime::{RuntimeError, Session};
use sphc::train;
use sphc::verify::bind_noise;
use std::cell::Cell;
use std::sync::Arc;

/// The most that a plan may take to be run here.
const MOST_FLOPS: u64 = 20_000_000;
const MOST_MEMORY: usize = 1 << 26;

/// All that a training does with a plan, in short: two steps, and the first batches of the test set; the others are like them.
pub(crate) fn trained(plan: Plan) -> Result<(), String> {
    let plan = Arc::new(plan);
    let backend = CpuBackend::new(plan.clone(), Some(1)).map_err(|it| it.to_string())?;
    let mut session = Session::new(plan, Box::new(backend)).map_err(|it| it.to_string())?;
    let steps = |session: &mut Session| -> Result<(), RuntimeError> {
        bind_noise(session)?;
        for _ in 0..2 {
            session.run(Phase::Step)?;
            let keys = session.plan.step_results();
            session.request(Phase::Step, &keys)?;
            while let Some(found) = session.collect(true)? {
                assert_eq!(found.len(), keys.len(), "a number for each result");
            }
            session.run(Phase::Project)?;
        }
        Ok(())
    };
    steps(&mut session).map_err(|it| it.to_string())?;
    let batches = Cell::new(0);
    let stop = || batches.replace(batches.get() + 1) == 2;
    train::evaluate(&mut session, &stop, &mut |_, _| {}).map_err(|it| it.to_string())?;
    Ok(())
}

/// Runs a plan; `false` where it is refused, or not tried, as it would only take long.
pub(super) fn run(plan: Plan) -> bool {
    let launches = plan.phases.values().flat_map(|it| &it.launches);
    let flops =
        launches.filter_map(|it| plan.kernels.get(it.kernel)).fold(0u64, |all, it| all.saturating_add(it.flops()));
    if MOST_FLOPS < flops || cpu::too_much(&plan, Some(1), MOST_MEMORY).is_some() {
        return false;
    }
    if plan.training.is_some() {
        return trained(plan).is_ok();
    }
    let plan = Arc::new(plan);
    let Ok(backend) = CpuBackend::new(plan.clone(), Some(1)) else { return false };
    let Ok(mut session) = Session::new(plan, Box::new(backend)) else { return false };
    bind_noise(&mut session).and_then(|()| session.run(Phase::Evaluate)).is_ok()
}

pub(super) fn read(input: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(input) else { return false };
    match from_yaml("plan.yaml", text) {
        Ok(plan) => run(plan),
        Err(it) => {
            let said = it.to_string();
            assert!(said.starts_with("plan.yaml:"), "no place: {said}");
            false
        }
    }
}
