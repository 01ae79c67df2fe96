//! What a file defines, with what it imports and the prelude: one table of names.
//!
//! A name of the file goes before the same name of the prelude or of a built-in function. What the prelude names is its own:
//! what a file defines over a name changes nothing in definitions of the prelude that use it.
//! Imported files give their operators, functions, blocks and params; their models and recipes stay
//! behind, so that a block can be taken out of another experiment.

use super::foreign;
use super::library;
use super::signature::Signature;
use super::types;
use super::value::{OperatorRef, Ty};
use crate::diag::{Code, Diagnostic, FileId, Sink, Sources, Span, did_you_mean};
use crate::syntax::ast;
pub(super) use crate::syntax::ast::Part as Kind;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// Files that import each other, within each other.
const DEEPEST_IMPORT: usize = 64;

/// Starts what a block is known as that has the name of an operator. No name has a space.
pub(super) const BESIDE: &str = "layer ";

/// What a name stands for.
#[derive(Clone, Debug)]
pub(super) enum Def {
    Param(Rc<ast::Param>),
    Operator(Rc<ast::Function>),
    Fn(Rc<ast::Function>),
    Block(Rc<ast::Function>),
}

/// Where a definition comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Home {
    Prelude,
    Import,
    Main,
}

/// A definition.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) def: Def,
    pub(super) home: Home,
    /// Position among all definitions.
    pub(super) place: usize,
}

/// All definitions and what only the main file holds.
#[derive(Debug, Default)]
pub(super) struct Items {
    pub(super) prelude: FileId,
    table: BTreeMap<String, Item>,
    /// What only a recipe names.
    chosen: BTreeMap<(Kind, String), (Rc<ast::Function>, Home)>,
    /// Blocks and layers that are called as an operator is.
    layers: BTreeMap<String, Item>,
    /// Both as the prelude has them.
    own: [BTreeMap<String, Item>; 2],
    /// Names in the order of their definitions: params may use those before them.
    pub(super) order: Vec<String>,
    /// Definitions so far.
    places: usize,
    pub(super) models: Vec<Rc<ast::Model>>,
    pub(super) trains: Vec<Rc<ast::Train>>,
}

impl Def {
    pub(super) fn name(&self) -> &ast::Ident {
        match self {
            Def::Param(it) => &it.name,
            Def::Operator(it) | Def::Fn(it) | Def::Block(it) => &it.name,
        }
    }

    pub(super) fn what(&self) -> &'static str {
        match self {
            Def::Param(_) => "param",
            Def::Operator(_) => "operator",
            Def::Fn(_) => "fn",
            Def::Block(_) => "block",
        }
    }
}

impl Items {
    pub(super) fn get(&self, name: &str) -> Option<&Item> {
        self.table.get(name)
    }

    /// What a name stands for where it is written.
    pub(super) fn seen(&self, name: &str, place: Span) -> Option<&Item> {
        self.tables(place)[0].get(name)
    }

    /// All definitions that can be named there, and blocks beside operators.
    fn tables(&self, place: Span) -> [&BTreeMap<String, Item>; 2] {
        let [table, layers] = &self.own;
        if place.file == self.prelude { [table, layers] } else { [&self.table, &self.layers] }
    }

    /// What a call calls. Constants of operators are given by name, so what is given by place goes to a layer of that name.
    pub(super) fn called(&self, call: &ast::Call) -> Option<&Item> {
        let name = call.callee.name.as_str();
        let placed = call.piped.is_some() || call.args.iter().any(|it| it.name.is_none());
        let [table, layers] = self.tables(call.callee.span);
        match table.get(name) {
            Some(Item { def: Def::Operator(_), .. }) if placed => layers.get(name).or_else(|| table.get(name)),
            found => found,
        }
    }

    /// An operator of the prelude, which a built-in function has as a default.
    pub(super) fn usual(&self, name: &str) -> Option<OperatorRef> {
        match &self.own[0].get(name)?.def {
            Def::Operator(it) => Some(OperatorRef::new(it.clone())),
            Def::Param(_) | Def::Fn(_) | Def::Block(_) => None,
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&String, &Item)> {
        self.table.iter().chain(&self.layers)
    }

    pub(super) fn operator(&self, name: &str) -> Option<&Rc<ast::Function>> {
        match self.table.get(name)? {
            Item { def: Def::Operator(it), .. } => Some(it),
            _ => None,
        }
    }

    /// All definitions of a kind, those of the file first.
    pub(super) fn definitions(&self, kind: Kind) -> Vec<(&Rc<ast::Function>, Home)> {
        let mut all: Vec<(&Rc<ast::Function>, Home)> =
            self.chosen.iter().filter(|it| it.0.0 == kind).map(|(_, it)| (&it.0, it.1)).collect();
        all.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.name.name.cmp(&b.0.name.name)));
        all
    }

    /// The definition of a kind that has this name.
    pub(super) fn definition(&self, kind: Kind, name: &str) -> Option<&Rc<ast::Function>> {
        self.chosen.get(&(kind, name.to_owned())).map(|it| &it.0)
    }

    /// What can be measured under a name: a metric may be a loss as well.
    pub(super) fn measure(&self, kind: Kind, name: &str) -> Option<(Kind, &Rc<ast::Function>)> {
        let kinds = if kind == Kind::Metric { [Kind::Metric, Kind::Loss].as_slice() } else { &[Kind::Loss] };
        kinds.iter().find_map(|it| Some((*it, self.definition(*it, name)?)))
    }

    /// What a recipe can choose of a kind.
    pub(super) fn signatures(&self, kind: Kind) -> Vec<Signature> {
        self.definitions(kind).into_iter().map(|it| self.part_signature(kind, it.0)).collect()
    }

    /// What an entry of a recipe must give. The text of the prelude is nobody's to look at.
    pub(super) fn part_signature(&self, kind: Kind, def: &ast::Function) -> Signature {
        let mut signature = types::signature(kind.word(), def);
        match (kind, signature.slots.first_mut()) {
            (Kind::Optimizer, Some(rate)) => rate.ty = Ty::Rate,
            // The recipe says by `on` what it is a penalty of.
            (Kind::Penalty, Some(_)) => drop(signature.slots.remove(0)),
            (Kind::Optimizer | Kind::Penalty, None)
            | (Kind::Schedule | Kind::Average | Kind::Loss | Kind::Metric, _) => {}
        }
        let prelude = def.header.file == self.prelude;
        Signature { header: signature.header.filter(|_| !prelude), ..signature }
    }

    fn define_chosen(&mut self, kind: Kind, def: &ast::Function, home: Home, sink: &mut Sink) {
        let name = &def.name;
        if let Some((old, first)) = self.chosen.get(&(kind, name.name.clone()))
            && home != Home::Prelude
            && *first != Home::Prelude
        {
            let elsewhere = if old.name.span.file == name.span.file { "" } else { " in another file" };
            sink.push(
                Diagnostic::new(Code::E0103, name.span, format!("`{}` is defined twice", name.name))
                    .label(format!("{} of this name again", kind.one()))
                    .also(old.name.span, format!("first defined here{elsewhere}"))
                    .help("give one of them another name"),
            );
            return;
        }
        self.chosen.insert((kind, name.name.clone()), (Rc::new(def.clone()), home));
    }

    /// Whether the file is there to be imported: it defines things, but neither a model nor a recipe.
    pub(super) fn is_library(&self) -> bool {
        let defines =
            self.iter().any(|it| it.1.home == Home::Main) || self.chosen.values().any(|it| it.1 == Home::Main);
        defines && self.models.is_empty() && self.trains.is_empty()
    }

    /// Names of the operators, those of the file first.
    pub(super) fn operators(&self) -> Vec<&str> {
        let mut all: Vec<(Home, &str)> = self
            .table
            .iter()
            .filter(|(_, it)| matches!(it.def, Def::Operator(_)))
            .map(|(name, it)| (it.home, name.as_str()))
            .collect();
        all.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(b.1)));
        all.into_iter().map(|it| it.1).collect()
    }

    fn define(&mut self, def: Def, home: Home, sink: &mut Sink) {
        let ident = def.name().clone();
        self.places += 1;
        let item = Item { def, home, place: self.places };
        let old = self.table.get(&ident.name);
        match (old.map(|it| &it.def), &item.def) {
            // Operators have names of their own: a block or layer of one's name stays, or comes, beside it.
            (Some(Def::Operator(_)), Def::Block(_)) => {
                if let Some(first) = self.layers.get(&ident.name).filter(|it| it.is_rival(home)) {
                    return sink.push(item.again(first));
                }
                self.layers.insert(ident.name, item);
                return;
            }
            (Some(Def::Block(_)), Def::Operator(_)) => {
                self.layers.extend(old.cloned().map(|it| (ident.name.clone(), it)));
            }
            _ => {
                if let Some(first) = old.filter(|it| it.is_rival(home)) {
                    return sink.push(item.again(first));
                }
            }
        }
        self.order.retain(|it| *it != ident.name);
        self.order.push(ident.name.clone());
        self.table.insert(ident.name, item);
    }

    /// How a block is known among all definitions, of which an operator may have its name.
    pub(super) fn key(&self, block: &ast::Function) -> String {
        let name = &block.name.name;
        match self.layers.get(name) {
            Some(it) if it.def.name().span == block.name.span => format!("{BESIDE}{name}"),
            Some(_) | None => name.clone(),
        }
    }
}

impl Item {
    /// Whether a definition of this home must not have the same name.
    fn is_rival(&self, home: Home) -> bool {
        home != Home::Prelude && self.home != Home::Prelude
    }

    /// The report of a name that is taken.
    fn again(&self, first: &Item) -> Diagnostic {
        let (ident, old) = (self.def.name(), first.def.name());
        let elsewhere = if old.span.file == ident.span.file { "" } else { " in another file" };
        Diagnostic::new(Code::E0103, ident.span, format!("`{}` is defined twice", ident.name))
            .label(format!("a {} of this name again", self.def.what()))
            .also(old.span, format!("first defined here{elsewhere}, as a {}", first.def.what()))
            .help("give one of them another name")
    }
}

/// Reads texts and gathers their items.
pub(super) struct Collector<'a> {
    pub(super) sources: &'a mut Sources,
    pub(super) load: &'a mut dyn FnMut(&str) -> Result<String, String>,
    pub(super) sink: &'a mut Sink,
    pub(super) items: Items,
    /// Files whose imports are being read, outermost first, with the import that asked for them.
    open: Vec<(String, Option<Span>)>,
    done: BTreeSet<String>,
}

impl<'a> Collector<'a> {
    pub(super) fn new(
        sources: &'a mut Sources,
        load: &'a mut dyn FnMut(&str) -> Result<String, String>,
        sink: &'a mut Sink,
    ) -> Self {
        Self { sources, load, sink, items: Items::default(), open: Vec::new(), done: BTreeSet::new() }
    }

    /// The prelude, then the file with all it imports.
    pub(super) fn run(mut self, file: &ast::File, main: FileId) -> Items {
        let text = include_str!("prelude.sph");
        let prelude = self.sources.add("<prelude>", text);
        let tree = crate::syntax::parse(prelude, text, self.sink);
        self.items.prelude = prelude;
        self.take(&tree, Home::Prelude);
        self.items.own = [self.items.table.clone(), self.items.layers.clone()];
        let name = normal(&self.sources.get(main).name);
        self.open.push((name, None));
        self.take(file, Home::Main);
        self.items
    }

    fn take(&mut self, file: &ast::File, home: Home) {
        for item in &file.items {
            match item {
                ast::Item::Import(it) => self.import(it),
                ast::Item::Param(it) => self.items.define(Def::Param(Rc::new(it.clone())), home, self.sink),
                ast::Item::Operator(it) => self.items.define(Def::Operator(Rc::new(it.clone())), home, self.sink),
                ast::Item::Fn(it) => self.items.define(Def::Fn(Rc::new(it.clone())), home, self.sink),
                ast::Item::Block(it) => self.items.define(Def::Block(Rc::new(it.clone())), home, self.sink),
                ast::Item::Recipe(kind, it) => self.items.define_chosen(*kind, it, home, self.sink),
                ast::Item::Model(it) if home == Home::Main => self.items.models.push(Rc::new(it.clone())),
                ast::Item::Train(it) if home == Home::Main => self.items.trains.push(Rc::new(it.clone())),
                ast::Item::Model(_) | ast::Item::Train(_) => {}
            }
        }
    }

    fn import(&mut self, import: &ast::Import) {
        let here = self.open.last().map_or(String::new(), |it| it.0.clone());
        let (place, own) = (join(&here, &import.path), library::text(&import.path));
        // A file of the library is one, wherever it is imported.
        let path = if own.is_some() { format!("<{}>", import.path) } else { place.clone() };
        if let Some(at) = self.open.iter().position(|it| it.0 == path) {
            let mut cycle: Vec<&str> = self.open[at..].iter().map(|it| it.0.as_str()).collect();
            cycle.push(&path);
            let mut report =
                Diagnostic::new(Code::E0109, import.path_span, format!("importing `{}` closes a cycle", import.path))
                    .label("this file is being read already")
                    .note(format!("cycle: {}", cycle.join(" -> ")))
                    .help("move what both files need into a third one");
            for (name, span) in &self.open[at + 1..] {
                if let Some(span) = span {
                    report = report.also(*span, format!("`{name}` is imported here"));
                }
            }
            self.sink.push(report);
            return;
        }
        if !self.done.insert(path.clone()) {
            return;
        }
        if DEEPEST_IMPORT < self.open.len() {
            self.sink.push(
                Diagnostic::new(Code::E0112, import.path_span, "files import each other too deeply")
                    .label(format!("more than {DEEPEST_IMPORT} files within each other"))
                    .help("import what is needed from the files that define it"),
            );
            return;
        }
        let found = match own {
            Some(text) => match (self.load)(&place) {
                // What is on the disk must not be what it stands for by accident.
                Ok(_) => {
                    self.sink.push(
                        Diagnostic::new(
                            Code::E0109,
                            import.path_span,
                            format!("`{}` is a file here and one of the library", import.path),
                        )
                        .label("which of them?")
                        .note(format!(
                            "`{place}` is there, and paths that start with `{}` are the library's",
                            library::FOLDER
                        ))
                        .help(format!("write `\"./{}\"` for the file, or move it for the library's", import.path)),
                    );
                    return;
                }
                Err(_) => Ok(text.to_owned()),
            },
            None => (self.load)(&path),
        };
        match found {
            Ok(text) => {
                let id = self.sources.add(path.clone(), text.clone());
                let tree = crate::syntax::parse(id, &text, self.sink);
                self.open.push((path, Some(import.path_span)));
                self.take(&tree, Home::Import);
                self.open.pop();
            }
            Err(cause) => {
                let report = Diagnostic::new(Code::E0109, import.path_span, format!("cannot import `{}`", import.path))
                    .label(cause)
                    .note(format!("looked for `{path}`: imports are relative to the importing file"));
                let all: Vec<String> = library::paths().map(|it| format!("`{it}`")).collect();
                let library = import.path.starts_with(library::FOLDER);
                self.sink.push(if library {
                    report.note(format!("the library has {}", all.join(", ")))
                } else {
                    report
                });
            }
        }
    }
}

/// `path` as seen from the folder of `file`.
pub(super) fn join(file: &str, path: &str) -> String {
    if path.starts_with('/') {
        return normal(path);
    }
    match file.rfind('/') {
        Some(at) => normal(&format!("{}/{path}", &file[..at])),
        None => normal(path),
    }
}

/// Without `.` and inner `..`, so that one file has one name.
fn normal(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "." => {}
            "" if !parts.is_empty() => {}
            ".." if parts.last().is_some_and(|it| !it.is_empty() && *it != "..") => {
                parts.pop();
            }
            _ => parts.push(part),
        }
    }
    parts.join("/")
}

/// Adds what a name means here, with the exact edit where there is a word for it: what it is in other languages goes before
/// how it is spelt.
pub(super) fn suggest<'a>(
    report: Diagnostic,
    span: Span,
    name: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Diagnostic {
    let known: Vec<&str> = known.into_iter().collect();
    let alike = || foreign::grown(name, &known).or_else(|| did_you_mean(name, known.iter().copied()));
    match (foreign::translate(name, &known), foreign::way(name)) {
        (Some(it), _) => report.kind(crate::diag::Kind::Resembling).fix(format!("did you mean `{it}`?"), span, it),
        (None, Some(way)) => report.help(way),
        (None, None) => match alike() {
            Some(it) => report.kind(crate::diag::Kind::Resembling).fix(format!("did you mean `{it}`?"), span, it),
            None => report,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_relative_to_the_importing_file() {
        assert_eq!(join("models/a.sph", "b.sph"), "models/b.sph");
        assert_eq!(join("models/a.sph", "./x/../b.sph"), "models/b.sph");
        assert_eq!(join("models/a.sph", "../b.sph"), "b.sph");
        assert_eq!(join("a.sph", "../b.sph"), "../b.sph");
        assert_eq!(join("a.sph", "/b.sph"), "/b.sph");
        assert_eq!(join("/x/a.sph", "b.sph"), "/x/b.sph");
    }
}
