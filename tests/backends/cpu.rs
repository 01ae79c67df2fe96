//! The CPU backend against the interpreter: each kernel family, random graphs, the same bits for any
//! number of threads, and plans that contradict themselves.

use crate::compiler::plans::{build, compile, random_graph};
use proptest::prelude::*;
use sphc::interp::{Env, Tensor, run};
use sphc::ir::augment::draws;
use sphc::ir::op::Scalar64;
use sphc::ir::{
    Along, Augment, Binary, DType, Extern, Geometry, Loss, NodeId, Op, Phase, Precision, Reduction, ScalarFn, Shape,
    Unary, Window,
};
use sphc::plan::{BufferId, BufferKind, Plan};
use sphc::runtime::cpu::CpuBackend;
use sphc::runtime::{RuntimeError, Session};
use sphc::shape::{Builder, Typed};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Reproducible numbers without a pattern.
pub(crate) fn numbers(count: usize, salt: u64) -> Vec<f64> {
    (0..count).map(|at| f64::from(sphc::ir::random::normal(salt, 9, at) as f32)).collect()
}

/// Bytes of a tensor as a plan's buffer holds them.
fn bytes(values: &[f64], dtype: DType, precision: Precision) -> Vec<u8> {
    match (dtype, precision.is_double()) {
        (DType::U8, _) => values.iter().map(|it| *it as u8).collect(),
        (DType::U16, _) => values.iter().flat_map(|it| (*it as u16).to_ne_bytes()).collect(),
        (DType::Bf16, _) => panic!("no tensor of a graph has 16 bits"),
        (DType::Int, _) => values.iter().flat_map(|it| (*it as i64).to_ne_bytes()).collect(),
        (DType::Real, false) => values.iter().flat_map(|it| (*it as f32).to_ne_bytes()).collect(),
        (DType::Real, true) => values.iter().flat_map(|it| it.to_ne_bytes()).collect(),
    }
}

/// A graph with bound inputs and results of the phase `Step`.
pub(crate) struct Case {
    pub(crate) b: Builder,
    inputs: BTreeMap<String, (Tensor, DType)>,
}

impl Case {
    pub(crate) fn new() -> Case {
        Case { b: Builder::empty("case"), inputs: BTreeMap::new() }
    }

    fn real(&mut self, shape: &[usize]) -> NodeId {
        let shape = Shape(shape.to_vec());
        let values = numbers(shape.len(), self.inputs.len() as u64);
        self.bind(Tensor::new(shape, values), DType::Real)
    }

    pub(crate) fn bind(&mut self, tensor: Tensor, dtype: DType) -> NodeId {
        let name = format!("x{}", self.inputs.len());
        let id = self.b.named_input(&name, tensor.shape.clone(), dtype);
        self.inputs.insert(name, (tensor, dtype));
        id
    }

    pub(crate) fn result(&mut self, id: NodeId) {
        let results = self.b.tables().results.entry(Phase::Step).or_default();
        results.insert(format!("r{}", results.len()).into(), id);
    }

    /// Runs everywhere; `tolerance` is relative to the largest entry, in f32; in f64 it is 1e-12.
    pub(crate) fn check(self, tolerance: f64) {
        self.check_both([tolerance, 1e-12]);
    }

    /// The same with the tolerances in f32 and f64.
    pub(crate) fn check_both(self, tolerances: [f64; 2]) {
        let inputs = self.inputs;
        check(self.b.finish(), &inputs, tolerances, 1e-30, 1);
    }
}

fn session(plan: &Arc<Plan>, backend: CpuBackend, inputs: &BTreeMap<String, (Tensor, DType)>) -> Session {
    let mut session = Session::new(plan.clone(), Box::new(backend)).expect("memory for a small plan");
    for (name, (tensor, dtype)) in inputs {
        let bytes = bytes(&tensor.data, *dtype, plan.precision);
        session.bind(Extern::Named(name.clone()), &bytes).expect("inputs have the size of the plan");
    }
    session
}

/// Compares relative to the tensor's largest entry, or to `floor` when that is smaller.
fn close(what: &str, found: &[f64], expected: &[f64], tolerance: f64, floor: f64) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let largest = expected.iter().filter(|it| it.is_finite()).fold(floor, |a, b| a.max(b.abs()));
    for (at, (x, y)) in found.iter().zip(expected).enumerate() {
        let fine = x == y || (x - y).abs() <= tolerance * largest || (x.is_nan() && y.is_nan());
        assert!(fine, "{what}[{at}]: {x} instead of {y}, off by {:e} of {largest}", (x - y).abs() / largest);
    }
}

/// Runs a graph in both precisions, with and without vector instructions, with 1, 2 and 4 threads.
fn check(typed: Typed, inputs: &BTreeMap<String, (Tensor, DType)>, [narrow, wide]: [f64; 2], floor: f64, steps: usize) {
    let graph = typed.graph().clone();
    for (precision, tolerance) in [(Precision::F32, narrow), (Precision::F64, wide)] {
        let plan = Arc::new(compile(typed.clone(), precision).1);
        let mut env = Env::new(&graph, plan.seed);
        inputs.iter().for_each(|(name, (tensor, _))| env.bind(name, tensor.clone()));
        let start = |threads, portable| {
            let make = if portable { CpuBackend::portable } else { CpuBackend::new };
            session(&plan, make(plan.clone(), Some(threads)).expect("the plan is sound"), inputs)
        };
        let mut sessions = [start(1, false), start(2, false), start(4, false), start(2, true)];
        for _ in 0..steps {
            for phase in [Phase::Step, Phase::Evaluate] {
                let expected = run(&graph, &mut env, phase);
                sessions.iter_mut().for_each(|it| it.run(phase).expect("all is bound"));
                let read = |session: &Session| -> Vec<(String, Vec<f64>, Vec<f64>)> {
                    let mut all = Vec::new();
                    for (name, tensor) in &expected {
                        all.push((name.clone(), session.result(phase, name.as_str()).unwrap(), tensor.data.clone()));
                    }
                    for (param, tensor) in graph.params.iter().zip(&env.params) {
                        all.push((
                            param.path.clone(),
                            session.read(&param.path).unwrap_or_default(),
                            tensor.data.clone(),
                        ));
                    }
                    for (state, tensor) in graph.states.iter().zip(&env.states) {
                        all.push((
                            state.path.clone(),
                            session.read(&state.path).unwrap_or_default(),
                            tensor.data.clone(),
                        ));
                    }
                    all
                };
                let one = read(&sessions[0]);
                for (at, session) in sessions.iter().enumerate() {
                    for ((name, found, expected), (_, single, _)) in read(session).iter().zip(&one) {
                        // What no plan holds is what nothing reads or writes.
                        if found.is_empty() && !expected.is_empty() {
                            continue;
                        }
                        close(&format!("{precision:?} {at} {name}"), found, expected, tolerance, floor);
                        let same = found.iter().zip(single).all(|(a, b)| a.to_bits() == b.to_bits());
                        assert!(at == 3 || same, "{precision:?} {name}: other bits with other threads");
                    }
                }
            }
        }
    }
}

/// All three products of a convolution.
fn convolution(n: usize, size: [usize; 2], cin: usize, cout: usize, geometry: Geometry) {
    let mut case = Case::new();
    let [oh, ow] = geometry.output(size).expect("the window fits");
    let x = case.real(&[n, size[0], size[1], cin]);
    let w = case.real(&[geometry.kernel[0], geometry.kernel[1], cin / geometry.groups, cout]);
    let dy = case.real(&[n, oh, ow, cout]);
    let y = case.b.add(Op::Conv(geometry), &[x, w]);
    let dx = case.b.add(Op::ConvInputGrad { geometry, size }, &[dy, w]);
    let dw = case.b.add(Op::ConvFilterGrad(geometry), &[x, dy]);
    [y, dx, dw].into_iter().for_each(|it| case.result(it));
    // Sums of up to a few thousand products.
    case.check(3e-6);
}

#[test]
fn convolutions_agree() {
    let same = Geometry::same;
    convolution(2, [5, 7], 3, 5, same([5, 7], [3, 3], [1, 1]));
    convolution(3, [8, 8], 16, 32, same([8, 8], [3, 3], [1, 1]));
    convolution(2, [9, 6], 17, 33, same([9, 6], [3, 3], [1, 1]));
    convolution(5, [16, 16], 32, 40, same([16, 16], [3, 3], [1, 1]));
    convolution(2, [8, 8], 24, 16, same([8, 8], [3, 3], [2, 2]));
    convolution(2, [7, 9], 3, 8, same([7, 9], [3, 3], [2, 2]));
    convolution(3, [7, 7], 5, 7, same([7, 7], [1, 1], [2, 2]));
    convolution(3, [6, 6], 20, 10, same([6, 6], [1, 1], [1, 1]));
    convolution(7, [4, 4], 36, 65, Geometry::valid([4, 4], [1, 1]));
    convolution(2, [9, 11], 9, 4, Geometry::valid([5, 2], [3, 2]));
    convolution(1, [2, 2], 8, 8, same([2, 2], [5, 5], [1, 1]));
    convolution(1, [1, 1], 1, 1, same([1, 1], [1, 1], [1, 1]));
    convolution(2, [6, 6], 8, 8, Geometry { before: [1, 0], after: [3, 2], ..Geometry::valid([2, 2], [3, 3]) });
}

/// Sizes that take the way of Winograd.
#[test]
fn convolutions_of_many_tiles_agree() {
    let same = Geometry::same;
    convolution(2, [16, 16], 32, 48, same([16, 16], [3, 3], [1, 1]));
    convolution(5, [9, 11], 48, 32, same([9, 11], [3, 3], [1, 1]));
    convolution(4, [13, 12], 64, 80, Geometry::valid([3, 3], [1, 1]));
    convolution(3, [11, 14], 32, 32, Geometry { before: [2, 0], after: [1, 2], ..Geometry::valid([3, 3], [1, 1]) });
    convolution(100, [1, 2], 32, 32, same([1, 2], [3, 3], [1, 1]));
}

/// Depthwise, with several filters for a channel, of few channels and of many, dilated.
#[test]
fn convolutions_in_groups_agree() {
    let same = Geometry::same;
    convolution(2, [9, 11], 20, 20, same([9, 11], [3, 3], [1, 1]).grouped(20));
    convolution(3, [8, 7], 70, 70, same([8, 7], [3, 3], [2, 2]).grouped(70));
    convolution(1, [14, 33], 16, 16, same([14, 33], [7, 7], [1, 1]).grouped(16));
    convolution(2, [7, 9], 6, 18, same([7, 9], [3, 2], [2, 1]).grouped(6));
    convolution(2, [6, 5], 12, 20, same([6, 5], [3, 3], [1, 1]).grouped(4));
    convolution(2, [6, 5], 32, 64, same([6, 5], [3, 3], [1, 2]).grouped(8));
    convolution(
        2,
        [7, 5],
        10,
        15,
        Geometry { before: [3, 0], after: [0, 2], ..Geometry::valid([2, 4], [3, 2]) }.grouped(5),
    );
    convolution(2, [8, 8], 48, 36, same([8, 8], [3, 3], [1, 1]).grouped(2));
    convolution(2, [9, 8], 64, 32, same([9, 8], [3, 3], [2, 1]).grouped(2));
    convolution(2, [4, 4], 48, 48, same([4, 4], [1, 1], [1, 1]).grouped(3));
    // Windows that lie beside the image.
    convolution(
        2,
        [3, 2],
        6,
        6,
        Geometry { before: [4, 5], after: [4, 5], ..Geometry::valid([2, 2], [3, 2]) }.grouped(3),
    );
    let dilated = |size, kernel, stride, dilation| Geometry::valid(kernel, stride).dilated(dilation).padded(size);
    convolution(2, [9, 8], 5, 7, dilated([9, 8], [3, 3], [1, 1], [2, 3]));
    convolution(2, [9, 8], 32, 32, dilated([9, 8], [3, 3], [1, 1], [2, 2]));
    convolution(2, [10, 9], 9, 12, dilated([10, 9], [3, 2], [2, 2], [2, 3]));
    convolution(2, [10, 9], 24, 24, dilated([10, 9], [3, 3], [2, 1], [3, 2]).grouped(24));
    convolution(2, [10, 9], 6, 12, dilated([10, 9], [2, 3], [3, 2], [2, 4]).grouped(3));
}

#[test]
fn matrix_products_agree() {
    for (m, n, k) in [(1, 1, 1), (3, 5, 7), (33, 70, 129), (128, 128, 300)] {
        for (transpose_a, transpose_b) in [(false, false), (true, false), (false, true), (true, true)] {
            let mut case = Case::new();
            let a = case.real(&if transpose_a { [k, m] } else { [m, k] });
            let b = case.real(&if transpose_b { [n, k] } else { [k, n] });
            let c = case.b.add(Op::MatMul { transpose_a, transpose_b }, &[a, b]);
            case.result(c);
            case.check(2e-6);
        }
    }
}

#[test]
fn stacks_of_matrix_products_agree() {
    for (count, m, n, k) in [(1, 3, 5, 7), (6, 1, 4, 9), (5, 33, 17, 12), (3, 130, 70, 129)] {
        for (transpose_a, transpose_b) in [(false, false), (true, false), (false, true), (true, true)] {
            let mut case = Case::new();
            let a = case.real(&if transpose_a { [count, k, m] } else { [count, m, k] });
            let b = case.real(&if transpose_b { [count, n, k] } else { [count, k, n] });
            let c = case.b.add(Op::MatMul { transpose_a, transpose_b }, &[a, b]);
            case.result(c);
            case.check(2e-6);
        }
    }
}

#[test]
fn windows_agree() {
    for (size, c, geometry) in [
        ([6, 8], 1, Geometry::same([6, 8], [3, 3], [1, 1])),
        ([6, 8], 5, Geometry::same([6, 8], [2, 2], [2, 2])),
        ([7, 5], 33, Geometry::same([7, 5], [3, 3], [2, 2])),
        ([7, 5], 3, Geometry::valid([2, 3], [1, 2])),
        ([4, 4], 16, Geometry::valid([4, 4], [1, 1])),
        ([3, 3], 2, Geometry::same([3, 3], [1, 1], [2, 2])),
        ([7, 6], 5, Geometry::valid([3, 2], [2, 1]).dilated([2, 3]).padded([7, 6])),
    ] {
        let mut case = Case::new();
        let [oh, ow] = geometry.output(size).expect("the window fits");
        let x = case.real(&[3, size[0], size[1], c]);
        let dy = case.real(&[3, oh, ow, c]);
        let results = [
            case.b.add(Op::Window { kind: Window::Sum, geometry }, &[x]),
            case.b.add(Op::Window { kind: Window::SumGrad { size }, geometry }, &[dy]),
            case.b.add(Op::Window { kind: Window::Max, geometry }, &[x]),
            case.b.add(Op::Window { kind: Window::MaxGrad, geometry }, &[x, dy]),
        ];
        results.into_iter().for_each(|it| case.result(it));
        case.check(1e-6);
    }
}

#[test]
fn reductions_agree_over_all_axes() {
    for shape in [[2, 3, 4, 5], [3, 16, 16, 128], [5, 7, 9, 300], [33, 8, 8, 3], [1, 1, 1, 100_001], [9, 1, 700, 2]] {
        for kind in [Reduction::Sum, Reduction::Max, Reduction::Mean, Reduction::Variance] {
            let mut case = Case::new();
            let x = case.real(&shape);
            let bias = case.real(&[shape[3]]);
            let square = case.b.binary(Binary::Mul, x, x);
            let shifted = case.b.binary(Binary::Add, square, bias);
            for axes in [vec![0], vec![3], vec![0, 1, 2], vec![1, 2], vec![0, 2], vec![1, 3], vec![0, 1, 2, 3]] {
                let sum = case.b.add(Op::Reduce { kind, axes }, &[shifted]);
                case.result(sum);
            }
            case.result(shifted);
            case.check(1e-6);
        }
    }
}

#[test]
fn every_function_of_a_number_agrees() {
    for len in [1, 7, 700] {
        for op in Unary::ALL {
            let mut case = Case::new();
            let values = numbers(len, 5).into_iter().map(|it| match op {
                Unary::Log | Unary::Rsqrt | Unary::Log1p => it.abs() + 0.01,
                // The floors of the slope differ between the precisions.
                Unary::AsinSlope => f64::from((it * 0.25).clamp(-0.9, 0.9) as f32),
                _ => it,
            });
            let values: Vec<f64> = values.map(|it| f64::from(it as f32)).collect();
            let x = case.bind(Tensor::new([len], values), DType::Real);
            let y = case.b.unary(op, x);
            case.result(y);
            case.check(1e-6);
        }
        for op in Binary::ALL {
            let mut case = Case::new();
            let (a, b) = (case.real(&[5, len]), case.real(&[5, len]));
            let (row, one) = (case.real(&[5, 1]), case.real(&[]));
            for (a, b) in [(a, b), (a, row), (one, b), (a, one)] {
                let (a, b) = if op == Binary::Pow { (case.b.unary(Unary::Exp, a), b) } else { (a, b) };
                let c = case.b.binary(op, a, b);
                case.result(c);
            }
            case.check(1e-6);
        }
    }
}

#[test]
fn long_expressions_and_selections_agree() {
    let mut case = Case::new();
    let (x, gamma, row, one) = (case.real(&[40, 130]), case.real(&[130]), case.real(&[40, 1]), case.real(&[]));
    let body = ScalarFn::build(4, |pool, i| {
        let half = pool.constant(0.5);
        let inner = pool.mul(i[1], half);
        let scale = pool.unary(Unary::Exp, inner);
        let shared = pool.add(i[3], half);
        let a = pool.mul(i[0], scale);
        let a = pool.add(a, i[2]);
        let b = pool.mul(shared, i[0]);
        let b = pool.add(i[1], b);
        let c = pool.mul(a, b);
        let both = pool.add(c, a);
        let less = pool.binary(Binary::Lt, a, b);
        let picked = pool.select(less, half, both);
        let other = pool.select(i[0], shared, i[1]);
        let product = pool.mul(picked, other);
        let squared = pool.mul(product, product);
        pool.add(squared, squared)
    });
    let y = case.b.map(body, &[x, gamma, row, one]);
    case.result(y);
    case.check(2e-6);
}

#[test]
fn transposes_and_losses_agree() {
    let mut case = Case::new();
    let x = case.real(&[3, 4, 5, 6]);
    for perm in [vec![3, 0, 2, 1], vec![0, 2, 1, 3], vec![3, 2, 1, 0]] {
        let y = case.b.add(Op::Transpose(perm), &[x]);
        case.result(y);
    }
    let (a, b) = (case.real(&[3, 4, 5, 2]), case.real(&[3, 2, 5, 6]));
    let at = |start: [i64; 4], turned: bool| start.map(|start| Along { start, turned }).to_vec();
    for (shape, parts) in [
        ([3, 4, 5, 8], vec![(x, at([0, 0, 0, -2], false)), (a, at([0, 0, 0, 4], false))]),
        ([3, 6, 5, 6], vec![(x, at([0; 4], false)), (b, at([0, 4, 0, 0], false))]),
        ([5, 3, 9, 7], vec![(x, at([1, -2, 3, 1], false)), (a, at([-2, 0, 0, 0], false))]),
        ([3, 4, 5, 6], vec![(x, at([2, 3, 4, 5], true))]),
        ([2, 6, 2, 9], vec![(x, at([3, 4, 2, 6], true))]),
    ] {
        let (parts, places): (Vec<NodeId>, _) = parts.into_iter().unzip();
        let y = case.b.add(Op::Assemble { shape: Shape::from(shape), places }, &parts);
        case.result(y);
    }
    // More picks than one task takes, and more rows.
    let ids = (0..3000).map(|at| f64::from(at * at % 97)).collect();
    let (index, picked) = (case.bind(Tensor::new([3000], ids), DType::Int), case.real(&[3000, 3, 8]));
    let sums = case.b.add(Op::Scatter { rows: 97 }, &[index, picked]);
    case.result(sums);
    let logits = case.real(&[9, 10]);
    let labels = case.bind(Tensor::new([9], (0..9).map(f64::from).collect()), DType::Int);
    let g = case.real(&[9]);
    let (smoothing, floor) = (Scalar64(0.01), Scalar64(1e-4));
    let loss = case.b.add(Op::Loss(Loss::CrossEntropy { smoothing, floor }), &[logits, labels]);
    let grad = case.b.add(Op::Loss(Loss::CrossEntropyGrad { smoothing, floor }), &[logits, labels, g]);
    let correct = case.b.add(Op::Loss(Loss::Correct), &[logits, labels]);
    [loss, grad, correct].into_iter().for_each(|it| case.result(it));
    case.check(1e-6);
}

#[test]
fn pictures_are_drawn_and_augmented_as_defined() {
    let mut all = crate::files::images::augmentations([5, 4]);
    all.push(Vec::new());
    let of_types = |steps: &Vec<Augment>| {
        DType::INPUTS.into_iter().filter(|it| steps.iter().all(|step| step.takes(*it))).collect::<Vec<_>>()
    };
    let all: Vec<(Vec<Augment>, DType)> =
        all.into_iter().flat_map(|steps| of_types(&steps).into_iter().map(move |it| (steps.clone(), it))).collect();
    assert!(DType::INPUTS.iter().all(|dtype| 5 < all.iter().filter(|it| it.1 == *dtype).count()));
    for (steps, dtype) in all {
        let mut case = Case::new();
        let number = |it: u32| match dtype {
            DType::U8 => f64::from(it * 37 % 256),
            DType::U16 => f64::from(it * 9973 % 65536),
            DType::Int => f64::from(it * 37 % 1000) - 400.0,
            DType::Real | DType::Bf16 => f64::from((it * 37 % 1000) as f32 / 7.0 - 50.0),
        };
        let pixels = (0..11 * 5 * 4 * 3).map(number).collect();
        let images = case.bind(Tensor::new([11, 5, 4, 3], pixels), dtype);
        let step = case.bind(Tensor::scalar(3.0), DType::Int);
        let random = |kind, shape: Shape, stream| Op::Random { kind, shape, stream, first: 0 };
        let index = case.b.add(random(sphc::ir::Random::Shuffle { examples: 11 }, Shape::from([8]), 1), &[step]);
        let order = case.b.add(random(sphc::ir::Random::Sequence { examples: 11 }, Shape::from([20]), 1), &[step]);
        let uniform = case.b.add(random(sphc::ir::Random::Uniform, Shape::from([8, draws(&steps).max(1)]), 2), &[step]);
        let operands = if 0 < draws(&steps) { vec![images, index, uniform] } else { vec![images, index] };
        let linear = steps.iter().filter(|it| !it.takes(DType::Int) && dtype == DType::Real).count();
        let picked = case.b.add(Op::picks(&steps), &operands);
        let scaled = case.b.scale(picked, 1.0 / 128.0);
        let labels = case.bind(Tensor::new([11], (0..11).map(f64::from).collect()), DType::Int);
        let labels = case.b.add(Op::Gather, &[labels, order]);
        [index, order, uniform, picked, scaled, labels].into_iter().for_each(|it| case.result(it));
        // Of reals, each of two products and two sums is rounded in each step that makes numbers between pixels; the largest
        // number of an image may be twice the largest of its result.
        case.check(1e-7 + 8.0 * linear as f64 * 2f64.powi(-24));
    }
}

proptest! {
    #![proptest_config(crate::cases(60))]

    #[test]
    fn random_graphs_agree(raw in random_graph()) {
        let image = (0..2 * 3 * 4 * 3).map(|it| (f64::from(it) * 0.7).sin()).collect();
        let inputs = [("image".to_owned(), (Tensor::new([2, 3, 4, 3], image), DType::Real))].into();
        // Chains of squares and sums amplify f32's rounding without bound: there only the bits count.
        // A sum of numbers of order 1 that is 0 is 0 only up to their rounding, which depends on the order of
        // the sum: relative to the result, any difference would be infinite.
        check(build(&raw), &inputs, [f64::INFINITY, 1e-9], 1e-3, 2);
    }

    #[test]
    fn convolutions_of_random_sizes_agree(
        (n, h, w, cin, cout) in (1usize..4, 1usize..10, 1usize..10, 1usize..40, 1usize..40),
        (kh, kw, sh, sw, same) in (1usize..5, 1usize..5, 1usize..4, 1usize..4, any::<bool>()),
        (groups, dh, dw) in (1usize..5, 1usize..4, 1usize..4),
    ) {
        let grouped = Geometry::valid([kh, kw], [sh, sw]).dilated([dh, dw]).padded([h, w]).grouped(groups);
        convolution(n, [h, w], groups * cin.div_ceil(4), groups * cout.div_ceil(4), grouped);
        let geometry = if same {
            Geometry::same([h, w], [kh, kw], [sh, sw])
        } else {
            Geometry::valid([kh.min(h), kw.min(w)], [sh, sw])
        };
        convolution(n, [h, w], cin, cout, geometry);
    }
}

/// A small plan with several families.
fn plan() -> Plan {
    let mut case = Case::new();
    let geometry = Geometry::same([6, 6], [3, 3], [1, 1]);
    let (x, w) = (case.real(&[2, 6, 6, 4]), case.real(&[3, 3, 4, 8]));
    let y = case.b.add(Op::Conv(geometry), &[x, w]);
    let y = case.b.unary(Unary::Tanh, y);
    let pooled = case.b.add(Op::Window { kind: Window::Max, geometry }, &[y]);
    let sum = case.b.sum(pooled, &[0, 1, 2]);
    case.result(sum);
    compile(case.b.finish(), Precision::F32).1
}

fn refused(plan: Plan) -> bool {
    matches!(CpuBackend::new(Arc::new(plan), Some(1)), Err(RuntimeError::Plan { .. }))
}

#[test]
fn plans_that_contradict_themselves_are_refused() {
    assert!(!refused(plan()));
    let step = Phase::Step;
    type Break = fn(&mut Plan);
    let breaks: &[(&str, Break)] = &[
        ("a launch of no kernel", |it| it.phases.get_mut(&Phase::Step).unwrap().launches[0].kernel = 99),
        ("an operand that is not a buffer", |it| {
            it.phases.get_mut(&Phase::Step).unwrap().launches[0].inputs[0] = BufferId(999);
        }),
        ("an operand too few", |it| {
            it.phases.get_mut(&Phase::Step).unwrap().launches[0].inputs.pop();
        }),
        ("an arena that is too small", |it| it.arena_bytes = 64),
        ("a result nowhere", |it| {
            it.phases.get_mut(&Phase::Step).unwrap().results.insert("r9".into(), BufferId(999));
        }),
        ("a shape out of range", |it| it.buffers[0].shape = Shape(vec![usize::MAX, 3])),
        ("smaller buffers", |it| it.buffers.iter_mut().for_each(|it| it.shape = Shape(vec![1]))),
        ("integers for reals", |it| it.buffers.iter_mut().for_each(|it| it.dtype = DType::U8)),
        ("an output on its input", |it| {
            let launch = it.phases.get_mut(&Phase::Step).unwrap().launches.iter_mut().next().unwrap();
            launch.inputs[0] = launch.outputs[0];
        }),
        ("odd offsets", |it| {
            for buffer in &mut it.buffers {
                if let BufferKind::Arena { offset } = &mut buffer.kind {
                    *offset += 1;
                }
            }
        }),
        ("offsets beyond all memory", |it| {
            for buffer in &mut it.buffers {
                if let BufferKind::Arena { offset } = &mut buffer.kind {
                    *offset = usize::MAX - 63;
                }
            }
        }),
    ];
    for (what, change) in breaks {
        let mut broken = plan();
        change(&mut broken);
        assert!(refused(broken), "{what}");
    }
    let text = sphc::plan::to_yaml(&plan()).expect("a plan is YAML");
    for (from, to) in [("kernel: [3, 3]", "kernel: [0, 3]"), ("stride: [1, 1]", "stride: [1, 0]")] {
        assert!(text.contains(from), "{text}");
        let error = sphc::plan::from_yaml("plan.yaml", &text.replace(from, to)).expect_err(to).to_string();
        assert!(error.starts_with("plan.yaml:") && error.contains("kernel 0: the window"), "{error}");
    }
    assert!(plan().phases.contains_key(&step));
}

#[test]
fn data_of_another_size_and_missing_data_are_errors() {
    let plan = Arc::new(plan());
    let backend = CpuBackend::new(plan.clone(), Some(2)).expect("the plan is sound");
    assert!(sphc::runtime::Backend::describe(&backend).starts_with("CPU, 2 threads, "));
    let mut session = Session::new(plan, Box::new(backend)).expect("memory for a small plan");
    assert!(matches!(session.run(Phase::Step), Err(RuntimeError::Size { found: 0, .. })));
    let wrong = session.bind(Extern::Named("x0".to_owned()), &[0; 12]);
    assert!(matches!(wrong, Err(RuntimeError::Size { found: 12, .. })));
}

#[test]
fn a_plan_larger_than_any_memory_is_an_error() {
    let mut plan = plan();
    plan.arena_bytes = isize::MAX as usize - (4 << 20);
    let error = CpuBackend::new(Arc::new(plan), Some(1)).err().expect("no machine has this much");
    assert!(matches!(error, RuntimeError::Memory { .. }), "{error}");
}
