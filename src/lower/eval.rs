//! The dynamic half: unfolds bodies into nodes. Names and arguments were checked by `resolve`; what is
//! not found here was reported there.

use super::blocks::training;
use super::budget::weight;
use super::items::Def;
use super::naming::count;
use super::ranges::divisors;
use super::resolve::{CONSTANTS, GEOMETRY};
use super::told::Told;
use super::types;
use super::value::{FnRef, OperatorRef, Tensor, Ty, Value, range_len, short};
use super::{Lowering, signature};
use crate::diag::{Code, Diagnostic, Span};
use crate::ir::{Layer, Phase, feature};
use crate::syntax::ast::{self, BinaryOp, ExprKind, Part, Sharing, StmtKind, TypeKind};
use std::collections::BTreeMap;

/// Names of one body.
pub(super) type Scope = BTreeMap<String, Value>;

/// How often a loop may run: a typing mistake must not fill the memory.
pub(super) const MOST_REPETITIONS: u64 = 100_000;

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
            if self.is_exhausted() {
                return self.lost(stmt.span);
            }
            if let StmtKind::Assert { cond, message } = &stmt.kind {
                // What the prelude asserts of its arguments is all there is to say of a call.
                if !self.assert(stmt.span, cond, message.as_ref()) && stmt.span.file == self.items.prelude {
                    return self.lost(stmt.span);
                }
                value = Value::Nothing;
                continue;
            }
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
    pub(super) fn assign(&mut self, name: &str, value: Value) {
        let floor = self.floor;
        match self.scopes[floor..].iter_mut().rev().find_map(|it| it.get_mut(name)) {
            Some(place) => *place = value,
            None => self.bind(name, value),
        }
        self.forget_source(name);
    }

    fn stmt(&mut self, stmt: &ast::Stmt) -> Value {
        match &stmt.kind {
            StmtKind::Input { name, dtype, dims } => {
                let value = self.input(stmt.span, name, dtype, dims);
                self.note(name.span, &value);
                self.bind(&name.name, value);
            }
            StmtKind::Let { name, ty, value } => {
                let found = self.expr(value);
                let found = self.annotated(found, ty.as_ref(), &name.name, value.span);
                self.note(name.span, &found);
                self.bind(&name.name, found);
            }
            StmtKind::Assign { name, value } => {
                let found = self.expr(value);
                let found = self.something(found, value.span);
                self.note(name.span, &found);
                self.assign(&name.name, found);
            }
            StmtKind::Unpack { names, value } => self.unpack(names, value),
            StmtKind::For { index, item, list, body } => self.repeat(stmt.span, index.as_ref(), item, list, body),
            StmtKind::If { cond, then, otherwise } => {
                return self.choose(cond, then, otherwise.as_ref(), stmt.span);
            }
            StmtKind::Assert { cond, message } => {
                self.assert(stmt.span, cond, message.as_ref());
            }
            StmtKind::Output { name, value } => {
                let found = self.expr(value);
                // In a block this was reported; what it meant is the block's value.
                if self.floor != 0 {
                    return found;
                }
                self.set_output(name.as_ref(), found, value.span, stmt.span);
            }
            StmtKind::Learn { name, role, scope, init } => {
                let value = match scope {
                    // Where each is allowed, `resolve` says.
                    ast::Extents::Each(scope) if self.building.is_some() => self.learn(name, scope, init),
                    ast::Extents::Shape(dims, span) if self.building.is_none() && self.floor != 0 => {
                        self.learn_tensor(name, role.as_ref(), (dims, *span), init)
                    }
                    ast::Extents::Each(_) | ast::Extents::Shape(..) => self.lost(name.span),
                };
                self.note(name.span, &value);
                self.bind(&name.name, value);
            }
            StmtKind::Keep { name, init } => self.keep_for_update(name, init),
            StmtKind::Stat { name, dims, value } => {
                let found = match (self.building.is_some(), self.floor) {
                    (true, _) => self.stat(name, value),
                    (false, 0) => self.lost(name.span),
                    (false, _) => self.running(name, dims.as_deref(), value),
                };
                self.note(name.span, &found);
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
        self.fail(
            Diagnostic::new(Code::E0104, span, "this gives no value")
                .label("expected a value")
                .help("the value of a block is its last expression: end it with one"),
        )
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
        let value = self.coerce(value, &Ty::Tensor, span, &"a value with a shape", Some(asserted));
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
        self.fail(report)
    }

    fn extent(&mut self, expr: &ast::Expr) -> Option<usize> {
        let value = match &expr.kind {
            ExprKind::Binary(BinaryOp::Div, whole, parts) if self.source(parts).is_some() => {
                self.share(whole, parts, expr.span)
            }
            _ => self.expr(expr),
        };
        let value = self.coerce(value, &Ty::Int, expr.span, &"an extent", None);
        match value {
            Value::Int(it) => {
                let (what, span) = self.said_of(expr, "an extent");
                self.sized(it, span, &what, 1)
            }
            _ => None,
        }
    }

    /// `channels(x) / groups`, an extent, where `groups` is what a call gives.
    fn share(&mut self, whole: &ast::Expr, parts: &ast::Expr, span: Span) -> Value {
        let (a, b) = (self.expr(whole), self.expr(parts));
        let (Value::Int(all), Value::Int(count)) = (&a, &b) else { return self.binary(BinaryOp::Div, &a, &b, span) };
        let (what, place) = self.said_of(parts, "the number of parts");
        let Some(count) = self.sized(*count, place, &what, 1) else { return self.lost(place) };
        let Some(all) = usize::try_from(*all).ok().filter(|it| !it.is_multiple_of(count)) else {
            return self.binary(BinaryOp::Div, &a, &b, span);
        };
        let report = self
            .at(Code::E0108, place, format!("{what} is {count}, out of range"))
            .label(format!("does not divide `{}`, which is {all}", self.sources.slice(whole.span)))
            .help(format!("give {}", divisors(all)));
        self.fail(report)
    }

    /// Extents of what is kept: one by one, or a list of them such as `shape(x)`.
    pub(super) fn kept_extents(&mut self, dims: &[ast::Expr]) -> Option<Vec<usize>> {
        let [ast::Expr { kind: ExprKind::Call(_), .. }] = dims else { return self.extents(dims) };
        let (value, span) = (self.expr(&dims[0]), dims[0].span);
        let items = match value {
            Value::List(items) => items,
            one => vec![one],
        };
        let mut all = Vec::new();
        for item in items {
            match self.coerce(item, &Ty::Int, span, &"an extent", None) {
                Value::Int(it) => all.push(self.sized(it, span, "an extent", 1)),
                _ => all.push(None),
            }
        }
        all.into_iter().collect()
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
            Value::Error(told) => return self.after_mistake(body, told),
            Value::List(it) => it,
            Value::Range(low, high) if range_len(low, high) <= MOST_REPETITIONS => {
                (low..high).map(Value::Int).collect()
            }
            Value::Range(low, high) => {
                self.out_of_range(
                    list.span,
                    "the number of repetitions",
                    &range_len(low, high).to_string(),
                    &format!("at most {MOST_REPETITIONS}"),
                );
                let told = self.told(list.span);
                return self.after_mistake(body, told);
            }
            other => {
                let report = Diagnostic::new(Code::E0104, list.span, format!("cannot loop over {}", other.describe()))
                    .label("expected a list or a range");
                let report = match other {
                    Value::Int(it) => report.fix(format!("did you mean `0..{it}`?"), list.span, format!("0..{it}")),
                    Value::Tensor(_) if matches!(&list.kind, ExprKind::Call(it) if it.callee.name == "range") => {
                        report.help("a range is written `0..n`, as in `for i in 0..n`")
                    }
                    _ => report,
                };
                self.report(report);
                let told = self.told(list.span);
                return self.after_mistake(body, told);
            }
        };
        let header = Span { end: list.span.end, ..span };
        // With a param or a loop's variable in it, it may be meant.
        if let (ExprKind::Range(low, high), true) = (&list.kind, values.is_empty())
            && [low, high].iter().all(|it| matches!(it.kind, ExprKind::Int(_)))
        {
            let report = Diagnostic::new(Code::W0203, list.span, "this loop repeats nothing")
                .label("holds no number: a range goes up, and ends before its second number")
                .help("write the smaller number first, or remove the loop");
            self.report(report);
        }
        for (at, value) in values.into_iter().enumerate() {
            if !self.pay(20 + weight(&value), header) {
                let told = self.told(header);
                return self.after_mistake(body, told);
            }
            let value_text = short(&value);
            let text = match index {
                Some(index) => format!("{} = {at}, {} = {value_text}", index.name, item.name),
                None => format!("{} = {value_text}", item.name),
            };
            self.enter_frame(header, format!("in repetition {text} of this loop"));
            let mut scope = Scope::new();
            self.note(item.span, &value);
            if let Some(index) = index {
                self.note(index.span, &Value::Int(at as i64));
                scope.insert(index.name.clone(), Value::Int(at as i64));
            }
            scope.insert(item.name.clone(), value);
            self.scopes.push(scope);
            self.body(body);
            self.scopes.pop();
            self.leave_frame();
        }
    }

    /// A body that cannot run: the names it would rebind are unknown from here on.
    fn after_mistake(&mut self, body: &ast::Body, told: Told) {
        for stmt in &body.stmts {
            match &stmt.kind {
                StmtKind::Assign { name, .. } => {
                    let floor = self.floor;
                    if let Some(it) = self.scopes[floor..].iter_mut().rev().find_map(|it| it.get_mut(&name.name)) {
                        *it = Value::Error(told);
                    }
                }
                StmtKind::Unpack { names, .. } => {
                    for name in names {
                        self.assign(&name.name, Value::Error(told));
                    }
                }
                StmtKind::For { body, .. } => self.after_mistake(body, told),
                StmtKind::If { then, otherwise, .. } => {
                    self.after_mistake(then, told);
                    if let Some(it) = otherwise {
                        self.after_mistake(it, told);
                    }
                }
                StmtKind::Output { .. } => self.lost_output(),
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
                let Some(pool) = &mut self.pool else { return self.lost(span) };
                match (super::arith::to_scalar(pool, &a), super::arith::to_scalar(pool, &b)) {
                    (Some(a), Some(b)) => Value::Scalar(pool.select(cond, a, b)),
                    _ => self.lost(span),
                }
            }
            other => {
                let of_steps = self.not_of_steps(&other, cond.span);
                let told = match of_steps.unwrap_or(other) {
                    Value::Error(told) => told,
                    other => {
                        let report =
                            Diagnostic::new(Code::E0104, cond.span, format!("the condition is {}", other.describe()))
                                .label("expected a bool")
                                .note("conditions are decided when the file is unfolded");
                        self.report(match other {
                            Value::Tensor(_) => report.help("choose for each number: `select(condition, a, b)`"),
                            _ => report,
                        });
                        self.told(cond.span)
                    }
                };
                self.after_mistake(then, told);
                if let Some(it) = otherwise {
                    self.after_mistake(it, told);
                }
                Value::Error(told)
            }
        }
    }

    /// Whether it holds, or could not be asked.
    fn assert(&mut self, span: Span, cond: &ast::Expr, message: Option<&ast::Text>) -> bool {
        let value = match self.expr(cond) {
            Value::Tensor(it) => self.holds_at_all_steps(&it).map_or(Value::Tensor(it), Value::Bool),
            other => other,
        };
        match value {
            Value::Bool(true) | Value::Error(_) => return true,
            Value::Bool(false) => {
                let text = match message {
                    Some(it) => self.text_with(it, true),
                    None => Some("the assertion does not hold".to_owned()),
                };
                let Some(text) = text else { return false };
                let mut report = self.at(Code::E0110, span, text).label("asserted here");
                if let ExprKind::Binary(op, a, b) = &cond.kind
                    && !matches!(op, BinaryOp::And | BinaryOp::Or)
                {
                    let (left, right) = (self.expr(a), self.expr(b));
                    report = report.note(format!("the two sides are {} and {}", short(&left), short(&right)));
                }
                self.report(report);
            }
            other => self.report(
                Diagnostic::new(Code::E0104, cond.span, format!("the assertion is {}", other.describe()))
                    .label("expected a bool"),
            ),
        }
        false
    }

    /// The characters of a string; `None` after a mistake in one of its holes.
    pub(super) fn text(&mut self, text: &ast::Text) -> Option<String> {
        self.text_with(text, false)
    }

    /// The same; a number of the updates done is told by where it lies, if it may be `late`.
    fn text_with(&mut self, text: &ast::Text, late: bool) -> Option<String> {
        let mut all = String::new();
        let mut sound = true;
        for part in &text.parts {
            match part {
                ast::TextPart::Literal(it) => all.push_str(it),
                ast::TextPart::Hole(it) => {
                    let mut value = self.expr(it);
                    if matches!(value, Value::Tensor(_)) && !late {
                        let message = format!("a text cannot hold {}", value.describe());
                        let report = self.at(Code::E0104, it.span, message).label("is not known when the file is read");
                        value = self.fail(report);
                    }
                    sound &= !value.is_error();
                    self.pay(weight(&value), it.span);
                    all.push_str(&self.lies(&value).unwrap_or_else(|| value.to_string()));
                }
            }
        }
        sound.then_some(all)
    }

    /// Evaluates an expression.
    pub(super) fn expr(&mut self, expr: &ast::Expr) -> Value {
        let value = if self.descend(expr.span) { self.unfolded(expr) } else { self.lost(expr.span) };
        self.ascend();
        value
    }

    fn unfolded(&mut self, expr: &ast::Expr) -> Value {
        let span = expr.span;
        match &expr.kind {
            ExprKind::Int(it) => Value::Int(*it),
            ExprKind::Float(it) => Value::Float(*it),
            ExprKind::Bool(it) => Value::Bool(*it),
            ExprKind::Str(it) => match self.text(it) {
                Some(it) => Value::Str(it),
                None => self.lost(span),
            },
            ExprKind::Name(name) => {
                let value = self.name(name, span);
                self.note(span, &value);
                value
            }
            ExprKind::List(list) => {
                let values: Vec<Value> = list.iter().map(|it| self.expr(it)).collect();
                Value::first_error(&values).unwrap_or(Value::List(values))
            }
            ExprKind::Range(low, high) => {
                let (a, b) = (self.expr(low), self.expr(high));
                let a = self.coerce(a, &Ty::Int, low.span, &"the start of a range", None);
                let b = self.coerce(b, &Ty::Int, high.span, &"the end of a range", None);
                match (a, b) {
                    (Value::Int(a), Value::Int(b)) => Value::Range(a, b),
                    _ => self.lost(span),
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
            ExprKind::Call(call) => {
                let value = self.call(call, span);
                self.note(call.callee.span, &value);
                value
            }
            ExprKind::Index(list, index) => self.index(list, index),
            ExprKind::If(cond, then, otherwise) => {
                let value = self.choose(cond, then, otherwise.as_ref(), span);
                self.something(value, span)
            }
            ExprKind::Named(inner, text, _) if self.names_losses() => self.named_measure(inner, text),
            ExprKind::Named(inner, text, sharing) => self.named(inner, text, *sharing),
        }
    }

    fn name(&mut self, name: &str, span: Span) -> Value {
        if let Some(it) = self.scopes[self.floor..].iter().rev().find_map(|it| it.get(name)) {
            let it = it.clone();
            self.length_matters |= name == "iterations" && (self.scheduled.is_some() || self.update.is_some());
            return if self.pay(weight(&it), span) { it } else { self.lost(span) };
        }
        if let Some(value) = self.objective_name(name, span) {
            return value;
        }
        if self.scheduled.is_some() && self.items.definition(Part::Schedule, name, span.file).is_some() {
            return self.named_schedule(name, span);
        }
        // Not taken by the operator; `cos` is not a function here.
        let operator = self.building.is_some() || self.trace.is_some();
        if operator && GEOMETRY.contains(&name) && self.items.get(name, span.file).is_none() {
            return self.lost(span);
        }
        if let Some(item) = self.items.get(name, span.file) {
            return match &item.def {
                Def::Param(_) => self.param_value(name, span),
                Def::Operator(it) => Value::Operator(OperatorRef::new(it.clone())),
                Def::Fn(it) => Value::Fn(FnRef::Item(it.clone())),
                Def::Block(_) => self.lost(span),
            };
        }
        if let Some(value) = self.of_steps(name, span) {
            return value;
        }
        if let Some((_, value)) = CONSTANTS.iter().find(|it| it.0 == name) {
            return Value::Float(*value);
        }
        if let Some((name, _)) = signature::FUNCTIONS.iter().find(|it| it.0 == name) {
            return Value::Fn(FnRef::Builtin(name));
        }
        match &self.data {
            Some(data) if name == "classes" => {
                let data = data.clone();
                self.classes(&data, span)
            }
            _ => self.lost(span),
        }
    }

    /// The value of a param that was decided.
    pub(super) fn param_value(&mut self, name: &str, span: Span) -> Value {
        match self.params.get(name).cloned() {
            Some(it) if self.pay(weight(&it), span) => it,
            Some(_) | None => self.lost(span),
        }
    }

    fn index(&mut self, list: &ast::Expr, index: &ast::Expr) -> Value {
        let list_value = self.expr(list);
        let len = match &list_value {
            Value::List(it) => it.len() as u64,
            Value::Range(low, high) => range_len(*low, *high),
            Value::Error(_) => return list_value,
            other => {
                return self.fail(
                    Diagnostic::new(Code::E0104, list.span, format!("cannot index {}", other.describe()))
                        .label("expected a list"),
                );
            }
        };
        let at = self.expr(index);
        let Value::Int(at) = self.coerce(at, &Ty::Int, index.span, &"an index", None) else {
            return self.lost(index.span);
        };
        let found = match &list_value {
            Value::List(items) => usize::try_from(at).ok().and_then(|it| items.get(it)).cloned(),
            Value::Range(low, _) if u64::try_from(at).is_ok_and(|it| it < len) => low.checked_add(at).map(Value::Int),
            _ => None,
        };
        match found {
            Some(it) => it,
            None => {
                let range = match len {
                    0 => "the list is empty".to_owned(),
                    n => format!("between 0 and {}", n - 1),
                };
                self.out_of_range(index.span, "the index", &at.to_string(), &range);
                self.lost(index.span)
            }
        }
    }

    fn named(&mut self, inner: &ast::Expr, text: &ast::Text, sharing: Sharing) -> Value {
        let name = self.text(text).unwrap_or_else(|| {
            self.unnamed += 1;
            format!("?{}", self.unnamed)
        });
        let signs = name.chars().any(char::is_control);
        if signs || name.is_empty() || name.split('/').any(str::is_empty) {
            self.report(
                Diagnostic::new(Code::E0108, text.span, format!("`{}` cannot be a name", name.escape_debug())).label(
                    match signs {
                        true => "a name stands on one line, and has signs that can be seen",
                        false => "a name has at least one character on each side of a `/`",
                    },
                ),
            );
        }
        let items = self.items;
        let count = *self.counts.entry(inner.span).or_insert_with(|| count(items, inner));
        let before = self.graph.layers.len();
        let again = sharing == Sharing::Shared && self.enter_shared(&name, inner, count, text.span);
        if !again {
            let report = self.names.enter_named(&name, count, text.span);
            self.report_all(report);
        }
        let path = self.names.path().to_owned();
        let value = self.expr(inner);
        if sharing == Sharing::Shared {
            self.leave_shared();
        }
        if again {
            // It is listed once.
            self.graph.layers.truncate(before);
            self.names.leave();
            return value;
        }
        if let Value::Tensor(tensor) = &value {
            self.tell(&path, tensor);
        }
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

    /// Lets an evaluation tell a tensor, if it was asked for by this name; of several the last one.
    pub(super) fn tell(&mut self, name: &str, tensor: &Tensor) {
        if self.settings.features.iter().any(|it| it == name) {
            self.graph.results.entry(Phase::Evaluate).or_default().insert(feature(name), tensor.evaluate);
        }
    }

    /// Runs a block's or function's body on bound parameters; the callee sees nothing of the caller.
    pub(super) fn enter(&mut self, scope: Scope, body: &ast::Body, call: Span) -> Value {
        if !self.descend_call(call) {
            self.ascend_call();
            return self.lost(call);
        }
        let floor = std::mem::replace(&mut self.floor, self.scopes.len());
        self.scopes.push(scope);
        let value = self.body(body);
        self.scopes.pop();
        self.floor = floor;
        self.ascend_call();
        value
    }

    /// The call of a block that is not entered takes its name all the same.
    pub(super) fn nameless(&mut self, block: &ast::Function, span: Span) {
        let report = self.names.enter_block(self.items, block, None, span);
        self.report_all(report);
        self.names.leave();
    }

    /// The scope of a block's call.
    pub(super) fn enter_block(
        &mut self,
        block: &ast::Function,
        scope: Scope,
        listing: Option<String>,
        span: Span,
        frame: Option<String>,
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
        if let Some(text) = frame {
            self.enter_frame(span, text);
        }
        let value = self.enter(scope, &block.body, span);
        if framed {
            self.leave_frame();
        }
        let value = self.finish_block(block, (&path, owner), listing, value, span);
        self.names.leave();
        value
    }
}
