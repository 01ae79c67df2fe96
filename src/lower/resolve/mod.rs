//! The static half: every name, callee and argument of every item, used or not, and what is never
//! used. The dynamic half (`eval`) then keeps silent about all of these.

mod cycles;
mod kept;
mod names;
mod updates;

use crate::diag::{Code, Diagnostic, Sink, Span};
use crate::lower::items::{Def, Home, Items, suggest};
use crate::lower::types;
use crate::syntax::ast::{self, ExprKind, StmtKind, TypeKind};
use std::collections::{BTreeMap, BTreeSet};

/// What an operator can be a function of.
pub(super) const GEOMETRY: &[&str] = &["theta", "cos", "x_norm", "w_norm", "target"];

/// Names of numbers that need no definition.
pub(super) const CONSTANTS: &[(&str, f64)] = &[("pi", std::f64::consts::PI), ("e", std::f64::consts::E)];

/// Where an expression stands; decides what it may contain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Context {
    Model,
    Block,
    Fn,
    Operator,
    Optimizer,
    /// Params and the recipe: values only.
    Value,
}

#[derive(Clone, Debug)]
struct Local {
    span: Span,
    used: bool,
    /// What to call it when it is never used; `None` for what may stay unused.
    what: Option<&'static str>,
}

/// Walks trees.
pub(super) struct Resolver<'a> {
    items: &'a Items,
    sink: &'a mut Sink,
    scopes: Vec<BTreeMap<String, Local>>,
    /// Names that went out of scope in the current function, for a better message.
    gone: BTreeMap<String, Span>,
    context: Context,
    /// Whether the walked item is of the main file: only those are linted.
    main: bool,
    /// Whether `classes` means something.
    classes: bool,
    uses: BTreeSet<String>,
    /// The item being walked; its own mention does not make it used.
    current: String,
    calls: BTreeMap<String, Vec<(String, Span)>>,
    /// Undefined names and unknown callees, one report each however often they are used.
    unknown: BTreeMap<(Code, String), Diagnostic>,
    /// Names that a misspelt one probably meant: those are not unused.
    meant: BTreeSet<String>,
    /// Whether the current function has an undefined name, which may well be what is unused.
    confused: bool,
    /// Inside what an operator does in training only.
    in_training: bool,
    /// Inside the condition of a selector.
    selector: bool,
    /// What is unused in the current function.
    idle: Vec<Diagnostic>,
    /// Whether unused definitions are reported.
    lint: bool,
    /// Whether the walked model has no `input`.
    no_input: bool,
    /// How many unknown callees are around what is walked.
    strangers: usize,
}

impl<'a> Resolver<'a> {
    pub(super) fn new(items: &'a Items, sink: &'a mut Sink, classes: bool, lint: bool) -> Self {
        Self {
            items,
            sink,
            scopes: Vec::new(),
            gone: BTreeMap::new(),
            context: Context::Value,
            main: true,
            classes,
            uses: BTreeSet::new(),
            current: String::new(),
            calls: BTreeMap::new(),
            unknown: BTreeMap::new(),
            meant: BTreeSet::new(),
            confused: false,
            in_training: false,
            selector: false,
            idle: Vec::new(),
            lint,
            no_input: false,
            strangers: 0,
        }
    }

    /// Walks everything; gives the blocks and functions that contain themselves.
    pub(super) fn run(mut self, extra: &[ast::Expr]) -> BTreeSet<String> {
        for (name, item) in self.items.iter() {
            self.main = item.home == Home::Main;
            self.current = name.clone();
            match &item.def {
                Def::Param(it) => self.param(it),
                Def::Operator(it) => self.function(it, Context::Operator),
                Def::Fn(it) => self.function(it, Context::Fn),
                Def::Block(it) => self.function(it, Context::Block),
            }
        }
        self.optimizers();
        self.current.clear();
        self.main = true;
        for model in &self.items.models {
            self.context = Context::Model;
            self.confused = false;
            self.no_input = !model.body.stmts.iter().any(|it| matches!(it.kind, StmtKind::Input { .. }));
            self.open();
            self.stmts(&model.body);
            self.close();
            self.leave();
            self.no_input = false;
        }
        self.context = Context::Value;
        for train in &self.items.trains {
            for entry in &train.entries {
                self.train_entry(entry);
            }
        }
        for expr in extra {
            self.expr(expr);
        }
        let endless = self.recursion();
        if self.lint {
            self.unused();
        }
        std::mem::take(&mut self.unknown).into_values().for_each(|it| self.sink.push(it));
        endless
    }

    /// The recipe's own words are checked where the recipe is read; here only names that hold values.
    fn train_entry(&mut self, entry: &ast::TrainEntry) {
        for mut value in &entry.values {
            while let ExprKind::Call(call) = &value.kind {
                call.args.iter().for_each(|it| self.expr(&it.value));
                let Some(piped) = &call.piped else { break };
                value = piped;
            }
            match &value.kind {
                ExprKind::Name(name) => self.mark(name),
                ExprKind::Call(_) => {}
                _ => self.expr(value),
            }
        }
        if let Some(filter) = &entry.filter {
            self.open();
            for name in ["operator", "layer", "role"] {
                self.bind(&ast::Ident { name: name.to_owned(), span: filter.span }, None);
            }
            self.selector = true;
            self.expr(filter);
            self.selector = false;
            self.close();
        }
        if let Some(every) = &entry.every {
            self.expr(every);
        }
    }

    fn param(&mut self, param: &ast::Param) {
        self.context = Context::Value;
        self.expr(&param.default);
        if let Some(ty) = &param.ty {
            self.annotation(ty);
        }
    }

    fn function(&mut self, function: &ast::Function, context: Context) {
        self.context = context;
        self.confused = false;
        self.gone.clear();
        self.open();
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
            if context == Context::Operator && param.default.is_none() && !GEOMETRY.contains(&name) {
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
            if let Some(default) = &param.default {
                self.expr(default);
            }
            if let Some(ty) = &param.ty {
                self.annotation(ty);
            }
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
        self.leave();
    }

    /// Ends a function: its lints are reported unless a mistake explains them.
    fn leave(&mut self) {
        self.gone.clear();
        let idle = std::mem::take(&mut self.idle);
        if self.lint && !self.confused {
            idle.into_iter().for_each(|it| self.sink.push(it));
        }
    }

    fn annotation(&mut self, ty: &ast::Type) {
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

    fn open(&mut self) {
        self.scopes.push(BTreeMap::new());
    }

    fn close(&mut self) {
        for (name, local) in self.scopes.pop().unwrap_or_default() {
            if let Some(what) = local.what
                && !local.used
                && self.main
                && !name.starts_with('_')
            {
                let fix = format!("_{name}");
                self.idle.push(
                    Diagnostic::new(Code::W0104, local.span, format!("`{name}` is never used"))
                        .label(format!("unused {what}"))
                        .fix(format!("prefix with `_` to keep it on purpose: `{fix}`"), local.span, fix),
                );
            }
            self.gone.insert(name, local.span);
        }
    }

    fn bind(&mut self, name: &ast::Ident, what: Option<&'static str>) {
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

    fn local(&mut self, name: &str) -> Option<&mut Local> {
        self.scopes.iter_mut().rev().find_map(|it| it.get_mut(name))
    }

    /// Counts a mention as a use.
    fn mark(&mut self, name: &str) {
        if let Some(local) = self.local(name) {
            local.used = true;
        } else if name != self.current {
            self.uses.insert(name.to_owned());
        }
    }

    fn misplaced(&mut self, span: Span, what: &str, place: &str) {
        self.sink
            .push(Diagnostic::new(Code::E0201, span, format!("`{what}` belongs in {place}")).label("not allowed here"));
    }

    fn stmts(&mut self, body: &ast::Body) {
        for stmt in &body.stmts {
            self.stmt(stmt);
        }
    }

    fn nested(&mut self, body: &ast::Body) {
        self.open();
        self.stmts(body);
        self.close();
    }

    fn stmt(&mut self, stmt: &ast::Stmt) {
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
                if let Some(ty) = ty {
                    match &ty.kind {
                        // `[16]` may be a shape of one axis.
                        TypeKind::List(item) => match &item.kind {
                            TypeKind::Name(it) if types::named(it).is_none() => self.name(it, item.span),
                            _ => self.annotation(ty),
                        },
                        _ => self.annotation(ty),
                    }
                }
                // A shape is asserted for its own sake.
                let shaped = matches!(ty.as_ref().map(|it| &it.kind), Some(TypeKind::Shape(_)));
                self.bind(name, if shaped { None } else { Some("value") });
            }
            StmtKind::Assign { name, value } => {
                self.expr(value);
                if self.local(&name.name).is_none() {
                    self.bind(name, Some("value"));
                }
            }
            StmtKind::For { index, item, list, body } => {
                self.expr(list);
                self.open();
                if let Some(index) = index {
                    self.bind(index, None);
                }
                self.bind(item, None);
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
            StmtKind::Output(value) => {
                if self.context != Context::Model {
                    self.misplaced(stmt.span, "output", "a model; the last expression of a block is its value");
                }
                self.expr(value);
            }
            StmtKind::Learn { name, role, scope, init } => self.learn(stmt.span, name, role.as_ref(), scope, init),
            StmtKind::Keep { name, init } => self.keep(stmt.span, name, init),
            StmtKind::Stat { name, dims, value } => self.stat(stmt.span, name, dims.as_deref(), value),
            StmtKind::Expr(value) => self.expr(value),
        }
    }

    fn text(&mut self, text: &ast::Text) {
        for part in &text.parts {
            if let ast::TextPart::Hole(it) = part {
                self.expr(it);
            }
        }
    }

    fn expr(&mut self, expr: &ast::Expr) {
        match &expr.kind {
            ExprKind::Int(_) | ExprKind::Float(_) | ExprKind::Bool(_) => {}
            ExprKind::Str(it) => self.text(it),
            ExprKind::Name(name) => self.name(name, expr.span),
            ExprKind::List(list) => list.iter().for_each(|it| self.expr(it)),
            // What a role is compared with is a word of its own.
            ExprKind::Binary(_, a, b) if self.selector && (is_name(a, "role") || is_name(b, "role")) => {}
            ExprKind::Range(a, b) | ExprKind::Binary(_, a, b) | ExprKind::Index(a, b) => {
                self.expr(a);
                self.expr(b);
            }
            ExprKind::Unary(_, a) => self.expr(a),
            ExprKind::Call(call) => self.call(call),
            ExprKind::If(cond, then, otherwise) => self.choice(cond, then, otherwise.as_ref(), expr.span),
            ExprKind::Named(inner, text) => {
                self.expr(inner);
                self.text(text);
            }
        }
    }
}

fn is_name(expr: &ast::Expr, name: &str) -> bool {
    matches!(&expr.kind, ExprKind::Name(it) if it == name)
}
