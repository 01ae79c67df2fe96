//! The arena laid out anew, for a plan whose buffers have other types than when it was made.

use super::arena::{self, Slot};
use super::{BufferId, BufferKind, Plan};
use std::collections::BTreeMap;
use std::ops::Range;

impl Plan {
    /// The same plan with new offsets in the arena.
    pub(crate) fn packed(mut self) -> Plan {
        let mut arena = 0;
        for phase in self.phases.values() {
            let mut lives: BTreeMap<BufferId, (usize, usize)> = BTreeMap::new();
            for (at, launch) in phase.launches.iter().enumerate() {
                for &id in launch.inputs.iter().chain(&launch.outputs) {
                    lives.entry(id).or_insert((at, at)).1 = at;
                }
            }
            // Results stay.
            for &id in phase.results.values() {
                lives.entry(id).or_insert((0, 0)).1 = phase.launches.len();
            }
            lives.retain(|id, _| matches!(self.buffers[id.0 as usize].kind, BufferKind::Arena { .. }));
            let slot =
                |(id, &(first, last)): (&BufferId, &(usize, usize))| Slot { first, last, bytes: self.bytes(*id) };
            let slots: Vec<Slot> = lives.iter().map(slot).collect();
            let (offsets, end) = arena::place(&slots);
            for (id, offset) in lives.keys().zip(offsets) {
                self.buffers[id.0 as usize].kind = BufferKind::Arena { offset };
            }
            arena = arena.max(end);
        }
        self.arena_bytes = arena;
        self
    }

    /// Bytes of a buffer.
    pub fn bytes(&self, id: BufferId) -> usize {
        let buffer = &self.buffers[id.0 as usize];
        buffer.shape.len() * self.precision.bytes(buffer.dtype)
    }

    /// Where a buffer lies: bytes of the arena, or of memory of its own.
    pub(crate) fn span(&self, id: BufferId) -> (Option<BufferId>, Range<usize>) {
        let bytes = self.bytes(id);
        match self.buffers[id.0 as usize].kind {
            BufferKind::Arena { offset } => (None, offset..offset + bytes),
            BufferKind::Extern(_) | BufferKind::Param(_) | BufferKind::State(_) | BufferKind::Const(_) => {
                (Some(id), 0..bytes)
            }
        }
    }

    /// Whether two buffers share memory.
    pub(crate) fn overlap(&self, a: BufferId, b: BufferId) -> bool {
        let ((of_a, a), (of_b, b)) = (self.span(a), self.span(b));
        of_a == of_b && a.start < b.end && b.start < a.end
    }
}
