//! (Unstable.) Groups of nodes, each to become one kernel.

mod analysis;
mod epilogue;
mod materialize;
mod merge;
mod policy;
mod print;

pub use analysis::Storage;
pub(crate) use analysis::{reduced, squeeze};
pub(crate) use print::name;

use crate::ir::{NodeId, Phase};
use crate::shape::Typed;
use std::collections::BTreeMap;

/// What a group's kernel is built around.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupKind {
    /// One `Conv`, `ConvInputGrad`, `ConvFilterGrad` or `MatMul`, first of the nodes; what follows is a map of its result.
    Contraction,
    /// Maps, broadcasts and the reductions that share their iteration space.
    Map,
    /// One `Window`.
    Window,
    /// One of the ops that only move or make data: `Transpose`, `Assemble`, `Gather`, `Augment`, `Scatter`, `Random`, `Loss`.
    Single,
}

/// Nodes that become one kernel.
#[derive(Clone, Debug)]
pub struct Group {
    /// Kind.
    pub kind: GroupKind,
    /// Nodes it evaluates, operands first. A value that is cheaper to repeat than to read is a node of
    /// several groups.
    pub nodes: Vec<NodeId>,
    /// Tensors it reads from memory: results of other groups, or leaves. In operand order for all kinds
    /// but `Map`.
    pub inputs: Vec<NodeId>,
    /// Its nodes whose results it writes to memory.
    pub outputs: Vec<NodeId>,
    /// Arithmetic operations.
    pub flops: u64,
    /// Bytes read, at 4 bytes a real.
    pub bytes_read: u64,
    /// Bytes written.
    pub bytes_written: u64,
}

/// A graph whose phases are partitioned into groups, in an order of execution.
#[derive(Clone, Debug)]
pub struct Fused {
    /// The graph.
    pub typed: Typed,
    /// Which of its nodes share memory.
    pub storage: Storage,
    /// Groups per phase.
    pub phases: BTreeMap<Phase, Vec<Group>>,
}

/// Groups the nodes that each phase needs.
pub fn fuse(typed: Typed) -> Fused {
    let storage = Storage::new(typed.graph());
    let analysis = analysis::Analysis::new(typed.graph(), &storage);
    let mut phases = BTreeMap::new();
    for phase in [Phase::Step, Phase::Evaluate, Phase::Project, Phase::Average, Phase::Gradients] {
        let roots = typed.phase_roots(phase);
        if !roots.is_empty() {
            let needed = typed.needed(roots.iter().copied());
            let materialized = materialize::materialize(&analysis, &needed, &roots);
            phases.insert(phase, merge::merge(&analysis, &materialized, &needed, &roots));
        }
    }
    drop(analysis);
    Fused { typed, storage, phases }
}
