//! Statements, and bodies of them.

use crate::diag::{Code, Diagnostic, Span};
use crate::lower::names::words::training;
use crate::lower::report::budget::{MOST_REPETITIONS, weight};
use crate::lower::report::told::Told;
use crate::lower::scalar::lift;
use crate::lower::unfold::Unfold;
use crate::lower::unfold::scopes::Scope;
use crate::lower::values::types;
use crate::lower::values::value::{Value, range_len, short};
use crate::syntax::ast::{self, BinaryOp, ExprKind, StmtKind, TypeKind};

impl Unfold<'_> {
    /// `a, b = split(x, 2)`: each name is the value in its place, new or of an enclosing scope.
    fn unpack(&mut self, names: &[ast::Ident], value: &ast::Expr) {
        let found = self.expr(value);
        let count = match found {
            Value::Range(low, high) => range_len(low, high),
            Value::List(ref items) => items.len() as u64,
            _ => names.len() as u64,
        };
        let values = match found {
            Value::List(items) => items,
            Value::Range(low, _) => (low..).take(names.len()).map(Value::Int).collect(),
            Value::Error(told) => vec![Value::Error(told); names.len()],
            other => {
                let report =
                    Diagnostic::new(Code::E0104, value.span, format!("this is {}, not a list", other.describe()))
                        .label(format!("{} names take a list of as many values", names.len()));
                vec![self.fail(report); names.len()]
            }
        };
        let values = if count == names.len() as u64 {
            values
        } else {
            let (found, wanted) = (count, names.len());
            let report = self
                .at(Code::E0104, value.span, format!("{wanted} names take a list of {found}"))
                .label(format!("has {found} value{}", if found == 1 { "" } else { "s" }));
            vec![self.fail(report); wanted]
        };
        for (name, value) in names.iter().zip(values) {
            self.assign(&name.name, value);
        }
    }

    /// Runs a body in a scope of its own.
    pub(in crate::lower) fn body(&mut self, body: &ast::Body) -> Value {
        self.scopes.open(Scope::new());
        let value = self.stmts(body);
        self.scopes.close();
        value
    }

    /// Runs statements in the current scope; the value of the last one, if it is an expression.
    pub(in crate::lower) fn stmts(&mut self, body: &ast::Body) -> Value {
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

    pub(in crate::lower) fn stmt(&mut self, stmt: &ast::Stmt) -> Value {
        match &stmt.kind {
            StmtKind::Input { name, dtype, dims } => {
                let value = self.input(stmt.span, name, dtype, dims);
                self.note(name.span, &value);
                self.scopes.bind(&name.name, value);
            }
            StmtKind::Let { name, ty, value } => {
                let found = self.expr(value);
                let found = self.annotated(found, ty.as_ref(), &name.name, value.span);
                self.note(name.span, &found);
                self.scopes.bind(&name.name, found);
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
                if !self.scopes.is_outside() {
                    return found;
                }
                self.set_output(name.as_ref(), found, value.span, stmt.span);
            }
            StmtKind::Learn { name, role, scope, init } => {
                let value = match scope {
                    // Where each is allowed, `resolve` says.
                    ast::Extents::Each(scope) if self.building.is_some() => self.learn(name, scope, init),
                    ast::Extents::Shape(dims, span) if self.building.is_none() && !self.scopes.is_outside() => {
                        self.learn_tensor(name, role.as_ref(), (dims, *span), init)
                    }
                    ast::Extents::Each(_) | ast::Extents::Shape(..) => self.lost(name.span),
                };
                self.note(name.span, &value);
                self.scopes.bind(&name.name, value);
            }
            StmtKind::Keep { name, init } => self.keep_for_update(name, init),
            StmtKind::Stat { name, dims, value } => {
                let found = match (self.building.is_some(), self.scopes.is_outside()) {
                    (true, _) => self.stat(name, value),
                    (false, true) => self.lost(name.span),
                    (false, false) => self.running(name, dims.as_deref(), value),
                };
                self.note(name.span, &found);
                self.scopes.bind(&name.name, found);
            }
            StmtKind::Expr(value) => return self.expr(value),
        }
        Value::Nothing
    }

    /// A value must be something; a body without a last expression is nothing.
    pub(super) fn something(&mut self, value: Value, span: Span) -> Value {
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
                    Value::Int(it) => {
                        self.instead(report, format!("did you mean `0..{it}`?"), list.span, format!("0..{it}"))
                    }
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
            self.scopes.open(scope);
            self.body(body);
            self.scopes.close();
            self.leave_frame();
        }
    }

    /// A body that cannot run: the names it would rebind are unknown from here on.
    fn after_mistake(&mut self, body: &ast::Body, told: Told) {
        for stmt in &body.stmts {
            match &stmt.kind {
                StmtKind::Assign { name, .. } => {
                    self.scopes.rebind(&name.name, Value::Error(told));
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

    pub(super) fn choose(
        &mut self,
        cond: &ast::Expr,
        then: &ast::Body,
        otherwise: Option<&ast::Body>,
        span: Span,
    ) -> Value {
        let cond_value = match training(cond) {
            Some(trains) if !self.scopes.holds("training") => {
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
                match (lift::to_scalar(pool, &a), lift::to_scalar(pool, &b)) {
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
}
