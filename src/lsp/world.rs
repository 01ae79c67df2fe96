//! The open documents, what is known of each, and the files that they name.

use super::deep::{Deep, Worker};
use super::shelf::Shelf;
use super::text::{Encoding, Lines, changed};
use super::uri::{name_of, uri_of};
use super::view::View;
use crate::api::{Model, Options};
use crate::diag::{Severity, Sources};
use crate::lower::library;
use crate::pipeline::Named;
use lsp_types::{TextDocumentContentChangeEvent, Uri};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

/// Texts of open documents, by name.
type Texts = Arc<Mutex<BTreeMap<String, Arc<str>>>>;

/// A document that is open.
pub(super) struct Document {
    pub(super) uri: Uri,
    pub(super) name: String,
    pub(super) text: Arc<str>,
    pub(super) version: i32,
    model: Model,
    /// Grows with each change of it or of what it imports.
    pub(super) stamp: u64,
    named: Option<Arc<Named>>,
    /// Of the text as it was last checked.
    pub(super) deep: Option<Arc<Deep>>,
    /// Names of layers, of the last text in which nothing was wrong if there was one: what is being written is not whole.
    pub(super) layers: BTreeSet<String>,
}

/// Everything that is known.
pub(super) struct World {
    pub(super) encoding: Encoding,
    pub(super) documents: BTreeMap<String, Document>,
    pub(super) shelf: Shelf,
    /// Folders of the workspace.
    pub(super) folders: Vec<String>,
    texts: Texts,
    options: Options,
    stamps: u64,
}

impl World {
    pub(super) fn new(options: Options, shelf: Shelf) -> World {
        World {
            encoding: Encoding::default(),
            documents: BTreeMap::new(),
            shelf,
            folders: Vec::new(),
            texts: Texts::default(),
            options,
            stamps: 0,
        }
    }

    /// A model of which imports are read as they stand in the editor.
    pub(super) fn model(&self, name: &str, text: &str) -> Model {
        let texts = self.texts.clone();
        let open = move |path: &str| texts.lock().ok()?.get(path).map(|it| it.to_string());
        Model::from_text(name, text).with(self.options.clone()).reading(open)
    }

    pub(super) fn open(&mut self, uri: Uri, version: i32, text: String) {
        let name = name_of(&uri);
        let (model, text) = (self.model(&name, &text), Arc::from(text));
        self.keep(&name, &text);
        let (named, deep, layers) = (None, None, BTreeSet::new());
        let document = Document { uri, name: name.clone(), text, version, model, stamp: 0, named, deep, layers };
        self.documents.insert(name.clone(), document);
        self.touch(&name);
    }

    pub(super) fn change(&mut self, uri: &Uri, version: i32, changes: Vec<TextDocumentContentChangeEvent>) {
        let (name, encoding) = (name_of(uri), self.encoding);
        let Some(document) = self.documents.get_mut(&name) else { return };
        let text: Arc<str> = changed(&document.text, changes, encoding).into();
        document.model = document.model.edited(&*text);
        (document.text, document.version) = (text.clone(), version);
        self.keep(&name, &text);
        self.touch(&name);
    }

    /// The document's own text counts no more; that of the file does.
    pub(super) fn close(&mut self, uri: &Uri) {
        let name = name_of(uri);
        self.documents.remove(&name);
        if let Ok(mut texts) = self.texts.lock() {
            texts.remove(&name);
        }
        self.touch(&name);
    }

    fn keep(&self, name: &str, text: &Arc<str>) {
        if let Ok(mut texts) = self.texts.lock() {
            texts.insert(name.to_owned(), text.clone());
        }
    }

    /// What is known of a document, and of those that import it, is of the past.
    fn touch(&mut self, name: &str) {
        self.stamps += 1;
        let stamp = self.stamps;
        for it in self.documents.values_mut() {
            let reads = |it: &Arc<Named>| it.sources.iter().any(|it| it.1.name == name) || misses(it);
            if it.name == name || it.named.as_ref().is_none_or(reads) {
                (it.stamp, it.named) = (stamp, None);
            }
        }
    }

    /// Files on the disk have changed.
    pub(super) fn touch_all(&mut self) {
        self.stamps += 1;
        let stamp = self.stamps;
        for it in self.documents.values_mut() {
            (it.stamp, it.named) = (stamp, None);
        }
    }

    /// What the names of a document stand for; computed if it is not known.
    pub(super) fn named(&mut self, name: &str) -> Option<Arc<Named>> {
        let document = self.documents.get_mut(name)?;
        if document.named.is_none() {
            document.named = document.model.names().ok().map(Arc::new);
        }
        document.named.clone()
    }

    /// Whether a text that was not checked yet has a name or a word that is wrong.
    pub(super) fn has_wrong_names(&mut self) -> bool {
        let stale: Vec<String> = self.documents.values().filter(|it| it.is_stale()).map(|it| it.name.clone()).collect();
        let wrong = |it: Arc<Named>| it.diagnostics.iter().any(|it| it.severity() == Severity::Error);
        stale.iter().any(|it| self.named(it).is_some_and(wrong))
    }

    /// A document with what is known of it.
    pub(super) fn view(&mut self, uri: &Uri) -> Option<View<'_>> {
        let name = name_of(uri);
        let named = self.named(&name)?;
        let document = self.documents.get(&name)?;
        let lines = Lines::of(&document.text, self.encoding);
        Some(View { world: self, document, named, lines })
    }

    /// Asks for a check of every document that changed since the last.
    pub(super) fn submit(&self, worker: &Worker) {
        for it in self.documents.values().filter(|it| it.is_stale()) {
            worker.submit(&it.name, it.stamp, &it.model);
        }
    }

    /// Whether some document was not checked since it changed.
    pub(super) fn is_stale(&self) -> bool {
        self.documents.values().any(Document::is_stale)
    }

    /// Whether the text is one of the program's own.
    pub(super) fn is_own(&self, name: &str) -> bool {
        self.shelf.holds(name)
    }

    /// The address of a text, by what it is called among the sources. The program's own are files of a cache.
    pub(super) fn address(&self, sources: &Sources, file: crate::diag::FileId) -> Option<Uri> {
        let source = sources.get(file);
        match source.name.strip_prefix('<').and_then(|it| it.strip_suffix('>')) {
            Some("prelude") => self.shelf.file("prelude.sph", &source.text),
            Some(path) if library::text(path).is_some() => self.shelf.file(path, &source.text),
            Some(_) => None,
            None => match self.documents.get(&source.name) {
                Some(it) => Some(it.uri.clone()),
                None => uri_of(&source.name),
            },
        }
    }
}

/// Whether an import was not found: the file may be there now.
fn misses(named: &Arc<Named>) -> bool {
    named.diagnostics.iter().any(|it| it.code == crate::diag::Code::E0109)
}

impl Document {
    /// What its names stand for, if that was asked.
    pub(super) fn names(&self) -> Option<&Named> {
        self.named.as_deref()
    }

    /// Whether it was not checked since it changed.
    pub(super) fn is_stale(&self) -> bool {
        self.deep.as_ref().is_none_or(|it| it.stamp != self.stamp)
    }

    /// What the check of this very text found.
    pub(super) fn checked(&self) -> Option<&Deep> {
        self.deep.as_deref().filter(|it| it.stamp == self.stamp)
    }
}
