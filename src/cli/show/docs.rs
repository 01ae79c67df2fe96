//! What the text says of itself: its `//!` lines, its params, and what is documented by `///` lines.

use crate::cli::table;
use serde_json::{Value, json};
use sphc::Compilation;
use sphc::diag::{FileId, Sink, Sources, Span};
use sphc::lower::library;
use sphc::pipeline::imported;
use sphc::syntax::{self, ast::File, ast::Item};
use std::path::Path;

/// The documentation of the library's files, or of one of them; `None` for what is a file of the disk, or none of these.
pub(super) fn library(path: &Path) -> Option<String> {
    let name = path.to_str().filter(|_| !path.is_file())?;
    if name.trim_end_matches('/') == library::FOLDER.trim_end_matches('/') {
        let about = |it: &String| {
            let docs = library::text(it).map_or(Vec::new(), |it| syntax::parse(FileId(0), it, &mut Sink::new()).docs);
            docs.first().map_or(String::new(), |it| it.trim().to_owned())
        };
        let rows: Vec<Vec<String>> = library::paths().map(|it| vec![format!("import \"{it}\""), about(&it)]).collect();
        return Some(table::render(&["library", "about"], &rows));
    }
    let mut sources = Sources::new();
    let main = sources.add("", library::text(name)?);
    Some(defined(&sources, main, &[]))
}

/// The file's documentation, to stand above its layers; empty for a file without any.
pub(super) fn text(model: &Compilation, set: &[(String, String)]) -> String {
    defined(&model.checked.sources, FileId(0), set)
}

/// Every param of the text and of what it imports, with its value.
pub(super) fn params(model: &Compilation) -> Vec<Value> {
    let sources = &model.checked.sources;
    let values = &model.compiled.training.graph().values;
    let files = std::iter::once(FileId(0)).chain(imported(sources));
    let items = files.flat_map(|it| parsed(sources, it).items);
    items
        .filter_map(|it| match it {
            Item::Param(it) => Some(json!({
                "name": it.name.name,
                "type": it.ty.as_ref().map(|it| sources.slice(it.span)),
                "value": values.get(&it.name.name),
                "default": sources.slice(it.default.span),
                "docs": it.docs.iter().map(|it| it.trim()).collect::<Vec<_>>(),
                "line": sources.line_of(it.span),
            })),
            _ => None,
        })
        .collect()
}

fn parsed(sources: &Sources, file: FileId) -> File {
    syntax::parse(file, &sources.get(file).text, &mut Sink::new())
}

fn defined(sources: &Sources, main: FileId, set: &[(String, String)]) -> String {
    let file = parsed(sources, main);
    let mut res = file.docs.iter().map(|it| format!("{}\n", it.trim())).collect::<String>();
    if !res.is_empty() {
        res.push('\n');
    }
    let mut all: Vec<Vec<String>> = file.items.iter().flat_map(|it| rows(it, sources, set)).collect();
    // What can be set is told of all files.
    for id in imported(sources) {
        let params = parsed(sources, id).items.into_iter().filter(|it| matches!(it, Item::Param(_)));
        let params: Vec<Vec<String>> = params.flat_map(|it| rows(&it, sources, set)).collect();
        if !params.is_empty() {
            all.push(vec![format!("import \"{}\"", sources.get(id).name.trim_matches(['<', '>'])), String::new()]);
            all.extend(params);
        }
    }
    if !all.is_empty() {
        res += &table::render(&["defined", "about"], &all);
        res.push('\n');
    }
    res
}

/// An item's first row holds what it is; its further lines of documentation follow. A param is shown with
/// the value it has, other items only if there is something to say.
fn rows(item: &Item, sources: &Sources, set: &[(String, String)]) -> Vec<Vec<String>> {
    let (head, docs) = match item {
        Item::Param(it) => {
            let end = it.default.span.start;
            let value = set.iter().rev().find(|(name, _)| *name == it.name.name).map(|it| it.1.as_str());
            let head = sources.slice(Span { end, ..it.span });
            (format!("{head}{}", value.unwrap_or(sources.slice(it.default.span))), &it.docs)
        }
        Item::Operator(it) | Item::Fn(it) | Item::Block(it) | Item::Recipe(_, it) if !it.docs.is_empty() => {
            (sources.slice(it.header).to_owned(), &it.docs)
        }
        Item::Model(it) if !it.docs.is_empty() => (format!("model {}", it.name.name), &it.docs),
        _ => return Vec::new(),
    };
    // As it is written, but on one line and without columns of its own.
    let head = head.split_whitespace().collect::<Vec<_>>().join(" ");
    let lines = docs.iter().map(|it| it.trim().to_owned());
    let mut lines: Vec<String> = lines.collect();
    if lines.is_empty() {
        lines.push(String::new());
    }
    lines.into_iter().enumerate().map(|(at, it)| vec![if at == 0 { head.clone() } else { String::new() }, it]).collect()
}
