//! From an operator's definition to nodes: the body becomes one scalar function of the convolution's
//! result and of the norms, and [`monomial`](super::monomial) decides which of them it needs.
//!
//! For a patch `x` and a filter `w`, with `e` = 1e-4: `s = sum x*w`, `X = sqrt(sum x*x + e)`,
//! `W = sqrt(sum w*w + e)`, `cos = s / (X W)`, `theta = acos(cos)`.
//!
//! A running statistic (`stat mu = mean(x_norm, decay: d)`) starts at 1. In training it is first moved
//! by this batch, then used, as a number without a derivative; evaluation uses it as it stands.

use super::Lowering;
use super::eval::Scope;
use super::layers::{rate, towards};
use super::monomial::{self, COS, FIRST_FREE, W_NORM, X_NORM};
use super::value::{OperatorRef, Tensor, Ty, Value};
use crate::diag::{Code, Diagnostic, Span};
use crate::ir::expr::Pool;
use crate::ir::{
    Geometry, Init, Op, ParamRole, Phase, Reduction, ScalarFn, Shape, Target, Unary, Window, infer, op::Scalar64,
};
use crate::syntax::ast::{self, ExprKind};

/// A convolution about to be made.
#[derive(Debug)]
pub(super) struct Patch<'a> {
    pub(super) x: Tensor,
    pub(super) filter: Tensor,
    pub(super) filters: usize,
    pub(super) geometry: Geometry,
    /// Path of the layer.
    pub(super) path: &'a str,
    pub(super) span: Span,
}

/// An operator's body under construction.
#[derive(Debug)]
pub(super) struct Building {
    path: String,
    filters: usize,
    name: String,
    span: Span,
    x: Tensor,
    geometry: Geometry,
    /// Operands from `FIRST_FREE` on: learnables and statistics.
    extra: Vec<Tensor>,
}

fn map(body: ScalarFn) -> Op {
    Op::Map { body, int: false }
}

fn square() -> Op {
    map(ScalarFn::build(1, |pool, it| pool.mul(it[0], it[0])))
}

impl Lowering<'_> {
    /// The result of a layer with this operator; `None` after a mistake.
    pub(super) fn operator(&mut self, operator: &OperatorRef, patch: &Patch<'_>) -> Option<Tensor> {
        let span = patch.span;
        // A convolution that does not fit is reported once, for itself.
        let plain = Op::Conv(patch.geometry);
        let facts = [self.graph.fact(patch.x.train), self.graph.fact(patch.filter.train)];
        if infer(&plain, &facts, &self.graph.params, &self.graph.states).is_err() {
            return Some(self.node(plain, &[&patch.x, &patch.filter], span));
        }
        self.calls.push(span);
        self.check_operator(operator, Some(span));
        let made = self.operator_body(operator, patch);
        self.calls.pop();
        let (body, extra) = made?;
        let form = monomial::choose(&body);

        let filter = match form.filter_power {
            0 => patch.filter.clone(),
            power => self.scaled_filter(patch, power),
        };
        let conv = self.node(plain, &[&patch.x, &filter], span);
        if form.is_plain() {
            return Some(conv);
        }
        let mut operands = vec![conv];
        let mut body = form.body;
        let used = body.used_inputs();
        let mut kept = vec![0u32];
        if used.contains(&X_NORM) {
            operands.push(self.patch_squares(&patch.x, patch.geometry, span));
            kept.push(X_NORM);
        }
        if used.contains(&W_NORM) {
            operands.push(self.filter_squares(&patch.filter, patch.filters, span));
            kept.push(W_NORM);
        }
        for (at, tensor) in extra.into_iter().enumerate() {
            let input = FIRST_FREE + at as u32;
            if used.contains(&input) {
                operands.push(tensor);
                kept.push(input);
            }
        }
        // Only what occurs stays an operand; the convolution always does, for the shape's sake.
        let mut pool = Pool::new();
        let arguments: Vec<_> = (0..body.arity)
            .map(|it| {
                let to = kept.iter().position(|kept| *kept == it).unwrap_or(0);
                pool.input(to as u32)
            })
            .collect();
        let roots = pool.inline(&body, &arguments);
        body = pool.finish(kept.len() as u32, &roots);
        let operands: Vec<&Tensor> = operands.iter().collect();
        Some(self.node(map(body), &operands, span))
    }

    /// `sum x*x` over each patch, without the epsilon: `[n, oh, ow, 1]`.
    fn patch_squares(&mut self, x: &Tensor, geometry: Geometry, span: Span) -> Tensor {
        let squares = self.node(square(), &[x], span);
        let sums = self.node(Op::Reduce { kind: Reduction::Sum, axes: vec![3] }, &[&squares], span);
        if geometry == Geometry::valid([1, 1], [1, 1]) {
            return sums;
        }
        self.node(Op::Window { kind: Window::Sum, geometry }, &[&sums], span)
    }

    /// `sum w*w` over each filter, without the epsilon: `[cout]`.
    fn filter_squares(&mut self, filter: &Tensor, filters: usize, span: Span) -> Tensor {
        let squares = self.node(square(), &[filter], span);
        let sums = self.node(Op::Reduce { kind: Reduction::Sum, axes: vec![0, 1, 2] }, &[&squares], span);
        self.node(Op::Reshape(Shape::from([filters])), &[&sums], span)
    }

    /// `w * W^power`.
    fn scaled_filter(&mut self, patch: &Patch<'_>, power: i32) -> Tensor {
        let squares = self.filter_squares(&patch.filter, patch.filters, patch.span);
        let body = ScalarFn::build(2, |pool, it| {
            let squares = monomial::with_epsilon(pool, it[1]);
            monomial::norm_power(pool, it[0], squares, power)
        });
        self.node(map(body), &[&patch.filter, &squares], patch.span)
    }

    /// The body as a function of `cos`, `X` and `W` (arguments 0 to 2) and of what it learns.
    fn operator_body(&mut self, operator: &OperatorRef, patch: &Patch<'_>) -> Option<(ScalarFn, Vec<Tensor>)> {
        let mut pool = Pool::new();
        let cos = pool.input(COS);
        let geometry = [
            ("cos", cos),
            ("theta", pool.unary(Unary::Acos, cos)),
            ("x_norm", pool.input(X_NORM)),
            ("w_norm", pool.input(W_NORM)),
        ];
        let def = operator.def.clone();
        let scope = self.operator_scope(operator, &geometry)?;
        let building = Building {
            path: patch.path.to_owned(),
            filters: patch.filters,
            name: operator.name().to_owned(),
            span: patch.span,
            x: patch.x.clone(),
            geometry: patch.geometry,
            extra: Vec::new(),
        };
        let outer = (self.pool.replace(pool), self.building.replace(building));
        let value = self.enter(scope, &def.body);
        let pool = std::mem::replace(&mut self.pool, outer.0);
        let building = std::mem::replace(&mut self.building, outer.1);
        let (mut pool, extra) = (pool?, building?.extra);
        let root = match &value {
            Value::Error => return None,
            other => match super::arith::to_scalar(&mut pool, other) {
                Some(it) => it,
                None => {
                    self.report(
                        Diagnostic::new(
                            Code::E0104,
                            def.body.span,
                            format!("the operator `{}` gives {}, not a number", operator.name(), other.kind()),
                        )
                        .label("expected a number")
                        .help("the value of an operator is its last expression"),
                    );
                    return None;
                }
            },
        };
        let body = pool.finish(FIRST_FREE + extra.len() as u32, &[root]);
        Some((body.simplify_with(&[X_NORM, W_NORM]), extra))
    }

    /// Evaluates what stands outside of all functions: defaults.
    pub(super) fn expr_outside(&mut self, expr: &ast::Expr) -> Value {
        let floor = std::mem::replace(&mut self.floor, self.scopes.len());
        let pool = self.pool.take();
        self.scopes.push(Scope::new());
        let value = self.expr(expr);
        self.scopes.pop();
        self.pool = pool;
        self.floor = floor;
        value
    }

    pub(super) fn coerce_number(&mut self, value: Value, span: Span) -> Value {
        if matches!(value, Value::Bool(_)) { value } else { self.coerce(value, &Ty::Float, span, "a constant", None) }
    }

    /// `learn k: filter = 0.7`.
    pub(super) fn learn(&mut self, name: &ast::Ident, scope: &ast::Ident, init: &ast::Expr) -> Value {
        let value = self.expr(init);
        let value = self.coerce(value, &Ty::Float, init.span, &format!("the start of `{}`", name.name), None);
        let Value::Float(start) = value else { return Value::Error };
        if let Some(trace) = &mut self.trace {
            trace.learned(&name.name, start);
            return self.studied_quantity();
        }
        let Some(building) = &self.building else { return Value::Error };
        let shape = if scope.name == "layer" { Shape::scalar() } else { Shape::from([building.filters]) };
        let (path, operator, span) = (building.path.clone(), building.name.clone(), building.span);
        let init = Init::Constant(Scalar64(start));
        let param = self.param(&path, &name.name, shape, init, ParamRole::Learned, &operator, span);
        self.extra(param)
    }

    /// `stat mu = mean(x_norm, decay: 0.999)`.
    pub(super) fn stat(&mut self, name: &ast::Ident, value: &ast::Expr) -> Value {
        let ExprKind::Call(call) = &value.kind else { return Value::Error };
        if call.callee.name != "mean" {
            return Value::Error;
        }
        let written = call.piped.as_deref().map(|it| (None, it));
        let mut of = None;
        let mut decay = 0.999;
        for (key, arg) in written.into_iter().chain(call.args.iter().map(|it| (it.name.as_ref(), &it.value))) {
            match key.map(|it| it.name.as_str()) {
                None if of.is_none() => of = Some(arg),
                Some("decay") => {
                    let found = self.expr(arg);
                    match self.coerce(found, &Ty::Float, arg.span, "`decay`", None) {
                        Value::Float(it) if (0.0..=1.0).contains(&it) => decay = it,
                        Value::Float(it) => {
                            self.out_of_range(arg.span, "`decay` of `mean`", &it.to_string(), "between 0 and 1");
                        }
                        _ => {}
                    }
                }
                _ => {
                    let span = key.map_or(arg.span, |it| it.span);
                    self.report(
                        Diagnostic::new(Code::E0105, span, "`mean` has no such argument")
                            .label("unknown argument")
                            .note("signature: mean(x_norm, decay: float = 0.999)"),
                    );
                    return Value::Error;
                }
            }
        }
        let found = of.map(|it| self.expr(it));
        let Some(pool) = &mut self.pool else { return Value::Error };
        let norm = pool.input(X_NORM);
        match found {
            Some(Value::Scalar(it)) if it == norm => {}
            Some(Value::Error) => return Value::Error,
            _ => {
                self.report(
                    Diagnostic::new(Code::E0104, of.map_or(call.span, |it| it.span), "`mean` is of the patch norm")
                        .label("expected `x_norm`")
                        .help("take `x_norm` as a parameter of the operator and write `mean(x_norm)`"),
                );
                return Value::Error;
            }
        }
        if let Some(trace) = &mut self.trace {
            trace.measured(&name.name);
            return self.studied_quantity();
        }
        let Some(building) = &self.building else { return Value::Error };
        let (path, span, geometry) = (building.path.clone(), building.span, building.geometry);
        let x = building.x.clone();
        let squares = self.patch_squares(&x, geometry, span);
        let norm = ScalarFn::build(1, |pool, it| {
            let squares = monomial::with_epsilon(pool, it[0]);
            pool.unary(Unary::Sqrt, squares)
        });
        let norms = self.node(map(norm), &[&squares], span);
        let count: usize = self.graph.fact(norms.train).shape().map_or(1, Shape::len);
        let sum = self.node(Op::Reduce { kind: Reduction::Sum, axes: vec![0, 1, 2, 3] }, &[&norms], span);
        let sum = self.node(Op::Reshape(Shape::scalar()), &[&sum], span);
        let share = ScalarFn::build(1, |pool, it| {
            let share = pool.constant(1.0 / count.max(1) as f64);
            pool.mul(it[0], share)
        });
        let mean = self.node(map(share), &[&sum], span);
        let (id, state) = self.state(&path, &name.name, Shape::scalar(), 1.0, span);
        let next = self.node(towards(rate(decay)), &[&state, &mean], span);
        let update = self.node(Op::Update(Target::State(id)), &[&next], span);
        self.effect(Phase::Step, update.train);
        // `towards` stops the gradient, and a state has none.
        self.extra(Tensor { train: next.train, evaluate: state.evaluate, owner: None })
    }

    /// One more operand of the operator's body.
    fn extra(&mut self, tensor: Tensor) -> Value {
        let (Some(building), Some(pool)) = (&mut self.building, &mut self.pool) else { return Value::Error };
        building.extra.push(tensor);
        Value::Scalar(pool.input(FIRST_FREE + building.extra.len() as u32 - 1))
    }
}
