//! A device's kernels against the interpreter: every launch of a plan, on the numbers that it was given.

use super::bound::{Expected, Roundings, expected};
use crate::ir::{DType, Extern, Phase, Precision, TargetKind};
use crate::kernel::KernelSpec;
use crate::plan::{BufferKind, Plan};
use crate::runtime::{RuntimeError, Session};
use std::collections::{BTreeMap, BTreeSet};

/// What a launch came to.
#[derive(Clone, Debug, PartialEq)]
pub struct KernelCheck {
    /// The phase it belongs to.
    pub phase: Phase,
    /// Its number in the phase.
    pub launch: usize,
    /// The layer it serves; empty for what serves none.
    pub layer: String,
    /// What kind of kernel it is.
    pub kernel: &'static str,
    /// The line of the model that asks for its first result.
    pub line: String,
    /// Numbers that were compared.
    pub compared: usize,
    /// How far the number that comes nearest to its bound is off.
    pub error: f64,
    /// How far it may be off.
    pub bound: f64,
}

impl KernelCheck {
    /// Whether all numbers are within their bounds.
    pub fn passed(&self) -> bool {
        self.share() <= 1.0
    }

    /// The largest share of its bound that an error takes.
    pub fn share(&self) -> f64 {
        share(self.error, self.bound)
    }
}

fn share(error: f64, bound: f64) -> f64 {
    // Where nothing is known of the number there is nothing to be off from.
    if error == 0.0 || bound.is_infinite() { 0.0 } else { error / bound }
}

/// What comparing results with the interpreter's came to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Comparison {
    /// Numbers that were compared.
    pub compared: usize,
    /// How far the number that comes nearest to its bound is off.
    pub error: f64,
    /// How far it may be off.
    pub bound: f64,
}

impl Comparison {
    /// Whether all numbers are within their bounds.
    pub fn passed(&self) -> bool {
        share(self.error, self.bound) <= 1.0
    }
}

/// Compares what a device made of a kernel's operands with what the interpreter makes of them.
pub fn launch(
    spec: &KernelSpec,
    inputs: &[Vec<f64>],
    found: &[Vec<f64>],
    seed: u64,
    precision: Precision,
) -> Comparison {
    let mut comparison = Comparison::default();
    for (found, expected) in found.iter().zip(&expected(spec, inputs, seed, &Roundings::of(precision))) {
        compare(found, expected, &mut comparison);
    }
    comparison
}

/// Runs every phase of a plan once and compares what each launch made of its operands with what the interpreter makes
/// of them. The session's plan must keep all its buffers ([`Plan::spread`]) and have its data bound.
pub fn kernels(session: &mut Session) -> Result<Vec<KernelCheck>, RuntimeError> {
    let plan = session.plan.clone();
    let mut checks = Vec::new();
    for (&phase, launches) in plan.phases.iter().map(|(phase, it)| (phase, &it.launches)) {
        let writes: BTreeSet<_> = launches.iter().flat_map(|it| &it.outputs).copied().collect();
        let in_place = |kind: &BufferKind| matches!(kind, BufferKind::Param(_) | BufferKind::State(_));
        // What an update overwrites must be known from before.
        let mut kept = BTreeMap::new();
        for &id in writes.iter().filter(|it| in_place(&plan.buffers[it.0 as usize].kind)) {
            kept.insert(id, session.values(id)?);
        }
        session.run(phase)?;
        session.wait()?;
        for (number, launch) in launches.iter().enumerate() {
            let inputs = launch.inputs.iter().map(|id| match kept.get(id) {
                Some(before) => Ok(before.clone()),
                None => session.values(*id),
            });
            let inputs = inputs.collect::<Result<Vec<_>, _>>()?;
            let spec = &plan.kernels[launch.kernel];
            let found = launch.outputs.iter().map(|id| session.values(*id)).collect::<Result<Vec<_>, _>>()?;
            let Comparison { compared, error, bound } = self::launch(spec, &inputs, &found, plan.seed, plan.precision);
            checks.push(KernelCheck {
                phase,
                launch: number,
                layer: launch.layer.clone(),
                kernel: spec.family(),
                line: launch.outputs.first().map_or(String::new(), |it| plan.buffers[it.0 as usize].line.clone()),
                compared,
                error,
                bound,
            });
            // Who comes later reads what was written.
            launch.outputs.iter().for_each(|id| _ = kept.remove(id));
        }
    }
    Ok(checks)
}

/// What flushing to zero may cost.
const TINY: f64 = 1e-37;

fn compare(found: &[f64], expected: &Expected, check: &mut Comparison) {
    let Expected { places, values, bounds } = expected;
    for (at, (&value, &bound)) in values.iter().zip(bounds).enumerate() {
        let found = found[places.as_ref().map_or(at, |it| it[at])];
        let same = found == value || (found.is_nan() && value.is_nan());
        let error = if same { 0.0 } else { (found - value).abs() };
        // A number beside NaN or infinity.
        let error = if error.is_nan() { f64::INFINITY } else { error };
        let bound = if bound == 0.0 { 0.0 } else { bound + TINY };
        let worse = share(check.error, check.bound) < share(error, bound);
        if worse || (check.error == 0.0 && error == 0.0 && check.bound < bound) {
            (check.error, check.bound) = (error, bound);
        }
        check.compared += 1;
    }
}

/// Fills everything that a plan takes from outside with noise: bytes, labels, numbers in [-1, 1).
pub fn bind_noise(session: &mut Session) -> Result<(), RuntimeError> {
    let plan = session.plan.clone();
    let classes = plan.training.as_ref().map_or(1, |it| it.classes.max(1)) as u64;
    let mut state = 1u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 40
    };
    for (at, buffer) in plan.buffers.iter().enumerate() {
        if !matches!(buffer.kind, BufferKind::Extern(_)) {
            continue;
        }
        // Bytes of targets stand for classes, or for yes and no.
        let bytes = match (&buffer.kind, plan.training.as_ref().map(|it| &it.target)) {
            (BufferKind::Extern(Extern::TrainLabels | Extern::TestLabels), Some(TargetKind::Labels)) => 2,
            (BufferKind::Extern(Extern::TrainLabels | Extern::TestLabels), Some(_)) => classes,
            _ => 256,
        };
        let values: Vec<f64> = (0..buffer.shape.len())
            .map(|_| match buffer.dtype {
                DType::U8 => (next() % bytes) as f64,
                DType::U16 => (next() % 65536) as f64,
                DType::Int => (next() % classes) as f64,
                DType::Real | DType::Bf16 => next() as f64 / f64::from(1 << 23) - 1.0,
            })
            .collect();
        session.set(crate::plan::BufferId(at as u32), &values)?;
    }
    Ok(())
}

impl Plan {
    /// The same plan with a place of its own for every buffer of a phase, so that all that a phase made can be looked at
    /// when it has run.
    pub fn spread(mut self) -> Plan {
        let mut bytes = 0;
        for phase in self.phases.values() {
            let mut end = 0usize;
            let touched: BTreeSet<_> =
                phase.launches.iter().flat_map(|it| it.inputs.iter().chain(&it.outputs)).copied().collect();
            for id in touched {
                let buffer = &mut self.buffers[id.0 as usize];
                let size = buffer.shape.len() * self.precision.bytes(buffer.dtype);
                if let BufferKind::Arena { offset } = &mut buffer.kind {
                    *offset = end;
                    end = (end + size).next_multiple_of(64);
                }
            }
            bytes = bytes.max(end);
        }
        self.arena_bytes = bytes;
        self
    }
}
