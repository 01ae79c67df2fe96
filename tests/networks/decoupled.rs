//! The decoupled operators against their published code, as `tests/peer/decoupled.py` computes it in PyTorch: gradients of
//! the first batch, six steps, and scores in evaluation.

use crate::backends::engines::{Engine, Machine, typed};
use crate::networks::operators::{close, path};
use serde_json::Value;
use sphc::autodiff::training;
use sphc::interp::Tensor;
use sphc::ir::{Extern, Phase};
use sphc::lower::{DataInfo, Settings};
use sphc::shape::Typed;
use std::collections::BTreeMap;

const STEPS: usize = 6;
const BATCH: usize = 4;
const RATE: f64 = 0.2;

fn vectors() -> BTreeMap<String, Value> {
    serde_json::from_str(include_str!("../peer/decoupled.json")).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|it| it.as_f64().unwrap()).collect()
}

fn named(value: &Value) -> BTreeMap<String, Vec<f64>> {
    value.as_object().unwrap().iter().map(|(name, it)| (name.clone(), numbers(it))).collect()
}

fn graph(operator: &str, momentum: f64) -> Typed {
    let text = format!(
        "import \"operators/decoupled.sph\"\n\
         model Decoupled {{\n    input image: u8[5, 5, 2]\n    x = (image - 127.5) / 128\n    \
         x = relu(sphere_conv(x, 4, operator: {operator}) as \"a\")\n    \
         x = sphere_conv(x, 3, stride: 2, operator: {operator}) as \"b\"\n    \
         output sphere_conv(x, classes, kernel: 3, pad: valid, operator: none) as \"score\"\n}}\n\
         train {{\n    data digits\n    batch {BATCH}\n    iterations {STEPS}\n    loss softmax_cross_entropy()\n    \
         optimizer sgd(rate: {RATE}, momentum: {momentum})\n}}\n"
    );
    let data = DataInfo::images("digits", [5, 5, 2], 3, [STEPS * BATCH, BATCH]);
    let settings = Settings {
        batch: Some(BATCH),
        no_shuffle: true,
        known_data: vec![data.clone()],
        data: Some(data),
        ..Settings::default()
    };
    training(typed(&path("decoupled_case.sph"), &text, &settings))
}

fn machine(case: &Value, engine: Engine, graph: Typed) -> Machine {
    let (images, labels) = (numbers(&case["images"]), numbers(&case["labels"]));
    let each = images.len() / labels.len();
    let of =
        |n: usize| (Tensor::new([n, 5, 5, 2], images[..n * each].to_vec()), Tensor::new([n], labels[..n].to_vec()));
    let mut machine = Machine::new(engine, graph);
    let (all, test) = (of(STEPS * BATCH), of(BATCH));
    machine.bind(Extern::TrainImages, &all.0);
    machine.bind(Extern::TrainLabels, &all.1);
    machine.bind(Extern::TestImages, &test.0);
    machine.bind(Extern::TestLabels, &test.1);
    named(&case["initial"]).iter().for_each(|(name, values)| machine.write(name, values));
    machine
}

#[test]
fn decoupled_operators_train_as_their_published_code() {
    for (operator, case) in vectors() {
        for engine in Engine::ALL {
            let single = engine == Engine::CpuF32;
            // Behind six steps roundings of f32 have grown; in f64 both sum in an order of their own.
            let [at_once, later] = if single { [2e-5, 2e-3] } else { [1e-11, 1e-10] };
            let what = |of: &str| format!("{operator}, {engine:?}: {of}");
            let initial = named(&case["initial"]);
            let mut first = machine(&case, engine, graph(&operator, 0.0));
            first.run(Phase::Step);
            for (name, gradient) in named(&case["gradients"]) {
                let moved = first.read(&name).into_iter().zip(&initial[&name]);
                let found: Vec<f64> = moved.map(|(after, before)| (before - after) / RATE).collect();
                // A difference of numbers of the size of 1.
                let tolerance = if single { 1e-4 } else { at_once };
                close(&what(&format!("gradient of {name}")), &found, &gradient, tolerance, 0.0);
            }

            let mut machine = machine(&case, engine, graph(&operator, 0.9));
            for (step, loss) in numbers(&case["losses"]).into_iter().enumerate() {
                machine.run(Phase::Step);
                let tolerance = if step == 0 { at_once } else { later };
                close(
                    &what(&format!("loss of step {step}")),
                    &machine.result(Phase::Step, "fit"),
                    &[loss],
                    tolerance,
                    0.0,
                );
            }
            for (name, values) in named(&case["final"]) {
                close(&what(&name), &machine.read(&name), &values, later, 0.0);
            }
            machine.run(Phase::Evaluate);
            let scores = machine.result(Phase::Evaluate, "scores");
            close(&what("scores"), &scores, &numbers(&case["scores"]), later, 0.0);
        }
    }
}
