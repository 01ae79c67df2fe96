//! What reads the updates done gives, at each step, what the same text gives with the number in its place; a resumed run has
//! the same bits, and weights of a file are evaluated at the step that they are of.

use crate::backends::engines::{Engine, Machine, typed};
use crate::language::lower::settings;
use crate::runs::cli::Place;
use sphc::autodiff::training;
use sphc::interp::Tensor;
use sphc::ir::{Extern, Phase};
use sphc::shape::Typed;

const EXAMPLES: usize = 2;
const STEPS: usize = 3;

/// Places for the updates done, `@`: definitions, the expression of `p`, a loss, and a penalty.
const PLACES: &[(&str, &str, &str, &str)] = &[
    ("operator op(x_norm, cos) = x_norm * cos / (1 + @ / 2)", "sphere_conv(o, 3, kernel: 2, operator: op)", CROSS, ""),
    (
        "operator op(x_norm, cos, k = 1) = x_norm * tanh(cos / k) * k",
        "sphere_conv(o, 3, kernel: 2, operator: op(k: 1 + @ / 2))",
        CROSS,
        "",
    ),
    (
        "operator op(cos, k: float = 1) = cos ^ 3 * k",
        "sphere_conv(o, 4, kernel: 2, groups: 2, operator: sphere_norm(inner: op(k: 1 + @ / iterations)))",
        CROSS,
        "",
    ),
    ("", "sphere_conv(o, 3, kernel: 2) * (1 + @ / iterations)", CROSS, ""),
    ("operator op(cos, k = 1 + @ / 2) = cos ^ 3 * k", "sphere_conv(o, 3, kernel: 2, operator: op)", CROSS, ""),
    ("operator op(cos) = if @ < 2 { cos } else { cos ^ 3 }", "sphere_conv(o, 3, kernel: 2, operator: op)", CROSS, ""),
    ("block late(x, by: float) { x / (by + exp(-@)) }", "sphere_conv(o, 3, kernel: 2) |> late(1 + @)", CROSS, ""),
    ("", "sphere_conv(o, 3, kernel: 2)", CROSS, "l2(1e-2 * (1 + @))"),
    ("penalty ramp(w, weight) = weight * (1 + @) * sum(w ^ 2)", "sphere_conv(o, 3, kernel: 2)", CROSS, "ramp(0.1)"),
    ("penalty ramp(w) = @ * sum(w ^ 2)", "sphere_conv(o, 3, kernel: 2)", CROSS, "ramp"),
    ("penalty ramp(w, by) = by * sum(w ^ 2)", "sphere_conv(o, 3, kernel: 2)", CROSS, "ramp(@)"),
    ("", "sphere_conv(o, 3, kernel: 2)", "softmax_cross_entropy() * (1 + @)", ""),
    (
        "loss softly(scores, target, scale: float = 1) = sum((scale * scores - target) ^ 2, over: channels)",
        "sphere_conv(o, 3, kernel: 2)",
        "softly(scale: 1 / (1 + @))",
        "",
    ),
];

pub(crate) const CROSS: &str = "softmax_cross_entropy()";

/// The optimizer keeps the gradient, and moves no number by more than its rounding.
pub(crate) fn graph((own, p, loss, penalty): (&str, &str, &str, &str), step: &str) -> Typed {
    let penalty = if penalty.is_empty() { String::new() } else { format!("penalty {penalty} on filters\n    ") };
    let text = format!(
        "{own}\noptimizer seen(rate) {{\n    keep last = 0\n    last = gradient\n    value - rate * last\n}}\n\
         model Case {{\n    input image: u8[8, 8, 1]\n    o = conv(image / 16, 4, kernel: 1) as \"o\"\n    \
         p = ({p}) as \"p\"\n    output conv(global_avg_pool(p), classes, kernel: 1) as \"q\"\n}}\n\
         train {{\n    data digits\n    batch {EXAMPLES}\n    iterations 10\n    loss {loss}\n    \
         {penalty}optimizer seen(rate: 1e-30)\n}}\n"
    );
    let mut settings = settings(&[]);
    for data in settings.known_data.iter_mut().filter(|it| it.name == "digits") {
        (data.train_examples, data.test_examples) = (EXAMPLES, EXAMPLES);
    }
    training(typed("case.sph", &text.replace('@', step), &settings))
}

/// What each step tells, and the gradients after the last one.
pub(crate) fn run(graph: &Typed, engine: Engine, steps: usize) -> (Vec<Vec<f64>>, Vec<f64>) {
    let mut machine = Machine::new(engine, graph.clone());
    let images = (0..EXAMPLES * 64).map(|at| (at * 7 % 17) as f64).collect();
    machine.bind(Extern::TrainImages, &Tensor::new([EXAMPLES, 8, 8, 1], images));
    machine.bind(Extern::TrainLabels, &Tensor::new([EXAMPLES], vec![3.0, 7.0]));
    let mut told = Vec::new();
    for _ in 0..steps {
        machine.run(Phase::Step);
        told.push(["fit", "reg", "loss"].iter().map(|it| machine.result(Phase::Step, it)[0]).collect());
    }
    let paths = graph.states.iter().filter(|it| it.path.ends_with("/last"));
    (told, paths.flat_map(|it| machine.read(&it.path)).collect())
}

pub(crate) fn close(a: &[f64], b: &[f64], tolerance: f64) -> bool {
    let largest = b.iter().fold(1e-3, |largest: f64, it| largest.max(it.abs()));
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() <= tolerance * largest)
}

#[test]
fn what_reads_the_updates_done_is_what_the_number_gives() {
    for place in PLACES {
        let moving = graph(*place, "step");
        let fixed: Vec<Typed> = (0..STEPS).map(|step| graph(*place, &step.to_string())).collect();
        for engine in Engine::ALL {
            let (told, gradients) = run(&moving, engine, STEPS);
            for (step, fixed) in fixed.iter().enumerate() {
                let (wanted, slopes) = run(fixed, engine, step + 1);
                let wanted = wanted.last().unwrap();
                assert!(
                    close(&told[step], wanted, engine.tolerance()),
                    "{engine:?} {place:?} {step}: {:?} {wanted:?}",
                    told[step]
                );
                if step + 1 == STEPS {
                    assert!(close(&gradients, &slopes, engine.tolerance()), "{engine:?} {place:?}");
                }
            }
            assert!(told.windows(2).any(|it| !close(&it[0], &it[1], 1e-4)), "{place:?} does not go by steps: {told:?}");
        }
    }
}

const TEXT: &str = "operator warmed(cos, share = 1) = (1 - share) * cos + share * cos ^ 3

model Warmed {
    input image: u8[8, 8, 1]
    x = relu(sphere_conv((image - 8) / 8, 4, stride: 2, operator: warmed(share: step / iterations)) as \"a\")
    output dense(x / (1 + step), classes) as \"score\"
}

train {
    data       digits
    batch      16
    iterations 6
    loss       softmax_cross_entropy()
    penalty    l2(1e-3 * step) on filters
    optimizer  adam(rate: 1e-2)
    checkpoint every 3
}
";

#[test]
fn a_run_that_goes_by_steps_is_resumed_and_evaluated_at_its_step() {
    let place = Place::new();
    std::fs::write(place.path("warmed.sph"), TEXT).unwrap();
    place.succeeds("train warmed.sph --run whole --device cpu");
    place.succeeds("train warmed.sph --run parts --device cpu");
    let last = place.path("parts").join("checkpoints/step-00000006.safetensors");
    std::fs::remove_file(&last).unwrap();
    place.succeeds("train warmed.sph --run parts --device cpu --resume");
    let bits = |run: &str| std::fs::read(place.path(run).join("checkpoints/step-00000006.safetensors")).unwrap();
    assert_eq!(bits("whole"), bits("parts"));
    let log = std::fs::read_to_string(place.path("whole").join("metrics.jsonl")).unwrap();
    let tested: Vec<serde_json::Value> = log.lines().map(|it| serde_json::from_str(it).unwrap()).collect();
    let tested = tested.iter().rev().find(|it| it["test_loss"].is_f64()).unwrap();
    let weights = "whole/checkpoints/step-00000006.safetensors";
    let found = place.succeeds(&format!("eval warmed.sph --device cpu --weights {weights} --format json"));
    let found: serde_json::Value = serde_json::from_str(&found).unwrap();
    assert_eq!(found["test_loss"], tested["test_loss"], "{log}");
    // The length of the run is part of what an update is.
    let output = place.sphc("train warmed.sph --run whole --device cpu --resume --iterations 9");
    assert!(!output.status.success(), "{output:?}");
}

/// What a model of digits with these definitions, this body and these lines of a recipe is told.
fn said(own: &str, body: &str, lines: &str) -> String {
    let mut text = format!(
        "{own}\nmodel Case {{\n    input image: u8[8, 8, 1]\n    x = image / 16\n    {body}\n}}\n\
         train {{\n    data digits\n    batch 4\n    iterations 10\n    loss softmax_cross_entropy()\n    \
         optimizer sgd(rate: 0.1)\n}}\n"
    );
    for line in lines.lines().filter(|it| !it.is_empty()) {
        let key = line.split(' ').next().unwrap();
        let from = text.find(&format!("\n    {key} ")).map_or(text.len() - 2, |at| at + 1);
        let to = if from == text.len() - 2 { from } else { from + text[from..].find('\n').unwrap() + 1 };
        text.replace_range(from..to, &format!("    {line}\n"));
    }
    let mut none = |path: &str| Err(format!("{path} is not there"));
    let checked = sphc::pipeline::check("case.sph", &text, &mut none, &settings(&[]));
    sphc::diag::render::render(&checked.diagnostics, &checked.sources, false)
}

#[test]
fn numbers_that_are_needed_before_any_update_are_told_once() {
    let plain = "output dense(x, classes) as \"score\"";
    let cases = [
        ("", plain, "batch step", "E0104"),
        ("", plain, "iterations step", "E0104"),
        ("", plain, "iterations iterations", "E0102"),
        ("", plain, "evaluate every step", "E0104"),
        ("", plain, "checkpoint last(step) every 2", "E0104"),
        ("", plain, "seed step", "E0104"),
        ("", plain, "accumulate step", "E0104"),
        ("", plain, "clip norm(step)", "E01"),
        ("param n = step", "output conv(conv(x, n), classes, kernel: 8, pad: 0) as \"score\"", "", "E0102"),
    ];
    for (own, body, lines, code) in cases {
        let found = said(own, body, lines);
        assert_eq!(found.matches("error[").count(), 1, "{lines}: {found}");
        assert!(found.contains(&format!("error[{code}")), "{lines}: {found}");
    }
    assert_eq!(said("", plain, "batch iterations"), "");
    // A param of that name is a number.
    assert_eq!(
        said("param step = 0.5", "output dense(x * step, classes) as \"score\"", "penalty l2(step) on filters"),
        ""
    );
    let found = said("", plain, "checkpoint last(3), best");
    assert!(found.contains("write `checkpoint last(3), best every 500`"), "{found}");
}

/// An operator that nothing uses, of an imported file say, does not bind the run's length.
#[test]
fn only_what_is_computed_binds_the_length_of_a_run() {
    let of = |operator: &str| {
        let text = format!(
            "operator late(cos) = cos * (1 + step / iterations)\noperator _plain(cos) = cos\n\
             model Case {{\n    input image: u8[8, 8, 1]\n    x = sphere_conv(image / 16, 4, operator: {operator})\n    \
             output dense(x, classes) as \"score\"\n}}\n\
             train {{\n    data digits\n    batch 4\n    iterations 10\n    loss softmax_cross_entropy()\n    \
             optimizer sgd(rate: 0.1)\n}}\n"
        );
        typed("case.sph", &text, &settings(&[])).recipe.as_ref().unwrap().length_matters
    };
    assert!(of("late"));
    assert!(!of("_plain"));
}
