//! Thresholds of fusion, as numbers and as rules on numbers. Nothing here decides what is legal, and what an op weighs is
//! in `ir::work`.

use crate::ir::{Op, work};
use crate::target;

/// Most results of one kernel.
pub(super) const MAX_OUTPUTS: usize = target::COMMON.kernel_outputs;

/// Most operands of one kernel.
pub(super) const MAX_INPUTS: usize = target::COMMON.kernel_inputs;

/// Work per element from which an expression is cut and its value stored, whoever uses it.
const MAX_BODY: u32 = 400;

/// Work per element that is repeated rather than written to memory and read again: eight bytes, in whose time a GPU does
/// about 170 operations and a CPU about 90. The paper's operators, with their learnable parameters, are within.
const RECOMPUTE: u32 = 96;

/// Work per element that is repeated inside a larger space (a row's value for each of its elements)
/// rather than made by a kernel of its own.
const STRETCH: u32 = 1;

/// Work of a random number: a quarter of ten rounds of Philox.
const DRAW: u32 = 25;

/// Work of one element.
pub(super) fn cost(op: &Op) -> u32 {
    match op {
        // At least 1, so that a chain of whatever maps is cut in the end.
        Op::Map { body, .. } => work::weight(body).max(1),
        Op::Reduce { .. } => 1,
        Op::Random { .. } => DRAW,
        _ => 0,
    }
}

/// A value that may be stored, or computed again wherever it is used.
pub(super) struct Candidate {
    /// Work per element, with that of what it would repeat.
    pub(super) cost: u32,
    /// Bytes of what it is computed from.
    pub(super) reads: u64,
    /// Its bytes.
    pub(super) bytes: u64,
    /// How many passes use it.
    pub(super) passes: u64,
    /// Whether the pass that could compute it is among them.
    pub(super) used_at_home: bool,
    /// Whether a larger space uses it.
    pub(super) stretched: bool,
}

impl Candidate {
    /// Whether storing it is better than repeating it.
    pub(super) fn store(&self) -> bool {
        if MAX_BODY < self.cost || (self.stretched && STRETCH < self.cost) {
            return true;
        }
        if self.passes <= 1 {
            return false;
        }
        let stored = self.bytes * (self.passes + u64::from(!self.used_at_home));
        let repeated = self.reads * (self.passes - 1);
        RECOMPUTE < self.cost || stored + stored / 4 < repeated
    }
}

/// Whether a value in memory is better computed again by a kernel that reads all its operands anyway.
pub(super) fn rematerialise(cost: u32) -> bool {
    cost <= RECOMPUTE
}
