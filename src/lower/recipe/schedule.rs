//! Rates over time: from an expression of schedules to a function of the updates done.
//!
//! ```text
//! schedule warmup(steps: int) = min((step + 1) / steps, 1)
//! train {
//!     optimizer sgd(rate: 0.1)
//!     schedule  warmup(500) * cosine(floor: 0.01)
//! }
//! ```
//!
//! `step` counts the updates done, `iterations` those of the whole run. Either one `schedule` multiplies the rates of all
//! optimizers, or each rate is such an expression itself.

use crate::diag::{Code, Diagnostic, Span};
use crate::ir::expr::Pool;
use crate::ir::{Binary, ExprNode, Scalar, ScalarFn};
use crate::lower::recipe::Recipe;
use crate::lower::report::idle::is_written;
use crate::lower::scalar::lift::to_scalar;
use crate::lower::unfold::schedule::steps;
use crate::lower::values::types;
use crate::lower::values::value::Value;
use crate::syntax::ast::{self, ExprKind, Part};

/// At how many steps of a run a rate is looked at.
pub(super) const LOOKS: u64 = 64;

/// A rate that is 0 wherever it is looked at is looked at so many times more.
const EVERY_STEP: u64 = 100_000;

/// The schedule of a recipe.
#[derive(Clone, Debug)]
pub(super) struct Factor {
    pub(in crate::lower) span: Span,
    pub(in crate::lower) text: String,
    /// Of the updates done.
    pub(in crate::lower) body: ScalarFn,
}

/// Numbers that the updates done are waited for.
fn places(body: &ScalarFn) -> impl Iterator<Item = f64> + '_ {
    body.nodes.iter().filter_map(|it| match it {
        ExprNode::Binary(Binary::Le, place, step) => {
            match (body.nodes.get(place.0 as usize), body.nodes.get(step.0 as usize)) {
                (Some(ExprNode::Const(place)), Some(ExprNode::Input(_))) => Some(place.0),
                _ => None,
            }
        }
        _ => None,
    })
}

/// A rise that ends at a number, as `min((step + 1) / 500, 1)`, but not by the last step: the number, and where it is then.
fn unfinished_rise(body: &ScalarFn, last: u64) -> Option<(f64, f64)> {
    let (first, last) = (body.eval_nodes(&[0.0]), body.eval_nodes(&[last as f64]));
    body.nodes.iter().find_map(|it| {
        let ExprNode::Binary(Binary::Min, a, b) = it else { return None };
        let of = |at: Scalar| (body.nodes.get(at.0 as usize), at.0 as usize);
        let (top, rise) = match (of(*a), of(*b)) {
            ((Some(ExprNode::Const(top)), _), (_, rise)) | ((_, rise), (Some(ExprNode::Const(top)), _)) => {
                (top.0, rise)
            }
            _ => return None,
        };
        let (start, end) = (*first.get(rise)?, *last.get(rise)?);
        (start < end && end < top).then_some((top, end))
    })
}

/// `rate * factor`; a rate that changes by steps is a choice between numbers, each the product of both.
fn scaled(pool: &mut Pool, rate: f64, factor: Scalar) -> Scalar {
    let mut choices = Vec::new();
    let mut rest = factor;
    while let ExprNode::Select(cond, a, b) = pool.get(rest)
        && let Some(number) = pool.as_const(a)
    {
        choices.push((cond, number));
        rest = b;
    }
    let mut product = match pool.as_const(rest) {
        Some(number) => pool.constant(rate * number),
        None => {
            let rate = pool.constant(rate);
            pool.mul(rate, rest)
        }
    };
    for (cond, number) in choices.into_iter().rev() {
        let number = pool.constant(rate * number);
        product = pool.select(cond, number, product);
    }
    product
}

impl Recipe<'_> {
    /// The `schedule` of the recipe.
    pub(super) fn factor(&mut self, entry: &ast::TrainEntry, iterations: Option<u64>) -> Option<Factor> {
        let expr = entry.values.first()?;
        let outer = self.pool.replace(steps());
        let value = self.over_steps(expr, iterations);
        let pool = std::mem::replace(&mut self.pool, outer);
        let mut pool = pool?;
        let root = match value {
            Value::Scalar(it) => it,
            Value::Int(_) | Value::Float(_) if !matches!(expr.kind, ExprKind::Int(_) | ExprKind::Float(_)) => {
                to_scalar(&mut pool, &value)?
            }
            Value::Error(_) => return None,
            other => {
                let list: Vec<String> =
                    self.items.definitions(Part::Schedule).iter().map(|it| format!("`{}`", it.0.name.name)).collect();
                self.report(
                    Diagnostic::new(Code::E0203, expr.span, format!("the schedule is {}", other.describe()))
                        .label("expected a schedule, or a product of them")
                        .note(format!("schedules: {}", list.join(", ")))
                        .help("write for example `schedule warmup(500) * cosine`"),
                );
                return None;
            }
        };
        let text = self.sources.slice(expr.span).split_whitespace().collect::<Vec<_>>().join(" ");
        Some(Factor { span: entry.span, text, body: pool.finish(1, &[root]) })
    }

    /// A rate as a function of the updates done, which must never lead uphill.
    pub(super) fn rate_over_time(
        &mut self,
        (rate, pool): (&Value, &Pool),
        factor: Option<&Factor>,
        iterations: Option<u64>,
        (name, span): (&str, Span),
    ) -> Option<ScalarFn> {
        let mut pool = pool.clone();
        let rate = match rate {
            Value::Scalar(it) => *it,
            other => to_scalar(&mut pool, other)?,
        };
        let root = match (pool.as_const(rate), factor) {
            (Some(number), _) if !(0.0 < number && number.is_finite()) => {
                self.out_of_range(span, &format!("`rate` of `{name}`"), &number.to_string(), "above 0");
                return None;
            }
            (Some(number), Some(factor)) => {
                let root = *pool.inline(&factor.body, &[Scalar(0)]).first()?;
                scaled(&mut pool, number, root)
            }
            (None, Some(factor)) => {
                let report =
                    Diagnostic::new(Code::E0103, factor.span, format!("the rate of `{name}` has a schedule already"))
                        .label("multiplies the rates of all optimizers")
                        .also(span, "this rate changes by itself")
                        .help("keep one of them: all rates say how they change, or one `schedule` says it for all");
                self.report(report);
                return None;
            }
            (_, None) => rate,
        };
        let body = pool.finish(1, &[root]);
        let last = iterations.unwrap_or(1).saturating_sub(1);
        let mut moves = false;
        let steps =
            (0..=LOOKS).map(|it| (last as f64 / LOOKS as f64 * it as f64).floor()).chain([1f64.min(last as f64)]);
        for step in steps {
            let value = body.eval(&[step]).first().copied().unwrap_or(f64::NAN);
            if !(0.0 <= value && value.is_finite()) {
                let (what, place) = match factor {
                    Some(it) => (format!("with this schedule the rate of `{name}` at step {step}"), it.span),
                    None => (format!("the rate of `{name}` at step {step}"), span),
                };
                self.out_of_range(place, &what, &types::shortest(value), "a finite number of at least 0");
                return None;
            }
            moves |= 0.0 < value;
        }
        let rests = |step: u64| body.eval(&[step as f64]).first().is_some_and(|it| *it == 0.0);
        if !moves && (0..=last.min(EVERY_STEP)).all(rests) {
            let (what, place) = match factor {
                Some(it) => (format!("with this schedule the rate of `{name}` at every step"), it.span),
                None => (format!("the rate of `{name}` at every step"), span),
            };
            self.out_of_range(place, &what, "0", "above 0 at some step");
            return None;
        }
        Some(body)
    }

    /// Changes of a rate, or of what rates are multiplied by, that come after the end of the training.
    pub(super) fn late_changes(&mut self, span: Span, body: &ScalarFn, all: u64) {
        let ends = format!("the training ends after {all} iterations");
        if let Some(late) = places(body).find(|it| all as f64 <= *it) {
            self.report(
                Diagnostic::new(Code::W0202, span, format!("the schedule's step at {late} is never reached"))
                    .label(ends)
                    .help("give places below the number of iterations"),
            );
        } else if let Some((top, reached)) = unfinished_rise(body, all.saturating_sub(1)) {
            let [top, reached] = [top, reached].map(types::shortest);
            self.report(
                Diagnostic::new(Code::W0202, span, format!("the schedule's rise to {top} is never finished"))
                    .label(ends)
                    .note(format!("it has come to {reached} by then"))
                    .help("let it rise in fewer iterations than the training has"),
            );
        }
    }

    /// What a schedule says in vain. `iterations` are those that stand in the text.
    pub(super) fn vain_schedule(&mut self, entry: &ast::TrainEntry, factor: &Factor, iterations: Option<u64>) {
        if let Some(all) = iterations {
            self.late_changes(entry.span, &factor.body, all);
        }
        let bare = matches!(entry.values.first().map(|it| &it.kind), Some(ExprKind::Name(_)));
        let arguments = factor.text.replace(|it: char| it.is_alphabetic() || "(:)*".contains(it), "");
        if !self.settings.evaluates
            && !bare
            && is_written(&arguments)
            && factor.body.simplify().as_constant() == Some(1.0)
        {
            let report = Diagnostic::new(Code::W0203, entry.span, "this schedule has no effect")
                .label("leaves the rate as it is at every step")
                .help("remove the line, or give it steps with a factor other than 1");
            self.report(report);
        }
    }
}
