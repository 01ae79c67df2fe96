//! Parsing of whole texts: the shipped models, the suite, and texts that are not models.

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use sphc::diag::{Diagnostic, FileId, Sink, Sources, render};
use sphc::syntax::{self, ast};

pub(super) fn parse(text: &str) -> (ast::File, Vec<Diagnostic>) {
    let mut sink = Sink::new();
    let file = syntax::parse(FileId(0), text, &mut sink);
    (file, sink.finish())
}

pub(super) fn dump(text: &str) -> String {
    let (file, found) = parse(text);
    assert!(found.is_empty(), "{found:?}");
    syntax::dump(&file)
}

/// The models in a folder and in those below it.
pub(super) fn in_folder(folder: &Path, out: &mut Vec<PathBuf>) {
    for it in fs::read_dir(folder).unwrap() {
        let path = it.unwrap().path();
        if path.is_dir() {
            in_folder(&path, out);
        } else if path.extension().is_some_and(|it| it == "sph") {
            out.push(path);
        }
    }
}

/// Every `.sph` text of the repository, and the examples of the language reference.
pub(super) fn texts() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    for folder in ["models", "tests", "src"] {
        in_folder(&root.join(folder), &mut paths);
    }
    paths.sort();
    let mut out: Vec<(String, String)> =
        paths.iter().map(|it| (it.display().to_string(), fs::read_to_string(it).unwrap())).collect();
    let reference = fs::read_to_string(root.join("docs/language.md")).unwrap();
    let examples = reference.split("```sph").skip(1).map(|it| it.split("```").next().unwrap());
    out.extend(examples.enumerate().map(|(at, it)| (format!("example {at} of the reference"), it.to_owned())));
    out
}

fn is_part(name: &str) -> bool {
    name.contains("suite") || name.starts_with("example")
}

#[test]
fn every_shipped_model_parses() {
    for (name, text) in texts().iter().filter(|it| !is_part(&it.0)) {
        let (_, found) = parse(text);
        let mut sources = Sources::new();
        sources.add(name, text);
        assert!(found.is_empty(), "{}", render::render(&found, &sources, false));
    }
}

#[test]
fn the_dump_of_a_model() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/spherenet9.sph");
    insta::assert_snapshot!(dump(&fs::read_to_string(path).unwrap()));
}

#[test]
fn operators_bind_as_the_reference_says() {
    let one = |text: &str| {
        let dump = dump(&format!("param p = {text}"));
        dump.split_once("p = ").unwrap().1.trim().to_owned()
    };
    assert_eq!(one("-x^2"), "(- (^ x 2))");
    assert_eq!(one("2^-x^3*y"), "(* (^ 2 (- (^ x 3))) y)");
    assert_eq!(one("a - b - c * d"), "(- (- a b) (* c d))");
    assert_eq!(one("not a == b and c or d"), "(or (and (not (== a b)) c) d)");
    assert_eq!(one("0..n - 1"), "(.. 0 (- n 1))");
    assert_eq!(
        one("x + y |> f |> g(1, k: 2) as \"a{i + 1}{{\""),
        "(as (|> (|> (+ x y) f()) g(1, k: 2)) \"a{(+ i 1)}{{\")"
    );
    assert_eq!(one("(x |> f) * a[1][-1]"), "(* (|> x f()) (index (index a 1) (- 1)))");
    assert_eq!(one("1_000 - 1.5e-3"), "(- 1000 0.0015)");
    assert_eq!(one("if a { 1 } else if b { 2 } else { 3 }"), "(if a {1} {(if b {2} {3})})");
}

/// Nothing may overflow the stack, and nothing may take more than linear time by much.
#[test]
fn deep_and_long_texts_are_reported_or_parsed() {
    let many = 100_000;
    let deep = [
        format!("param a = {}1{}", "(".repeat(many), ")".repeat(many)),
        format!("param a = {}", "(".repeat(many)),
        format!("param a = {}", "[(".repeat(many)),
        format!("model M {}", "{".repeat(many)),
        format!("model M {{ {} }}", "if a { ".repeat(many)),
        format!("param a = {}1", "-".repeat(many)),
        format!("param a = {}1", "not ".repeat(many)),
        format!("param a = 1{}", "^1".repeat(many)),
        format!("param a = 1{}", " + 1".repeat(many)),
        format!("param a = x{}", " |> f".repeat(many)),
        format!("param a = x{}", "[0]".repeat(many)),
        format!("param a = \"{}\"", "{a".repeat(many)),
        format!("param a = \"{{{}\"", "(".repeat(many)),
        format!("model M {{ if a {{ }} {} }}", "else if a { }".repeat(many)),
    ];
    for text in &deep {
        let (_, found) = parse(text);
        assert!((1..=3).contains(&found.len()), "{} reports of {}", found.len(), &text[..30]);
    }
    let long = format!("model M {{\n{}}}\n", "    x = f(x, kernel: 3) // comment\n".repeat(10_000));
    assert!(parse(&long).1.is_empty());
    let wrong = format!("model M {{\n{}}}\n", "    x = f(x kernel: 3)\n".repeat(1000));
    assert_eq!(parse(&wrong).1.len(), 1000);
    let nested = format!("model M {{\n{}{}}}\n", "for i in 0..3 {\n".repeat(40), "} junk\n".repeat(40));
    assert_eq!(parse(&nested).1.len(), 1);
}

/// Whatever comes out must be within the text, and render.
fn survives(text: &str) {
    let (file, found) = parse(text);
    syntax::dump(&file);
    let mut sources = Sources::new();
    sources.add("text", text);
    render::render(&found, &sources, false);
    render::render_json(&found, &sources);
    for it in &found {
        assert!(it.primary.span.start <= it.primary.span.end && it.primary.span.end as usize <= text.len(), "{it:?}");
        for it in it.helps.iter().filter_map(|it| it.replacement.as_ref()) {
            sources.slice(it.0);
        }
    }
    let errors = found.iter().any(|it| it.severity() == sphc::diag::Severity::Error);
    assert_eq!(syntax::format(text).is_none(), errors);
}

/// A text with some pieces taken out, doubled or put elsewhere.
fn mangled() -> impl Strategy<Value = String> {
    let texts = texts();
    let pieces = [
        "(",
        ")",
        "{",
        "}",
        "[",
        "]",
        "\"",
        "|>",
        "=",
        ":",
        ",",
        "\n",
        " ",
        "é",
        "//",
        "if ",
        "model M {",
        "^",
        "\\",
        "\r\n",
    ];
    let edit = (any::<prop::sample::Index>(), 0_usize..12, prop::sample::select(pieces.to_vec()), 0..3);
    (prop::sample::select(texts), prop::collection::vec(edit, 1..8)).prop_map(|((_, mut text), edits)| {
        for (index, len, piece, kind) in edits {
            let boundary =
                |at: usize, text: &str| (0..=at.min(text.len())).rev().find(|it| text.is_char_boundary(*it)).unwrap();
            let start = boundary(index.index(text.len() + 1), &text);
            let end = boundary(start + len, &text);
            match kind {
                0 => text.replace_range(start..end, ""),
                1 => text.insert_str(start, piece),
                _ => text.replace_range(start..end, piece),
            }
        }
        text
    })
}

proptest! {
    #![proptest_config(crate::cases(250))]

    #[test]
    fn mangled_texts_are_reported_without_a_panic(text in mangled()) {
        survives(&text);
    }

    #[test]
    fn any_text_is_reported_without_a_panic(text in "[ -~\n\\{\\}\\(\\)\\[\\]\"é|>]{0,200}") {
        survives(&text);
    }
}
