//! Expressions that are extents of shapes.

use crate::diag::{Code, Span};
use crate::lower::report::ranges::divisors;
use crate::lower::unfold::Unfold;
use crate::lower::values::value::{Ty, Value};
use crate::syntax::ast::{self, BinaryOp, ExprKind};

impl Unfold<'_> {
    pub(super) fn assert_shape(&mut self, value: Value, dims: &[ast::Expr], asserted: Span, span: Span) -> Value {
        let wanted: Vec<Option<usize>> = dims.iter().map(|it| self.extent(it)).collect();
        let value = self.coerce(value, &Ty::Tensor, span, &"a value with a shape", Some(asserted));
        let Value::Tensor(tensor) = &value else { return value };
        let Some(shape) = self.graph.fact(tensor.train).shape() else { return value };
        let Some(wanted) = wanted.into_iter().collect::<Option<Vec<usize>>>() else { return value };
        let found = shape.dims().get(1..).unwrap_or(&[]).to_vec();
        if found == wanted {
            return value;
        }
        let text = |dims: &[usize]| {
            let list: Vec<String> = dims.iter().map(usize::to_string).collect();
            format!("[{}]", list.join(", "))
        };
        let axes: &[&str] = if found.len() == 3 && wanted.len() == 3 { &["height", "width", "channels"] } else { &[] };
        let mut report = self
            .at(Code::E0303, asserted, format!("the shape is {}, not {}", text(&found), text(&wanted)))
            .label(format!("asserts {}", text(&wanted)))
            .also(span, format!("this is {}", text(&found)));
        for (at, axis) in axes.iter().enumerate() {
            if found[at] != wanted[at] {
                report = report.note(format!("{axis}: {} is asserted, {} is there", wanted[at], found[at]));
            }
        }
        self.fail(report)
    }

    pub(in crate::lower) fn extent(&mut self, expr: &ast::Expr) -> Option<usize> {
        let value = match &expr.kind {
            ExprKind::Binary(BinaryOp::Div, whole, parts) if self.source(parts).is_some() => {
                self.share(whole, parts, expr.span)
            }
            _ => self.expr(expr),
        };
        let value = self.coerce(value, &Ty::Int, expr.span, &"an extent", None);
        match value {
            Value::Int(it) => {
                let (what, span) = self.said_of(expr, "an extent");
                self.sized(it, span, &what, 1)
            }
            _ => None,
        }
    }

    /// `channels(x) / groups`, an extent, where `groups` is what a call gives.
    fn share(&mut self, whole: &ast::Expr, parts: &ast::Expr, span: Span) -> Value {
        let (a, b) = (self.expr(whole), self.expr(parts));
        let (Value::Int(all), Value::Int(count)) = (&a, &b) else { return self.binary(BinaryOp::Div, &a, &b, span) };
        let (what, place) = self.said_of(parts, "the number of parts");
        let Some(count) = self.sized(*count, place, &what, 1) else { return self.lost(place) };
        let Some(all) = usize::try_from(*all).ok().filter(|it| !it.is_multiple_of(count)) else {
            return self.binary(BinaryOp::Div, &a, &b, span);
        };
        let report = self
            .at(Code::E0108, place, format!("{what} is {count}, out of range"))
            .label(format!("does not divide `{}`, which is {all}", self.sources.slice(whole.span)))
            .help(format!("give {}", divisors(all)));
        self.fail(report)
    }

    /// Extents of what is kept: one by one, or a list of them such as `shape(x)`.
    pub(super) fn kept_extents(&mut self, dims: &[ast::Expr]) -> Option<Vec<usize>> {
        let [ast::Expr { kind: ExprKind::Call(_), .. }] = dims else { return self.extents(dims) };
        let (value, span) = (self.expr(&dims[0]), dims[0].span);
        let items = match value {
            Value::List(items) => items,
            one => vec![one],
        };
        let mut all = Vec::new();
        for item in items {
            match self.coerce(item, &Ty::Int, span, &"an extent", None) {
                Value::Int(it) => all.push(self.sized(it, span, "an extent", 1)),
                _ => all.push(None),
            }
        }
        all.into_iter().collect()
    }

    /// Extents of an input.
    pub(super) fn extents(&mut self, dims: &[ast::Expr]) -> Option<Vec<usize>> {
        let all: Vec<Option<usize>> = dims.iter().map(|it| self.extent(it)).collect();
        all.into_iter().collect()
    }
}
