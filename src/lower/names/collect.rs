//! Reads a file with all that it imports, and the prelude, into tables of names.

use crate::diag::{Code, Diagnostic, FileId, Sink, Sources, Span};
use crate::lower::library;
use crate::lower::names::items::{Def, Home, Items};
use crate::lower::names::reach::{self, Reach};
use crate::syntax::ast;
use std::collections::BTreeSet;
use std::rc::Rc;

/// Files that import each other, within each other.
const DEEPEST_IMPORT: usize = 64;

/// What the prelude is called among the sources.
pub(crate) const PRELUDE: &str = "<prelude>";

/// Reads texts and gathers their items.
pub(in crate::lower) struct Collector<'a> {
    pub(in crate::lower) sources: &'a mut Sources,
    pub(in crate::lower) load: &'a mut dyn FnMut(&str) -> Result<String, String>,
    pub(in crate::lower) sink: &'a mut Sink,
    pub(in crate::lower) items: Items,
    /// Files whose imports are being read, outermost first, with the import that asked for them.
    open: Vec<(String, Option<Span>)>,
    done: BTreeSet<String>,
    /// Items of the file and its imports, in order.
    found: Vec<(ast::Item, Home)>,
}

impl<'a> Collector<'a> {
    pub(in crate::lower) fn new(
        sources: &'a mut Sources,
        load: &'a mut dyn FnMut(&str) -> Result<String, String>,
        sink: &'a mut Sink,
    ) -> Self {
        Self {
            sources,
            load,
            sink,
            items: Items::default(),
            open: Vec::new(),
            done: BTreeSet::new(),
            found: Vec::new(),
        }
    }

    /// The prelude, then the file with all it imports.
    pub(in crate::lower) fn run(mut self, file: &ast::File, main: FileId, reach: &Reach<'_>) -> Items {
        let text = include_str!("../prelude.sph");
        let prelude = self.sources.add(PRELUDE, text);
        self.items.prelude = prelude;
        self.items.add_own(prelude);
        let name = normal(&self.sources.get(main).name);
        self.open.push((name, None));
        self.gather(file, Home::Main);
        let tree = match reach {
            Reach::Whole => crate::syntax::parse(prelude, text, self.sink),
            Reach::From(others) => {
                let files = self.sources.iter().filter(|it| it.0 != prelude).map(|it| it.1.text.as_str());
                let texts: Vec<&str> = files.chain(others.iter().copied()).collect();
                crate::syntax::parse(prelude, &reach::reached(text, &texts), self.sink)
            }
        };
        for item in tree.items {
            self.define(item, Home::Prelude);
        }
        for (item, home) in std::mem::take(&mut self.found) {
            self.define(item, home);
        }
        self.items
    }

    /// The items of a file, each import's in its place.
    fn gather(&mut self, file: &ast::File, home: Home) {
        for item in &file.items {
            match item {
                ast::Item::Import(it) => self.import(it),
                item => self.found.push((item.clone(), home)),
            }
        }
    }

    fn define(&mut self, item: ast::Item, home: Home) {
        match item {
            ast::Item::Param(it) => self.items.define(Def::Param(Rc::new(it)), home, self.sink),
            ast::Item::Operator(it) => self.items.define(Def::Operator(Rc::new(it)), home, self.sink),
            ast::Item::Fn(it) => self.items.define(Def::Fn(Rc::new(it)), home, self.sink),
            ast::Item::Block(it) => self.items.define(Def::Block(Rc::new(it)), home, self.sink),
            ast::Item::Recipe(kind, it) => self.items.define_chosen(kind, it, home, self.sink),
            ast::Item::Model(it) if home == Home::Main => self.items.models.push(Rc::new(it)),
            ast::Item::Train(it) if home == Home::Main => self.items.trains.push(Rc::new(it)),
            ast::Item::Import(_) | ast::Item::Model(_) | ast::Item::Train(_) => {}
        }
    }

    fn import(&mut self, import: &ast::Import) {
        let here = self.open.last().map_or(String::new(), |it| it.0.clone());
        let (place, own) = (join(&here, &import.path), library::text(&import.path));
        // A file of the library is one, wherever it is imported.
        let path = if own.is_some() { format!("<{}>", import.path) } else { place.clone() };
        self.items.imports.push((import.path_span, path.clone()));
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
                if own.is_some() {
                    self.items.add_own(id);
                }
                self.gather(&tree, if own.is_some() { Home::Library } else { Home::Import });
                self.open.pop();
            }
            Err(cause) => {
                let report = Diagnostic::new(Code::E0109, import.path_span, format!("cannot import `{}`", import.path))
                    .label(cause)
                    .note(format!("looked for `{path}`: imports are relative to the importing file"));
                let library =
                    import.path.starts_with(library::FOLDER) || import.path == library::FOLDER.trim_end_matches('/');
                self.sink.push(if library { report.note(library::listed()) } else { report });
            }
        }
    }
}

/// `path` as seen from the folder of `file`.
pub(in crate::lower) fn join(file: &str, path: &str) -> String {
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
