//! What an operator does in training and not in evaluation: `if training { .. } else { .. }`, and the batch's own mean.
//!
//! Whether the model is trained is one more operand of the operator's body: the number 1 in training, 0 in evaluation. It
//! never reaches a kernel. Where the body becomes a node the operand is put in as the number it is in that mode, and with it
//! goes the branch that is not taken, and what only that branch reads.

use super::monomial::FIRST_FREE;
use super::{Patch, map};
use crate::ir::expr::Pool;
use crate::ir::op::Scalar64;
use crate::ir::{Binary, Fill, NodeId, Op, Reduction, Scalar, ScalarFn, Shape};
use crate::lower::Lowering;
use crate::lower::signature;
use crate::lower::value::{Tensor, Value};
use crate::syntax::ast;

impl Lowering<'_> {
    /// Whether the mode is this one: 1 or 0.
    pub(in crate::lower) fn trains(&mut self, wanted: bool) -> Value {
        match (self.training(), &mut self.pool) {
            (Value::Scalar(flag), Some(pool)) if !wanted => {
                let zero = pool.constant(0.0);
                Value::Scalar(pool.binary(Binary::Eq, flag, zero))
            }
            (flag, _) => flag,
        }
    }

    /// 1 in training, 0 in evaluation.
    fn training(&mut self) -> Value {
        if let Some(told) = self.without_a_layer("asks whether the model is trained", self.model_span) {
            return told;
        }
        let Some(building) = &mut self.building else { return self.lost(self.model_span) };
        if let Some(known) = &building.training {
            return known.clone();
        }
        let value = match building.patch.as_ref().map(|it| it.span) {
            Some(span) => {
                let origin = self.origin(span);
                let mut number = |value: f64| {
                    let fill = Fill::Value(Scalar64(value));
                    self.graph.add(Op::Const { fill, shape: Shape::scalar() }, &[], origin).0
                };
                let (train, evaluate) = (number(1.0), number(0.0));
                self.extra(Tensor { train, evaluate, owner: None })
            }
            None => {
                if let Some(trace) = &mut self.trace {
                    trace.training();
                }
                self.studied_quantity()
            }
        };
        if let Some(building) = &mut self.building {
            building.training = Some(value.clone());
        }
        value
    }

    /// `mean(x_norm)`: over batch and positions, and with a gradient. The resolver lets it stand in training only.
    pub(in crate::lower) fn batch_mean(&mut self, call: &ast::Call) -> Value {
        if let Some(told) = self.without_a_layer("takes the mean of a batch", call.span) {
            return told;
        }
        let args = self.arguments(&signature::batch_mean(), call);
        let Some((of, span)) = args.get("of").cloned().filter(|_| !args.wrong()) else { return self.lost(call.span) };
        let Some(body) = self.over_the_batch(of, span, "a mean", "mean(x_norm)") else { return self.lost(call.span) };
        let Some(building) = &self.building else { return self.lost(call.span) };
        let Some(patch) = building.patch.clone() else {
            if let Some(trace) = &mut self.trace {
                trace.batch_mean(&body);
            }
            return self.studied_quantity();
        };
        let extra = building.extra.clone();
        let mean = self.statistic(Reduction::Mean, &body, &extra, &patch);
        self.extra(mean)
    }

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
