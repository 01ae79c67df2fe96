//! What a contraction is expected to cost: waves of blocks over the multiprocessors.

use crate::ir::DType;

/// Bytes per cycle that the L2 cache gives one of all multiprocessors: 5.5 TB/s over 132 at 1.75 GHz.
const L2_BYTES: f64 = 24.0;
/// Bytes per cycle of a multiprocessor's shared memory.
const SHARED_BYTES: f64 = 128.0;
/// Cycles that warps stand at the barrier of a stage, where no other block computes meanwhile: a guess.
const BARRIER: f64 = 60.0;

/// Shares of the summed extent that are tried: close enough to each other that some fill whole waves.
const SPLITS: [usize; 24] = [1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 14, 16, 20, 22, 24, 28, 32, 40, 44, 56, 64, 88, 128];

/// A contraction as its blocks see it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Blocks {
    /// Blocks for each share of the summed extent.
    pub(super) count: usize,
    /// Stages of the summed extent.
    pub(super) stages: usize,
    /// Cycles of a stage of a block that has its multiprocessor to itself.
    pub(super) stage: f64,
    /// Blocks that fit a multiprocessor at once.
    pub(super) resident: usize,
    /// Elements of the result.
    pub(super) width: usize,
}

/// What a stage of a block takes of its multiprocessor.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stage {
    /// Multiply-adds.
    pub(super) products: usize,
    /// Bytes that pass between shared memory and registers or caches.
    pub(super) shared: usize,
    /// Bytes from the L2 cache.
    pub(super) copied: usize,
}

impl Stage {
    /// Cycles, if the block has its multiprocessor to itself: tensor cores, shared memory, and L2 cache work at the same
    /// time, and the slowest tells.
    pub(super) fn cycles(&self, reads: DType, resident: usize) -> f64 {
        // Products per cycle of the tensor cores through `mma.sync`, in bf16 and tf32.
        let rate = if reads == DType::Bf16 { 1400.0 } else { 512.0 };
        let slowest =
            (self.products as f64 / rate).max(self.shared as f64 / SHARED_BYTES).max(self.copied as f64 / L2_BYTES);
        slowest + if resident == 1 { BARRIER } else { 0.0 }
    }
}

impl Blocks {
    /// The fewest cycles, and into how many shares the summed extent is split for that. Ties go to fewer shares.
    pub(super) fn fewest(&self, processors: usize) -> (f64, usize) {
        let splits = SPLITS.into_iter().filter(|&it| it == 1 || it * 2 <= self.stages);
        let costs = splits.map(|split| (self.cycles(split, processors), split));
        costs.reduce(|best, it| if it.0 < best.0 { it } else { best }).expect("one share is always tried")
    }

    fn cycles(&self, split: usize, processors: usize) -> f64 {
        let (count, slots) = (self.count * split, processors * self.resident);
        // Of one block when its multiprocessor is full; starting and storing costs about as much as two stages.
        let block = self.stage * (self.stages.div_ceil(split) + 2) as f64 * self.resident as f64;
        // A last wave that is not full ends with the multiprocessors that have most blocks of it.
        let last = (count % slots).div_ceil(processors);
        let waves = (count / slots) as f64 + last as f64 / self.resident as f64;
        let combine = if split == 1 {
            0.0
        } else {
            2000.0 + (self.width * (2 * split + 1) * 4) as f64 / (12 * processors) as f64
        };
        waves * block + combine
    }
}
