//! Axes by name, and reductions over them. Reduced axes stay, with an extent of 1, so that the result meets what it was
//! made of without more words.

use crate::diag::{Code, Span};
use crate::ir::{Op, Reduction, ScalarFn, Shape, Unary, size};
use crate::lower::Lowering;
use crate::lower::signature;
use crate::lower::value::{Tensor, Value};
use crate::syntax::ast;

/// Names of axes; others are numbers that do not count the batch.
pub(in crate::lower) const AXES: &[&str] = &["batch", "channels", "positions", "height", "width"];

/// What can be taken over axes.
pub const REDUCTIONS: &[&str] = &["sum", "mean", "variance", "count", "max", "min"];

/// Whether a call reduces: `max` and `min` do when they say over what.
pub(in crate::lower) fn is_reduction(call: &ast::Call) -> bool {
    let over = || call.args.iter().any(|it| it.name.as_ref().is_some_and(|it| it.name == "over"));
    match call.callee.name.as_str() {
        "max" | "min" => over(),
        name => REDUCTIONS.contains(&name),
    }
}

fn map(body: ScalarFn) -> Op {
    Op::Map { body, int: false }
}

impl Lowering<'_> {
    /// `mean(x, over: [batch, positions])`.
    pub(in crate::lower) fn reduction(&mut self, call: &ast::Call) -> Value {
        let Some(signature) = signature::reduction(&call.callee.name) else { return self.lost(call.span) };
        // That it has no place among single numbers was said.
        if self.pool.is_some() {
            return self.lost(call.span);
        }
        let args = self.arguments(&signature, call);
        if args.wrong() {
            return self.lost(call.span);
        }
        let Some((Value::Tensor(x), _)) = args.get("x").cloned() else { return self.lost(call.span) };
        let batch = usize::from(self.has_batch(&x));
        let Some(dims) = self.graph.fact(x.train).shape().map(|it| it.dims().to_vec()) else {
            return self.lost(call.span);
        };
        let axes = match args.get("over").cloned() {
            Some((over, span)) => self.axes(&x, &over, span),
            None => Some((batch..dims.len()).collect()),
        };
        let Some(axes) = axes else { return self.lost(call.span) };
        let count = size::product(&axes.iter().map(|it| dims[*it]).collect::<Vec<_>>());
        let place = self.users_place(call.span);
        let value = match call.callee.name.as_str() {
            "count" => Value::Int(count as i64),
            "sum" => Value::Tensor(self.reduced(Reduction::Sum, &axes, &x, place)),
            "mean" => Value::Tensor(self.reduced(Reduction::Mean, &axes, &x, place)),
            "variance" => Value::Tensor(self.reduced(Reduction::Variance, &axes, &x, place)),
            "max" => Value::Tensor(self.reduced(Reduction::Max, &axes, &x, place)),
            "min" => {
                let negative = || map(ScalarFn::build(1, |pool, it| pool.unary(Unary::Neg, it[0])));
                let turned = self.node(negative(), &[&x], place);
                let most = self.reduced(Reduction::Max, &axes, &turned, place);
                Value::Tensor(self.node(negative(), &[&most], place))
            }
            other => unreachable!("`{other}` is not among the reductions"),
        };
        match value {
            // Of all there is, one number is left.
            Value::Tensor(it) if args.get("over").is_none() && batch != dims.len() => {
                let whole = Op::Reshape(Shape(dims[..batch].to_vec()));
                Value::Tensor(self.node(whole, &[&it], place))
            }
            other => other,
        }
    }

    fn reduced(&mut self, kind: Reduction, axes: &[usize], x: &Tensor, span: Span) -> Tensor {
        // Of one number each the variance is 0; all else is that number.
        if axes.is_empty() && kind != Reduction::Variance {
            return Tensor { owner: None, ..x.clone() };
        }
        self.node(Op::Reduce { kind, axes: axes.to_vec() }, &[x], span)
    }

    /// The axes that words and numbers stand for, ascending, the batch counted.
    pub(super) fn axes(&mut self, x: &Tensor, over: &Value, span: Span) -> Option<Vec<usize>> {
        let rank = self.graph.fact(x.train).shape()?.rank();
        let batch = usize::from(self.has_batch(x));
        let rest = rank - batch;
        let words = match over {
            Value::List(items) => items.clone(),
            one => vec![one.clone()],
        };
        let mut axes = Vec::new();
        for word in words {
            let found: Option<Vec<usize>> = match &word {
                Value::Str(it) => match it.as_str() {
                    "batch" => (batch == 1).then(|| vec![0]),
                    "channels" => (1 <= rest).then(|| vec![rank - 1]),
                    "positions" => (1 <= rest).then(|| (batch..rank - 1).collect()),
                    "height" => (rest == 3).then(|| vec![batch]),
                    "width" => (rest == 3).then(|| vec![batch + 1]),
                    _ => None,
                },
                Value::Int(it) => usize::try_from(*it).ok().filter(|it| *it < rest).map(|it| vec![it + batch]),
                _ => None,
            };
            let Some(found) = found else {
                let dims = self.dims(x);
                let shape: Vec<String> = dims[batch..].iter().map(usize::to_string).collect();
                let report = self
                    .at(Code::E0303, span, format!("a tensor of [{}] has no axis `{word}`", shape.join(", ")))
                    .label("nothing to reduce over")
                    .note("`height` and `width` are those of [height, width, channels]; numbers count from 0, without the batch")
                    .note(if batch == 1 { "it carries the batch" } else { "it carries no batch: it is made of what is learned or kept" });
                self.report(report);
                return None;
            };
            axes.extend(found);
        }
        axes.sort_unstable();
        axes.dedup();
        Some(axes)
    }
}
