//! Optimizers, schedules, averages and penalties: names in their bodies, and those that nothing uses.

use crate::diag::{Code, Diagnostic, Span};
use crate::ir::Column;
use crate::lower::names::index::Role;
use crate::lower::names::items::{Home, suggest};
use crate::lower::names::words::{GIVEN_TO_SCHEDULES, STEPS, given_to};
use crate::lower::resolve::{Context, Resolver};
use crate::syntax::ast::{self, ExprKind, Part};

impl Resolver<'_> {
    /// What only recipes name.
    pub(in crate::lower) fn parts(&mut self) {
        // Losses and metrics are walked as blocks are.
        for part in Part::ALL.into_iter().filter(|it| !matches!(it, Part::Loss | Part::Metric)) {
            for (def, home) in self.walked(part) {
                self.main = home == Home::Main;
                self.current =
                    if part == Part::Schedule { self.items.part_key(part, &def.name) } else { String::new() };
                self.part(part, def);
            }
        }
        self.current.clear();
    }

    fn part(&mut self, part: Part, def: &ast::Function) {
        let name = &def.name.name;
        self.mention(def.name.span, Role::Part(part), Some(def.name.span));
        let context = match part {
            Part::Optimizer => Context::Optimizer,
            Part::Schedule => Context::Schedule,
            Part::Penalty => Context::Penalty,
            Part::Average => Context::Average,
            Part::Loss | Part::Metric => Context::Loss,
        };
        if part == Part::Optimizer && def.params.first().is_none_or(|it| it.name.name != "rate") {
            self.sink.push(
                Diagnostic::new(Code::E0105, def.header, format!("the optimizer `{name}` does not start with `rate`"))
                    .label("takes no rate")
                    .note("the recipe's schedule changes the first parameter of an optimizer")
                    .help(format!("write `optimizer {name}(rate, ...)`")),
            );
        }
        if part == Part::Penalty && def.params.first().is_none_or(|it| it.default.is_some()) {
            self.sink.push(
                Diagnostic::new(Code::E0105, def.header, format!("the penalty `{name}` does not start with a tensor"))
                    .label("takes no parameter to be a penalty of")
                    .help(format!("write `penalty {name}(w, weight) = ...`")),
            );
        }
        match &def.column {
            Some(it) if part != Part::Penalty => self.sink.push(
                Diagnostic::new(Code::E0105, it.span, format!("a definition of this kind has no column `{}`", it.name))
                    .label("only a penalty counts in a column of the log"),
            ),
            Some(it) if Column::of(&it.name).is_none() => {
                let known = Column::ALL.map(Column::word);
                let report = Diagnostic::new(Code::E0203, it.span, format!("the log has no column `{}`", it.name))
                    .label("expected `reg` or `orth`");
                self.sink.push(suggest(report, it.span, &it.name, known));
            }
            Some(_) | None => {}
        }
        // What every definition of the kind is given may stay unused.
        self.open();
        for name in given_to(part) {
            self.bind(&ast::Ident { name: (*name).to_owned(), span: def.header }, None);
        }
        self.function(def, context);
        self.close();
    }

    /// What no recipe names, once all of them are walked.
    pub(super) fn unused_parts(&mut self) {
        if self.items.is_library() {
            return;
        }
        for part in Part::ALL {
            for (def, home) in self.walked(part) {
                let (name, word) = (&def.name, part.word());
                if home != Home::Main || name.name.starts_with('_') || self.chosen.contains(&(part, name.name.clone()))
                {
                    continue;
                }
                let fix = format!("_{}", name.name);
                self.sink.push(
                    Diagnostic::new(Code::W0104, name.span, format!("the {word} `{}` is never used", name.name))
                        .label(format!("unused {word}"))
                        .fix(format!("prefix with `_` to keep it on purpose: `{fix}`"), name.span, fix),
                );
            }
        }
    }

    /// Whether a name is of the updates of the run, where tensors are computed. That there is no run is said.
    pub(super) fn is_of_steps(&mut self, name: &str, span: Span) -> bool {
        let tensors = matches!(self.context, Context::Model | Context::Block | Context::Operator | Context::Loss);
        if !tensors || !STEPS.contains(&name) {
            return false;
        }
        if self.items.trains.is_empty() && !self.items.is_library() {
            let what = if name == "step" { "counts the updates done" } else { "is how many updates a run has" };
            self.sink.push(
                Diagnostic::new(Code::E0102, span, format!("undefined name `{name}`"))
                    .label(format!("{what}, and this file is never trained"))
                    .help("add a `train` section, or give the name a value"),
            );
        }
        true
    }

    /// Whether a name stands for a schedule here; then it is used.
    pub(super) fn is_schedule(&mut self, name: &str, span: Span) -> bool {
        let found = self.items.definition(Part::Schedule, name, span.file);
        let Some(def) = found.filter(|_| self.context == Context::Schedule) else { return false };
        let key = self.items.part_key(Part::Schedule, &def.name);
        self.calls.entry(self.current.clone()).or_default().push((key, span));
        if !self.items.is_own(span.file) {
            self.chosen.insert((Part::Schedule, name.to_owned()));
        }
        true
    }

    /// An expression of schedules: the value of `schedule`, and rates.
    pub(in crate::lower) fn over_steps(&mut self, value: &ast::Expr) {
        let outer = std::mem::replace(&mut self.context, Context::Schedule);
        self.open();
        match &value.kind {
            ExprKind::Name(name) if self.is_schedule(name, value.span) => self.mention_name(name, value.span),
            ExprKind::Name(name) if self.is_new(value) && name != "step" && name != "iterations" => {
                self.unknown_schedule(name, value.span);
            }
            _ => {
                for name in GIVEN_TO_SCHEDULES {
                    self.bind(&ast::Ident { name: (*name).to_owned(), span: value.span }, None);
                }
                self.expr(value);
            }
        }
        self.close();
        self.context = outer;
    }

    /// A schedule that there is not.
    pub(super) fn unknown_schedule(&mut self, name: &str, span: Span) {
        let known: Vec<&str> =
            self.items.definitions(Part::Schedule).iter().map(|it| it.0.name.name.as_str()).collect();
        let list: Vec<String> = known.iter().map(|it| format!("`{it}`")).collect();
        let report = Diagnostic::new(Code::E0203, span, format!("unknown schedule `{name}`"))
            .label("no schedule has this name")
            .note(format!("schedules: {}", list.join(", ")));
        self.sink.push(suggest(report, span, name, known));
    }

    /// `keep velocity = 0`.
    pub(in crate::lower) fn keep(&mut self, span: Span, name: &ast::Ident, init: &ast::Expr) {
        if self.context != Context::Optimizer {
            self.misplaced(span, "keep", "an optimizer");
        }
        self.expr(init);
        self.bind_outermost(name);
    }

    /// Binds a name for the rest of the function, from inside of a branch too.
    fn bind_outermost(&mut self, name: &ast::Ident) {
        let inner = self.scopes.split_off(2.min(self.scopes.len()));
        self.bind(name, Some("number that is kept"));
        self.scopes.extend(inner);
    }
}
