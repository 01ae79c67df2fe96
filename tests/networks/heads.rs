//! Heads that see the label in training (`models/operators/heads.sph`): values against their formulas with
//! and without the label, gradients against central differences, and numbers that stay finite where patch
//! and filter are parallel, opposite, huge or zero.

use crate::backends::engines::{Engine, Machine, typed};
use crate::language::lower::settings;
use crate::networks::operators::{close, numbers, path};
use sphc::autodiff::gradients;
use sphc::interp::Tensor;
use sphc::ir::{DType, Extern, Mode, Op, ParamId, Phase};
use sphc::shape::{Builder, Typed};
use std::f64::consts::{FRAC_2_PI, PI};

/// What a head can depend on: the angle and its cosine, the patch's norm, whether the filter is the label's.
struct At {
    theta: f64,
    c: f64,
    n: f64,
    label: bool,
    /// Learned; starts as f32 has it.
    k: f64,
}

impl At {
    fn times(&self, m: f64) -> f64 {
        if self.label { m * self.theta } else { self.theta }
    }

    /// `(-1)^k cos(m theta) - 2k`, found by its definition: `k` such that `m theta` is in `[k pi, (k+1) pi]`.
    fn psi(&self, m: f64) -> f64 {
        let mut k = 0.0;
        while (k + 1.0) * PI < m * self.theta {
            k += 1.0;
        }
        (if k % 2.0 == 0.0 { 1.0 } else { -1.0 }) * (m * self.theta).cos() - 2.0 * k
    }

    fn mixed(&self, m: f64, lambda: f64) -> f64 {
        if self.label { (lambda * self.c + self.psi(m)) / (1.0 + lambda) } else { self.c }
    }
}

fn linear(theta: f64) -> f64 {
    1.0 - FRAC_2_PI * theta
}

/// As the SphereNet paper writes it.
fn sigmoid(theta: f64, k: f64) -> f64 {
    let (e0, e) = ((-PI / (2.0 * k)).exp(), (theta / k - PI / (2.0 * k)).exp());
    (1.0 + e0) / (1.0 - e0) * (1.0 - e) / (1.0 + e)
}

fn arc_face(it: &At, s: f64, m: f64) -> f64 {
    let moved = if it.theta + m <= PI { (it.theta + m).cos() } else { it.c - m * m.sin() };
    s * if it.label { moved } else { it.c }
}

type Formula = (&'static str, fn(&At) -> f64);

const HEADS: &[Formula] = &[
    ("ga_softmax", |it| it.n * linear(it.times(2.0))),
    ("ga_softmax(inner: sigmoid, m: 3)", |it| it.n * sigmoid(it.times(3.0), 0.3)),
    ("ga_softmax(inner: lr_sigmoid)", |it| it.n * sigmoid(it.times(2.0), it.k.abs() + 0.05)),
    ("ga_softmax(inner: linear, m: 4, lambda: 3)", |it| it.n * (3.0 * linear(it.theta) + linear(it.times(4.0))) / 4.0),
    ("ga_softmax(inner: falling_cosine, m: 4, lambda: 5)", |it| it.n * it.mixed(4.0, 5.0)),
    ("sphere_face", |it| it.n * it.mixed(4.0, 5.0)),
    ("sphere_face(m: 3, lambda: 0)", |it| it.n * it.mixed(3.0, 0.0)),
    ("cos_face", |it| 30.0 * (it.c - if it.label { 0.35 } else { 0.0 })),
    ("cos_face(s: 16, m: 0.2)", |it| 16.0 * (it.c - if it.label { 0.2 } else { 0.0 })),
    ("arc_face", |it| arc_face(it, 30.0, 0.5)),
    ("arc_face(m: 1.2)", |it| arc_face(it, 30.0, 1.2)),
];

/// Examples, and numbers that the layer before the head makes of each.
const EXAMPLES: usize = 8;
const LENGTH: usize = 6;
const CLASSES: usize = 10;

/// A head on one layer, with the gradients of the outputs' sum weighed by `seed`, in both modes.
fn graph(head: &str) -> Typed {
    let text = format!(
        "import \"operators/heads.sph\"\nmodel Case {{\n    input image: u8[8, 8, 1]\n    \
         x = conv(image / 16, {LENGTH}, kernel: 8, pad: valid) as \"x\"\n    \
         output sphere_conv(x, classes, kernel: 1, operator: {head}) as \"a\"\n}}\n\
         train {{\n    data digits\n    batch {EXAMPLES}\n    iterations 10\n    loss softmax_cross_entropy()\n    \
         optimizer sgd(rate: 0.1)\n}}\n"
    );
    let mut settings = settings(&[]);
    settings.no_shuffle = true;
    for data in settings.known_data.iter_mut().filter(|it| it.name == "digits") {
        (data.train_examples, data.test_examples) = (EXAMPLES, EXAMPLES);
    }
    let mut b = Builder::new(typed(&path("case.sph"), &text, &settings));
    for (phase, mode) in [(Phase::Step, Mode::Train), (Phase::Evaluate, Mode::Evaluate)] {
        let output = b.graph().outputs[&mode];
        let seed = b.named_input("seed", [EXAMPLES, CLASSES], DType::Real);
        let wrt: Vec<(String, _)> = (0..b.graph().params.len())
            .map(|at| (b.graph().params[at].path.clone(), b.add(Op::Param(ParamId(at as u32)), &[])))
            .collect();
        let nodes: Vec<_> = wrt.iter().map(|it| it.1).collect();
        let slopes = gradients(&mut b, output, seed, &nodes);
        let results = b.tables().results.entry(phase).or_default();
        results.insert("output".into(), output);
        results.extend(wrt.into_iter().zip(slopes).map(|((name, _), slope)| (format!("grad/{name}").into(), slope)));
    }
    b.finish()
}

fn images() -> Vec<f64> {
    (0..EXAMPLES * 64).map(|at| (at * at % 17) as f64).collect()
}

fn labels() -> Vec<f64> {
    (0..EXAMPLES).map(|at| (at * 3 % CLASSES) as f64).collect()
}

/// What the layer before the head is multiplied with, and the head's filters, `[LENGTH, CLASSES]`.
struct Values {
    x: Vec<f64>,
    a: Vec<f64>,
    seed: Vec<f64>,
}

impl Values {
    fn new(salt: u64) -> Values {
        Values {
            x: numbers(64 * LENGTH, salt).iter().map(|it| 0.2 * it).collect(),
            a: numbers(LENGTH * CLASSES, salt + 1).iter().map(|it| 0.5 * it).collect(),
            seed: numbers(EXAMPLES * CLASSES, salt + 2),
        }
    }

    /// What the head sees of an example.
    fn patch(&self, example: usize) -> Vec<f64> {
        let images = images();
        let of = |k: usize| (0..64).map(|at| images[example * 64 + at] / 16.0 * self.x[at * LENGTH + k]).sum();
        (0..LENGTH).map(of).collect()
    }
}

fn machine(engine: Engine, graph: &Typed, values: &Values) -> Machine {
    let mut machine = Machine::new(engine, graph.clone());
    for (images_of, labels_of) in [(Extern::TrainImages, Extern::TrainLabels), (Extern::TestImages, Extern::TestLabels)]
    {
        machine.bind(images_of, &Tensor::new([EXAMPLES, 8, 8, 1], images()));
        machine.bind(labels_of, &Tensor::new([EXAMPLES], labels()));
    }
    machine.bind_named("seed", &Tensor::new([EXAMPLES, CLASSES], values.seed.clone()));
    machine.write("x/filter", &values.x);
    machine.write("a/filter", &values.a);
    machine
}

#[test]
fn heads_mean_their_formulas_with_the_label_and_without() {
    for (name, formula) in HEADS {
        let graph = graph(name);
        let values = Values::new(500);
        for engine in Engine::ALL {
            let mut machine = machine(engine, &graph, &values);
            for phase in [Phase::Step, Phase::Evaluate] {
                machine.run(phase);
                let found = machine.result(phase, "output");
                let mut expected = Vec::new();
                for (example, class) in (0..EXAMPLES).flat_map(|it| (0..CLASSES).map(move |k| (it, k))) {
                    let (x, w) = (values.patch(example), values.a[class..].iter().step_by(CLASSES));
                    let dot: f64 = x.iter().zip(w.clone()).map(|(x, w)| x * w).sum();
                    let norm = |it: &mut dyn Iterator<Item = f64>| (it.map(|it| it * it).sum::<f64>() + 1e-4).sqrt();
                    let n = norm(&mut x.iter().copied());
                    let c = dot / n / norm(&mut w.copied());
                    let label = phase == Phase::Step && labels()[example] == class as f64;
                    expected.push(formula(&At { theta: c.acos(), c, n, label, k: f64::from(0.7f32) }));
                }
                let tolerance = if engine == Engine::CpuF32 { engine.tolerance() } else { 1e-12 };
                close(&format!("{engine:?} {name} {phase:?}"), &found, &expected, tolerance, 0.0);
            }
        }
    }
}

#[test]
fn gradients_of_heads_agree_with_differences() {
    for (name, _) in HEADS {
        let graph = graph(name);
        let values = Values::new(520);
        let mut machine = machine(Engine::Interpreter, &graph, &values);
        for phase in [Phase::Step, Phase::Evaluate] {
            for param in graph.params.iter().map(|it| it.path.clone()) {
                machine.run(phase);
                let found = machine.result(phase, format!("grad/{param}"));
                let value = machine.read(&param);
                let mut side = |at: usize, h: f64| {
                    let mut moved = value.clone();
                    moved[at] += h;
                    machine.write(&param, &moved);
                    machine.run(phase);
                    let output = machine.result(phase, "output");
                    output.iter().zip(&values.seed).map(|(y, seed)| y * seed).sum::<f64>()
                };
                let mut chord = |at: usize, h: f64| (side(at, h) - side(at, -h)) / (2.0 * h);
                // Every third number of the first layer keeps this quick.
                let step = if param == "x/filter" { 3 } else { 1 };
                let expected: Vec<f64> =
                    (0..value.len()).step_by(step).map(|at| (4.0 * chord(at, 2e-4) - chord(at, 4e-4)) / 3.0).collect();
                machine.write(&param, &value);
                let found: Vec<f64> = found.into_iter().step_by(step).collect();
                // Rounding of sums of some hundred over 2e-4 against slopes of that size.
                close(&format!("{name} {phase:?}: {param}"), &found, &expected, 2e-8, 0.0);
            }
        }
    }
}

/// Filters along and against the patches of all examples, of many norms; some zero.
#[test]
fn heads_stay_finite_where_they_are_singular() {
    let mut wrong = String::new();
    for (name, _) in HEADS {
        let graph = graph(name);
        for scale in [0.0, 1e-6, 0.2, 1e4] {
            let mut values = Values::new(540);
            values.x.iter_mut().for_each(|it| *it *= scale);
            values.seed = vec![1.0; EXAMPLES * CLASSES];
            for class in 0..CLASSES {
                // The filter of each label lies along or against the patch of its first example.
                let patch = match labels().iter().position(|it| *it == class as f64) {
                    Some(example) => values.patch(example),
                    None => vec![0.0; LENGTH],
                };
                for (k, it) in patch.iter().enumerate() {
                    let along = if class % 2 == 0 { 1.0 } else { -1.0 };
                    values.a[k * CLASSES + class] = along * it * [1.0, 1e-4, 1e4][class % 3];
                }
            }
            for engine in [Engine::Interpreter, Engine::CpuF64, Engine::CpuF32] {
                let mut machine = machine(engine, &graph, &values);
                for phase in [Phase::Step, Phase::Evaluate] {
                    machine.run(phase);
                    for result in graph.results[&phase].keys() {
                        let found = machine.result(phase, result);
                        if let Some(it) = found.iter().find(|it| !it.is_finite()) {
                            wrong += &format!("{engine:?} {name} {phase:?} {result}: {it} at {scale}\n");
                        }
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
