//! What an operator keeps between steps: learned numbers and running statistics.
//!
//! A statistic (`stat mu = mean(x_norm, decay: d)`) starts at 1 unless told otherwise. In training it is
//! first moved by this batch, then used, as a number without a derivative; evaluation uses it as it stands. What the
//! batch's own mean is, with its derivative, `mean(x_norm)` says ([`Unfold::batch_mean`]).

use crate::diag::{Code, Diagnostic, Span};
use crate::ir::op::Scalar64;
use crate::ir::{Init, ParamRole, Reduction, ScalarFn, Shape};
use crate::lower::network::moves::{rate, towards};
use crate::lower::network::response::monomial::GEOMETRY;
use crate::lower::unfold::Unfold;
use crate::lower::values::signature;
use crate::lower::values::value::{Tensor, Ty, Value};
use crate::syntax::ast::{self, ExprKind};

impl Unfold<'_> {
    /// `learn k: filter = 0.7`.
    pub(in crate::lower) fn learn(&mut self, name: &ast::Ident, scope: &ast::Ident, init: &ast::Expr) -> Value {
        let value = self.expr(init);
        let value = self.coerce(value, &Ty::Float, init.span, &format!("the start of `{}`", name.name), None);
        let Value::Float(start) = value else { return self.lost(init.span) };
        if let Some(told) = self.without_a_layer("learns a number", name.span) {
            return told;
        }
        let Some(building) = &self.building else { return self.lost(name.span) };
        if let Some(known) = building.known(&name.name) {
            return known;
        }
        let kept = building.count();
        if !self.may_keep(kept, name.span) {
            return self.lost(name.span);
        }
        let Some(building) = &self.building else { return self.lost(name.span) };
        let Some(patch) = &building.patch else {
            if let Some(trace) = &mut self.trace {
                trace.learned(&name.name, start);
            }
            let value = self.studied_quantity();
            return self.remember(&name.name, value);
        };
        let shape = if scope.name == "layer" { Shape::scalar() } else { Shape::from([patch.filters]) };
        let (operator, span) = (building.name.clone(), patch.span);
        let (layer, key) = self.place(&name.name);
        let init = Init::Constant(Scalar64(start));
        let param = self.param(&layer, &key, shape, init, ParamRole::Learned, &operator, span);
        self.keep(&name.name, param)
    }

    /// `stat mu = mean(x_norm, decay: 0.999)`.
    pub(in crate::lower) fn stat(&mut self, name: &ast::Ident, value: &ast::Expr) -> Value {
        let ExprKind::Call(call) = &value.kind else { return self.lost(value.span) };
        if let Some(told) = self.without_a_layer("keeps a statistic", name.span) {
            return told;
        }
        let Some(signature) = signature::statistic(&call.callee.name) else { return self.lost(call.span) };
        let args = self.arguments(&signature, call);
        let decay = self.float(&args, "decay", 0.999, |it| (0.0..=1.0).contains(&it), "between 0 and 1");
        let start = self.float(&args, "start", 1.0, f64::is_finite, "a number");
        let (false, Some(decay), Some(start)) = (args.wrong(), decay, start) else {
            return self.lost(call.span);
        };
        let Some((of, span)) = args.get("of").cloned() else { return self.lost(call.span) };
        let Some(body) = self.over_the_batch(of, span, "a statistic", "stat mu = mean(x_norm)") else {
            return self.lost(span);
        };
        let Some(building) = &self.building else { return self.lost(span) };
        if let Some(known) = building.known(&name.name) {
            return known;
        }
        let kept = building.count();
        if !self.may_keep(kept, name.span) {
            return self.lost(name.span);
        }
        let Some(building) = &self.building else { return self.lost(name.span) };
        let Some(patch) = building.patch.clone() else {
            if let Some(trace) = &mut self.trace {
                trace.measured(&name.name, &body, start);
            }
            let value = self.studied_quantity();
            return self.remember(&name.name, value);
        };
        let kind = if call.callee.name == "max" { Reduction::Max } else { Reduction::Mean };
        let extra = building.extra.clone();
        let batch = self.statistic(kind, &body, &extra, &patch);
        let shape = self.graph.fact(batch.train).shape().cloned().unwrap_or(Shape::scalar());
        let (layer, key) = self.place(&name.name);
        let (id, state) = self.state(&layer, &key, shape, start, patch.span);
        let next = self.node(towards(rate(decay)), &[&state, &batch], patch.span);
        self.state_moves(id, &next, patch.span);
        // `towards` stops the gradient, and a state has none.
        self.keep(&name.name, Tensor { train: next.train, evaluate: state.evaluate, owner: None })
    }

    /// What is taken over the batch, as a function of the operator's operands so far; `None` after a mistake.
    fn over_the_batch(&mut self, of: Value, span: Span, what: &str, example: &str) -> Option<ScalarFn> {
        let of = self.response(of);
        let pool = self.pool.as_ref()?;
        let body = match of {
            Value::Error(_) => return None,
            Value::Scalar(root) => pool.finish(self.arguments_so_far(), &[root]),
            _ => ScalarFn::build(0, |pool, _| pool.constant(0.0)),
        };
        let body = body.simplify_with(GEOMETRY);
        if body.used_inputs().is_empty() {
            self.report(
                Diagnostic::new(Code::E0104, span, format!("{what} of what never changes: {}", of.describe()))
                    .label("expected a number that differs between patches")
                    .help(format!("write for example `{example}`")),
            );
            return None;
        }
        Some(body)
    }

    /// `mean(x_norm)`: over batch and positions, and with a gradient. The resolver lets it stand in training only.
    pub(super) fn batch_mean(&mut self, call: &ast::Call) -> Value {
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
}
