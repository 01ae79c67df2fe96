//! Definitions of the prelude and of the library mean what they were written with, whatever a file calls its own.

use crate::backends::engines::typed;
use crate::language::lower::settings;
use sphc::autodiff::training;
use sphc::diag::render;
use sphc::lower::library;
use sphc::pipeline;

/// A bit of everything that the prelude is made of, and of the library.
const MODEL: &str = "import \"std/normalised.sph\"

model Case {
    input image: u8[8, 8, 1]
    x = conv(image / 16, 8, stride: 2) |> batch_norm |> gelu as \"a\"
    x = sphere_conv(x, 8, operator: linear) |> group_norm(groups: 2) as \"b\"
    x = depthwise_conv(x, kernel: 3, bias: true) |> layer_norm |> prelu as \"c\"
    x = x + reshape(attention(reshape(x, [16, 8]), heads: 2), [4, 4, 8]) as \"d\"
    x = squeeze_excite(upsample(avg_pool(x, 2), 2, mode: \"bilinear\"), ratio: 2) |> dropout(rate: 0.1) as \"e\"
    output dense(max_pool(x, 2), classes) as \"score\"
}

train {
    data       digits
    batch      8
    iterations 100
    allow      W0104
    augment    crop(pad: 1), mixup(0.2)
    loss       softmax_cross_entropy(smoothing: 0.1)
    penalty    orthogonality(1e-4) on filters
    penalty    energy(1e-4) on filters
    metric     top(k: 3)
    optimizer  adamw(rate: 1e-3 * one_cycle()) on filters
    optimizer  lars(rate: 1e-3 * warmup(10) * cosine(floor: 0.1))
    average    ema(0.9)
}
";

/// Names that the prelude uses, as something else.
const OWN: &[&str] = &[
    "fn sqrt(x) = x * 100",
    "fn log(x) = x",
    "fn exp(x) = x",
    "fn max(a, b) = a",
    "fn mean(x) = x",
    "fn softmax(x) = x",
    "fn gelu(x) = x",
    "fn clamp(x, low, high) = x",
    "fn none(x) = x",
    "fn linear(x) = x",
    "fn on_shell(x) = x",
    "block sum(x) = x * 2",
    "block variance(x) = x * 2",
    "block offset(x) { x }",
    "block channels(x) { x }",
    "block step(x) { x }",
    "layer shape(x: tensor) = x",
    "param pi = 1",
    "param mean = 3",
    "param sum = 3",
    "param channels = 3",
    "param positions = 3",
    "param batch = 3",
    "param none = 3",
    "param he = 3",
    "param value = 3",
    "operator none(cos) = cos * cos",
    "operator cosine(cos) = cos * cos",
    "operator sqrt(cos) = cos * cos",
    "schedule cosine(floor = 0) = 0.5",
    "loss label_cross_entropy(scores, label) = sum(scores, over: channels)",
    "metric correct(scores, label) = sum(scores, over: channels)",
];

/// Names that the recipe or the model of the case uses itself: these are meant to be the file's.
fn is_used(own: &str) -> bool {
    let name = own.split([' ', '(']).nth(1).unwrap();
    [format!(" {name}("), format!("{name}\n"), format!("|> {name} "), format!("operator: {name}")]
        .iter()
        .any(|it| MODEL.contains(it.as_str()))
}

#[test]
fn names_of_a_file_change_nothing_that_it_does_not_name() {
    let graph = |own: &str| {
        let text = training(typed("case.sph", &format!("{MODEL}\n{own}\n"), &settings(&[]))).to_string();
        assert!(text.contains("param"), "{text}");
        text
    };
    let plain = graph("");
    let mut tried = 0;
    for own in OWN.iter().filter(|it| !is_used(it)) {
        assert!(graph(own) == plain, "{own}");
        tried += 1;
    }
    assert!(25 <= tried, "{tried}");
    // What the file names is its own.
    assert!(graph("fn gelu(x) = x * 2") != plain);
    assert!(graph("schedule cosine(floor = 0) = 0.5") != plain);
}

#[test]
fn a_name_that_only_the_prelude_uses_is_unused() {
    for own in ["fn sqrt(x) = x", "param sum = 3", "operator none(cos) = cos", "block relu6(x) { x }"] {
        let text = format!("{}\n{own}\n", MODEL.replace("    allow      W0104\n", ""));
        let mut load = |path: &str| Err(format!("{path} is not there"));
        let checked = pipeline::check("case.sph", &text, &mut load, &settings(&[]));
        let said = render::render(&checked.diagnostics, &checked.sources, false);
        assert!(said.contains("W0104") && said.contains("is never used"), "{own}: {said}");
    }
}

/// Else a file of the library would change what the prelude means.
#[test]
fn the_library_has_no_names_of_the_prelude() {
    let kinds =
        ["operator ", "fn ", "block ", "layer ", "loss ", "metric ", "optimizer ", "schedule ", "penalty ", "average "];
    let names = |text: &str| -> Vec<String> {
        let starts = text.lines().filter(|line| kinds.iter().any(|it| line.starts_with(it)));
        starts.map(|it| it.split(['(', ' ']).nth(1).unwrap().to_owned()).collect()
    };
    let prelude = names(include_str!("../../src/lower/prelude.sph"));
    assert!(100 < prelude.len());
    for path in library::paths() {
        for name in names(library::text(&path).unwrap()) {
            assert!(!prelude.contains(&name), "{path}: {name}");
        }
    }
}
