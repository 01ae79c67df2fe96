//! What editors are told of a text, as the stages found it: what each name stands for, which names there are, and what
//! expressions are. Made only where [`Settings::index`](crate::lower::Settings::index) asks for it.

use crate::diag::{Sources, Span};
use crate::ir::ParamRole;
use crate::lower::names::about;
use crate::lower::names::items::{Def, Home, Item, Items};
use crate::lower::names::options::{GROUPS, KEYS, options};
use crate::lower::names::words::{
    AXES, CONSTANTS, GEOMETRY, INITS, OF_THE_DATA, PRIMITIVES, REDUCTIONS, STEPS, SUBJECTS, given_to,
};
use crate::lower::values::signature::{FUNCTIONS, QUERIES, Signature, builtin, init, reduction};
use crate::lower::values::types;
use crate::lower::values::value::Ty;
use crate::syntax::ast::{self, Part};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::rc::Rc;

/// What a name is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Bound by a statement.
    Value,
    /// Of a definition.
    Parameter,
    /// `param`.
    Param,
    /// `operator`.
    Operator,
    /// `fn`, or one that is built in.
    Function,
    /// `block` or `layer`.
    Block,
    /// What a recipe names.
    Part(Part),
    /// `model`.
    Model,
    /// Before the colon of an argument.
    Argument,
    /// How what is learned starts.
    Start,
    /// A constant or a word, which is known without a definition.
    Word,
}

/// A name where it was written, and what it stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mention {
    /// Where.
    pub span: Span,
    /// What it is.
    pub role: Role,
    /// Where the name is defined; its own place where it is that. `None` for what is built in.
    pub definition: Option<Span>,
}

/// A name that is bound inside of a definition, and as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// The name.
    pub name: String,
    /// Where it is bound.
    pub span: Span,
    /// What is around it: it is known from its place to the end of this.
    pub scope: Span,
    /// What it is.
    pub role: Role,
}

/// A parameter of something that can be named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Its name.
    pub name: String,
    /// As a signature shows it: `kernel: pair = 3`.
    pub text: String,
    /// The words that it takes, if it takes some.
    pub words: Vec<&'static str>,
    /// Whether it takes an operator.
    pub operator: bool,
    /// Whether it takes a start of what is learned.
    pub start: bool,
}

/// What a name can stand for: a definition, or what is built in.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The name.
    pub name: String,
    /// What it is.
    pub role: Role,
    /// `layer`, `operator`, `fn`, ...
    pub what: &'static str,
    /// `conv(x, filters: int, kernel: pair = 3)`, or the line of a `param`.
    pub text: String,
    /// What a call gives it.
    pub slots: Vec<Slot>,
    /// Its `///` lines.
    pub docs: Vec<String>,
    /// The name where it is defined.
    pub span: Option<Span>,
    /// Whether it is defined in the program's own texts.
    pub own: bool,
}

/// Everything that editors are told.
#[derive(Clone, Debug, Default)]
pub struct Index {
    /// By place.
    pub mentions: BTreeMap<Span, Mention>,
    /// In the order of the walk.
    pub bindings: Vec<Binding>,
    /// What the main file can name.
    pub entries: Vec<Entry>,
    /// What can stand after a key of the recipe, which clauses it takes, and whether it may come again.
    pub recipe: Vec<RecipeKey>,
    /// Names that are known without a definition: constants, and what the data set and the run tell.
    pub constants: Vec<Entry>,
    /// Other words that stand for something where they are asked for: axes, and what definitions of the recipe are given.
    pub words: Vec<Entry>,
    /// Definitions that cannot have another name: what they are, or what selects them, goes by the one they have. With the
    /// reason.
    pub fixed: BTreeMap<Span, String>,
    /// How what is learned can start.
    pub starts: Vec<Entry>,
    /// Names of arguments, and the callee of each.
    pub arguments: BTreeMap<Span, Span>,
    /// Names of types.
    pub types: Vec<&'static str>,
    /// What an operator can be a function of.
    pub geometry: Vec<&'static str>,
    /// What the bodies of such items can read besides their parameters.
    pub given: BTreeMap<&'static str, &'static [&'static str]>,
    /// What the program's texts learn, without the prelude and the library.
    pub learned: BTreeSet<String>,
    /// What the data has for each example, as losses name it.
    pub of_the_data: Vec<Entry>,
    /// Groups of parameters that an entry can be `on`.
    pub groups: Vec<Entry>,
    /// What selectors ask of parameters.
    pub subjects: Vec<Entry>,
    /// What parameters are for.
    pub roles: Vec<Entry>,
    /// Imports, and the names of their files among the sources.
    pub imports: Vec<(Span, String)>,
    /// What names and calls came to, by their places: shapes of tensors without the batch, and other values. Several where a
    /// line is read several times.
    pub values: BTreeMap<Span, Vec<Noted>>,
}

/// What a name or call came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Noted {
    /// The shape of a tensor, without the batch.
    Shape(Vec<usize>),
    /// Any other value, as it would be written.
    Value(String),
}

impl fmt::Display for Noted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Noted::Shape(dims) => {
                let list: Vec<String> = dims.iter().map(usize::to_string).collect();
                write!(f, "[{}]", list.join(", "))
            }
            Noted::Value(text) => f.write_str(text),
        }
    }
}

/// A key of the recipe.
#[derive(Clone, Debug)]
pub struct RecipeKey {
    /// `optimizer`.
    pub name: &'static str,
    /// Whether it may come again.
    pub many: bool,
    /// `on`, `where`, `every`.
    pub clauses: &'static [&'static str],
    /// How it is written, and what it is for.
    pub entry: Entry,
    /// Words that can stand after it.
    pub options: Vec<Entry>,
}

impl Index {
    /// Takes what the names of a text stand for.
    pub(in crate::lower) fn tell(&mut self, items: &Items, sources: &Sources) {
        self.imports.clone_from(&items.imports);
        let group = |name| Entry::word("parameters", name, name, about::group(name));
        self.groups = GROUPS.iter().map(|it| group(it.0)).collect();
        let role = |it: ParamRole| Entry::word("role", it.word(), it.word(), Some(about::role(it)));
        self.roles = ParamRole::ALL.into_iter().map(role).collect();
        self.subjects = SUBJECTS.into_iter().map(|it| Entry::formed("selector", it, about::subject(it))).collect();
        let word = |what: &'static str| move |name| Entry::formed(what, name, about::word(name));
        self.constants = constants().map(word("constant")).collect();
        self.of_the_data = OF_THE_DATA.into_iter().map(word("given")).collect();
        let given = Part::ALL.into_iter().flat_map(given_to).copied();
        self.words = AXES.iter().copied().map(word("axis")).chain(given.map(word("given"))).collect();
        self.types = types::NAMES.to_vec();
        self.geometry = GEOMETRY.to_vec();
        self.given = Part::ALL.iter().map(|it| (it.word(), given_to(*it))).collect();
        let learned = items.learned().into_iter().filter(|it| !items.is_own(it.span.file));
        self.learned = learned.map(|it| it.name.clone()).collect();
        self.entries = items.iter().map(|it| entry(it.1, items, sources)).collect();
        for part in Part::ALL {
            self.entries.extend(items.definitions(part).into_iter().map(|(def, home)| {
                let what = part.word();
                let made = Entry::of(&items.part_signature(part, def), Role::Part(part), def, home);
                Entry { what, ..made }
            }));
        }
        let known = |name: &str| items.main(name).is_some();
        let names = FUNCTIONS.iter().map(|it| it.0).chain(QUERIES.iter().copied()).chain(PRIMITIVES.iter().copied());
        let built_in = names.filter(|it| !known(it)).filter_map(builtin);
        let reductions =
            REDUCTIONS.iter().filter(|it| !known(it) && builtin(it).is_none()).filter_map(|it| reduction(it));
        let functions = built_in.chain(reductions);
        self.entries.extend(functions.map(|it| Entry::built_in(&it, Role::Function).told(about::function(&it.name))));
        let starts = INITS.iter().filter_map(|it| init(it));
        self.starts = starts.map(|it| Entry::built_in(&it, Role::Start).told(about::start(&it.name))).collect();
        for (name, many, clauses) in KEYS {
            let options = options(name, items);
            let option = |it: &Signature| Entry::built_in(it, Role::Word).told(about::option(name, &it.name));
            let options = options.iter().map(option).collect();
            self.recipe.push(RecipeKey { name, many: *many, clauses, entry: Entry::key(name), options });
        }
    }

    /// The last that was bound before a place under each name that is known there.
    pub fn bound_at(&self, place: Span) -> BTreeMap<&str, &Binding> {
        let known = |it: &&Binding| {
            let scope = it.scope;
            scope.file == place.file
                && scope.start <= place.start
                && place.start <= scope.end
                && it.span.end <= place.start
        };
        self.bindings.iter().filter(known).map(|it| (it.name.as_str(), it)).collect()
    }

    /// The mention that holds a place, or ends at it.
    pub fn mention_at(&self, place: Span) -> Option<&Mention> {
        let until = Span { end: u32::MAX, ..place };
        let last = self.mentions.range(..=until).next_back().map(|it| it.1)?;
        (last.span.file == place.file && place.start <= last.span.end).then_some(last)
    }

    /// What is defined at a place.
    pub fn entry_of(&self, definition: Span) -> Option<&Entry> {
        self.entries.iter().find(|it| it.span == Some(definition))
    }
}

impl Entry {
    fn of(signature: &Signature, role: Role, def: &ast::Function, home: Home) -> Entry {
        Entry {
            docs: def.docs.clone(),
            span: Some(def.name.span),
            own: home <= Home::Library,
            ..Entry::built_in(signature, role)
        }
    }

    /// An entry of the recipe.
    fn key(name: &str) -> Entry {
        let (form, about) = about::entry(name).unwrap_or_default();
        Entry::word("entry", name, form, Some(about))
    }

    /// A word with the form that it is written in, and a line of what it is.
    fn formed(what: &'static str, name: &str, told: Option<(&str, &str)>) -> Entry {
        let (form, about) = told.unwrap_or((name, ""));
        Entry::word(what, name, form, Some(about))
    }

    fn word(what: &'static str, name: &str, form: &str, about: Option<&str>) -> Entry {
        let word = Entry {
            name: name.to_owned(),
            role: Role::Word,
            what,
            text: form.to_owned(),
            slots: Vec::new(),
            docs: Vec::new(),
            span: None,
            own: true,
        };
        word.told(about)
    }

    /// With a line of what it does.
    fn told(self, line: Option<&str>) -> Entry {
        Entry { docs: line.map(str::to_owned).into_iter().collect(), ..self }
    }

    fn built_in(signature: &Signature, role: Role) -> Entry {
        let slots = signature.slots.iter().map(|it| Slot {
            name: it.name.clone(),
            text: it.text(),
            words: if it.ty == Ty::Axes { AXES } else { it.ty.words().unwrap_or_default() }.to_vec(),
            operator: it.is_operator(),
            start: it.ty == Ty::Start,
        });
        Entry {
            name: signature.name.clone(),
            role,
            what: signature.what,
            text: signature.text(),
            slots: slots.collect(),
            docs: Vec::new(),
            span: None,
            own: true,
        }
    }
}

/// Names that have a value without a definition.
fn constants() -> impl Iterator<Item = &'static str> {
    CONSTANTS.iter().map(|it| it.0).chain(["classes", "training"]).chain(STEPS.iter().copied())
}

/// All words that stand for a value or for axes without a definition.
#[cfg(test)]
pub(super) fn known_words() -> impl Iterator<Item = &'static str> {
    let given = Part::ALL.into_iter().flat_map(given_to).copied();
    constants().chain(AXES.iter().copied()).chain(OF_THE_DATA).chain(given)
}

/// An item that the file can name.
fn entry(item: &Item, items: &Items, sources: &Sources) -> Entry {
    let of = |signature: Signature, role, def: &Rc<ast::Function>| Entry::of(&signature, role, def, item.home);
    match &item.def {
        Def::Operator(it) => of(types::operator_signature(it, false), Role::Operator, it),
        Def::Fn(it) => of(types::signature("fn", it), Role::Function, it),
        Def::Block(it) => of(items.block_signature(it), Role::Block, it),
        Def::Param(it) => Entry {
            name: it.name.name.clone(),
            role: Role::Param,
            what: "param",
            text: sources.slice(it.span).trim().to_owned(),
            slots: Vec::new(),
            docs: it.docs.clone(),
            span: Some(it.name.span),
            own: item.home <= Home::Library,
        },
    }
}
