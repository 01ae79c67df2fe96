//! What the command line tells: differences between models, the bytes of data sets, flags of other programs.

use crate::runs::cli::{MODEL, Place, errors};
use std::fs;

/// Pairs of texts that mean different things, as edits of the small model.
const EDITS: &[(&str, &str, &str)] = &[
    ("batch_norm(decay: 0.9)", "batch_norm(decay: 0.95)", "decay: 0.95"),
    ("batch_norm(decay: 0.9)", "batch_norm(decay: 0.9, epsilon: 1e-4)", "epsilon: 1e-4"),
    ("|> relu as", "|> tanh as", "tanh"),
    ("|> relu as", "|> leaky_relu(slope: 0.2) as", "slope: 0.2"),
    ("(image - 8) / 8", "(image - 8) / 4", "(image - 8) / 4"),
    ("operator: cosine)", "operator: sigmoid(k: 0.4))", "sigmoid(k: 0.4)"),
    ("x = max_pool(x, 4)", "x = max_pool(x + 1, 4)", "x + 1"),
    ("x = max_pool(x, 4)", "x = avg_pool(x, 4)", "avg_pool"),
    ("kernel: 2, pad: valid", "kernel: 2, pad: valid, stride: 2", "stride: 2"),
    ("floor: 1e-4", "floor: 1e-3", "floor: 1e-3"),
    ("l2(5e-4)", "l2(4e-4)", "l2(4e-4)"),
    ("data       digits", "data       digits |> channels(3) |> channels(1)", "channels(3) |> channels(1)"),
    ("adam(rate: 1e-2)", "adam(rate: 1e-2, beta2: 0.99)", "beta2: 0.99"),
    ("evaluate   every 5", "evaluate   every 6", "every 6"),
    ("iterations 12", "iterations 13", "13"),
];

#[test]
fn models_that_differ_are_never_called_equal() {
    let place = Place::new();
    for (from, to, told) in EDITS {
        let other = MODEL.replacen(from, to, 1);
        assert_ne!(other, MODEL, "{from}");
        fs::write(place.path("other.sph"), other).unwrap();
        let found = place.succeeds("diff tiny.sph other.sph");
        assert!(found.contains(told), "{from} -> {to}:\n{found}");
    }
}

#[test]
fn what_is_defined_and_set_otherwise_is_told_and_layout_is_not() {
    let place = Place::new();
    let own = |body: &str| {
        format!("param d = 0.9\noperator own(cos) = {body}\n{}", MODEL.replace("cosine", "own").replace("0.9)", "d)"))
    };
    fs::write(place.path("a.sph"), own("cos")).unwrap();
    fs::write(place.path("b.sph"), own("cos * cos")).unwrap();
    fs::write(place.path("c.sph"), own("cos").replace("\n    x", "\n\n    // a comment\n    x")).unwrap();
    let found = place.succeeds("diff a.sph b.sph");
    assert!(found.contains("operator own") && found.contains("cos * cos"), "{found}");
    assert_eq!(place.succeeds("diff a.sph c.sph"), "");
    let found = place.succeeds("diff a.sph a.sph --set d=0.8 --set-b d=0.95");
    assert!(found.contains("param d") && found.contains("0.8") && found.contains("0.95"), "{found}");
    // Two inputs of a layer in the other order are another graph, whatever the lines say.
    let residual = |sum: &str| MODEL.replace("x = max_pool(x, 4)", &format!("y = tanh(x)\n    x = max_pool({sum}, 4)"));
    fs::write(place.path("d.sph"), residual("x - y")).unwrap();
    fs::write(place.path("e.sph"), residual("y - x")).unwrap();
    assert!(!place.succeeds("diff d.sph e.sph").is_empty());
}

#[test]
fn data_sets_tell_their_bytes() {
    let place = Place::new();
    let list = place.succeeds("data list");
    let line = |name: &str| list.lines().find(|it| it.starts_with(name)).unwrap().to_owned();
    assert!(line("digits").contains("0 to 16") && line("mnist").contains("0 to 255"), "{list}");
    assert!(place.succeeds("data list --format json").contains("\"range\":[0,16]"));
}

#[test]
fn flags_of_other_programs_are_answered_by_their_meaning() {
    let place = Place::new();
    for (flag, meaning) in [
        ("--epochs 3", "--iterations N"),
        ("--lr 0.1", "adam(rate: 1e-3)"),
        ("--learning-rate=0.1", "adam(rate: 1e-3)"),
        ("--batch-size 8", "--batch N"),
        ("--gpu", "--device cuda"),
        ("--workers 2", "--threads N"),
        ("--output out", "--run DIR"),
    ] {
        let output = place.sphc(&format!("train tiny.sph {flag}"));
        let text = errors(&output);
        assert_eq!(output.status.code(), Some(2), "{flag}: {text}");
        assert!(text.contains(meaning) && !text.contains("similar"), "{flag}: {text}");
    }
}

#[test]
fn what_is_only_evaluated_is_not_judged_as_a_training() {
    let text = MODEL
        .replace("x = max_pool(x, 4)", "x = relu(batch_norm(dense(flatten(x), 8) as \"hidden\", decay: 0.5))")
        .replace("kernel: 2", "kernel: 1")
        .replace(", pad: valid", "");
    let told = |evaluates: bool| {
        let settings = sphc::lower::Settings { batch: Some(1), evaluates, ..crate::language::lower::settings(&[]) };
        let checked = sphc::pipeline::check("one.sph", &text, &mut |_| Err("no imports".to_owned()), &settings);
        checked.diagnostics.iter().map(|it| it.code.name()).collect::<Vec<_>>()
    };
    assert_eq!(told(false), ["W0304"]);
    assert!(told(true).is_empty());
}

#[test]
fn vectors_under_an_optimizer_of_matrices_are_told() {
    let place = Place::new();
    let told = |optimizer: &str| {
        fs::write(place.path("m.sph"), MODEL.replace("optimizer  adam(rate: 1e-2)", optimizer)).unwrap();
        errors(&place.sphc("check m.sph"))
    };
    let all = told("optimizer  muon(rate: 0.05)");
    for it in
        ["W0208", "`muon` multiplies matrices, and moves `first/bn/gamma`, `first/bn/beta`", "`muon(...) on filters`"]
    {
        assert!(all.contains(it), "no `{it}`: {all}");
    }
    assert!(!told("optimizer  muon(rate: 0.05) on filters\n    optimizer  adam(rate: 1e-3)").contains("W0208"));
    assert!(!told("optimizer  lamb(rate: 0.05)").contains("W0208"));
}

/// What a user may try in definitions and cannot have, each with what mends it.
#[test]
fn what_definitions_cannot_do_is_told_with_a_way() {
    let place = Place::new();
    let cases = [
        (
            "optimizer own(rate) = value - rate * (gradient - mean(gradient))",
            ["cannot be used in an optimizer", "`sum(x)`"],
        ),
        (
            "operator own(cos) {\n    stat m = mean(cos - m, decay: 0.9)\n    cos - m\n}",
            ["undefined name `m`", "leave `m` out: a statistic moves from what it was"],
        ),
        (
            "block own(x) {\n    stat m: [channels(x)] = running(mean(x, over: [batch, positions]) + m)\n    x - m\n}",
            ["undefined name `m`", "leave `m` out: a statistic moves from what it was"],
        ),
    ];
    for (definition, expected) in cases {
        fs::write(place.path("m.sph"), format!("{definition}\n\n{MODEL}")).unwrap();
        let found = errors(&place.sphc("check m.sph"));
        expected.iter().for_each(|it| assert!(found.contains(it), "no `{it}`: {found}"));
    }
}

/// What would train on nothing, or keep what means nothing in another batch.
#[test]
fn what_would_go_wrong_in_silence_is_told() {
    let place = Place::new();
    let cases: [(&str, &str, &[&str]); 6] = [
        (
            "x = max_pool(x, 4)",
            "x = follow(max_pool(x, 4))",
            &["`kept` follows what each example has of its own", "mean(x, over: [batch, positions])"],
        ),
        ("evaluate   every 5", "augment    cutout(16)", &["`cutout(16)` leaves nothing of any image", "`cutout(4)`"]),
        (
            "evaluate   every 5",
            "augment    flip_horizontal flip_vertical",
            &["two values of `augment` without a comma", "put a comma between them"],
        ),
        (
            "x = max_pool(x, 4)",
            "for i in 3..0 {\n        x = relu(x)\n    }\n    x = max_pool(x, 4)",
            &["this loop repeats nothing"],
        ),
        ("floor: 1e-4", "floor: 1e-4, ignore: -5", &["`ignore` of `softmax_cross_entropy` is -5"]),
        (
            "floor: 1e-4",
            "floor: 1e-4, ignor: 255",
            &["signature: softmax_cross_entropy(", "ignore: int = -1", "did you mean `ignore`?"],
        ),
    ];
    for (from, to, expected) in cases {
        let text = format!("block follow(x) {{\n    stat kept = running(x, decay: 0.5)\n    x - kept\n}}\n{MODEL}");
        fs::write(place.path("m.sph"), text.replacen(from, to, 1)).unwrap();
        let found = errors(&place.sphc("check m.sph"));
        expected.iter().for_each(|it| assert!(found.contains(it), "no `{it}`: {found}"));
    }
    // A square that leaves something, and a loop that a param may fill, are fine.
    let fine =
        MODEL.replace("evaluate   every 5", "augment    cutout(15)").replace("model Tiny", "param n = 0\n\nmodel Tiny");
    let fine =
        fine.replace("x = max_pool(x, 4)", "for i in 0..n {\n        x = relu(x)\n    }\n    x = max_pool(x, 4)");
    fs::write(place.path("m.sph"), fine).unwrap();
    assert!(place.succeeds("check m.sph").contains("no problems"));
    let found = errors(&place.sphc("check m.sph --set n=1,2"));
    assert!(found.contains("`train` takes several values, each for a run of its own"), "{found}");
}
