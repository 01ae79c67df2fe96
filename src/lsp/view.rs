//! A document with what is known of it: what requests are answered from.

use super::deep::Deep;
use super::text::Lines;
use super::world::{Document, World};
use crate::diag::{FileId, Sources, Span};
use crate::lower::{Entry, Mention, RecipeKey, Role};
use crate::pipeline::Named;
use crate::syntax::ast::Item;
use lsp_types::{Location, Position, Range};
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
                let all: &[Entry] = match (mention.role, key) {
                    (Role::Argument, _) => &[],
                    (Role::Start, _) => &index.starts,
                    // A key of the recipe has words of its own, whatever they are elsewhere.
                    (_, Some(key)) if key.name == name => return Some(&key.entry),
                    (_, Some(key)) => &key.options,
                    (_, None) => &index.entries,
                };
                all.iter().find(|it| it.span.is_none() && it.name == name)
            }
        }
    }

    /// The key of the recipe whose entry holds a place of this document.
    pub(super) fn recipe_key(&self, place: Span) -> Option<&RecipeKey> {
        let entries = self.named.ast.items.iter().flat_map(|it| match it {
            Item::Train(it) => it.entries.as_slice(),
            _ => &[],
        });
        let holds = |it: Span| it.file == place.file && it.start <= place.start && place.end <= it.end;
        let entry = entries.into_iter().find(|it| holds(it.span))?;
        self.named.index.recipe.iter().find(|it| it.name == entry.key.name)
    }

    /// Where a span of any text lies.
    pub(super) fn location(&self, span: Span) -> Option<Location> {
        location(self.world, &self.named.sources, span)
    }

    /// What the check found, if it is of this very text.
    pub(super) fn checked(&self) -> Option<&Deep> {
        self.document.checked()
    }
}

/// Where a span lies.
pub(super) fn location(world: &World, sources: &Sources, span: Span) -> Option<Location> {
    let text = &sources.get(span.file).text;
    let range = Lines::of(text, world.encoding).range(text, span.start as usize, span.end as usize);
    Some(Location { uri: world.address(sources, span.file)?, range })
}
