//! Losses of the prelude and of a file: values and gradients as PyTorch has them (`tests/peer/losses.py`), and what is said
//! of mistakes.

use crate::backends::engines::{Engine, Machine, stand_in, typed};
use crate::language::lower::settings;
use crate::networks::operators::close;
use serde_json::Value;
use sphc::autodiff::training;
use sphc::diag::render;
use sphc::interp::Tensor;
use sphc::ir::{Extern, Phase};
use sphc::lower::Settings;
use sphc::pipeline;
use sphc::shape::Typed;
use std::collections::BTreeMap;

const EXAMPLES: usize = 4;
const CLASSES: usize = 5;

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|it| it.as_f64().unwrap()).collect()
}

fn named(value: &Value) -> BTreeMap<String, Vec<f64>> {
    value.as_object().unwrap().iter().map(|(name, it)| (name.clone(), numbers(it))).collect()
}

/// Losses of a file's own.
const OWN: &str = "
loss poly(scores, label, epsilon = 1) {
    entropy = softmax_cross_entropy(scores, label)
    entropy + epsilon * (1 - exp(-entropy))
}

loss mixed(scores, target) = 0.5 * softmax_cross_entropy(scores, label) + 0.5 * mean_squared_error(scores, target)
";

/// Image `i` is 1 at its place `i` only, so that each output of an example is a row of its filter.
fn graph(line: &str) -> Typed {
    let text = format!(
        "{OWN}\nmodel Case {{\n    input image: u8[1, 1, {EXAMPLES}]\n    x = image * 1\n    \
         output conv(x, classes, kernel: 1) as \"score\"\n    output aux = conv(x, classes, kernel: 1) as \"aux\"\n    \
         output a = conv(x, 3, kernel: 1) as \"a\"\n    output b = conv(x, 3, kernel: 1) as \"b\"\n    \
         output c = conv(x, 3, kernel: 1) as \"c\"\n    output d = conv(x, {EXAMPLES}, kernel: 1) as \"d\"\n}}\n\
         train {{\n    data digits\n    batch {EXAMPLES}\n    iterations 10\n    loss {line}\n    \
         optimizer sgd(rate: 1)\n}}\n"
    );
    let settings = Settings { no_shuffle: true, ..stand_in([1, 1, EXAMPLES], CLASSES, EXAMPLES) };
    training(typed("case.sph", &text, &settings))
}

#[test]
fn losses_and_their_gradients_are_those_of_pytorch() {
    let vectors: Value = serde_json::from_str(include_str!("../peer/losses.json")).unwrap();
    let start = named(&vectors["start"]);
    for case in vectors["cases"].as_array().unwrap() {
        let line = case["loss"].as_str().unwrap();
        let graph = graph(line);
        for engine in Engine::ALL {
            // A gradient is a difference of numbers of the size of 1.
            let tolerance = if engine == Engine::CpuF32 { 2e-5 } else { 1e-12 };
            let mut machine = Machine::new(engine, graph.clone());
            let images = (0..EXAMPLES * EXAMPLES).map(|it| f64::from(u8::from(it / EXAMPLES == it % EXAMPLES)));
            let (images, labels) =
                (Tensor::new([EXAMPLES, 1, 1, EXAMPLES], images.collect()), numbers(&vectors["labels"]));
            machine.bind(Extern::TrainImages, &images);
            machine.bind(Extern::TestImages, &images);
            let labels = Tensor::new([EXAMPLES], labels);
            machine.bind(Extern::TrainLabels, &labels);
            machine.bind(Extern::TestLabels, &labels);
            let known = |name: &str| graph.params.iter().any(|it| it.path == name);
            start.iter().filter(|it| known(it.0)).for_each(|(name, values)| machine.write(name, values));
            machine.run(Phase::Evaluate);
            let each = machine.result(Phase::Evaluate, "losses");
            let mean = each.iter().sum::<f64>() / EXAMPLES as f64;
            let what = |of: &str| format!("{line}, {engine:?}: {of}");
            let value = case["value"].as_f64().unwrap();
            // What helps the training alone is not measured.
            if !line.contains('\n') {
                close(&what("evaluated"), &[mean], &[value], tolerance, 1.0);
            }
            machine.run(Phase::Step);
            close(&what("value"), &machine.result(Phase::Step, "fit"), &[value], tolerance, 1.0);
            let gradients = named(&case["gradients"]);
            assert!(gradients.keys().all(|it| known(it)), "{line}");
            for (name, before) in start.iter().filter(|it| known(it.0)) {
                let after = machine.read(name);
                let found: Vec<f64> = before.iter().zip(after).map(|(before, after)| before - after).collect();
                let none = vec![0.0; before.len()];
                close(&what(name), &found, gradients.get(name).unwrap_or(&none), tolerance, 1.0);
            }
        }
    }
}

/// What `check` says of a file with these definitions, statements of the model, and line of the recipe.
pub(crate) fn said(definitions: &str, statements: &str, line: &str) -> String {
    let text = format!(
        "{definitions}\n\nmodel M {{\n    input image: u8[8, 8, 1]\n    x = (image - 8) / 8\n    {statements}\n}}\n\n\
         train {{\n    data digits\n    batch 4\n    iterations 10\n    {line}\n    optimizer adam(rate: 1e-3)\n}}\n"
    );
    let mut none = |path: &str| Err(format!("{path} is not there"));
    let checked = pipeline::check("case.sph", &text, &mut none, &settings(&[]));
    render::render(&checked.diagnostics, &checked.sources, false)
}

const SCORES: &str = "output conv(x, classes, kernel: 8, pad: valid)";

#[test]
fn mistakes_in_losses_are_told() {
    let wide = "output conv(x, classes)";
    let aux =
        "output conv(x, classes, kernel: 8, pad: valid)\n    output aux = conv(x, 4, kernel: 8, pad: valid) as \"aux\"";
    let cases: &[(&str, &str, &str, &str)] = &[
        ("", SCORES, "loss mse()", "did you mean `mean_squared_error`?"),
        ("", SCORES, "loss bce", "did you mean `binary_cross_entropy`?"),
        ("", SCORES, "loss softmax_cross_entropy() + 0.1 * L1Loss()", "did you mean `mean_absolute_error`?"),
        ("", SCORES, "loss softmax_cross_entropi", "did you mean `softmax_cross_entropy`?"),
        ("", SCORES, "loss 3", "`loss` gives the int 3, not a number for each example"),
        ("", SCORES, "loss focal(gamma: -1)", "`gamma` of `focal` is -1: it must be at least 0"),
        ("", SCORES, "loss focal(beta: 1)", "the loss `focal` has no argument `beta`"),
        (
            "",
            SCORES,
            "loss softmax_cross_entropy(smoothing: 1)",
            "`smoothing` of `softmax_cross_entropy` is 1: it must be",
        ),
        ("", SCORES, "loss triplet()", "the loss `triplet` takes 3 outputs, and 1 is given"),
        ("", SCORES, "loss softmax_cross_entropy() on aux", "the model has no output `aux`"),
        ("", aux, "loss softmax_cross_entropy() on auc", "did you mean `aux`?"),
        ("", wide, "loss softmax_cross_entropy()", "the output is [8, 8, 10], not one number for each class"),
        (
            "",
            aux,
            "loss softmax_cross_entropy()\n    loss mean_squared_error(target: image) on aux",
            "[4] is compared with a target of [8, 8, 1]",
        ),
        (
            "",
            &format!("{SCORES}\n    output wide = x"),
            "loss softmax_cross_entropy()\n    loss softmax_cross_entropy() on wide",
            "the scores are [8, 8, 1], not one number for each class",
        ),
        (
            "loss l(scores, target) = (scores - target) ^ 2",
            SCORES,
            "loss l()",
            "the loss `l` gives [10] for each example, not one number",
        ),
        (
            "loss l(scores, target) = mean(scores - target, over: batch)",
            SCORES,
            "loss l()",
            "the loss `l` is not a number for each example",
        ),
        ("loss l(_scores, _target) = 3", SCORES, "loss l()", "the loss `l` gives the int 3"),
        ("loss l(scores, _target) {\n    _y = scores\n}", SCORES, "loss l()", "the loss `l` gives nothing"),
        (
            "loss l(scores, target) = sum(scores - targit, over: channels)",
            SCORES,
            "loss l()",
            "undefined name `targit`",
        ),
        ("loss l(scores, target) = l(scores, target)", SCORES, "loss l()", "contains itself without end"),
        ("loss l(weight = 1) = weight", SCORES, "loss l()", "the loss `l` takes no tensor"),
        (
            "loss l(scores, target) = sum(scores * target, over: channels)",
            SCORES,
            "loss softmax_cross_entropy()",
            "the loss `l` is never used",
        ),
        (
            "loss l(_scores, target) = sum(target, over: channels)\nloss l(scores) = scores",
            SCORES,
            "loss l()",
            "`l` is defined twice",
        ),
        (
            "loss l(scores, _target) {\n    keep _m = 0\n    sum(scores, over: channels)\n}",
            SCORES,
            "loss l()",
            "`keep` belongs in an optimizer",
        ),
        (
            "",
            "output a = conv(x, classes, kernel: 8, pad: valid)\n    output a = x",
            "loss softmax_cross_entropy()",
            "two outputs are called `a`",
        ),
        ("", "output scores = x", "loss softmax_cross_entropy()", "`scores` is the name of the output without one"),
    ];
    for (definitions, statements, line, wanted) in cases {
        let said = said(definitions, statements, line);
        assert!(said.contains(wanted), "{definitions} {statements} {line}\nwanted: {wanted}\n{said}");
        assert_eq!(
            said.matches("error[").count() + said.matches("warning[").count(),
            1,
            "{line}\nwanted: {wanted}\n{said}"
        );
    }
}

#[test]
fn losses_may_be_named_as_anything_else_and_speak_of_the_step() {
    // `relu` is a function where a value is meant, and a loss where the recipe names one.
    let own = "loss relu(scores, target, bend: fn = relu) = sum(bend(scores - target), over: channels) * (step + 1) / iterations";
    assert_eq!(said(own, SCORES, "loss relu()"), "");
    assert_eq!(said("param weight = 0.5", SCORES, "loss weight * hinge() + max(focal(), huber())"), "");
}

/// The accuracy, other metrics and a second output, as their definitions say of the scores of one batch.
#[test]
fn metrics_are_told_beside_the_loss() {
    let line = "softmax_cross_entropy\n    metric top(k: 2), errors, (100 * errors()) as \"percent\"\n    metric top(k: 1) on aux";
    let graph = graph(line);
    let vectors: Value = serde_json::from_str(include_str!("../peer/losses.json")).unwrap();
    let (start, labels) = (named(&vectors["start"]), numbers(&vectors["labels"]));
    // How many scores are above the label's.
    let above = |of: &str| -> Vec<usize> {
        let rows = start[of].chunks(CLASSES).zip(&labels);
        rows.map(|(row, label)| row.iter().filter(|it| row[*label as usize] < **it).count()).collect()
    };
    let share =
        |of: &str, most: usize| above(of).into_iter().map(|it| f64::from(u8::from(it < most))).collect::<Vec<f64>>();
    let hits = share("score/filter", 1);
    let misses: Vec<f64> = hits.iter().map(|it| 1.0 - it).collect();
    let percent: Vec<f64> = misses.iter().map(|it| 100.0 * it).collect();
    let wanted = [
        ("accuracy", "correct", hits),
        ("metric/top", "metric/top", share("score/filter", 2)),
        ("metric/errors", "metric/errors", misses),
        ("metric/percent", "metric/percent", percent),
        ("metric/aux_top", "metric/aux_top", share("aux/filter", 1)),
    ];
    for engine in Engine::ALL {
        let mut machine = Machine::new(engine, graph.clone());
        let images = (0..EXAMPLES * EXAMPLES).map(|it| f64::from(u8::from(it / EXAMPLES == it % EXAMPLES)));
        let images = Tensor::new([EXAMPLES, 1, 1, EXAMPLES], images.collect());
        let labels = Tensor::new([EXAMPLES], labels.clone());
        machine.bind(Extern::TrainImages, &images);
        machine.bind(Extern::TestImages, &images);
        machine.bind(Extern::TrainLabels, &labels);
        machine.bind(Extern::TestLabels, &labels);
        for name in ["score/filter", "aux/filter"] {
            machine.write(name, &start[name]);
        }
        machine.run(Phase::Evaluate);
        for (_, name, each) in &wanted {
            assert_eq!(&machine.result(Phase::Evaluate, name), each, "{name}, {engine:?}");
        }
        machine.run(Phase::Step);
        for (name, _, each) in &wanted {
            let mean = each.iter().sum::<f64>() / EXAMPLES as f64;
            close(name, &machine.result(Phase::Step, name), &[mean], 1e-6, 1.0);
        }
    }
}

#[test]
fn what_helps_the_training_alone_is_not_computed_in_evaluation() {
    let reads = |graph: &Typed, phase: Phase, path: &str| {
        let needed = graph.needed(graph.phase_roots(phase));
        needed.into_iter().any(|it| matches!(graph.op(it), sphc::ir::Op::Param(id) if graph.param(*id).path == path))
    };
    let aux = graph("softmax_cross_entropy\n    loss 0.3 * softmax_cross_entropy() on aux");
    assert!(!reads(&aux, Phase::Evaluate, "aux/filter") && reads(&aux, Phase::Evaluate, "score/filter"));
    let triplet = graph("triplet on a, b, c");
    assert!(reads(&triplet, Phase::Evaluate, "b/filter"), "there is no other loss");
    let told =
        graph("softmax_cross_entropy\n    loss 0.3 * softmax_cross_entropy() on aux\n    metric accuracy on aux");
    assert!(reads(&told, Phase::Evaluate, "aux/filter"));
}

#[test]
fn mistakes_in_metrics_are_told() {
    let loss = "loss softmax_cross_entropy()\n    ";
    let cases = [
        ("metric topk(k: 5)", "did you mean `top`?"),
        ("metric top(k: 0)", "`k` of `top` is 0: it must be from 1 to the"),
        ("metric top(k: 100)", "`k` of `top` is 100: it must be from 1 to the 10 scores that there are"),
        ("loss 0 * softmax_cross_entropy()", "this loss of weight 0 has no effect"),
        ("metric errors\n    metric errors", "two metrics are called `errors`"),
        ("metric 100 * errors", "this metric needs a name for the log"),
        ("metric errors as \"loss\"", "`loss` cannot be the name of a metric"),
        ("metric errors on other", "the model has no output `other`"),
    ];
    for (line, wanted) in cases {
        let said = said("", SCORES, &format!("{loss}{line}"));
        assert!(said.contains(wanted), "{line}\nwanted: {wanted}\n{said}");
        assert_eq!(said.matches("error[").count() + said.matches("warning[").count(), 1, "{line}\n{said}");
    }
}

/// A model without classes is trained, evaluated and logged; only the class of an image cannot be asked for.
#[test]
fn a_model_that_copies_its_input_is_trained_to_the_end() {
    let place = crate::runs::cli::Place::new();
    let text = "model Copy {\n    input image: u8[8, 8, 1]\n    x = conv(image / 16, 8, stride: 2) as \"narrow\"\n    \
                output reshape(conv(relu(x), 4, kernel: 1) as \"wide\", [8, 8, 1])\n}\n\n\
                train {\n    data       digits\n    batch      16\n    iterations 4\n    \
                loss       mean_squared_error(target: image / 16)\n    \
                metric     mean_absolute_error(target: image / 16) as \"distance\"\n    optimizer  adam(rate: 1e-2)\n    evaluate   every 2\n}\n";
    std::fs::write(place.path("copy.sph"), text).unwrap();
    let said = place.succeeds("train copy.sph --run run --device cpu");
    assert!(said.contains("test loss") && !said.contains("accuracy"), "{said}");
    let log = std::fs::read_to_string(place.path("run").join("metrics.jsonl")).unwrap();
    let lines: Vec<Value> = log.lines().map(|it| serde_json::from_str(it).unwrap()).collect();
    assert_eq!(lines.iter().filter(|it| it["distance"].is_f64() && it.get("accuracy").is_none()).count(), 2, "{log}");
    let tested: Vec<&Value> = lines.iter().filter(|it| it["test_distance"].is_f64()).collect();
    assert_eq!(tested.len(), 2, "{log}");
    let found = place.succeeds("eval copy.sph --weights run/checkpoints/step-00000004.safetensors --format json");
    let found: Value = serde_json::from_str(&found).unwrap();
    assert_eq!((&found["test_loss"], &found["test_distance"]), (&tested[1]["test_loss"], &tested[1]["test_distance"]));
    assert!(found.get("test_accuracy").is_none(), "{found}");
}
