//! An operator's body as one scalar function.
//!
//! Operators are made of operators: where the name of one stands for a number, that is its response to the
//! same patch and filter, or to the geometry it is called with: `inner(theta: 2 * theta)`. What it learns is
//! the layer's: `layer/k`, or `layer/inner/k` where the operator around it has a `k` of its own, `inner`
//! being the constant by which it was given. Each such constant learns for itself.

use crate::diag::{Code, Diagnostic, Span};
use crate::ir::expr::Pool;
use crate::ir::op::Scalar64;
use crate::ir::{Binary, Fill, Op, ScalarFn, Shape, Unary};
use crate::lower::names::words::{STEPS, geometry};
use crate::lower::network::response::Patch;
use crate::lower::network::response::monomial::{self, COS, FIRST_FREE, W_NORM, X_NORM};
use crate::lower::network::steps::ANY_LENGTH;
use crate::lower::scalar::Scalars;
use crate::lower::scalar::lift::to_scalar;
use crate::lower::values::value::{OperatorRef, Tensor, Value};
use crate::syntax::ast::StmtKind;
use std::collections::BTreeMap;

/// An operator's body under construction.
#[derive(Debug)]
pub(in crate::lower) struct Building {
    /// Name of the layer's operator.
    pub(in crate::lower) name: String,
    /// The layer's; `None` while an operator is looked at for itself (`hazard`).
    pub(in crate::lower) patch: Option<Patch>,
    /// Operands from `FIRST_FREE` on: learned numbers, statistics, targets.
    pub(in crate::lower) extra: Vec<Tensor>,
    /// What the running operator is called with.
    geometry: Angle,
    /// How the running operator was reached from the layer's: names of constants. Empty for that one itself.
    via: String,
    /// What the layer's operator learns itself.
    own: Vec<String>,
    /// Learned numbers and statistics by the operator they belong to, and name.
    kept: BTreeMap<(String, String), Value>,
    pub(in crate::lower) target: Option<Value>,
    /// Once it was asked for.
    pub(in crate::lower) training: Option<Value>,
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

/// The operator around one that stands for a number in its body.
#[derive(Debug)]
pub(in crate::lower) struct Outer {
    geometry: Angle,
    via: String,
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
    pub(in crate::lower) fn known(&self, name: &str) -> Option<Value> {
        self.kept.get(&(self.via.clone(), name.to_owned())).cloned()
    }

    /// How many numbers it keeps.
    pub(in crate::lower) fn count(&self) -> usize {
        self.kept.len()
    }
}

pub(in crate::lower) fn below(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") }
}

/// What an operator with `target` does.
const LABEL: &str = "sees the label";

impl Scalars<'_> {
    /// What an operator that keeps nothing makes of any patch, if that is known.
    pub(in crate::lower) fn known_body(&self, operator: &(Span, String)) -> Option<ScalarFn> {
        self.bodies.get(operator).cloned()
    }

    pub(in crate::lower) fn keep_body(&mut self, operator: (Span, String), body: ScalarFn) {
        self.bodies.insert(operator, body);
    }

    /// An operator's body, simplified once for all that share it.
    pub(in crate::lower) fn simplified(&mut self, body: ScalarFn) -> ScalarFn {
        if let Some(it) = self.simplified.get(&body) {
            return it.clone();
        }
        let it = body.simplify_with(monomial::GEOMETRY);
        self.simplified.insert(body, it.clone());
        it
    }

    /// Goes into an operator that stands for a number in the body of another one, at the geometry that it is called with; what
    /// the other one's is. `None` outside of such a body.
    pub(in crate::lower) fn enter_operator(&mut self, operator: &OperatorRef) -> Option<Outer> {
        let (Some(building), Some(pool)) = (&mut self.building, &mut self.pool) else { return None };
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
        let mut other = |op: Unary, value: &Value| to_scalar(pool, value).map(|it| pool.unary(op, it));
        let of_theta = theta.as_ref().and_then(|it| other(Unary::Cos, it)).map(Value::Scalar);
        let of_cos = cos.as_ref().and_then(|it| other(Unary::Acos, it)).map(Value::Scalar);
        geometry.theta = theta.or(of_cos).unwrap_or(geometry.theta);
        geometry.cos = cos.or(of_theta).unwrap_or(geometry.cos);
        let geometry = std::mem::replace(&mut building.geometry, geometry);
        Some(Outer { geometry, via: std::mem::replace(&mut building.via, via) })
    }

    /// Comes back out of it.
    pub(in crate::lower) fn leave_operator(&mut self, outer: Outer) {
        if let Some(building) = &mut self.building {
            (building.geometry, building.via) = (outer.geometry, outer.via);
        }
    }

    /// What one of these names stands for; `None` for other names, and where only numbers are computed.
    pub(in crate::lower) fn of_steps(&mut self, name: &str, span: Span) -> Option<Value> {
        if !STEPS.contains(&name) || self.pool.is_some() && self.building.is_none() {
            return None;
        }
        let studied = self.trace.is_some();
        if name == "iterations" {
            // An operator that nothing uses is studied, and decides nothing.
            self.length_matters |= !studied;
            let all = self.iterations.or(studied.then_some(ANY_LENGTH));
            return Some(match all.and_then(|it| i64::try_from(it).ok()) {
                Some(all) => Value::Int(all),
                None => self.lost(span),
            });
        }
        let length = self.iterations.unwrap_or(ANY_LENGTH);
        Some(match (self.pool.is_some(), &mut self.trace) {
            (true, Some(trace)) => {
                let at = trace.step(length);
                self.studied(at)
            }
            (true, None) => {
                let step = self.updates_done();
                self.operand("step", &step)
            }
            (false, _) => Value::Tensor(self.updates_done()),
        })
    }

    /// An operator given as a constant is known by that name.
    pub(in crate::lower) fn given_as(&self, value: Value, name: &str) -> Value {
        match (value, &self.building) {
            (Value::Operator(it), Some(building)) if it.via.is_none() => {
                Value::Operator(OperatorRef { via: Some(below(&building.via, name)), ..it })
            }
            (value, _) => value,
        }
    }

    pub(in crate::lower) fn part_of_geometry(&mut self, name: &str, operator: &OperatorRef) -> Option<Value> {
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

    /// Layer and name under which the running operator keeps something.
    pub(in crate::lower) fn place(&self, name: &str) -> (String, String) {
        let Some((building, patch)) = self.building.as_ref().and_then(|it| Some((it, it.patch.as_ref()?))) else {
            return (String::new(), name.to_owned());
        };
        let layer = patch.path.clone();
        let path = format!("{layer}/{name}");
        let taken = building.own.iter().any(|it| it == name) || self.is_taken(&path);
        if building.via.is_empty() || !taken { (layer, name.to_owned()) } else { (layer, below(&building.via, name)) }
    }

    /// One more operand of the operator's body, kept under a name.
    pub(in crate::lower) fn keep(&mut self, name: &str, tensor: Tensor) -> Value {
        let value = self.extra(tensor);
        self.remember(name, value)
    }

    pub(in crate::lower) fn remember(&mut self, name: &str, value: Value) -> Value {
        if let Some(building) = &mut self.building {
            building.kept.insert((building.via.clone(), name.to_owned()), value.clone());
        }
        value
    }

    /// How many arguments the body has so far.
    pub(in crate::lower) fn arguments_so_far(&self) -> u32 {
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
    pub(in crate::lower) fn extra(&mut self, tensor: Tensor) -> Value {
        let (Some(building), Some(pool)) = (&mut self.building, &mut self.pool) else {
            return self.lost(self.model_span);
        };
        building.extra.push(tensor);
        Value::Scalar(pool.input(FIRST_FREE + building.extra.len() as u32 - 1))
    }

    /// What an operator keeps or sees of a layer's filters is not there for a product. `None` where it is; else it is told.
    pub(in crate::lower) fn without_a_layer(&mut self, what: &str, span: Span) -> Option<Value> {
        if self.trace.is_some() || self.building.as_ref().is_none_or(|it| it.patch.is_some()) {
            return None;
        }
        let call = self.calls().last().copied().unwrap_or(span);
        let way = match what {
            LABEL => "use an operator without `target`, or a layer of filters: `dense(x, classes, operator: ...)`",
            _ => "let the block learn the number, and give it as a constant: `operator: scaled(by: s)`",
        };
        let report = Diagnostic::new(Code::E0101, call, format!("`respond` has no filters, and its operator {what}"))
            .label("an operator of a product of two vectors")
            .also(span, "here")
            .help(way);
        Some(self.fail(report))
    }

    /// Whether the mode is this one: 1 or 0.
    pub(in crate::lower) fn trains(&mut self, wanted: bool) -> Value {
        match (self.training(), &mut self.pool) {
            (Value::Scalar(flag), Some(pool)) if !wanted => {
                let zero = pool.constant(0.0);
                Value::Scalar(pool.binary(Binary::Eq, flag, zero))
            }
            (flag, _) => flag,
        }
    }

    /// 1 in training, 0 in evaluation.
    fn training(&mut self) -> Value {
        if let Some(told) = self.without_a_layer("asks whether the model is trained", self.model_span) {
            return told;
        }
        let Some(building) = &mut self.building else { return self.lost(self.model_span) };
        if let Some(known) = &building.training {
            return known.clone();
        }
        let value = match building.patch.as_ref().map(|it| it.span) {
            Some(span) => {
                let origin = self.origin(span);
                let mut number = |value: f64| {
                    let fill = Fill::Value(Scalar64(value));
                    self.graph.add(Op::Const { fill, shape: Shape::scalar() }, &[], origin).0
                };
                let (train, evaluate) = (number(1.0), number(0.0));
                self.extra(Tensor { train, evaluate, owner: None })
            }
            None => {
                if let Some(trace) = &mut self.trace {
                    trace.training();
                }
                self.studied_quantity()
            }
        };
        if let Some(building) = &mut self.building {
            building.training = Some(value.clone());
        }
        value
    }
}
