//! Sliding windows.

use crate::ir::{Geometry, NodeId, Op, Window};
use crate::shape::Builder;

/// `y = window(x)` and its adjoints.
pub(super) fn window(
    b: &mut Builder,
    kind: Window,
    geometry: Geometry,
    id: NodeId,
    operands: &[NodeId],
    g: NodeId,
    wanted: &[bool],
) -> Vec<Option<NodeId>> {
    let x = operands[0];
    match kind {
        Window::Sum => {
            let dims = b.graph().shape(x).dims();
            let size = [dims[1], dims[2]];
            vec![Some(b.add(Op::Window { kind: Window::SumGrad { size }, geometry }, &[g]))]
        }
        Window::SumGrad { .. } => vec![Some(b.add(Op::Window { kind: Window::Sum, geometry }, &[g]))],
        Window::Max => vec![Some(b.add(Op::Window { kind: Window::MaxGrad, geometry }, &[x, g]))],
        Window::MaxGrad => {
            debug_assert!(wanted.contains(&true));
            super::twice(b, id)
        }
    }
}
