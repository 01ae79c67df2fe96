//! One gradient rule per op: how the adjoint of a result becomes adjoints of the operands.

mod conv;
mod emit;
mod map;
mod matmul;
mod movement;
mod reduce;
mod window;

use crate::ir::{Loss, NodeId, Op, ScalarFn};
use crate::shape::Builder;

/// Adjoints of the operands of `id`, given the adjoint `g` of its result. `None` where `wanted` says so or
/// where the derivative is zero everywhere.
pub(super) fn pull_back(
    b: &mut Builder,
    id: NodeId,
    operands: &[NodeId],
    g: NodeId,
    wanted: &[bool],
) -> Vec<Option<NodeId>> {
    let op = b.graph().op(id).clone();
    match op {
        // Leaves have no operands; indices, counters and bytes have no adjoint.
        Op::Input { .. } | Op::Param(_) | Op::State(_) | Op::Const { .. } => Vec::new(),
        Op::Random { .. } | Op::Augment { .. } => vec![None; operands.len()],
        Op::Gather => {
            let mut adjoints = vec![None; operands.len()];
            adjoints[0] = wanted[0].then(|| movement::picks(b, operands, g));
            adjoints
        }
        Op::Scatter { .. } => {
            let pick = Op::Gather;
            vec![None, wanted[1].then(|| b.add(pick, &[g, operands[0]]))]
        }
        Op::Conv(geometry) => conv::forward(b, geometry, operands, g, wanted),
        Op::ConvInputGrad { geometry, .. } => conv::input_grad(b, geometry, operands, g, wanted),
        Op::ConvFilterGrad(geometry) => conv::filter_grad(b, geometry, operands, g, wanted),
        Op::MatMul { transpose_a, transpose_b } => matmul::matmul(b, [transpose_a, transpose_b], operands, g, wanted),
        Op::Map { body, .. } => {
            let shape = b.graph().shape(id).clone();
            map::map(b, &body, &shape, operands, g, wanted)
        }
        Op::Reduce { kind, axes } => vec![Some(reduce::reduce(b, kind, &axes, id, operands[0], g))],
        Op::Broadcast(_) => vec![Some(reduce::sum_to(b, g, operands[0]))],
        Op::Reshape(_) => vec![Some(movement::reshape(b, operands[0], g))],
        Op::Transpose(perm) => vec![Some(movement::transpose(b, &perm, g))],
        Op::Assemble { places, .. } => movement::assemble(b, &places, operands, g, wanted),
        Op::Window { kind, geometry } => window::window(b, kind, geometry, id, operands, g, wanted),
        Op::Loss(Loss::CrossEntropy { smoothing, floor }) => {
            let grad = Op::Loss(Loss::CrossEntropyGrad { smoothing, floor });
            vec![Some(b.add(grad, &[operands[0], operands[1], g])), None]
        }
        // A count of hits is constant almost everywhere.
        Op::Loss(Loss::Correct) => vec![None; operands.len()],
        Op::Loss(Loss::CrossEntropyGrad { .. }) => twice(b, id),
        Op::AllReduce(kind) => vec![Some(reduce::all_reduce(b, kind, id, operands[0], g))],
        Op::Update(_) => vec![Some(g)],
    }
}

/// The sum of two parts of an adjoint, which have the same shape.
pub(super) fn plus(b: &mut Builder, one: NodeId, other: NodeId) -> NodeId {
    if let Some(both) = movement::joined(b, one, other) {
        return both;
    }
    let shape = b.graph().shape(one).clone();
    let sum = ScalarFn::build(2, |pool, i| pool.add(i[0], i[1]));
    emit::Applied::new(b, &sum, &[one, other]).build(b, &shape)
}

/// A gradient that nothing in the language can ask for.
fn twice(b: &Builder, id: NodeId) -> ! {
    panic!("%{} is a gradient that is not differentiated again\n{}", id.0, b.graph())
}
