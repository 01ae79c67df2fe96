//! Maps: the symbolic derivative times the adjoint, summed where an operand was repeated.

use super::reduce::sum_to;
use crate::ir::{DType, NodeId, ScalarFn};
use crate::shape::Builder;

/// `y = body(operands)`.
pub(super) fn map(
    b: &mut Builder,
    body: &ScalarFn,
    operands: &[NodeId],
    g: NodeId,
    wanted: &[bool],
) -> Vec<Option<NodeId>> {
    (0..operands.len())
        .map(|at| {
            let real = b.graph().fact(operands[at]).dtype() == Some(DType::Real);
            if !wanted[at] || !real {
                return None;
            }
            let slope = body.differentiate(at as u32);
            if slope.as_constant() == Some(0.0) {
                return None;
            }
            let part = scaled(b, &slope, operands, g);
            Some(sum_to(b, part, operands[at]))
        })
        .collect()
}

/// `slope(operands) * g`, in the shape of `g`.
fn scaled(b: &mut Builder, slope: &ScalarFn, operands: &[NodeId], g: NodeId) -> NodeId {
    if slope.as_constant() == Some(1.0) {
        return g;
    }
    let arity = operands.len() as u32;
    let product = ScalarFn::build(arity + 1, |pool, inputs| {
        let slope = pool.inline(slope, &inputs[..operands.len()])[0];
        pool.mul(inputs[operands.len()], slope)
    });
    let (product, used) = product.simplify().prune();
    let all: Vec<NodeId> = operands.iter().copied().chain([g]).collect();
    let inputs: Vec<NodeId> = used.iter().map(|&it| all[it as usize]).collect();
    b.map(product, &inputs)
}
