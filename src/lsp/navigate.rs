//! Definitions, and all places of a name: those of the open document, of what it imports, and of files of the workspace
//! that import the same.

use super::Server;
use super::uri::name_of;
use super::view::{Places, View};
use crate::diag::{Sources, Span};
use crate::lower::Mention;
use crate::pipeline::Named;
use lsp_types::{DocumentHighlight, DocumentHighlightKind, GotoDefinitionResponse, Location, Position, Range, Uri};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where a name is defined, or the file that is imported.
pub(super) fn definition(view: &View<'_>, position: Position) -> Option<GotoDefinitionResponse> {
    let place = view.place(view.byte(position));
    let index = &view.named.index;
    let import =
        index.imports.iter().find(|(it, _)| it.file == place.file && it.start <= place.start && place.start <= it.end);
    let location = match import {
        Some((_, name)) => {
            let (file, _) = view.named.sources.iter().find(|it| it.1.name == *name)?;
            Location { uri: view.world.address(&view.named.sources, file)?, range: Range::default() }
        }
        None => view.location(view.mention(position)?.definition?)?,
    };
    Some(GotoDefinitionResponse::Scalar(location))
}

/// A definition, whatever compilation it is seen from.
pub(super) struct Definition {
    name: String,
    start: u32,
    end: u32,
}

impl Definition {
    /// What a mention stands for.
    pub(super) fn of(mention: &Mention, sources: &Sources) -> Option<Definition> {
        let Span { file, start, end } = mention.definition?;
        Some(Definition { name: sources.get(file).name.clone(), start, end })
    }

    /// The places where a compilation names it.
    pub(super) fn places(&self, named: &Named) -> Vec<Span> {
        let all = named.index.mentions.values();
        all.filter(|it| it.definition.is_some_and(|it| self.is(it, named))).map(|it| it.span).collect()
    }

    /// Why it can have no other name in a compilation, if so.
    pub(super) fn fixed<'n>(&self, named: &'n Named) -> Option<&'n str> {
        named.index.fixed.iter().find(|it| self.is(*it.0, named)).map(|it| it.1.as_str())
    }

    fn is(&self, it: Span, named: &Named) -> bool {
        (it.start, it.end) == (self.start, self.end) && named.sources.get(it.file).name == self.name
    }
}

/// Every place of the name at a position, each once, in order.
pub(super) fn references(
    view: &View<'_>,
    others: &[Arc<Named>],
    position: Position,
    own: bool,
) -> Option<Vec<Location>> {
    let mention = view.mention(position)?;
    let definition = Definition::of(mention, &view.named.sources)?;
    let here = mention.definition.and_then(|it| view.location(it));
    let mut found: Vec<Location> = Vec::new();
    for named in std::iter::once(&view.named).chain(others) {
        let mut places = Places::of(view.world, &named.sources);
        found.extend(definition.places(named).into_iter().filter_map(|it| places.location(it)));
    }
    // A definition of the prelude is in no text that was walked.
    found.extend(here.clone());
    found.retain(|it| own || Some(it) != here.as_ref());
    found.sort_by(|a, b| {
        let key = |it: &Location| (it.range.start.line, it.range.start.character);
        a.uri.as_str().cmp(b.uri.as_str()).then(key(a).cmp(&key(b)))
    });
    found.dedup();
    Some(found)
}

/// The places of the name in this document.
pub(super) fn highlights(view: &View<'_>, position: Position) -> Option<Vec<DocumentHighlight>> {
    let mention = view.mention(position)?;
    let definition = Definition::of(mention, &view.named.sources)?;
    let here = definition.places(&view.named).into_iter().filter(|it| it.file == mention.span.file);
    Some(here.map(|it| DocumentHighlight { range: view.range(it), kind: Some(DocumentHighlightKind::TEXT) }).collect())
}

/// So many files of a workspace are looked at.
const MOST_FILES: usize = 2000;

impl Server {
    /// The other compilations that may name what stands at a position: the open documents, and the files of the workspace
    /// in which the word stands.
    pub(super) fn others(&mut self, uri: &Uri, position: Position) -> Vec<Arc<Named>> {
        let main = name_of(uri);
        let Some(word) = self.world.view(uri).and_then(|it| {
            let mention = it.mention(position).filter(|it| it.definition.is_some())?;
            Some(it.named.sources.slice(mention.span).to_owned())
        }) else {
            return Vec::new();
        };
        let open: Vec<String> = self.world.documents.keys().filter(|it| **it != main).cloned().collect();
        let mut all: Vec<Arc<Named>> = open.iter().filter_map(|it| self.world.named(it)).collect();
        for path in files(&self.world.folders) {
            let Some(name) = path.to_str().filter(|it| *it != main && !open.iter().any(|open| open == it)) else {
                continue;
            };
            let Ok(text) = std::fs::read_to_string(&path) else { continue };
            if text.contains(&word) {
                all.extend(self.world.model(name, &text).names().ok().map(Arc::new));
            }
        }
        all
    }
}

/// The models of some folders, by name. Hidden folders are somebody else's, and a link may lead back.
fn files(folders: &[String]) -> Vec<PathBuf> {
    let (mut open, mut found): (Vec<PathBuf>, Vec<PathBuf>) = (folders.iter().map(PathBuf::from).collect(), Vec::new());
    while let Some(folder) = open.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for entry in entries.flatten() {
            let (path, Ok(kind)) = (entry.path(), entry.file_type()) else { continue };
            let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
            match kind.is_dir() {
                true if !hidden && !is_built(&path) => open.push(path),
                false if path.extension().is_some_and(|it| it == "sph") => found.push(path),
                true | false => {}
            }
        }
        if MOST_FILES < found.len() {
            break;
        }
    }
    found.sort();
    found.truncate(MOST_FILES);
    found
}

/// Folders of what was built or fetched are large, and hold no models of the workspace.
fn is_built(path: &Path) -> bool {
    path.file_name().is_some_and(|it| it == "target" || it == "node_modules")
}
