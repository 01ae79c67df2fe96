//! Products of matrices.

use crate::ir::{Fill, NodeId, Op};
use crate::shape::Builder;

/// `c = op(a) op(b)`.
pub(super) fn matmul(
    b: &mut Builder,
    [ta, tb]: [bool; 2],
    operands: &[NodeId],
    g: NodeId,
    wanted: &[bool],
) -> Vec<Option<NodeId>> {
    let (left, right) = (operands[0], operands[1]);
    if left == right && ta != tb && is_symmetric(b, g) {
        // Of `a^T a` or `a a^T`, both operands take the same product.
        let twice = b.scale(g, 2.0);
        let (x, y) = if ta { (left, twice) } else { (twice, left) };
        return vec![Some(b.add(Op::MatMul { transpose_a: false, transpose_b: false }, &[x, y])), None];
    }
    let mut product = |transpose_a, transpose_b, x, y| b.add(Op::MatMul { transpose_a, transpose_b }, &[x, y]);
    // d op(a) = g op(b)^T and d op(b) = op(a)^T g; a transposed operand takes the transposed product.
    let to_left = wanted[0].then(|| if ta { product(tb, true, right, g) } else { product(false, !tb, g, right) });
    let to_right = wanted[1].then(|| if tb { product(true, ta, g, left) } else { product(!ta, false, left, g) });
    vec![to_left, to_right]
}

/// Whether a matrix is known to equal its transpose: the Gram matrix of something, the identity, or a
/// map over such.
fn is_symmetric(b: &Builder, id: NodeId) -> bool {
    let graph = b.graph();
    let shape = graph.shape(id);
    if shape.len() == 1 {
        return true;
    }
    let operands = graph.operands(id);
    match graph.op(id) {
        Op::Const { fill: Fill::Value(_), .. } => shape.rank() == 2 && shape.0[0] == shape.0[1],
        Op::Const { fill: Fill::Eye, .. } => true,
        Op::MatMul { transpose_a, transpose_b } => operands[0] == operands[1] && transpose_a != transpose_b,
        Op::Map { .. } | Op::Broadcast(_) => operands.iter().all(|&it| is_symmetric(b, it)),
        _ => false,
    }
}
