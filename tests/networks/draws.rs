//! Random numbers of training steps: dropout, stochastic depth and normal numbers on every engine, with gradients against
//! differences; steps that draw anew, runs that go on as if they had not stopped; what is said of draws in evaluation.

use crate::backends::engines::{Engine, Machine};
use crate::networks::blocks::{RECIPE, check, images, layer, machine, result, said, trained};
use sphc::interp::Tensor;
use sphc::ir::{Extern, Op, Phase, Random, Shape, random};
use std::process::Command;

/// The numbers of a draw, seed 0.
fn drawn(path: &str, draw: usize, step: u64, len: usize) -> Vec<f64> {
    let stream = random::stream(&format!("{path}/draw {draw}"));
    (0..len).map(|at| f64::from(random::uniform(0, stream, step, at))).collect()
}

fn dropped(x: &[f64], u: &[f64], rate: f64) -> Vec<f64> {
    x.iter().zip(u).map(|(x, u)| if *u < rate { 0.0 } else { x / (1.0 - rate) }).collect()
}

#[test]
fn dropout_and_stochastic_depth_are_their_formulas() {
    check("", "dropout(x, rate: 0.25)", |x, _| dropped(x, &drawn("l", 0, 0, x.len()), 0.25));
    // One number for each of the three examples.
    check("", "drop_path(x, 0.5)", |x, _| {
        let u = drawn("l", 0, 0, 3);
        let each: Vec<f64> = (0..x.len()).map(|at| u[at / (x.len() / 3)]).collect();
        dropped(x, &each, 0.5)
    });
    // The same for all examples.
    let noisy = "block noisy(x) {\n    if training { x * (1 + uniform([channels(x)], batch: false)) } else { x }\n}\n";
    check(noisy, "noisy(x)", |x, _| {
        let u = drawn("l", 0, 0, 6);
        x.iter().enumerate().map(|(at, x)| x * (1.0 + u[at % 6])).collect()
    });
    // Through what is learned, and with two draws in one call.
    let twice = "block twice(x) {\n    learn k: [channels(x)] = 1\n    if training { x * k * uniform(shape(x)) + uniform(shape(x)) } else { x }\n}\n";
    check(twice, "twice(x)", |x, params| {
        let (a, b) = (drawn("l", 0, 0, x.len()), drawn("l", 1, 0, x.len()));
        (0..x.len()).map(|at| x[at] * params[0][at % 6] * a[at] + b[at]).collect()
    });
}

#[test]
fn each_step_and_each_call_draws_anew() {
    let graph = layer("", "x |> dropout(rate: 0.5) |> dropout(rate: 0.5)");
    let streams: Vec<u64> = (graph.ids())
        .filter_map(|id| match graph.op(id) {
            Op::Random { kind: Random::Uniform, stream, .. } => Some(*stream),
            _ => None,
        })
        .collect();
    assert_eq!(streams.len(), 2, "{}", *graph);
    assert_ne!(streams[0], streams[1]);
    for engine in Engine::ALL {
        let (mut machine, _) = machine(engine, &layer("", "dropout(x)"));
        let x = images().data;
        for step in [0, 1, 77] {
            machine.write("step", &[step as f64]);
            let (found, wanted) = (result(&mut machine, "output"), dropped(&x, &drawn("l", 0, step, x.len()), 0.5));
            let gap = found.iter().zip(&wanted).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(gap < 1e-6, "{engine:?} in step {step}");
        }
    }
}

#[test]
fn normal_numbers_are_normal() {
    let text = "model Noise {\n    input x: float[50, 50, 40]\n    output if training { 0 * x + normal(shape(x)) } else { x }\n}\n";
    let graph = crate::backends::engines::typed("noise.sph", text, &crate::language::lower::settings(&[]));
    let graph = crate::networks::golden_layers::with_gradients(graph);
    let mut machine = Machine::new(Engine::CpuF32, graph.clone());
    let shape = graph.shape(graph.outputs[&sphc::ir::Mode::Train]).clone();
    machine.bind_named("x", &Tensor::filled(shape.clone(), 0.0));
    machine.bind_named("seed", &Tensor::filled(shape, 0.0));
    let found = result(&mut machine, "output");
    let n = found.len() as f64;
    let moment = |power: i32| found.iter().map(|it| it.powi(power)).sum::<f64>() / n;
    // Five standard deviations of each.
    for (power, wanted, variance) in [(1, 0.0, 1.0), (2, 1.0, 2.0), (3, 0.0, 15.0), (4, 3.0, 96.0)] {
        let most = 5.0 * f64::sqrt(variance / n);
        assert!((moment(power) - wanted).abs() < most, "moment {power}: {} of {n}", moment(power));
    }
    let within = found.iter().filter(|it| it.abs() < 1.0).count() as f64 / n;
    assert!((within - 0.682_689_5).abs() < 5.0 * f64::sqrt(0.22 / n), "{within}");
}

const MODEL: &str = "
model Drops {
    input image: u8[8, 8, 1]
    x = image / 16
    x = sphere_conv(x, 6, stride: 2) as \"a\" |> relu |> dropout(rate: 0.3)
    x = x + drop_path(relu(conv(x, 6) as \"b\"), 0.4)
    x = x + 0.1 * (if training { normal(shape(x)) } else { 0 * x })
    output dense(x, classes) |> offset as \"score\"
}
";

/// A state is all there is to a run: one that is continued from a copy makes the same bits.
#[test]
fn a_continued_run_draws_what_the_run_would_have_drawn() {
    let graph = trained(MODEL);
    let count = |source: &Extern| match source {
        Extern::TrainImages | Extern::TrainLabels => 1437,
        _ => 360,
    };
    let start = |engine: Engine| {
        let mut machine = Machine::new(engine, graph.clone());
        for source in [Extern::TrainImages, Extern::TestImages] {
            let n = count(&source);
            let data = (0..n * 64).map(|at| (at * 7 % 17) as f64).collect();
            machine.bind(source, &Tensor::new(Shape::from([n, 8, 8, 1]), data));
        }
        for source in [Extern::TrainLabels, Extern::TestLabels] {
            let n = count(&source);
            machine.bind(source, &Tensor::new(Shape::from([n]), (0..n).map(|at| (at % 10) as f64).collect()));
        }
        machine
    };
    for engine in [Engine::CpuF32, Engine::CpuF64] {
        let (mut whole, mut first, mut rest) = (start(engine), start(engine), start(engine));
        (0..4).for_each(|_| whole.run(Phase::Step));
        (0..2).for_each(|_| first.run(Phase::Step));
        let paths = graph.params.iter().map(|it| &it.path).chain(graph.states.iter().map(|it| &it.path));
        let paths: Vec<&String> = paths.collect();
        for path in &paths {
            let values = first.read(path);
            rest.write(path, &values);
        }
        (0..2).for_each(|_| rest.run(Phase::Step));
        for path in paths {
            assert_eq!(whole.read(path), rest.read(path), "{engine:?}: {path}");
        }
        // Evaluation draws nothing: it says the same again.
        whole.run(Phase::Evaluate);
        let scores = whole.result(Phase::Evaluate, "scores");
        whole.write("evaluate_start", &[0.0]);
        whole.run(Phase::Evaluate);
        assert_eq!(scores, whole.result(Phase::Evaluate, "scores"));
    }
}

#[test]
fn networks_that_draw_pass_verification() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("drops.sph");
    std::fs::write(&file, format!("{MODEL}{RECIPE}")).unwrap();
    for precision in ["f32", "f64"] {
        let output = Command::new(env!("CARGO_BIN_EXE_sphc"))
            .args(["verify", file.to_str().unwrap(), "--device", "cpu", "--precision", precision])
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.contains("gradients: all right"), "{text}");
    }
}

#[test]
fn mistakes_with_random_numbers_are_told() {
    let cases = [
        ("x + uniform(shape(x))", "random numbers are there in training only"),
        ("if training { x } else { x + uniform(shape(x)) }", "random numbers are there in training only"),
        ("if not training { dropout(x) } else { x + normal([1]) }", ""),
        ("x + normal(shape(x))", "random numbers are there in training only"),
        ("if training { x + uniform(shape(image)) } else { x }", "undefined name `image`"),
        ("if training { x * uniform([0]) } else { x }", "an extent of `uniform` is 0"),
        ("if training { x * uniform() } else { x }", "needs the argument `extents`"),
        ("dropout(x, rate: 1)", "`rate` of `dropout` is 1: it must be at least 0 and below 1"),
        ("drop_path(x)", "needs the argument `rate`"),
        ("select(x < 1, x, \"a\")", "`select` does not work on"),
        ("if x < 1 { x } else { x * 2 }", "choose for each number: `select(condition, a, b)`"),
    ];
    for (body, wanted) in cases {
        let text = format!(
            "block f(x) {{\n    {body}\n}}\n\nmodel M {{\n    input image: u8[8, 8, 1]\n    x = f(image / 16)\n    \
             output conv(x, classes, kernel: 8, pad: valid)\n}}\n{RECIPE}"
        );
        let said = said(text.trim_end());
        assert!(said.contains(wanted), "{body}\nwanted: {wanted}\n{said}");
        // What the prelude asserts is shown.
        assert!(wanted.contains("must be") || !said.contains("<prelude>"), "{said}");
        assert!(!wanted.is_empty() || said.is_empty(), "{body}\n{said}");
    }
}

/// Comparisons of tensors are 1 or 0, and `select` takes its numbers one by one.
#[test]
fn tensors_are_compared_and_chosen_from() {
    let each = |x: &[f64], f: fn(f64) -> f64| x.iter().map(|it| f(*it)).collect::<Vec<_>>();
    check("", "select(x < 0.3, 2 * x, x ^ 2)", |x, _| each(x, |it| if it < 0.3 { 2.0 * it } else { it * it }));
    check("", "x * (x >= 0.1 and not x > 1)", |x, _| each(x, |it| if (0.1..=1.0).contains(&it) { it } else { 0.0 }));
    check("", "x + select(2 < 1, 5, 7) + select(x == x, 1, 0)", |x, _| each(x, |it| it + 8.0));
    // Against another shape.
    check("", "select(x == max(x, over: channels), x, 0)", |x, _| {
        let most = |at: usize| x[at / 6 * 6..][..6].iter().copied().fold(f64::MIN, f64::max);
        (0..x.len()).map(|at| if x[at] == most(at) { x[at] } else { 0.0 }).collect()
    });
    check("", "div(x * 2, 3) + x", |x, _| each(x, |it| (it * 2.0 / 3.0).floor() + it));
}
