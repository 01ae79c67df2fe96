//! Where the shards of a batch meet. A plan that runs by itself is of the only one; several are run by [`super::shards`].

use super::kernel::{Kernel, Operand, product, share};
use super::memory::{Shared, View};
use super::pool::Context;
use super::real::Real;
use crate::ir::Across;
use std::marker::PhantomData;

/// Numbers of one task.
const GRAIN: usize = 1 << 14;

/// The kernel: of one shard.
struct Alone<R> {
    len: usize,
    marker: PhantomData<R>,
}

/// Checks a kernel.
pub(super) fn load<R: Real>(kind: Across, len: usize) -> Result<Box<dyn Kernel>, String> {
    product(&[len])?;
    match kind {
        Across::Sum | Across::Max => Ok(Box::new(Alone::<R> { len, marker: PhantomData })),
    }
}

impl<R: Real> Kernel for Alone<R> {
    fn inputs(&self) -> Vec<Operand> {
        vec![Operand::real(self.len)]
    }

    fn outputs(&self) -> Vec<Operand> {
        vec![Operand::real(self.len)]
    }

    unsafe fn run(&self, _context: &Context<'_>, inputs: &[View], outputs: &[View]) {
        // SAFETY: operands as asked for, apart from each other.
        let (from, to) = unsafe { (inputs[0].slice::<R>(), outputs[0].shared::<R>().part(0, self.len)) };
        to.copy_from_slice(&from[..self.len]);
    }
}

/// What `len` numbers of each of some shards, of which there is a power of two, come to: halves of them first, and so on
/// within each half.
///
/// # Safety
/// All views hold so many numbers; nobody writes `parts` or uses `to` meanwhile.
pub(super) unsafe fn combined<R: Real>(context: &Context<'_>, kind: Across, parts: &[View], to: Shared<R>, len: usize) {
    let tasks = len.div_ceil(GRAIN).max(1);
    context.tasks(tasks, |task| {
        let range = share(len, tasks, task);
        // SAFETY: each task has numbers of its own.
        let to = unsafe { to.part(range.start, range.len()) };
        // SAFETY: nobody writes parts.
        let parts: Vec<&[R]> = parts.iter().map(|it| unsafe { &it.slice::<R>()[range.clone()] }).collect();
        let mut row = vec![R::ZERO; parts.len()];
        for (at, to) in to.iter_mut().enumerate() {
            row.iter_mut().zip(&parts).for_each(|(row, part)| *row = part[at]);
            let mut left = row.len();
            while 1 < left {
                left /= 2;
                (0..left).for_each(|it| row[it] = both(kind, row[2 * it], row[2 * it + 1]));
            }
            *to = row[0];
        }
    });
}

/// Adds what other ranks have to what is here, number by number.
pub(super) fn joined<R: Real>(kind: Across, own: &mut [R], other: &[R]) {
    own.iter_mut().zip(other).for_each(|(own, other)| *own = both(kind, *own, *other));
}

#[inline(always)]
fn both<R: Real>(kind: Across, one: R, other: R) -> R {
    match kind {
        Across::Sum => one + other,
        Across::Max => one.larger(other),
    }
}
