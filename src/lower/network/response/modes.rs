//! What an operator does in training and not in evaluation: `if training { .. } else { .. }`, and the batch's own mean.
//!
//! Whether the model is trained is one more operand of the operator's body: the number 1 in training, 0 in evaluation. It
//! never reaches a kernel. Where the body becomes a node the operand is put in as the number it is in that mode, and with it
//! goes the branch that is not taken, and what only that branch reads.

use crate::ir::expr::Pool;
use crate::ir::{Fill, NodeId, Op, Scalar, ScalarFn};
use crate::lower::network::Network;
use crate::lower::network::response::monomial::FIRST_FREE;
use crate::lower::network::response::{Patch, map};
use crate::lower::values::value::Tensor;

impl Network<'_> {
    /// The map of a body over operands of which `kept` tells the argument each is, some being numbers. One that is not
    /// `whole` is of the batch, and only training reads it.
    pub(super) fn map_by_mode(
        &mut self,
        body: &ScalarFn,
        operands: &[&Tensor],
        kept: &[u32],
        whole: bool,
        patch: &Patch,
    ) -> Tensor {
        let numbers: Vec<Option<[f64; 2]>> = operands.iter().map(|it| self.numbers(it)).collect();
        if numbers.iter().all(Option::is_none) {
            return self.node(map(body.clone()), operands, patch.span);
        }
        let origin = self.origin(patch.span);
        let mut of_mode = |mode: usize| {
            let body = ScalarFn::build(body.arity, |pool, inputs| {
                let number = |at: usize, pool: &mut Pool| numbers[at].map(|it| pool.constant(it[mode]));
                let args: Vec<Scalar> =
                    inputs.iter().enumerate().map(|(at, &input)| number(at, pool).unwrap_or(input)).collect();
                pool.inline(body, &args)[0]
            });
            let body = body.simplify();
            let used = body.used_inputs();
            // The extents of a whole one are the convolution's, which always stays; another's are those of all it may need.
            let needed = |at: usize| !whole || kept[at] < FIRST_FREE || used.contains(&(at as u32));
            let stay: Vec<usize> = (0..operands.len()).filter(|&at| numbers[at].is_none() && needed(at)).collect();
            let body = ScalarFn::build(stay.len() as u32, |pool, inputs| {
                let place = |at: usize| stay.iter().position(|it| *it == at);
                let gone = pool.constant(0.0);
                let args: Vec<Scalar> =
                    (0..operands.len()).map(|at| place(at).map_or(gone, |place| inputs[place])).collect();
                pool.inline(&body, &args)[0]
            });
            let node = |at: &usize| if mode == 0 { operands[*at].train } else { operands[*at].evaluate };
            let nodes: Vec<NodeId> = stay.iter().map(node).collect();
            self.graph.add(map(body), &nodes, origin).0
        };
        let train = of_mode(0);
        Tensor { train, evaluate: if whole { of_mode(1) } else { train }, owner: None }
    }

    /// What a tensor is in training and in evaluation, if it is a number in both.
    fn numbers(&self, tensor: &Tensor) -> Option<[f64; 2]> {
        let number = |id: NodeId| match self.graph.op(id) {
            Op::Const { fill: Fill::Value(value), .. } => Some(value.0),
            _ => None,
        };
        Some([number(tensor.train)?, number(tensor.evaluate)?])
    }
}
