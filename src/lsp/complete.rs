//! Completion: names, arguments, operators, data sets and the words of the recipe, each with its signature.

use super::context::{Call, Context, Inside, context};
use super::recipe;
use super::signature::{callees, documentation, given};
use super::view::View;
use crate::ir::DType;
use crate::lower::{Entry, Role};
use crate::syntax::ast::{Item, StmtKind};
use crate::syntax::{ITEMS, STATEMENTS, within_expressions};
use lsp_types::{CompletionItem, CompletionItemKind, CompletionResponse, Position};
use std::collections::BTreeSet;

/// The form of an item that starts with a word.
fn form(item: &str) -> &'static str {
    match item {
        "import" => "import \"blocks.sph\"",
        "param" => "param width = 64",
        "operator" => "operator name(cos) = cos",
        "fn" => "fn name(x) = x",
        "block" => "block name(x, filters: int) { ... }",
        "layer" => "layer name(x) { ... }",
        "model" => "model Name { ... }",
        "train" => "train { ... }",
        "optimizer" => "optimizer name(rate) { ... }",
        "schedule" => "schedule name() = ...",
        "penalty" => "penalty name(w, weight) = ...",
        "average" => "average name() { ... }",
        "loss" => "loss name(scores, target) { ... }",
        "metric" => "metric name(scores, target) { ... }",
        other => unreachable!("no item starts with `{other}`"),
    }
}

/// How near something is: what comes first in the list.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Nearness {
    Argument,
    Local,
    File,
    Own,
    Word,
}

/// What is proposed.
pub(super) struct List<'v> {
    pub(super) view: &'v View<'v>,
    items: Vec<CompletionItem>,
    seen: BTreeSet<(String, bool)>,
}

pub(super) fn complete(view: &View<'_>, position: Position) -> Option<CompletionResponse> {
    let place = view.byte(position);
    let found = context(view.text(), place);
    let mut list = List { view, items: Vec::new(), seen: BTreeSet::new() };
    match &found.inside {
        Inside::Comment => {}
        Inside::Text { word, written } => list.text(word, written, found.start, place),
        Inside::Hole => {
            list.bindings(place);
            list.entries(|it| it.role == Role::Param);
        }
        Inside::Top => ITEMS.iter().for_each(|it| list.word(it, Some(form(it)))),
        Inside::Recipe => list.recipe(&found, place),
        Inside::Code => list.code(&found, place),
    }
    Some(CompletionResponse::Array(list.items))
}

impl List<'_> {
    pub(super) fn push(&mut self, item: CompletionItem, near: Nearness) {
        let layer = item.kind == Some(CompletionItemKind::CLASS);
        if self.seen.insert((item.label.clone(), layer)) {
            let sort_text = Some(format!("{}{}", near as u8, item.label));
            self.items.push(CompletionItem { sort_text, ..item });
        }
    }

    fn word(&mut self, name: &str, about: Option<&str>) {
        let kind = Some(CompletionItemKind::KEYWORD);
        let item =
            CompletionItem { label: name.to_owned(), kind, detail: about.map(str::to_owned), ..Default::default() };
        self.push(item, Nearness::Word);
    }

    fn words<'w>(&mut self, names: impl IntoIterator<Item = &'w str>) {
        names.into_iter().for_each(|it| self.word(it, None));
    }

    pub(super) fn value(&mut self, name: &str, about: &str) {
        let kind = Some(CompletionItemKind::ENUM_MEMBER);
        let item =
            CompletionItem { label: name.to_owned(), kind, detail: Some(about.to_owned()), ..Default::default() };
        self.push(item, Nearness::Argument);
    }

    fn entry(&mut self, entry: &Entry) {
        self.entry_at(entry, if entry.own { Nearness::Own } else { Nearness::File });
    }

    /// Words that a place asks for.
    fn asked(&mut self, words: &[Entry]) {
        words.iter().for_each(|it| self.entry_at(it, Nearness::Argument));
    }

    fn entry_at(&mut self, entry: &Entry, near: Nearness) {
        let kind = match entry.role {
            Role::Block => CompletionItemKind::CLASS,
            Role::Function => CompletionItemKind::FUNCTION,
            Role::Operator => CompletionItemKind::OPERATOR,
            Role::Param => CompletionItemKind::CONSTANT,
            Role::Part(_) => CompletionItemKind::INTERFACE,
            Role::Value | Role::Parameter => CompletionItemKind::VARIABLE,
            Role::Model => CompletionItemKind::MODULE,
            Role::Argument => CompletionItemKind::FIELD,
            Role::Start | Role::Word => CompletionItemKind::ENUM_MEMBER,
        };
        let detail = match entry.role {
            Role::Param => entry.text.clone(),
            _ => format!("{} {}", entry.what, entry.text),
        };
        let item = CompletionItem {
            label: entry.name.clone(),
            kind: Some(kind),
            detail: Some(detail),
            documentation: documentation(entry),
            ..Default::default()
        };
        self.push(item, near);
    }

    /// A key of the recipe, as it is written.
    fn key(&mut self, entry: &Entry) {
        let item = CompletionItem {
            label: entry.name.clone(),
            kind: Some(CompletionItemKind::KEYWORD),
            detail: Some(entry.text.clone()),
            documentation: documentation(entry),
            ..Default::default()
        };
        self.push(item, Nearness::Word);
    }

    fn entries(&mut self, wanted: impl Fn(&Entry) -> bool) {
        let view = self.view;
        view.named.index.entries.iter().filter(|it| wanted(it)).for_each(|it| self.entry(it));
    }

    /// Names that are bound before a place.
    fn bindings(&mut self, place: usize) {
        let view = self.view;
        for (name, binding) in view.named.index.bound_at(view.place(place)) {
            let shape = view.checked().and_then(|it| it.values.get(&binding.span)).map(|it| super::hover::list(it));
            let what = if binding.role == Role::Parameter { "parameter" } else { "value" };
            let item = CompletionItem {
                label: name.to_owned(),
                kind: Some(CompletionItemKind::VARIABLE),
                detail: Some(shape.map_or(what.to_owned(), |it| format!("{what} {it}"))),
                ..Default::default()
            };
            self.push(item, Nearness::Local);
        }
    }

    /// What a value can be made of, in an item of this kind.
    fn names(&mut self, item: &str, place: usize) {
        let view = self.view;
        self.bindings(place);
        view.named.index.given.get(item).into_iter().for_each(|it| it.iter().for_each(|it| self.value(it, "given")));
        self.entries(|it| matches!(it.role, Role::Param | Role::Function | Role::Block));
        view.named.index.constants.iter().for_each(|it| self.entry_at(it, Nearness::Word));
        self.words(within_expressions());
    }

    /// How what is learned can start: at a number, or at a word of its own.
    fn starts(&mut self, place: usize) {
        let view = self.view;
        view.named.index.starts.iter().for_each(|it| self.entry(it));
        self.bindings(place);
        self.entries(|it| it.role == Role::Param);
    }

    fn operators(&mut self) {
        self.entries(|it| it.role == Role::Operator);
    }

    /// The arguments of a call, and what can be given for the one that is written.
    fn arguments(&mut self, found: &Context<'_>, call: &Call<'_>, place: usize) {
        let view = self.view;
        for callee in callees(view, found, call) {
            let slots = callee.slots.iter().skip(given(callee, call));
            let here: Vec<_> = match call.argument {
                Some(name) => callee.slots.iter().filter(|it| it.name == name).collect(),
                None => slots.clone().skip(call.before).take(1).collect(),
            };
            for slot in here {
                slot.words.iter().for_each(|it| self.value(it, &slot.text));
                if slot.operator {
                    self.operators();
                }
                if slot.start {
                    return self.starts(place);
                }
            }
            if call.argument.is_some() || call.in_list {
                continue;
            }
            for slot in slots.filter(|it| !call.given.contains(&it.name.as_str())) {
                let item = CompletionItem {
                    label: format!("{}:", slot.name),
                    kind: Some(CompletionItemKind::FIELD),
                    detail: Some(slot.text.clone()),
                    insert_text: Some(format!("{}: ", slot.name)),
                    filter_text: Some(slot.name.clone()),
                    ..Default::default()
                };
                self.push(item, Nearness::Argument);
            }
        }
        self.names(found.item, place);
        // A definition's constant may be an operator as well.
        if call.argument.is_some_and(|it| it.contains("operator")) {
            self.operators();
        }
    }

    fn code(&mut self, found: &Context<'_>, place: usize) {
        if let Some(call) = &found.call {
            return self.arguments(found, call, place);
        }
        match found.line.as_slice() {
            [.., "|>"] => self.entries(|it| matches!(it.role, Role::Function | Role::Block)),
            ["input", _, ":"] => self.words(DType::INPUTS.map(DType::word)),
            ["learn", .., "="] => self.starts(place),
            // The head: what has no default is a part of the geometry.
            ["operator", _, "(", .., ","] | ["operator", _, "("] => {
                let view = self.view;
                view.named.index.geometry.iter().for_each(|it| self.value(it, "geometry"));
            }
            // What the data has for each example, before the outputs that it is compared with, or behind them.
            ["loss" | "metric", _, "(", .., ","] | ["loss" | "metric", _, "("] => {
                let view = self.view;
                self.asked(&view.named.index.of_the_data);
            }
            ["param" | "let", _, ":"] | ["operator" | "fn" | "block" | "layer", .., ":"] => {
                let view = self.view;
                self.words(view.named.index.types.iter().copied());
            }
            ["param", ..] => {
                self.names(found.item, place);
                self.operators();
            }
            line => {
                if line.is_empty() {
                    self.words(STATEMENTS);
                }
                self.names(found.item, place);
                if found.inside == Inside::Code && line.first() == Some(&"operator") {
                    self.operators();
                }
            }
        }
    }

    fn recipe(&mut self, found: &Context<'_>, place: usize) {
        let view = self.view;
        let Some(&key) = found.line.first() else {
            let written: BTreeSet<&str> = view.named.ast.items.iter().flat_map(|it| keys(it)).collect();
            for it in &view.named.index.recipe {
                if it.many || !written.contains(it.name) {
                    self.key(&it.entry);
                }
            }
            return;
        };
        if let Some(call) = &found.call {
            return self.arguments(found, call, place);
        }
        let clause = found.line.iter().rposition(|it| matches!(*it, "on" | "where" | "every"));
        match clause.map(|at| found.line[at]) {
            Some("on") if matches!(key, "loss" | "metric") => self.outputs(),
            Some("on") => {
                view.named.index.learned.iter().for_each(|it| self.value(it, "learned"));
                self.asked(&view.named.index.groups);
            }
            Some("where") => self.condition(found),
            Some(_) => self.names(found.item, place),
            None => self.entry_values(key),
        }
    }

    /// What a selector asks, or what it compares with.
    fn condition(&mut self, found: &Context<'_>) {
        let view = self.view;
        match found.line.as_slice() {
            [.., "role", "==" | "!="] => self.asked(&view.named.index.roles),
            [.., "operator", "==" | "!="] => self.operators(),
            _ => {
                self.asked(&view.named.index.subjects);
                self.words(["and", "or", "not"]);
                self.operators();
            }
        }
    }

    /// Outputs of the model with names.
    fn outputs(&mut self) {
        let view = self.view;
        for item in &view.named.ast.items {
            let Item::Model(model) = item else { continue };
            for stmt in &model.body.stmts {
                if let StmtKind::Output { name: Some(it), .. } = &stmt.kind {
                    self.value(&it.name, "output");
                }
            }
        }
    }

    fn entry_values(&mut self, key: &str) {
        let view = self.view;
        recipe::values(key).iter().for_each(|it| self.value(it.0, &it.1));
        self.entries(|it| match it.role {
            Role::Part(part) => part.word() == key || key == "metric" && part.word() == "loss",
            _ => false,
        });
        for it in view.named.index.recipe.iter().filter(|it| it.name == key) {
            it.options.iter().for_each(|it| self.entry(it));
            self.words(it.clauses.iter().copied());
        }
        self.entries(|it| it.role == Role::Param);
    }
}

/// The keys that a recipe has.
fn keys(item: &Item) -> Vec<&str> {
    match item {
        Item::Train(it) => it.entries.iter().map(|it| it.key.name.as_str()).collect(),
        _ => Vec::new(),
    }
}
