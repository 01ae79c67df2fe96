//! `sphc diff`: by meaning. What is run differs only if it says so, and what is layout, comments and names of one's own it does
//! not tell.

use crate::runs::cli::{MODEL, Place};
use proptest::prelude::*;
use sphc::plan::{Plan, to_yaml};
use sphc::syntax::{self, TokenKind};
use sphc::{Model, Options};
use std::collections::BTreeSet;
use std::fs;

#[test]
fn diff_tells_what_differs_and_nothing_else() {
    let place = Place::new();
    assert_eq!(place.succeeds("diff tiny.sph tiny.sph"), "");
    let other = MODEL
        .replace("sphere_conv(4, operator: cosine)", "sphere_conv(6, operator: linear)")
        .replace("batch      16", "batch      32")
        .replace("on filters", "on filters, gamma")
        .replace("x = max_pool(x, 4)", "x = max_pool(x, 4) as \"pool\"")
        .replace("evaluate   every 5", "project    normalize filters every 3");
    fs::write(place.path("other.sph"), other).unwrap();
    let found = place.succeeds("diff tiny.sph other.sph");
    let rows: Vec<Vec<&str>> =
        found.lines().map(|it| it.split("  ").map(str::trim).filter(|it| !it.is_empty()).collect()).collect();
    for row in [
        ["first", "sphere_conv 4 -> 8x8x4, 36 parameters", "sphere_conv 6, linear -> 8x8x6, 54 parameters"],
        ["max_pool_0", "max_pool 4x4 -> 2x2x4", "-"],
        ["pool", "-", "max_pool 4x4 -> 2x2x6"],
        ["batch", "16 (tiny.sph:13)", "32 (other.sph:13)"],
        ["evaluate", "every 5 (tiny.sph:18)", "at the end"],
        [
            "penalty",
            "l2(5e-4) on filters (2 tensors) (tiny.sph:16)",
            "l2(5e-4) on filters, gamma (3 tensors) (other.sph:16)",
        ],
        ["project", "-", "normalize filters every 3 (2 tensors) (other.sph:18)"],
        ["parameters", "204", "306"],
    ] {
        assert!(rows.contains(&row.to_vec()), "{row:?}\n{found}");
    }
    assert!(!found.contains("iterations") && !found.contains("seed"), "{found}");
    fs::write(place.path("set.sph"), format!("param n = 4\n{}", MODEL.replace("sphere_conv(4", "sphere_conv(n")))
        .unwrap();
    let found = place.succeeds("diff set.sph set.sph --set-b n=8");
    assert!(found.contains("-> 8x8x4, 36 parameters") && found.contains("-> 8x8x8, 72 parameters"), "{found}");
}

/// What only the recipe computes with: the graph of the model is the same.
#[test]
fn diff_tells_bodies_of_what_the_recipe_names() {
    let place = Place::new();
    let text = |step: &str, ramp: &str, weight: &str, average: &str| {
        let own = format!(
            "optimizer own(rate) = value - rate * {step}\n\nschedule ramp() = {ramp}\n\n\
             penalty small(w, weight) = {weight} * sum(w ^ 2)\n\n\
             average slow(decay = 0.5) = average + {average} * (value - average)\n\n"
        );
        let recipe = "    penalty    small(1e-3) on filters\n    average    slow\n    schedule   ramp\n    optimizer  own(rate: 1e-2)";
        let lines = MODEL.lines().map(|it| if it.trim_start().starts_with("optimizer ") { recipe } else { it });
        own + &lines
            .filter(|it| !it.trim_start().starts_with("schedule ") || it.contains("ramp"))
            .collect::<Vec<_>>()
            .join("\n")
            + "\n"
    };
    let usual = ["gradient", "1 - step / iterations", "weight", "(1 - decay)"];
    let write = |name: &str, parts: [&str; 4]| {
        let [step, ramp, weight, average] = parts;
        fs::write(place.path(name), text(step, ramp, weight, average)).unwrap();
    };
    write("a.sph", usual);
    for (at, (other, told)) in [
        ("2 * gradient", "optimizer own"),
        ("1 - 0.5 * step / iterations", "schedule ramp"),
        ("2 * weight", "penalty small"),
        ("0.5 * (1 - decay)", "average slow"),
    ]
    .into_iter()
    .enumerate()
    {
        let mut parts = usual;
        parts[at] = other;
        write("b.sph", parts);
        let found = place.succeeds("diff a.sph b.sph");
        assert!(found.contains(told), "{told}\n{found}");
    }
    write("b.sph", usual);
    assert_eq!(place.succeeds("diff a.sph b.sph"), "");
}

/// One of each kind that a text can have.
const TEXT: &str = r#"
import "parts.sph"

param width = 4

fn half(x, by = 2) = x / by

operator mine(theta, k = 0.3) = tanh((pi / 2 - theta) / k)

schedule ramp(share = 0.5) = 1 - share * step / iterations

block unit(x, filters: int, act: fn = relu) {
    y = sphere_conv(x, filters, operator: mine) |> batch_norm(decay: 0.9) |> act as "in"
    for i in 0..2 {
        z = conv(y, filters, kernel: 1) as "mid{i}"
        y = y + 0.5 * z
    }
    half(x |> conv(filters, kernel: 1) as "way") + y
}

model M {
    input image: u8[8, 8, 1]
    x = (image - 8) / 8
    x = tanh(unit(x, width) as "unit")
    x = max_pool(scaled(x), 2)
    w = if channels(x) == 4 { 0.5 * x } else { x }
    output dense(w, classes, bias: true) as "score"
}

train {
    data       digits
    augment    crop(pad: 1)
    batch      16
    iterations 100
    loss       softmax_cross_entropy(smoothing: 0.1)
    metric     top(k: 3)
    penalty    l2(1e-4) on filters where layer != "score"
    freeze     on biases
    optimizer  adam(rate: 1e-3)
    schedule   ramp
    clip       norm(1.0)
    average    ema(0.9)
    evaluate   every 50
    seed       3
}
"#;

const PARTS: &str = "/// Twice as much.\nblock scaled(x) {\n    a = 2 * x\n    a\n}\n";

/// Two experiments in a folder, and what is said of their differences.
fn said(place: &Place, a: [&str; 2], b: [&str; 2]) -> String {
    for (folder, [text, parts]) in [("a", a), ("b", b)] {
        fs::create_dir_all(place.path(folder)).unwrap();
        fs::write(place.path(&format!("{folder}/m.sph")), text).unwrap();
        fs::write(place.path(&format!("{folder}/parts.sph")), parts).unwrap();
    }
    place.succeeds("diff a/m.sph b/m.sph")
}

/// An edit, and what must be said of it, with the line in the second text.
#[test]
fn each_kind_of_edit_is_told_by_its_line() {
    let place = Place::new();
    let cases = [
        (
            "act: fn = relu",
            "act: fn = swish",
            &["block unit", "act: fn = swish) (b/m.sph:12)", "batch_norm, swish"][..],
        ),
        ("k = 0.3", "k = 0.4", &["operator mine", "(b/m.sph:8)"]),
        ("tanh((pi", "sin((pi", &["operator mine", "sin((pi / 2 - theta) / k) (b/m.sph:8)"]),
        ("by = 2", "by = 3", &["fn half", "(b/m.sph:6)"]),
        ("share = 0.5", "share = 0.6", &["schedule ramp", "(b/m.sph:10)"]),
        ("y + 0.5 * z", "y - 0.5 * z", &["block unit", "y = y - 0.5 * z (b/m.sph:16)"]),
        ("decay: 0.9)", "decay: 0.8)", &["(b/m.sph:13)", "batch_norm decay 0.8, relu"]),
        ("tanh(unit", "logistic(unit", &["model", "(b/m.sph:24)", "logistic -> 8x8x4"]),
        ("(image - 8)", "(image - 7)", &["model", "(image - 7) / 8 (b/m.sph:23)"]),
        ("param width = 4", "param width = 5", &["param width", "sphere_conv 5"]),
        ("max_pool(", "avg_pool(", &["avg_pool(scaled(x), 2) (b/m.sph:25)"]),
        ("bias: true", "bias: false", &["(b/m.sph:27)", "dense 10 ->"]),
        ("kernel: 1) as \"way\"", "kernel: 1, init: glorot) as \"way\"", &["init glorot"]),
        ("crop(pad: 1)", "crop(pad: 2)", &["augment", "(b/m.sph:32)"]),
        ("k: 3)", "k: 2)", &["metric", "top(k: 2) (b/m.sph:36)"]),
        ("layer != \"score\"", "layer != \"unit\"", &["penalty", "(b/m.sph:37)"]),
        ("on biases", "on gamma", &["freeze", "(b/m.sph:38)"]),
        ("on biases", "on gamma where layer == \"unit\"", &["freeze", "on gamma where layer == \"unit\" (b/m.sph:38)"]),
        ("rate: 1e-3", "rate: 2e-3", &["optimizer", "(b/m.sph:39)"]),
        ("norm(1.0)", "norm(2.0)", &["clip", "(b/m.sph:41)"]),
        ("ema(0.9)", "ema(0.8)", &["average", "(b/m.sph:42)"]),
        ("every 50", "every 20", &["evaluate", "(b/m.sph:43)"]),
        ("seed       3", "seed       4", &["seed", "(b/m.sph:44)"]),
    ];
    for (old, new, wanted) in cases {
        assert!(TEXT.contains(old), "{old}");
        let found = said(&place, [TEXT, PARTS], [&TEXT.replacen(old, new, 1), PARTS]);
        wanted.iter().for_each(|it| assert!(found.contains(it), "{old} -> {new}: no `{it}`\n{found}"));
    }
    let found = said(&place, [TEXT, PARTS], [TEXT, &PARTS.replace("2 * x", "3 * x")]);
    assert!(found.contains("block scaled") && found.contains("a = 3 * x (b/parts.sph:3)"), "{found}");
}

#[test]
fn layout_comments_spellings_and_names_of_ones_own_are_no_difference() {
    let place = Place::new();
    let other = TEXT
        .replace("    w = if", "    // what is new\n\n\n    small = if")
        .replace("dense(w,", "dense(\n        small ,")
        .replace("y = sphere_conv", "inner = sphere_conv")
        .replace("z = conv(y", "more = conv(inner")
        .replace("y = y + 0.5 * z", "inner = ((inner) + 0.50 * more)")
        .replace(") + y", ") + inner")
        .replace("in 0..2", "in 0 .. 2")
        .replace("batch      16", "batch 8 * 2  // as much");
    assert_ne!(other, TEXT);
    let parts = "/// Two times.\nblock scaled(x) {\n\n    b = 2 * x  // twice\n    b }\n";
    assert_eq!(said(&place, [TEXT, PARTS], [&other, parts]), "");
    // Beside something else they are not told either.
    let found = said(&place, [TEXT, PARTS], [&other.replace("0.50 * more", "0.25 * more"), PARTS]);
    let rows: Vec<&str> = found.lines().filter(|it| it.starts_with("block unit") || it.starts_with("model")).collect();
    assert_eq!(rows.len(), 1, "{found}");
    assert!(rows[0].contains("0.25 * more"), "{found}");
}

/// What is run, without where it comes from; `None` of a text with mistakes.
fn run(text: &str) -> Option<String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.sph");
    fs::write(&path, text).unwrap();
    fs::write(folder.path().join("parts.sph"), PARTS).unwrap();
    let model = Model::open(&path).unwrap().with(Options::default());
    let compiled = model.compile().ok()?.compiled;
    let graph = compiled.training.graph().to_string();
    let graph = graph.split_once('\n').map_or(String::new(), |it| it.1.to_owned());
    let mut plan: Plan = compiled.plan;
    (plan.name, plan.hash, plan.source) = Default::default();
    plan.buffers.iter_mut().for_each(|it| it.line.clear());
    Some(graph + &to_yaml(&plan).unwrap())
}

/// Words that can stand for each other, of one kind in a line.
const WORDS: &[&[&str]] = &[
    &["relu", "swish", "tanh", "gelu", "logistic"],
    &["mine", "cosine", "linear", "none"],
    &["max_pool", "avg_pool"],
    &["sphere_conv", "conv"],
    &["filters", "biases", "gamma", "all"],
    &["adam", "adamw", "sgd"],
    &["softmax_cross_entropy", "hinge"],
    &["half", "relu6"],
    &["!=", "=="],
    &["+", "-", "*"],
    &["flip_horizontal", "cutout"],
];

/// The text with some tokens exchanged, and lines taken out.
fn edited() -> impl Strategy<Value = String> {
    let edit = (any::<prop::sample::Index>(), 0_usize..8);
    prop::collection::vec(edit, 1..4).prop_map(|edits| {
        let mut text = TEXT.to_owned();
        for (index, by) in edits {
            let tokens: Vec<_> = syntax::tokens(&text)
                .into_iter()
                .filter(|it| {
                    let word = &text[it.start..it.end];
                    it.kind == TokenKind::Number || WORDS.iter().any(|all| all.contains(&word)) || word == "\n"
                })
                .collect();
            let it = *index.get(&tokens);
            let word = &text[it.start..it.end];
            let new = match (it.kind, word) {
                (TokenKind::Number, word) => match (by, word.parse::<u64>()) {
                    (0..4, Ok(number)) => (number + by as u64 + 1).to_string(),
                    (4.., Ok(number)) => (2 * number).to_string(),
                    _ => ["0.2", "0.4", "1e-2", "0.95"][by % 4].to_owned(),
                },
                (_, "\n") => {
                    // The line after it goes.
                    let end = text[it.end..].find('\n').map_or(text.len(), |at| it.end + at);
                    text.replace_range(it.end..end, "");
                    continue;
                }
                (_, word) => {
                    let all = WORDS.iter().find(|all| all.contains(&word)).unwrap();
                    all[by % all.len()].to_owned()
                }
            };
            text.replace_range(it.start..it.end, &new);
        }
        text
    })
}

/// The text laid out in another way, with comments, and with other names of its own.
fn disguised() -> impl Strategy<Value = String> {
    let places = prop::collection::vec((any::<prop::sample::Index>(), 0_usize..5), 0..20);
    let names = prop::sample::subsequence(vec!["x", "y", "z", "w"], 0..=4);
    (places, names).prop_map(|(places, names)| {
        let names: BTreeSet<&str> = names.into_iter().collect();
        let mut text = String::new();
        let mut last = 0;
        let mut own: &[&str] = &[];
        for it in syntax::tokens(TEXT) {
            let word = &TEXT[it.start..it.end];
            // What the block and the model bind; what is a parameter can be said by others.
            own = match word {
                "block" => &["y", "z"],
                "model" => &["x", "w"],
                _ => own,
            };
            let renamed = own.contains(&word) && names.contains(word) && it.kind == TokenKind::Word;
            text.push_str(&TEXT[last..it.start]);
            text.push_str(word);
            if renamed {
                text.push_str("_of_mine");
            }
            last = it.end;
        }
        text.push_str(&TEXT[last..]);
        for (index, kind) in places {
            let ends: Vec<usize> = text.match_indices('\n').map(|it| it.0).collect();
            let commas: Vec<usize> = text.match_indices(", ").map(|it| it.0).collect();
            match kind {
                0 => text.insert(*index.get(&ends), '\n'),
                1 => text.insert_str(*index.get(&ends), "  // a remark"),
                2 => text.insert_str(*index.get(&ends), "\n// a line of its own"),
                3 => text.insert_str(*index.get(&ends), "   "),
                _ => text.insert_str(*index.get(&commas), "  "),
            }
        }
        text
    })
}

proptest! {
    #![proptest_config(crate::cases(40))]

    #[test]
    fn what_is_run_differs_only_if_it_is_told(text in edited()) {
        let Some(other) = run(&text) else { return Ok(()) };
        let found = said(&Place::new(), [TEXT, PARTS], [&text, PARTS]);
        prop_assert_eq!(other == run(TEXT).unwrap(), found.is_empty(), "{}\n{}", text, found);
    }

    #[test]
    fn what_looks_different_and_is_the_same_is_not_told(text in disguised()) {
        prop_assert!(run(&text) == run(TEXT), "{text}");
        prop_assert_eq!(said(&Place::new(), [TEXT, PARTS], [&text, PARTS]), "", "{}", text);
    }
}
