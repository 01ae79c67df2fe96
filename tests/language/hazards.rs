//! Operators that are not finite, or not smooth, on their domain: what is found and where. And that
//! everything shipped is finite, in value and slope, in single precision and bfloat16.

use sphc::diag::{Code, render};
use sphc::pipeline::{self, Checked};
use std::fs;
use std::path::{Path, PathBuf};

fn check(name: &str, text: &str) -> Checked {
    let mut load = |path: &str| fs::read_to_string(path).map_err(|it| it.to_string());
    pipeline::check(name, text, &mut load, &crate::language::lower::settings(&[]))
}

/// Codes with the text under their first label and the place that the message tells.
fn found(text: &str) -> Vec<(Code, String, String)> {
    let checked = check("library.sph", text);
    let place = |message: &str| message.split(" where ").nth(1).unwrap_or("").to_owned();
    let reports = checked.diagnostics.iter();
    reports.map(|it| (it.code, checked.sources.slice(it.primary.span).to_owned(), place(&it.message))).collect()
}

#[test]
fn what_is_not_finite_is_found_with_its_place() {
    use Code::{E0401, W0401, W0402, W0403};
    let cases: &[(&str, Code, &str, &str)] = &[
        ("o(cos) = 1 / (1 - cos)", E0401, "1 / (1 - cos)", "cos = 1"),
        ("o(cos) = 2 - cos / (cos - 0.3)", E0401, "cos / (cos - 0.3)", "cos = 0.3"),
        ("o(theta) = 1 / theta", E0401, "1 / theta", "theta = 0"),
        ("o(theta) = 2 * tan(theta)", E0401, "tan(theta)", "theta = pi / 2"),
        ("o(theta) = 1 / sin(theta / 2 + pi / 2)", E0401, "1 / sin(theta / 2 + pi / 2)", "theta = pi"),
        ("o(cos) = log(cos)", E0401, "log(cos)", "cos = 0"),
        ("o(cos) = log1p(-cos) + 1", E0401, "log1p(-cos)", "cos = 1"),
        ("o(cos) = sqrt(cos)", E0401, "sqrt(cos)", "cos = -1"),
        ("o(cos) = cos ^ 0.3", E0401, "cos ^ 0.3", "cos = -1"),
        ("o(cos) = cos ^ (-2)", E0401, "cos ^ (-2)", "cos = 0"),
        ("o(cos) = abs(cos) ^ 0.3", E0401, "abs(cos) ^ 0.3", "cos = 0"),
        ("o(x_norm, cos) = acos(x_norm * cos)", W0403, "acos(x_norm * cos)", ""),
        ("o(x_norm, cos) = exp(x_norm) * cos", E0401, "exp(x_norm)", "x_norm = 1e6"),
        ("o(cos) {\n    learn k: filter = 0.7\n    cos / k\n}", E0401, "cos / k", "k = 0"),
        (
            "o(x_norm) {\n    stat mu = mean(x_norm)\n    1 / (x_norm - mu)\n}",
            E0401,
            "1 / (x_norm - mu)",
            "x_norm = 1, mu = 1",
        ),
        ("o(cos) = if cos < 0 { 0 } else { log(cos) }", E0401, "log(cos)", "cos = 0"),
        ("o(cos) = coth(cos)", E0401, "coth(cos)", "cos = 0"),
        ("o(cos, k = 0.3) = cos / (k - 0.3)", E0401, "cos / (k - 0.3)", ""),
        ("o(cos) = sqrt(1 - cos * cos)", W0401, "sqrt(1 - cos * cos)", "cos = 1"),
        ("o(theta) = sqrt(pi - theta)", W0401, "sqrt(pi - theta)", "theta = pi"),
        ("o(cos) = sign(cos)", W0402, "sign(cos)", "cos = 0"),
        ("o(theta) = floor(theta)", W0402, "floor(theta)", "theta = 1"),
        ("o(cos) = if cos < 0.5 { 0.2 * cos } else { cos }", W0402, "cos < 0.5", "cos = 0.5"),
    ];
    for (text, code, part, place) in cases {
        let it = (*code, (*part).to_owned(), (*place).to_owned());
        assert_eq!(found(&format!("operator {text}\n")), [it], "{text}");
    }
}

#[test]
fn what_is_finite_is_left_alone() {
    let cases = [
        "o(cos) = 1 / (1.001 - cos)",
        "o(theta) = sin(theta)",
        "o(theta) = (1 - 2 / pi * theta) ^ 3",
        "o(theta) = cos(2 * theta)",
        "o(cos) = 1 / (cos * cos - cos + 1)",
        "o(cos) = log1p(cos * cos)",
        "o(cos) = sqrt(2 + cos)",
        "o(cos) = sqrt(1 - cos * cos + 1e-4)",
        "o(cos) = acos(clamp(2 * cos, -1, 1))",
        "o(cos) = if 0.1 < cos { log(cos) - log(0.1) + 0.1 } else { cos }",
        "o(x_norm, cos) = cos / x_norm",
        "o(x_norm, w_norm, cos) = x_norm * x_norm * w_norm * cos",
        "o(x_norm, cos) = exp(-x_norm) * cos",
        "o(cos) {\n    learn k: filter = 0.7\n    cos / (abs(k) + 0.05)\n}",
        "o(cos) {\n    learn k: filter = 0.7\n    cos * exp(k)\n}",
        "o(cos) = max(cos, 0) + abs(cos) + min(cos, 0.2)",
        "o(theta) = cosh(theta) * sinh(theta)",
        "o(cos) = stop(sign(cos)) * cos * cos",
    ];
    for text in cases {
        let text = format!("operator {text}\n");
        let checked = check("library.sph", &text);
        let shown = render::render(&checked.diagnostics, &checked.sources, false);
        assert!(checked.diagnostics.is_empty(), "{shown}");
    }
}

#[test]
fn what_a_layer_binds_is_looked_at_too() {
    let text = "operator o(cos, k = 0.3) = cos / k\n\nmodel M {\n    input image: float[8, 8, 1]\n    \
                x = sphere_conv(image, 4, operator: o) as \"a\"\n    \
                output sphere_conv(x, 4, operator: o(k: 0)) as \"b\"\n}\n";
    let checked = check("m.sph", text);
    assert_eq!(checked.diagnostics.len(), 1);
    let it = &checked.diagnostics[0];
    assert_eq!((it.code, it.message.as_str()), (Code::E0401, "`o` divides by zero as `o(k: 0)`"));
    assert!(it.secondary.iter().any(|it| it.text == "uses `o(k: 0)`"));
}

#[test]
fn what_is_wrong_inside_of_the_prelude_is_told_where_it_is_called() {
    let text = "model M {\n    input image: float[8, 8, 1]\n    \
                output sphere_conv(image, 4, operator: sigmoid(k: 0)) as \"a\"\n}\n";
    let checked = check("m.sph", text);
    assert_eq!(checked.diagnostics.len(), 1);
    let place = checked.diagnostics[0].primary.span;
    assert_eq!(checked.sources.slice(place), "sphere_conv(image, 4, operator: sigmoid(k: 0))");
}

/// The files with operators that are shipped: the prelude as a library of its own, and `models/operators`.
fn shipped() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = vec![root.join("src/lower/prelude.sph")];
    let folder = fs::read_dir(root.join("models/operators")).unwrap();
    paths.extend(folder.map(|it| it.unwrap().path()));
    paths.sort();
    let text = |it: &PathBuf| fs::read_to_string(it).unwrap();
    // Of the prelude, what stands before its layers: one of them has the name of an operator, which only it may.
    let operators = |it: String| it.split("\nblock ").next().unwrap().rsplit_once("\n\n").unwrap().0.to_owned() + "\n";
    paths.iter().map(|it| (it.display().to_string(), operators(text(it) + "\n\nblock "))).collect()
}

#[test]
fn every_shipped_operator_is_clean_as_a_part() {
    for (name, text) in shipped() {
        let checked = check(&name, &text);
        let shown = render::render(&checked.diagnostics, &checked.sources, false);
        assert!(checked.diagnostics.is_empty() && text.contains("operator "), "{shown}");
        assert!(checked.graph().is_none(), "a library has no model");
    }
}
