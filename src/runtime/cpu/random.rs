//! Random numbers: functions of seed, stream, step and position.

use super::isa::Job;
use super::kernel::{Kernel, Operand, product, share};
use super::memory::View;
use super::pool::Context;
use super::real::{Real, convert};
use crate::ir::Random;
use crate::ir::random::{shuffled, uniform, uniform_fours};
use std::marker::PhantomData;

/// Numbers for one task.
const GRAIN: usize = 1 << 14;
/// Calls of the generator side by side, as vectors; each gives four numbers.
const SIDE: usize = 16;

/// Uniform random numbers of a step.
#[derive(Clone, Copy)]
pub(super) struct Stream {
    pub(super) seed: u64,
    /// Which stream of them.
    pub(super) of: u64,
    pub(super) step: u64,
}

impl Stream {
    /// Draws the numbers from `first` on.
    #[inline(always)]
    pub(super) fn draw<N: Real>(self, first: usize, to: &mut [N]) {
        let mut done = 0;
        while done < to.len() {
            let (block, skipped) = ((first + done) / 4, (first + done) % 4);
            // A few are drawn one by one.
            if to.len() - done < SIDE {
                to[done] = N::of(f64::from(uniform(self.seed, self.of, self.step, first + done)));
                done += 1;
                continue;
            }
            let words = uniform_fours::<SIDE>(self.seed, self.of, self.step, block as u64);
            let count = (4 * SIDE - skipped).min(to.len() - done);
            for (to, value) in to[done..][..count].iter_mut().zip(&words.as_flattened()[skipped..]) {
                *to = convert(*value);
            }
            done += count;
        }
    }
}

/// Draws for vectors of an instruction set.
struct Draw<'a, R> {
    stream: Stream,
    first: usize,
    to: &'a mut [R],
}

impl<R: Real> Job for Draw<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        self.stream.draw(self.first, self.to);
    }
}

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
            let stream = Stream { seed, of: self.stream, step: counter };
            let tasks = (self.len / GRAIN).clamp(1, self.len.max(1));
            context.tasks(tasks, |task| {
                let own = share(self.len, tasks, task);
                // SAFETY: the output is ours, and each part of it a task's.
                let to = unsafe { outputs[0].shared::<R>().part(own.start, own.len()) };
                context.isa.run(Draw { stream, first: self.first as usize + own.start, to });
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
