//! Completion in strings: paths of files, and names of layers.

use super::complete::{List, Nearness};
use super::symbols;
use crate::lower::library;
use crate::syntax::ast::Item;
use lsp_types::{CompletionItem, CompletionItemKind, CompletionTextEdit, TextEdit};
use std::path::Path;

impl List<'_> {
    /// What a string can hold, by the word before it. Most hold what nobody else knows.
    pub(super) fn text(&mut self, word: &str, written: &str, start: usize, place: usize) {
        match word {
            "import" | "data" => self.paths(word, written, start, place),
            "layer" => self.layers(),
            _ => {}
        }
    }

    /// Names that layers have by `as`, as far as the text alone says them, and those that a check made of them.
    fn layers(&mut self) {
        let view = self.view;
        for item in &view.named.ast.items {
            let body = match item {
                Item::Model(it) => &it.body,
                Item::Block(it) => &it.body,
                _ => continue,
            };
            for name in symbols::layer_names(view, body).into_iter().filter(|it| !it.contains('{')) {
                self.value(&name, "layer");
            }
        }
        view.document.layers.iter().for_each(|it| self.value(it, "layer"));
    }

    /// Files beside this one, and those of the library.
    fn paths(&mut self, word: &str, written: &str, start: usize, place: usize) {
        let view = self.view;
        let range = view.lines.range(view.text(), start, place);
        let mut paths: Vec<(String, &str)> = Vec::new();
        if word == "import" {
            paths.extend(library::paths().map(|it| (it, "library")));
        }
        let folder = Path::new(&view.document.name).parent().map(Path::to_path_buf).unwrap_or_default();
        let within = written.rfind('/').map_or("", |at| &written[..=at]);
        if let Ok(entries) = std::fs::read_dir(folder.join(within)) {
            let mut names: Vec<(String, bool)> = entries
                .flatten()
                .filter_map(|it| Some((it.file_name().into_string().ok()?, it.path().is_dir())))
                .filter(|it| !it.0.starts_with('.'))
                .collect();
            names.sort();
            for (name, is_folder) in names {
                if is_folder {
                    paths.push((format!("{within}{name}/"), "folder"));
                } else if word != "import" || name.ends_with(".sph") {
                    paths.push((format!("{within}{name}"), "file"));
                }
            }
        }
        for (path, what) in paths {
            let edit = TextEdit { range, new_text: path.clone() };
            let item = CompletionItem {
                label: path,
                kind: Some(if what == "folder" { CompletionItemKind::FOLDER } else { CompletionItemKind::FILE }),
                detail: Some(what.to_owned()),
                text_edit: Some(CompletionTextEdit::Edit(edit)),
                ..Default::default()
            };
            self.push(item, Nearness::File);
        }
    }
}
