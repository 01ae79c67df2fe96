//! Every op on numbers small enough to check by hand.

use super::*;
use crate::ir::op::Scalar64;
use crate::ir::{
    Augment, Binary, Border, DType, Geometry, Loss, OriginId, Param, ParamRole, Random, Reduction, ScalarFn, State,
    StateRole, Unary,
};
use crate::shape::Builder;

/// Applies one op to tensors. Inputs are real unless `ints` names them.
fn apply_one(op: Op, given: &[&Tensor], ints: &[usize]) -> Tensor {
    let mut b = Builder::empty("test");
    let mut env = Env { seed: 7, ..Env::default() };
    let inputs: Vec<NodeId> = given
        .iter()
        .enumerate()
        .map(|(at, it)| {
            let name = format!("x{at}");
            env.bind(&name, (*it).clone());
            b.named_input(&name, it.shape.clone(), if ints.contains(&at) { DType::Int } else { DType::Real })
        })
        .collect();
    let node = b.add(op, &inputs);
    evaluate(b.graph(), &env, &[node]).remove(0)
}

fn counted(shape: impl Into<Shape>) -> Tensor {
    let shape = shape.into();
    Tensor::new(shape.clone(), (1..=shape.len()).map(|it| it as f64).collect())
}

fn dot(a: &Tensor, b: &Tensor) -> f64 {
    a.data.iter().zip(&b.data).map(|(a, b)| a * b).sum()
}

/// Numbers without a pattern, in [-1, 1).
fn noise(shape: impl Into<Shape>, stream: u64) -> Tensor {
    let shape = shape.into();
    let data = (0..shape.len()).map(|at| f64::from(crate::ir::random::uniform(3, stream, 0, at)) * 2.0 - 1.0).collect();
    Tensor::new(shape, data)
}

#[test]
fn convolution_sums_products_over_the_window() {
    let x = counted([1, 3, 3, 1]);
    let w = Tensor::new([2, 2, 1, 1], vec![1.0, 10.0, 100.0, 1000.0]);
    let valid = Geometry::valid([2, 2], [1, 1]);
    assert_eq!(apply_one(Op::Conv(valid), &[&x, &w], &[]).data, [5421.0, 6532.0, 8754.0, 9865.0]);
    // An even kernel pads after the image only.
    let same = Geometry::same([3, 3], [2, 2], [1, 1]);
    let y = apply_one(Op::Conv(same), &[&x, &w], &[]);
    assert_eq!(y.data, [5421.0, 6532.0, 603.0, 8754.0, 9865.0, 906.0, 87.0, 98.0, 9.0]);
}

#[test]
fn convolution_mixes_channels_and_strides() {
    let x = counted([1, 3, 3, 2]);
    let w = Tensor::new([1, 1, 2, 2], vec![1.0, 0.0, 0.0, 10.0]);
    let y = apply_one(Op::Conv(Geometry::valid([1, 1], [2, 2])), &[&x, &w], &[]);
    assert_eq!(y.shape, Shape::from([1, 2, 2, 2]));
    assert_eq!(y.data, [1.0, 20.0, 5.0, 60.0, 13.0, 140.0, 17.0, 180.0]);
}

#[test]
fn gradients_of_convolution_are_its_adjoints() {
    for (size, kernel, stride, pad) in
        [([7, 5], [3, 3], [2, 2], true), ([4, 6], [2, 3], [1, 2], true), ([7, 7], [4, 4], [3, 1], false)]
    {
        let geometry = if pad { Geometry::same(size, kernel, stride) } else { Geometry::valid(kernel, stride) };
        let x = noise([2, size[0], size[1], 3], 1);
        let w = noise([kernel[0], kernel[1], 3, 4], 2);
        let y = apply_one(Op::Conv(geometry), &[&x, &w], &[]);
        let dy = noise(y.shape.clone(), 3);
        let dx = apply_one(Op::ConvInputGrad { geometry, size }, &[&dy, &w], &[]);
        let dw = apply_one(Op::ConvFilterGrad(geometry), &[&x, &dy], &[]);
        assert!((dot(&y, &dy) - dot(&x, &dx)).abs() < 1e-12);
        assert!((dot(&y, &dy) - dot(&w, &dw)).abs() < 1e-12);
    }
}

#[test]
fn matrix_products_take_either_side_transposed() {
    let a = Tensor::new([2, 3], vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let b = Tensor::new([3, 2], vec![1.0, 0.0, 0.0, 1.0, 10.0, 100.0]);
    let product = |transpose_a, transpose_b, a: &Tensor, b: &Tensor| {
        apply_one(Op::MatMul { transpose_a, transpose_b }, &[a, b], &[]).data
    };
    let expected = [31.0, 302.0, 64.0, 605.0];
    assert_eq!(product(false, false, &a, &b), expected);
    let at = apply_one(Op::Transpose(vec![1, 0]), &[&a], &[]);
    let bt = apply_one(Op::Transpose(vec![1, 0]), &[&b], &[]);
    assert_eq!(at.data, [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
    assert_eq!(product(true, false, &at, &b), expected);
    assert_eq!(product(false, true, &a, &bt), expected);
    assert_eq!(product(true, true, &at, &bt), expected);
}

#[test]
fn maps_broadcast_their_operands_at_the_last_axis() {
    let body = ScalarFn::build(3, |pool, i| {
        let sum = pool.add(i[0], i[1]);
        pool.mul(sum, i[2])
    });
    let x = counted([2, 1, 2]);
    let y = Tensor::new([3, 1], vec![10.0, 20.0, 30.0]);
    let z = Tensor::scalar(2.0);
    let result = apply_one(Op::Map { body, int: false }, &[&x, &y, &z], &[]);
    assert_eq!(result.shape, Shape::from([2, 3, 2]));
    assert_eq!(result.data, [22., 24., 42., 44., 62., 64., 26., 28., 46., 48., 66., 68.]);
}

#[test]
fn integer_maps_are_rounded() {
    let body = ScalarFn::build(1, |pool, i| {
        let half = pool.constant(0.3);
        pool.mul(i[0], half)
    });
    let x = Tensor::new([3], vec![1.0, 2.0, 4.0]);
    assert_eq!(apply_one(Op::Map { body, int: true }, &[&x], &[0]).data, [0.0, 1.0, 1.0]);
}

#[test]
fn reductions_keep_their_axes_as_ones() {
    let x = counted([2, 3, 2]);
    let reduce = |kind, axes: &[usize]| apply_one(Op::Reduce { kind, axes: axes.to_vec() }, &[&x], &[]);
    let sum = reduce(Reduction::Sum, &[1]);
    assert_eq!((sum.shape, sum.data), (Shape::from([2, 1, 2]), vec![9.0, 12.0, 27.0, 30.0]));
    let sum = reduce(Reduction::Sum, &[0, 1, 2]);
    assert_eq!((sum.shape, sum.data), (Shape::from([1, 1, 1]), vec![78.0]));
    assert_eq!(reduce(Reduction::Max, &[0, 2]).data, [8.0, 10.0, 12.0]);
}

#[test]
fn maximum_of_negative_numbers_is_negative() {
    let x = Tensor::new([2], vec![-3.0, -2.0]);
    assert_eq!(apply_one(Op::Reduce { kind: Reduction::Max, axes: vec![0] }, &[&x], &[]).data, [-2.0]);
}

#[test]
fn broadcast_repeats_missing_and_unit_axes() {
    let x = Tensor::new([2, 1], vec![1.0, 2.0]);
    let y = apply_one(Op::Broadcast(Shape::from([2, 2, 3])), &[&x], &[]);
    assert_eq!(y.data, [1., 1., 1., 2., 2., 2., 1., 1., 1., 2., 2., 2.]);
}

#[test]
fn reshape_and_transpose_move_elements() {
    let x = counted([2, 3, 2]);
    let y = apply_one(Op::Reshape(Shape::from([4, 3])), &[&x], &[]);
    assert_eq!((y.shape, y.data), (Shape::from([4, 3]), x.data.clone()));
    let y = apply_one(Op::Transpose(vec![2, 0, 1]), &[&x], &[]);
    assert_eq!(y.shape, Shape::from([2, 2, 3]));
    assert_eq!(y.data, [1., 3., 5., 7., 9., 11., 2., 4., 6., 8., 10., 12.]);
}

#[test]
fn window_sums_count_the_outside_as_zero() {
    let x = counted([1, 3, 3, 1]);
    let geometry = Geometry::same([3, 3], [3, 3], [2, 2]);
    let y = apply_one(Op::Window { kind: Window::Sum, geometry }, &[&x], &[]);
    assert_eq!(y.data, [12.0, 16.0, 24.0, 28.0]);
    let dy = Tensor::new([1, 2, 2, 1], vec![1.0, 10.0, 100.0, 1000.0]);
    let dx = apply_one(Op::Window { kind: Window::SumGrad { size: [3, 3] }, geometry }, &[&dy], &[]);
    assert_eq!(dx.data, [1., 11., 10., 101., 1111., 1010., 100., 1100., 1000.]);
}

#[test]
fn max_pool_ignores_the_outside_and_gives_ties_to_the_first() {
    // 3x3 with SAME 2x2 stride 2: the last row and column have windows of less than four.
    let x = Tensor::new([1, 3, 3, 1], vec![-5.0, -5.0, -1.0, -5.0, -5.0, -1.0, -2.0, -2.0, -9.0]);
    let geometry = Geometry::same([3, 3], [2, 2], [2, 2]);
    let y = apply_one(Op::Window { kind: Window::Max, geometry }, &[&x], &[]);
    assert_eq!(y.data, [-5.0, -1.0, -2.0, -9.0]);
    let dy = Tensor::new([1, 2, 2, 1], vec![1.0, 2.0, 3.0, 4.0]);
    let dx = apply_one(Op::Window { kind: Window::MaxGrad, geometry }, &[&x, &dy], &[]);
    assert_eq!(dx.data, [1., 0., 2., 0., 0., 0., 3., 0., 4.]);
}

#[test]
fn overlapping_max_windows_add_their_gradients() {
    let x = Tensor::new([1, 1, 3, 2], vec![0.0, 5.0, 7.0, 1.0, 3.0, 2.0]);
    let geometry = Geometry::valid([1, 2], [1, 1]);
    let dy = Tensor::new([1, 1, 2, 2], vec![1.0, 10.0, 2.0, 20.0]);
    let dx = apply_one(Op::Window { kind: Window::MaxGrad, geometry }, &[&x, &dy], &[]);
    assert_eq!(dx.data, [0.0, 10.0, 3.0, 0.0, 0.0, 20.0]);
}

#[test]
fn gather_picks_examples() {
    let labels = Tensor::new([3], vec![7.0, 8.0, 9.0]);
    let index = Tensor::new([4], vec![2.0, 0.0, 2.0, 1.0]);
    let plain = Op::Gather;
    assert_eq!(apply_one(plain.clone(), &[&labels, &index], &[0, 1]).data, [9.0, 7.0, 9.0, 8.0]);
    let rows = counted([3, 1, 1, 2]);
    assert_eq!(apply_one(plain, &[&rows, &index], &[1]).data, [5., 6., 1., 2., 5., 6., 3., 4.]);
}

fn augmented(steps: &[Augment], image: &Tensor, index: &Tensor, u: &Tensor) -> Tensor {
    let mut b = Builder::empty("test");
    let mut env = Env { seed: 7, ..Env::default() };
    let inputs = [("image", image, DType::U8), ("index", index, DType::Int), ("u", u, DType::Real)].map(|it| {
        env.bind(it.0, it.1.clone());
        b.named_input(it.0, it.1.shape.clone(), it.2)
    });
    let node = b.add(Op::picks(steps), &inputs);
    evaluate(b.graph(), &env, &[node]).remove(0)
}

#[test]
fn augmentation_crops_and_then_mirrors() {
    let image = counted([1, 2, 3, 1]);
    let crop = Augment::Crop { size: [2, 3], pad: 1, border: Border::Symmetric, centre: false };
    let index = Tensor::new([4], vec![0.0; 4]);
    // Offsets 0, 1 and 2 of a padding by 1 are u in [0, 1/3), [1/3, 2/3), [2/3, 1).
    let u = Tensor::new([4, 3], vec![0.5, 0.5, 0.5, 0.4, 0.5, 0.5, 0.9, 0.0, 0.0, 0.1, 0.9, 0.9]);
    let y = augmented(&[crop, Augment::FlipHorizontal], &image, &index, &u);
    assert_eq!(y.data[0..6], [1., 2., 3., 4., 5., 6.]);
    assert_eq!(y.data[6..12], [3., 2., 1., 6., 5., 4.]);
    assert_eq!(y.data[12..18], [1., 1., 2., 1., 1., 2.]);
    assert_eq!(y.data[18..24], [6., 6., 5., 6., 6., 5.]);
    let y = augmented(&[crop], &image, &index, &u);
    assert_eq!(y.data[18..24], [5., 6., 6., 5., 6., 6.]);
}

#[test]
fn cross_entropy_adds_the_floor_and_smooths_the_label() {
    let logits = Tensor::new([2, 2], vec![0.0, 0.0, 1000.0, 0.0]);
    let labels = Tensor::new([2], vec![0.0, 1.0]);
    let (smoothing, floor) = (Scalar64(0.2), Scalar64(0.5));
    let loss = apply_one(Op::Loss(Loss::CrossEntropy { smoothing, floor }), &[&logits, &labels], &[1]);
    let expected = [-(1.0f64.ln()), -(0.1 * 1.5f64.ln() + 0.9 * 0.5f64.ln())];
    assert!(loss.data.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-15), "{loss:?}");
    let g = Tensor::new([2], vec![2.0, 1.0]);
    let grad = apply_one(Op::Loss(Loss::CrossEntropyGrad { smoothing, floor }), &[&logits, &labels, &g], &[1]);
    // First row: q = 1/2, q + floor = 1, so 2 * 1/2 * (1/2 - y).
    let expected = [-0.4, 0.4, 0.0, 0.0];
    assert!(grad.data.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-15), "{grad:?}");
}

#[test]
fn gradient_of_cross_entropy_agrees_with_differences() {
    let (smoothing, floor) = (Scalar64(0.01), Scalar64(1e-4));
    let labels = Tensor::new([2], vec![2.0, 0.0]);
    let logits = Tensor::new([2, 3], noise([2, 3], 5).data.iter().map(|it| it * 4.0).collect());
    let g = Tensor::new([2], vec![1.0, 0.5]);
    let grad = apply_one(Op::Loss(Loss::CrossEntropyGrad { smoothing, floor }), &[&logits, &labels, &g], &[1]);
    let loss = |logits: &Tensor| {
        dot(&apply_one(Op::Loss(Loss::CrossEntropy { smoothing, floor }), &[logits, &labels], &[1]), &g)
    };
    for at in 0..6 {
        let moved = |by: f64| {
            let mut logits = logits.clone();
            logits.data[at] += by;
            loss(&logits)
        };
        let slope = (moved(1e-5) - moved(-1e-5)) / 2e-5;
        assert!((slope - grad.data[at]).abs() < 1e-9, "{at}: {slope} {}", grad.data[at]);
    }
}

#[test]
fn the_first_of_equal_logits_is_the_answer() {
    let logits = Tensor::new([3, 3], vec![1.0, 1.0, 0.0, 0.0, 2.0, 2.0, 0.0, 0.0, 1.0]);
    let labels = Tensor::new([3], vec![1.0, 1.0, 2.0]);
    assert_eq!(apply_one(Op::Loss(Loss::Correct), &[&logits, &labels], &[1]).data, [0.0, 1.0, 1.0]);
}

#[test]
fn random_numbers_are_a_function_of_seed_stream_step_and_position() {
    let random_from = |kind, first: usize, step: f64, n: usize| {
        let op = Op::Random { kind, shape: Shape::from([n]), stream: 11, first };
        apply_one(op, &[&Tensor::scalar(step)], &[0]).data
    };
    let random = |kind, step: f64, n: usize| random_from(kind, 0, step, n);
    assert_eq!(random_from(Random::Uniform, 3, 5.0, 6), random(Random::Uniform, 5.0, 9)[3..]);
    assert_eq!(random_from(Random::Sequence { examples: 5 }, 2, 3.0, 2), [0.0, 1.0]);
    // Two parts of three in step 4: the numbers of step 2 of batches of six.
    let kind = Random::Shuffle { examples: 50 };
    let parts = [random_from(kind, 0, 4.0, 3), random_from(kind, 3, 4.0, 3)].concat();
    assert_eq!(parts, random(kind, 2.0, 6));
    let uniform = random(Random::Uniform, 5.0, 9);
    assert_eq!(uniform[7], f64::from(crate::ir::random::uniform(7, 11, 5, 7)));
    assert_eq!(random(Random::Sequence { examples: 5 }, 3.0, 4), [3.0, 4.0, 0.0, 1.0]);
    // Batches of 3 out of 6: two steps see each example once.
    let mut epoch = random(Random::Shuffle { examples: 6 }, 2.0, 3);
    epoch.extend(random(Random::Shuffle { examples: 6 }, 3.0, 3));
    epoch.sort_by(f64::total_cmp);
    assert_eq!(epoch, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
}

#[test]
fn constants_fill_or_are_the_identity() {
    let eye = apply_one(Op::Const { fill: Fill::Eye, shape: Shape::from([2, 2]) }, &[], &[]);
    assert_eq!(eye.data, [1.0, 0.0, 0.0, 1.0]);
    let fill = Fill::Value(Scalar64(2.5));
    assert_eq!(apply_one(Op::Const { fill, shape: Shape::from([2]) }, &[], &[]).data, [2.5, 2.5]);
}

#[test]
fn effects_are_applied_together_after_the_phase() {
    let mut b = Builder::empty("test");
    let param = b.tables().add_param(Param {
        path: "w".into(),
        shape: Shape::from([2]),
        init: Init::Constant(Scalar64(3.0)),
        role: ParamRole::Filter,
        layer: String::new(),
        operator: String::new(),
        origin: OriginId::default(),
    });
    let state = b.tables().add_state(State {
        path: "s".into(),
        shape: Shape::from([2]),
        dtype: DType::Real,
        init: 1.0,
        role: StateRole::Running,
        never_negative: false,
        origin: OriginId::default(),
    });
    let (w, s) = (b.add(Op::Param(param), &[]), b.add(Op::State(state), &[]));
    // They change places, and the result sees the old values.
    let to_param = b.add(Op::Update(Target::Param(param)), &[s]);
    let to_state = b.add(Op::Update(Target::State(state)), &[w]);
    let product = b.binary(Binary::Mul, w, s);
    b.tables().effects.insert(Phase::Step, vec![to_param, to_state]);
    b.tables().results.insert(Phase::Step, [("product".into(), product)].into());
    let graph = b.finish();
    let mut env = Env::new(&graph, 0);
    let results = run(&graph, &mut env, Phase::Step);
    assert_eq!(results["product"].data, [3.0, 3.0]);
    assert_eq!((&env.params[0].data[..], &env.states[0].data[..]), (&[1.0, 1.0][..], &[3.0, 3.0][..]));
}

#[test]
fn only_what_the_roots_need_is_evaluated() {
    let mut b = Builder::empty("test");
    let x = b.named_input("x", [1], DType::Real);
    let unbound = b.named_input("nothing", [1], DType::Real);
    let y = b.unary(Unary::Exp, x);
    let _ = b.binary(Binary::Add, y, unbound);
    let z = b.unary(Unary::Neg, y);
    let mut env = Env::default();
    env.bind("x", Tensor::new([1], vec![0.0]));
    let all = evaluate(b.graph(), &env, &[z, y, z]);
    assert_eq!(all.iter().map(|it| it.data[0]).collect::<Vec<_>>(), [-1.0, 1.0, -1.0]);
}

#[test]
fn parameters_start_as_rounded_normal_numbers() {
    let mut b = Builder::empty("test");
    b.tables().add_param(Param {
        path: "conv/filter".into(),
        shape: Shape::from([2, 2, 1, 1]),
        init: Init::Normal(Scalar64(0.5)),
        role: ParamRole::Filter,
        layer: String::new(),
        operator: String::new(),
        origin: OriginId::default(),
    });
    let env = Env::new(b.graph(), 9);
    let expected = crate::ir::random::normal(9, crate::ir::random::stream("conv/filter"), 3) * 0.5;
    assert_eq!(env.params[0].data[3], f64::from(expected as f32));
}
