//! Optimizers: from the text of one to the scalar function that moves every number of every parameter.
//!
//! ```text
//! optimizer sgd(rate: float, momentum: float = 0) {
//!     keep velocity = 0
//!     velocity = momentum * velocity + gradient
//!     value - rate * velocity
//! }
//! ```
//!
//! `value` and `gradient` are a number of a parameter and its slope; `rate` is the scheduled one, `step` the updates done.
//! What a `keep` is at the end of the body is kept; the body's value is the parameter's new one.

use crate::diag::{Code, Diagnostic, Span};
use crate::ir::{Scalar, Taken};
use crate::lower::scalar::lift::to_scalar;
use crate::lower::unfold::Unfold;
use crate::lower::unfold::scopes::Scope;
use crate::lower::values::value::{Ty, Value};
use crate::lower::values::{signature, types};
use crate::syntax::ast;

/// An optimizer's body under construction.
#[derive(Debug)]
pub(in crate::lower) struct Update {
    /// Names and start values of what it keeps, with their places.
    pub(in crate::lower) keeps: Vec<(String, f64, Span)>,
    /// What is taken of whole tensors, with its operands and place.
    pub(in crate::lower) taken: Vec<(Taken, Vec<Scalar>, Span)>,
}

/// The first argument that stands for what is taken of whole tensors, while it is not known how many are kept.
pub(in crate::lower) const FIRST_TAKEN: u32 = 1 << 16;

/// Functions of whole tensors in an optimizer.
pub(super) const WHOLE: &[&str] = &["sum", "product"];

/// `adam(rate: 0.001, beta1: 0.9, ...)`: with all its numbers, and its rate as it is written where that is none. Tensors are
/// not what it is given, but what it is given of.
pub(in crate::lower) fn describe(def: &ast::Function, scope: &Scope, rate: &str) -> String {
    let shown = |value: &Value| match value {
        Value::Float(it) => types::shortest(*it),
        Value::Scalar(_) => rate.split_whitespace().collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    };
    let list: Vec<String> = (def.params.iter())
        .filter_map(|it| Some((&it.name.name, scope.get(&it.name.name)?)))
        .filter(|it| !matches!(it.1, Value::Tensor(_)))
        .map(|(name, value)| format!("{name}: {}", shown(value)))
        .collect();
    format!("{}({})", def.name.name, list.join(", "))
}

impl Unfold<'_> {
    /// `sum(value ^ 2)`, `product(a, b)`: what is taken of whole tensors.
    pub(super) fn taken_for_update(&mut self, call: &ast::Call) -> Value {
        let Some(signature) = signature::whole(&call.callee.name) else { return self.lost(call.span) };
        let args = self.arguments(&signature, call);
        if args.wrong() {
            return self.lost(call.span);
        }
        let taken = match call.callee.name.as_str() {
            "sum" => Taken::Sum,
            "product" => {
                let transpose = matches!(args.get("transpose"), Some((Value::Bool(true), _)));
                Taken::Product { transpose }
            }
            other => unreachable!("`{other}` does not take whole parameters"),
        };
        let mut operands = Vec::new();
        for name in &["x", "y"][..taken.operands()] {
            let Some((of, span)) = args.get(name).cloned() else { return self.lost(call.span) };
            match self.pool.as_mut().and_then(|it| to_scalar(it, &of)) {
                Some(it) => operands.push(it),
                None => {
                    let message = format!("`{}` does not work on {}", call.callee.name, of.describe());
                    return self.fail(Diagnostic::new(Code::E0104, span, message).label("expected a number"));
                }
            }
        }
        match (&mut self.update, &mut self.scalars.pool) {
            (Some(update), Some(pool)) => {
                update.taken.push((taken, operands, call.span));
                Value::Scalar(pool.input(FIRST_TAKEN + update.taken.len() as u32 - 1))
            }
            _ => self.lost(call.span),
        }
    }

    /// `keep velocity = 0`: a number beside each one of each parameter.
    pub(super) fn keep_for_update(&mut self, name: &ast::Ident, init: &ast::Expr) {
        let start = self.expr(init);
        let start = self.coerce(start, &Ty::Float, init.span, &format!("the start of `{}`", name.name), None);
        let value = match (start, &mut self.update, &mut self.scalars.pool) {
            (Value::Float(start), Some(update), Some(pool)) => {
                if let Some((_, _, first)) = update.keeps.iter().find(|it| it.0 == name.name) {
                    let report = Diagnostic::new(Code::E0103, name.span, format!("`{}` is kept twice", name.name))
                        .label("again here")
                        .also(*first, "first here");
                    self.report(report);
                    return;
                }
                update.keeps.push((name.name.clone(), start, name.span));
                Value::Scalar(pool.input(3 + update.keeps.len() as u32))
            }
            _ => self.lost(init.span),
        };
        // It lives as long as the body, also where it is kept under a condition.
        self.scopes.bind_for_all(&name.name, value);
    }
}
