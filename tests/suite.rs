//! The suite: each file in `tests/suite` carries the diagnostics it expects on the lines they are for,
//! as comments `//~ E0001 part of the message`. Several may follow each other; `//~^` is for the line
//! above, `//~^^` for the one above that. Nothing may be missing, and nothing may be reported besides.

use std::fs;
use std::path::{Path, PathBuf};

use sphc::diag::{Diagnostic, Sink, Sources, render};
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

/// Files on syntax alone need not make sense.
fn check(name: &str, text: &str) -> (Vec<Diagnostic>, Sources) {
    if name.starts_with("syntax_") {
        let (mut sources, mut sink) = (Sources::new(), Sink::new());
        let file = sources.add(name, text);
        syntax::parse(file, text, &mut sink);
        return (sink.finish(), sources);
    }
    let mut load = |path: &str| fs::read_to_string(folder().join(path)).map_err(|it| it.to_string());
    let checked = pipeline::check(name, text, &mut load, &crate::lower::settings(&[]));
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
    let folder = folder();
    let mut names: Vec<String> =
        fs::read_dir(&folder).unwrap().map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|it| it.ends_with(".sph"));
    names.sort();
    let text = |name: &String| fs::read_to_string(folder.join(name)).unwrap();
    let found: Vec<String> = names.iter().flat_map(|it| differences(it, &text(it))).collect();
    assert!(found.is_empty(), "{} differences\n{}", found.len(), found.join("\n"));
}

#[test]
fn expectations_are_read_from_comments() {
    let found = expectations("a //~ E0001 x y //~ W0104\n\n//~^^ E0101 z\n");
    let lines: Vec<_> = found.iter().map(|it| (it.line, it.code.as_str(), it.part.as_str())).collect();
    assert_eq!(lines, [(1, "E0001", "x y"), (1, "W0104", ""), (1, "E0101", "z")]);
}
