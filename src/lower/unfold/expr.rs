//! Expressions.

use crate::diag::{Code, Diagnostic, Span};
use crate::ir::Callee;
use crate::lower::names::items::Def;
use crate::lower::names::words::{CONSTANTS, GEOMETRY};
use crate::lower::network::naming::count;
use crate::lower::report::budget::weight;
use crate::lower::unfold::Unfold;
use crate::lower::values::signature;
use crate::lower::values::value::{FnRef, OperatorRef, Ty, Value, range_len};
use crate::syntax::ast::{self, BinaryOp, ExprKind, Part, Sharing};

/// What of a list is of another type than its first value. Ints serve as floats. One value may stand beside a list of them:
/// a number for equal ones, as `pad: [1, [0, 2]]` has it, and a tensor, as what layers join is one list in the end.
fn odd(values: &[Value]) -> Option<usize> {
    fn kind(it: &Value) -> Option<&'static str> {
        match it {
            Value::Int(_) | Value::Float(_) | Value::Range(..) => Some("a number"),
            // Each list was looked at when it was made.
            Value::List(items) => items.iter().find_map(kind),
            // A number that an operator or a recipe computes stands beside one that is known.
            Value::Scalar(_) => Some("a number"),
            Value::Bool(_) | Value::Str(_) | Value::Operator(_) | Value::Fn(_) | Value::Tensor(_) | Value::Start(_) => {
                Some(it.kind())
            }
            Value::Error(_) | Value::Nothing => None,
        }
    }
    let first = values.iter().find_map(kind)?;
    values.iter().position(|it| kind(it).is_some_and(|it| it != first))
}

/// Signs that names may have besides letters and digits.
const SIGNS: &str = "_-+. /";

/// Why a text cannot be the name of a layer or a loss.
pub(super) fn not_a_name(name: &str) -> Option<String> {
    // What stands for a mistake is reported.
    let of_a_mistake = name.strip_prefix('?').is_some_and(|it| it.bytes().all(|it| it.is_ascii_digit()));
    let sign = name.chars().find(|it| !it.is_alphanumeric() && !SIGNS.contains(*it));
    match sign.filter(|_| !of_a_mistake) {
        Some(it) if it.is_control() => Some("a name stands on one line, and has signs that can be seen".to_owned()),
        Some(it) => Some(format!("a name has letters, digits, spaces and `_ - + . /`, found `{it}`")),
        None if name.split('/').any(|it| it.trim().is_empty()) => {
            Some("a name has at least one character on each side of a `/`".to_owned())
        }
        None => None,
    }
}

impl Unfold<'_> {
    /// The characters of a string; `None` after a mistake in one of its holes.
    pub(in crate::lower) fn text(&mut self, text: &ast::Text) -> Option<String> {
        self.text_with(text, false)
    }

    /// The same; a number of the updates done is told by where it lies, if it may be `late`.
    pub(super) fn text_with(&mut self, text: &ast::Text, late: bool) -> Option<String> {
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
    pub(in crate::lower) fn expr(&mut self, expr: &ast::Expr) -> Value {
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
                // What a call gathers into a list has no bracket of its own; there it is told what the argument must be.
                let written = list.first().is_none_or(|it| it.span.start != span.start);
                match (Value::first_error(&values), odd(&values).filter(|_| written)) {
                    (Some(told), _) => told,
                    (None, Some(at)) => {
                        let (first, other) = (values[0].describe(), values[at].describe());
                        let report = Diagnostic::new(
                            Code::E0104,
                            list[at].span,
                            format!("a list has values of one type, found {other}"),
                        )
                        .label(format!("the first one is {first}"));
                        self.fail(report)
                    }
                    (None, None) => Value::List(values),
                }
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

    pub(in crate::lower) fn name(&mut self, name: &str, span: Span) -> Value {
        if let Some(it) = self.scopes.get(name) {
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
        if let Some(label) = not_a_name(&name) {
            let message = format!("`{}` cannot be a name", name.escape_debug());
            self.report(Diagnostic::new(Code::E0108, text.span, message).label(label));
        }
        let items = self.items;
        let count = *self.counts.entry(inner.span).or_insert_with(|| count(items, inner));
        let before = self.outlined();
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
            self.unlist(before);
            self.names.leave();
            return value;
        }
        if let Value::Tensor(tensor) = &value {
            self.tell(&path, tensor);
        }
        // What holds no layer of its own is still a place that `show` can point at.
        if let Value::Tensor(tensor) = &value
            && before.lists_no_layer(&self.graph)
        {
            let callee = Callee { name: "value".to_owned(), text: "value".to_owned(), arguments: Vec::new() };
            self.list(path, callee, tensor, inner.span);
        }
        self.names.leave();
        value
    }
}
