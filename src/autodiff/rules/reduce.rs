//! Reductions and repetitions, which are each other's adjoints.

use crate::ir::{Binary, NodeId, Reduction};
use crate::shape::Builder;

/// Sums `g` over the axes along which `operand` is repeated in it.
pub(super) fn sum_to(b: &mut Builder, g: NodeId, operand: NodeId) -> NodeId {
    let (from, to) = (b.graph().shape(g).clone(), b.graph().shape(operand).clone());
    let missing = from.rank() - to.rank();
    let axes: Vec<usize> =
        (0..from.rank()).filter(|&it| it < missing || (to.0[it - missing] == 1 && from.0[it] != 1)).collect();
    let sum = b.sum(g, &axes);
    b.reshape(sum, to)
}

/// `y = reduce(x)`; `y` is the node itself.
pub(super) fn reduce(b: &mut Builder, kind: Reduction, axes: &[usize], y: NodeId, x: NodeId, g: NodeId) -> NodeId {
    let shape = b.graph().shape(x).clone();
    match kind {
        Reduction::Sum => match super::emit::constant(b, g) {
            Some(value) => b.constant(value, shape),
            None => b.broadcast(g, shape),
        },
        // Equal maxima share the adjoint equally.
        Reduction::Max => {
            let hit = b.binary(Binary::Eq, x, y);
            let count = b.sum(hit, axes);
            let share = b.binary(Binary::Div, g, count);
            b.binary(Binary::Mul, hit, share)
        }
    }
}
