//! The static half: every name, callee and argument of every item, used or not, and what is never
//! used. The dynamic half (`eval`) then keeps silent about all of these.

use super::items::{Def, Home, Item, Items, suggest};
use super::signature::{FUNCTIONS, LAYERS, QUERIES, Signature, builtin};
use super::types;
use crate::diag::{Code, Diagnostic, Sink, Span};
use crate::syntax::ast::{self, ExprKind, StmtKind, TypeKind};
use std::collections::{BTreeMap, BTreeSet};

/// What an operator can be a function of.
pub(super) const GEOMETRY: &[&str] = &["theta", "cos", "x_norm", "w_norm"];

/// Names of numbers that need no definition.
pub(super) const CONSTANTS: &[(&str, f64)] = &[("pi", std::f64::consts::PI), ("e", std::f64::consts::E)];

/// Where an expression stands; decides what it may contain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Context {
    Model,
    Block,
    Fn,
    Operator,
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
    /// Names that a misspelt one probably meant: those are not unused.
    meant: BTreeSet<String>,
    /// Whether the current function has an undefined name, which may well be what is unused.
    confused: bool,
    /// What is unused in the current function.
    idle: Vec<Diagnostic>,
    /// Whether unused definitions are reported.
    lint: bool,
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
            meant: BTreeSet::new(),
            confused: false,
            idle: Vec::new(),
            lint,
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
        self.current.clear();
        self.main = true;
        for model in &self.items.models {
            self.context = Context::Model;
            self.confused = false;
            self.open();
            self.stmts(&model.body);
            self.close();
            self.leave();
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
        endless
    }

    /// The recipe's own words are checked where the recipe is read; here only names that hold values.
    fn train_entry(&mut self, entry: &ast::TrainEntry) {
        for value in &entry.values {
            match &value.kind {
                ExprKind::Name(name) => self.mark(name),
                ExprKind::Call(call) => call.args.iter().for_each(|it| self.expr(&it.value)),
                _ => self.expr(value),
            }
        }
        if let Some(filter) = &entry.filter {
            self.open();
            for name in ["operator", "layer", "role", "filter", "gamma", "beta", "learned"] {
                self.bind(&ast::Ident { name: name.to_owned(), span: filter.span }, None);
            }
            self.expr(filter);
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
                .note("an operator is a function of `theta`, `cos`, `x_norm` and `w_norm`")
                .help(format!("a constant needs a default: `{name} = 0.5`"));
                let report = suggest(report, param.name.span, name, GEOMETRY.iter().copied());
                self.sink.push(report);
            }
            if let Some(default) = &param.default {
                self.expr(default);
            }
            if let Some(ty) = &param.ty {
                self.annotation(ty);
            }
            self.bind(&param.name, Some("parameter"));
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
                self.bind(name, Some("input"));
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
                self.bind(name, Some("value"));
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
            StmtKind::If { cond, then, otherwise } => {
                self.expr(cond);
                self.nested(then);
                if let Some(it) = otherwise {
                    self.nested(it);
                }
            }
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
            StmtKind::Learn { name, scope, init } => {
                if self.context != Context::Operator {
                    self.misplaced(stmt.span, "learn", "an operator");
                }
                if !["filter", "layer"].contains(&scope.name.as_str()) {
                    let report =
                        Diagnostic::new(Code::E0104, scope.span, format!("`{}` is not what can learn", scope.name))
                            .label("expected `filter` (a number for each filter) or `layer` (one number)");
                    let report = suggest(report, scope.span, &scope.name, ["filter", "layer"]);
                    self.sink.push(report);
                }
                self.expr(init);
                self.bind(name, Some("learnable"));
            }
            StmtKind::Stat { name, value } => {
                if self.context != Context::Operator {
                    self.misplaced(stmt.span, "stat", "an operator");
                }
                // The statistic is a word of its own, not a function.
                match &value.kind {
                    ExprKind::Call(call) if call.callee.name == "mean" => {
                        call.piped.iter().for_each(|it| self.expr(it));
                        call.args.iter().for_each(|it| self.expr(&it.value));
                    }
                    ExprKind::Call(call) => self.sink.push(
                        Diagnostic::new(
                            Code::E0101,
                            call.callee.span,
                            format!("unknown statistic `{}`", call.callee.name),
                        )
                        .label("expected `mean`")
                        .help("write `stat mu = mean(x_norm, decay: 0.999)`"),
                    ),
                    _ => self.sink.push(
                        Diagnostic::new(Code::E0104, value.span, "expected a statistic")
                            .label("expected `mean(...)`")
                            .help("write `stat mu = mean(x_norm, decay: 0.999)`"),
                    ),
                }
                self.bind(name, Some("statistic"));
            }
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
            ExprKind::Range(a, b) | ExprKind::Binary(_, a, b) | ExprKind::Index(a, b) => {
                self.expr(a);
                self.expr(b);
            }
            ExprKind::Unary(_, a) => self.expr(a),
            ExprKind::Call(call) => self.call(call),
            ExprKind::If(cond, then, otherwise) => {
                self.expr(cond);
                self.nested(then);
                if let Some(it) = otherwise {
                    self.nested(it);
                }
            }
            ExprKind::Named(inner, text) => {
                self.expr(inner);
                self.text(text);
            }
        }
    }

    fn name(&mut self, name: &str, span: Span) {
        if self.local(name).is_some() {
            self.mark(name);
            return;
        }
        match self.items.get(name).map(|it| &it.def) {
            Some(Def::Block(it)) => {
                self.mark(name);
                self.sink.push(
                    Diagnostic::new(Code::E0104, span, format!("the block `{name}` is not a value"))
                        .label("blocks can only be called")
                        .also(it.header, "defined here"),
                );
            }
            Some(_) => self.mark(name),
            None if CONSTANTS.iter().any(|it| it.0 == name) => {}
            None if name == "classes" && self.classes => {}
            None if name == "classes" => self.sink.push(
                Diagnostic::new(Code::E0102, span, "undefined name `classes`")
                    .label("the number of classes of the data set, which this file does not name")
                    .help("add a `train` section with `data`, or `param classes = 10`"),
            ),
            None if FUNCTIONS.iter().any(|it| it.0 == name) => {}
            None => self.undefined(name, span),
        }
    }

    fn undefined(&mut self, name: &str, span: Span) {
        self.confused = true;
        let report = Diagnostic::new(Code::E0102, span, format!("undefined name `{name}`"));
        if let Some(&place) = self.gone.get(name) {
            self.sink.push(
                report
                    .label("not defined in this scope")
                    .also(place, "this one ends with the braces around it")
                    .help(format!("bind `{name}` before the loop or `if`, so that the body rebinds it")),
            );
            return;
        }
        let locals: Vec<String> = self.scopes.iter().flat_map(|it| it.keys().cloned()).collect();
        let mut known: Vec<&str> = locals.iter().map(String::as_str).collect();
        known.extend(self.items.iter().filter(|(_, it)| !matches!(it.def, Def::Block(_))).map(|(it, _)| it.as_str()));
        known.extend(CONSTANTS.iter().map(|it| it.0));
        if self.classes {
            known.push("classes");
        }
        // One or two letters are close to any others.
        let long = 2 < name.chars().count();
        let near = crate::diag::did_you_mean(name, known.iter().copied()).filter(|_| long).map(str::to_owned);
        self.meant.extend(near.clone());
        let mut report = report.label("not defined in this scope");
        if let Some(near) = near {
            let place = match self.local(&near) {
                Some(it) => Some((it.span, "a value")),
                None => self.items.get(&near).filter(|it| it.home != Home::Prelude).map(place_of),
            };
            if let Some((place, what)) = place
                && place.file == span.file
            {
                report = report.also(place, format!("{what} with a similar name is defined here"));
            }
            report = report.fix(format!("did you mean `{near}`?"), span, near);
        }
        self.sink.push(report);
    }

    fn call(&mut self, call: &ast::Call) {
        let name = call.callee.name.as_str();
        let signature = if self.local(name).is_some() {
            self.mark(name);
            None
        } else {
            self.mark(name);
            self.callee(call)
        };
        let words = signature.map(|it| {
            let (matched, wrong) = it.matched(call);
            wrong.into_iter().for_each(|it| self.sink.push(it));
            let mut words: Vec<(&ast::Expr, &'static [&'static str], String)> = Vec::new();
            for (slot, value) in it.slots.iter().zip(matched) {
                if let (super::value::Ty::Words(list), Some(value)) = (&slot.ty, value) {
                    words.push((value, list, slot.name.clone()));
                }
            }
            words
        });
        for value in call.piped.as_deref().into_iter().chain(call.args.iter().map(|it| &it.value)) {
            let word = words.iter().flatten().find(|it| std::ptr::eq(it.0, value));
            match (&value.kind, word) {
                (ExprKind::Name(name), Some((_, list, slot))) if self.local(name).is_none() => {
                    let known = list.contains(&name.as_str()) || self.items.get(name).is_some();
                    if known {
                        self.mark(name);
                        continue;
                    }
                    let list_text: Vec<String> = list.iter().map(|it| format!("`{it}`")).collect();
                    let report = Diagnostic::new(
                        Code::E0104,
                        value.span,
                        format!("`{slot}` of `{}` cannot be `{name}`", call.callee.name),
                    )
                    .label(format!("expected {} or an int", list_text.join(", ")));
                    let report = suggest(report, value.span, name, list.iter().copied());
                    self.sink.push(report);
                }
                _ => self.expr(value),
            }
        }
    }

    /// The signature of what is called, when it can be called here.
    fn callee(&mut self, call: &ast::Call) -> Option<Signature> {
        let name = call.callee.name.as_str();
        let span = call.callee.span;
        let layers = matches!(self.context, Context::Model | Context::Block);
        match self.items.get(name).map(|it| &it.def) {
            Some(Def::Block(it)) => {
                self.calls.entry(self.current.clone()).or_default().push((name.to_owned(), call.span));
                if !layers {
                    self.forbidden(span, "block", name);
                }
                return Some(types::signature("block", it));
            }
            Some(Def::Fn(it)) => {
                self.calls.entry(self.current.clone()).or_default().push((name.to_owned(), call.span));
                return Some(types::signature("fn", it));
            }
            Some(Def::Operator(it)) => return Some(types::signature("operator", it)),
            Some(Def::Param(_)) => return None,
            None => {}
        }
        if LAYERS.contains(&name) && !layers {
            self.forbidden(span, "layer", name);
        }
        let known = builtin(name);
        if known.is_none() {
            let mut names: Vec<&str> = self.items.iter().map(|it| it.0.as_str()).collect();
            names.extend(LAYERS);
            names.extend(QUERIES);
            names.extend(FUNCTIONS.iter().map(|it| it.0));
            let report = Diagnostic::new(Code::E0101, span, format!("unknown layer, block or function `{name}`"))
                .label("not a layer, a block or a function");
            self.meant.extend(crate::diag::did_you_mean(name, names.iter().copied()).map(str::to_owned));
            self.sink.push(suggest(report, span, name, names));
        }
        known
    }

    fn forbidden(&mut self, span: Span, what: &str, name: &str) {
        let place = match self.context {
            Context::Fn => "a `fn`, which works on single numbers",
            Context::Operator => "an operator, which works on single numbers",
            _ => "a value",
        };
        self.sink.push(
            Diagnostic::new(Code::E0101, span, format!("the {what} `{name}` cannot be used in {place}"))
                .label("only a model or a block can hold layers"),
        );
    }

    /// Reports each cycle of calls once.
    fn recursion(&mut self) -> BTreeSet<String> {
        let mut endless = BTreeSet::new();
        let mut done = BTreeSet::new();
        let starts: Vec<String> = self.calls.keys().cloned().collect();
        for start in starts {
            let mut path: Vec<(String, Span)> = Vec::new();
            self.follow(&start, &mut path, &mut done, &mut endless);
        }
        endless
    }

    fn follow(
        &mut self,
        name: &str,
        path: &mut Vec<(String, Span)>,
        done: &mut BTreeSet<String>,
        endless: &mut BTreeSet<String>,
    ) {
        if done.contains(name) {
            return;
        }
        for (callee, span) in self.calls.get(name).cloned().unwrap_or_default() {
            path.push((name.to_owned(), span));
            if let Some(at) = path.iter().position(|it| it.0 == callee) {
                let cycle = &path[at..];
                if cycle.iter().any(|it| !endless.contains(&it.0)) {
                    self.endless(cycle);
                    endless.extend(cycle.iter().map(|it| it.0.clone()));
                }
            } else {
                self.follow(&callee, path, done, endless);
            }
            path.pop();
        }
        done.insert(name.to_owned());
    }

    fn endless(&mut self, cycle: &[(String, Span)]) {
        let names: Vec<String> = cycle.iter().map(|it| format!("`{}`", it.0)).collect();
        let message = match names.as_slice() {
            [only] => format!("{only} contains itself without end"),
            _ => format!("{} contain each other without end", names.join(" and ")),
        };
        let next = |at: usize| &cycle[(at + 1) % cycle.len()].0;
        let mut report = Diagnostic::new(Code::E0106, cycle[0].1, message).label(format!(
            "`{}` contains `{}`{}",
            cycle[0].0,
            next(0),
            if 1 < cycle.len() { "..." } else { "" }
        ));
        for (at, (name, span)) in cycle.iter().enumerate().skip(1) {
            let again = if at + 1 == cycle.len() { " again" } else { "" };
            report = report.also(*span, format!("...and `{name}` contains `{}`{again}", next(at)));
        }
        let mut chain: Vec<&str> = cycle.iter().map(|it| it.0.as_str()).collect();
        chain.push(&cycle[0].0);
        self.sink.push(
            report
                .note(format!("cycle: {}", chain.join(" -> ")))
                .help("blocks are unfolded when the file is read; use `for i in 0..n { ... }` to repeat a block"),
        );
    }

    fn unused(&mut self) {
        for (name, item) in self.items.iter() {
            if item.home != Home::Main || name.starts_with('_') || self.uses.contains(name) || self.meant.contains(name)
            {
                continue;
            }
            let ident = item.def.name();
            let what = item.def.what();
            let fix = format!("_{name}");
            let mut report = Diagnostic::new(Code::W0104, ident.span, format!("the {what} `{name}` is never used"))
                .label(format!("unused {what}"))
                .fix(format!("prefix with `_` to keep it on purpose: `{fix}`"), ident.span, fix);
            if matches!(item.def, Def::Operator(_)) {
                report = report.note("`--set PARAM=OPERATOR` can still choose it");
            }
            self.sink.push(report);
        }
    }
}

fn place_of(item: &Item) -> (Span, &'static str) {
    let what = match item.def {
        Def::Param(_) => "a param",
        Def::Operator(_) => "an operator",
        Def::Fn(_) => "a function",
        Def::Block(_) => "a block",
    };
    (item.def.name().span, what)
}
