//! Lists: one of numbers beside a tensor is a number for each entry of the last axis, as in
//! `(image - [125.3, 123.0, 113.9]) / [63.0, 62.1, 66.7]`; and one is taken apart by `a, b = ...`.

use super::Lowering;
use super::value::{Tensor, Value, range_len};
use crate::diag::{Code, Diagnostic, Span};
use crate::ir::{Fill, Op, Shape, op::Scalar64};
use crate::syntax::ast;

/// The numbers of a list of some.
pub(super) fn numbers(value: &Value) -> Option<Vec<f64>> {
    match value {
        Value::List(items) if !items.is_empty() => items.iter().map(Value::number).collect(),
        _ => None,
    }
}

impl Lowering<'_> {
    /// The arguments of one operation, lists among them as constant tensors where there is a tensor beside them. What is
    /// no list of numbers stays, for a message of its own; `Err` is a mistake that is reported.
    pub(super) fn beside_tensors(&mut self, args: &[Value], span: Span) -> Result<Vec<Value>, Value> {
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

    /// `a, b = split(x, 2)`: each name is the value in its place, new or of an enclosing scope.
    pub(super) fn unpack(&mut self, names: &[ast::Ident], value: &ast::Expr) {
        let found = self.expr(value);
        let count = match found {
            Value::Range(low, high) => range_len(low, high),
            Value::List(ref items) => items.len() as u64,
            _ => names.len() as u64,
        };
        let values = match found {
            Value::List(items) => items,
            Value::Range(low, _) => (low..).take(names.len()).map(Value::Int).collect(),
            Value::Error(told) => vec![Value::Error(told); names.len()],
            other => {
                let report =
                    Diagnostic::new(Code::E0104, value.span, format!("this is {}, not a list", other.describe()))
                        .label(format!("{} names take a list of as many values", names.len()));
                vec![self.fail(report); names.len()]
            }
        };
        let values = if count == names.len() as u64 {
            values
        } else {
            let (found, wanted) = (count, names.len());
            let report = self
                .at(Code::E0104, value.span, format!("{wanted} names take a list of {found}"))
                .label(format!("has {found} value{}", if found == 1 { "" } else { "s" }));
            vec![self.fail(report); wanted]
        };
        for (name, value) in names.iter().zip(values) {
            self.assign(&name.name, value);
        }
    }

    /// A list without a tensor beside it is no number.
    pub(super) fn list_advice(report: Diagnostic, args: &[Value]) -> Diagnostic {
        let list = |it: &Value| matches!(it, Value::List(items) if items.iter().all(|it| it.number().is_some()));
        if args.iter().any(list) && args.iter().any(|it| matches!(it, Value::Scalar(_))) {
            report.help("inside of a `fn` or an operator all are single numbers: use the list where the tensor is")
        } else {
            report
        }
    }
}
