//! Arithmetic of groups.

use super::GroupKind;
use super::policy;
use super::view::View;
use crate::ir::{Graph, NodeId, Op, Reduction, Window};

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
    let len = |it: NodeId| graph.shape(it).len() as u64;
    let of = graph.operands(id);
    match graph.op(id) {
        // Each element of the forward output meets kh * kw * cin elements of the filter.
        Op::Conv(_) => 2 * len(id) * len(of[1]) / filters(graph, of[1]),
        Op::ConvInputGrad { .. } => 2 * len(of[0]) * len(of[1]) / filters(graph, of[1]),
        Op::ConvFilterGrad(_) => 2 * len(of[1]) * len(id) / filters(graph, id),
        Op::MatMul { transpose_a, .. } => {
            let summed = graph.shape(of[0]).0[usize::from(!transpose_a)] as u64;
            2 * len(id) * summed
        }
        Op::Window { kind, geometry } => {
            let window = (geometry.kernel[0] * geometry.kernel[1]) as u64;
            match kind {
                Window::Sum | Window::Max => window * len(id),
                Window::SumGrad { .. } => window * len(of[0]),
                Window::MaxGrad => window * len(of[1]),
            }
        }
        // A few exponentials and logarithms for each logit.
        Op::Loss(_) => 4 * len(of[0]),
        _ => 0,
    }
}

fn filters(graph: &Graph, filter: NodeId) -> u64 {
    graph.shape(filter).0[3].max(1) as u64
}
