//! How much memory a plan takes, known before anything runs.

use super::{BufferId, BufferKind, Launch, Plan};
use crate::kernel::KernelSpec;
use std::collections::BTreeSet;

/// Bytes of a plan's buffers, by what they are for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Parameters.
    pub parameters: usize,
    /// States: moments, running statistics, counters.
    pub states: usize,
    /// Constants.
    pub constants: usize,
    /// Everything that lives within a phase.
    pub arena: usize,
    /// What is bound from outside: the data set.
    pub data: usize,
    /// The copy of one tensor on its way to a device or from it; the largest counts.
    pub transfer: usize,
    /// Scratch memory of kernels. The runtime knows it: 0 until it is asked.
    pub workspace: usize,
    /// The process without all that: the program and the compiled model. Only the process itself knows
    /// it: 0 until it is asked.
    pub program: usize,
}

impl Memory {
    /// All of it.
    pub fn total(&self) -> usize {
        let kept = self.parameters + self.states + self.constants;
        kept + self.arena + self.data + self.transfer + self.workspace + self.program
    }
}

impl Plan {
    /// Bytes that a launch must at least read and write.
    pub fn traffic(&self, launch: &Launch) -> u64 {
        let bytes = |id: &BufferId| {
            let buffer = &self.buffers[id.0 as usize];
            (buffer.shape.len() * self.precision.bytes(buffer.dtype)) as u64
        };
        let written: u64 = launch.outputs.iter().map(bytes).sum();
        // Of a data set, only what is picked.
        if let KernelSpec::Gather { .. } | KernelSpec::Augment { .. } = self.kernels[launch.kernel] {
            return 2 * written;
        }
        launch.inputs.iter().collect::<BTreeSet<_>>().into_iter().map(bytes).sum::<u64>() + written
    }

    /// The same of launches that go over some rows together and then over the next: what one of them has read or written the others
    /// find in a cache.
    pub fn traffic_over_rows(&self, launches: &[Launch]) -> u64 {
        let written: BTreeSet<&BufferId> = launches.iter().flat_map(|it| &it.outputs).collect();
        let read: BTreeSet<&BufferId> = launches.iter().flat_map(|it| &it.inputs).collect();
        let from_outside = read.difference(&written);
        from_outside.chain(&written).map(|it| self.bytes(**it) as u64).sum()
    }

    /// Adds the buffers up.
    pub fn memory(&self) -> Memory {
        let mut sum = Memory { arena: self.arena_bytes, ..Memory::default() };
        for buffer in &self.buffers {
            let bytes = buffer.shape.len() * self.precision.bytes(buffer.dtype);
            if matches!(buffer.kind, BufferKind::Param(_) | BufferKind::State(_) | BufferKind::Const(_)) {
                sum.transfer = sum.transfer.max(bytes);
            }
            match buffer.kind {
                BufferKind::Extern(_) => sum.data += bytes,
                BufferKind::Param(_) => sum.parameters += bytes,
                BufferKind::State(_) => sum.states += bytes,
                BufferKind::Const(_) => sum.constants += bytes,
                BufferKind::Arena { .. } => {}
            }
        }
        // Results are read as bytes, then as numbers.
        for id in self.phases.values().flat_map(|it| it.results.values()) {
            sum.transfer = sum.transfer.max(self.bytes(*id) + 8 * self.buffers[id.0 as usize].shape.len());
        }
        sum
    }
}
