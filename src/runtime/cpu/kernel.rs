//! What all kernel families have in common: they are checked once, at load, and then run on views.

use super::memory::View;
use super::pool::{Context, Scratch};
use crate::ir::DType;

/// What a kernel wants of an operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Operand {
    /// Element type.
    pub(super) dtype: DType,
    /// Elements: exactly for outputs, at least for inputs.
    pub(super) len: usize,
}

impl Operand {
    /// Reals.
    pub(super) fn real(len: usize) -> Self {
        Self { dtype: DType::Real, len }
    }

    /// Integers.
    pub(super) fn int(len: usize) -> Self {
        Self { dtype: DType::Int, len }
    }
}

/// Makes running a kernel sound: operands as asked for, outputs apart from each other and from
/// inputs (but for what `may_alias` allows).
pub(super) trait Kernel: Send + Sync {
    /// Operands it reads.
    fn inputs(&self) -> Vec<Operand>;

    /// Operands it writes.
    fn outputs(&self) -> Vec<Operand>;

    /// Working memory.
    fn scratch(&self) -> Scratch {
        Scratch::default()
    }

    /// Whether an output may be the same memory as an input.
    fn may_alias(&self, _input: usize, _output: usize) -> bool {
        false
    }

    /// Runs it.
    ///
    /// # Safety
    /// The views are as `inputs` and `outputs` say and as the trait asks, and nobody else uses them
    /// meanwhile.
    unsafe fn run(&self, context: &Context<'_>, inputs: &[View], outputs: &[View]);
}

pub(super) use crate::kernel::product;

/// Position range `task` of `count` equal shares of `0..len`.
pub(super) fn share(len: usize, count: usize, task: usize) -> std::ops::Range<usize> {
    let at = |task: usize| (len as u128 * task as u128 / count as u128) as usize;
    at(task)..at(task + 1)
}
