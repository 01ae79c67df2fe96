//! Renaming: of what the user's texts define. After it every name must stand for what it stood for before, or it is refused.

use super::dispatch::{Answer, Refusal};
use super::navigate::Definition;
use super::view::{Places, View};
use crate::diag::{FileId, Span};
use crate::lower::{Index, Mention, Role};
use crate::pipeline::Named;
use crate::syntax::{self, TokenKind, ast::Item};
use lsp_server::ErrorCode;
use lsp_types::{Location, Position, PrepareRenameResponse, TextEdit, Uri, WorkspaceEdit};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

fn refuse<T>(text: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal(ErrorCode::RequestFailed, text.into()))
}

/// What is renamed, unless it is not the user's.
fn renamed<'a>(view: &'a View<'_>, position: Position) -> Result<&'a Mention, Refusal> {
    let Some(mention) = view.mention(position) else { return refuse("there is no name here") };
    let name = view.named.sources.slice(mention.span);
    let Some(place) = mention.definition else {
        return refuse(match mention.role {
            Role::Start | Role::Word => format!("`{name}` is a word of the language"),
            _ => format!("`{name}` is built in"),
        });
    };
    let file = &view.named.sources.get(place.file).name;
    if file.starts_with('<') || view.world.is_own(file) {
        return refuse(format!("`{name}` is of {}, which nobody can change", file.trim_matches(['<', '>'])));
    }
    match view.named.index.fixed.get(&place) {
        Some(why) => refuse(why),
        None => Ok(mention),
    }
}

pub(super) fn prepare(view: &View<'_>, position: Position) -> Answer<PrepareRenameResponse> {
    let mention = renamed(view, position)?;
    Ok(Some(PrepareRenameResponse::Range(view.range(mention.span))))
}

pub(super) fn rename(view: &View<'_>, others: &[Arc<Named>], position: Position, new: &str) -> Answer<WorkspaceEdit> {
    let mention = renamed(view, position)?;
    if !is_name(new) {
        return refuse(format!(
            "`{new}` is no name: a letter or `_`, then letters, digits and `_`, and no word of the language"
        ));
    }
    let Some(definition) = Definition::of(mention, &view.named.sources) else { return refuse("there is no name here") };
    let mut changes: BTreeMap<Uri, BTreeMap<(u32, u32), TextEdit>> = BTreeMap::new();
    for named in std::iter::once(&view.named).chain(others) {
        if let Some(why) = definition.fixed(named) {
            return refuse(why);
        }
        let places = definition.places(named);
        // What names it must see it, and all it reads stays as it is otherwise.
        if !places.is_empty() {
            keeps_its_meaning(view, named, &places, new)?;
        }
        let mut located = Places::of(view.world, &named.sources);
        for Location { uri, range } in places.into_iter().filter_map(|it| located.location(it)) {
            let edit = TextEdit { range, new_text: new.to_owned() };
            changes.entry(uri).or_default().insert((range.start.line, range.start.character), edit);
        }
    }
    let changes: HashMap<Uri, Vec<TextEdit>> =
        changes.into_iter().map(|(uri, edits)| (uri, edits.into_values().collect())).collect();
    Ok(Some(WorkspaceEdit { changes: Some(changes), ..WorkspaceEdit::default() }))
}

/// A name that the grammar takes for one.
fn is_name(text: &str) -> bool {
    let probe = format!("param {text} = 1\n");
    let file = syntax::parse(FileId(0), &probe, &mut crate::diag::Sink::new());
    let tokens = syntax::tokens(text);
    let word = matches!(tokens.as_slice(), [it] if it.kind == TokenKind::Word && it.end == text.len());
    word && matches!(file.items.as_slice(), [Item::Param(it)] if it.name.name == text)
}

/// Reads the texts again with the new name, and compares what each name stands for.
fn keeps_its_meaning(view: &View<'_>, named: &Named, places: &[Span], new: &str) -> Result<(), Refusal> {
    let mut texts: BTreeMap<String, String> = BTreeMap::new();
    for (file, source) in named.sources.iter() {
        texts.insert(source.name.clone(), replaced(&source.text, places.iter().filter(|it| it.file == file), new));
    }
    let main = named.sources.get(FileId(0)).name.clone();
    let open = texts.clone();
    let model = view.world.model(&main, &texts[&main]).reading(move |path| open.get(path).cloned());
    let Ok(after) = model.names() else { return refuse("the text with the new name cannot be read") };
    if standing(&named.index) != standing(&after.index) {
        let other = after.diagnostics.iter().find(|it| !named.diagnostics.iter().any(|old| old.message == it.message));
        let why = other.map_or(String::new(), |it| format!(": {}", it.message));
        return refuse(format!("`{new}` would stand for something else, or something else for it, in `{main}`{why}"));
    }
    Ok(())
}

/// A text with something else in some places of it.
fn replaced<'p>(text: &str, places: impl Iterator<Item = &'p Span>, new: &str) -> String {
    let mut places: Vec<&Span> = places.collect();
    places.sort();
    let (mut out, mut done) = (String::new(), 0);
    for it in places {
        out.push_str(&text[done..it.start as usize]);
        out.push_str(new);
        done = it.end as usize;
    }
    out + &text[done..]
}

/// What each name stands for, as the number of a name: places differ once a name is longer. And whether it stands for that by
/// itself, as the parts of the geometry do.
fn standing(index: &Index) -> Vec<(Role, Option<usize>, bool)> {
    let numbers: BTreeMap<Span, usize> = index.mentions.keys().enumerate().map(|(at, it)| (*it, at)).collect();
    let of = |it: Span| numbers.get(&it).copied();
    let all = index.mentions.values();
    // What lies in the prelude is not walked, and has no number; it does not move either.
    let standing = |it: &Mention| {
        let fixed = it.definition.is_some_and(|it| index.fixed.contains_key(&it));
        (it.role, it.definition.map(|it| of(it).unwrap_or(usize::MAX - it.start as usize)), fixed)
    };
    all.map(standing).collect()
}
