//! How diagnostics look: for people (codespan-reporting) and for programs (JSON).

use std::fmt::Write;

use codespan_reporting::diagnostic as report;
use codespan_reporting::term::{self, termcolor::Buffer};
use serde_json::{Value, json};

use super::cut::Shown;
use super::plain::{masked, plain};
use super::{Diagnostic, Label, Severity, Sources, Span};

/// More than this are counted, not shown.
const SHOWN: usize = 20;

/// The diagnostics as text for a terminal, each followed by an empty line; the first twenty, and how
/// many more there are.
pub fn render(diagnostics: &[Diagnostic], sources: &Sources, color: bool) -> String {
    let mut files = Shown::new();
    for (_, source) in sources.iter() {
        files.add(plain(&source.name), masked(&source.text));
    }
    let mut buffer = if color { Buffer::ansi() } else { Buffer::no_color() };
    let config = term::Config::default();
    for it in diagnostics.iter().take(SHOWN) {
        let report = prepare(it, sources, &mut files);
        term::emit_to_write_style(&mut buffer, &config, &files, &report)
            .expect("spans are within their sources, and a buffer takes any text");
    }
    let mut out = String::from_utf8_lossy(buffer.as_slice()).into_owned();
    if let Some(rest) = diagnostics.get(SHOWN..).filter(|it| !it.is_empty()) {
        let _ = writeln!(out, "... and {} more", count(rest));
    }
    out
}

/// `2 errors and 1 warning`; `no problems`.
pub fn count(diagnostics: &[Diagnostic]) -> String {
    let errors = diagnostics.iter().filter(|it| it.severity() == Severity::Error).count();
    let warnings = diagnostics.len() - errors;
    let plural = |count: usize, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
    match (errors, warnings) {
        (0, 0) => "no problems".to_string(),
        (_, 0) => plural(errors, "error"),
        (0, _) => plural(warnings, "warning"),
        _ => format!("{} and {}", plural(errors, "error"), plural(warnings, "warning")),
    }
}

/// A report over what is shown of the sources.
fn prepare(it: &Diagnostic, sources: &Sources, files: &mut Shown<'_>) -> report::Diagnostic<usize> {
    let all: Vec<&Label> = std::iter::once(&it.primary).chain(&it.secondary).collect();
    let places: Vec<_> = all.iter().map(|it| (it.span.file.0 as usize, clip(it.span, sources))).collect();
    let ranges = files.cut(&places);
    let labels = all.iter().zip(ranges).enumerate().map(|(at, (it, range))| {
        let style = if at == 0 { report::LabelStyle::Primary } else { report::LabelStyle::Secondary };
        report::Label::new(style, it.span.file.0 as usize, range).with_message(plain(&it.text))
    });
    let labels = labels.collect();
    let notes = it.notes.iter().map(|it| plain(it).into_owned());
    let helps = it.helps.iter().map(|it| format!("help: {}", plain(&it.text)));
    let severity = match it.severity() {
        Severity::Error => report::Severity::Error,
        Severity::Warning => report::Severity::Warning,
    };
    report::Diagnostic::new(severity)
        .with_code(it.code.name())
        .with_message(plain(&it.message))
        .with_labels(labels)
        .with_notes(notes.chain(helps).collect())
}

/// A label that crosses lines underlines its first line only. An empty one has a place at least.
fn clip(span: Span, sources: &Sources) -> std::ops::Range<usize> {
    let span = within(span, sources);
    let line = sources.slice(span).find(['\n', '\r']);
    let start = span.start as usize;
    start..line.map_or(span.end as usize, |it| start + it)
}

/// A span that can be shown whatever its maker got wrong: inside of its text, and not inside of a character.
fn within(span: Span, sources: &Sources) -> Span {
    let text = &sources.get(span.file).text;
    let floor = |at: u32| (0..=text.len().min(at as usize)).rev().find(|&it| text.is_char_boundary(it)).unwrap_or(0);
    let start = floor(span.start);
    Span::new(span.file, start, floor(span.end).max(start))
}

/// One JSON object on a line for each diagnostic, all of them. Lines and columns count from 1, columns
/// in characters; `end_line` and `end_column` point behind the last character.
pub fn render_json(diagnostics: &[Diagnostic], sources: &Sources) -> String {
    let mut out = String::new();
    for it in diagnostics {
        let mut object = json!({
            "code": it.code.name(),
            "severity": match it.severity() {
                Severity::Error => "error",
                Severity::Warning => "warning",
            },
            "message": it.message,
        });
        let labels = std::iter::once((true, &it.primary)).chain(it.secondary.iter().map(|it| (false, it)));
        let labels: Vec<Value> = labels
            .map(|(primary, it)| merge(json!({ "primary": primary, "text": it.text }), place(it.span, sources)))
            .collect();
        let helps: Vec<Value> = it
            .helps
            .iter()
            .map(|it| {
                let replacement =
                    it.replacement.as_ref().map(|(span, text)| merge(json!({ "text": text }), place(*span, sources)));
                json!({ "text": it.text, "replacement": replacement })
            })
            .collect();
        object = merge(object, place(it.primary.span, sources));
        object = merge(object, json!({ "labels": labels, "notes": it.notes, "helps": helps }));
        let _ = writeln!(out, "{object}");
    }
    out
}

fn place(span: Span, sources: &Sources) -> Value {
    let span = within(span, sources);
    let (line, column) = sources.position(span);
    let (end_line, end_column) = sources.position(Span { start: span.end, ..span });
    json!({
        "file": sources.get(span.file).name,
        "line": line,
        "column": column,
        "end_line": end_line,
        "end_column": end_column,
    })
}

/// The fields of `b` after those of `a`.
fn merge(mut a: Value, b: Value) -> Value {
    if let (Value::Object(a), Value::Object(b)) = (&mut a, b) {
        a.extend(b);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::{Code, FileId};

    fn sample() -> (Vec<Diagnostic>, Sources) {
        let mut sources = Sources::new();
        let file = sources.add("models/demo.sph", "param width = 64\nx = conv(widht,\n    3)\n");
        let first = Diagnostic::new(Code::E0102, Span::new(file, 26, 31), "undefined name `widht`")
            .label("not defined in this scope")
            .also(Span::new(file, 6, 11), "a parameter with a similar name")
            .note("names are looked up from the inside out\nof blocks")
            .fix("did you mean `width`?", Span::new(file, 26, 31), "width");
        let second = Diagnostic::new(Code::W0104, Span::new(file, 21, 38), "unused").label("crosses lines");
        (vec![first, second], sources)
    }

    #[test]
    fn the_text_shows_labels_notes_and_helps() {
        let (diagnostics, sources) = sample();
        insta::assert_snapshot!(render(&diagnostics, &sources, false));
    }

    #[test]
    fn json_has_one_object_per_diagnostic_with_the_exact_edit() {
        let (diagnostics, sources) = sample();
        let text = render_json(&diagnostics, &sources);
        let objects: Vec<Value> = text.lines().map(|it| serde_json::from_str(it).unwrap()).collect();
        assert_eq!(objects.len(), 2);
        assert_eq!(objects[0]["code"], "E0102");
        assert_eq!(
            (&objects[0]["line"], &objects[0]["column"], &objects[0]["end_column"]),
            (&json!(2), &json!(10), &json!(15))
        );
        assert_eq!(objects[0]["helps"][0]["replacement"]["text"], "width");
        assert_eq!(objects[1]["end_line"], 3);
    }

    #[test]
    fn only_twenty_are_shown_and_the_rest_is_counted() {
        let (diagnostics, sources) = sample();
        let many: Vec<_> = (0..23).map(|at| diagnostics[usize::from(at == 22)].clone()).collect();
        assert!(render(&many, &sources, false).ends_with("... and 2 errors and 1 warning more\n"));
        assert_eq!(render_json(&many, &sources).lines().count(), 23);
    }

    #[test]
    fn places_outside_of_a_text_do_not_panic() {
        let mut sources = Sources::new();
        sources.add("a", "é");
        let odd = Diagnostic::new(Code::E0001, Span { file: FileId(0), start: 1, end: 9 }, "odd");
        assert!(render(std::slice::from_ref(&odd), &sources, true).contains("odd"));
        assert_eq!(render_json(&[odd], &sources).lines().count(), 1);
    }
}
