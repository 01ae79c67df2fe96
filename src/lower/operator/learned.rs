//! What an operator keeps between steps: learned numbers and running statistics.
//!
//! A statistic (`stat mu = mean(x_norm, decay: d)`) starts at 1 unless told otherwise. In training it is
//! first moved by this batch, then used, as a number without a derivative; evaluation uses it as it stands. What the
//! batch's own mean is, with its derivative, `mean(x_norm)` says ([`super::modes`]).

use super::Patch;
use super::monomial::{COS, FIRST_FREE, GEOMETRY, W_NORM, X_NORM};
use crate::diag::{Code, Diagnostic, Span};
use crate::ir::{Init, Op, ParamRole, Reduction, ScalarFn, Shape, op::Scalar64};
use crate::lower::Lowering;
use crate::lower::blocks::{rate, towards};
use crate::lower::signature;
use crate::lower::value::{Tensor, Ty, Value};
use crate::syntax::ast::{self, ExprKind};

impl Lowering<'_> {
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
    pub(super) fn over_the_batch(&mut self, of: Value, span: Span, what: &str, example: &str) -> Option<ScalarFn> {
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

    /// Mean or maximum over batch and positions: one for each filter if the filters differ in it, else one.
    pub(super) fn statistic(&mut self, kind: Reduction, body: &ScalarFn, extra: &[Tensor], patch: &Patch) -> Tensor {
        let span = patch.span;
        let by_filter = body.used_inputs().iter().any(|&it| match it {
            COS | W_NORM => true,
            X_NORM => false,
            _ => extra.get((it - FIRST_FREE) as usize).is_some_and(|it| !self.dims(it).is_empty()),
        });
        let mut numbers = self.respond(body, extra, patch, false);
        if let [_, _, _, last] = self.dims(&numbers)[..] {
            // Groups have norms of their own.
            let axes = if by_filter || last == 1 { vec![0, 1, 2] } else { vec![0, 1, 2, 3] };
            numbers = self.node(Op::Reduce { kind, axes }, &[&numbers], span);
        }
        let shape = if by_filter { Shape::from([patch.filters]) } else { Shape::scalar() };
        self.node(Op::Reshape(shape), &[&numbers], span)
    }
}
