//! The static half: every name, callee and argument of every item, used or not, and what is never
//! used. The dynamic half (`eval`) then keeps silent about all of these.

mod cycles;
mod flow;
mod kept;
mod losses;
mod mentions;
mod names;
mod updates;

use crate::diag::{Code, Diagnostic, Sink, Sources, Span};
use crate::lower::choices::options;
use crate::lower::index::{Index, Role};
use crate::lower::items::{Def, Home, Items, Kind, suggest};
use crate::lower::steps::STEPS;
use crate::lower::types;
use crate::lower::value::Ty;
use crate::syntax::ast::{self, ExprKind, Part, StmtKind, TypeKind};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// What an operator can be a function of.
pub(super) const GEOMETRY: &[&str] = &["theta", "cos", "x_norm", "w_norm", "target"];

/// The part of the geometry that a parameter stands for. One that is kept without a use starts with `_`, as any name.
pub(super) fn geometry(param: &str) -> Option<&'static str> {
    let name = param.strip_prefix('_').unwrap_or(param);
    GEOMETRY.iter().copied().find(|it| *it == name)
}

/// Names of numbers that need no definition.
pub(super) const CONSTANTS: &[(&str, f64)] = &[("pi", std::f64::consts::PI), ("e", std::f64::consts::E)];

/// Entries of a recipe whose value is a number, and names that have none yet where it is read.
const NUMBERS: &[(&str, &[&str])] = &[
    ("batch", &["classes"]),
    ("iterations", &["classes"]),
    ("seed", &[]),
    ("patience", &["classes"]),
    ("accumulate", &["classes"]),
    ("validate", &["classes", "step", "iterations"]),
];

/// Where an expression stands; decides what it may contain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Context {
    Model,
    Block,
    Fn,
    Operator,
    Optimizer,
    /// A loss or a metric: works on tensors, as a block does.
    Loss,
    /// Of `step` and `iterations`.
    Schedule,
    Penalty,
    Average,
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

/// A report of something unused; of a parameter, whose it is and its name.
type Idle = (Option<(String, String)>, Diagnostic);

/// What the walk found besides mistakes.
pub(super) struct Resolved {
    /// Blocks and functions that contain themselves.
    pub(super) endless: BTreeSet<String>,
    /// Values that nothing reads, which are reported or meant to be kept.
    pub(super) lost: Vec<Span>,
    /// Definitions that something uses.
    pub(super) uses: BTreeSet<String>,
    /// What editors are told.
    pub(super) index: Index,
}

/// Walks trees.
pub(super) struct Resolver<'a> {
    items: &'a Items,
    sources: &'a Sources,
    sink: &'a mut Sink,
    scopes: Vec<BTreeMap<String, Local>>,
    /// Names that went out of scope in the current function, for a better message.
    gone: BTreeMap<String, Span>,
    /// The statistic whose line is walked.
    moved: Option<(String, Span)>,
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
    /// Whether the walked expression is given where an operator is wanted.
    in_slot: bool,
    /// Inside the condition of a selector.
    selector: bool,
    /// What is unused in the current function.
    idle: Vec<Idle>,
    /// What is unused in all functions that have no mistake.
    all_idle: Vec<Idle>,
    /// Arguments that calls give by name: whose, and which.
    named: BTreeSet<(String, String)>,
    /// Values that nothing reads.
    lost: Vec<Span>,
    /// What the recipe, or a loss, names of its kinds.
    chosen: BTreeSet<(Kind, String)>,
    /// Whether unused definitions are reported.
    lint: bool,
    /// Whether the walked model has no `input`.
    no_input: bool,
    /// How many unknown callees are around what is walked.
    strangers: usize,
    /// Whether the prelude is walked as well.
    whole: bool,
    /// What editors are told, if they ask.
    indexed: bool,
    index: Index,
    /// What is around the walked statement.
    extent: Span,
}

/// Whether an expression is one of its type's words.
fn is_word(ty: &Ty, value: &ast::Expr) -> bool {
    match (ty, &value.kind) {
        (Ty::Words(words), ExprKind::Name(name)) => words.contains(&name.as_str()),
        _ => false,
    }
}

impl<'a> Resolver<'a> {
    pub(super) fn new(items: &'a Items, sources: &'a Sources, sink: &'a mut Sink, classes: bool, lint: bool) -> Self {
        Self {
            items,
            sources,
            sink,
            scopes: Vec::new(),
            gone: BTreeMap::new(),
            moved: None,
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
            in_slot: false,
            selector: false,
            idle: Vec::new(),
            all_idle: Vec::new(),
            named: BTreeSet::new(),
            lost: Vec::new(),
            chosen: BTreeSet::new(),
            lint,
            no_input: false,
            strangers: 0,
            whole: false,
            indexed: false,
            index: Index::default(),
            extent: Span::default(),
        }
    }

    /// Whether it is told what each name stands for.
    pub(super) fn indexed(mut self, wanted: bool) -> Self {
        self.indexed = wanted;
        self
    }

    /// Walks everything. `set` are values of params that the command line gives in place of their defaults.
    pub(super) fn run(mut self, set: &BTreeMap<String, ast::Expr>) -> Resolved {
        // The prelude is sound, whatever a file defines: a test of its own walks it.
        let whole = self.whole;
        for (_, item) in self.items.iter().filter(|it| whole || it.1.home != Home::Prelude) {
            self.main = item.home == Home::Main;
            self.current = self.items.key(item.def.name());
            self.mention_item(&item.def, item.def.name().span);
            match &item.def {
                Def::Param(it) => self.param(it),
                Def::Operator(it) => self.function(it, Context::Operator),
                Def::Fn(it) => self.function(it, Context::Fn),
                Def::Block(it) => self.function(it, Context::Block),
            }
        }
        self.parts();
        self.losses();
        self.current.clear();
        self.main = true;
        for model in &self.items.models {
            self.context = Context::Model;
            self.mention(model.name.span, Role::Model, Some(model.name.span));
            self.confused = false;
            self.no_input = !model.body.stmts.iter().any(|it| matches!(it.kind, StmtKind::Input { .. }));
            self.open();
            self.stmts(&model.body);
            self.close();
            // Without an `output` the last value is what was meant.
            let output = model.body.stmts.iter().any(|it| matches!(it.kind, StmtKind::Output { .. }));
            self.flow(&model.body, &[], !output);
            self.leave();
            self.no_input = false;
        }
        self.context = Context::Value;
        for train in &self.items.trains {
            for entry in &train.entries {
                self.train_entry(entry);
            }
        }
        for (name, value) in set {
            self.current.clone_from(name);
            self.expr(value);
        }
        self.current.clear();
        let endless = self.recursion();
        if self.lint {
            self.unused();
            self.unused_parts();
            self.idle_parameters();
        }
        std::mem::take(&mut self.unknown).into_values().for_each(|it| self.sink.push(it));
        Resolved { endless, lost: self.lost, uses: self.uses, index: self.index }
    }

    /// The definitions of a kind that are walked.
    fn walked(&self, kind: Kind) -> Vec<(&'a Rc<ast::Function>, Home)> {
        let mut all = self.items.definitions(kind);
        all.retain(|it| self.whole || it.1 != Home::Prelude);
        all
    }

    /// The recipe's own words are checked where the recipe is read; here only names that hold values.
    fn train_entry(&mut self, entry: &ast::TrainEntry) {
        let part = Part::ALL.into_iter().find(|it| it.word() == entry.key.name);
        self.mention(entry.key.span, Role::Word, None);
        entry.on.iter().for_each(|it| self.mention(it.span, Role::Word, None));
        if let Some(kind @ (Part::Loss | Part::Metric)) = part {
            return self.measures(kind, entry);
        }
        self.open();
        // Where a number is asked for that is known before any update, the recipe's own words tell it. How many updates
        // there are is not told by itself.
        for name in STEPS.iter().filter(|it| **it != entry.key.name && self.items.main(it).is_none()) {
            self.bind(&ast::Ident { name: (*name).to_owned(), span: entry.key.span }, None);
        }
        self.entry_values(part, entry);
        if let Some(every) = &entry.every {
            self.expr(every);
        }
        self.close();
        if let Some(filter) = &entry.filter {
            self.open();
            // That no group goes by the updates done is said where it is made.
            for name in ["operator", "layer", "role"].iter().chain(STEPS) {
                self.bind(&ast::Ident { name: (*name).to_owned(), span: filter.span }, None);
            }
            self.selector = true;
            self.expr(filter);
            self.selector = false;
            self.close();
        }
    }

    fn entry_values(&mut self, part: Option<Part>, entry: &ast::TrainEntry) {
        let number = NUMBERS.iter().find(|it| it.0 == entry.key.name);
        for mut value in &entry.values {
            if let Some(&(key, later)) = number {
                self.is_known_by_now(key, later, value);
            }
            match part {
                Some(Part::Schedule) => {
                    self.over_steps(value);
                    continue;
                }
                Some(part) => {
                    self.chosen.extend(callee(value).map(|it| (part, it.to_owned())));
                    self.mention_part(part, value);
                }
                None => {}
            }
            while let ExprKind::Call(call) = &value.kind {
                self.recipe_call(&entry.key.name, call);
                let Some(piped) = &call.piped else { break };
                value = piped;
            }
            match &value.kind {
                ExprKind::Name(name) if !STEPS.contains(&name.as_str()) && number.is_none() => {
                    self.mark(name, value.span);
                    self.mention_name(name, value.span);
                }
                ExprKind::Call(_) => {}
                // What is made of those words is no value: that is said where the recipe is read.
                _ if !options(&entry.key.name, self.items).is_empty() => self.words_in(part, value),
                _ => self.expr(value),
            }
        }
    }

    /// Tells of a name that has its value only after this entry is read.
    fn is_known_by_now(&mut self, key: &str, later: &[&str], value: &ast::Expr) {
        let is_later = |it: &ast::Expr| matches!(&it.kind, ExprKind::Name(name) if later.contains(&name.as_str()));
        let Some(found) = value.find(&is_later) else { return };
        let ExprKind::Name(name) = &found.kind else { return };
        if self.items.get(name, found.span.file).is_none() {
            self.sink.push(
                Diagnostic::new(Code::E0104, found.span, format!("`{key}` cannot be made of `{name}`"))
                    .label("is not known yet where this is read")
                    .help("give a number, or a param"),
            );
        }
    }

    /// Counts the names in what cannot stand in an entry as used.
    fn words_in(&mut self, part: Option<Part>, value: &ast::Expr) {
        let names = std::cell::RefCell::new(Vec::new());
        value.find(&|it| {
            names.borrow_mut().extend(callee(it).map(str::to_owned));
            false
        });
        for name in names.into_inner() {
            self.mark(&name, value.span);
            self.chosen.extend(part.map(|it| (it, name)));
        }
    }

    /// The arguments of one of a recipe's own words, among which may be words.
    fn recipe_call(&mut self, key: &str, call: &ast::Call) {
        let signature = options(key, self.items).into_iter().find(|it| it.name == call.callee.name);
        let matched = signature.as_ref().map_or_else(Vec::new, |it| it.matched(call).0);
        let (items, callee) = (self.items, &call.callee);
        let part = Part::ALL.into_iter().find(|it| it.word() == key);
        let def = part.and_then(|it| items.definition(it, &callee.name, callee.span.file));
        self.mention_arguments(call, def);
        if def.is_none() {
            self.mention(call.callee.span, Role::Word, None);
        }
        for arg in &call.args {
            let at = matched.iter().position(|it| it.is_some_and(|it| std::ptr::eq(it, &raw const arg.value)));
            let slot = at.and_then(|at| signature.as_ref()?.slots.get(at));
            match (&arg.value.kind, slot) {
                (_, Some(slot)) if slot.ty == Ty::Rate => self.over_steps(&arg.value),
                (ExprKind::Name(name), Some(slot)) if slot.ty.words().is_some() => {
                    let what = format!("`{}` of `{}`", slot.name, call.callee.name);
                    self.known_word(name, arg.value.span, &slot.ty, &what);
                }
                _ => self.expr(&arg.value),
            }
        }
    }

    fn param(&mut self, param: &ast::Param) {
        self.context = Context::Value;
        self.in_slot = matches!(param.ty.as_ref().map(types::of), Some(Ty::Operator));
        self.expr(&param.default);
        self.in_slot = false;
        if let Some(ty) = &param.ty {
            self.annotation(ty);
        }
    }

    fn function(&mut self, function: &ast::Function, context: Context) {
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

    fn bind(&mut self, name: &ast::Ident, what: Option<&'static str>) {
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

    fn local(&mut self, name: &str) -> Option<&mut Local> {
        self.scopes.iter_mut().rev().find_map(|it| it.get_mut(name))
    }

    /// Counts a mention at a place as a use. What a definition of the prelude uses is not the file's.
    fn mark(&mut self, name: &str, at: Span) {
        if let Some(local) = self.local(name) {
            local.used = true;
        } else if name != self.current && !self.items.is_own(at.file) {
            self.uses.insert(name.to_owned());
        }
    }

    fn misplaced(&mut self, span: Span, what: &str, place: &str) {
        self.sink
            .push(Diagnostic::new(Code::E0201, span, format!("`{what}` belongs in {place}")).label("not allowed here"));
    }

    fn stmts(&mut self, body: &ast::Body) {
        let outer = std::mem::replace(&mut self.extent, body.span);
        for stmt in &body.stmts {
            self.stmt(stmt);
        }
        self.extent = outer;
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
            ExprKind::Named(inner, text, _) => {
                self.expr(inner);
                self.text(text);
            }
        }
    }
}

/// What a value of a recipe calls.
fn callee(value: &ast::Expr) -> Option<&str> {
    match &value.kind {
        ExprKind::Call(call) => Some(&call.callee.name),
        ExprKind::Name(name) => Some(name),
        _ => None,
    }
}

fn is_name(expr: &ast::Expr, name: &str) -> bool {
    matches!(&expr.kind, ExprKind::Name(it) if it == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lower::collect::Collector;
    use crate::syntax;

    #[test]
    fn the_prelude_names_what_is_there_and_uses_what_it_binds() {
        let (mut sources, mut sink) = (Sources::new(), Sink::new());
        let text = "model Empty {\n    input image: u8[8, 8, 1]\n    output image\n}\n";
        let main = sources.add("empty.sph", text);
        let file = syntax::parse(main, text, &mut sink);
        let mut none = |_: &str| Err(String::new());
        let items =
            Collector::new(&mut sources, &mut none, &mut sink).run(&file, main, &crate::lower::reach::Reach::Whole);
        let mut resolver = Resolver::new(&items, &sources, &mut sink, false, true);
        resolver.whole = true;
        resolver.run(&BTreeMap::new());
        let found = sink.finish();
        assert!(found.is_empty(), "{}", crate::diag::render::render(&found, &sources, false));
    }
}
