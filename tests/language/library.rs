//! The files inside the binary: what imports them, what stands in their way, and what the command line tells of them.

use crate::runs::cli::Place;
use sphc::diag::{Code, render};
use sphc::lower::library;
use sphc::pipeline;

/// What is said of a file beside others.
fn said(text: &str, others: &[(&str, &str)]) -> (Vec<Code>, String) {
    let mut load = |path: &str| {
        let found = others.iter().find(|it| it.0 == path).map(|it| it.1.to_owned());
        found.ok_or_else(|| "there is no such file".to_owned())
    };
    let checked = pipeline::check("models/case.sph", text, &mut load, &crate::language::lower::settings(&[]));
    let text = render::render(&checked.diagnostics, &checked.sources, false);
    (checked.diagnostics.iter().map(|it| it.code).collect(), text)
}

fn model(imports: &str) -> String {
    format!(
        "{imports}\nmodel Case {{\n    input image: u8[8, 8, 1]\n    \
         output dense(image / 16, classes, operator: arc_face) as \"score\"\n}}\n\
         train {{\n    data digits\n    batch 4\n    iterations 10\n    loss softmax_cross_entropy()\n    \
         optimizer sgd(rate: 0.1)\n}}\n"
    )
}

#[test]
fn a_file_of_the_library_is_there_from_anywhere_and_once() {
    let (codes, text) = said(&model("import \"std/heads.sph\""), &[]);
    assert!(codes.is_empty(), "{text}");
    let parts = [("models/parts/own.sph", "import \"std/heads.sph\"\nimport \"std/decoupled.sph\"\n")];
    let (codes, text) = said(&model("import \"parts/own.sph\"\nimport \"std/heads.sph\""), &parts);
    assert!(codes.is_empty(), "{text}");
}

#[test]
fn a_file_of_the_disk_does_not_stand_in_for_one_of_the_library() {
    let own = [("models/std/heads.sph", "operator arc_face(cos) = cos\n")];
    let (codes, text) = said(&model("import \"std/heads.sph\""), &own);
    assert!(codes.contains(&Code::E0109) && text.contains("write `\"./std/heads.sph\"` for the file"), "{text}");
    let (codes, text) = said(&model("import \"./std/heads.sph\""), &own);
    assert!(codes.is_empty(), "{text}");
    // Of a path that the library does not have the disk decides.
    let own = [("models/std/more.sph", "operator arc_face(cos) = cos\n")];
    let (codes, text) = said(&model("import \"std/more.sph\""), &own);
    assert!(codes.is_empty(), "{text}");
    let (codes, text) = said(&model("import \"std/head.sph\""), &[]);
    assert!(codes.contains(&Code::E0109) && text.contains("the library has `std/decoupled.sph`"), "{text}");
}

#[test]
fn each_file_is_sound_by_itself_and_shown() {
    let place = Place::new();
    let all = place.succeeds("show std");
    for path in library::paths() {
        let (codes, text) = said(library::text(&path).unwrap(), &[]);
        assert!(codes.is_empty(), "{path}\n{text}");
        assert!(all.contains(&format!("import \"{path}\"")), "{all}");
        let shown = place.succeeds(&format!("show {path}"));
        assert!(library::text(&path).unwrap().contains("operator ") && shown.contains("operator "), "{path}\n{shown}");
    }
    assert!(place.succeeds("show std/heads.sph").contains("operator arc_face(theta, target, s = 30, m = 0.5)"));
    place.fails("show std/none.sph", &["std/none.sph"]);
    for of in ["std", "std/heads.sph"] {
        place.fails(&format!("show {of} --format json"), &["leave out `--format`"]);
    }
}

/// A library may hand on what others define.
#[test]
fn a_file_of_imports_alone_is_a_library() {
    let (codes, text) = said("//! All of it.\n\nimport \"std/heads.sph\"\nimport \"std/decoupled.sph\"\n", &[]);
    assert!(codes.is_empty(), "{text}");
    let parts = [("models/all.sph", "import \"std/heads.sph\"\n")];
    let (codes, text) = said(&model("import \"all.sph\""), &parts);
    assert!(codes.is_empty(), "{text}");
    // What it imports must be there all the same, and a file of nothing is none.
    let (codes, text) = said("import \"none.sph\"\n", &[]);
    assert_eq!(codes, [Code::E0109], "{text}");
    let (codes, text) = said("// nothing\n", &[]);
    assert_eq!(codes, [Code::E0201], "{text}");
}
