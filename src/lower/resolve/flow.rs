//! What becomes of values: statements whose value nothing takes, and values that are bound anew before anything reads
//! them. A body is walked backwards with the names that are read later.

use crate::diag::{Code, Diagnostic, Span};
use crate::lower::names::items::Def;
use crate::lower::resolve::{Context, Resolver};
use crate::lower::values::signature::{FUNCTIONS, QUERIES, builtin};
use crate::syntax::ast::{self, BinaryOp, Body, Expr, ExprKind, Extents, StmtKind, TextPart, TypeKind};
use std::cell::RefCell;
use std::collections::BTreeSet;

/// Names that are read later.
type Live = BTreeSet<String>;

/// The walk of one function or model.
struct Flow {
    /// What is read anywhere in it; other names are reported as a whole.
    read: Live,
    /// Values that nothing reads, and where their names are bound.
    lost: Vec<(String, Span, Span)>,
    /// Expressions whose value nothing takes, with what to write instead.
    dropped: Vec<Diagnostic>,
}

/// Whether a body ends in an expression that is no list.
fn ends_in_tensor(body: &Body) -> bool {
    match body.stmts.last().map(|it| &it.kind) {
        Some(StmtKind::Expr(it)) => !matches!(it.kind, ExprKind::List(_)),
        Some(StmtKind::If { then, .. }) => ends_in_tensor(then),
        _ => false,
    }
}

/// Every name that a body reads.
fn reads(body: &Body, into: &mut Live) {
    let found = RefCell::new(std::mem::take(into));
    body.find(&|it| {
        match &it.kind {
            ExprKind::Name(name) => drop(found.borrow_mut().insert(name.clone())),
            ExprKind::Call(call) => drop(found.borrow_mut().insert(call.callee.name.clone())),
            _ => {}
        }
        false
    });
    *into = found.into_inner();
}

impl Resolver<'_> {
    /// Reports what a body throws away. `valued` says whether its last expression is its value.
    pub(super) fn flow(&mut self, body: &Body, params: &[ast::FnParam], valued: bool) {
        let mut read = Live::new();
        reads(body, &mut read);
        let mut flow = Flow { read, lost: Vec::new(), dropped: Vec::new() };
        let mut live = Live::new();
        self.backwards(&mut flow, body, valued, &mut live);
        for param in params {
            let name = &param.name.name;
            if flow.read.contains(name) && !live.contains(name) {
                flow.lost.push((name.clone(), param.name.span, param.name.span));
            }
        }
        for (name, span, value) in flow.lost {
            self.lost.push(value);
            if flow.read.contains(&name) && self.main && !name.starts_with('_') {
                self.idle.push((
                    None,
                    Diagnostic::new(Code::W0104, span, format!("this value of `{name}` is never used"))
                        .label("nothing reads it before it is bound anew, or at all")
                        .help("use it, or remove the line"),
                ));
            }
        }
        flow.dropped.into_iter().for_each(|it| self.sink.push(it));
    }

    fn backwards(&self, flow: &mut Flow, body: &Body, valued: bool, live: &mut Live) {
        let outer = live.clone();
        for (at, stmt) in body.stmts.iter().enumerate().rev() {
            let wanted = valued && at + 1 == body.stmts.len();
            match &stmt.kind {
                StmtKind::Input { name, dims, .. } => {
                    live.remove(&name.name);
                    dims.iter().for_each(|it| self.take(flow, it, live));
                }
                StmtKind::Let { name, ty, value } => {
                    let shape = match ty.as_ref().map(|it| &it.kind) {
                        Some(TypeKind::Shape(dims)) => Some(dims),
                        _ => None,
                    };
                    // A shape is asserted for its own sake.
                    if !live.remove(&name.name) && shape.is_none() {
                        flow.lost.push((name.name.clone(), name.span, value.span));
                    }
                    shape.into_iter().flatten().for_each(|it| self.take(flow, it, live));
                    self.take(flow, value, live);
                }
                StmtKind::Assign { name, value } => {
                    if !live.remove(&name.name) {
                        flow.lost.push((name.name.clone(), name.span, value.span));
                    }
                    self.take(flow, value, live);
                }
                StmtKind::Unpack { names, value } => {
                    // What is taken out of a list beside something else may go unread under `_`.
                    let read: Vec<bool> = names.iter().map(|it| live.remove(&it.name)).collect();
                    for (name, _) in names.iter().zip(read).filter(|it| !it.1) {
                        flow.lost.push((name.name.clone(), name.span, value.span));
                    }
                    self.take(flow, value, live);
                }
                StmtKind::For { list, body, .. } => {
                    // What one pass binds, the next may read.
                    let mut inside = live.clone();
                    reads(body, &mut inside);
                    self.backwards(flow, body, false, &mut inside);
                    live.append(&mut inside);
                    self.take(flow, list, live);
                }
                StmtKind::If { cond, then, otherwise } => {
                    self.branches(flow, cond, then, otherwise.as_ref(), wanted, live);
                }
                StmtKind::Assert { cond, message } => {
                    message.iter().for_each(|it| self.holes(flow, it, live));
                    self.take(flow, cond, live);
                }
                StmtKind::Output { value, .. } => self.take(flow, value, live),
                StmtKind::Learn { name, scope, init, .. } => {
                    live.remove(&name.name);
                    if let Extents::Shape(dims, _) = scope {
                        dims.iter().for_each(|it| self.take(flow, it, live));
                    }
                    self.take(flow, init, live);
                }
                StmtKind::Keep { name, init } => {
                    live.remove(&name.name);
                    self.take(flow, init, live);
                }
                StmtKind::Stat { name, dims, value } => {
                    live.remove(&name.name);
                    dims.iter().flatten().for_each(|it| self.take(flow, it, live));
                    self.take(flow, value, live);
                }
                StmtKind::Expr(value) => {
                    if !wanted && self.gives_value(&stmt.kind, 0) && !self.is_strange(value) {
                        flow.dropped.push(self.dropped(value, live));
                    }
                    self.take(flow, value, live);
                }
            }
        }
        // A name that is bound inside may hide one that is read afterwards.
        live.extend(outer);
    }

    fn branches(
        &self,
        flow: &mut Flow,
        cond: &Expr,
        then: &Body,
        otherwise: Option<&Body>,
        wanted: bool,
        live: &mut Live,
    ) {
        let mut other = live.clone();
        if let Some(it) = otherwise {
            self.backwards(flow, it, wanted, &mut other);
        }
        self.backwards(flow, then, wanted, live);
        live.append(&mut other);
        self.take(flow, cond, live);
    }

    fn holes(&self, flow: &mut Flow, text: &ast::Text, live: &mut Live) {
        for part in &text.parts {
            if let TextPart::Hole(it) = part {
                self.take(flow, it, live);
            }
        }
    }

    /// What an expression reads.
    fn take(&self, flow: &mut Flow, expr: &Expr, live: &mut Live) {
        match &expr.kind {
            ExprKind::Int(_) | ExprKind::Float(_) | ExprKind::Bool(_) => {}
            ExprKind::Str(it) => self.holes(flow, it, live),
            ExprKind::Name(name) => drop(live.insert(name.clone())),
            ExprKind::List(items) => items.iter().for_each(|it| self.take(flow, it, live)),
            ExprKind::Range(a, b) | ExprKind::Binary(_, a, b) | ExprKind::Index(a, b) => {
                self.take(flow, b, live);
                self.take(flow, a, live);
            }
            ExprKind::Unary(_, a) => self.take(flow, a, live),
            ExprKind::Call(call) => {
                live.insert(call.callee.name.clone());
                call.args.iter().rev().for_each(|it| self.take(flow, &it.value, live));
                call.piped.iter().for_each(|it| self.take(flow, it, live));
            }
            ExprKind::If(cond, then, otherwise) => {
                self.branches(flow, cond, then, otherwise.as_ref(), true, live);
            }
            ExprKind::Named(inner, text, _) => {
                self.take(flow, inner, live);
                self.holes(flow, text, live);
            }
        }
    }

    /// Whether a statement gives a value: not the call of a block that only asserts.
    fn gives_value(&self, stmt: &StmtKind, depth: usize) -> bool {
        let ends = |body: &Body| body.stmts.last().is_some_and(|it| self.gives_value(&it.kind, depth + 1));
        match stmt {
            StmtKind::Expr(expr) => {
                let mut expr = expr;
                while let ExprKind::Named(inner, ..) = &expr.kind {
                    expr = inner;
                }
                match &expr.kind {
                    // Blocks that contain each other are reported for that.
                    ExprKind::Call(call) => match self.items.called(call).map(|it| &it.def) {
                        Some(Def::Block(block)) => depth < 8 && ends(&block.body),
                        _ => true,
                    },
                    _ => true,
                }
            }
            StmtKind::If { then, otherwise, .. } => ends(then) || otherwise.as_ref().is_some_and(ends),
            StmtKind::Input { .. }
            | StmtKind::Let { .. }
            | StmtKind::Assign { .. }
            | StmtKind::Unpack { .. }
            | StmtKind::For { .. }
            | StmtKind::Assert { .. }
            | StmtKind::Output { .. }
            | StmtKind::Learn { .. }
            | StmtKind::Keep { .. }
            | StmtKind::Stat { .. } => false,
        }
    }

    /// Whether an expression holds what was reported as unknown.
    fn is_strange(&self, expr: &Expr) -> bool {
        let unknown = |name: &str| self.unknown.keys().any(|it| it.1 == name);
        let strange = |it: &Expr| match &it.kind {
            ExprKind::Name(name) => unknown(name),
            ExprKind::Call(call) => unknown(&call.callee.name) || self.calls_operator(call),
            _ => false,
        };
        expr.find(&strange).is_some()
    }

    fn calls_operator(&self, call: &ast::Call) -> bool {
        self.context != Context::Operator && matches!(self.items.called(call).map(|it| &it.def), Some(Def::Operator(_)))
    }

    fn dropped(&self, expr: &Expr, live: &Live) -> Diagnostic {
        let report = Diagnostic::new(Code::E0111, expr.span, "the value of this line is not used")
            .label("nothing takes what this gives");
        let start = Span { end: expr.span.start, ..expr.span };
        if let ExprKind::Binary(BinaryOp::Eq, a, b) = &expr.kind
            && let ExprKind::Name(name) = &a.kind
            && !matches!(b.kind, ExprKind::Int(_) | ExprKind::Bool(_) | ExprKind::Str(_))
        {
            let sign = Span { start: a.span.end, end: b.span.start, ..a.span };
            return report.fix(format!("to bind `{name}`, write `=`"), sign, " = ");
        }
        if let ExprKind::Binary(op, ..) = &expr.kind
            && !matches!(
                op,
                BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul | BinaryOp::Div | BinaryOp::Rem | BinaryOp::Pow
            )
        {
            return report.fix("to demand it, write `assert` before it", start, "assert ");
        }
        let target = self.subject(expr).filter(|it| live.contains(*it));
        match target.filter(|_| self.gives_tensor(expr)) {
            Some(name) => {
                let text = self.sources.slice(expr.span);
                let line = if text.contains('\n') { "..." } else { text };
                report.fix(format!("to go on with it, write `{name} = {line}`"), start, format!("{name} = "))
            }
            None => report.help("bind it to a name that a later line uses, or remove the line"),
        }
    }

    /// The value that an expression works on: its first operand, through all calls.
    fn subject<'e>(&self, expr: &'e Expr) -> Option<&'e str> {
        match &expr.kind {
            ExprKind::Name(name) => (self.items.get(name, expr.span.file).is_none()).then_some(name.as_str()),
            ExprKind::Call(call) => {
                let first = call.piped.as_deref().or_else(|| call.args.first().map(|it| &it.value))?;
                self.subject(first)
            }
            ExprKind::Binary(_, a, b) => self.subject(a).or_else(|| self.subject(b)),
            ExprKind::Unary(_, a) | ExprKind::Named(a, ..) => self.subject(a),
            ExprKind::Int(_)
            | ExprKind::Float(_)
            | ExprKind::Bool(_)
            | ExprKind::Str(_)
            | ExprKind::List(_)
            | ExprKind::Range(..)
            | ExprKind::Index(..)
            | ExprKind::If(..) => None,
        }
    }

    /// Whether an expression gives what its operand was: a tensor, or a number of a function.
    fn gives_tensor(&self, expr: &Expr) -> bool {
        match &expr.kind {
            ExprKind::Binary(..) | ExprKind::Unary(..) => true,
            ExprKind::Named(inner, ..) => self.gives_tensor(inner),
            ExprKind::Call(call) => {
                let name = call.callee.name.as_str();
                match self.items.called(call).map(|it| &it.def) {
                    Some(Def::Block(it)) => ends_in_tensor(&it.body),
                    Some(Def::Fn(_)) => true,
                    Some(Def::Operator(_) | Def::Param(_)) => false,
                    None => {
                        FUNCTIONS.iter().any(|it| it.0 == name)
                            && !QUERIES.contains(&name)
                            && builtin(name).is_some_and(|it| it.matched(call).1.is_empty())
                    }
                }
            }
            ExprKind::Int(_)
            | ExprKind::Float(_)
            | ExprKind::Bool(_)
            | ExprKind::Str(_)
            | ExprKind::Name(_)
            | ExprKind::List(_)
            | ExprKind::Range(..)
            | ExprKind::Index(..)
            | ExprKind::If(..) => false,
        }
    }
}
