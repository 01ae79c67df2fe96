//! Walks the entries of a recipe.

use crate::diag::{Code, Diagnostic};
use crate::lower::names::index::Role;
use crate::lower::names::options::options;
use crate::lower::names::words::{STEPS, SUBJECTS};
use crate::lower::resolve::Resolver;
use crate::lower::resolve::body::callee;
use crate::lower::values::value::Ty;
use crate::syntax::ast::{self, ExprKind, Part};

/// Entries of a recipe whose value is a number, and names that have none yet where it is read.
const NUMBERS: &[(&str, &[&str])] = &[
    ("batch", &["classes"]),
    ("iterations", &["classes"]),
    ("seed", &[]),
    ("patience", &["classes"]),
    ("accumulate", &["classes"]),
    ("shards", &["classes"]),
    ("validate", &["classes", "step", "iterations"]),
];

impl Resolver<'_> {
    /// The recipe's own words are checked where the recipe is read; here only names that hold values.
    pub(super) fn train_entry(&mut self, entry: &ast::TrainEntry) {
        let part = Part::ALL.into_iter().find(|it| it.word() == entry.key.name);
        self.mention(entry.key.span, Role::Word, None);
        if let Some(kind @ (Part::Loss | Part::Metric)) = part {
            entry.on.iter().for_each(|it| self.mention(it.span, Role::Word, None));
            return self.measures(kind, entry);
        }
        entry.on.iter().for_each(|it| self.mention_selected(it));
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
            for name in SUBJECTS.iter().chain(STEPS) {
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
            let words = options(&entry.key.name, self.items);
            match &value.kind {
                // Where words are wanted a name is one, whatever it stands for elsewhere.
                ExprKind::Name(name) if entry.key.name != "data" && words.iter().any(|it| it.name == *name) => {
                    self.mention(value.span, Role::Word, None);
                }
                ExprKind::Name(name) if !STEPS.contains(&name.as_str()) && number.is_none() => {
                    self.mark(name, value.span);
                    self.mention_name(name, value.span);
                }
                ExprKind::Call(_) => {}
                // What is made of those words is no value: that is said where the recipe is read.
                _ if !words.is_empty() => self.words_in(part, value),
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
}
