//! Penalties on how filters lie to each other: values against their definitions, gradients against central
//! differences, and numbers that stay finite where filters are equal, opposite, zero or huge.

use crate::backends::engines::{Engine, Machine, typed};
use crate::language::lower::settings;
use sphc::autodiff::training;
use sphc::diag::render;
use sphc::interp::Tensor;
use sphc::ir::{Extern, Phase, random};
use sphc::pipeline;
use sphc::shape::Typed;

/// Examples in the data set, and in a batch.
const EXAMPLES: usize = 2;
/// Numbers of a filter, 2x2 of 3 channels.
const LENGTH: usize = 12;

/// A definition over the filters, each a list.
type Definition = fn(&[Vec<f64>]) -> f64;

const PENALTIES: &[(&str, Definition)] = &[
    ("orthogonality(0.3, normalized: true)", |it| 0.15 * residual(&directions(it))),
    ("orthogonality(0.3)", |it| 0.15 * residual(it)),
    ("energy(0.3)", |it| 0.3 * energy(&directions(it), |distance| distance.powi(-2))),
    ("energy(0.3, s: 0)", |it| 0.3 * energy(&directions(it), |distance| -distance.ln())),
    ("energy(0.3, s: 1)", |it| 0.3 * energy(&directions(it), |distance| 1.0 / distance)),
    ("energy(0.3, s: 2.5)", |it| 0.3 * energy(&directions(it), |distance| distance.powf(-2.5))),
    ("energy(0.3, half_space: true)", |it| 0.3 * energy(&doubled(it), |distance| distance.powi(-2))),
    ("energy(0.3, s: 0, half_space: true)", |it| 0.3 * energy(&doubled(it), |distance| -distance.ln())),
    ("energy(0.3, angular: true)", |it| 0.3 * energy(&directions(it), |distance| angle(distance).powi(-2))),
    ("energy(0.3, s: 0, angular: true)", |it| 0.3 * energy(&directions(it), |distance| -angle(distance).ln())),
    ("energy(0.3, s: 1, angular: true)", |it| 0.3 * energy(&directions(it), |distance| 1.0 / angle(distance))),
    ("energy(0.3, s: 1, half_space: true, angular: true)", |it| {
        0.3 * energy(&doubled(it), |distance| 1.0 / angle(distance))
    }),
    ("l2(0.3)", |it| it.iter().flatten().map(|it| 0.15 * it * it).sum()),
    ("spread(0.3)", |it| it.iter().map(|it| 0.3 * spread(it, 2.0)).sum()),
    ("spread(0.3, power: 3)", |it| it.iter().map(|it| 0.3 * spread(it, 3.0)).sum()),
    ("far(0.3)", |it| 0.3 * it.iter().flatten().map(|it| it * it).sum::<f64>().sqrt().tanh()),
];

/// Penalties of a file.
const OWN: &str = "
fn tail(x, power) = (x ^ 2 + 0.1) ^ (power / 2)

/// How far the numbers of each filter are from their mean.
penalty spread(w, weight, power = 2) as orth {
    gap = w - mean(w, over: [0, 1, 2])
    weight * sum(sum(tail(gap, power), over: [0, 1, 2]))
}

penalty far(w, weight) {
    size = sqrt(sum(w ^ 2))
    weight * tanh(size)
}
";

/// The way along the sphere between two points at this distance.
fn angle(distance: f64) -> f64 {
    2.0 * (distance / 2.0).asin()
}

fn spread(filter: &[f64], power: f64) -> f64 {
    let mean = filter.iter().sum::<f64>() / filter.len() as f64;
    filter.iter().map(|it| ((it - mean).powi(2) + 0.1).powf(power / 2.0)).sum()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn directions(filters: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let normalized = |it: &Vec<f64>| {
        let norm = (dot(it, it) + 1e-4).sqrt();
        it.iter().map(|it| it / norm).collect()
    };
    filters.iter().map(normalized).collect()
}

/// Each direction and its opposite.
fn doubled(filters: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let mut all = directions(filters);
    all.extend(directions(filters).into_iter().map(|it| it.into_iter().map(|it| -it).collect()));
    all
}

fn residual(filters: &[Vec<f64>]) -> f64 {
    let mut sum = 0.0;
    for (i, a) in filters.iter().enumerate() {
        for (j, b) in filters.iter().enumerate() {
            sum += (dot(a, b) - f64::from(u8::from(i == j))).powi(2);
        }
    }
    sum
}

/// Mean over pairs; the distance is that of the directions' cosine. A filter and its own opposite are at
/// distance 2.
fn energy(all: &[Vec<f64>], of: impl Fn(f64) -> f64) -> f64 {
    let (mut sum, mut count) = (0.0, 0.0);
    for (i, a) in all.iter().enumerate() {
        for b in &all[..i] {
            let opposite = a.iter().zip(b).all(|(a, b)| *a == -*b);
            let cosine = if opposite { -1.0 } else { dot(a, b) };
            sum += of((2.0 - 2.0 * cosine).sqrt());
            count += 1.0;
        }
    }
    if count == 0.0 { 0.0 } else { sum / count }
}

/// A model whose layer `p` is only seen by the penalty. The velocity of the first step is the gradient.
fn graph(penalty: &str, filters: usize) -> Typed {
    let own = if penalty.starts_with("spread") || penalty.starts_with("far") {
        // The other one stays unused.
        OWN.replace("penalty far", if penalty.starts_with("far") { "penalty far" } else { "penalty _far" })
            .replace("penalty spread", if penalty.starts_with("far") { "penalty _spread" } else { "penalty spread" })
    } else {
        String::new()
    };
    let text = format!(
        "{own}model Case {{\n    input image: u8[8, 8, 1]\n    x = image / 16\n    \
         o = conv(x, 3, kernel: 1) as \"o\"\n    \
         p = sphere_conv(o, {filters}, kernel: 2) as \"p\"\n    \
         q = conv(global_avg_pool(p), classes, kernel: 1) as \"q\"\n    \
         output conv(global_avg_pool(x), classes, kernel: 1) + 0 * q\n}}\n\
         train {{\n    data digits\n    batch {EXAMPLES}\n    iterations 10\n    loss softmax_cross_entropy()\n    \
         penalty {penalty} on filters where layer == \"p\"\n    optimizer sgd(rate: 0.1, momentum: 0.9)\n}}\n"
    );
    let mut settings = settings(&[]);
    for data in settings.known_data.iter_mut().filter(|it| it.name == "digits") {
        (data.train_examples, data.test_examples) = (EXAMPLES, EXAMPLES);
    }
    training(typed("case.sph", &text, &settings))
}

/// Value and gradient of the penalty at these filters.
fn run(graph: &Typed, engine: Engine, filters: &[Vec<f64>]) -> (f64, Vec<f64>) {
    let mut machine = Machine::new(engine, graph.clone());
    let images = (0..EXAMPLES * 64).map(|at| (at * 7 % 17) as f64).collect();
    machine.bind(Extern::TrainImages, &Tensor::new([EXAMPLES, 8, 8, 1], images));
    machine.bind(Extern::TrainLabels, &Tensor::new([EXAMPLES], vec![3.0, 7.0]));
    let n = filters.len();
    let columns: Vec<f64> = (0..n * LENGTH).map(|at| filters[at % n][at / n]).collect();
    machine.write("p/filter", &columns);
    machine.run(Phase::Step);
    // Each counts in one column.
    let [orth, reg] = ["orth", "reg"].map(|it| machine.result(Phase::Step, it)[0]);
    assert!(orth == 0.0 || reg == 0.0, "{orth} {reg}");
    let value = orth + reg;
    let [fit, loss] = ["fit", "loss"].map(|it| machine.result(Phase::Step, it)[0]);
    assert!((loss - fit - value).abs() <= 1e-5 * loss.abs(), "{loss} is not {fit} + {value}");
    (value, machine.read("p/filter/velocity"))
}

/// A filter in no particular direction.
fn filter(salt: u64) -> Vec<f64> {
    (0..LENGTH).map(|at| 0.4 * random::normal(salt, 6, at)).collect()
}

#[test]
fn penalties_on_pairs_are_their_definitions() {
    for (penalty, definition) in PENALTIES {
        for n in [1, 2, 5] {
            let graph = graph(penalty, n);
            let filters: Vec<Vec<f64>> = (0..n).map(|it| filter(10 + it as u64)).collect();
            let chord = |filter: usize, at: usize, h: f64| {
                let side = |h: f64| {
                    let mut moved = filters.clone();
                    moved[filter][at] += h;
                    definition(&moved)
                };
                (side(h) - side(-h)) / (2.0 * h)
            };
            let slopes: Vec<f64> = (0..n * LENGTH)
                .map(|it| (4.0 * chord(it % n, it / n, 5e-4) - chord(it % n, it / n, 1e-3)) / 3.0)
                .collect();
            let largest = slopes.iter().fold(1e-3, |a: f64, b| a.max(b.abs()));
            for engine in Engine::ALL {
                let (value, gradient) = run(&graph, engine, &filters);
                let expected = definition(&filters);
                let off = (value - expected).abs();
                // One normalised filter has next to no residual.
                let scale = expected.abs().max(1e-3);
                assert!(off <= engine.tolerance() * scale, "{engine:?} {penalty} {n}: {value} {expected}");
                for (found, expected) in gradient.iter().zip(&slopes) {
                    // The chords leave 1e-13 times the fifth derivative, and rounding of 1e-13.
                    let off = (found - expected).abs() / largest;
                    let tolerance = engine.tolerance().max(1e-8);
                    assert!(off <= tolerance, "{engine:?} {penalty} {n}: {found} {expected} {off:e}");
                }
            }
        }
    }
}

#[test]
fn absolute_values_pull_all_numbers_alike() {
    let graph = graph("l1(0.3)", 2);
    let filters = [filter(1), filter(2)];
    for engine in Engine::ALL {
        let (value, gradient) = run(&graph, engine, &filters);
        let expected: f64 = filters.iter().flatten().map(|it| 0.3 * it.abs()).sum();
        assert!((value - expected).abs() <= engine.tolerance() * expected, "{engine:?}: {value} {expected}");
        for (at, found) in gradient.iter().enumerate() {
            let expected = 0.3 * filters[at % 2][at / 2].signum();
            assert!((found - expected).abs() <= engine.tolerance(), "{engine:?}: {found} {expected}");
        }
    }
}

#[test]
fn mistakes_in_penalties_are_told() {
    let cases: &[(&str, &str, &str)] = &[
        (
            "penalty p(w, weight) = weight * w",
            "p(1) on filters",
            "the penalty `p` of `a/filter` is [8,8,1,10], not one number",
        ),
        (
            "penalty p(w, weight) = weight * sum(w * reshape(w, [2, 320]))",
            "p(1) on filters",
            "the penalty `p` does not fit `a/filter`",
        ),
        (
            "penalty p(w, weight) = weight * sum(conv(w, 3))",
            "p(1) on filters",
            "the layer `conv` cannot be used in a penalty",
        ),
        ("penalty p(w, weight) as spare = weight * sum(w)", "p(1) on filters", "the log has no column `spare`"),
        ("penalty p() = 1", "p on filters", "the penalty `p` does not start with a tensor"),
        ("penalty p(w, weight) = sum(w ^ 2)", "p(1) on filters", "`weight` is never used"),
        ("penalty p(w, weight) = weight * sum(w ^ 2)", "l2(1) on filters", "the penalty `p` is never used"),
        ("penalty p(w, weight) = weight * sum(w ^ 2)", "p(1, 2) on filters", "the penalty `p` takes 1 argument"),
        ("penalty p(w, weight) = weight * sum(v ^ 2)", "p(1) on filters", "undefined name `v`"),
        (
            "penalty p(w, weight) {\n    learn k: [1] = 1\n    weight * sum(w * k)\n}",
            "p(1) on filters",
            "`learn` belongs in",
        ),
        ("optimizer o(rate) as orth = value - rate * gradient", "l2(1) on filters", "has no column `orth`"),
        ("", "l2(0) on filters", "this penalty of weight 0 has no effect"),
        ("", "l3(1) on filters", "unknown penalty `l3`"),
    ];
    for (definitions, penalty, wanted) in cases {
        let optimizer = if definitions.contains("optimizer") { "o(rate: 0.1)" } else { "adam" };
        let text = format!(
            "{definitions}\n\nmodel M {{\n    input image: u8[8, 8, 1]\n    output conv(image / 16, classes, kernel: 8, pad: valid) as \"a\"\n}}\n\n\
             train {{\n    data digits\n    batch 4\n    iterations 10\n    loss softmax_cross_entropy()\n    penalty {penalty}\n    optimizer {optimizer}\n}}\n"
        );
        let mut none = |path: &str| Err(format!("{path} is not there"));
        let checked = pipeline::check("case.sph", &text, &mut none, &settings(&[]));
        let said = render::render(&checked.diagnostics, &checked.sources, false);
        assert!(said.contains(wanted), "{definitions} {penalty}\nwanted: {wanted}\n{said}");
    }
}

#[test]
fn penalties_on_pairs_stay_finite() {
    let scaled = |salt, by: f64| filter(salt).into_iter().map(|it| it * by).collect::<Vec<f64>>();
    let filters = [
        scaled(1, 1e4),
        scaled(1, 1e4),
        scaled(1, -1e4),
        scaled(1, 1.0),
        vec![0.0; LENGTH],
        vec![0.0; LENGTH],
        scaled(2, 1e-6),
        scaled(3, 1e4),
    ];
    for penalty in PENALTIES.iter().map(|it| it.0).chain([
        "energy(1, s: 8)",
        "energy(1, s: 8, half_space: true)",
        "energy(1, s: 8, angular: true)",
    ]) {
        let graph = graph(penalty, filters.len());
        for engine in [Engine::Interpreter, Engine::CpuF64, Engine::CpuF32] {
            let (value, gradient) = run(&graph, engine, &filters);
            assert!(value.is_finite() && gradient.iter().all(|it| it.is_finite()), "{engine:?} {penalty}: {value}");
        }
    }
}

#[test]
fn energy_pushes_filters_apart() {
    let (near, same) = ([filter(1), filter(1).iter().zip(filter(2)).map(|(a, b)| a + 0.3 * b).collect()], 2);
    let graph = graph("energy(1)", same);
    let (before, gradient) = run(&graph, Engine::CpuF32, &near);
    let moved: Vec<Vec<f64>> =
        (0..2).map(|k| (0..LENGTH).map(|at| near[k][at] - 0.02 * gradient[at * 2 + k]).collect()).collect();
    let (after, _) = run(&graph, Engine::CpuF32, &moved);
    assert!(after < before, "{before} {after}");
}

#[test]
fn projections_keep_their_own_intervals() {
    let text = "model Case {
    input image: u8[8, 8, 1]
    x = conv(image / 16, 3, kernel: 3) as \"a\"
    x = conv(x, 4, kernel: 3) as \"b\"
    x = conv(x, 4, kernel: 3) as \"c\"
    output conv(global_avg_pool(x), classes, kernel: 1) as \"score\"
}
train {
    data digits
    batch 2
    iterations 20
    loss softmax_cross_entropy()
    project normalize filters where layer == \"a\" every 4
    project normalize filters where layer == \"b\" every 6
    project normalize filters where layer == \"c\" every 4
    project normalize filters where layer == \"c\" every 6
    optimizer sgd(rate: 0.01)
}
";
    let mut settings = settings(&[]);
    for data in settings.known_data.iter_mut().filter(|it| it.name == "digits") {
        (data.train_examples, data.test_examples) = (EXAMPLES, EXAMPLES);
    }
    let graph = training(typed("case.sph", text, &settings));
    let always = graph.recipe.as_ref().unwrap().project_every();
    assert_eq!(always, 2);
    for engine in Engine::ALL {
        let mut machine = Machine::new(engine, graph.clone());
        let images = (0..EXAMPLES * 64).map(|at| (at * 7 % 17) as f64).collect();
        machine.bind(Extern::TrainImages, &Tensor::new([EXAMPLES, 8, 8, 1], images));
        machine.bind(Extern::TrainLabels, &Tensor::new([EXAMPLES], vec![3.0, 7.0]));
        for step in 1..=13u64 {
            machine.run(Phase::Step);
            if step.is_multiple_of(always) {
                machine.run(Phase::Project);
            }
            for (layer, filters, due) in [
                ("a", 3, step.is_multiple_of(4)),
                ("b", 4, step.is_multiple_of(6)),
                ("c", 4, step.is_multiple_of(4) || step.is_multiple_of(6)),
            ] {
                let filter = machine.read(&format!("{layer}/filter"));
                let norm = filter.iter().step_by(filters).map(|it| it * it).sum::<f64>().sqrt();
                assert_eq!((norm - 1.0).abs() < 1e-6, due, "{engine:?} {layer} after {step}: {norm}");
            }
        }
    }
}

#[test]
fn projections_reach_filters_of_any_size() {
    let text = "model Case {
    input image: u8[8, 8, 1]
    output dense(flatten(image / 16), classes) as \"score\"
}
train {
    data digits
    batch 2
    iterations 20
    loss softmax_cross_entropy()
    project normalize filters every 1
    optimizer sgd(rate: 0.01)
}
";
    let graph = training(typed("case.sph", text, &settings(&[])));
    let sizes = [1.0, 1e-18, 1e-22, 1e-30, 1e-37, 1e12, 1e18, 1e25, 1e37, 0.0];
    let start: Vec<f64> = (0..640).map(|at| sizes[at % 10] * random::normal(3, 1, at)).collect();
    for engine in Engine::ALL {
        let mut machine = Machine::new(engine, graph.clone());
        machine.write("score/filter", &start);
        machine.run(Phase::Project);
        let filter = machine.read("score/filter");
        for (column, size) in sizes.iter().enumerate() {
            let norm = filter.iter().skip(column).step_by(10).map(|it| it * it).sum::<f64>().sqrt();
            let wanted = if *size == 0.0 { 0.0 } else { 1.0 };
            assert!((norm - wanted).abs() < 1e-6, "{engine:?}: a filter of numbers of {size:e} has norm {norm}");
        }
    }
}
