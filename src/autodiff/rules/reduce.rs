//! Reductions and repetitions, which are each other's adjoints.

use crate::ir::{Across, Binary, NodeId, Op, Reduction, ScalarFn};
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

/// `y` is made of `x` in all shards; its adjoint is the same in all.
pub(super) fn all_reduce(b: &mut Builder, kind: Across, y: NodeId, x: NodeId, g: NodeId) -> NodeId {
    match kind {
        Across::Sum => g,
        // Shards with equal maxima share the adjoint equally.
        Across::Max => {
            let hit = b.binary(Binary::Eq, x, y);
            let count = b.add(Op::AllReduce(Across::Sum), &[hit]);
            let share = b.binary(Binary::Div, g, count);
            b.binary(Binary::Mul, hit, share)
        }
    }
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
        Reduction::Mean => {
            let count = b.graph().shape(x).len() / b.graph().shape(y).len().max(1);
            let share = ScalarFn::build(1, |pool, i| {
                let share = pool.constant(1.0 / count.max(1) as f64);
                pool.mul(i[0], share)
            });
            super::emit::Applied::new(b, &share, &[g]).build(b, &shape)
        }
        // The mean moves with `x`, too, but the sum of the distances from it is 0, so that is no part of the slope.
        Reduction::Variance => {
            let count = b.graph().shape(x).len() / b.graph().shape(y).len().max(1);
            let mean = b.add(Op::Reduce { kind: Reduction::Mean, axes: axes.to_vec() }, &[x]);
            let slope = ScalarFn::build(3, |pool, i| {
                let share = pool.constant(2.0 / count.max(1) as f64);
                let g = pool.mul(i[0], share);
                let gap = pool.sub(i[1], i[2]);
                pool.mul(g, gap)
            });
            super::emit::Applied::new(b, &slope, &[g, x, mean]).build(b, &shape)
        }
    }
}
