//! The explanations of diagnostics: the first example of each page makes the mistake, the last does not.

use sphc::diag::{Code, render};
use sphc::pipeline;

/// Not to be shown by a file alone: it is about `--set`.
const WITHOUT_EXAMPLE: [Code; 1] = [Code::E0107];

fn examples(page: &str) -> Vec<&str> {
    page.split("```sph\n").skip(1).map(|it| it.split("```").next().unwrap()).collect()
}

/// The codes a text gets, and how they look.
fn check(text: &str) -> (Vec<Code>, String) {
    let blocks = "block unit(x, filters: int) {\n    relu(conv(x, filters))\n}\n";
    let mut load =
        |path: &str| if path == "blocks.sph" { Ok(blocks.to_owned()) } else { Err("no such file".to_owned()) };
    let checked = pipeline::check("example.sph", text, &mut load, &crate::language::lower::settings(&[]));
    let codes = checked.diagnostics.iter().map(|it| it.code).collect();
    (codes, render::render(&checked.diagnostics, &checked.sources, false))
}

#[test]
fn each_page_has_a_wrong_example_and_its_correction() {
    let mut wrong = String::new();
    for &code in Code::ALL {
        let examples = examples(code.explanation());
        if WITHOUT_EXAMPLE.contains(&code) {
            continue;
        }
        let [mistake, correction] = examples[..] else {
            wrong += &format!("{}: {} examples\n", code.name(), examples.len());
            continue;
        };
        let (codes, shown) = check(mistake);
        if codes.is_empty() || codes.iter().any(|it| *it != code) {
            wrong += &format!("the mistake of {} is reported as\n{shown}\n", code.name());
        }
        let (codes, shown) = check(correction);
        if !codes.is_empty() {
            wrong += &format!("the correction of {} is reported as\n{shown}\n", code.name());
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// `UPDATE_DOCS=1 cargo test --test all codes` writes it anew.
#[test]
fn the_page_of_all_codes_has_the_texts_of_explain() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/diagnostics.md");
    let wanted = Code::reference();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &wanted).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == wanted, "docs/diagnostics.md is not what the explanations say");
}
