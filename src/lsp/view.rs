//! A document with what is known of it: what requests are answered from.

use super::deep::Deep;
use super::text::Lines;
use super::world::{Document, World};
use crate::diag::{FileId, Sources, Span};
use crate::lower::{Entry, Mention, RecipeKey, Role};
use crate::pipeline::Named;
use crate::syntax::ast::{Item, TrainEntry};
use lsp_types::{Location, Position, Range, Uri};
use std::collections::BTreeMap;
use std::sync::Arc;

pub(super) struct View<'a> {
    pub(super) world: &'a World,
    pub(super) document: &'a Document,
    pub(super) named: Arc<Named>,
    pub(super) lines: Lines,
}

impl View<'_> {
    pub(super) fn text(&self) -> &str {
        &self.document.text
    }

    pub(super) fn byte(&self, position: Position) -> usize {
        self.lines.byte(self.text(), position)
    }

    /// The range of a span of this document.
    pub(super) fn range(&self, span: Span) -> Range {
        self.lines.range(self.text(), span.start as usize, span.end as usize)
    }

    pub(super) fn place(&self, byte: usize) -> Span {
        Span::new(FileId(0), byte, byte)
    }

    /// The name at a position.
    pub(super) fn mention(&self, position: Position) -> Option<&Mention> {
        self.named.index.mention_at(self.place(self.byte(position)))
    }

    /// What a name stands for, if that is a definition or built in.
    pub(super) fn entry(&self, mention: &Mention) -> Option<&Entry> {
        let index = &self.named.index;
        match mention.definition {
            Some(place) => index.entry_of(place),
            None => {
                let name = self.named.sources.slice(mention.span);
                let key = self.recipe_key(mention.span).filter(|_| mention.role == Role::Word);
                let none: &[Entry] = &[];
                let (constants, words): (&[Entry], &[Entry]) = (&index.constants, &index.words);
                let [first, then, last]: [&[Entry]; 3] = match (mention.role, key) {
                    (Role::Argument, _) => [none; 3],
                    (Role::Start, _) => [&index.starts, none, none],
                    // A key of the recipe has words of its own, whatever they are elsewhere.
                    (_, Some(key)) if key.name == name => return Some(&key.entry),
                    (_, Some(key)) => match self.clause(mention.span) {
                        Some(Clause::On) => [&index.groups, none, none],
                        Some(Clause::Where) => [&index.subjects, &index.roles, &index.constants],
                        None => [&key.options, constants, words],
                    },
                    (Role::Word, None) => [constants, words, &index.entries],
                    (_, None) => [&index.entries, none, none],
                };
                first.iter().chain(then).chain(last).find(|it| it.span.is_none() && it.name == name)
            }
        }
    }

    /// The key of the recipe whose entry holds a place of this document.
    pub(super) fn recipe_key(&self, place: Span) -> Option<&RecipeKey> {
        let entry = self.recipe_entry(place)?;
        self.named.index.recipe.iter().find(|it| it.name == entry.key.name)
    }

    fn recipe_entry(&self, place: Span) -> Option<&TrainEntry> {
        let mut entries = self.named.ast.items.iter().flat_map(|it| match it {
            Item::Train(it) => it.entries.as_slice(),
            _ => &[],
        });
        entries.find(|it| holds(it.span, place))
    }

    /// The clause of an entry that holds a place, if one does.
    fn clause(&self, place: Span) -> Option<Clause> {
        let entry = self.recipe_entry(place)?;
        if entry.on.iter().any(|it| it.span == place) {
            return Some(Clause::On);
        }
        entry.filter.as_ref().filter(|it| holds(it.span, place)).map(|_| Clause::Where)
    }

    /// Where a span of any text lies.
    pub(super) fn location(&self, span: Span) -> Option<Location> {
        Places::of(self.world, &self.named.sources).location(span)
    }

    /// What the check found, if it is of this very text.
    pub(super) fn checked(&self) -> Option<&Deep> {
        self.document.checked()
    }
}

/// A part of an entry that selects parameters.
enum Clause {
    On,
    Where,
}

fn holds(outer: Span, place: Span) -> bool {
    outer.file == place.file && outer.start <= place.start && place.end <= outer.end
}

/// Where spans lie. The lines of each text are counted once.
pub(super) struct Places<'a> {
    world: &'a World,
    sources: &'a Sources,
    known: BTreeMap<FileId, Option<(Uri, Lines)>>,
}

impl<'a> Places<'a> {
    pub(super) fn of(world: &'a World, sources: &'a Sources) -> Self {
        Self { world, sources, known: BTreeMap::new() }
    }

    /// Nothing for a text that no editor can open.
    pub(super) fn location(&mut self, span: Span) -> Option<Location> {
        let (world, sources) = (self.world, self.sources);
        let text = &sources.get(span.file).text;
        let of = || Some((world.address(sources, span.file)?, Lines::of(text, world.encoding)));
        let (uri, lines) = self.known.entry(span.file).or_insert_with(of).as_ref()?;
        Some(Location { uri: uri.clone(), range: lines.range(text, span.start as usize, span.end as usize) })
    }
}
