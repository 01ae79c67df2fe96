//! Lists: one of numbers beside a tensor is a number for each entry of the last axis, as in
//! `(image - [125.3, 123.0, 113.9]) / [63.0, 62.1, 66.7]`.

use crate::diag::{Code, Diagnostic, Span};
use crate::ir::op::Scalar64;
use crate::ir::{Fill, Op, Shape};
use crate::lower::network::Network;
use crate::lower::values::value::{Tensor, Value};

/// The numbers of a list of some.
pub(in crate::lower) fn numbers(value: &Value) -> Option<Vec<f64>> {
    match value {
        Value::List(items) if !items.is_empty() => items.iter().map(Value::number).collect(),
        _ => None,
    }
}

/// A list without a tensor beside it is no number.
pub(in crate::lower) fn list_advice(report: Diagnostic, args: &[Value]) -> Diagnostic {
    let list = |it: &Value| matches!(it, Value::List(items) if items.iter().all(|it| it.number().is_some()));
    if args.iter().any(list) && args.iter().any(|it| matches!(it, Value::Scalar(_))) {
        report.help("inside of a `fn` or an operator all are single numbers: use the list where the tensor is")
    } else {
        report
    }
}

impl Network<'_> {
    /// The arguments of one operation, lists among them as constant tensors where there is a tensor beside them. What is
    /// no list of numbers stays, for a message of its own; `Err` is a mistake that is reported.
    pub(in crate::lower) fn beside_tensors(&mut self, args: &[Value], span: Span) -> Result<Vec<Value>, Value> {
        let tensors: Vec<Tensor> =
            args.iter().filter_map(|it| if let Value::Tensor(it) = it { Some(it.clone()) } else { None }).collect();
        let mut all = Vec::with_capacity(args.len());
        for arg in args {
            all.push(match (tensors.first(), numbers(arg)) {
                (Some(_), Some(numbers)) => self.listed(&numbers, &tensors, span)?,
                (Some(_), None) | (None, _) => arg.clone(),
            });
        }
        Ok(all)
    }

    /// The constant of a list that fits the last axis of each tensor beside it.
    fn listed(&mut self, numbers: &[f64], tensors: &[Tensor], span: Span) -> Result<Value, Value> {
        for tensor in tensors {
            let last = self.graph.fact(tensor.train).shape().and_then(|it| it.dims().last().copied());
            if let Some(last) = last.filter(|it| *it != numbers.len()) {
                let count = |it: usize, what: &str| format!("{it} {what}{}", if it == 1 { "" } else { "s" });
                let (given, wanted) = (count(numbers.len(), "number"), count(last, "channel"));
                let report = self
                    .at(Code::E0302, span, format!("a list of {given} meets a tensor of {wanted}"))
                    .label(format!("one number for each channel, the last axis: {last} here"));
                let report = match last {
                    1 => report.help("write a number in place of the list, or make the images fit: `channels(3)`"),
                    _ => report.help("a number in place of the list is the same for all channels"),
                };
                return Err(self.fail(report));
            }
        }
        let fill = Fill::List(numbers.iter().map(|it| Scalar64(*it)).collect());
        let shape = Shape::from([numbers.len()]);
        Ok(Value::Tensor(self.node(Op::Const { fill, shape }, &[], span)))
    }
}
