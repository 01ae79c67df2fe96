//! Optimizers of the prelude and of a file against their formulas, as their papers and PyTorch write them, on every engine.

use crate::backends::engines::{Engine, Machine, stand_in, typed};
use crate::language::lower::settings;
use sphc::autodiff::training;
use sphc::diag::render;
use sphc::interp::Tensor;
use sphc::ir::{Extern, Phase, Shape};
use sphc::pipeline;
use sphc::shape::Typed;

const EXAMPLES: usize = 4;

/// The gradient of `coefficient * sum(x^2) / 2` is `coefficient * x`.
const COEFFICIENT: f64 = 0.75;

/// A model whose filter `p` is seen by a penalty alone.
fn graph(definitions: &str, optimizer: &str) -> Typed {
    let text = format!(
        "{definitions}\nmodel Case {{\n    input image: u8[8, 8, 1]\n    x = image / 16\n    \
         q = conv(x, 3, kernel: 1) as \"p\"\n    \
         q = conv(global_avg_pool(q), classes, kernel: 1) as \"q\"\n    \
         output conv(global_avg_pool(x), classes, kernel: 1) + 0 * q\n}}\n\
         train {{\n    data digits\n    batch {EXAMPLES}\n    iterations 10\n    loss softmax_cross_entropy()\n    \
         penalty l2({COEFFICIENT}) on filters where layer == \"p\"\n    optimizer {optimizer}\n}}\n"
    );
    let settings = stand_in([8, 8, 1], 10, EXAMPLES);
    training(typed("case.sph", &text, &settings))
}

const START: [f64; 3] = [0.5, -1.25, 0.03];

/// Five steps are those of `formula`: step from 1, value, gradient, what is kept.
fn check(definitions: &str, optimizer: &str, kept: &[&str], formula: fn(f64, f64, f64, &mut [f64; 2]) -> f64) {
    let graph = graph(definitions, optimizer);
    let states: Vec<String> =
        (graph.states.iter()).filter_map(|it| it.path.strip_prefix("p/filter/").map(str::to_owned)).collect();
    assert_eq!(states, kept, "{optimizer}");
    for engine in Engine::ALL {
        let mut machine = Machine::new(engine, graph.clone());
        let images = (0..EXAMPLES * 64).map(|at| (at * 7 % 17) as f64).collect();
        machine.bind(Extern::TrainImages, &Tensor::new([EXAMPLES, 8, 8, 1], images));
        machine.bind(Extern::TrainLabels, &Tensor::filled(Shape::from([EXAMPLES]), 1.0));
        machine.write("p/filter", &START);
        let mut values = START;
        let mut memory = [[0.0; 2]; 3];
        for step in 1..=5 {
            machine.run(Phase::Step);
            for (value, memory) in values.iter_mut().zip(&mut memory) {
                *value = formula(f64::from(step), *value, COEFFICIENT * *value, memory);
            }
            for (found, wanted) in machine.read("p/filter").iter().zip(values) {
                let gap = (found - wanted).abs();
                assert!(
                    gap <= 10.0 * engine.tolerance(),
                    "{optimizer}, step {step} on {engine:?}: {found}, not {wanted}"
                );
            }
        }
        for (at, name) in kept.iter().enumerate() {
            for (found, wanted) in machine.read(&format!("p/filter/{name}")).iter().zip(memory) {
                let gap = (found - wanted[at]).abs();
                assert!(
                    gap <= 10.0 * engine.tolerance(),
                    "{name} of {optimizer} on {engine:?}: {found}, not {wanted:?}"
                );
            }
        }
    }
}

#[test]
fn gradient_descent_with_and_without_momentum() {
    check("", "sgd(rate: 0.1)", &[], |_, x, g, _| x - 0.1 * g);
    check("", "sgd(rate: 0.1, momentum: 0.9)", &["velocity"], |_, x, g, kept| {
        kept[0] = 0.9 * kept[0] + g;
        x - 0.1 * kept[0]
    });
    // Sutskever's form in PyTorch's variables.
    check("", "sgd(rate: 0.1, momentum: 0.9, nesterov: true)", &["velocity"], |_, x, g, kept| {
        kept[0] = 0.9 * kept[0] + g;
        x - 0.1 * (g + 0.9 * kept[0])
    });
}

#[test]
fn adam_and_its_relatives() {
    fn moments(g: f64, kept: &mut [f64; 2], beta1: f64, beta2: f64) {
        kept[0] = beta1 * kept[0] + (1.0 - beta1) * g;
        kept[1] = beta2 * kept[1] + (1.0 - beta2) * g * g;
    }
    check("", "adam(rate: 0.1, epsilon: 1e-2)", &["adam_m", "adam_v"], |t, x, g, kept| {
        moments(g, kept, 0.9, 0.999);
        let rate = 0.1 * (1.0 - 0.999f64.powf(t)).sqrt() / (1.0 - 0.9f64.powf(t));
        x - rate * kept[0] / (kept[1].sqrt() + 1e-2)
    });
    check("", "adam(rate: 0.1, beta1: 0, epsilon: 1e-2)", &["adam_m", "adam_v"], |t, x, g, kept| {
        moments(g, kept, 0.0, 0.999);
        x - 0.1 * (1.0 - 0.999f64.powf(t)).sqrt() * g / (kept[1].sqrt() + 1e-2)
    });
    check("", "adamw(rate: 0.1, beta2: 0.95, epsilon: 1e-2, decay: 0.2)", &["m", "v"], |t, x, g, kept| {
        moments(g, kept, 0.9, 0.95);
        let (m, v) = (kept[0] / (1.0 - 0.9f64.powf(t)), kept[1] / (1.0 - 0.95f64.powf(t)));
        x * (1.0 - 0.1 * 0.2) - 0.1 * m / (v.sqrt() + 1e-2)
    });
    check("", "rmsprop(rate: 0.1, decay: 0.9, epsilon: 1e-2)", &["square"], |_, x, g, kept| {
        kept[0] = 0.9 * kept[0] + 0.1 * g * g;
        x - 0.1 * g / (kept[0].sqrt() + 1e-2)
    });
    check("", "rmsprop(rate: 0.1, epsilon: 1e-2, momentum: 0.5)", &["square", "velocity"], |_, x, g, kept| {
        kept[0] = 0.99 * kept[0] + (1.0 - 0.99) * g * g;
        kept[1] = 0.5 * kept[1] + g / (kept[0].sqrt() + 1e-2);
        x - 0.1 * kept[1]
    });
    check("", "lion(rate: 0.1, decay: 0.3)", &["mean"], |_, x, g, kept| {
        let direction = (0.9 * kept[0] + (1.0 - 0.9) * g).signum();
        kept[0] = 0.99 * kept[0] + (1.0 - 0.99) * g;
        x - 0.1 * (direction + 0.3 * x)
    });
}

/// What is kept may be made of what else is kept, before or after it moved, and depend on the step.
#[test]
fn an_optimizer_of_ones_own() {
    let own = "
optimizer own(rate, share = 0.5) {
    keep slow = 2
    keep fast = 0
    old = slow
    fast = share * fast + gradient
    slow = slow + (fast - slow) / (step + 2)
    value - rate * (slow + old) * (iterations - step) / iterations
}";
    check(own, "own(rate: 0.1, share: 0.25)", &["slow", "fast"], |t, x, g, kept| {
        // Memory starts at 0 here, and at 2 there.
        let old = if t == 1.0 { 2.0 } else { kept[0] };
        kept[1] = 0.25 * kept[1] + g;
        kept[0] = old + (kept[1] - old) / (t + 1.0);
        x - 0.1 * (kept[0] + old) * (10.0 - (t - 1.0)) / 10.0
    });
    check("optimizer sgd(rate) = value - 2 * rate * gradient", "sgd(rate: 0.1)", &[], |_, x, g, _| x - 0.2 * g);
}

#[test]
fn mistakes_in_optimizers_are_told() {
    let cases: &[(&str, &str, &str)] = &[
        ("optimizer o(rate) = value - rate * gradiant", "o(rate: 1)", "undefined name `gradiant`"),
        ("optimizer o(speed) = value - speed * gradient", "o(speed: 1)", "does not start with `rate`"),
        ("optimizer o(rate) = conv(value, 3)", "o(rate: 1)", "the layer `conv` cannot be used in an optimizer"),
        (
            "optimizer o(rate) {\n    keep m = 0\n    keep m = 0\n    value - rate * m\n}",
            "o(rate: 1)",
            "`m` is kept twice",
        ),
        (
            "optimizer o(rate) {\n    keep m = true\n    value - rate * m\n}",
            "o(rate: 1)",
            "the start of `m` must be a float",
        ),
        ("optimizer o(rate) {\n    m = rate\n    m = m\n}", "o(rate: 1)", "ends as nothing"),
        ("optimizer o(rate) = value - rate * gradient", "adam(rate: 1)", "the optimizer `o` is never used"),
        ("optimizer o(rate) {\n    keep v = 0\n    value - rate * gradient\n}", "o(rate: 1)", "`v` is never used"),
        ("fn f(x) {\n    keep m = 0\n    x + m\n}", "adam(rate: 1)", "`keep` belongs in an optimizer"),
        ("", "o(rate: 1)", "unknown optimizer `o`"),
        ("", "sgd()", "needs the argument `rate`"),
        ("", "sgd(rate: 0)", "`rate` of `sgd` is 0, out of range"),
        ("", "sgd(rate: 0.1, momentum: 1)", "`momentum` of `sgd` is 1: it must be at least 0 and below 1"),
        ("", "sgd(rate: 0.1, nesterov: true)", "needs a `momentum` above 0"),
        ("", "adam(beta2: 1.5)", "`beta2` of `adam` is 1.5"),
    ];
    for (definitions, optimizer, wanted) in cases {
        let text = format!(
            "{definitions}\n\nmodel M {{\n    input image: u8[8, 8, 1]\n    output conv(image / 16, classes, kernel: 8, pad: valid)\n}}\n\n\
             train {{\n    data digits\n    batch 4\n    iterations 10\n    loss softmax_cross_entropy()\n    optimizer {optimizer}\n}}\n"
        );
        let mut none = |path: &str| Err(format!("{path} is not there"));
        let checked = pipeline::check("case.sph", &text, &mut none, &settings(&[]));
        let said = render::render(&checked.diagnostics, &checked.sources, false);
        assert!(said.contains(wanted), "{definitions} {optimizer}\nwanted: {wanted}\n{said}");
    }
}
