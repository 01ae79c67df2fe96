//! Arithmetic of groups.

use super::GroupKind;
use super::policy;
use super::view::View;
use crate::ir::{Graph, NodeId, Op, Reduction, Shape, size};

/// Arithmetic operations of a group: a multiply and add are two.
pub(super) fn flops(view: &View<'_>, kind: GroupKind, nodes: &[NodeId], outputs: &[NodeId]) -> u64 {
    match kind {
        GroupKind::Map => {
            let elements = view.space_len[view.space(outputs[0]) as usize] as u64;
            let each: u64 = nodes.iter().map(|&it| each(view.graph.op(it))).sum();
            elements * each
        }
        GroupKind::Contraction | GroupKind::Window | GroupKind::Single => heavy(view.graph, outputs[0]),
    }
}

fn each(op: &Op) -> u64 {
    match op {
        Op::Map { body, .. } => policy::flops(body),
        // The distance from a pivot, its sum and that of its squares.
        Op::Reduce { kind: Reduction::Variance, .. } => 4,
        Op::Reduce { .. } => 1,
        _ => 0,
    }
}

fn heavy(graph: &Graph, id: NodeId) -> u64 {
    let of = graph.operands(id);
    let operands: Vec<&Shape> = of.iter().map(|&it| graph.shape(it)).collect();
    let work = size::work(graph.op(id), &operands, graph.shape(id));
    match graph.op(id) {
        // A multiply and an add.
        Op::Conv(_) | Op::ConvInputGrad { .. } | Op::ConvFilterGrad(_) | Op::MatMul { .. } => 2 * work,
        Op::Window { .. } => work,
        // A few exponentials and logarithms for each logit.
        Op::Loss(_) => 4 * operands[0].len() as u64,
        _ => 0,
    }
}
