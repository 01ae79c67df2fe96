//! Penalties and optimizers of a recipe against the golden vectors, on every engine.
//!
//! The loss must not reach the parameter in question, so its layer enters the scores times zero.

use crate::backends::engines::{Engine, Machine, stand_in, typed};
use crate::networks::golden::{Case, Report, cases};
use sphc::autodiff::training;
use sphc::interp::Tensor;
use sphc::ir::{Extern, Phase};
use sphc::shape::Typed;

/// Examples in the made-up data set, and in a batch.
const EXAMPLES: usize = 4;

/// A model whose layer `p` is only seen by the recipe.
fn graph(case: &Case, channels: usize, layer: &str, recipe: &str) -> Typed {
    let text = format!(
        "model Case {{\n    input image: u8[8, 8, {channels}]\n    x = image / 16\n    \
         p = {layer} as \"p\"\n    \
         q = conv(global_avg_pool(p), classes, kernel: 1) as \"q\"\n    \
         output conv(global_avg_pool(x), classes, kernel: 1) + 0 * q\n}}\n\
         train {{\n    data digits\n    batch {EXAMPLES}\n    iterations 10\n    \
         loss softmax_cross_entropy()\n{recipe}\n}}\n"
    );
    let settings = stand_in([8, 8, channels], 10, EXAMPLES);
    training(typed(&case.name, &text, &settings))
}

fn machine(engine: Engine, graph: &Typed, channels: usize) -> Machine {
    let mut machine = Machine::new(engine, graph.clone());
    let images = (0..EXAMPLES * 64 * channels).map(|at| (at * 7 % 17) as f64).collect();
    machine.bind(Extern::TrainImages, &Tensor::new([EXAMPLES, 8, 8, channels], images));
    machine.bind(Extern::TrainLabels, &Tensor::new([EXAMPLES], (0..EXAMPLES).map(|it| it as f64).collect()));
    machine
}

#[test]
fn orthogonality_and_its_gradient_agree() {
    let mut report = Report::default();
    for case in cases("orth") {
        let filter = case.tensor("filter");
        let (kernel, channels, filters) = (filter.shape.0[0], filter.shape.0[2], filter.shape.0[3]);
        let layer = format!("sphere_conv(x, {filters}, kernel: {kernel}, operator: cosine)");
        // The velocity of the first step is the gradient.
        let recipe = format!(
            "    penalty orthogonality({}) on filters where layer == \"p\"\n    optimizer sgd(rate: 0.1, momentum: 0.9)",
            case.number("coef")
        );
        let graph = graph(&case, channels, &layer, &recipe);
        for engine in Engine::ALL {
            let mut machine = machine(engine, &graph, channels);
            machine.write("p/filter", &filter.data);
            machine.run(Phase::Step);
            let what = |name: &str| format!("{} {engine:?} {name}", case.name);
            let tolerance = engine.tolerance();
            report.close(&what("loss"), &machine.result(Phase::Step, "orth"), &case.tensor("loss").data, tolerance);
            let gradient = machine.read("p/filter/velocity");
            report.close(&what("grad_filter"), &gradient, &case.tensor("grad_filter").data, tolerance);
        }
    }
    report.finish();
}

/// `l2(1)` makes the gradient of a parameter its value, so each step's gradient is written as the
/// value; moments and the way that the step goes are what the case has.
#[test]
fn adam_agrees() {
    let mut report = Report::default();
    for case in cases("adam") {
        let grads = case.tensor("grads");
        let [steps, n] = <[usize; 2]>::try_from(grads.shape.dims()).expect("gradients are [steps, n]");
        assert_eq!(n, 64, "{}: the layer has one filter of 8x8", case.name);
        let recipe = format!(
            "    penalty l2(1) on filters where layer == \"p\"\n    \
             optimizer adam(rate: {}, beta1: {}, beta2: {}, epsilon: {})",
            case.number("lr"),
            case.number("beta1"),
            case.number("beta2"),
            case.number("eps")
        );
        let graph = graph(&case, 1, "conv(x, 1, kernel: 8, pad: valid)", &recipe);
        for engine in Engine::ALL {
            let mut machine = machine(engine, &graph, 1);
            let mut before = case.tensor("param0").data.clone();
            for step in 0..steps {
                let row = |name: &str| &case.tensor(name).data[step * n..][..n];
                machine.write("p/filter", row("grads"));
                machine.run(Phase::Step);
                let way: Vec<f64> =
                    machine.read("p/filter").iter().zip(row("grads")).map(|(after, before)| after - before).collect();
                let expected: Vec<f64> =
                    row("params").iter().zip(&before).map(|(after, before)| after - before).collect();
                before = row("params").to_vec();
                let what = |name: &str| format!("{} {engine:?} step {step} {name}", case.name);
                // A way of 1e-3 is what is left of two numbers near 1.
                let loss = if engine == Engine::CpuF32 { 1e-4 } else { engine.tolerance() };
                report.close(&what("displacement"), &way, &expected, loss);
                report.close(&what("m"), &machine.read("p/filter/adam_m"), row("m"), engine.tolerance());
                report.close(&what("v"), &machine.read("p/filter/adam_v"), row("v"), engine.tolerance());
            }
        }
    }
    report.finish();
}
