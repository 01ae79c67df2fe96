//! Whole networks against the golden vectors: gradients of the first batch, six steps of training,
//! evaluation, in every precision; the models are those of `models/`.

use crate::backends::engines::{Engine, Machine, typed};
use crate::networks::golden::{Case, Report, cases};
use sphc::autodiff::training;
use sphc::interp::Tensor;
use sphc::ir::{Extern, Phase, Shape, random};
use sphc::lower::{DataInfo, Settings};
use sphc::shape::Typed;
use std::path::Path;

/// A name that is not `none` keeps the orthogonality penalty and leaves filters without l2.
const PLAIN: &str = "operator plain(x_norm, w_norm, cos) = x_norm * w_norm * cos";

/// `linear` with the constant of the reference.
const REFERENCE_LINEAR: &str = "operator reference_linear(theta) = 1 - 0.63662 * theta";

/// The text and settings of a case, and the path its text is taken to have.
pub(crate) struct Model {
    /// `models/spherenet9.sph`.
    pub(crate) path: String,
    /// Its text, with an operator more where the case needs one.
    pub(crate) text: String,
    /// `--set`.
    pub(crate) set: Vec<(String, String)>,
}

/// The model of a case.
pub(crate) fn model(case: &Case) -> Model {
    let config = &case.meta["config"];
    let number = |key: &str| config[key].as_u64().unwrap_or_else(|| panic!("{} has no `{key}`", case.name));
    let (file, own) = match config["arch"].as_str() {
        Some("spherenet9") => ("spherenet9.sph", ("fc", number("fc_dim"))),
        Some("sphere_resnet") => ("sphereresnet32.sph", ("units", number("n_layer"))),
        other => panic!("{}: no model for {other:?}", case.name),
    };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
    let path = folder.join(file).to_string_lossy().into_owned();
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let (norm, definition) = match (config["norm"].as_str(), config["orth"].as_bool()) {
        (Some("none"), Some(true)) => ("plain", PLAIN),
        (Some("linear"), _) => ("reference_linear", REFERENCE_LINEAR),
        (Some(norm), _) => (norm, ""),
        other => panic!("{}: no operator for {other:?}", case.name),
    };
    let set = [("norm", norm.to_owned()), ("widths", config["widths"].to_string()), (own.0, own.1.to_string())];
    Model {
        path,
        text: format!("{text}\n{definition}\n"),
        set: set.map(|(name, value)| (name.to_owned(), value)).to_vec(),
    }
}

/// The training graph of a case.
fn graph(case: &Case) -> Typed {
    let model = model(case);
    let [steps, batch, h, w, c] = images(case);
    let classes = case.meta["config"]["n_class"].as_u64().expect("a number of classes") as usize;
    let data = DataInfo::images("cifar10", [h, w, c], classes, [steps * batch, batch]);
    let settings = Settings {
        set: model.set,
        batch: Some(batch),
        no_shuffle: true,
        no_augment: true,
        known_data: vec![data.clone()],
        data: Some(data),
        ..Settings::default()
    };
    training(typed(&model.path, &model.text, &settings))
}

/// Steps, batch, height, width, channels.
fn images(case: &Case) -> [usize; 5] {
    case.tensor("images").shape.dims().try_into().expect("images are [steps, batch, h, w, c]")
}

/// A machine with data and initial values; the first batch is the test set.
fn machine(case: &Case, engine: Engine, graph: &Typed) -> Machine {
    let [steps, batch, h, w, c] = images(case);
    let (images, labels) = (&case.tensor("images").data, &case.tensor("labels").data);
    let take = |n: usize| Tensor::new([n, h, w, c], images[..n * h * w * c].to_vec());
    let mut machine = Machine::new(engine, graph.clone());
    machine.bind(Extern::TrainImages, &take(steps * batch));
    machine.bind(Extern::TrainLabels, &Tensor::new([steps * batch], labels[..steps * batch].to_vec()));
    machine.bind(Extern::TestImages, &take(batch));
    machine.bind(Extern::TestLabels, &Tensor::new([batch], labels[..batch].to_vec()));
    for param in &graph.params {
        let values = initial(case, &param.path, &param.shape);
        machine.write(&param.path, &values);
    }
    machine
}

/// The initial value of a parameter: stored, or made by the rule of the large cases.
fn initial(case: &Case, path: &str, shape: &Shape) -> Vec<f64> {
    if let Some(stored) = case.tensors.get(&format!("init/{path}")) {
        assert_eq!(stored.shape, *shape, "{}: init/{path}", case.name);
        return stored.data.clone();
    }
    match path.rsplit('/').next() {
        Some("gamma") => vec![1.0; shape.len()],
        Some("beta") => vec![0.0; shape.len()],
        Some("k") => vec![f64::from(0.7f32); shape.len()],
        Some("filter") => {
            let seed = case.meta["init_seed"].as_u64().expect("a seed");
            let start = random::stream(path) ^ seed;
            let bound = (6.0 / shape.0[..3].iter().product::<usize>() as f64).sqrt();
            (1..=shape.len() as u64)
                .map(|i| {
                    let word = splitmix64(start.wrapping_add(i.wrapping_mul(0x9E37_79B9_7F4A_7C15)));
                    let u = (word >> 11) as f64 * 2f64.powi(-53);
                    f64::from((bound * (2.0 * u - 1.0)) as f32)
                })
                .collect()
        }
        other => panic!("{}: no rule for {other:?} of {path}", case.name),
    }
}

/// The output function of SplitMix64.
fn splitmix64(state: u64) -> u64 {
    let z = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Whether tensors are stored as samples and norms.
fn is_sampled(case: &Case) -> bool {
    case.under("norms/").next().is_some()
}

/// Compares a tensor of `part` (`grad0`, `final`) with what is stored of it.
fn compare(report: &mut Report, case: &Case, part: &str, path: &str, found: &[f64], tolerance: f64) {
    let what = format!("{} {part}/{path}", case.name);
    if !is_sampled(case) {
        report.close(&what, found, &case.tensor(&format!("{part}/{path}")).data, tolerance);
        return;
    }
    let sample: Vec<f64> = (0..64).map(|j| found[j * found.len() / 64]).collect();
    let expected = case.tensor(&format!("sample/{part}/{path}"));
    let norms = &case.tensor(&format!("norms/{part}/{path}")).data;
    let norm = found.iter().map(|it| it * it).sum::<f64>().sqrt();
    let largest = found.iter().fold(0.0f64, |largest, it| largest.max(it.abs()));
    // A sample is judged by the largest entry of the whole tensor.
    let scaled = |values: &[f64]| values.iter().map(|it| it / norms[1]).chain([1.0]).collect::<Vec<_>>();
    report.close(&what, &scaled(&sample), &scaled(&expected.data), tolerance);
    report.close(&format!("{what} norm"), &[norm], &norms[..1], tolerance);
    report.close(&format!("{what} max"), &[largest], &norms[1..], tolerance);
}

/// `d loss / d param` of the step that ran first, out of Adam's first moment.
fn compare_gradients(report: &mut Report, case: &Case, machine: &mut Machine, graph: &Typed, tolerance: f64) {
    let beta1 = case.meta["adam"]["beta1"].as_f64().expect("a decay");
    for param in &graph.params {
        let moment = machine.read(&format!("{}/adam_m", param.path));
        let gradient: Vec<f64> = moment.iter().map(|it| it / (1.0 - beta1)).collect();
        compare(report, case, "grad0", &param.path, &gradient, tolerance);
    }
}

/// How close each step comes: the first, and from there to the last.
struct Bounds {
    first: f64,
    last: f64,
    /// Gradients of the first step; `None` does not look.
    gradients: Option<f64>,
    /// Final parameters, running statistics and scores; `None` does not look.
    end: Option<f64>,
}

/// Runs `steps` steps and compares losses, gradients and the end.
fn train(report: &mut Report, case: &Case, engine: Engine, steps: usize, bounds: &Bounds) {
    let graph = graph(case);
    let mut machine = machine(case, engine, &graph);
    for step in 0..steps {
        machine.run(Phase::Step);
        let tolerance = if step == 0 { bounds.first } else { bounds.last };
        for name in ["fit", "reg", "orth"] {
            let expected = case.tensor(&format!("float64/{name}")).data[step];
            let what = format!("{} {engine:?} step {step} {name}", case.name);
            report.close(&what, &machine.result(Phase::Step, name), &[expected], tolerance);
        }
        // One flipped decision of eight is what f32 may do.
        let accuracy = if bounds.first < 1e-8 { 1e-12 } else { 1.0 };
        let expected = case.tensor("float64/acc").data[step];
        let what = format!("{} {engine:?} step {step} accuracy", case.name);
        report.close(&what, &machine.result(Phase::Step, "accuracy"), &[expected], accuracy);
        if let (0, Some(tolerance)) = (step, bounds.gradients) {
            compare_gradients(report, case, &mut machine, &graph, tolerance);
        }
    }
    if let Some(tolerance) = bounds.end {
        for param in &graph.params {
            let found = machine.read(&param.path);
            compare(report, case, "final", &param.path, &found, tolerance);
        }
        for state in graph.states.iter().filter(|it| it.path.contains("/bn/ema_")) {
            let found = machine.read(&state.path);
            compare(report, case, "final", &state.path, &found, tolerance);
        }
        machine.run(Phase::Evaluate);
        let scores = machine.result(Phase::Evaluate, "scores");
        let what = format!("{} {engine:?} scores", case.name);
        report.close(&what, &scores, &case.tensor("float64/eval_score_after").data, tolerance);
    }
}

fn steps(case: &Case) -> usize {
    case.meta["steps"].as_u64().expect("a number of steps") as usize
}

/// The interpreter and the slow machine for plans take one step of the small networks.
#[test]
fn the_first_step_of_small_networks_is_that_of_the_reference() {
    let mut report = Report::default();
    for case in cases("network").iter().filter(|it| !is_sampled(it)) {
        for engine in [Engine::Interpreter, Engine::SlowPlan] {
            let bounds = Bounds { first: 1e-10, last: 1e-10, gradients: Some(1e-10), end: None };
            train(&mut report, case, engine, 1, &bounds);
        }
    }
    report.finish();
}

#[test]
fn networks_train_as_the_reference_in_f64() {
    let mut report = Report::default();
    for case in cases("network") {
        let bounds = Bounds { first: 1e-10, last: 1e-10, gradients: Some(1e-10), end: Some(1e-8) };
        train(&mut report, &case, Engine::CpuF64, steps(&case), &bounds);
    }
    report.finish();
}

#[test]
fn networks_train_near_the_reference_in_f32() {
    let mut report = Report::default();
    for case in cases("network") {
        let bounds = Bounds { first: 1e-5, last: 2e-2, gradients: None, end: None };
        train(&mut report, &case, Engine::CpuF32, steps(&case), &bounds);
    }
    report.finish();
}

#[test]
fn the_rule_of_initial_filters_gives_what_is_stored() {
    let mut report = Report::default();
    for case in cases("network") {
        for (path, stored) in case.under("init/") {
            if path.ends_with("/filter") {
                let mut bare = Case { name: case.name.clone(), meta: case.meta.clone(), tensors: Default::default() };
                bare.tensors.clear();
                let made = initial(&bare, path, &stored.shape);
                report.close(&format!("{} init/{path}", case.name), &made, &stored.data, 0.0);
            }
        }
    }
    report.finish();
}
