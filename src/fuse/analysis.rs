//! How nodes look to fusion: which share memory, which are numbers, and over which space they run.

use super::GroupKind;
use crate::ir::{DType, Fill, Graph, NodeId, Op, Precision, Random, Reduction, Shape};
use std::collections::HashMap;

/// Which nodes share memory. A `Reshape`, an `Update`, and a `Broadcast` or `Reduce` that leaves the
/// number of elements as it is hold the very bytes of their operand; a variance never does.
#[derive(Clone, Debug)]
pub struct Storage {
    of: Vec<NodeId>,
    number: Vec<Option<f64>>,
}

impl Storage {
    /// Reads a graph once.
    pub fn new(graph: &Graph) -> Storage {
        let mut of: Vec<NodeId> = graph.ids().collect();
        let mut number = vec![None; of.len()];
        for id in graph.ids() {
            let at = id.0 as usize;
            match graph.op(id) {
                Op::Const { fill: Fill::Value(value), .. } => number[at] = Some(value.0),
                // Even of one element it is another number than that.
                Op::Reduce { kind: Reduction::Variance, .. } => {
                    let of_number = |it: f64| if it.is_finite() { 0.0 } else { f64::NAN };
                    number[at] = number[of[graph.operands(id)[0].0 as usize].0 as usize].map(of_number);
                }
                Op::Reshape(_) | Op::Update(_) | Op::Broadcast(_) | Op::Reduce { .. } => {
                    let operand = graph.operands(id)[0];
                    let same = graph.shape(operand).len() == graph.shape(id).len();
                    let base = of[operand.0 as usize];
                    if same {
                        of[at] = base;
                    }
                    // A stretched number is a number of another shape; a sum of numbers is not.
                    if !matches!(graph.op(id), Op::Reduce { .. }) || same {
                        number[at] = number[base.0 as usize];
                    }
                }
                Op::Input { .. }
                | Op::Param(_)
                | Op::State(_)
                | Op::Const { fill: Fill::Eye | Fill::Range | Fill::List(_), .. }
                | Op::Conv(_)
                | Op::ConvInputGrad { .. }
                | Op::ConvFilterGrad(_)
                | Op::MatMul { .. }
                | Op::Map { .. }
                | Op::Transpose(_)
                | Op::Assemble { .. }
                | Op::Window { .. }
                | Op::Gather
                | Op::Augment { .. }
                | Op::Scatter { .. }
                | Op::AllReduce(_)
                | Op::Loss(_)
                | Op::Random { .. } => {}
            }
        }
        Storage { of, number }
    }

    /// The node whose memory holds the elements of `id`, in the same row-major order.
    pub fn of(&self, id: NodeId) -> NodeId {
        self.of[id.0 as usize]
    }

    /// The number that every element of `id` is known to be.
    pub fn number(&self, id: NodeId) -> Option<f64> {
        self.number[id.0 as usize]
    }
}

/// Extents without those of 1: two shapes with the same squeezed extents index elements alike.
pub(crate) fn squeeze(shape: &Shape) -> Vec<usize> {
    shape.dims().iter().copied().filter(|&it| it != 1).collect()
}

/// Which axes of the squeezed shape a reduction over `axes` takes. The axes of an iteration space are these, and no others:
/// a tensor of the same space may have its extents of 1 elsewhere.
pub(crate) fn reduced(shape: &Shape, axes: &[usize]) -> Vec<bool> {
    (0..shape.rank()).filter(|&it| shape.0[it] != 1).map(|it| axes.contains(&it)).collect()
}

/// What fusion may do with a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// In memory before the phase starts, or a number.
    Leaf,
    /// Shares the memory of another node.
    Alias,
    /// A kernel of its own.
    Opaque(GroupKind),
    /// One value for each element, of reals.
    Real,
    /// A random number for each element, which is drawn where it is used, or by a kernel of its own.
    Drawn,
    /// One integer for each element: evaluated in f64 and rounded, so never computed inside a `Real`.
    Int,
    /// A reduction.
    Reduce,
}

/// A graph, prepared.
pub(super) struct Analysis<'a> {
    pub(super) graph: &'a Graph,
    pub(super) storage: &'a Storage,
    pub(super) class: Vec<Class>,
    /// Which iteration space computes a node: equal squeezed extents, equal number.
    pub(super) space: Vec<u32>,
    /// Elements of each space.
    pub(super) space_len: Vec<usize>,
    operands: Vec<Vec<NodeId>>,
}

impl<'a> Analysis<'a> {
    pub(super) fn new(graph: &'a Graph, storage: &'a Storage) -> Self {
        let operands: Vec<Vec<NodeId>> = graph.ids().map(|it| graph.operands(it)).collect();
        let class: Vec<Class> = graph.ids().map(|id| classify(graph, storage, id)).collect();
        let mut known: HashMap<Vec<usize>, u32> = HashMap::new();
        let mut space_len = Vec::new();
        let mut space = Vec::with_capacity(class.len());
        for id in graph.ids() {
            let at = id.0 as usize;
            let over = if class[at] == Class::Reduce { operands[at][0] } else { id };
            let dims = squeeze(graph.shape(over));
            let len = dims.iter().product();
            let next = space_len.len() as u32;
            let number = *known.entry(dims).or_insert(next);
            if number == next {
                space_len.push(len);
            }
            space.push(number);
        }
        Analysis { graph, storage, class, space, space_len, operands }
    }

    pub(super) fn class(&self, id: NodeId) -> Class {
        self.class[id.0 as usize]
    }

    pub(super) fn space(&self, id: NodeId) -> u32 {
        self.space[id.0 as usize]
    }

    pub(super) fn operands(&self, id: NodeId) -> &[NodeId] {
        &self.operands[id.0 as usize]
    }

    pub(super) fn len(&self, id: NodeId) -> usize {
        self.graph.shape(id).len()
    }

    pub(super) fn base(&self, id: NodeId) -> NodeId {
        self.storage.of(id)
    }

    /// Whether an operand can be followed to the node that holds its memory without moving elements
    /// between axes.
    pub(super) fn plain(&self, operand: NodeId) -> bool {
        let base = self.base(operand);
        operand == base || squeeze(self.graph.shape(operand)) == squeeze(self.graph.shape(base))
    }

    /// Bytes in memory, at 4 bytes a real.
    pub(super) fn bytes(&self, id: NodeId) -> u64 {
        let dtype = self.graph.fact(id).dtype().unwrap_or(DType::Real);
        (Precision::F32.bytes(dtype) * self.len(id)) as u64
    }
}

fn classify(graph: &Graph, storage: &Storage, id: NodeId) -> Class {
    if storage.number(id).is_some() {
        return Class::Leaf;
    }
    if storage.of(id) != id {
        return Class::Alias;
    }
    match graph.op(id) {
        Op::Input { .. } | Op::Param(_) | Op::State(_) | Op::Const { .. } => Class::Leaf,
        Op::Conv(_) | Op::ConvInputGrad { .. } | Op::ConvFilterGrad(_) | Op::MatMul { .. } => {
            Class::Opaque(GroupKind::Contraction)
        }
        Op::Window { .. } => Class::Opaque(GroupKind::Window),
        Op::Transpose(_)
        | Op::Assemble { .. }
        | Op::Gather
        | Op::Augment { .. }
        | Op::Scatter { .. }
        | Op::AllReduce(_)
        | Op::Loss(_)
        | Op::Random { kind: Random::Shuffle { .. } | Random::Sequence { .. }, .. } => Class::Opaque(GroupKind::Single),
        Op::Random { kind: Random::Uniform, .. } => Class::Drawn,
        Op::Map { int: true, .. } => Class::Int,
        Op::Map { int: false, .. } | Op::Broadcast(_) => Class::Real,
        Op::Reduce { .. } => Class::Reduce,
        Op::Reshape(_) | Op::Update(_) => unreachable!("shares its operand's memory"),
    }
}
