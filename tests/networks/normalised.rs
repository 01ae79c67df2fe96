//! Attention by an operator of the angle: `respond` is the operator's formula over a product and two norms, and a small
//! normalised transformer passes `sphc verify`, which compares gradients with differences, and trains.

use crate::backends::engines::Engine;
use crate::networks::steps;
use crate::runs::cli::Place;
use sphc::diag::render;
use sphc::pipeline;
use std::process::Command;

/// An operator, and its value in terms of the product `s` and the norms `n` and `m`.
const OPERATORS: &[(&str, &str)] = &[
    ("cosine", "s / (n * m)"),
    ("none", "s"),
    ("weight_cosine", "s / m"),
    ("turned(by: 3)", "3 * (1 - 2 / pi * acos(s / (n * m)))"),
    ("turned(by: g)", "g * (1 - 2 / pi * acos(s / (n * m)))"),
    ("turned(by: 1 + step)", "(1 + step) * (1 - 2 / pi * acos(s / (n * m)))"),
    ("bent(inner: cosine)", "tanh(n / m) * (s / (n * m)) ^ 3"),
];

fn own(value: &str) -> String {
    format!(
        "operator turned(theta, by = 1) = by * (1 - 2 / pi * theta)\n\
         operator bent(x_norm, w_norm, inner: operator = cosine) = tanh(x_norm / w_norm) * inner ^ 3\n\
         block pairs(x) {{\n    rows = reshape(x, [size(x) / channels(x), channels(x)])\n    \
         keys = linear(rows, channels(x)) as \"keys\"\n    learn g: [] = 2\n    \
         n = sqrt(sum(rows ^ 2, over: channels) + 1e-4)\n    \
         m = transpose(sqrt(sum(keys ^ 2, over: channels) + 1e-4), [1, 0])\n    \
         s = einsum(\"qd,kd->qk\", rows, keys)\n    \
         reshape({value} + 0 * (g + n + m), [height(x), width(x), height(x) * width(x)])\n}}"
    )
}

#[test]
fn an_operator_responds_to_a_product_as_its_formula_says() {
    for (operator, formula) in OPERATORS {
        let [given, written] = [&*format!("respond(s, n, m, operator: {operator})"), formula]
            .map(|it| steps::graph((&own(it), "pairs(o)", steps::CROSS, ""), "step"));
        for engine in Engine::ALL {
            let [(told, slopes), (wanted, right)] = [&given, &written].map(|it| steps::run(it, engine, 2));
            let close = told.iter().zip(&wanted).all(|(a, b)| steps::close(a, b, engine.tolerance()));
            assert!(close, "{engine:?} {operator}: {told:?} {wanted:?}");
            assert!(steps::close(&slopes, &right, 10.0 * engine.tolerance()), "{engine:?} {operator}");
        }
    }
}

#[test]
fn what_needs_the_filters_of_a_layer_is_told() {
    let text = "operator far(cos, target) = cos - target\n\
                block pairs(x, operator: operator) {\n    n = sqrt(sum(x ^ 2, over: channels) + 1e-4)\n    \
                respond(x * x, n, n, operator: operator)\n}\n\
                model Case {\n    input image: u8[8, 8, 1]\n    x = pairs(image / 16, @)\n    \
                output dense(x, classes) as \"score\"\n}\n\
                train {\n    data digits\n    batch 4\n    iterations 10\n    loss softmax_cross_entropy()\n    \
                optimizer sgd(rate: 0.1)\n}\n";
    for (operator, part) in
        [("lr_sigmoid", "learns a number"), ("tanh_conv", "learns a number"), ("far", "sees the label")]
    {
        let text = text.replace('@', operator);
        let mut none = |path: &str| Err(format!("{path} is not there"));
        let checked = pipeline::check("case.sph", &text, &mut none, &crate::language::lower::settings(&[]));
        let said = render::render(&checked.diagnostics, &checked.sources, false);
        assert!(said.matches("error[E0101]").count() == 1 && said.contains(part), "{operator}\n{said}");
    }
}

#[test]
fn a_normalised_transformer_agrees_with_differences_and_trains() {
    for (logits, precision) in [("cosine", "f64"), ("turned(sharpness: 2)", "f64"), ("sigmoid(k: 0.5)", "f32")] {
        let logits = format!("logits={logits}");
        let words = ["verify", "models/ngpt_digits.sph", "--set", &logits, "--set", "units=8", "--set", "depth=1"];
        let more = ["--batch", "2", "--device", "cpu", "--precision", precision];
        let words = words.iter().chain(&more);
        let output = Command::new(env!("CARGO_BIN_EXE_sphc")).args(words).output().unwrap();
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success() && text.contains("gradients: all right"), "{logits}\n{text}");
    }
    let place = Place::new();
    let text = std::fs::read_to_string(format!("{}/models/ngpt_digits.sph", env!("CARGO_MANIFEST_DIR"))).unwrap();
    std::fs::write(place.path("ngpt.sph"), &text).unwrap();
    place.succeeds("train ngpt.sph --run r --device cpu --iterations 3 --set units=8 --log-every 1");
    let log = std::fs::read_to_string(place.path("r").join("metrics.jsonl")).unwrap();
    let lines: Vec<serde_json::Value> = log.lines().map(|it| serde_json::from_str(it).unwrap()).collect();
    assert_eq!(lines.iter().filter(|it| it["loss"].is_f64()).count(), 3, "{log}");
}
