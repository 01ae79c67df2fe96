//! Maps in their smallest form: constants stand in the expression, repetition is left to broadcasting,
//! an operand occurs once.

use crate::ir::{Fill, NodeId, Op, Scalar, ScalarFn, Shape};
use crate::shape::Builder;

/// The number that a node is everywhere, if it is a constant.
pub(super) fn constant(b: &Builder, id: NodeId) -> Option<f64> {
    match b.graph().op(id) {
        Op::Const { fill: Fill::Value(value), .. } => Some(value.0),
        Op::Broadcast(_) | Op::Reshape(_) => constant(b, b.graph().operands(id)[0]),
        _ => None,
    }
}

/// An expression with the tensors it is applied to.
#[derive(Debug)]
pub(super) struct Applied {
    pub(super) body: ScalarFn,
    pub(super) operands: Vec<NodeId>,
}

impl Applied {
    /// `body(operands)` with constants folded, broadcasts taken off and equal operands merged.
    pub(super) fn new(b: &Builder, body: &ScalarFn, operands: &[NodeId]) -> Self {
        let mut distinct: Vec<NodeId> = Vec::new();
        let mut to = Vec::new();
        let mut values = Vec::new();
        for &operand in operands {
            let mut at = operand;
            while let Op::Broadcast(_) = b.graph().op(at) {
                at = b.graph().operands(at)[0];
            }
            let position = distinct.iter().position(|it| *it == at).unwrap_or_else(|| {
                distinct.push(at);
                values.push(constant(b, at));
                distinct.len() - 1
            });
            to.push(position);
        }
        let body = ScalarFn::build(distinct.len() as u32, |pool, inputs| {
            let args: Vec<Scalar> =
                to.iter().map(|&it| values[it].map_or(inputs[it], |value| pool.constant(value))).collect();
            pool.inline(body, &args)[0]
        });
        Self::pruned(&body.simplify(), &distinct)
    }

    /// Without the operands that `body` does not need.
    pub(super) fn pruned(body: &ScalarFn, operands: &[NodeId]) -> Self {
        let (body, used) = body.prune();
        Self { body, operands: used.iter().map(|&it| operands[it as usize]).collect() }
    }

    /// The shape that the operands broadcast to.
    pub(super) fn shape(&self, b: &Builder) -> Shape {
        self.operands.iter().fold(Shape::scalar(), |shape, &it| {
            let other = b.graph().shape(it);
            shape.broadcast(other).unwrap_or_else(|| panic!("%{} does not broadcast\n{}", it.0, b.graph()))
        })
    }

    /// The node, stretched to `shape`.
    pub(super) fn build(&self, b: &mut Builder, shape: &Shape) -> NodeId {
        if let Some(value) = self.body.as_constant() {
            return b.constant(value, shape.clone());
        }
        let node = b.apply(self.body.clone(), &self.operands);
        b.broadcast(node, shape.clone())
    }
}
