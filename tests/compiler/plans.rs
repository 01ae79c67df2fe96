//! Plans mean what their graphs mean: random graphs through fusion, selection, scheduling and memory
//! planning, against the interpreter.

use crate::compiler::machine::{Machine, same};
use proptest::prelude::*;
use sphc::fuse::{Fused, fuse};
use sphc::interp::{Env, Tensor, run};
use sphc::ir::op::Scalar64;
use sphc::ir::{
    Along, Binary, DType, Extern, Init, NodeId, Op, Param, ParamRole, Phase, Precision, Reduction, ScalarFn, Shape,
    State, StateRole, Target, Unary, Window,
};
use sphc::plan::{Config, Plan, from_yaml, plan, to_yaml};
use sphc::shape::{Builder, Typed};

const N: usize = 2;
const H: usize = 3;
const W: usize = 4;
const C: usize = 3;

/// A builder with leaves of all kinds, and nodes to pick from.
struct Random {
    b: Builder,
    nodes: Vec<NodeId>,
    targets: Vec<(Target, Shape)>,
}

impl Random {
    fn new() -> Random {
        let mut res = Random { b: Builder::empty("random"), nodes: Vec::new(), targets: Vec::new() };
        let image = res.b.named_input("image", [N, H, W, C], DType::Real);
        res.nodes.push(image);
        for (path, shape) in [("w", vec![3, 3, C, C]), ("p", vec![N, H, W, C]), ("gamma", vec![C]), ("beta", vec![C])] {
            let shape = Shape(shape);
            let id = res.b.tables().add_param(Param {
                path: path.to_owned(),
                shape: shape.clone(),
                init: Init::Normal(Scalar64(0.5)),
                role: ParamRole::Filter,
                layer: String::new(),
                operator: String::new(),
                origin: Default::default(),
            });
            res.nodes.push(res.b.add(Op::Param(id), &[]));
            res.targets.push((Target::Param(id), shape));
        }
        for (path, shape) in [("s", vec![N, H, W, C]), ("t", vec![C]), ("u", vec![C]), ("v", vec![])] {
            let shape = Shape(shape);
            let id = res.b.tables().add_state(State {
                path: path.to_owned(),
                shape: shape.clone(),
                dtype: DType::Real,
                init: 0.25,
                role: StateRole::Running,
                never_negative: false,
                origin: Default::default(),
            });
            res.nodes.push(res.b.add(Op::State(id), &[]));
            res.targets.push((Target::State(id), shape));
        }
        let step = res.b.tables().add_state(State {
            path: "step".to_owned(),
            shape: Shape::scalar(),
            dtype: DType::Int,
            init: 3.0,
            role: StateRole::Step,
            never_negative: false,
            origin: Default::default(),
        });
        let count = res.b.add(Op::State(step), &[]);
        let half = res.b.scale(count, 0.5);
        res.nodes.push(half);
        let one_more = ScalarFn::build(1, |pool, i| {
            let one = pool.constant(1.0);
            pool.add(i[0], one)
        });
        let next = res.b.add(Op::Map { body: one_more, int: true }, &[count]);
        let effect = res.b.add(Op::Update(Target::State(step)), &[next]);
        res.b.tables().effects.entry(Phase::Step).or_default().push(effect);
        res.nodes.push(res.b.constant(0.75, Shape::from([C])));
        res
    }

    fn pick(&self, at: u32) -> NodeId {
        // Prefers the latest.
        let back = (at % 7).min(at % 31) as usize;
        let from = self.nodes.len() - 1;
        if at.is_multiple_of(3) { self.nodes[at as usize % (from + 1)] } else { self.nodes[from - back % (from + 1)] }
    }

    fn shape(&self, id: NodeId) -> Shape {
        self.b.graph().shape(id).clone()
    }

    fn image(&mut self, id: NodeId) -> NodeId {
        let shape = self.shape(id);
        let full = Shape::from([N, H, W, C]);
        if shape == full {
            return id;
        }
        if shape.broadcast(&full).as_ref() == Some(&full) {
            return self.b.broadcast(id, full);
        }
        if shape.len() == full.len() {
            return self.b.reshape(id, full);
        }
        self.nodes[0]
    }

    /// One more node, whichever `choice` says.
    fn grow(&mut self, (choice, x, y, z): (u8, u32, u32, u32)) {
        let a = self.pick(x);
        let shape = self.shape(a);
        let new = match choice % 16 {
            0 => self.b.unary([Unary::Neg, Unary::Abs, Unary::Tanh, Unary::Logistic, Unary::Sin][z as usize % 5], a),
            1..=4 => {
                let b = self.pick(y);
                let Some(both) = shape.broadcast(&self.shape(b)) else { return };
                if N * H * W * C < both.len() {
                    return;
                }
                let op = [Binary::Add, Binary::Sub, Binary::Mul, Binary::Max][z as usize % 4];
                let body = ScalarFn::build(2, |pool, i| {
                    let quarter = pool.constant(0.4);
                    let value = pool.binary(op, i[0], i[1]);
                    pool.mul(value, quarter)
                });
                self.b.map(body, &[a, b])
            }
            5 | 6 => {
                let axes: Vec<usize> = (0..shape.rank()).filter(|it| z >> it & 1 == 1).collect();
                if axes.is_empty() {
                    return;
                }
                let kind = if y.is_multiple_of(4) { Reduction::Max } else { Reduction::Sum };
                self.b.add(Op::Reduce { kind, axes }, &[a])
            }
            7 => self.image(a),
            8 => {
                let squeezed: Vec<usize> = shape.dims().iter().copied().filter(|&it| it != 1).collect();
                let flat = vec![shape.len() / C.min(shape.len()), C.min(shape.len())];
                let column = [squeezed.clone(), vec![1]].concat();
                let to = match z % 4 {
                    0 => squeezed,
                    1 => column,
                    2 if shape.len().is_multiple_of(C) => flat,
                    _ => [vec![1], shape.0.clone()].concat(),
                };
                if 4 < to.len() {
                    return;
                }
                self.b.reshape(a, Shape(to))
            }
            9 => {
                let x = self.image(a);
                let w = self.nodes[1];
                let geometry = same([H, W], 3);
                match z % 3 {
                    0 => self.b.add(Op::Conv(geometry), &[x, w]),
                    1 => self.b.add(Op::ConvInputGrad { geometry, size: [H, W] }, &[x, w]),
                    _ => {
                        let b = self.pick(y);
                        let dy = self.image(b);
                        self.b.add(Op::ConvFilterGrad(geometry), &[x, dy])
                    }
                }
            }
            10 => {
                let x = self.image(a);
                let kind = if z.is_multiple_of(2) { Window::Sum } else { Window::Max };
                self.b.add(Op::Window { kind, geometry: same([H, W], 2 + (z % 2) as usize) }, &[x])
            }
            11 if z.is_multiple_of(2) => {
                let x = self.image(a);
                self.b.add(Op::Transpose(vec![3, 0, 2, 1]), &[x])
            }
            11 => {
                // The front of one behind the end of another, which is mirrored.
                let (x, b) = (self.image(a), self.pick(y));
                let other = self.image(b);
                let cut = (z / 2) as usize % C;
                let mut places = vec![vec![Along::START; 4]; 2];
                places[0][3].start = cut as i64;
                places[1][3] = Along { start: cut as i64 - 1, turned: true };
                self.b.add(Op::Assemble { shape: Shape::from([N, H, W, C]), places }, &[x, other])
            }
            12 => {
                let (x, b) = (self.image(a), self.pick(y));
                let other = self.image(b);
                let flat = Shape::from([N * H * W, C]);
                let (x, other) = (self.b.reshape(x, flat.clone()), self.b.reshape(other, flat));
                self.b.add(Op::MatMul { transpose_a: true, transpose_b: false }, &[x, other])
            }
            13 => {
                // A batch normalisation: several passes over one tensor.
                let x = self.image(a);
                let mean = self.b.sum(x, &[0, 1, 2]);
                let mean = self.b.scale(mean, 1.0 / (N * H * W) as f64);
                let centred = self.b.binary(Binary::Sub, x, mean);
                let square = self.b.binary(Binary::Mul, centred, centred);
                let variance = self.b.sum(square, &[0, 1, 2]);
                let body = ScalarFn::build(1, |pool, i| {
                    let one = pool.constant(1.0);
                    let sum = pool.add(i[0], one);
                    pool.unary(Unary::Rsqrt, sum)
                });
                let scale = self.b.map(body, &[variance]);
                let scaled = self.b.binary(Binary::Mul, centred, scale);
                let gamma = self.nodes[3];
                let scaled = self.b.binary(Binary::Mul, scaled, gamma);
                let zero = self.b.constant(0.0, Shape::scalar());
                self.b.binary(Binary::Max, scaled, zero)
            }
            _ => {
                let (target, wanted) = self.targets[z as usize % self.targets.len()].clone();
                let value = if shape == wanted {
                    a
                } else if shape.len() == wanted.len() {
                    self.b.reshape(a, wanted)
                } else if shape.broadcast(&wanted).as_ref() == Some(&wanted) {
                    self.b.broadcast(a, wanted)
                } else {
                    return;
                };
                let phase = if y.is_multiple_of(4) { Phase::Evaluate } else { Phase::Step };
                let update = self.b.add(Op::Update(target), &[value]);
                self.b.tables().effects.entry(phase).or_default().push(update);
                if x.is_multiple_of(2) { update } else { return }
            }
        };
        self.nodes.push(new);
    }

    fn finish(mut self, results: &[u32]) -> Typed {
        for (at, &which) in results.iter().enumerate() {
            let id = self.nodes[which as usize % self.nodes.len()];
            let phase = if which.is_multiple_of(3) { Phase::Evaluate } else { Phase::Step };
            self.b.tables().results.entry(phase).or_default().insert(format!("r{at}").into(), id);
        }
        sphc::ir::verify::verify(self.b.graph(), "random");
        self.b.finish()
    }
}

pub(crate) fn compile(typed: Typed, precision: Precision) -> (Fused, Plan) {
    let fused = fuse(typed);
    let config =
        Config { precision, hash: "00".to_owned(), source: String::new(), line: &|_| "models/x.sph:1".to_owned() };
    let plan = plan(&fused, &config);
    (fused, plan)
}

fn close(name: &str, found: &[f64], expected: &[f64], text: &dyn Fn() -> String) {
    let largest = expected.iter().filter(|it| it.is_finite()).fold(1.0, |a: f64, b| a.max(b.abs()));
    assert_eq!(found.len(), expected.len());
    for (at, (x, y)) in found.iter().zip(expected).enumerate() {
        let fine = x == y || (x - y).abs() <= 1e-9 * largest || (x.is_nan() && y.is_nan());
        assert!(fine, "{name}[{at}]: {x} and not {y}\n{}", text());
    }
}

/// Runs both, twice each phase.
fn compare(typed: Typed) {
    let graph = typed.graph().clone();
    let (fused, plan) = compile(typed, Precision::F64);
    let text = || format!("{graph}\n{fused}\n{}", to_yaml(&plan).expect("a plan is YAML"));
    let image = Tensor::new([N, H, W, C], (0..N * H * W * C).map(|it| (it as f64 * 0.7).sin()).collect());
    let mut env = Env::new(&graph, plan.seed);
    env.bind("image", image.clone());
    let mut machine = Machine::new(plan.clone());
    machine.bind(&Extern::Named("image".to_owned()), &image.data);
    for phase in [Phase::Step, Phase::Evaluate, Phase::Step, Phase::Evaluate] {
        let expected = run(&graph, &mut env, phase);
        let found = machine.run(phase);
        assert_eq!(found.len(), expected.len());
        for (name, tensor) in &expected {
            close(name, &found[name], &tensor.data, &text);
        }
        for (param, tensor) in graph.params.iter().zip(&env.params) {
            close(&param.path, &machine.read(&param.path), &tensor.data, &text);
        }
        for (state, tensor) in graph.states.iter().zip(&env.states) {
            close(&state.path, &machine.read(&state.path), &tensor.data, &text);
        }
    }
}

pub(crate) type Choice = (u8, u32, u32, u32);

pub(crate) fn random_graph() -> impl Strategy<Value = (Vec<Choice>, Vec<u32>)> {
    let choice = (any::<u8>(), 0u32..1000, 0u32..1000, 0u32..1000);
    (proptest::collection::vec(choice, 1..45), proptest::collection::vec(0u32..1000, 1..6))
}

pub(crate) fn build((choices, results): &(Vec<Choice>, Vec<u32>)) -> Typed {
    let mut random = Random::new();
    choices.iter().for_each(|&it| random.grow(it));
    random.finish(results)
}

proptest! {
    #![proptest_config(crate::cases(300))]

    #[test]
    fn plans_of_random_graphs_compute_what_the_graphs_mean(raw in random_graph()) {
        compare(build(&raw));
    }

    #[test]
    fn plans_survive_yaml_to_the_bit(raw in random_graph()) {
        let (_, plan) = compile(build(&raw), Precision::F32);
        let text = to_yaml(&plan).expect("a plan is YAML");
        let back = from_yaml("plan.yaml", &text).expect("what was written can be read");
        prop_assert_eq!(&back, &plan);
        prop_assert_eq!(to_yaml(&back).expect("a plan is YAML"), text);
    }
}

/// Bytes, integers, random numbers and a loss: one step of a linear classifier on a data set.
#[test]
fn a_classifier_on_bytes_trains_as_the_interpreter_says() {
    let (examples, batch, classes) = (7, 4, 3);
    let mut b = Builder::empty("classifier");
    let step = b.tables().add_state(State {
        path: "step".to_owned(),
        shape: Shape::scalar(),
        dtype: DType::Int,
        init: 0.0,
        role: StateRole::Step,
        never_negative: false,
        origin: Default::default(),
    });
    let w = b.tables().add_param(Param {
        path: "score/filter".to_owned(),
        shape: Shape::from([H * W * C, classes]),
        init: Init::Normal(Scalar64(0.1)),
        role: ParamRole::Filter,
        layer: "score".to_owned(),
        operator: "none".to_owned(),
        origin: Default::default(),
    });
    let count = b.add(Op::State(step), &[]);
    let random = |kind, shape: Shape, stream| Op::Random { kind, shape, stream, first: 0 };
    let index = b.add(random(sphc::ir::Random::Shuffle { examples }, Shape::from([batch]), 1), &[count]);
    let uniform = b.add(random(sphc::ir::Random::Uniform, Shape::from([batch, 3]), 2), &[count]);
    let input = |source, shape, dtype| Op::Input { source, shape, dtype };
    let images = b.add(input(Extern::TrainImages, Shape::from([examples, H, W, C]), DType::U8), &[]);
    let labels = b.add(input(Extern::TrainLabels, Shape::from([examples]), DType::Int), &[]);
    let picked = b.add(Op::picks(&crate::files::images::mirrored_crop([H, W], 1)), &[images, index, uniform]);
    let labels = b.add(Op::Gather, &[labels, index]);
    let x = b.scale(picked, 1.0 / 128.0);
    let x = b.reshape(x, Shape::from([batch, H * W * C]));
    let filter = b.add(Op::Param(w), &[]);
    let logits = b.add(Op::MatMul { transpose_a: false, transpose_b: false }, &[x, filter]);
    let (smoothing, floor) = (Scalar64(0.01), Scalar64(1e-4));
    let loss = b.add(Op::Loss(sphc::ir::Loss::CrossEntropy { smoothing, floor }), &[logits, labels]);
    let correct = b.add(Op::Loss(sphc::ir::Loss::Correct), &[logits, labels]);
    let sum = b.sum_all(loss);
    let share = b.constant(1.0 / batch as f64, Shape::from([batch]));
    let g = b.add(Op::Loss(sphc::ir::Loss::CrossEntropyGrad { smoothing, floor }), &[logits, labels, share]);
    let dw = b.add(Op::MatMul { transpose_a: true, transpose_b: false }, &[x, g]);
    let step_down = b.scale(dw, 0.1);
    let new = b.binary(Binary::Sub, filter, step_down);
    let next = ScalarFn::build(1, |pool, i| {
        let one = pool.constant(1.0);
        pool.add(i[0], one)
    });
    let next = b.add(Op::Map { body: next, int: true }, &[count]);
    let effects = vec![b.add(Op::Update(Target::Param(w)), &[new]), b.add(Op::Update(Target::State(step)), &[next])];
    let tables = b.tables();
    tables.effects.insert(Phase::Step, effects);
    let results = [("loss", sum), ("correct", correct), ("step", count), ("old", filter)];
    tables.results.insert(Phase::Step, results.map(|(name, id)| (name.into(), id)).into());
    let typed = b.finish();
    let graph = typed.graph().clone();
    let (_, plan) = compile(typed, Precision::F64);
    let mut env = Env::new(&graph, plan.seed);
    let mut machine = Machine::new(plan);
    let pixels = Tensor::new([examples, H, W, C], (0..examples * H * W * C).map(|it| (it * 37 % 256) as f64).collect());
    let labels = Tensor::new([examples], (0..examples).map(|it| (it % classes) as f64).collect());
    for (source, tensor) in [(Extern::TrainImages, pixels), (Extern::TrainLabels, labels)] {
        machine.bind(&source, &tensor.data);
        env.externs.insert(source, tensor);
    }
    for _ in 0..5 {
        let expected = run(&graph, &mut env, Phase::Step);
        let found = machine.run(Phase::Step);
        for (name, tensor) in &expected {
            close(name, &found[name], &tensor.data, &String::new);
        }
    }
    close("filter", &machine.read("score/filter"), &env.params[0].data, &String::new);
    assert_eq!(machine.read("step"), [5.0]);
}
