//! Selectors: `on filters where operator != none and layer != "score"`.
//!
//! `operator` is the operator of the layer that owns the parameter, `role` what the parameter is for
//! (`filter`, `gamma`, `beta`, `learned`), `layer` its layer. The name of a layer stands for everything
//! inside it: `layer == "block1_unit0"` holds for `block1_unit0/first` too.
//!
//! A selector that matches nothing is a mistake when it cannot match: a name that nothing has, or
//! nothing to choose by params. Otherwise another `--set` may well give it something.

use crate::diag::{Code, Diagnostic, Span};
use crate::ir::{Fact, Mode, ParamId, ParamRole};
use crate::lower::names::items::{Def, Home, suggest};
use crate::lower::names::options::GROUPS;
use crate::lower::recipe::Recipe;
use crate::lower::recipe::conditions::Subject;
use crate::syntax::ast::{self, ExprKind, StmtKind, TextPart};

/// What a name after `on` selects.
enum On<'a> {
    Role(ParamRole),
    All,
    Named(&'a str),
}

impl<'a> On<'a> {
    fn of(name: &'a str) -> Self {
        match GROUPS.iter().find(|it| it.0 == name) {
            Some((_, Some(role))) => On::Role(*role),
            Some((_, None)) => On::All,
            None => On::Named(name),
        }
    }

    fn takes(&self, role: ParamRole, path: &str) -> bool {
        match self {
            On::Role(it) => *it == role,
            On::All => true,
            On::Named(it) => path.rsplit('/').next() == Some(*it),
        }
    }
}

fn literal(text: &ast::Text) -> String {
    text.parts.iter().map(|it| if let TextPart::Literal(it) = it { it.as_str() } else { "" }).collect()
}

fn walk_body(body: &ast::Body, f: &mut dyn FnMut(&ast::Expr)) {
    for stmt in &body.stmts {
        match &stmt.kind {
            StmtKind::Let { value, .. } | StmtKind::Assign { value, .. } | StmtKind::Unpack { value, .. } => {
                walk(value, f)
            }
            StmtKind::Output { value, .. } | StmtKind::Expr(value) => walk(value, f),
            StmtKind::For { list, body, .. } => {
                walk(list, f);
                walk_body(body, f);
            }
            StmtKind::If { cond, then, otherwise } => {
                walk(cond, f);
                walk_body(then, f);
                otherwise.iter().for_each(|it| walk_body(it, f));
            }
            StmtKind::Input { .. }
            | StmtKind::Assert { .. }
            | StmtKind::Learn { .. }
            | StmtKind::Keep { .. }
            | StmtKind::Stat { .. } => {}
        }
    }
}

fn walk(expr: &ast::Expr, f: &mut dyn FnMut(&ast::Expr)) {
    f(expr);
    match &expr.kind {
        ExprKind::Int(_) | ExprKind::Float(_) | ExprKind::Bool(_) | ExprKind::Str(_) | ExprKind::Name(_) => {}
        ExprKind::List(list) => list.iter().for_each(|it| walk(it, f)),
        ExprKind::Range(a, b) | ExprKind::Binary(_, a, b) | ExprKind::Index(a, b) => {
            walk(a, f);
            walk(b, f);
        }
        ExprKind::Unary(_, a) | ExprKind::Named(a, ..) => walk(a, f),
        ExprKind::Call(call) => {
            let args = call.args.iter().map(|it| &it.value);
            call.piped.as_deref().into_iter().chain(args).for_each(|it| walk(it, f));
        }
        ExprKind::If(cond, then, otherwise) => {
            walk(cond, f);
            walk_body(then, f);
            otherwise.iter().for_each(|it| walk_body(it, f));
        }
    }
}

impl Recipe<'_> {
    /// The parameters an entry is about. `filters` says whether it makes sense for filters only.
    pub(in crate::lower) fn select(&mut self, entry: &ast::TrainEntry, filters: bool) -> Vec<ParamId> {
        // After a mistake in the model, layers may be missing that are meant.
        let broken = !self.sound_output();
        let learned = self.learned_names();
        let mut sound = !entry.on.is_empty();
        if entry.on.is_empty() && !self.asks_for_nothing(entry) {
            let key = &entry.key.name;
            let report = Diagnostic::new(Code::E0105, entry.key.span, format!("`{key}` does not say on what"))
                .label("missing `on`");
            let value = entry.values.first().map(|it| (self.sources.slice(it.span), it.span));
            self.report(match value {
                // `freeze all`: what it is about stands in the place of a value.
                Some((name, span))
                    if key == "freeze"
                        && (GROUPS.iter().any(|it| it.0 == name) || learned.iter().any(|it| it == name)) =>
                {
                    report.fix(format!("write `{key} on {name}`"), Span { end: span.start, ..span }, "on ")
                }
                Some((name, span)) if key == "freeze" && name.starts_with('"') => {
                    let way = format!("on all where layer == {name}");
                    report.fix(format!("write `{key} {way}`"), span, way)
                }
                Some((_, span)) if key == "freeze" => {
                    report.fix(format!("write `{key} on filters`"), span, "on filters")
                }
                Some((value, span)) => {
                    let behind = Span { start: span.end, ..span };
                    report.fix(format!("write `{key} {value} on filters`"), behind, " on filters")
                }
                None if key == "freeze" => {
                    let behind = Span { start: entry.key.span.end, ..entry.key.span };
                    report.fix(format!("write `{key} on filters`"), behind, " on filters")
                }
                None => report,
            });
        }
        for name in &entry.on {
            let known = !matches!(On::of(&name.name), On::Named(_)) || learned.contains(&name.name);
            if !known {
                sound = false;
                let mut all: Vec<&str> = GROUPS.iter().map(|it| it.0).collect();
                all.extend(learned.iter().map(String::as_str));
                // Of a model that is known, those that it has.
                if !broken {
                    let params = &self.graph.params;
                    all.retain(|name| params.iter().any(|it| On::of(name).takes(it.role, &it.path)));
                }
                let report =
                    Diagnostic::new(Code::E0204, name.span, format!("no parameters are called `{}`", name.name))
                        .label("selects nothing")
                        .note(format!("parameters: {}", all.join(", ")));
                self.report(suggest(report, name.span, &name.name, all));
            } else if filters && name.name != "filters" {
                sound = false;
                self.report(
                    Diagnostic::new(
                        Code::E0105,
                        name.span,
                        format!("`{}` is for filters, not for `{}`", self.word(entry), name.name),
                    )
                    .label("expected `filters`"),
                );
            }
        }
        let mut found = Vec::new();
        let mut idle: Vec<&ast::Ident> = entry.on.iter().collect();
        for at in 0..self.graph.params.len() {
            let param = &self.graph.params[at];
            let (role, path) = (param.role, param.path.clone());
            let is_meant = |it: &ast::Ident| On::of(&it.name).takes(role, &path);
            let on = entry.on.iter().any(is_meant);
            let subject = Subject { layer: param.layer.clone(), operator: param.operator.clone(), role: param.role };
            // The condition is evaluated for every parameter, so that its mistakes show.
            let holds = match &entry.filter {
                Some(filter) => self.holds(filter, &subject, broken),
                None => Some(true),
            };
            sound &= holds.is_some();
            if on && holds == Some(true) {
                idle.retain(|it| !is_meant(it));
                found.push(ParamId(at as u32));
            }
        }
        if found.is_empty() || !sound || broken || !self.decided(entry) {
            idle.clear();
        }
        for name in idle {
            self.report(
                Diagnostic::new(
                    Code::W0203,
                    name.span,
                    format!("`{}` adds nothing to this `{}`", name.name, entry.key.name),
                )
                .label("no parameter of the model is selected by it")
                .note(self.inventory())
                .help("leave it out"),
            );
        }
        if found.is_empty() && sound && !broken && self.decided(entry) {
            let span = entry.filter.as_ref().map_or(entry.on[0].span, |it| entry.on[0].span.to(it.span));
            self.report(
                Diagnostic::new(Code::E0204, span, format!("this `{}` applies to nothing", entry.key.name))
                    .label("no parameter of the model is selected")
                    .note(self.inventory()),
            );
        }
        found
    }

    fn sound_output(&self) -> bool {
        self.graph.outputs.get(&Mode::Train).is_some_and(|&it| *self.graph.fact(it) != Fact::Unknown)
    }

    pub(in crate::lower) fn word<'e>(&self, entry: &'e ast::TrainEntry) -> &'e str {
        match entry.values.first().map(|it| &it.kind) {
            Some(ExprKind::Call(call)) => &call.callee.name,
            Some(ExprKind::Name(name)) => name,
            _ => &entry.key.name,
        }
    }

    /// Whether no `--set` could make the selector match.
    fn decided(&self, entry: &ast::TrainEntry) -> bool {
        let params = self.items.iter().any(|(_, it)| matches!(it.def, Def::Param(_)) && it.home != Home::Prelude);
        let norms = |it: &ast::Ident| it.name == "gamma" || it.name == "beta";
        !params || entry.on.iter().all(norms) && !self.mentions("batch_norm")
    }

    fn inventory(&self) -> String {
        let count = |role| self.graph.params.iter().filter(|it| it.role == role).count();
        format!(
            "the model has {} filters, {} gamma, {} beta, {} learned",
            count(ParamRole::Filter),
            count(ParamRole::Gamma),
            count(ParamRole::Beta),
            count(ParamRole::Learned)
        )
    }

    /// Names that any operator or block learns, whether it is in use or not; what has a role's name is found by it.
    fn learned_names(&self) -> Vec<String> {
        let mut found: Vec<String> = self.items.learned().iter().map(|it| it.name.clone()).collect();
        found.retain(|it| ParamRole::of(it).is_none());
        found.sort();
        found.dedup();
        found
    }

    /// Whether some `as` of the text could give a layer this name.
    pub(super) fn can_be(&self, path: &str) -> bool {
        path.split('/').all(|name| {
            let mut found = false;
            self.each_expr(&mut |expr| {
                if let ExprKind::Named(_, text, _) = &expr.kind {
                    found |= text.parts.iter().all(|it| matches!(it, TextPart::Literal(_))) && literal(text) == name;
                }
            });
            found
        })
    }

    /// Whether something calls `name`.
    fn mentions(&self, name: &str) -> bool {
        let mut found = false;
        self.each_expr(&mut |expr| {
            found |= matches!(&expr.kind, ExprKind::Call(call) if call.callee.name == name);
        });
        found
    }

    /// Every expression of the model and of all blocks.
    fn each_expr(&self, f: &mut dyn FnMut(&ast::Expr)) {
        for model in &self.items.models {
            walk_body(&model.body, f);
        }
        for (_, item) in self.items.iter() {
            if let Def::Block(it) = &item.def {
                walk_body(&it.body, f);
            }
        }
    }
}
