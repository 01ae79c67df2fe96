//! Who moves what in a recipe, bounds of gradients and averages over the steps: against PyTorch in f64, and resumed bit for bit.

use crate::backends::engines::{Engine, Machine, stand_in, typed};
use crate::language::lower::settings;
use crate::runs::cli::Place;
use sphc::autodiff::training;
use sphc::diag::render;
use sphc::interp::Tensor;
use sphc::ir::{Extern, Phase};
use sphc::pipeline;
use sphc::shape::Typed;
use std::fs;

const EXAMPLES: usize = 4;

const MODEL: &str = "model Case {
    input image: u8[8, 8, 1]
    x = tanh(conv(image / 16, 3, kernel: 8, pad: valid) |> offset as \"hidden\")
    output conv(x, classes, kernel: 1) |> offset as \"score\"
}
";

fn text(model: &str, recipe: &str) -> String {
    format!(
        "{model}\ntrain {{\n    data digits\n    batch {EXAMPLES}\n    iterations 6\n    loss softmax_cross_entropy\n    {recipe}\n}}\n"
    )
}

fn graph(model: &str, recipe: &str) -> Typed {
    let settings = stand_in([8, 8, 1], 10, EXAMPLES);
    training(typed("case.sph", &text(model, recipe), &settings))
}

/// A machine with images, labels and parameters of a pattern.
fn machine(engine: Engine, graph: &Typed) -> Machine {
    let mut machine = Machine::new(engine, graph.clone());
    let images =
        Tensor::new([EXAMPLES, 8, 8, 1], (0..EXAMPLES * 64).map(|at| (at * 7 % 17 + at / 64 * 4) as f64).collect());
    let labels = Tensor::new([EXAMPLES], (0..EXAMPLES).map(|it| (it * 3 % 10) as f64).collect());
    for (images_of, labels_of) in [(Extern::TrainImages, Extern::TrainLabels), (Extern::TestImages, Extern::TestLabels)]
    {
        machine.bind(images_of, &images);
        machine.bind(labels_of, &labels);
    }
    let sizes = [("hidden/filter", 0.2), ("hidden/bias", 0.1), ("score/filter", 0.5), ("score/bias", 0.1)];
    for (path, size) in sizes.into_iter().filter(|it| graph.find_param(it.0).is_some()) {
        let numbers = 0..graph.param(graph.find_param(path).unwrap()).shape.len();
        machine.write(path, &numbers.map(|it| size * (1.7 * it as f64 + 0.3).sin()).collect::<Vec<f64>>());
    }
    machine
}

fn step(machine: &mut Machine, graph: &Typed) {
    machine.run(Phase::Step);
    if graph.recipe.as_ref().unwrap().average.is_some() {
        machine.run(Phase::Average);
    }
}

/// One number that depends on each of a tensor's.
fn mark(numbers: &[f64]) -> f64 {
    numbers.iter().enumerate().map(|(at, it)| it * (at as f64).cos()).sum()
}

/// Six steps of `torch.optim`, and of the papers' formulas of LARS, LAMB and Muon, on the same network: marks of its four tensors, and of all their averages.
#[test]
fn six_steps_are_those_of_pytorch() {
    let cases: &[(&str, &[f64])] = &[
        (
            "optimizer sgd(rate: 0.1, momentum: 0.9, nesterov: true)\n    clip norm(0.5)\n    average ema(0.8)\n    penalty l2(0.01) on filters",
            &[0.0898385453184609, -0.016036312143677775, 0.7931761237266954, -0.010637994124656602, 0.9581136701732534],
        ),
        (
            "optimizer adamw(rate: 0.01, decay: 0.1)\n    clip value(0.02)\n    average mean(from: 2)",
            &[0.21964309262675305, 0.04958893076656851, 0.6990485032281266, -0.0074868494420472845, 0.9638688956046598],
        ),
        (
            "optimizer adamw(rate: 0.01, decay: 0)\n    clip norm(0.1)",
            &[0.1383534475820798, 0.03060722107954264, 0.7294108015932281, -0.006388874666060376],
        ),
        (
            "optimizer rmsprop(rate: 0.01, momentum: 0.5)\n    clip value(0.05)\n    average ema(0.5)",
            &[0.03243726443461836, -0.07384354297273865, 0.5773856556751162, 0.04708417974665191, 0.5915884550720293],
        ),
        (
            "optimizer adamw(rate: 0.01, decay: 0.1) on filters where layer == \"hidden\"\n    optimizer sgd(rate: 0.1, momentum: 0.5) on filters where layer == \"score\"\n    optimizer rmsprop(rate: 0.02)\n    clip norm(0.3)\n    average mean",
            &[0.19407352408775325, -0.0525014586420961, 0.6909690543346068, -0.24825219420771683, 0.5668551296273713],
        ),
        (
            "optimizer sgd(rate: 0.2, momentum: 0.9)\n    freeze on filters where layer == \"hidden\"\n    clip norm(0.2)\n    average ema(0.9)\n    penalty l2(0.5) on filters",
            &[0.3060944400701631, -0.10191383735432213, 0.39451485989980284, -0.0058750638862762605, 0.923596210157513],
        ),
        (
            "optimizer lars(rate: 0.5, momentum: 0.8, decay: 0.01, trust: 0.02)",
            &[0.2804544016847059, 0.08477249988278288, 0.6453213795947769, 0.009137614405560109],
        ),
        (
            "optimizer lamb(rate: 0.02, decay: 0.1)\n    clip norm(0.4)",
            &[0.23178345151350674, 0.08787488457943943, 0.7151678505356677, 0.008334627215887597],
        ),
        (
            "optimizer muon(rate: 0.05, decay: 0.1) on filters\n    optimizer sgd(rate: 0.1)",
            &[0.042664620484547805, -0.002892958391536347, 0.3427688124687542, 0.0004023728156604123],
        ),
        (
            "optimizer muon(rate: 0.05, nesterov: false) on filters\n    optimizer sgd(rate: 0.1)\n    average ema(0.5)",
            &[
                0.04914253780551084,
                -0.0021116983304862325,
                0.3742335926584174,
                0.00038554967049631017,
                0.49245357230484904,
            ],
        ),
    ];
    let paths = ["hidden/filter", "hidden/bias", "score/filter", "score/bias"];
    for (recipe, wanted) in cases {
        let graph = graph(MODEL, recipe);
        for engine in Engine::ALL {
            let mut machine = machine(engine, &graph);
            (0..6).for_each(|_| step(&mut machine, &graph));
            let mut found: Vec<f64> = paths.iter().map(|it| mark(&machine.read(it))).collect();
            if paths.len() < wanted.len() {
                let averages = paths.iter().map(|it| {
                    let average = format!("{it}/average");
                    // What is frozen has none.
                    mark(&machine.read(if graph.find_state(&average).is_some() { &average } else { it }))
                });
                found.push(averages.sum());
            }
            for (found, wanted) in found.iter().zip(*wanted) {
                let gap = (found - wanted).abs();
                assert!(gap <= 10.0 * engine.tolerance(), "{recipe} on {engine:?}: {found}, not {wanted}");
            }
        }
    }
}

const NORMALISED: &str = "model Case {
    input image: u8[8, 8, 1]
    x = conv(image / 16, 3, kernel: 8, pad: valid) |> batch_norm(decay: 0.9, epsilon: 1e-3) |> tanh as \"hidden\"
    output conv(x, classes, kernel: 1) as \"score\"
}
";

/// Averages of parameters and statistics are in the place of both when a batch is evaluated.
#[test]
fn averages_are_what_is_evaluated() {
    let averaged =
        graph(NORMALISED, "optimizer adam(rate: 0.05)\n    average ema(0.6)\n    project normalize filters every 2");
    let plain = graph(NORMALISED, "optimizer adam(rate: 0.05)");
    let paths: Vec<String> = (averaged.params.iter().map(|it| it.path.clone()))
        .chain(
            averaged
                .states
                .iter()
                .filter(|it| it.path.ends_with("ema_mean") || it.path.ends_with("ema_var"))
                .map(|it| it.path.clone()),
        )
        .collect();
    assert_eq!(paths.len(), 6);
    for engine in Engine::ALL {
        let mut first = machine(engine, &averaged);
        let mut means: Vec<Vec<f64>> = Vec::new();
        for done in 1..=5 {
            first.run(Phase::Step);
            if done % 2 == 0 {
                first.run(Phase::Project);
            }
            first.run(Phase::Average);
            for (at, path) in paths.iter().enumerate() {
                let now = first.read(path);
                match means.get_mut(at) {
                    None => means.push(now),
                    Some(mean) => mean.iter_mut().zip(now).for_each(|(mean, now)| *mean = 0.6 * *mean + 0.4 * now),
                }
            }
        }
        let mut second = machine(engine, &plain);
        for (path, mean) in paths.iter().zip(&means) {
            for (found, wanted) in first.read(&format!("{path}/average")).iter().zip(mean) {
                assert!(
                    (found - wanted).abs() <= 10.0 * engine.tolerance(),
                    "{path} on {engine:?}: {found}, not {wanted}"
                );
            }
            second.write(path, &first.read(&format!("{path}/average")));
        }
        first.run(Phase::Evaluate);
        second.run(Phase::Evaluate);
        let (found, wanted) = (first.result(Phase::Evaluate, "losses"), second.result(Phase::Evaluate, "losses"));
        for (found, wanted) in found.iter().zip(&wanted) {
            assert!((found - wanted).abs() <= engine.tolerance() * 10.0, "{engine:?}: {found}, not {wanted}");
        }
    }
}

/// Before any step a session's averages are what its parameters start with.
#[test]
fn averages_of_no_step_are_the_start() {
    let graph = graph(NORMALISED, "optimizer adam(rate: 0.05)\n    average mean(from: 3)");
    let mut machine = Machine::new(Engine::CpuF32, graph.clone());
    for param in &graph.params {
        assert_eq!(machine.read(&param.path), machine.read(&format!("{}/average", param.path)), "{}", param.path);
    }
}

/// What is frozen has neither a gradient nor anything beside it, and its statistics move.
#[test]
fn what_is_frozen_is_not_computed() {
    let recipe =
        "optimizer adam(rate: 0.05)\n    average ema\n    freeze on filters, gamma, beta where layer == \"hidden\"";
    let frozen = graph(NORMALISED, recipe);
    let all = graph(NORMALISED, "optimizer adam(rate: 0.05)\n    average ema");
    assert!(frozen.needed(frozen.phase_roots(Phase::Step)).len() < all.needed(all.phase_roots(Phase::Step)).len());
    let beside = |path: &str| frozen.states.iter().any(|it| it.path.starts_with(&format!("{path}/")));
    assert!(!beside("hidden/filter") && beside("score/filter") && !beside("hidden/bn/gamma"));
    let mut machine = machine(Engine::CpuF64, &frozen);
    let (filter, mean) = (machine.read("hidden/filter"), machine.read("hidden/bn/ema_mean"));
    step(&mut machine, &frozen);
    assert_eq!(machine.read("hidden/filter"), filter);
    assert_ne!(machine.read("hidden/bn/ema_mean"), mean);
}

#[test]
fn mistakes_about_who_moves_what_are_told() {
    let sgd = "optimizer sgd(rate: 0.1)";
    let cases: &[(&str, &str)] = &[
        (
            "optimizer adam on filters\n    optimizer sgd(rate: 0.1) on all",
            "`hidden/filter` is moved by two optimizers",
        ),
        ("optimizer adam on filters", "no optimizer moves `hidden/bias`, `score/bias`"),
        ("optimizer adam\n    optimizer lion", "the recipe has two entries `optimizer`"),
        ("optimizer adam on all\n    optimizer lion", "nothing is left for this optimizer"),
        ("optimizer adam\n    freeze on filters\n    penalty l2(1e-3) on filters", "all that it selects is frozen"),
        ("optimizer adam\n    freeze adam on filters", "`freeze` takes no value"),
        ("optimizer adam\n    freeze filters where layer == \"head\"", "no layer is named `head`"),
        ("optimizer adam\n    clip norm(0)", "`most` of `norm` is 0"),
        ("optimizer adam\n    clip 3", "this is not a value for `clip`"),
        ("optimizer adam\n    average ema(1)", "`decay` of `ema` is 1"),
        ("optimizer adam\n    average emu(0.9)", "did you mean `ema`?"),
        ("optimizer wrong(rate: 1)", "the product of 64x3 and 64x3 has no meaning"),
        ("optimizer square(rate: 1)", "its result is 3x3"),
        ("optimizer meet(rate: 1)", "numbers of 64x3 meet those of 3x3"),
    ];
    let said = |model: &str, recipe: &str| {
        let mut none = |path: &str| Err(format!("{path} is not there"));
        let checked = pipeline::check("case.sph", &text(model, recipe), &mut none, &settings(&[]));
        render::render(&checked.diagnostics, &checked.sources, false)
    };
    let taken = [
        ("wrong", "value - rate * product(value, gradient)"),
        ("square", "rate * product(value, gradient, transpose: true)"),
        ("meet", "value - rate * product(value, gradient, transpose: true)"),
    ];
    for (recipe, wanted) in cases {
        let own = taken.iter().find(|it| recipe.contains(&format!("{}(rate", it.0)));
        let own = own.map_or(String::new(), |it| format!("optimizer {}(rate) = {}\n\n", it.0, it.1));
        let said = said(&format!("{own}{MODEL}"), recipe);
        assert!(said.contains(wanted), "{recipe}\nwanted: {wanted}\n{said}");
    }
    let own = format!("average slow(k = 3) {{\n    keep a = 0\n    average + (value - average) / k\n}}\n\n{MODEL}");
    let said = said(&own, &format!("{sgd}\n    average slow"));
    assert!(said.contains("`keep` belongs in an optimizer"), "{said}");
}

/// A run that was stopped and gone on with ends as one that was not: moments, averages, counters.
#[test]
fn resumed_runs_with_groups_and_averages_are_the_same() {
    let place = Place::new();
    let model = fs::read_to_string(place.path("tiny.sph")).unwrap();
    let recipe = "optimizer  sgd(rate: 0.05, momentum: 0.9) on filters\n    optimizer  adam(rate: 1e-2)\n    \
                  schedule   warmup(4)\n    clip       norm(0.5)\n    average    ema(0.8)";
    assert!(model.contains("optimizer  adam(rate: 1e-2)"));
    fs::write(place.path("tiny.sph"), model.replace("optimizer  adam(rate: 1e-2)", recipe)).unwrap();
    place.succeeds("train tiny.sph --run whole");
    place.succeeds("train tiny.sph --iterations 5 --run parts");
    place.succeeds("train tiny.sph --run parts --resume");
    assert!(place.final_checkpoint("whole") == place.final_checkpoint("parts"));
    // What is evaluated is the average, in training and by itself.
    let said = place.succeeds("eval tiny.sph --weights whole/checkpoints/step-00000012.safetensors");
    let lines = fs::read_to_string(place.path("whole/metrics.jsonl")).unwrap();
    let last = lines.lines().rev().find_map(|it| {
        let line: serde_json::Value = serde_json::from_str(it).unwrap();
        line.get("test_accuracy").and_then(serde_json::Value::as_f64)
    });
    let percent = format!("{:.2}", 100.0 * last.unwrap());
    assert!(said.contains(&percent) || said.contains(&format!("{:.4}", last.unwrap())), "{percent}: {said}");
    // Weights without averages are their own.
    place.succeeds("train tiny.sph --iterations 2 --init whole/checkpoints/step-00000012.safetensors --run again");
}
