//! Where a plan's buffers lie in the one allocation.

use crate::kernel::cuda::CudaSource;
use crate::plan::{BufferKind, Plan};
use crate::runtime::RuntimeError;
use std::ops::Range;

/// Buffers start at multiples of this: what the driver itself guarantees for an allocation.
const ALIGN: usize = 256;

/// Offsets in bytes.
pub(super) struct Layout {
    /// By buffer.
    pub(super) buffers: Vec<Range<usize>>,
    /// Counters of the kernels, which each leaves at 0.
    pub(super) counters: Range<usize>,
    /// Where the scratch space of the kernels starts.
    pub(super) scratch: usize,
    /// All of it.
    pub(super) bytes: usize,
    /// What does not depend on the batch: parameters, states, data.
    kept: usize,
}

impl Layout {
    /// The arena first, as the plan lays it out, then everything that is kept, then what the plan's kernels want for
    /// themselves.
    pub(super) fn new<'a>(plan: &Plan, sources: impl Iterator<Item = &'a CudaSource>) -> Result<Self, String> {
        let (mut scratch, mut counters) = (0, 0);
        for it in sources {
            (scratch, counters) = (it.scratch.max(scratch), it.counters.max(counters));
        }
        let mut end = plan.arena_bytes.next_multiple_of(ALIGN);
        let arena = end;
        let mut buffers = Vec::with_capacity(plan.buffers.len());
        for buffer in &plan.buffers {
            let size = buffer.shape.len() * plan.precision.bytes(buffer.dtype);
            let start = match buffer.kind {
                BufferKind::Arena { offset } => {
                    if plan.arena_bytes < offset.saturating_add(size) || !offset.is_multiple_of(16) {
                        return Err(format!("buffer `{}` does not fit the arena", buffer.name));
                    }
                    offset
                }
                BufferKind::Extern(_) | BufferKind::Param(_) | BufferKind::State(_) | BufferKind::Const(_) => {
                    let start = end;
                    end = (end + size).next_multiple_of(ALIGN);
                    start
                }
            };
            buffers.push(start..start + size);
        }
        let kept = end - arena;
        let counters = end..end + counters * size_of::<u32>();
        let start = counters.end.next_multiple_of(ALIGN);
        Ok(Self { buffers, counters, scratch: start, bytes: (start + scratch).max(ALIGN), kept })
    }

    /// The plan does not fit: says by how much, and which batch would.
    pub(super) fn too_large(&self, plan: &Plan, free: usize, device: &str) -> RuntimeError {
        let batch = plan.training.as_ref().map_or(1, |it| it.batch).max(1);
        let each = (self.bytes - self.kept).div_ceil(batch).max(1);
        let fits = free.saturating_sub(self.kept) / each;
        let cause = if fits == 0 {
            format!("{device} has {free} bytes free")
        } else {
            format!("{device} has {free} bytes free, enough for a batch of about {fits}")
        };
        RuntimeError::Memory { bytes: self.bytes, what: format!("a batch of {batch}"), cause }
    }
}
