//! Axes by name, and reductions over them. Reduced axes stay, with an extent of 1, so that the result meets what it was
//! made of without more words.

use crate::diag::{Code, Span};
use crate::ir::{Op, Reduction, ScalarFn};
use crate::lower::network::Network;
use crate::lower::values::value::{Tensor, Value};

pub(in crate::lower) fn map(body: ScalarFn) -> Op {
    Op::Map { body, int: false }
}

impl Network<'_> {
    pub(in crate::lower) fn reduced(&mut self, kind: Reduction, axes: &[usize], x: &Tensor, span: Span) -> Tensor {
        // Of one number each the variance is 0; all else is that number.
        if axes.is_empty() && kind != Reduction::Variance {
            return Tensor { owner: None, ..x.clone() };
        }
        self.node(Op::Reduce { kind, axes: axes.to_vec() }, &[x], span)
    }

    /// The axes that words and numbers stand for, ascending, the batch counted.
    pub(in crate::lower) fn axes(&mut self, x: &Tensor, over: &Value, span: Span) -> Option<Vec<usize>> {
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
