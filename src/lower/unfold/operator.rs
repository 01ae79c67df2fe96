//! From an operator's definition to the scalar function that a layer applies.

use crate::diag::{Code, Diagnostic, Span};
use crate::ir::expr::Pool;
use crate::ir::{Op, Scalar, ScalarFn, infer};
use crate::lower::network::response::Patch;
use crate::lower::network::response::monomial::FIRST_FREE;
use crate::lower::scalar::building::{Angle, Building};
use crate::lower::scalar::lift::to_scalar;
use crate::lower::unfold::Unfold;
use crate::lower::unfold::scopes::Scope;
use crate::lower::values::types;
use crate::lower::values::value::{OperatorRef, Tensor, Ty, Value};
use crate::syntax::ast;

/// An operator's body, finished.
#[derive(Debug)]
struct Finished {
    /// Of the geometry (arguments 0 to 2), and of `extra`.
    pub(in crate::lower) function: ScalarFn,
    pub(in crate::lower) extra: Vec<Tensor>,
    pub(in crate::lower) sees_label: bool,
}

impl Unfold<'_> {
    /// What an operator makes of a patch and its filters. One that keeps nothing and sees nothing else makes the same of all.
    fn operator_body(&mut self, operator: &OperatorRef, patch: &Patch) -> Option<Finished> {
        let numbers = operator.bound.iter().all(|it| it.1.number().is_some());
        let key = numbers.then(|| (operator.def.span, operator.to_string()));
        if let Some(function) = key.as_ref().and_then(|it| self.known_body(it)) {
            return Some(Finished { function, extra: Vec::new(), sees_label: false });
        }
        let mut pool = Pool::new();
        let geometry = Angle::of_arguments(&mut pool, false);
        let building = Building::new(operator, Some(patch.clone()), geometry);
        let outer = (self.pool.replace(pool), self.building.replace(building));
        let root = self.value_of(operator);
        let pool = std::mem::replace(&mut self.pool, outer.0);
        let building = std::mem::replace(&mut self.building, outer.1);
        let (root, pool, building) = (root?, pool?, building?);
        let function = pool.finish(FIRST_FREE + building.extra.len() as u32, &[root]);
        let function = self.simplified(function);
        let sees_label = building.target.is_some();
        if let (Some(key), true, false) = (key, building.extra.is_empty(), sees_label) {
            self.keep_body(key, function.clone());
        }
        Some(Finished { function, extra: building.extra, sees_label })
    }

    /// A number, if the value is an operator inside of the body of another one; else the value.
    pub(super) fn response(&mut self, value: Value) -> Value {
        let Value::Operator(operator) = &value else { return value };
        let place = operator.def.name.span;
        let Some(outer) = self.enter_operator(operator) else { return value };
        let result = self.value_of(operator);
        self.leave_operator(outer);
        match result {
            Some(it) => Value::Scalar(it),
            None => self.lost(place),
        }
    }

    /// The value of an operator's body at the geometry of the moment; `None` after a mistake.
    pub(super) fn value_of(&mut self, operator: &OperatorRef) -> Option<Scalar> {
        let def = operator.def.clone();
        if self.endless.contains(&self.items.key(&def.name)) {
            return None;
        }
        let mut scope = Scope::new();
        for param in &def.params {
            let name = param.name.name.as_str();
            let bound = operator.bound.iter().find(|it| it.0 == name).map(|it| it.1.clone());
            let value = match (bound, &param.default) {
                (_, None) => self.part_of_geometry(name, operator)?,
                (Some(it), Some(_)) => it,
                (None, Some(default)) => {
                    let value = self.expr_outside(default);
                    let ty = types::constant(param, &value);
                    match &value {
                        Value::Tensor(it) if self.reach(it).is_some() => value,
                        _ => self.coerce(value, &ty, default.span, &format!("the default of `{name}`"), None),
                    }
                }
            };
            let value = match value {
                Value::Tensor(it) => self.operand(name, &it),
                other => self.given_as(other, name),
            };
            scope.insert(name.to_owned(), value);
        }
        let value = self.enter(scope, &def.body, def.name.span);
        let value = self.response(value);
        let pool = self.pool.as_mut()?;
        match &value {
            Value::Error(_) => None,
            other => to_scalar(pool, other).or_else(|| {
                self.no_number(operator, &value, def.body.span);
                None
            }),
        }
    }

    fn no_number(&mut self, operator: &OperatorRef, value: &Value, span: Span) {
        self.report(
            Diagnostic::new(
                Code::E0104,
                span,
                format!("the operator `{}` gives {}, not a number", operator.name(), value.kind()),
            )
            .label("expected a number")
            .help("the value of an operator is its last expression"),
        );
    }

    /// Evaluates what stands outside of all functions: defaults.
    fn expr_outside(&mut self, expr: &ast::Expr) -> Value {
        let pool = self.pool.take();
        let caller = self.scopes.enter(Scope::new());
        let value = self.expr(expr);
        self.scopes.leave(caller);
        self.pool = pool;
        value
    }

    /// Checks what is given for a constant or a part of the geometry. Inside of an operator a number may
    /// be one of its own.
    pub(super) fn operator_argument(&mut self, operator: &OperatorRef, name: &str, value: Value, span: Span) -> Value {
        let param = operator.def.params.iter().find(|it| it.name.name == name).cloned();
        let ty = match param.as_ref().map(|it| (it, &it.default)) {
            Some((param, Some(default))) => {
                let default = self.expr_outside(default);
                types::constant(param, &default)
            }
            _ => Ty::Float,
        };
        let value = if ty == Ty::Operator { value } else { self.response(value) };
        match (&ty, &value) {
            (Ty::Float, Value::Scalar(_)) if self.building.is_some() => value,
            // What changes with the steps, or is learned outside.
            (Ty::Float, Value::Tensor(it)) if self.reach(it).is_some() => value,
            _ => self.coerce(value, &ty, span, &format!("constant `{name}` of `{}`", operator.name()), None),
        }
    }

    /// The result of a layer with this operator; `None` after a mistake.
    pub(in crate::lower) fn operator(&mut self, operator: &OperatorRef, patch: &Patch) -> Option<Tensor> {
        // A convolution that does not fit is reported once, for itself.
        let plain = Op::Conv(patch.geometry);
        let facts = [self.graph.fact(patch.x.train), self.graph.fact(patch.filter.train)];
        if infer(&plain, &facts, &self.graph.params, &self.graph.states).is_err() {
            return Some(self.node(plain, &[&patch.x, &patch.filter], patch.span));
        }
        self.enter_call(patch.span);
        self.check_operator(operator, Some(patch.span));
        let body = self.operator_body(operator, patch);
        self.leave_call();
        let body = body?;
        let result = self.respond(&body.function, &body.extra, patch, true);
        if body.sees_label {
            self.sees_label(operator.name(), &result, patch.span);
        }
        Some(result)
    }
}
