//! Data movement: the adjoint moves the data back.

use crate::ir::assembly::{MOST_PARTS, covered, overlap};
use crate::ir::{Along, NodeId, Op};
use crate::shape::Builder;

/// Back to the operand's shape.
pub(super) fn reshape(b: &mut Builder, operand: NodeId, g: NodeId) -> NodeId {
    let shape = b.graph().shape(operand).clone();
    match super::emit::constant(b, g) {
        Some(value) => b.constant(value, shape),
        None => b.reshape(g, shape),
    }
}

/// The inverse permutation.
pub(super) fn transpose(b: &mut Builder, perm: &[usize], g: NodeId) -> NodeId {
    let mut inverse = vec![0; perm.len()];
    for (to, &from) in perm.iter().enumerate() {
        inverse[from] = to;
    }
    b.add(Op::Transpose(inverse), &[g])
}

/// Each part gets what came of it, and 0 where it was cut off.
pub(super) fn assemble(
    b: &mut Builder,
    places: &[Vec<Along>],
    operands: &[NodeId],
    g: NodeId,
    wanted: &[bool],
) -> Vec<Option<NodeId>> {
    let number = super::emit::constant(b, g);
    let whole = b.graph().shape(g).clone();
    let mut adjoints = Vec::new();
    for ((operand, place), wanted) in operands.iter().zip(places).zip(wanted) {
        let shape = b.graph().shape(*operand).clone();
        let back: Vec<Along> = place.iter().map(|it| it.inverse()).collect();
        let kept =
            covered(shape.dims(), whole.dims(), &back).into_iter().zip(shape.dims()).all(|(it, all)| it.len() == *all);
        adjoints.push(wanted.then(|| match number {
            Some(value) if kept => b.constant(value, shape),
            _ => b.add(Op::Assemble { shape, places: vec![back] }, &[g]),
        }));
    }
    adjoints
}

/// The sum of two tensors that are put together of parts, where no part of one meets one of the other: they are one.
pub(super) fn joined(b: &mut Builder, one: NodeId, other: NodeId) -> Option<NodeId> {
    let graph = b.graph();
    let (Op::Assemble { shape, places: first }, Op::Assemble { places: second, .. }) = (graph.op(one), graph.op(other))
    else {
        return None;
    };
    let places = [&first[..], second].concat();
    let parts = [graph.operands(one), graph.operands(other)].concat();
    let boxes: Vec<_> =
        parts.iter().zip(&places).map(|(it, place)| covered(shape.dims(), graph.shape(*it).dims(), place)).collect();
    if MOST_PARTS < parts.len() || overlap(&boxes).is_some() {
        return None;
    }
    let whole = Op::Assemble { shape: shape.clone(), places };
    Some(b.add(whole, &parts))
}

/// What was picked goes back to where it came from.
pub(super) fn picks(b: &mut Builder, operands: &[NodeId], g: NodeId) -> NodeId {
    let rows = b.graph().shape(operands[0]).dims()[0];
    b.add(Op::Scatter { rows }, &[operands[1], g])
}
