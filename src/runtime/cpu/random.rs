//! Random numbers: functions of seed, stream, step and position.

use super::kernel::{Kernel, Operand, product, share};
use super::memory::View;
use super::pool::Context;
use super::real::Real;
use crate::ir::Random;
use crate::ir::random::{shuffled, uniform_four};
use std::marker::PhantomData;

/// Calls of the generator for one task.
const GRAIN: usize = 1 << 12;

/// The kernel.
struct Numbers<R> {
    kind: Random,
    len: usize,
    stream: u64,
    /// The position of the first number.
    first: u64,
    marker: PhantomData<R>,
}

/// Checks a kernel.
pub(super) fn load<R: Real>(kind: Random, len: usize, stream: u64, first: usize) -> Result<Box<dyn Kernel>, String> {
    if 1 << 60 < first {
        return Err(format!("no batch has a number {first}"));
    }
    let first = first as u64;
    product(&[len])?;
    match kind {
        Random::Shuffle { examples } | Random::Sequence { examples } if examples == 0 || 1 << 40 < examples => {
            Err(format!("cannot draw from {examples} examples"))
        }
        Random::Uniform | Random::Shuffle { .. } | Random::Sequence { .. } => {
            Ok(Box::new(Numbers::<R> { kind, len, stream, first, marker: PhantomData }))
        }
    }
}

impl<R: Real> Kernel for Numbers<R> {
    fn inputs(&self) -> Vec<Operand> {
        vec![Operand::int(1)]
    }

    fn outputs(&self) -> Vec<Operand> {
        match self.kind {
            Random::Uniform => vec![Operand::real(self.len)],
            Random::Shuffle { .. } | Random::Sequence { .. } => vec![Operand::int(self.len)],
        }
    }

    unsafe fn run(&self, context: &Context<'_>, inputs: &[View], outputs: &[View]) {
        // SAFETY: operands as asked for; nobody writes inputs.
        let counter = unsafe { inputs[0].slice::<i64>() }[0] as u64;
        let seed = context.seed;
        if let Random::Uniform = self.kind {
            // The generator gives four at once, and the first of ours may stand in the middle of those.
            let (block_of_first, skipped) = (self.first as usize / 4, self.first as usize % 4);
            let fours = (skipped + self.len).div_ceil(4);
            let tasks = (fours / GRAIN).clamp(1, fours.max(1));
            context.tasks(tasks, |task| {
                for block in share(fours, tasks, task) {
                    let from = (block * 4).saturating_sub(skipped);
                    let end = (block * 4 + 4 - skipped).min(self.len);
                    // SAFETY: the output is ours, and each four of it a task's.
                    let to = unsafe { outputs[0].shared::<R>().part(from, end - from) };
                    let values = uniform_four(seed, self.stream, counter, block_of_first + block);
                    for (to, value) in to.iter_mut().zip(&values[from + skipped - block * 4..]) {
                        *to = R::of(f64::from(*value));
                    }
                }
            });
            return;
        }
        // SAFETY: as above.
        let to = unsafe { outputs[0].shared::<i64>().part(0, self.len) };
        for (at, to) in to.iter_mut().enumerate() {
            *to = match self.kind {
                Random::Shuffle { examples } => {
                    let position = counter.wrapping_mul(self.len as u64).wrapping_add(self.first + at as u64);
                    shuffled(seed, self.stream, position, examples as u64) as i64
                }
                Random::Sequence { examples } => {
                    (counter.wrapping_add(self.first + at as u64) % examples as u64) as i64
                }
                Random::Uniform => unreachable!("handled above"),
            };
        }
    }
}
