//! Maps: the symbolic derivative times the adjoint, summed where an operand was repeated.

use super::emit::Applied;
use crate::ir::{DType, NodeId, ScalarFn, Shape};
use crate::shape::Builder;

/// `y = body(operands)`; `shape` is that of `y`.
pub(super) fn map(
    b: &mut Builder,
    body: &ScalarFn,
    shape: &Shape,
    operands: &[NodeId],
    g: NodeId,
    wanted: &[bool],
) -> Vec<Option<NodeId>> {
    let arity = operands.len();
    let all: Vec<NodeId> = operands.iter().copied().chain([g]).collect();
    (0..arity)
        .map(|at| {
            let real = b.graph().fact(operands[at]).dtype() == Some(DType::Real);
            if !wanted[at] || !real {
                return None;
            }
            let slope = body.differentiate(at as u32);
            if slope.as_constant() == Some(0.0) {
                return None;
            }
            let product = ScalarFn::build(arity as u32 + 1, |pool, inputs| {
                let slope = pool.inline(&slope, &inputs[..arity])[0];
                pool.mul(inputs[arity], slope)
            });
            let product = Applied::new(b, &product, &all);
            Some(summed(b, &product, shape, operands[at]))
        })
        .collect()
}

/// `product` over `full`, summed over the axes along which `operand` is repeated in it.
fn summed(b: &mut Builder, product: &Applied, full: &Shape, operand: NodeId) -> NodeId {
    let to = b.graph().shape(operand).clone();
    let missing = full.rank() - to.rank();
    let repeated: Vec<bool> =
        (0..full.rank()).map(|it| it < missing || (to.0[it - missing] == 1 && full.0[it] != 1)).collect();
    if !repeated.contains(&true) {
        let node = product.build(b, full);
        return b.reshape(node, to);
    }
    let mut kept = full.clone();
    for (extent, _) in kept.0.iter_mut().zip(&repeated).filter(|it| *it.1) {
        *extent = 1;
    }
    // Of a sum over the batch, what does not change along the summed axes goes outside: gradients of
    // statistics then share the sums of `g` and of `g * (x - mean)`. A sum over channels alone has too
    // few terms to pay for the map that would follow it.
    let (outer, inner) = if repeated[0] {
        let fixed: Vec<bool> =
            product.operands.iter().map(|&it| !changes_along(b.graph().shape(it), &repeated)).collect();
        product.body.split_product(&fixed)
    } else {
        (ScalarFn::build(product.body.arity, |pool, _| pool.constant(1.0)), product.body.clone())
    };
    let inner = Applied::pruned(&inner, &product.operands);
    // Along axes that the operands do not have, the terms are equal.
    let own = inner.shape(b);
    let lacking = full.rank() - own.rank();
    let mut axes = Vec::new();
    let mut equal = 1;
    for axis in (0..full.rank()).filter(|&it| repeated[it]) {
        if axis < lacking || own.0[axis - lacking] == 1 {
            equal *= full.0[axis];
        } else {
            axes.push(axis - lacking);
        }
    }
    let terms = inner.build(b, &own);
    let sum = b.sum(terms, &axes);
    let operands: Vec<NodeId> = product.operands.iter().copied().chain([sum]).collect();
    let whole = ScalarFn::build(operands.len() as u32, |pool, inputs| {
        let outer = pool.inline(&outer, &inputs[..inputs.len() - 1])[0];
        let equal = pool.constant(equal as f64);
        let outer = pool.mul(outer, equal);
        pool.mul(inputs[inputs.len() - 1], outer)
    });
    let whole = Applied::new(b, &whole, &operands);
    let natural = whole.shape(b);
    if natural.len() == to.len() {
        let node = whole.build(b, &natural);
        return b.reshape(node, to);
    }
    let node = whole.build(b, &kept);
    b.reshape(node, to)
}

/// Whether a tensor that broadcasts to the rank of `repeated` has more than one entry along such an axis.
fn changes_along(shape: &Shape, repeated: &[bool]) -> bool {
    let missing = repeated.len() - shape.rank();
    shape.0.iter().zip(&repeated[missing..]).any(|(extent, repeated)| *repeated && *extent != 1)
}
