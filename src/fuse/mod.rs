//! Groups of nodes, each to become one kernel.

use crate::ir::{NodeId, Phase};
use crate::shape::Typed;
use std::collections::BTreeMap;

/// What a group's kernel is built around.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupKind {
    /// One `Conv`, `ConvInputGrad`, `ConvFilterGrad` or `MatMul`.
    Contraction,
    /// Maps, broadcasts and the reductions that share their iteration space.
    Map,
    /// One `Window`.
    Window,
    /// One of the ops that only move or make data: `Transpose`, `Gather`, `Random`, `Loss`.
    Single,
}

/// Nodes that become one kernel.
#[derive(Clone, Debug)]
pub struct Group {
    /// Kind.
    pub kind: GroupKind,
    /// Its nodes, operands first.
    pub nodes: Vec<NodeId>,
    /// Tensors it reads from memory: nodes of other groups, or leaves.
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
    /// Groups per phase.
    pub phases: BTreeMap<Phase, Vec<Group>>,
}
