//! Walks the bodies of definitions and of the model.

use crate::diag::{Code, Diagnostic, Span};
use crate::lower::names::index::Role;
use crate::lower::names::items::suggest;
use crate::lower::names::words::{GEOMETRY, geometry};
use crate::lower::resolve::{Context, Local, Resolver};
use crate::lower::values::types;
use crate::lower::values::value::Ty;
use crate::syntax::ast::{self, ExprKind, StmtKind, TypeKind};
use std::collections::BTreeMap;

/// Whether an expression is one of its type's words.
fn is_word(ty: &Ty, value: &ast::Expr) -> bool {
    match (ty, &value.kind) {
        (Ty::Words(words), ExprKind::Name(name)) => words.contains(&name.as_str()),
        _ => false,
    }
}

/// What a value of a recipe calls.
pub(super) fn callee(value: &ast::Expr) -> Option<&str> {
    match &value.kind {
        ExprKind::Call(call) => Some(&call.callee.name),
        ExprKind::Name(name) => Some(name),
        _ => None,
    }
}

fn is_name(expr: &ast::Expr, name: &str) -> bool {
    matches!(&expr.kind, ExprKind::Name(it) if it == name)
}

impl Resolver<'_> {
    pub(super) fn function(&mut self, function: &ast::Function, context: Context) {
        self.context = context;
        self.confused = false;
        self.gone.clear();
        self.open();
        let outer = std::mem::replace(&mut self.extent, function.span);
        let mut seen: BTreeMap<&str, Span> = BTreeMap::new();
        let mut foreign = false;
        for param in &function.params {
            let name = param.name.name.as_str();
            if let Some(first) = seen.insert(name, param.name.span) {
                self.sink.push(
                    Diagnostic::new(
                        Code::E0103,
                        param.name.span,
                        format!("`{}` has two parameters `{name}`", function.name.name),
                    )
                    .label("again here")
                    .also(first, "first here"),
                );
            }
            if context == Context::Operator && param.default.is_none() && geometry(name).is_none() {
                let report = Diagnostic::new(
                    Code::E0105,
                    param.name.span,
                    format!("the operator `{}` cannot be given `{name}`", function.name.name),
                )
                .label("neither part of the geometry nor a constant with a default")
                .note("an operator is a function of `theta`, `cos`, `x_norm`, `w_norm` and, in a head, `target`")
                .help(format!("a constant needs a default: `{name} = 0.5`"));
                let report = suggest(report, param.name.span, name, GEOMETRY.iter().copied());
                self.sink.push(report);
                foreign = true;
            }
            match (&param.default, &param.ty) {
                (Some(default), Some(ty)) if types::of(ty) == Ty::Axes => self.axis_words(default),
                (Some(default), Some(ty)) if types::of(ty) == Ty::Start => self.start(default),
                (Some(default), Some(ty)) if is_word(&types::of(ty), default) => {}
                (Some(default), _) => self.expr(default),
                (None, _) => {}
            }
            if let Some(ty) = &param.ty {
                self.annotation(ty);
            }
            self.given_by_name(function, param, context);
            self.bind(&param.name, Some("parameter"));
        }
        // The parameter that cannot be given may well be a part of the geometry, misspelt.
        self.confused |= foreign;
        for name in GEOMETRY.iter().filter(|_| foreign) {
            if self.local(name).is_none() {
                self.bind(&ast::Ident { name: (*name).to_owned(), span: function.header }, None);
            }
        }
        self.stmts(&function.body);
        self.close();
        self.extent = outer;
        // What an optimizer binds may be what it keeps for the next step.
        if context != Context::Optimizer {
            self.flow(&function.body, &function.params, true);
        }
        self.leave();
    }

    pub(super) fn annotation(&mut self, ty: &ast::Type) {
        match &ty.kind {
            TypeKind::Name(name) => {
                if types::named(name).is_none() {
                    let report = Diagnostic::new(Code::E0104, ty.span, format!("unknown type `{name}`"))
                        .label(format!("expected one of {}", types::list()));
                    self.sink.push(suggest(report, ty.span, name, types::NAMES.iter().copied()));
                }
            }
            TypeKind::List(item) => self.annotation(item),
            TypeKind::Shape(dims) => dims.iter().for_each(|it| self.expr(it)),
        }
    }

    pub(super) fn open(&mut self) {
        self.scopes.push(BTreeMap::new());
    }

    pub(in crate::lower) fn bind(&mut self, name: &ast::Ident, what: Option<&'static str>) {
        self.mention_bound(name, what);
        if let Some(scope) = self.scopes.last_mut() {
            let local = Local { span: name.span, used: false, what };
            if let Some(old) = scope.insert(name.name.clone(), local)
                && old.used
                && let Some(it) = scope.get_mut(&name.name)
            {
                it.used = true;
            }
        }
    }

    pub(super) fn local(&mut self, name: &str) -> Option<&mut Local> {
        self.scopes.iter_mut().rev().find_map(|it| it.get_mut(name))
    }

    /// Counts a mention at a place as a use. What a definition of the prelude uses is not the file's.
    pub(super) fn mark(&mut self, name: &str, at: Span) {
        if let Some(local) = self.local(name) {
            local.used = true;
        } else if name != self.current && !self.items.is_own(at.file) {
            self.uses.insert(name.to_owned());
        }
    }

    pub(super) fn misplaced(&mut self, span: Span, what: &str, place: &str) {
        self.sink
            .push(Diagnostic::new(Code::E0201, span, format!("`{what}` belongs in {place}")).label("not allowed here"));
    }

    pub(in crate::lower) fn stmts(&mut self, body: &ast::Body) {
        let outer = std::mem::replace(&mut self.extent, body.span);
        for stmt in &body.stmts {
            self.stmt(stmt);
        }
        self.extent = outer;
    }

    pub(super) fn nested(&mut self, body: &ast::Body) {
        self.open();
        self.stmts(body);
        self.close();
    }

    pub(in crate::lower) fn stmt(&mut self, stmt: &ast::Stmt) {
        match &stmt.kind {
            StmtKind::Input { name, dims, .. } => {
                if self.context != Context::Model {
                    self.misplaced(stmt.span, "input", "a model");
                }
                dims.iter().for_each(|it| self.expr(it));
                // A second input is reported for that.
                let second = self.scopes.iter().flat_map(|it| it.values()).any(|it| it.what == Some("input"));
                self.bind(name, if second { None } else { Some("input") });
            }
            StmtKind::Let { name, ty, value } => {
                self.expr(value);
                let ty = ty.as_ref().map(types::of_let);
                if let Some(ty) = &ty {
                    self.annotation(ty);
                }
                // A shape is asserted for its own sake.
                let shaped = matches!(ty.map(|it| it.kind), Some(TypeKind::Shape(_)));
                self.bind(name, if shaped { None } else { Some("value") });
            }
            StmtKind::Assign { name, value } => {
                self.expr(value);
                self.assigned(name);
            }
            StmtKind::Unpack { names, value } => {
                self.expr(value);
                names.iter().for_each(|it| self.assigned(it));
            }
            StmtKind::For { index, item, list, body } => {
                self.expr(list);
                self.open();
                let outer = std::mem::replace(&mut self.extent, body.span);
                if let Some(index) = index {
                    self.bind(index, None);
                }
                self.bind(item, None);
                self.extent = outer;
                self.stmts(body);
                self.close();
            }
            StmtKind::If { cond, then, otherwise } => self.choice(cond, then, otherwise.as_ref(), stmt.span),
            StmtKind::Assert { cond, message } => {
                self.expr(cond);
                if let Some(it) = message {
                    self.text(it);
                }
            }
            StmtKind::Output { name, value } => {
                name.iter().for_each(|it| self.mention(it.span, Role::Value, Some(it.span)));
                if self.context != Context::Model {
                    self.misplaced(stmt.span, "output", "a model; the last expression of a block is its value");
                }
                self.expr(value);
            }
            StmtKind::Learn { name, role, scope, init } => self.learn(stmt.span, name, role.as_ref(), scope, init),
            StmtKind::Keep { name, init } => self.keep(stmt.span, name, init),
            StmtKind::Stat { name, dims, value } => self.stat(stmt.span, name, dims.as_deref(), value),
            StmtKind::Expr(value) => match &value.kind {
                // Said by `flow`: it was meant to bind the name.
                ExprKind::Binary(ast::BinaryOp::Eq, a, b) if self.is_new(a) => {
                    self.expr(b);
                    if let ExprKind::Name(name) = &a.kind {
                        self.bind(&ast::Ident { name: name.clone(), span: a.span }, None);
                    }
                }
                _ => self.expr(value),
            },
        }
    }

    /// A name that gets a value: bound, unless it is.
    fn assigned(&mut self, name: &ast::Ident) {
        match self.local(&name.name).map(|it| (it.span, it.what)) {
            Some((first, what)) => self.mention(name.span, Self::role_of(what), Some(first)),
            None => self.bind(name, Some("value")),
        }
    }

    /// Whether an expression is a name that stands for nothing yet.
    pub(super) fn is_new(&mut self, expr: &ast::Expr) -> bool {
        let ExprKind::Name(name) = &expr.kind else { return false };
        self.local(name).is_none() && self.items.get(name, expr.span.file).is_none() && name != "classes"
    }

    pub(in crate::lower) fn text(&mut self, text: &ast::Text) {
        for part in &text.parts {
            if let ast::TextPart::Hole(it) = part {
                self.expr(it);
            }
        }
    }

    pub(in crate::lower) fn expr(&mut self, expr: &ast::Expr) {
        match &expr.kind {
            ExprKind::Int(_) | ExprKind::Float(_) | ExprKind::Bool(_) => {}
            ExprKind::Str(it) => self.text(it),
            ExprKind::Name(name) => self.name(name, expr.span),
            ExprKind::List(list) => list.iter().for_each(|it| self.expr(it)),
            // What a role is compared with is a word of its own.
            ExprKind::Binary(_, a, b) if self.selector && (is_name(a, "role") || is_name(b, "role")) => {
                for it in [a, b].into_iter().filter(|it| matches!(it.kind, ExprKind::Name(_))) {
                    self.mention(it.span, Role::Word, None);
                }
            }
            ExprKind::Range(a, b) | ExprKind::Binary(_, a, b) | ExprKind::Index(a, b) => {
                self.expr(a);
                self.expr(b);
            }
            ExprKind::Unary(_, a) => self.expr(a),
            ExprKind::Call(call) => self.call(call),
            ExprKind::If(cond, then, otherwise) => self.choice(cond, then, otherwise.as_ref(), expr.span),
            ExprKind::Named(inner, text, _) => {
                if let ExprKind::Named(_, first, _) = &inner.kind {
                    self.sink.push(
                        Diagnostic::new(Code::E0103, text.span, "this has two names")
                            .label("the second one")
                            .also(first.span, "the first one")
                            .help("keep one of them: it is where checkpoints have what is learned"),
                    );
                }
                self.expr(inner);
                self.text(text);
            }
        }
    }
}
