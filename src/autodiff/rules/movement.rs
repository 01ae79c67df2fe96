//! Data movement: the adjoint moves the data back.

use crate::ir::{NodeId, Op};
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
