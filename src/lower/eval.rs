//! The dynamic half: unfolds bodies into nodes. Names and arguments were checked by `resolve`; what is
//! not found here was reported there.

use super::blocks::training;
use super::items::Def;
use super::naming::count;
use super::resolve::{CONSTANTS, GEOMETRY};
use super::types;
use super::value::{FnRef, OperatorRef, Ty, Value};
use super::{Lowering, signature};
use crate::diag::{Code, Diagnostic, Span};
use crate::ir::{Frame, Layer};
use crate::syntax::ast::{self, BinaryOp, ExprKind, StmtKind, TypeKind};
use std::collections::BTreeMap;

/// Names of one body.
pub(super) type Scope = BTreeMap<String, Value>;

/// How often a loop may run: a typing mistake must not fill the memory.
const MOST_REPETITIONS: i64 = 100_000;

impl Lowering<'_> {
    /// Runs a body in a scope of its own.
    pub(super) fn body(&mut self, body: &ast::Body) -> Value {
        self.scopes.push(Scope::new());
        let value = self.stmts(body);
        self.scopes.pop();
        value
    }

    /// Runs statements in the current scope; the value of the last one, if it is an expression.
    pub(super) fn stmts(&mut self, body: &ast::Body) -> Value {
        let mut value = Value::Nothing;
        for stmt in &body.stmts {
            value = self.stmt(stmt);
        }
        value
    }

    fn bind(&mut self, name: &str, value: Value) {
        if let Some(scope) = self.scopes.last_mut() {
            scope.insert(name.to_owned(), value);
        }
    }

    /// Binds, or rebinds an existing name of an enclosing scope of the same function.
    fn assign(&mut self, name: &str, value: Value) {
        let floor = self.floor;
        match self.scopes[floor..].iter_mut().rev().find_map(|it| it.get_mut(name)) {
            Some(place) => *place = value,
            None => self.bind(name, value),
        }
    }

    fn stmt(&mut self, stmt: &ast::Stmt) -> Value {
        match &stmt.kind {
            StmtKind::Input { name, dtype, dims } => {
                let value = self.input(stmt.span, name, dtype, dims);
                self.bind(&name.name, value);
            }
            StmtKind::Let { name, ty, value } => {
                let found = self.expr(value);
                let found = self.annotated(found, ty.as_ref(), &name.name, value.span);
                self.bind(&name.name, found);
            }
            StmtKind::Assign { name, value } => {
                let found = self.expr(value);
                let found = self.something(found, value.span);
                self.assign(&name.name, found);
            }
            StmtKind::For { index, item, list, body } => self.repeat(stmt.span, index.as_ref(), item, list, body),
            StmtKind::If { cond, then, otherwise } => {
                return self.choose(cond, then, otherwise.as_ref(), stmt.span);
            }
            StmtKind::Assert { cond, message } => self.assert(stmt.span, cond, message.as_ref()),
            StmtKind::Output(value) => {
                let found = self.expr(value);
                // In a block this was reported; what it meant is the block's value.
                if self.floor != 0 {
                    return found;
                }
                self.set_output(found, value.span, stmt.span);
            }
            StmtKind::Learn { name, role, scope, init } => {
                let value = match scope {
                    // Where each is allowed, `resolve` says.
                    ast::Extents::Each(scope) if self.building.is_some() => self.learn(name, scope, init),
                    ast::Extents::Shape(dims, span) if self.building.is_none() && self.floor != 0 => {
                        self.learn_tensor(name, role.as_ref(), (dims, *span), init)
                    }
                    ast::Extents::Each(_) | ast::Extents::Shape(..) => Value::Error,
                };
                self.bind(&name.name, value);
            }
            StmtKind::Keep { name, init } => self.keep_for_update(name, init),
            StmtKind::Stat { name, dims, value } => {
                let found = match (self.building.is_some(), self.floor) {
                    (true, _) => self.stat(name, value),
                    (false, 0) => Value::Error,
                    (false, _) => self.running(name, dims.as_deref(), value),
                };
                self.bind(&name.name, found);
            }
            StmtKind::Expr(value) => return self.expr(value),
        }
        Value::Nothing
    }

    /// A value must be something; a body without a last expression is nothing.
    fn something(&mut self, value: Value, span: Span) -> Value {
        if !matches!(value, Value::Nothing) {
            return value;
        }
        self.report(
            Diagnostic::new(Code::E0104, span, "this gives no value")
                .label("expected a value")
                .help("the value of a block is its last expression: end it with one"),
        );
        Value::Error
    }

    fn annotated(&mut self, value: Value, ty: Option<&ast::Type>, name: &str, span: Span) -> Value {
        let value = self.something(value, span);
        let Some(ty) = ty.map(types::of_let) else { return value };
        match &ty.kind {
            TypeKind::Shape(dims) => self.assert_shape(value, dims, ty.span, span),
            TypeKind::Name(_) | TypeKind::List(_) => {
                self.coerce(value, &types::of(&ty), span, &format!("`{name}`"), Some(ty.span))
            }
        }
    }

    fn assert_shape(&mut self, value: Value, dims: &[ast::Expr], asserted: Span, span: Span) -> Value {
        let wanted: Vec<Option<usize>> = dims.iter().map(|it| self.extent(it)).collect();
        let value = self.coerce(value, &Ty::Tensor, span, "a value with a shape", Some(asserted));
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
        self.report(report);
        Value::Error
    }

    fn extent(&mut self, expr: &ast::Expr) -> Option<usize> {
        let value = self.expr(expr);
        let value = self.coerce(value, &Ty::Int, expr.span, "an extent", None);
        match value {
            Value::Int(it) if 0 < it => Some(it as usize),
            Value::Int(it) => {
                self.out_of_range(expr.span, "an extent", &it.to_string(), "at least 1");
                None
            }
            _ => None,
        }
    }

    /// Extents of an input.
    pub(super) fn extents(&mut self, dims: &[ast::Expr]) -> Option<Vec<usize>> {
        let all: Vec<Option<usize>> = dims.iter().map(|it| self.extent(it)).collect();
        all.into_iter().collect()
    }

    fn repeat(
        &mut self,
        span: Span,
        index: Option<&ast::Ident>,
        item: &ast::Ident,
        list: &ast::Expr,
        body: &ast::Body,
    ) {
        let values: Vec<Value> = match self.expr(list) {
            Value::Error => return self.after_mistake(body),
            Value::List(it) => it,
            Value::Range(low, high) if high - low <= MOST_REPETITIONS => (low..high).map(Value::Int).collect(),
            Value::Range(low, high) => {
                self.out_of_range(
                    list.span,
                    "the number of repetitions",
                    &(high - low).to_string(),
                    &format!("at most {MOST_REPETITIONS}"),
                );
                return self.after_mistake(body);
            }
            other => {
                let report = Diagnostic::new(Code::E0104, list.span, format!("cannot loop over {}", other.describe()))
                    .label("expected a list or a range");
                let report = match other {
                    Value::Int(it) => report.fix(format!("did you mean `0..{it}`?"), list.span, format!("0..{it}")),
                    _ => report,
                };
                self.report(report);
                return self.after_mistake(body);
            }
        };
        let header = Span { end: list.span.end, ..span };
        for (at, value) in values.into_iter().enumerate() {
            let text = match index {
                Some(index) => format!("{} = {at}, {} = {value}", index.name, item.name),
                None => format!("{} = {value}", item.name),
            };
            self.frames.push(Frame { span: header, text: format!("in repetition {text} of this loop") });
            let mut scope = Scope::new();
            if let Some(index) = index {
                scope.insert(index.name.clone(), Value::Int(at as i64));
            }
            scope.insert(item.name.clone(), value);
            self.scopes.push(scope);
            self.body(body);
            self.scopes.pop();
            self.frames.pop();
        }
    }

    /// A body that cannot run: the names it would rebind are unknown from here on.
    fn after_mistake(&mut self, body: &ast::Body) {
        for stmt in &body.stmts {
            match &stmt.kind {
                StmtKind::Assign { name, .. } => {
                    let floor = self.floor;
                    if let Some(it) = self.scopes[floor..].iter_mut().rev().find_map(|it| it.get_mut(&name.name)) {
                        *it = Value::Error;
                    }
                }
                StmtKind::For { body, .. } => self.after_mistake(body),
                StmtKind::If { then, otherwise, .. } => {
                    self.after_mistake(then);
                    if let Some(it) = otherwise {
                        self.after_mistake(it);
                    }
                }
                StmtKind::Output(_) => self.lost_output(),
                _ => {}
            }
        }
    }

    fn choose(&mut self, cond: &ast::Expr, then: &ast::Body, otherwise: Option<&ast::Body>, span: Span) -> Value {
        let cond_value = match training(cond) {
            Some(trains) if !self.scopes[self.floor..].iter().any(|it| it.contains_key("training")) => {
                if self.building.is_none() {
                    return self.by_mode(trains, then, otherwise, span);
                }
                self.trains(trains)
            }
            _ => self.expr(cond),
        };
        match self.response(cond_value) {
            Value::Bool(true) => self.body(then),
            Value::Bool(false) => otherwise.map_or(Value::Nothing, |it| self.body(it)),
            Value::Scalar(cond) => {
                let a = self.body(then);
                let b = otherwise.map_or(Value::Nothing, |it| self.body(it));
                let (a, b) = (self.something(a, span), self.something(b, span));
                let (a, b) = (self.response(a), self.response(b));
                let Some(pool) = &mut self.pool else { return Value::Error };
                match (super::arith::to_scalar(pool, &a), super::arith::to_scalar(pool, &b)) {
                    (Some(a), Some(b)) => Value::Scalar(pool.select(cond, a, b)),
                    _ => Value::Error,
                }
            }
            other => {
                if !other.is_error() {
                    self.report(
                        Diagnostic::new(Code::E0104, cond.span, format!("the condition is {}", other.describe()))
                            .label("expected a bool")
                            .note("conditions are decided when the file is unfolded"),
                    );
                }
                self.after_mistake(then);
                if let Some(it) = otherwise {
                    self.after_mistake(it);
                }
                Value::Error
            }
        }
    }

    fn assert(&mut self, span: Span, cond: &ast::Expr, message: Option<&ast::Text>) {
        match self.expr(cond) {
            Value::Bool(true) | Value::Error => {}
            Value::Bool(false) => {
                let text = match message {
                    Some(it) => self.text(it),
                    None => Some("the assertion does not hold".to_owned()),
                };
                let Some(text) = text else { return };
                let mut report = self.at(Code::E0110, span, text).label("asserted here");
                if let ExprKind::Binary(op, a, b) = &cond.kind
                    && !matches!(op, BinaryOp::And | BinaryOp::Or)
                {
                    let (left, right) = (self.expr(a), self.expr(b));
                    report = report.note(format!("the two sides are {left} and {right}"));
                }
                self.report(report);
            }
            other => self.report(
                Diagnostic::new(Code::E0104, cond.span, format!("the assertion is {}", other.describe()))
                    .label("expected a bool"),
            ),
        }
    }

    /// The characters of a string; `None` after a mistake in one of its holes.
    pub(super) fn text(&mut self, text: &ast::Text) -> Option<String> {
        let mut all = String::new();
        let mut sound = true;
        for part in &text.parts {
            match part {
                ast::TextPart::Literal(it) => all.push_str(it),
                ast::TextPart::Hole(it) => {
                    let value = self.expr(it);
                    sound &= !value.is_error();
                    all.push_str(&value.to_string());
                }
            }
        }
        sound.then_some(all)
    }

    /// Evaluates an expression.
    pub(super) fn expr(&mut self, expr: &ast::Expr) -> Value {
        let span = expr.span;
        match &expr.kind {
            ExprKind::Int(it) => Value::Int(*it),
            ExprKind::Float(it) => Value::Float(*it),
            ExprKind::Bool(it) => Value::Bool(*it),
            ExprKind::Str(it) => self.text(it).map_or(Value::Error, Value::Str),
            ExprKind::Name(name) => self.name(name),
            ExprKind::List(list) => {
                let values: Vec<Value> = list.iter().map(|it| self.expr(it)).collect();
                if values.iter().any(Value::is_error) { Value::Error } else { Value::List(values) }
            }
            ExprKind::Range(low, high) => {
                let (a, b) = (self.expr(low), self.expr(high));
                let a = self.coerce(a, &Ty::Int, low.span, "the start of a range", None);
                let b = self.coerce(b, &Ty::Int, high.span, "the end of a range", None);
                match (a, b) {
                    (Value::Int(a), Value::Int(b)) => Value::Range(a, b),
                    _ => Value::Error,
                }
            }
            ExprKind::Unary(op, a) => {
                let a = self.expr(a);
                self.unary(*op, &a, span)
            }
            ExprKind::Binary(op, a, b) => {
                let a = self.expr(a);
                // The right side of `and` and `or` is left alone where the left side decides.
                match (op, &a) {
                    (BinaryOp::And, Value::Bool(false)) => return Value::Bool(false),
                    (BinaryOp::Or, Value::Bool(true)) => return Value::Bool(true),
                    _ => {}
                }
                let b = self.expr(b);
                self.binary(*op, &a, &b, span)
            }
            ExprKind::Call(call) => self.call(call, span),
            ExprKind::Index(list, index) => self.index(list, index),
            ExprKind::If(cond, then, otherwise) => {
                let value = self.choose(cond, then, otherwise.as_ref(), span);
                self.something(value, span)
            }
            ExprKind::Named(inner, text) => self.named(inner, text),
        }
    }

    fn name(&self, name: &str) -> Value {
        if let Some(it) = self.scopes[self.floor..].iter().rev().find_map(|it| it.get(name)) {
            return it.clone();
        }
        // Not taken by the operator; `cos` is not a function here.
        let operator = self.building.is_some() || self.trace.is_some();
        if operator && GEOMETRY.contains(&name) && self.items.get(name).is_none() {
            return Value::Error;
        }
        if let Some(item) = self.items.get(name) {
            return match &item.def {
                Def::Param(_) => self.params.get(name).cloned().unwrap_or(Value::Error),
                Def::Operator(it) => Value::Operator(OperatorRef::new(it.clone())),
                Def::Fn(it) => Value::Fn(FnRef::Item(it.clone())),
                Def::Block(_) => Value::Error,
            };
        }
        if let Some((_, value)) = CONSTANTS.iter().find(|it| it.0 == name) {
            return Value::Float(*value);
        }
        if let Some((name, _)) = signature::FUNCTIONS.iter().find(|it| it.0 == name) {
            return Value::Fn(FnRef::Builtin(name));
        }
        match &self.data {
            Some(data) if name == "classes" => Value::Int(data.classes as i64),
            _ => Value::Error,
        }
    }

    fn index(&mut self, list: &ast::Expr, index: &ast::Expr) -> Value {
        let items = match self.expr(list) {
            Value::List(it) => it,
            Value::Range(low, high) => (low..high).take(MOST_REPETITIONS as usize).map(Value::Int).collect(),
            Value::Error => return Value::Error,
            other => {
                self.report(
                    Diagnostic::new(Code::E0104, list.span, format!("cannot index {}", other.describe()))
                        .label("expected a list"),
                );
                return Value::Error;
            }
        };
        let at = self.expr(index);
        let Value::Int(at) = self.coerce(at, &Ty::Int, index.span, "an index", None) else { return Value::Error };
        match usize::try_from(at).ok().and_then(|it| items.get(it)) {
            Some(it) => it.clone(),
            None => {
                let range = match items.len() {
                    0 => "the list is empty".to_owned(),
                    n => format!("between 0 and {}", n - 1),
                };
                self.out_of_range(index.span, "the index", &at.to_string(), &range);
                Value::Error
            }
        }
    }

    fn named(&mut self, inner: &ast::Expr, text: &ast::Text) -> Value {
        let name = self.text(text).unwrap_or_else(|| {
            self.unnamed += 1;
            format!("?{}", self.unnamed)
        });
        if name.is_empty() || name.split('/').any(str::is_empty) {
            self.report(
                Diagnostic::new(Code::E0108, text.span, format!("`{name}` cannot be a name"))
                    .label("a name has at least one character on each side of a `/`"),
            );
        }
        let count = count(self.items, inner);
        let report = self.names.enter_named(&name, count, text.span);
        self.report_all(report);
        let path = self.names.path().to_owned();
        let before = self.graph.layers.len();
        let value = self.expr(inner);
        // What holds no layer of its own is still a place that `show` can point at.
        if let Value::Tensor(tensor) = &value
            && before == self.graph.layers.len()
        {
            let origin = self.origin(inner.span);
            self.graph.layers.push(Layer { path, kind: "value".to_owned(), output: tensor.train, origin });
        }
        self.names.leave();
        value
    }

    /// Runs a block's or function's body on bound parameters; the callee sees nothing of the caller.
    pub(super) fn enter(&mut self, scope: Scope, body: &ast::Body) -> Value {
        let floor = std::mem::replace(&mut self.floor, self.scopes.len());
        self.scopes.push(scope);
        let value = self.body(body);
        self.scopes.pop();
        self.floor = floor;
        value
    }

    /// The scope of a block's call.
    pub(super) fn enter_block(
        &mut self,
        block: &ast::Function,
        scope: Scope,
        span: Span,
        frame: Option<Frame>,
    ) -> Value {
        // What is called on the result of a layer may belong beside it.
        let owner = block.params.iter().find_map(|it| match scope.get(&it.name.name) {
            Some(Value::Tensor(it)) => Some(it.owner.clone()),
            _ => None,
        });
        let owner = owner.flatten();
        let report = self.names.enter_block(self.items, block, owner.as_deref(), span);
        self.report_all(report);
        let path = self.names.path().to_owned();
        let framed = frame.is_some();
        self.frames.extend(frame);
        let value = self.enter(scope, &block.body);
        if framed {
            self.frames.pop();
        }
        self.names.leave();
        self.finish_block(block, (&path, owner), value, span)
    }
}
