//! `sphc show`: every view has every layer, with what it is given, learns and is followed by.

use crate::runs::cli::Place;
use serde_json::{Value, json};
use std::fs;
use std::process::Command;

fn show(model: &str, flags: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_sphc")).args(["show", model]).args(flags).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn as_json(model: &str, flags: &[&str]) -> Value {
    serde_json::from_str(&show(model, &[flags, &["--format", "json"]].concat())).unwrap()
}

const RESNET: &str = "models/sphereresnet32.sph";

#[test]
fn every_view_has_every_layer() {
    for units in ["units=1", "units=3"] {
        let json = as_json(RESNET, &["--set", units]);
        let layers: Vec<&str> =
            json["layers"].as_array().unwrap().iter().map(|it| it["layer"].as_str().unwrap()).collect();
        assert!(layers.contains(&"block2_unit0/shortcut"), "{layers:?}");
        for format in ["table", "dot", "svg"] {
            for more in [&[][..], &["--unfold"][..]] {
                let text = show(RESNET, &[&["--set", units, "--format", format], more].concat());
                for layer in &layers {
                    assert!(text.contains(layer), "{format}: no {layer}\n{text}");
                }
            }
        }
    }
}

/// What is drawn: texts of an element, in order.
fn texts(svg: &str) -> Vec<&str> {
    svg.split("<text").skip(1).map(|it| it.split_once('>').unwrap().1.split("</text>").next().unwrap()).collect()
}

#[test]
fn a_picture_has_a_box_for_each_block_and_one_for_all_repeats() {
    let text = show(RESNET, &["--format", "svg"]);
    assert!(text.starts_with("<svg ") && text.ends_with("</svg>\n"));
    let drawn = texts(&text);
    // Five units that are alike; then one that makes the image smaller, and four that are alike.
    for it in ["block1_unit0 … block1_unit4  ×5", "block2_unit0", "block2_unit1 … block2_unit4  ×4", "block3_unit0"]
    {
        assert!(drawn.contains(&it), "no {it}: {drawn:?}");
    }
    assert_eq!(drawn.iter().filter(|it| **it == "+, relu").count(), 5);
    assert_eq!(drawn.iter().filter(|it| **it == "shortcut").count(), 2);
    // A normalisation is drawn with its convolution, and the activation with that.
    let bn = "batch_norm decay 0.999, epsilon 1e-3, start 0, unbiased false";
    assert_eq!(drawn.iter().filter(|it| **it == format!("{bn}, relu")).count(), 1 + 5);
    assert_eq!(drawn.iter().filter(|it| **it == bn).count(), 5 + 2);

    let text = show(RESNET, &["--format", "svg", "--unfold"]);
    let drawn = texts(&text);
    assert_eq!(drawn.iter().filter(|it| **it == "+, relu").count(), 15);
    assert!(!text.contains("  ×"));

    let text = show("models/zoo/densenet_bc.sph", &["--format", "svg"]);
    let drawn = texts(&text);
    for it in ["stage2_unit1 … stage2_unit16  ×16", "concat", "16x16x108 … 16x16x288, 216 … 576 parameters"] {
        assert!(drawn.contains(&it), "no {it}: {drawn:?}");
    }
    assert_eq!(drawn.iter().filter(|it| **it == "concat").count(), 3);
}

#[test]
fn branches_stand_side_by_side() {
    let text = show("models/zoo/googlenet.sph", &["--format", "svg"]);
    let places = |title: &str| -> Vec<(usize, usize)> {
        let number = |line: &str, name: &str| -> usize {
            line.split_once(&format!(" {name}=\"")).unwrap().1.split('"').next().unwrap().parse().unwrap()
        };
        let lines = text.lines().filter(|it| it.contains(&format!(">{title}</text>")));
        lines.map(|it| (number(it, "x"), number(it, "y"))).collect()
    };
    let (one, two) = (places("branch1"), places("branch2_reduce"));
    assert_eq!((one.len(), two.len()), (9, 9));
    for (one, two) in one.iter().zip(&two) {
        assert!(one.1 == two.1 && one.0 != two.0, "{one:?} {two:?}");
    }
}

const TEXT: &str = r#"
import "parts.sph"

fn half(x) = x / 2

block unit(x, filters: int, act: fn = relu) {
    y = conv(x, filters, stride: 2, bias: true) |> batch_norm |> act as "in"
    y = leaky_relu(conv(y, filters), slope: 0.2) as "out"
    half(x |> avg_pool(2) |> conv(filters) as "way") + y
}

model Seen {
    input image: u8[8, 8, 1]
    x = tanh(unit((image - 8) / 8, width, act: swish) as "unit")
    x = sphere_conv(x, 6, operator: sigmoid(k: 0.5), kernel: [3, 1]) as "b"
    output dense(logistic(x), classes) as "score"
}

train {
    data       digits
    batch      4
    iterations 10
    loss       softmax_cross_entropy()
    optimizer  adam(rate: 1e-3)
    freeze     on biases
}
"#;

#[test]
fn layers_have_their_arguments_activations_and_parameters() {
    let place = Place::new();
    fs::write(place.path("seen.sph"), TEXT).unwrap();
    fs::write(place.path("parts.sph"), "/// How wide it is.\nparam width = 4\n").unwrap();
    let json: Value = serde_json::from_str(&place.succeeds("show seen.sph --format json --set width=8")).unwrap();
    let layer = |name: &str| {
        json["layers"]
            .as_array()
            .unwrap()
            .iter()
            .find(|it| it["layer"] == name)
            .unwrap_or_else(|| panic!("no {name}"))
            .clone()
    };
    let conv = layer("unit/in");
    assert_eq!(conv["kind"], "conv 8, stride 2x2, bias");
    assert_eq!(conv["callee"], "conv");
    let given = json!({ "filters": 8, "kernel": [3, 3], "stride": [2, 2], "pad": "same", "dilation": [1, 1],
                        "groups": 1, "bias": true, "init": "he" });
    assert_eq!(conv["arguments"], given);
    assert_eq!(
        conv["learns"][0],
        json!({ "name": "filter", "shape": [3, 3, 1, 8], "role": "filter", "frozen": false })
    );
    assert_eq!(conv["learns"][1], json!({ "name": "bias", "shape": [8], "role": "bias", "frozen": true }));
    let norm = layer("unit/in/bn");
    assert_eq!(norm["then"], json!(["swish"]));
    assert_eq!(norm["keeps"][0]["name"], "ema_mean");
    // A function with its argument; one of the file's own.
    assert_eq!(layer("unit/out")["then"], json!(["leaky_relu slope 0.2"]));
    assert_eq!(layer("unit/way")["then"], json!(["half"]));
    let b = layer("b");
    assert_eq!((&b["arguments"]["operator"], &b["arguments"]["kernel"]), (&json!("sigmoid(k: 0.5)"), &json!([3, 1])));
    assert_eq!(b["then"], json!(["logistic"]));
    // Of a sum, which is no layer's.
    assert_eq!(json["functions"].as_array().unwrap().len(), 1);
    assert_eq!(json["functions"][0]["then"], json!(["tanh"]));
    assert_eq!(json["functions"][0]["output"], json!([4, 4, 8]));
    let unit = &json["blocks"][0];
    assert_eq!((&unit["block"], &unit["kind"]), (&json!("unit"), &json!("unit 8, act swish")));
    assert_eq!(unit["layers"], json!(["unit/in", "unit/in/bn", "unit/out", "unit/way/avg_pool_0", "unit/way"]));
    let width = &json["params"][0];
    assert_eq!((&width["name"], &width["value"], &width["default"]), (&json!("width"), &json!("8"), &json!("4")));
    assert_eq!(width["docs"], json!(["How wide it is."]));

    let table = place.succeeds("show seen.sph --set width=8");
    let line = |start: &str| {
        let line = table.lines().find(|it| it.starts_with(start)).unwrap_or_else(|| panic!("no {start}\n{table}"));
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert!(line("param width = 8").ends_with("How wide it is."));
    assert!(line("import \"parts.sph\"").ends_with("parts.sph\""));
    assert!(
        line("unit/in ").starts_with("unit/in conv 8, stride 2x2, bias 4x4x8 filter, bias 80 (8 frozen)"),
        "{table}"
    );
    assert!(line("unit/in/bn").starts_with("unit/in/bn batch_norm swish 4x4x8 gamma, beta 16"), "{table}");
}

#[test]
fn a_figure_of_memory_means_the_same_in_each_command() {
    let place = Place::new();
    let figure = |text: &str| {
        let words: Vec<&str> = text.split_whitespace().collect();
        words.windows(2).find(|it| it[1].trim_end_matches([':', ',']).ends_with('B')).unwrap().join(" ")
    };
    let show = place.succeeds("show tiny.sph");
    let shown = figure(show.lines().find(|it| it.starts_with("memory")).unwrap());
    let compiled = place.succeeds("compile tiny.sph");
    let compiled = figure(compiled.lines().next().unwrap().rsplit_once(';').unwrap().1);
    fs::write(place.path("big.sph"), crate::runs::cli::MODEL.replace("batch      16", "batch      4096")).unwrap();
    let diff = place.succeeds("diff tiny.sph big.sph");
    let line = diff.lines().find(|it| it.starts_with("memory")).unwrap_or_else(|| panic!("{diff}"));
    assert_eq!(shown.trim_end_matches(':'), compiled);
    assert_eq!(shown.trim_end_matches(':'), figure(line));
    let json: Value = serde_json::from_str(&place.succeeds("show tiny.sph --format json")).unwrap();
    let memory = &json["memory"];
    let number = |name: &str| memory[name].as_u64().unwrap();
    let parts = ["arena", "parameters", "states", "data", "workspace", "constants", "transfer"];
    assert_eq!(number("total"), parts.iter().map(|it| number(it)).sum::<u64>());
    assert_eq!(number("process"), number("total") + number("program"));
}
