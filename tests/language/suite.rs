//! The suite: each file in `tests/suite` carries the diagnostics it expects on the lines they are for,
//! as comments `//~ E0001 part of the message`. Several may follow each other; `//~^` is for the line
//! above, `//~^^` for the one above that. Nothing may be missing, and nothing may be reported besides.

use std::fs;
use std::path::{Path, PathBuf};

use sphc::diag::{Code, Diagnostic, FileId, Severity, Sink, Sources, Span, render};
use sphc::{pipeline, syntax};

/// What one comment asks for.
#[derive(Debug)]
struct Expectation {
    line: usize,
    code: String,
    part: String,
}

fn expectations(text: &str) -> Vec<Expectation> {
    let mut out = Vec::new();
    for (at, line) in text.lines().enumerate() {
        for comment in line.split("//~").skip(1) {
            let words = comment.trim_start_matches('^');
            let up = comment.len() - words.len();
            let (code, part) = words.trim().split_once(' ').unwrap_or((words.trim(), ""));
            out.push(Expectation { line: at + 1 - up, code: code.to_string(), part: part.trim().to_string() });
        }
    }
    out
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/suite")
}

fn names() -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder()).unwrap().map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|it| it.ends_with(".sph"));
    names.sort();
    names
}

/// Files on syntax alone need not make sense.
fn check(name: &str, text: &str) -> (Vec<Diagnostic>, Sources) {
    if name.starts_with("syntax_") {
        let (mut sources, mut sink) = (Sources::new(), Sink::new());
        let file = sources.add(name, text);
        syntax::parse(file, text, &mut sink);
        return (sink.finish(), sources);
    }
    let mut load = |path: &str| fs::read_to_string(folder().join(path)).map_err(|it| it.to_string());
    let checked = pipeline::check(name, text, &mut load, &crate::language::lower::settings(&[]));
    (checked.diagnostics, checked.sources)
}

/// What differs between a file's comments and its diagnostics.
fn differences(name: &str, text: &str) -> Vec<String> {
    let (diagnostics, sources) = check(name, text);
    let mut expected = expectations(text);
    let mut out = Vec::new();
    for it in &diagnostics {
        let (line, _) = sources.position(it.primary.span);
        let fits = |e: &Expectation| e.line == line && e.code == it.code.name() && it.message.contains(&e.part);
        match expected.iter().position(fits) {
            Some(at) => drop(expected.remove(at)),
            None => out.push(format!(
                "not expected at line {line}:\n{}",
                render::render(std::slice::from_ref(it), &sources, false)
            )),
        }
    }
    out.extend(expected.iter().map(|it| format!("{name}:{}: not reported: {} {}", it.line, it.code, it.part)));
    out
}

#[test]
fn every_file_reports_what_stands_on_its_lines_and_nothing_else() {
    let text = |name: &String| fs::read_to_string(folder().join(name)).unwrap();
    let found: Vec<String> = names().iter().flat_map(|it| differences(it, &text(it))).collect();
    assert!(found.is_empty(), "{} differences\n{}", found.len(), found.join("\n"));
}

/// What a newcomer gets wrong: each file is a sound experiment with one mistake, such as other languages and
/// frameworks lead to.
fn panel() -> Vec<(String, String)> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder().join("newcomer")).unwrap().map(|it| it.unwrap().path()).collect();
    files.sort();
    let name = |it: &Path| it.file_name().unwrap().to_string_lossy().into_owned();
    files.iter().map(|it| (name(it), fs::read_to_string(it).unwrap())).collect()
}

fn check_panel(name: &str, text: &str) -> (Vec<Diagnostic>, Sources) {
    let mut load = |_: &str| Err("there is no such file".to_owned());
    let checked = pipeline::check(name, text, &mut load, &crate::language::lower::settings(&[]));
    (checked.diagnostics, checked.sources)
}

/// The renderings are read by people: a change in them shows here.
#[test]
fn one_mistake_of_a_newcomer_is_one_report() {
    // The same sign on two lines; and a param that the mistake leaves unused.
    let twice = ["semicolons.sph", "python_for_range.sph"];
    let mut all = String::new();
    let panel = panel();
    assert!(100 <= panel.len());
    for (name, text) in panel {
        let (found, sources) = check_panel(&name, &text);
        let shown = render::render(&found, &sources, false);
        assert_eq!(found.len(), if twice.contains(&name.as_str()) { 2 } else { 1 }, "{name}\n{shown}");
        all += &shown;
    }
    insta::assert_snapshot!(all);
}

#[test]
fn every_code_has_a_case() {
    let mut seen: std::collections::BTreeSet<Code> =
        panel().iter().flat_map(|(name, text)| check_panel(name, text).0).map(|it| it.code).collect();
    for name in names() {
        let text = fs::read_to_string(folder().join(&name)).unwrap();
        seen.extend(check(&name, &text).0.iter().map(|it| it.code));
    }
    // It is about `--set`, of which a file says nothing.
    seen.insert(Code::E0107);
    let missing: Vec<&Code> = Code::ALL.iter().filter(|it| !seen.contains(it)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// The text after a proposed edit.
fn edited(text: &str, span: Span, by: &str) -> String {
    format!("{}{by}{}", &text[..span.start as usize], &text[span.end as usize..])
}

/// An exact proposal must remove its report and bring no syntax error.
#[test]
fn every_exact_proposal_settles_its_report() {
    let mut wrong = String::new();
    let mut tried = 0;
    let mut attempt = |name: &str, text: &str, check: &dyn Fn(&str) -> (Vec<Diagnostic>, Sources)| {
        let (found, sources) = check(text);
        let syntax = |it: &[Diagnostic]| it.iter().filter(|it| it.code == Code::E0001).count();
        for it in &found {
            let fixes = it.helps.iter().filter_map(|it| it.replacement.as_ref());
            for (span, by) in fixes.filter(|it| it.0.file == FileId(0)) {
                tried += 1;
                let after = edited(text, *span, by);
                let (left, after_sources) = check(&after);
                // Nor may it lead to another error at its place.
                let line = sources.position(*span).0;
                let other = |new: &&Diagnostic| {
                    let known = found.iter().any(|old| (old.code, &old.message) == (new.code, &new.message));
                    // A file that is not here, and what is open besides on the line, are other mistakes.
                    let apart = new.code == Code::E0109 || new.message.ends_with("is not closed");
                    let here = after_sources.position(new.primary.span).0 == line;
                    new.severity() == Severity::Error && here && !known && !apart
                };
                if let Some(new) = left.iter().find(other) {
                    let before = render::render(std::slice::from_ref(it), &sources, false);
                    let then = render::render(std::slice::from_ref(new), &after_sources, false);
                    wrong += &format!("{name}: `{by}` leads to another error\n{before}\n{then}\n");
                }
                let same = |other: &Diagnostic| {
                    (other.code, &other.message) == (it.code, &it.message)
                        && after_sources.position(other.primary.span) == sources.position(it.primary.span)
                };
                if left.iter().any(same) || syntax(&found) < syntax(&left) {
                    let before = render::render(std::slice::from_ref(it), &sources, false);
                    wrong += &format!("{name}: `{by}` does not settle\n{before}\n");
                    wrong += &render::render(&left, &after_sources, false);
                }
            }
        }
    };
    for (name, text) in panel() {
        attempt(&name, &text, &|it| check_panel(&name, it));
    }
    for name in names() {
        let text = fs::read_to_string(folder().join(&name)).unwrap();
        attempt(&name, &text, &|it| check(&name, it));
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(190 < tried, "{tried}");
}

/// What help lines tell to write, without an exact place, is text of the language somewhere in a file.
#[test]
fn what_help_lines_tell_to_write_parses() {
    let mut texts: Vec<String> = Vec::new();
    let mut take = |found: Vec<Diagnostic>| {
        for help in found.iter().flat_map(|it| &it.helps).filter(|it| it.replacement.is_none()) {
            let all = ["write `", "add `", "statement: `", "line `", "example `", "entries are `", "as in `"];
            for start in all {
                texts.extend(help.text.split(start).skip(1).filter_map(|it| it.split('`').next()).map(str::to_owned));
            }
        }
    };
    panel().iter().for_each(|(name, text)| take(check_panel(name, text).0));
    for name in names() {
        take(check(&name, &fs::read_to_string(folder().join(&name)).unwrap()).0);
    }
    texts.sort();
    texts.dedup();
    let parses = |text: String| {
        let (mut sources, mut sink) = (Sources::new(), Sink::new());
        let file = sources.add("help.sph", text.clone());
        syntax::parse(file, &text, &mut sink);
        !sink.has_errors()
    };
    let mut tried = 0;
    for text in texts.iter().filter(|it| {
        !it.contains("...") && !it.contains(" N") && !it.contains("FILE") && it.contains(char::is_alphabetic)
    }) {
        tried += 1;
        let model = |body: &str| format!("model M {{\n    {body}\n}}\n");
        let fits = parses(format!("{text}\n"))
            || parses(model(text))
            || parses(format!("train {{\n    {text}\n}}\n"))
            || parses(model(&format!("{text} {{ }}")))
            || parses(model(&format!("y = {text}")))
            || parses(model(&format!("y = conv(x, 4, {text})")))
            || parses(format!("train {{\n    penalty l2(1) on filters {text}\n}}\n"))
            || parses(format!("fn f(x, {text}) = x\n"));
        assert!(fits, "a help line tells to write `{text}`");
    }
    assert!(15 < tried, "{tried}: {texts:?}");
}

#[test]
fn what_the_panel_is_made_of_is_sound_when_mended() {
    // One proposal is all that many of the files need.
    let mended = panel().into_iter().filter(|(name, text)| {
        let (found, _) = check_panel(name, text);
        let fixes = found.iter().flat_map(|it| &it.helps).filter_map(|it| it.replacement.as_ref());
        fixes.into_iter().any(|(span, by)| check_panel(name, &edited(text, *span, by)).0.is_empty())
    });
    let names: Vec<String> = mended.map(|it| it.0).collect();
    assert!(35 <= names.len(), "{}: {names:?}", names.len());
}

#[test]
fn expectations_are_read_from_comments() {
    let found = expectations("a //~ E0001 x y //~ W0104\n\n//~^^ E0101 z\n");
    let lines: Vec<_> = found.iter().map(|it| (it.line, it.code.as_str(), it.part.as_str())).collect();
    assert_eq!(lines, [(1, "E0001", "x y"), (1, "W0104", ""), (1, "E0101", "z")]);
}
