//! Operators as text: those of `models/operators/` and the weight-normalised heads of the prelude. Values
//! against their formulas, gradients against central differences, numbers that stay finite where an
//! operator is singular, and training on plans.

use crate::backends::engines::{Engine, Machine, typed};
use crate::language::lower::settings;
use sphc::autodiff::{gradients, training};
use sphc::interp::Tensor;
use sphc::ir::{DType, Extern, Mode, Op, ParamId, Phase, Shape, random};
use sphc::shape::{Builder, Typed};
use std::collections::BTreeMap;
use std::f64::consts::{FRAC_2_PI, FRAC_PI_2, PI};
use std::path::Path;

/// What an operator can depend on.
struct At {
    /// Cosine.
    c: f64,
    /// Norm of the patch.
    n: f64,
    /// Its running mean.
    mu: f64,
    /// Learned numbers in order of the text.
    l: Vec<f64>,
}

impl At {
    /// `R` of the decoupled operators, `r` being the learned number `at`.
    fn radius(&self, at: usize) -> f64 {
        (self.l[at] * self.l[at] + 1e-4) * self.mu
    }

    fn sharpened(&self, power: f64) -> f64 {
        (self.c.abs() + 1e-6).powf(power) * self.c.signum()
    }

    fn linear(&self) -> f64 {
        1.0 - FRAC_2_PI * self.c.acos()
    }

    /// As the paper writes it, not as the prelude does.
    fn sigmoid(&self) -> f64 {
        let k = 0.3;
        let (e0, e) = ((-FRAC_PI_2 / k).exp(), (self.c.acos() / k - PI / (2.0 * k)).exp());
        (1.0 + e0) / (1.0 - e0) * (1.0 - e) / (1.0 + e)
    }
}

/// Each operator by name, with its formula.
type Formula = (&'static str, fn(&At) -> f64);

const OPERATORS: &[Formula] = &[
    ("sphere_norm", |it| it.l[0] * it.c + it.l[1]),
    ("sphere_norm(inner: linear)", |it| it.l[0] * it.linear() + it.l[1]),
    ("sphere_norm(inner: sigmoid(k: 0.3))", |it| it.l[0] * it.sigmoid() + it.l[1]),
    ("sphere_norm(inner: sharpened_cosine)", |it| it.l[0] * it.sharpened(it.l[2]) + it.l[1]),
    ("sphere_norm(inner: sphere_norm(inner: linear))", |it| it.l[0] * (it.l[2] * it.linear() + it.l[3]) + it.l[1]),
    ("sphere_norm(inner: tanh_conv)", |it| it.l[0] * (it.n / it.radius(2)).tanh() * it.c + it.l[1]),
    ("linear_conv", |it| it.n * it.c),
    ("linear_conv(angle: linear)", |it| it.n * it.linear()),
    ("tanh_conv", |it| (it.n / it.radius(0)).tanh() * it.c),
    ("tanh_conv(angle: linear)", |it| (it.n / it.radius(0)).tanh() * it.linear()),
    ("ball_conv", |it| it.n.min(it.radius(0)) / it.radius(0) * it.c),
    ("ball_conv(angle: linear)", |it| it.n.min(it.radius(0)) / it.radius(0) * it.linear()),
    ("seg_conv", |it| segments(it) * it.c),
    ("seg_conv(angle: linear)", |it| segments(it) * it.linear()),
    ("log_conv", |it| (1.0 + it.n).ln() * it.c),
    ("log_conv(angle: linear)", |it| (1.0 + it.n).ln() * it.linear()),
    ("signed_square", |it| it.c * it.c.abs()),
    ("sharpened_cosine", |it| it.sharpened(it.l[0])),
    ("weight_cosine", |it| it.n * it.c),
    ("weight_linear", |it| it.n * it.linear()),
    ("weight_sigmoid", |it| it.n * it.sigmoid()),
];

fn segments(it: &At) -> f64 {
    if it.n < it.radius(0) { it.n } else { 0.5 * it.n + 0.5 * it.radius(0) }
}

/// Reproducible numbers without a pattern.
pub(crate) fn numbers(count: usize, salt: u64) -> Vec<f64> {
    (0..count).map(|at| random::normal(salt, 5, at)).collect()
}

/// A path inside `models/`, so that imports are found.
pub(crate) fn path(file: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models").join(file).to_string_lossy().into_owned()
}

/// Operators with statistics of all kinds: of the filters and of the layer, on each other, of what is learned.
const STATISTICS: [&str; 3] = ["standardised", "relative", "turned"];

const OWN: &str = "
operator standardised(cos) {
    stat mean_cos = mean(cos, decay: 0.99, start: 0)
    stat variance = mean((cos - mean_cos) ^ 2, decay: 0.99, start: 0.05)
    (cos - mean_cos) / sqrt(variance + 1e-3)
}
operator relative(x_norm, cos) {
    stat top = max(x_norm, decay: 0.99)
    tanh(x_norm / (top + 1)) * cos
}
operator turned(theta, w_norm, inner: operator = sharpened_cosine) {
    learn tilt: filter = 1
    stat level = mean(inner(theta: theta * tilt / 2) + w_norm, decay: 0.99)
    inner - level * theta
}
";

/// One layer with an operator, its gradients in both modes; `seed` weighs the outputs.
fn layer(operator: &str, batch: usize, size: [usize; 3], layer: &str) -> Typed {
    let [h, w, c] = size;
    let text = format!(
        "import \"operators/decoupled.sph\"\nimport \"operators/sharpened.sph\"\n{OWN}\nparam norm: operator = cosine\n\
         model Case {{\n    input x: float[{h}, {w}, {c}]\n    \
         output sphere_conv(x, {layer}, operator: norm) as \"a\"\n}}\n"
    );
    let mut settings = settings(&[("norm", operator)]);
    settings.batch = Some(batch);
    let mut b = Builder::new(typed(&path("case.sph"), &text, &settings));
    for (phase, mode) in [(Phase::Step, Mode::Train), (Phase::Evaluate, Mode::Evaluate)] {
        let (x, output) = (b.graph().inputs[&mode], b.graph().outputs[&mode]);
        let shape = b.graph().shape(output).clone();
        let seed = b.named_input("seed", shape, DType::Real);
        let mut wrt = vec![("x".to_owned(), x)];
        for at in 0..b.graph().params.len() {
            let name = b.graph().params[at].path.clone();
            wrt.push((name, b.add(Op::Param(ParamId(at as u32)), &[])));
        }
        let nodes: Vec<_> = wrt.iter().map(|it| it.1).collect();
        let slopes = gradients(&mut b, output, seed, &nodes);
        let results = b.tables().results.entry(phase).or_default();
        results.insert("output".into(), output);
        results.extend(wrt.into_iter().zip(slopes).map(|((name, _), slope)| (format!("grad/{name}").into(), slope)));
    }
    b.finish()
}

/// A layer on some engine with everything it reads.
struct Layer {
    graph: Typed,
    machine: Machine,
    values: BTreeMap<String, Tensor>,
}

impl Layer {
    fn new(graph: &Typed, engine: Engine, values: &BTreeMap<String, Tensor>) -> Layer {
        let machine = Machine::new(engine, graph.clone());
        let mut res = Layer { graph: graph.clone(), machine, values: values.clone() };
        values.iter().for_each(|(name, value)| res.set(name, value.clone()));
        res
    }

    fn set(&mut self, name: &str, value: Tensor) {
        match name {
            "x" | "seed" => self.machine.bind_named(name, &value),
            // A plan leaves out what nothing reads.
            _ if self.graph.find_param(name).is_some() || self.graph.find_state(name).is_some() => {
                self.machine.write(name, &value.data);
            }
            _ => {}
        }
        self.values.insert(name.to_owned(), value);
    }

    /// The sum of what `seed` weighs, in evaluation.
    fn sum(&mut self) -> f64 {
        self.machine.run(Phase::Evaluate);
        let output = self.machine.result(Phase::Evaluate, "output");
        output.iter().zip(&self.values["seed"].data).map(|(y, seed)| y * seed).sum()
    }

    /// Slopes of `sum` in every number of `name`: central differences of two sizes, extrapolated.
    fn differences(&mut self, name: &str) -> Vec<f64> {
        let value = self.values[name].clone();
        let mut chord = |at: usize, h: f64| {
            let mut side = |h: f64| {
                let mut moved = value.clone();
                moved.data[at] += h;
                self.set(name, moved);
                self.sum()
            };
            (side(h) - side(-h)) / (2.0 * h)
        };
        let h = 1e-3;
        let slopes = (0..value.data.len()).map(|at| (4.0 * chord(at, h / 2.0) - chord(at, h)) / 3.0).collect();
        self.set(name, value);
        slopes
    }
}

/// Inputs and parameters of a layer: learned numbers around their start, `mu` where half of the patches
/// are inside of the radius.
fn values(graph: &Typed, salt: u64) -> BTreeMap<String, Tensor> {
    let mut values = BTreeMap::new();
    let mut put = |name: &str, shape: &Shape, scale: f64, middle: f64| {
        let salt = salt + values.len() as u64;
        let data = numbers(shape.len(), salt).into_iter().map(|it| middle + scale * it).collect();
        values.insert(name.to_owned(), Tensor::new(shape.clone(), data));
    };
    put("x", graph.shape(graph.inputs[&Mode::Train]), 1.0, 0.0);
    put("seed", graph.shape(graph.outputs[&Mode::Train]), 1.0, 0.0);
    for param in &graph.params {
        match param.path.as_str() {
            "a/filter" => put("a/filter", &param.shape, 0.4, 0.0),
            "a/shift" => put("a/shift", &param.shape, 0.2, 0.0),
            "a/p" => put("a/p", &param.shape, 0.2, 2.0),
            name => put(name, &param.shape, 0.15, 1.0),
        }
    }
    for state in &graph.states {
        match state.path.as_str() {
            "a/mu" => put("a/mu", &state.shape, 0.0, 3.5),
            "a/top" => put("a/top", &state.shape, 0.0, 5.0),
            "a/variance" => put("a/variance", &state.shape, 0.02, 0.2),
            name => put(name, &state.shape, 0.1, 0.0),
        }
    }
    values
}

pub(crate) fn close(what: &str, found: &[f64], expected: &[f64], tolerance: f64, least: f64) {
    assert_eq!(found.len(), expected.len(), "{what}");
    // Of nothing but zeros, none may be off.
    let largest = expected.iter().fold(least.max(f64::MIN_POSITIVE), |a, b| a.max(b.abs()));
    for (at, (x, y)) in found.iter().zip(expected).enumerate() {
        let off = (x - y).abs() / largest;
        assert!(off <= tolerance, "{what}[{at}]: {x} instead of {y}, off by {off:e} of {largest}");
    }
}

const GEOMETRIES: [&str; 3] = ["3, kernel: 3, stride: 1", "3, kernel: 3, stride: 2", "3, kernel: 2, pad: valid"];

#[test]
fn operators_of_the_models_mean_their_formulas() {
    // 4x4 images under a 4x4 filter: one patch each, which is the image.
    for (name, formula) in OPERATORS {
        let graph = layer(name, 6, [4, 4, 2], "5, kernel: 4, pad: valid");
        let values = values(&graph, 40);
        let mut layer = Layer::new(&graph, Engine::Interpreter, &values);
        layer.machine.run(Phase::Evaluate);
        let found = layer.machine.result(Phase::Evaluate, "output");
        let (x, w) = (&values["x"].data, &values["a/filter"].data);
        let norm = |it: &mut dyn Iterator<Item = f64>| (it.map(|it| it * it).sum::<f64>() + 1e-4).sqrt();
        let mut expected = Vec::new();
        for (patch, filter) in (0..6).flat_map(|it| (0..5).map(move |k| (it, k))) {
            let (x, w) = (x[patch * 32..].iter().take(32), w[filter..].iter().step_by(5));
            let dot: f64 = x.clone().zip(w.clone()).map(|(x, w)| x * w).sum();
            let n = norm(&mut x.copied());
            let c = dot / n / norm(&mut w.copied());
            let learned = graph.params.iter().filter(|it| it.path != "a/filter");
            let l = learned.map(|it| values[&it.path].data[filter]).collect();
            expected.push(formula(&At { c, n, mu: 3.5, l }));
        }
        close(name, &found, &expected, 1e-12, 0.0);
    }
}

/// The seeds keep every patch norm further from the radius, where ball and segments bend, than a step.
#[test]
fn gradients_of_operators_agree_with_differences() {
    for name in OPERATORS.iter().map(|it| it.0).chain(STATISTICS) {
        for (at, geometry) in GEOMETRIES.iter().enumerate() {
            let graph = layer(name, 2, [5, 5, 2], geometry);
            let mut layer = Layer::new(&graph, Engine::Interpreter, &values(&graph, 180 + 10 * at as u64));
            layer.machine.run(Phase::Evaluate);
            let wrt: Vec<String> =
                std::iter::once("x".to_owned()).chain(graph.params.iter().map(|it| it.path.clone())).collect();
            for of in wrt {
                let what = format!("{name}, {geometry}: {of}");
                layer.machine.run(Phase::Evaluate);
                let found = layer.machine.result(Phase::Evaluate, format!("grad/{of}"));
                let expected = layer.differences(&of);
                // Rounding leaves about 1e-16 / 1e-3 of a sum of up to 150 numbers, the extrapolated
                // chords an error of 1e-12 times the fifth derivative, which near cos = 0 grows to some
                // thousands for powers of the cosine.
                close(&what, &found, &expected, 1e-8, 0.0);
            }
        }
    }
}

#[test]
fn running_means_have_no_gradient_in_training() {
    // Those that use the batch's own mean in training are compared with their published code in `decoupled`.
    let own_mean = |name: &str| ["tanh_conv", "ball_conv", "seg_conv"].iter().any(|it| name.contains(it));
    for name in OPERATORS.iter().map(|it| it.0).filter(|it| !own_mean(it)).chain(STATISTICS) {
        let graph = layer(name, 2, [5, 5, 2], GEOMETRIES[0]);
        let start = values(&graph, 160);
        let mut layer = Layer::new(&graph, Engine::Interpreter, &start);
        // Training moves the mean and uses it; the evaluation after it uses the same one.
        layer.machine.run(Phase::Step);
        layer.machine.run(Phase::Evaluate);
        for state in graph.states.iter().filter(|it| start.contains_key(&it.path) && it.path.starts_with("a/")) {
            assert_ne!(layer.machine.read(&state.path), start[&state.path].data, "{name}: {}", state.path);
        }
        for result in graph.results[&Phase::Step].keys() {
            let (step, evaluated) =
                (layer.machine.result(Phase::Step, result), layer.machine.result(Phase::Evaluate, result));
            close(&format!("{name} {result}"), &step, &evaluated, 1e-14, 0.0);
        }
    }
}

#[test]
fn operators_on_plans_agree_with_the_interpreter() {
    for name in OPERATORS.iter().map(|it| it.0).chain(STATISTICS) {
        for geometry in &GEOMETRIES[..2] {
            let graph = layer(name, 2, [5, 5, 2], geometry);
            let values = values(&graph, 240);
            let mut truth = Layer::new(&graph, Engine::Interpreter, &values);
            truth.machine.run(Phase::Step);
            for engine in [Engine::CpuF64, Engine::CpuF32] {
                let mut layer = Layer::new(&graph, engine, &values);
                layer.machine.run(Phase::Step);
                for result in graph.results[&Phase::Step].keys() {
                    let what = format!("{engine:?} {name}, {geometry}: {result}");
                    let (found, expected) =
                        (layer.machine.result(Phase::Step, result), truth.machine.result(Phase::Step, result));
                    close(&what, &found, &expected, engine.tolerance(), 0.0);
                }
            }
        }
    }
}

/// The other operators of the prelude: with `OPERATORS` all that are shipped.
const PRELUDE: [&str; 7] = ["none", "cosine", "linear", "sigmoid", "lr_sigmoid", "sphere_norm", "squared_cosine"];

/// A number as bfloat16 holds it.
fn bf16(value: f64) -> f64 {
    half::bf16::from_f32(value as f32).to_f64()
}

/// 4x4 images under a 4x4 filter again: the statistics of six patches and five filters.
#[test]
fn statistics_are_means_and_maxima_of_the_batch() {
    let moved = |name: &str, state: &str| {
        let graph = layer(name, 6, [4, 4, 2], "5, kernel: 4, pad: valid");
        let values = values(&graph, 40);
        let mut layer = Layer::new(&graph, Engine::Interpreter, &values);
        layer.machine.run(Phase::Step);
        let norm = |it: &[f64]| (it.iter().map(|it| it * it).sum::<f64>() + 1e-4).sqrt();
        let patches: Vec<Vec<f64>> = values["x"].data.chunks(32).map(<[f64]>::to_vec).collect();
        let filters: Vec<Vec<f64>> =
            (0..5).map(|k| values["a/filter"].data.iter().skip(k).step_by(5).copied().collect()).collect();
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let cosines: Vec<Vec<f64>> =
            (filters.iter()).map(|w| patches.iter().map(|x| dot(x, w) / norm(x) / norm(w)).collect()).collect();
        let norms: Vec<f64> = patches.iter().map(|it| norm(it)).collect();
        (values[state].data.clone(), layer.machine.read(state), cosines, norms)
    };
    let mean = |it: &[f64]| it.iter().sum::<f64>() / it.len() as f64;
    let towards = |from: f64, to: f64| from + 0.01 * (to - from);

    let (means, means_after, cosines, _) = moved("standardised", "a/mean_cos");
    let expected: Vec<f64> = means.iter().zip(&cosines).map(|(it, of)| towards(*it, mean(of))).collect();
    close("mean of each filter", &means_after, &expected, 1e-13, 0.0);
    let (variances, after, ..) = moved("standardised", "a/variance");
    let of =
        |filter: usize| -> Vec<f64> { cosines[filter].iter().map(|c| (c - means_after[filter]).powi(2)).collect() };
    let expected: Vec<f64> = (0..5).map(|it| towards(variances[it], mean(&of(it)))).collect();
    close("a mean on a mean", &after, &expected, 1e-13, 0.0);
    let (top, after, _, norms) = moved("relative", "a/top");
    let expected = towards(top[0], norms.iter().copied().fold(0.0, f64::max));
    close("maximum of the layer", &after, &[expected], 1e-13, 0.0);
}

/// Filters of norm 1, 1e4, 1e-6, 0 and 1; patches parallel and opposite to each, of norms from 1e-6 to
/// 1e6, zero, and in no particular direction; the same rounded to bfloat16, as are the results then.
#[test]
fn operators_stay_finite_where_they_are_singular() {
    let (length, filters) = (18, 5);
    let scaled = |salt, norm: f64| {
        let it = numbers(length, salt);
        let root = it.iter().map(|it| it * it).sum::<f64>().sqrt();
        it.into_iter().map(move |it| it / root * norm)
    };
    let directions: Vec<u64> = (1..=filters as u64).collect();
    let columns: Vec<Vec<f64>> =
        directions.iter().zip([1.0, 1e4, 1e-6, 0.0, 1.0]).map(|(&salt, norm)| scaled(salt, norm).collect()).collect();
    let mut patches = vec![0.0; length];
    for salt in directions.into_iter().chain([91, 92]) {
        for norm in [0.0, 1e-6, 1e-3, 1.0, 100.0, 1e4, 1e6] {
            patches.extend(scaled(salt, norm));
            patches.extend(scaled(salt, -norm));
        }
    }
    let batch = patches.len() / length;
    let mut wrong = String::new();
    let cases = [(None, false), (Some(0.0), false), (Some(3.0), true), (Some(-2.0), false), (None, true)];
    for name in OPERATORS.iter().map(|it| it.0).chain(PRELUDE) {
        let graph = layer(name, batch, [3, 3, 2], "5, kernel: 3, pad: valid");
        // Where learned numbers start, at 0, and far out.
        for (at, (learned, rounded)) in cases.into_iter().enumerate() {
            let mut values = values(&graph, 320);
            values.insert("x".to_owned(), Tensor::new([batch, 3, 3, 2], patches.clone()));
            values.insert("seed".to_owned(), Tensor::filled([batch, 1, 1, filters], 1.0));
            let filter = (0..length * filters).map(|it| columns[it % filters][it / filters]).collect();
            values.insert("a/filter".to_owned(), Tensor::new([3, 3, 2, filters], filter));
            // The mean of small patches, as far as it goes down.
            let mu = if at % 2 == 0 { 1.0 } else { 0.01 };
            values.insert("a/mu".to_owned(), Tensor::scalar(mu));
            for param in graph.params.iter().filter(|it| it.path != "a/filter") {
                if let Some(it) = learned {
                    values.insert(param.path.clone(), Tensor::filled(param.shape.clone(), it));
                }
            }
            if rounded {
                values.values_mut().for_each(|it| it.data.iter_mut().for_each(|it| *it = bf16(*it)));
            }
            for engine in [Engine::Interpreter, Engine::CpuF64, Engine::CpuF32] {
                let mut layer = Layer::new(&graph, engine, &values);
                for phase in [Phase::Evaluate, Phase::Step] {
                    layer.machine.run(phase);
                    for result in graph.results[&phase].keys() {
                        let found = layer.machine.result(phase, result);
                        let finite = |it: f64| it.is_finite() && (!rounded || bf16(it).is_finite());
                        if let Some(it) = found.iter().position(|it| !finite(*it)) {
                            wrong +=
                                &format!("{engine:?} {name} {phase:?} {result}[{it}] = {} at {learned:?}\n", found[it]);
                        }
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// The demo with an operator, on the digits: training and test set are the first `examples`.
fn demo(set: &[(&str, &str)], batch: usize, examples: usize) -> (Typed, Vec<(Extern, Tensor)>) {
    let (manifest, place) = sphc::data::locate("digits", None).expect("the digits are known");
    let digits = sphc::data::read(&manifest, &place, &[]).expect("the digits are part of the program");
    let mut settings = settings(set);
    settings.batch = Some(batch);
    for data in settings.known_data.iter_mut().filter(|it| it.name == "digits") {
        (data.train_examples, data.test_examples) = (examples, examples);
    }
    let file = path("operators_demo.sph");
    let text = std::fs::read_to_string(&file).expect("a shipped model");
    let graph = training(typed(&file, &text, &settings));
    let images: Vec<f64> = digits.train.images[..examples * 64].iter().map(|it| f64::from(*it)).collect();
    let images = Tensor::new([examples, 8, 8, 1], images);
    let labels =
        Tensor::new([examples], digits.train.targets.labels()[..examples].iter().map(|it| *it as f64).collect());
    let data = [
        (Extern::TrainImages, images.clone()),
        (Extern::TrainLabels, labels.clone()),
        (Extern::TestImages, images),
        (Extern::TestLabels, labels),
    ];
    (graph, data.to_vec())
}

/// What the layers and the head are given.
fn choices() -> Vec<(&'static str, &'static str)> {
    let mut choices: Vec<(&str, &str)> = OPERATORS.iter().map(|it| (it.0, "weight_cosine")).collect();
    let heads = ["weight_linear", "weight_sigmoid", "log_conv", "sphere_face", "cos_face", "arc_face"];
    choices.extend(heads.map(|it| ("cosine", it)));
    choices.push(("cosine", "ga_softmax(inner: lr_sigmoid, lambda: 1)"));
    choices
}

fn start(engine: Engine, graph: &Typed, data: &[(Extern, Tensor)]) -> Machine {
    let mut machine = Machine::new(engine, graph.clone());
    data.iter().for_each(|(source, value)| machine.bind(source.clone(), value));
    machine
}

#[test]
fn operators_train_on_plans_as_on_the_interpreter() {
    for (norm, head) in choices() {
        let (graph, data) = demo(&[("norm", norm), ("head", head), ("widths", "[3, 4]")], 6, 24);
        let mut machines =
            [Engine::Interpreter, Engine::CpuF64, Engine::CpuF32].map(|engine| start(engine, &graph, &data));
        for step in 0..3 {
            machines.iter_mut().for_each(|it| it.run(Phase::Step));
            let [truth, wide, narrow] = &mut machines;
            for name in ["fit", "reg", "loss"] {
                let what = format!("{norm}, {head}, step {step}: {name}");
                close(&what, &wide.result(Phase::Step, name), &truth.result(Phase::Step, name), 1e-10, 0.0);
                assert!(narrow.result(Phase::Step, name)[0].is_finite(), "{what}");
            }
            let states = graph.states.iter().filter(|it| it.path.ends_with("/mu")).map(|it| &it.path);
            for path in graph.params.iter().map(|it| &it.path).chain(states) {
                let what = format!("{norm}, {head}, step {step}: {path}");
                // A gradient that is zero but for rounding (a shift before a batch normalisation) gives
                // steps of another size, so at least relative to 1.
                close(&what, &wide.read(path), &truth.read(path), 1e-10, 1.0);
                assert!(narrow.read(path).iter().all(|it| it.is_finite()), "{what}");
            }
        }
    }
}

#[test]
fn every_operator_learns_the_digits() {
    for (norm, head) in choices() {
        let (graph, data) = demo(&[("norm", norm), ("head", head), ("widths", "[8, 16]")], 32, 320);
        let mut machine = start(Engine::CpuF32, &graph, &data);
        let mut fits = Vec::new();
        for _ in 0..60 {
            machine.run(Phase::Step);
            fits.push(machine.result(Phase::Step, "fit")[0]);
        }
        let mean = |it: &[f64]| it.iter().sum::<f64>() / it.len() as f64;
        let (first, last) = (mean(&fits[..5]), mean(&fits[55..]));
        assert!(last < 0.75 * first, "{norm}, {head}: from {first} to {last}");
    }
}
