//! `accumulate`: a step that takes its batch in parts is the step of the whole batch, but for what is measured over a
//! batch, which is measured over each part in order; with the memory of a part, and the same bits for any number of threads.

use crate::backends::engines::{Engine, Machine, stand_in, typed};
use crate::runs::cli::{MODEL, Place, errors};
use sphc::autodiff::training;
use sphc::fuse::fuse;
use sphc::interp::Tensor;
use sphc::ir::{Extern, Phase, Precision};
use sphc::lower::Settings;
use sphc::plan::{Config, Plan, plan};
use sphc::runtime::Session;
use sphc::runtime::cpu::CpuBackend;
use sphc::shape::Typed;
use std::fs;
use std::sync::Arc;

const EXAMPLES: usize = 9;

/// Random numbers for each example and for all of them, and a label that a layer sees.
const PLAIN: &str = "block noisy(x) {
    if training { x * (1 + 0.1 * uniform([channels(x)], batch: false)) } else { x }
}

operator margin(cos, target) = cos - 0.1 * target

model Case {
    input image: u8[8, 8, 1]
    x = tanh(conv(image / 16, 3, stride: 2) as \"hidden\") |> dropout(0.3) |> noisy
    output sphere_conv(x, classes, kernel: 4, pad: valid, operator: margin) as \"score\"
}
";

const NORMED: &str = "model Case {
    input image: u8[8, 8, 1]
    x = batch_norm(image / 16, decay: 0.75) as \"first\"
    output conv(x, classes, kernel: 8, pad: valid) as \"score\"
}
";

fn graph(model: &str, recipe: &str, no_shuffle: bool) -> Typed {
    let settings = Settings { no_shuffle, ..stand_in([8, 8, 1], 10, EXAMPLES) };
    let text = format!(
        "{model}\ntrain {{\n    data digits\n    iterations 6\n    loss softmax_cross_entropy\n    {recipe}\n}}\n"
    );
    training(typed("case.sph", &text, &settings))
}

fn images() -> Vec<f64> {
    (0..EXAMPLES * 64).map(|at| (at * 7 % 17 + at / 64 * 4) as f64).collect()
}

fn machine(engine: Engine, graph: &Typed) -> Machine {
    let mut machine = Machine::new(engine, graph.clone());
    let images = Tensor::new([EXAMPLES, 8, 8, 1], images());
    let labels = Tensor::new([EXAMPLES], (0..EXAMPLES).map(|it| (it * 3 % 10) as f64).collect());
    for (images_of, labels_of) in [(Extern::TrainImages, Extern::TrainLabels), (Extern::TestImages, Extern::TestLabels)]
    {
        machine.bind(images_of, &images);
        machine.bind(labels_of, &labels);
    }
    machine
}

/// Everything that three steps leave: results of each, parameters and states.
fn three_steps(engine: Engine, graph: &Typed) -> Vec<(String, Vec<f64>)> {
    let mut machine = machine(engine, graph);
    let mut found = Vec::new();
    for step in 0..3 {
        machine.run(Phase::Step);
        for name in graph.results[&Phase::Step].keys() {
            found.push((format!("{name} of step {step}"), machine.result(Phase::Step, name)));
        }
        if graph.recipe.as_ref().unwrap().average.is_some() {
            machine.run(Phase::Average);
        }
    }
    let params = graph.params.iter().map(|it| it.path.clone());
    for path in params.chain(graph.states.iter().map(|it| it.path.clone())).collect::<Vec<_>>() {
        found.push((path.clone(), machine.read(&path)));
    }
    found
}

fn agree(one: &[(String, Vec<f64>)], other: &[(String, Vec<f64>)], tolerance: f64, what: &str) {
    assert_eq!(one.len(), other.len());
    for ((name, one), (other_name, other)) in one.iter().zip(other) {
        assert_eq!(name, other_name);
        let size = one.iter().map(|it| it.abs()).fold(1e-3, f64::max);
        let gap = one.iter().zip(other).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(gap <= tolerance * size, "{what}: {name} is {gap:e} off, of {size}");
    }
}

#[test]
fn parts_without_batch_statistics_are_the_whole() {
    let rest = "augment crop(pad: 2), flip_horizontal\n    optimizer adam(rate: 0.01)\n    penalty l2(0.1) on filters\n    \
                clip norm(0.5)\n    average ema(0.5)\n    schedule cosine\n    metric squares() as \"squares\"\n    batch 6";
    let metric = "metric squares(scores, target) = sum((scores - target) ^ 2, over: channels)\n\n";
    let model = format!("{metric}{PLAIN}");
    for no_shuffle in [false, true] {
        let whole = graph(&model, rest, no_shuffle);
        for parts in [2, 3, 6] {
            let cut = graph(&model, &format!("{rest}\n    accumulate {parts}"), no_shuffle);
            for (engine, tolerance) in [
                (Engine::Interpreter, 1e-11),
                (Engine::SlowPlan, 1e-11),
                (Engine::CpuF64, 1e-11),
                (Engine::CpuF32, 2e-3),
            ] {
                let what = format!("{parts} parts, {engine:?}, shuffled: {}", !no_shuffle);
                agree(&three_steps(engine, &whole), &three_steps(engine, &cut), tolerance, &what);
            }
        }
    }
}

#[test]
fn what_is_measured_over_a_batch_is_measured_over_each_part_in_order() {
    let still = "optimizer sgd(rate: 1e-30)";
    let cut = graph(NORMED, &format!("{still}\n    batch 6\n    accumulate 3"), true);
    let small = graph(NORMED, &format!("{still}\n    batch 2"), true);
    let images = images();
    for engine in Engine::ALL {
        let (mut one, mut other) = (machine(engine, &cut), machine(engine, &small));
        one.run(Phase::Step);
        let mut fits = Vec::new();
        for _ in 0..3 {
            other.run(Phase::Step);
            fits.extend(other.result(Phase::Step, "fit"));
        }
        let fit = one.result(Phase::Step, "fit")[0];
        assert!(
            (fit - fits.iter().sum::<f64>() / 3.0).abs() < engine.tolerance() * 10.0,
            "{engine:?}: {fit} of {fits:?}"
        );
        // The means of images 0 and 1, 2 and 3, 4 and 5.
        let means = images.chunks(128).take(3).map(|it| it.iter().map(|it| it / 16.0).sum::<f64>() / 128.0);
        let wanted = means.fold(0.0, |kept, mean| kept + 0.25 * (mean - kept));
        for (machine, updates) in [(&mut one, 1.0), (&mut other, 3.0)] {
            let found = machine.read("first/ema_mean")[0];
            assert!((found - wanted).abs() < 1e-5, "{engine:?}: {found}, not {wanted}");
            assert_eq!(machine.read("step"), [updates]);
        }
        assert_eq!(one.read("first/ema_var"), other.read("first/ema_var"), "{engine:?}");
    }
}

fn compiled(graph: &Typed, precision: Precision) -> Plan {
    let config = Config { precision, hash: String::new(), source: String::new(), line: &|_| String::new() };
    plan(&fuse(graph.clone()), &config)
}

#[test]
fn any_number_of_threads_gives_the_same_bits_in_the_memory_of_a_part() {
    let recipe = |parts: usize| format!("optimizer adam(rate: 0.01)\n    batch 64\n    accumulate {parts}");
    let model = "model Case {
    input image: u8[8, 8, 1]
    x = image / 16
    for i in 0..4 {
        x = relu(batch_norm(conv(x, 8), decay: 0.75))
    }
    output conv(x, classes, kernel: 8, pad: valid) as \"score\"
}
";
    let arena = |parts: usize| {
        let graph = graph(&model.replace("0..4", "0..6"), &recipe(parts).replace("batch 64", "batch 512"), false);
        compiled(&graph, Precision::F32).arena_bytes as f64
    };
    // What does not shrink are the gradients, those so far and those of a part.
    let (whole, halves, sixteenths) = (arena(1), arena(2), arena(16));
    assert!(halves < 0.6 * whole && sixteenths < 0.15 * whole, "{whole}, {halves}, {sixteenths}");

    let plan = Arc::new(compiled(&graph(model, &recipe(4), false), Precision::F32));
    let bits = |threads: usize| {
        let mut session =
            Session::new(plan.clone(), Box::new(CpuBackend::new(plan.clone(), Some(threads)).unwrap())).unwrap();
        session.bind(Extern::TrainImages, &images().iter().map(|it| *it as u8).collect::<Vec<u8>>()).unwrap();
        let labels = (0..EXAMPLES as i64).flat_map(|it| it.to_ne_bytes());
        session.bind(Extern::TrainLabels, &labels.collect::<Vec<u8>>()).unwrap();
        session.run(Phase::Step).unwrap();
        session.run(Phase::Step).unwrap();
        sphc::train::weights::kept(&plan).map(|it| session.bytes(&it.name).unwrap()).collect::<Vec<_>>()
    };
    let one = bits(1);
    for threads in [2, 5] {
        assert_eq!(bits(threads), one, "{threads} threads");
    }
}

#[test]
fn the_commands_take_a_batch_in_parts() {
    let place = Place::new();
    fs::write(place.path("tiny.sph"), MODEL.replace("batch      16", "batch      16\n    accumulate 4")).unwrap();
    place.succeeds("train tiny.sph --run whole");
    place.succeeds("train tiny.sph --run parts --iterations 5");
    place.succeeds("train tiny.sph --run parts --resume");
    assert_eq!(place.final_checkpoint("whole"), place.final_checkpoint("parts"));
    let weights = "--weights whole/checkpoints/step-00000012.safetensors --format json";
    let found = place.succeeds(&format!("eval tiny.sph {weights}"));
    let log = fs::read_to_string(place.path("whole/metrics.jsonl")).unwrap();
    let last: serde_json::Value = serde_json::from_str(log.lines().last().unwrap()).unwrap();
    let found: serde_json::Value = serde_json::from_str(&found).unwrap();
    assert_eq!(found["test_loss"], last["test_loss"]);
    // Evaluation knows no parts, so any batch will do.
    place.succeeds(&format!("eval tiny.sph --batch 7 {weights}"));
    place.succeeds("verify tiny.sph");
    assert!(place.succeeds("show tiny.sph").contains("12 iterations of 16 images in 4 parts of digits"));
    let output = place.sphc("train tiny.sph --batch 10 --run ten");
    let said = errors(&output);
    for it in ["a batch of 10 cannot be cut into 4 equal parts", "`accumulate 2`, or give `--batch 12`"] {
        assert!(said.contains(it), "{said}");
    }
}
