//! What a file defines, with what it imports and the prelude: tables of names.
//!
//! A name of the file goes before the same name of the prelude or of a built-in layer or function, where the file itself
//! and what it imports name it: definitions of the prelude and of the library keep meaning what they were written with.
//! Imported files give their operators, functions, blocks and params; their models and recipes stay
//! behind, so that a block can be taken out of another experiment.

use crate::diag::{Code, Diagnostic, FileId, Sink, Span, did_you_mean};
use crate::lower::names::synonyms;
use crate::lower::values::signature::Signature;
use crate::lower::values::types;
use crate::lower::values::value::{OperatorRef, Ty};
use crate::syntax::ast::{self, Part as Kind, StmtKind};
use std::collections::BTreeMap;
use std::rc::Rc;

/// Starts what a block is known as that has the name of an operator. No name has a space.
pub(in crate::lower) const BESIDE: &str = "layer ";

/// Starts what a definition of the prelude is known as whose name the file gives to something else.
pub(in crate::lower) const HIDDEN: &str = "prelude ";

/// What a name stands for.
#[derive(Clone, Debug)]
pub(in crate::lower) enum Def {
    Param(Rc<ast::Param>),
    Operator(Rc<ast::Function>),
    Fn(Rc<ast::Function>),
    Block(Rc<ast::Function>),
}

/// Where a definition comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::lower) enum Home {
    Prelude,
    Library,
    Import,
    Main,
}

/// A definition.
#[derive(Clone, Debug)]
pub(in crate::lower) struct Item {
    pub(in crate::lower) def: Def,
    pub(in crate::lower) home: Home,
    /// Position among all definitions.
    pub(in crate::lower) place: usize,
}

/// What the names of a file stand for.
#[derive(Debug, Default)]
struct Names {
    table: BTreeMap<String, Item>,
    /// What only a recipe names.
    chosen: BTreeMap<(Kind, String), (Rc<ast::Function>, Home)>,
    /// Blocks and layers that are called as an operator is.
    layers: BTreeMap<String, Item>,
}

/// All definitions and what only the main file holds.
#[derive(Debug, Default)]
pub(in crate::lower) struct Items {
    pub(in crate::lower) prelude: FileId,
    /// The prelude, and files of the library.
    own: Vec<FileId>,
    /// As they see the names.
    base: Names,
    /// As the other files see them.
    names: Names,
    /// Definitions so far.
    places: usize,
    /// Imports, and the names of their files among the sources.
    pub(in crate::lower) imports: Vec<(Span, String)>,
    pub(in crate::lower) models: Vec<Rc<ast::Model>>,
    pub(in crate::lower) trains: Vec<Rc<ast::Train>>,
}

/// What a body learns.
fn learned_in<'a>(body: &'a ast::Body, found: &mut Vec<&'a ast::Ident>) {
    for stmt in &body.stmts {
        match &stmt.kind {
            StmtKind::Learn { name, .. } => found.push(name),
            StmtKind::For { body, .. } => learned_in(body, found),
            StmtKind::If { then, otherwise, .. } => {
                learned_in(then, found);
                otherwise.iter().for_each(|it| learned_in(it, found));
            }
            StmtKind::Input { .. }
            | StmtKind::Let { .. }
            | StmtKind::Assign { .. }
            | StmtKind::Unpack { .. }
            | StmtKind::Assert { .. }
            | StmtKind::Output { .. }
            | StmtKind::Keep { .. }
            | StmtKind::Stat { .. }
            | StmtKind::Expr(_) => {}
        }
    }
}

impl Def {
    pub(in crate::lower) fn name(&self) -> &ast::Ident {
        match self {
            Def::Param(it) => &it.name,
            Def::Operator(it) | Def::Fn(it) | Def::Block(it) => &it.name,
        }
    }

    pub(in crate::lower) fn what(&self) -> &'static str {
        match self {
            Def::Param(_) => "param",
            Def::Operator(_) => "operator",
            Def::Fn(_) => "fn",
            Def::Block(_) => "block",
        }
    }
}

impl Items {
    /// A file of the prelude or the library.
    pub(in crate::lower) fn add_own(&mut self, file: FileId) {
        self.own.push(file);
    }

    /// Whether a file is of the prelude or the library.
    pub(in crate::lower) fn is_own(&self, file: FileId) -> bool {
        self.own.contains(&file)
    }

    /// What names stand for in a text of this file.
    fn seen(&self, from: FileId) -> &Names {
        if self.is_own(from) { &self.base } else { &self.names }
    }

    /// What a name stands for in a text of this file.
    pub(in crate::lower) fn get(&self, name: &str, from: FileId) -> Option<&Item> {
        self.seen(from).table.get(name)
    }

    /// What a name stands for in the file that is compiled.
    pub(in crate::lower) fn main(&self, name: &str) -> Option<&Item> {
        self.names.table.get(name)
    }

    /// What a call calls. Constants of operators are given by name, so what is given by place goes to a layer of that name.
    pub(in crate::lower) fn called(&self, call: &ast::Call) -> Option<&Item> {
        let (name, names) = (call.callee.name.as_str(), self.seen(call.callee.span.file));
        let placed = call.piped.is_some() || call.args.iter().any(|it| it.name.is_none());
        match names.table.get(name) {
            Some(Item { def: Def::Operator(_), .. }) if placed => {
                names.layers.get(name).or_else(|| names.table.get(name))
            }
            found => found,
        }
    }

    /// An operator of the prelude, which a built-in function has as a default.
    pub(in crate::lower) fn usual(&self, name: &str) -> Option<OperatorRef> {
        self.operator(name, self.prelude).cloned().map(OperatorRef::new)
    }

    pub(in crate::lower) fn iter(&self) -> impl Iterator<Item = (&String, &Item)> {
        self.names.table.iter().chain(&self.names.layers)
    }

    /// What any operator or block learns, whether it is in use or not: a recipe selects it by name.
    pub(in crate::lower) fn learned(&self) -> Vec<&ast::Ident> {
        let mut found = Vec::new();
        for (_, item) in self.iter() {
            match &item.def {
                Def::Operator(it) | Def::Block(it) => learned_in(&it.body, &mut found),
                Def::Fn(_) | Def::Param(_) => {}
            }
        }
        found
    }

    pub(in crate::lower) fn operator(&self, name: &str, from: FileId) -> Option<&Rc<ast::Function>> {
        match self.get(name, from)? {
            Item { def: Def::Operator(it), .. } => Some(it),
            _ => None,
        }
    }

    /// All definitions of a kind that the compiled file sees, its own first.
    pub(in crate::lower) fn definitions(&self, kind: Kind) -> Vec<(&Rc<ast::Function>, Home)> {
        let mut all: Vec<(&Rc<ast::Function>, Home)> =
            self.names.chosen.iter().filter(|it| it.0.0 == kind).map(|(_, it)| (&it.0, it.1)).collect();
        all.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.name.name.cmp(&b.0.name.name)));
        all
    }

    /// The definition of a kind that has this name in a text of this file.
    pub(in crate::lower) fn definition(&self, kind: Kind, name: &str, from: FileId) -> Option<&Rc<ast::Function>> {
        self.seen(from).chosen.get(&(kind, name.to_owned())).map(|it| &it.0)
    }

    /// What can be measured under a name: a metric may be a loss as well.
    pub(in crate::lower) fn measure(&self, kind: Kind, name: &str, from: FileId) -> Option<(Kind, &Rc<ast::Function>)> {
        let kinds = if kind == Kind::Metric { [Kind::Metric, Kind::Loss].as_slice() } else { &[Kind::Loss] };
        kinds.iter().find_map(|it| Some((*it, self.definition(*it, name, from)?)))
    }

    /// What a recipe can choose of a kind.
    pub(in crate::lower) fn signatures(&self, kind: Kind) -> Vec<Signature> {
        self.definitions(kind).into_iter().map(|it| self.part_signature(kind, it.0)).collect()
    }

    /// What an entry of a recipe must give. The text of the prelude is nobody's to look at.
    pub(in crate::lower) fn part_signature(&self, kind: Kind, def: &ast::Function) -> Signature {
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

    pub(in crate::lower) fn define_chosen(&mut self, kind: Kind, def: ast::Function, home: Home, sink: &mut Sink) {
        let def = Rc::new(def);
        let name = &def.name;
        if let Some((old, first)) = self.names.chosen.get(&(kind, name.name.clone()))
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
        if home <= Home::Library {
            self.base.chosen.insert((kind, name.name.clone()), (def.clone(), home));
        }
        self.names.chosen.insert((kind, name.name.clone()), (def, home));
    }

    /// Whether the file is there to be imported: it defines things, or hands on what others do, but has neither a model nor
    /// a recipe.
    pub(in crate::lower) fn is_library(&self) -> bool {
        let defines = self.iter().any(|it| it.1.home == Home::Main)
            || self.names.chosen.values().any(|it| it.1 == Home::Main)
            || !self.imports.is_empty();
        defines && self.models.is_empty() && self.trains.is_empty()
    }

    /// Names of the operators, those of the file first.
    pub(in crate::lower) fn operators(&self) -> Vec<&str> {
        let mut all: Vec<(Home, &str)> = self
            .names
            .table
            .iter()
            .filter(|(_, it)| matches!(it.def, Def::Operator(_)))
            .map(|(name, it)| (it.home, name.as_str()))
            .collect();
        all.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(b.1)));
        all.into_iter().map(|it| it.1).collect()
    }

    pub(in crate::lower) fn define(&mut self, def: Def, home: Home, sink: &mut Sink) {
        self.places += 1;
        let item = Item { def, home, place: self.places };
        if home <= Home::Library {
            // That a name is taken is told once.
            let _ = self.base.define(item.clone());
        }
        if let Err(report) = self.names.define(item) {
            sink.push(*report);
        }
    }

    /// Names in the order of their definitions: params may use those before them.
    pub(in crate::lower) fn order(&self) -> Vec<&String> {
        let mut all: Vec<(usize, &String)> = self.names.table.iter().map(|(name, it)| (it.place, name)).collect();
        all.sort_unstable();
        all.into_iter().map(|it| it.1).collect()
    }

    /// How a definition is known among all: by its name, unless another has it.
    pub(in crate::lower) fn key(&self, name: &ast::Ident) -> String {
        let is = |it: Option<&Item>| it.is_some_and(|it| it.def.name().span == name.span);
        let name = &name.name;
        if is(self.names.table.get(name)) {
            name.clone()
        } else if is(self.names.layers.get(name)) {
            format!("{BESIDE}{name}")
        } else if is(self.base.layers.get(name)) {
            format!("{HIDDEN}{BESIDE}{name}")
        } else {
            format!("{HIDDEN}{name}")
        }
    }

    /// How what only a recipe names is known.
    pub(in crate::lower) fn part_key(&self, kind: Kind, name: &ast::Ident) -> String {
        let found = self.names.chosen.get(&(kind, name.name.clone()));
        let hidden = if found.is_some_and(|it| it.0.name.span == name.span) { "" } else { HIDDEN };
        format!("{hidden}{} {}", kind.word(), name.name)
    }
}

impl Names {
    /// Gives a name its meaning. An error where it must not have two.
    fn define(&mut self, item: Item) -> Result<(), Box<Diagnostic>> {
        let name = item.def.name().name.clone();
        let old = self.table.get(&name);
        match (old.map(|it| &it.def), &item.def) {
            // Operators have names of their own: a block or layer of one's name stays, or comes, beside it.
            (Some(Def::Operator(_)), Def::Block(_)) => {
                if let Some(first) = self.layers.get(&name).filter(|it| it.is_rival(item.home)) {
                    return Err(Box::new(item.again(first)));
                }
                self.layers.insert(name, item);
                return Ok(());
            }
            (Some(Def::Block(_)), Def::Operator(_)) => {
                self.layers.extend(old.cloned().map(|it| (name.clone(), it)));
            }
            _ => {
                if let Some(first) = old.filter(|it| it.is_rival(item.home)) {
                    return Err(Box::new(item.again(first)));
                }
            }
        }
        self.table.insert(name, item);
        Ok(())
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
        let a = |it: &Def| match it {
            Def::Operator(_) => format!("an {}", it.what()),
            Def::Param(_) | Def::Fn(_) | Def::Block(_) => format!("a {}", it.what()),
        };
        Diagnostic::new(Code::E0103, ident.span, format!("`{}` is defined twice", ident.name))
            .label(format!("{} of this name again", a(&self.def)))
            .also(old.span, format!("first defined here{elsewhere}, as {}", a(&first.def)))
            .help("give one of them another name")
    }
}

/// Adds what a name means here, with the exact edit where there is a word for it: what it is in other languages goes before
/// how it is spelt.
pub(in crate::lower) fn suggest<'a>(
    report: Diagnostic,
    span: Span,
    name: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Diagnostic {
    let known: Vec<&str> = known.into_iter().collect();
    let alike = || synonyms::grown(name, &known).or_else(|| did_you_mean(name, known.iter().copied()));
    match (synonyms::translate(name, &known), synonyms::way(name)) {
        (Some(it), _) => report.kind(crate::diag::Kind::Resembling).fix(format!("did you mean `{it}`?"), span, it),
        (None, Some(way)) => report.help(way),
        (None, None) => match alike() {
            Some(it) => report.kind(crate::diag::Kind::Resembling).fix(format!("did you mean `{it}`?"), span, it),
            None => report,
        },
    }
}
