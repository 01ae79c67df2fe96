//! Texts of models: parsed, checked, laid out, compiled.

use super::plan::run;
use sphc::diag::render::{render, render_json};
use sphc::diag::{Diagnostic, FileId, Sink};
use sphc::lower::{DataInfo, Settings};
use sphc::pipeline::{self, Checked};
use sphc::{Precision, cuda_files, plan, syntax};

/// Nodes of the graphs that are compiled: large ones are only slow.
pub(super) const MOST_NODES: usize = 1500;

/// Data sets that a text can name, without a look at any file.
fn settings() -> Settings {
    let known = |name: &str, image, classes| DataInfo::images(name, image, classes, [1000, 100]);
    Settings {
        known_data: vec![
            known("digits", [8, 8, 1], 10),
            known("cifar10", [32, 32, 3], 10),
            known("cifar100", [32, 32, 3], 100),
            known("mnist", [28, 28, 1], 10),
        ],
        ..Settings::default()
    }
}

/// What a text may import: itself, and one that defines a little.
pub(super) fn import(path: &str, text: &str) -> Result<String, String> {
    match path {
        "it.sph" => Ok(text.to_owned()),
        "other.sph" => Ok("operator leaning(cos) = cos + 0.1\nfn twice(x) = 2 * x\nparam wide: int = 3\n".to_owned()),
        _ => Err("there is no such file".to_owned()),
    }
}

fn checked(text: &str) -> Checked {
    pipeline::check("it.sph", text, &mut |path| import(path, text), &settings())
}

/// What was said, without the places.
fn said(found: &[Diagnostic]) -> Vec<&'static str> {
    let mut res: Vec<&str> = found.iter().map(|it| it.code.name()).collect();
    res.sort_unstable();
    res
}

fn shown(found: &Checked) {
    let text = render(&found.diagnostics, &found.sources, false);
    assert_eq!(text.is_empty(), found.diagnostics.is_empty());
    super::files::plain(&text);
    render(&found.diagnostics, &found.sources, true);
    let text = render_json(&found.diagnostics, &found.sources);
    assert!(text.lines().all(|it| serde_json::from_str::<serde_json::Value>(it).is_ok()), "no JSON: {text}");
    for it in &found.diagnostics {
        assert!(!it.message.is_empty(), "{}: nothing is said", it.code.name());
    }
}

/// Every report is made, and the layout keeps what a text means.
pub(super) fn check(input: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(input) else { return false };
    let found = checked(text);
    shown(&found);
    let mut sink = Sink::new();
    syntax::parse(FileId(0), text, &mut sink);
    let once = syntax::format(text);
    assert_eq!(once.is_some(), !sink.has_errors(), "what parses has a layout, and nothing else");
    let Some(once) = once else { return false };
    assert_eq!(syntax::format(&once).as_ref(), Some(&once), "a layout is its own layout");
    if once == text {
        return found.typed.is_some();
    }
    let again = checked(&once);
    assert_eq!(said(&again.diagnostics), said(&found.diagnostics), "the layout means something else:\n{once}");
    found.typed.is_some()
}

/// What has no errors compiles; its plan is the same when it is read again, and it runs.
pub(super) fn compile(input: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(input) else { return false };
    let found = checked(text);
    let Some(typed) = found.typed.filter(|it| it.graph().len() <= MOST_NODES) else { return false };
    let precision = if text.len().is_multiple_of(2) { Precision::F32 } else { Precision::Bf16 };
    let identity = pipeline::identity(&found.sources, &settings(), precision);
    let plan = pipeline::compile(typed, &found.sources, precision, identity).plan;
    let written = plan::to_yaml(&plan).expect("a plan can be written");
    let read = plan::from_yaml("plan.yaml", &written).unwrap_or_else(|it| panic!("its own plan is refused: {it}"));
    assert!(read == plan, "a plan that was read is another");
    let _ = cuda_files(&plan);
    run(plan);
    true
}
