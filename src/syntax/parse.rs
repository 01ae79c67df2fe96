//! Text to tree, with every syntax error that can be found in one run.

use pest::Parser;

use super::ast::File;
use super::balance;
use super::build::Builder;
use super::grammar::{Grammar, Pair, Rule};
use super::line_ends;
use super::typography;
use crate::diag::{Code, Diagnostic, FileId, Sink, Span};

/// Parses `text`. What does not parse is reported and missing in the tree; the rest is there.
pub fn parse(file: FileId, text: &str, sink: &mut Sink) -> File {
    parse_and(file, text, sink, |_| ()).0
}

/// The same, and what is made of the grammar's pairs, unless something in the text is wrong.
pub(super) fn parse_and<T>(
    file: FileId,
    text: &str,
    sink: &mut Sink,
    make: impl FnOnce(Pair<'_>) -> T,
) -> (File, Option<T>) {
    let before = sink.errors().count();
    line_ends::alone(file, text, sink);
    let plain = typography::without_block_comments(file, text, sink);
    let balanced = balance::balance(file, &plain, sink);
    let mut out = File { docs: file_docs(text), items: Vec::new(), skipped: Vec::new() };
    let Some(root) = Grammar::parse(Rule::file, &balanced.text).ok().and_then(|mut it| it.next()) else {
        // The rule takes any text; only pest's guard against a full stack ends here.
        sink.push(
            Diagnostic::new(Code::E0001, Span::new(file, 0, 0), "the file is nested too deeply")
                .help("give parts of long expressions a name with `let`"),
        );
        out.skipped.push(Span::new(file, 0, text.len()));
        return (out, None);
    };
    let changed = balanced.changed();
    let mut builder = Builder::new(file, text, &balanced, sink);
    for pair in root.clone().into_inner() {
        match pair.as_rule() {
            Rule::EOI | Rule::eol => {}
            Rule::bad_item => builder.bad(pair, Rule::strict_item),
            _ => out.items.push(builder.item(pair)),
        }
    }
    out.skipped = builder.skipped;
    out.skipped.extend(balanced.blanked.iter().map(|(start, end)| Span::new(file, *start, *end)));
    for (line, report) in balanced.withheld {
        let inside =
            |it: &Diagnostic| it.primary.span.file == file && (line.start..=line.end).contains(&it.primary.span.start);
        if !sink.errors().any(inside) {
            sink.push(report);
        }
    }
    // What was not read as it stands has its report above; a text is never changed or left out in silence.
    let unread = changed.map(|it| Span::new(file, it, it)).or(out.skipped.first().copied());
    if let Some(place) = unread.filter(|_| sink.errors().count() == before) {
        sink.push(Diagnostic::new(Code::E0001, place, "this cannot be read").label("not part of a statement or item"));
    }
    let sound = sink.errors().count() == before;
    (out, sound.then(|| make(root)))
}

/// The `//!` lines, which stand before anything else.
fn file_docs(text: &str) -> Vec<String> {
    text.trim_start_matches('\u{FEFF}')
        .lines()
        .flat_map(|it| it.split('\r'))
        .map(str::trim)
        .take_while(|it| it.is_empty() || it.starts_with("//"))
        .filter_map(|it| it.strip_prefix("//!"))
        .map(|it| it.strip_prefix(' ').unwrap_or(it).to_string())
        .collect()
}
