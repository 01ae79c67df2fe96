//! An operator's body as one scalar function.
//!
//! Operators are made of operators: where the name of one stands for a number, that is its response to the
//! same patch and filter, or to the geometry it is called with: `inner(theta: 2 * theta)`. What it learns is
//! the layer's: `layer/k`, or `layer/inner/k` where the operator around it has a `k` of its own, `inner`
//! being the constant by which it was given. Each such constant learns for itself.

use super::Patch;
use super::monomial::{COS, FIRST_FREE, GEOMETRY, W_NORM, X_NORM};
use super::product::LABEL;
use crate::diag::{Code, Diagnostic, Span};
use crate::ir::expr::Pool;
use crate::ir::{Scalar, ScalarFn, Unary};
use crate::lower::Lowering;
use crate::lower::arith::to_scalar;
use crate::lower::eval::Scope;
use crate::lower::resolve::geometry;
use crate::lower::types;
use crate::lower::value::{OperatorRef, Tensor, Ty, Value};
use crate::syntax::ast::{self, StmtKind};
use std::collections::BTreeMap;

/// An operator's body under construction.
#[derive(Debug)]
pub(in crate::lower) struct Building {
    /// Name of the layer's operator.
    pub(super) name: String,
    /// The layer's; `None` while an operator is looked at for itself (`hazard`).
    pub(super) patch: Option<Patch>,
    /// Operands from `FIRST_FREE` on: learned numbers, statistics, targets.
    pub(super) extra: Vec<Tensor>,
    /// What the running operator is called with.
    geometry: Angle,
    /// How the running operator was reached from the layer's: names of constants. Empty for that one itself.
    via: String,
    /// What the layer's operator learns itself.
    own: Vec<String>,
    /// Learned numbers and statistics by the operator they belong to, and name.
    kept: BTreeMap<(String, String), Value>,
    target: Option<Value>,
    /// Once it was asked for.
    pub(super) training: Option<Value>,
}

/// Angle of a patch and a filter.
#[derive(Clone, Debug)]
pub(in crate::lower) struct Angle {
    cos: Value,
    theta: Value,
    x_norm: Value,
    w_norm: Value,
    /// Once an operator was called with one.
    target: Option<Value>,
}

/// An operator's body, finished.
#[derive(Debug)]
pub(super) struct Finished {
    /// Of the geometry (arguments 0 to 2), and of `extra`.
    pub(super) function: ScalarFn,
    pub(super) extra: Vec<Tensor>,
    pub(super) sees_label: bool,
}

impl Angle {
    /// Of the arguments of a body, the first of which is the cosine or the angle itself.
    pub(in crate::lower) fn of_arguments(pool: &mut Pool, by_angle: bool) -> Self {
        let first = pool.input(COS);
        let (cos, theta) =
            if by_angle { (pool.unary(Unary::Cos, first), first) } else { (first, pool.unary(Unary::Acos, first)) };
        let [cos, theta] = [cos, theta].map(Value::Scalar);
        let [x_norm, w_norm] = [X_NORM, W_NORM].map(|it| Value::Scalar(pool.input(it)));
        Self { cos, theta, x_norm, w_norm, target: None }
    }
}

impl Building {
    /// Of a layer's operator; without a patch only to be looked at.
    pub(in crate::lower) fn new(operator: &OperatorRef, patch: Option<Patch>, geometry: Angle) -> Self {
        let own = operator.def.body.stmts.iter().filter_map(|it| match &it.kind {
            StmtKind::Learn { name, .. } | StmtKind::Stat { name, .. } => Some(name.name.clone()),
            _ => None,
        });
        Self {
            name: operator.name().to_owned(),
            patch,
            extra: Vec::new(),
            geometry,
            via: String::new(),
            own: own.collect(),
            kept: BTreeMap::new(),
            target: None,
            training: None,
        }
    }

    /// What the running operator keeps under this name already.
    pub(super) fn known(&self, name: &str) -> Option<Value> {
        self.kept.get(&(self.via.clone(), name.to_owned())).cloned()
    }

    /// How many numbers it keeps.
    pub(super) fn count(&self) -> usize {
        self.kept.len()
    }
}

impl Lowering<'_> {
    /// What an operator makes of a patch and its filters. One that keeps nothing and sees nothing else makes the same of all.
    pub(super) fn operator_body(&mut self, operator: &OperatorRef, patch: &Patch) -> Option<Finished> {
        let numbers = operator.bound.iter().all(|it| it.1.number().is_some());
        let key = numbers.then(|| (operator.def.span, operator.to_string()));
        if let Some(function) = key.as_ref().and_then(|it| self.bodies.get(it)).cloned() {
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
        let function = match self.simplified.get(&function) {
            Some(it) => it.clone(),
            None => {
                let it = function.simplify_with(GEOMETRY);
                self.simplified.insert(function, it.clone());
                it
            }
        };
        let sees_label = building.target.is_some();
        if let (Some(key), true, false) = (key, building.extra.is_empty(), sees_label) {
            self.bodies.insert(key, function.clone());
        }
        Some(Finished { function, extra: building.extra, sees_label })
    }

    /// A number, if the value is an operator inside of the body of another one; else the value.
    pub(in crate::lower) fn response(&mut self, value: Value) -> Value {
        let Value::Operator(operator) = &value else { return value };
        let place = operator.def.name.span;
        let (Some(building), Some(_)) = (&mut self.building, &self.pool) else { return value };
        let via = match &operator.via {
            Some(it) => it.clone(),
            None => below(&building.via, operator.name()),
        };
        let mut geometry = building.geometry.clone();
        let given = |name: &str| operator.bound.iter().find(|it| it.0 == name).map(|it| it.1.clone());
        let (theta, cos) = (given("theta"), given("cos"));
        geometry.x_norm = given("x_norm").unwrap_or(geometry.x_norm);
        geometry.w_norm = given("w_norm").unwrap_or(geometry.w_norm);
        geometry.target = given("target").or(geometry.target);
        // One of the two decides about the other.
        let Some(pool) = &mut self.pool else { return value };
        let mut other = |op: Unary, value: &Value| to_scalar(pool, value).map(|it| pool.unary(op, it));
        let of_theta = theta.as_ref().and_then(|it| other(Unary::Cos, it)).map(Value::Scalar);
        let of_cos = cos.as_ref().and_then(|it| other(Unary::Acos, it)).map(Value::Scalar);
        geometry.theta = theta.or(of_cos).unwrap_or(geometry.theta);
        geometry.cos = cos.or(of_theta).unwrap_or(geometry.cos);
        let outer = (std::mem::replace(&mut building.geometry, geometry), std::mem::replace(&mut building.via, via));
        let result = self.value_of(operator);
        if let Some(building) = &mut self.building {
            (building.geometry, building.via) = outer;
        }
        match result {
            Some(it) => Value::Scalar(it),
            None => self.lost(place),
        }
    }

    /// The value of an operator's body at the geometry of the moment; `None` after a mistake.
    pub(in crate::lower) fn value_of(&mut self, operator: &OperatorRef) -> Option<Scalar> {
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

    /// An operator given as a constant is known by that name.
    fn given_as(&self, value: Value, name: &str) -> Value {
        match (value, &self.building) {
            (Value::Operator(it), Some(building)) if it.via.is_none() => {
                Value::Operator(OperatorRef { via: Some(below(&building.via, name)), ..it })
            }
            (value, _) => value,
        }
    }

    fn part_of_geometry(&mut self, name: &str, operator: &OperatorRef) -> Option<Value> {
        let building = self.building.as_ref()?;
        let at = &building.geometry;
        // Any other name was reported where the operator is defined.
        Some(match geometry(name)? {
            "cos" => at.cos.clone(),
            "theta" => at.theta.clone(),
            "x_norm" => at.x_norm.clone(),
            "w_norm" => at.w_norm.clone(),
            "target" => match at.target.clone().or(building.target.clone()) {
                Some(it) => it,
                None => {
                    let value = match building.patch.clone() {
                        Some(patch) => {
                            let tensor = self.labels_as_targets(operator.name(), &patch)?;
                            self.extra(tensor)
                        }
                        None => {
                            self.without_a_layer(LABEL, operator.def.name.span);
                            self.trace.as_mut()?.target();
                            self.studied_quantity()
                        }
                    };
                    self.building.as_mut()?.target = Some(value.clone());
                    value
                }
            },
            _ => return None,
        })
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
        let floor = std::mem::replace(&mut self.floor, self.scopes.len());
        let pool = self.pool.take();
        self.scopes.push(Scope::new());
        let value = self.expr(expr);
        self.scopes.pop();
        self.pool = pool;
        self.floor = floor;
        value
    }

    /// Checks what is given for a constant or a part of the geometry. Inside of an operator a number may
    /// be one of its own.
    pub(in crate::lower) fn operator_argument(
        &mut self,
        operator: &OperatorRef,
        name: &str,
        value: Value,
        span: Span,
    ) -> Value {
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

    /// Layer and name under which the running operator keeps something.
    pub(super) fn place(&self, name: &str) -> (String, String) {
        let Some((building, patch)) = self.building.as_ref().and_then(|it| Some((it, it.patch.as_ref()?))) else {
            return (String::new(), name.to_owned());
        };
        let layer = patch.path.clone();
        let path = format!("{layer}/{name}");
        let taken = building.own.iter().any(|it| it == name) || self.is_taken(&path);
        if building.via.is_empty() || !taken { (layer, name.to_owned()) } else { (layer, below(&building.via, name)) }
    }

    /// One more operand of the operator's body, kept under a name.
    pub(super) fn keep(&mut self, name: &str, tensor: Tensor) -> Value {
        let value = self.extra(tensor);
        self.remember(name, value)
    }

    pub(super) fn remember(&mut self, name: &str, value: Value) -> Value {
        if let Some(building) = &mut self.building {
            building.kept.insert((building.via.clone(), name.to_owned()), value.clone());
        }
        value
    }

    /// How many arguments the body has so far.
    pub(super) fn arguments_so_far(&self) -> u32 {
        let studied = self.trace.as_ref().map(|it| it.quantities());
        let extra = studied.or(self.building.as_ref().map(|it| it.extra.len()));
        FIRST_FREE + extra.unwrap_or(0) as u32
    }

    /// A number that is the same everywhere, by a name, as an operand of the operator's body.
    pub(in crate::lower) fn operand(&mut self, name: &str, tensor: &Tensor) -> Value {
        let Some(building) = &self.building else { return self.lost(self.model_span) };
        if building.patch.is_none() && self.trace.is_some() {
            let Some((reach, trace)) = self.reach(tensor).zip(self.trace.as_mut()) else {
                return self.lost(self.model_span);
            };
            let at = trace.given(name, Some(tensor.train), reach);
            return self.studied(at);
        }
        let known = building.extra.iter().position(|it| it.train == tensor.train && it.evaluate == tensor.evaluate);
        match (known, &mut self.pool) {
            (Some(at), Some(pool)) => Value::Scalar(pool.input(FIRST_FREE + at as u32)),
            _ => self.extra(tensor.clone()),
        }
    }

    /// One more operand of the operator's body.
    pub(super) fn extra(&mut self, tensor: Tensor) -> Value {
        let (Some(building), Some(pool)) = (&mut self.building, &mut self.pool) else {
            return self.lost(self.model_span);
        };
        building.extra.push(tensor);
        Value::Scalar(pool.input(FIRST_FREE + building.extra.len() as u32 - 1))
    }
}

fn below(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") }
}
