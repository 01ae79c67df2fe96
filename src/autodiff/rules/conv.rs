//! Convolutions: the three products are each other's adjoints.

use crate::ir::{Geometry, NodeId, Op};
use crate::shape::Builder;

/// Height and width of an activation.
fn size(b: &Builder, x: NodeId) -> [usize; 2] {
    let dims = b.graph().shape(x).dims();
    [dims[1], dims[2]]
}

/// `y = conv(x, w)`.
pub(super) fn forward(
    b: &mut Builder,
    geometry: Geometry,
    operands: &[NodeId],
    g: NodeId,
    wanted: &[bool],
) -> Vec<Option<NodeId>> {
    let (x, w) = (operands[0], operands[1]);
    let size = size(b, x);
    let dx = wanted[0].then(|| b.add(Op::ConvInputGrad { geometry, size }, &[g, w]));
    let dw = wanted[1].then(|| b.add(Op::ConvFilterGrad(geometry), &[x, g]));
    vec![dx, dw]
}

/// `dx = conv_input_grad(dy, w)`: linear in both.
pub(super) fn input_grad(
    b: &mut Builder,
    geometry: Geometry,
    operands: &[NodeId],
    g: NodeId,
    wanted: &[bool],
) -> Vec<Option<NodeId>> {
    let (dy, w) = (operands[0], operands[1]);
    let to_dy = wanted[0].then(|| b.add(Op::Conv(geometry), &[g, w]));
    let to_w = wanted[1].then(|| b.add(Op::ConvFilterGrad(geometry), &[g, dy]));
    vec![to_dy, to_w]
}

/// `dw = conv_filter_grad(x, dy)`: linear in both.
pub(super) fn filter_grad(
    b: &mut Builder,
    geometry: Geometry,
    operands: &[NodeId],
    g: NodeId,
    wanted: &[bool],
) -> Vec<Option<NodeId>> {
    let (x, dy) = (operands[0], operands[1]);
    let size = size(b, x);
    let to_x = wanted[0].then(|| b.add(Op::ConvInputGrad { geometry, size }, &[dy, g]));
    let to_dy = wanted[1].then(|| b.add(Op::Conv(geometry), &[x, g]));
    vec![to_x, to_dy]
}
