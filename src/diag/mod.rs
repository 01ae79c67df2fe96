//! (Unstable.) Diagnostics: what is wrong in a user's file, where, and what to change.
//!
//! This is the lowest layer: it imports nothing from the crate. A stage pushes
//! [`Diagnostic`]s into a [`Sink`] and carries on; only [`render`] knows how they look.

pub mod code;
mod cut;
mod plain;
pub mod render;
pub mod span;

pub use code::Code;
pub use plain::plain;
pub use span::{FileId, Sources, Span};

use std::collections::BTreeSet;

/// How bad it is. Decided by the [`Code`], never by the place that reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The file cannot be compiled.
    Error,
    /// The file compiles, but probably not to what its author wants.
    Warning,
}

/// A place in a source with a remark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// Where.
    pub span: Span,
    /// What is to be said of it; may be empty.
    pub text: String,
}

/// A proposed change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Help {
    /// The sentence after `help:`.
    pub text: String,
    /// The exact edit, when there is one: replace the span's text by the string.
    pub replacement: Option<(Span, String)>,
}

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Stable identity; decides the severity and the long explanation.
    pub code: Code,
    /// Lower case, no full stop.
    pub message: String,
    /// The place the message is about.
    pub primary: Label,
    /// Other places that explain it.
    pub secondary: Vec<Label>,
    /// Facts: formulas with numbers, chains of sizes.
    pub notes: Vec<String>,
    /// Proposed changes.
    pub helps: Vec<Help>,
    /// What decides which other reports may follow from it.
    pub kind: Kind,
}

/// What a report is of, as far as others may follow from it or it from others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// Any mistake.
    #[default]
    Plain,
    /// The input is not that of the data set, so sizes that come of it are no mistakes of their own.
    OtherInput,
    /// A name that is not defined, but means one that is.
    Resembling,
}

impl Diagnostic {
    /// A diagnostic at `span` whose primary label says nothing yet.
    pub fn new(code: Code, span: Span, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            primary: Label { span, text: String::new() },
            secondary: Vec::new(),
            notes: Vec::new(),
            helps: Vec::new(),
            kind: Kind::Plain,
        }
    }

    /// Says what it is of.
    #[must_use]
    pub fn kind(mut self, kind: Kind) -> Self {
        self.kind = kind;
        self
    }

    /// Sets the text under the primary place.
    #[must_use]
    pub fn label(mut self, text: impl Into<String>) -> Self {
        self.primary.text = text.into();
        self
    }

    /// Adds a secondary place.
    #[must_use]
    pub fn also(mut self, span: Span, text: impl Into<String>) -> Self {
        self.secondary.push(Label { span, text: text.into() });
        self
    }

    /// Adds a fact.
    #[must_use]
    pub fn note(mut self, text: impl Into<String>) -> Self {
        self.notes.push(text.into());
        self
    }

    /// Adds a proposal in words.
    #[must_use]
    pub fn help(mut self, text: impl Into<String>) -> Self {
        self.helps.push(Help { text: text.into(), replacement: None });
        self
    }

    /// Adds a proposal that is an exact edit.
    #[must_use]
    pub fn fix(mut self, text: impl Into<String>, span: Span, replacement: impl Into<String>) -> Self {
        self.helps.push(Help { text: text.into(), replacement: Some((span, replacement.into())) });
        self
    }

    /// Severity of this diagnostic's code.
    pub fn severity(&self) -> Severity {
        self.code.severity()
    }
}

/// Collects diagnostics. Identical reports (the same code at the same place with the same
/// message) are kept once, so that unrolled loops do not repeat themselves.
#[derive(Debug, Default)]
pub struct Sink {
    found: Vec<Diagnostic>,
    known: BTreeSet<(Code, Span, String)>,
}

impl Sink {
    /// An empty sink.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a report, unless it was already made.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        if self.known.insert((diagnostic.code, diagnostic.primary.span, diagnostic.message.clone())) {
            self.found.push(diagnostic);
        }
    }

    /// What prevents compilation so far, in the order in which it was found.
    pub fn errors(&self) -> impl Iterator<Item = &Diagnostic> {
        self.found.iter().filter(|it| it.severity() == Severity::Error)
    }

    /// Whether there is nothing to report so far.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Whether anything so far prevents compilation.
    pub fn has_errors(&self) -> bool {
        self.errors().next().is_some()
    }

    /// Everything found, in order of place.
    pub fn finish(mut self) -> Vec<Diagnostic> {
        self.found.sort_by_key(|it| (it.primary.span, it.code));
        self.found
    }
}

/// The one close name among `known`, if there is exactly one within reach of a typing mistake.
pub fn did_you_mean<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let length = name.chars().count();
    let reach = (length / 3).max(1);
    let mut close: Vec<(usize, &str)> = known
        .into_iter()
        // As many letters must be put in or taken out as the lengths differ by.
        .filter(|it| length.abs_diff(it.chars().count()) <= reach)
        .map(|it| (strsim::damerau_levenshtein(name, it), it))
        .filter(|(distance, it)| *distance <= reach && *it != name)
        .collect();
    close.sort();
    close.dedup();
    match close.as_slice() {
        [(_, only)] => Some(only),
        [(first, best), (second, _), ..] if first < second => Some(best),
        _ => None,
    }
}
