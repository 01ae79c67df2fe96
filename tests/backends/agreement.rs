//! Trainings in which everything random and every kind of update occurs: all engines go the same way.

use crate::backends::engines::{Engine, Machine, stand_in, typed};
use crate::networks::golden::Report;
use sphc::autodiff::training;
use sphc::interp::Tensor;
use sphc::ir::{Extern, Phase};

/// Fewer examples than whole batches of 6, so that batches reach into the next epoch.
const EXAMPLES: usize = 20;

const MODEL: &str = "
fn bump(x, width = 2) = exp(-(x / width) ^ 2)

block unit(x, filters: int, op: operator) {
    x |> sphere_conv(filters, kernel: 3, operator: op) |> batch_norm(decay: 0.9, epsilon: 1e-3, start: 0, unbiased: false)
}

model Everything {
    input image: u8[8, 8, 2]
    x = (image - 8) / 8
    x = relu(unit(x, 5, tanh_conv) as \"a\")
    x = swish(unit(x, 4, sphere_norm) as \"b\") + (unit(x, 4, squared_cosine) as \"c\")
    x = max_pool(x, 3, stride: 2)
    x = bump(unit(x, 6, lr_sigmoid) as \"d\")
    x = avg_pool(x, 2)
    output sphere_conv(x, classes, kernel: 2, pad: valid, operator: weight_cosine) as \"score\"
}
";

fn recipe(optimizer: &str, schedule: &str) -> String {
    format!(
        "train {{
    data       digits
    augment    flip_horizontal, crop(pad: 2)
    batch      6
    iterations 8
    loss       softmax_cross_entropy(smoothing: 0.1, floor: 1e-3)
    penalty    orthogonality(1e-2) on filters where layer != \"score\"
    penalty    l2(1e-2) on filters where layer == \"score\"
    penalty    l2(1e-3) on gamma, beta, k, scale
    project    normalize filters where operator == tanh_conv every 2
    optimizer  {optimizer}
    schedule   {schedule}
    seed       5
}}\n"
    )
}

fn check(name: &str, optimizer: &str, schedule: &str) {
    let settings = stand_in([8, 8, 2], 10, EXAMPLES);
    let text = format!("{MODEL}\n{}", recipe(optimizer, schedule));
    let graph = training(typed(name, &text, &settings));
    let start = |engine: Engine| {
        let mut machine = Machine::new(engine, graph.clone());
        let images = (0..EXAMPLES * 128).map(|at| ((at * at * 7 + at / 31) % 17) as f64).collect();
        let images = Tensor::new([EXAMPLES, 8, 8, 2], images);
        let labels = Tensor::new([EXAMPLES], (0..EXAMPLES).map(|it| (it * 3 % 10) as f64).collect());
        machine.bind(Extern::TrainImages, &images);
        machine.bind(Extern::TestImages, &images);
        machine.bind(Extern::TrainLabels, &labels);
        machine.bind(Extern::TestLabels, &labels);
        machine
    };
    let mut report = Report::default();
    let mut expected = start(Engine::Interpreter);
    let mut others: Vec<(Engine, f64, Machine)> =
        [(Engine::SlowPlan, 1e-9), (Engine::CpuF64, 1e-9), (Engine::CpuF32, 2e-2)]
            .into_iter()
            .map(|(engine, tolerance)| (engine, tolerance, start(engine)))
            .collect();
    let kept: Vec<String> =
        graph.params.iter().map(|it| it.path.clone()).chain(graph.states.iter().map(|it| it.path.clone())).collect();
    for step in 0..8 {
        let mut phases = vec![(Phase::Step, vec!["fit", "reg", "orth", "loss", "accuracy", "rate"])];
        if step % 2 == 1 {
            phases.push((Phase::Project, Vec::new()));
            phases.push((Phase::Evaluate, vec!["losses", "correct", "scores"]));
        }
        for (phase, results) in phases {
            expected.run(phase);
            for (engine, tolerance, machine) in &mut others {
                machine.run(phase);
                for name in &results {
                    // Decisions may flip in f32.
                    if *engine == Engine::CpuF32 && ["accuracy", "correct"].contains(name) {
                        continue;
                    }
                    let what = format!("{name} {engine:?} step {step} {phase:?} {name}");
                    report.close(&what, &machine.result(phase, name), &expected.result(phase, name), *tolerance);
                }
                if *engine != Engine::CpuF32 {
                    // The normalisation behind `b` takes its shift away again: a gradient of zero, but for rounding.
                    for path in kept.iter().filter(|it| !it.starts_with("b/shift")) {
                        let what = format!("{engine:?} step {step} {phase:?} {path}");
                        report.close(&what, &machine.read(path), &expected.read(path), *tolerance);
                    }
                }
            }
        }
    }
    report.finish();
}

#[test]
fn all_engines_go_the_same_way_with_adam() {
    check("adam", "adam(rate: 1e-2, beta1: 0.8, beta2: 0.95, epsilon: 1e-6)", "step(at: [2, 5], factor: 0.5)");
}

#[test]
fn all_engines_go_the_same_way_with_momentum() {
    check("momentum", "sgd(rate: 0.05, momentum: 0.9)", "cosine");
}

#[test]
fn all_engines_go_the_same_way_without_momentum() {
    check("sgd", "sgd(rate: 0.05)", "constant");
}
