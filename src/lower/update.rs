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

use super::Lowering;
use super::items::Kind;
use super::types;
use super::value::{Ty, Value};
use crate::diag::{Code, Diagnostic, Span};
use crate::ir::expr::Pool;
use crate::ir::{Optimizer, Scalar};
use crate::lower::arith::to_scalar;
use crate::lower::eval::Scope;
use crate::syntax::ast;

/// What an optimizer is given besides its parameters.
pub(super) const GIVEN: &[&str] = &["value", "gradient", "step", "iterations"];

/// An optimizer's body under construction.
#[derive(Debug)]
pub(super) struct Update {
    /// Names and start values of what it keeps, with their places.
    keeps: Vec<(String, f64, Span)>,
}

impl Lowering<'_> {
    /// The optimizer that an entry of the recipe names.
    pub(super) fn optimizer(&mut self, expr: &ast::Expr, iterations: Option<u64>) -> Option<Optimizer> {
        let (args, call) = self.choice_and_call("optimizer", expr)?;
        let items = self.items;
        let def = items.definition(Kind::Optimizer, &args.name)?;
        let signature = items.signatures(Kind::Optimizer).into_iter().find(|it| it.name == args.name)?;
        let (mut scope, wrong) = self.bound(&signature, def, &call);
        if wrong || scope.values().any(Value::is_error) || self.endless.contains(&args.name) {
            return None;
        }
        let rate = self.rate(&scope, &args.name, args.get("rate").map_or(call.span, |it| it.1))?;
        let text = describe(def, &scope);
        let mut pool = Pool::new();
        for (at, name) in ["value", "gradient", "rate", "step"].into_iter().enumerate() {
            let input = Value::Scalar(pool.input(at as u32));
            if name == "rate" || !scope.contains_key(name) {
                scope.insert(name.to_owned(), input);
            }
        }
        if let Some(all) = iterations {
            scope.entry("iterations".to_owned()).or_insert(Value::Int(all as i64));
        }
        self.calls.push(call.span);
        let outer = (self.pool.replace(pool), self.update.replace(Update { keeps: Vec::new() }));
        let floor = std::mem::replace(&mut self.floor, self.scopes.len());
        self.scopes.push(scope);
        let value = self.stmts(&def.body);
        let scope = self.scopes.pop().unwrap_or_default();
        self.floor = floor;
        let pool = std::mem::replace(&mut self.pool, outer.0);
        let update = std::mem::replace(&mut self.update, outer.1);
        let finished = match (pool, update) {
            (Some(pool), Some(update)) => self.finish_update(def, text, rate, (value, scope), (pool, update)),
            _ => None,
        };
        self.calls.pop();
        finished
    }

    fn rate(&mut self, scope: &Scope, name: &str, span: Span) -> Option<f64> {
        let rate = scope.get("rate")?.number()?;
        if 0.0 < rate && rate.is_finite() {
            return Some(rate);
        }
        self.out_of_range(span, &format!("`rate` of `{name}`"), &rate.to_string(), "above 0");
        None
    }

    fn finish_update(
        &mut self,
        def: &ast::Function,
        text: String,
        rate: f64,
        (value, scope): (Value, Scope),
        (mut pool, update): (Pool, Update),
    ) -> Option<Optimizer> {
        let mut roots: Vec<Scalar> = Vec::new();
        let results = std::iter::once((def.name.name.as_str(), &value, def.body.span));
        let keeps = update
            .keeps
            .iter()
            .map(|(name, _, span)| (name.as_str(), scope.get(name).unwrap_or(&Value::Nothing), *span));
        for (name, value, span) in results.chain(keeps) {
            match value {
                Value::Error(_) => return None,
                Value::Scalar(_) | Value::Int(_) | Value::Float(_) => roots.extend(to_scalar(&mut pool, value)),
                other => {
                    self.report(
                        Diagnostic::new(Code::E0104, span, format!("`{name}` ends as {}, not as a number", other.describe()))
                            .label("expected a number")
                            .help("the last expression of an optimizer is the parameter's new value: `value - rate * gradient`"),
                    );
                    return None;
                }
            }
        }
        let body = pool.finish(4 + update.keeps.len() as u32, &roots);
        let keeps = update.keeps.into_iter().map(|it| (it.0, it.1)).collect();
        Some(Optimizer { text, rate, keeps, body })
    }

    /// `keep velocity = 0`: a number beside each one of each parameter.
    pub(super) fn keep_for_update(&mut self, name: &ast::Ident, init: &ast::Expr) {
        let start = self.expr(init);
        let start = self.coerce(start, &Ty::Float, init.span, &format!("the start of `{}`", name.name), None);
        let value = match (start, &mut self.update, &mut self.pool) {
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
        let floor = self.floor;
        if let Some(scope) = self.scopes.get_mut(floor) {
            scope.insert(name.name.clone(), value);
        }
    }
}

/// `adam(rate: 0.001, beta1: 0.9, ...)`: with all its numbers. Tensors are not what it is given, but what it is given of.
pub(super) fn describe(def: &ast::Function, scope: &Scope) -> String {
    let shown = |value: &Value| match value {
        Value::Float(it) => types::shortest(*it),
        other => other.to_string(),
    };
    let list: Vec<String> = (def.params.iter())
        .filter_map(|it| Some((&it.name.name, scope.get(&it.name.name)?)))
        .filter(|it| !matches!(it.1, Value::Tensor(_)))
        .map(|(name, value)| format!("{name}: {}", shown(value)))
        .collect();
    format!("{}({})", def.name.name, list.join(", "))
}
