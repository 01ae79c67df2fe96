//! Gradients of small graphs against finite differences in the interpreter: every rule of `autodiff`.

use sphc::autodiff::gradients;
use sphc::interp::{Env, Tensor, evaluate};
use sphc::ir::op::Scalar64;
use sphc::ir::verify::verify;
use sphc::ir::{Along, Binary, DType, Extern, Geometry, Loss, NodeId, Op, Reduction, ScalarFn, Shape, Unary, Window};
use sphc::shape::Builder;

/// Numbers without a pattern that a rule could hide behind, in (-1, 1), no two close.
fn numbers(shape: &Shape, salt: usize) -> Tensor {
    let data = (0..shape.len()).map(|at| (((at * 37 + salt * 101) % 211) as f64 * 0.618_034).fract() * 2.0 - 1.0);
    Tensor::new(shape.clone(), data.collect())
}

struct Case {
    b: Builder,
    env: Env,
    inputs: Vec<NodeId>,
}

impl Case {
    /// A graph with real inputs of these shapes.
    fn new(shapes: &[&[usize]]) -> Self {
        let mut case = Self { b: Builder::empty("test"), env: Env::default(), inputs: Vec::new() };
        for (at, dims) in shapes.iter().enumerate() {
            let (name, shape) = (format!("x{at}"), Shape(dims.to_vec()));
            case.env.externs.insert(Extern::Named(name.clone()), numbers(&shape, at + 1));
            let id = case.b.named_input(&name, shape, DType::Real);
            case.inputs.push(id);
        }
        case
    }

    /// The gradients of a weighted sum of `output` in all inputs agree with central differences.
    fn check(mut self, output: NodeId) -> Builder {
        let shape = self.b.graph().shape(output).clone();
        let weights = numbers(&shape, 50);
        self.env.externs.insert(Extern::Named("seed".to_owned()), weights.clone());
        let seed = self.b.named_input("seed", shape, DType::Real);
        let inputs = self.inputs.clone();
        let found = gradients(&mut self.b, output, seed, &inputs);
        verify(self.b.graph(), "gradients");
        let graph = self.b.graph();
        let values = evaluate(graph, &self.env, &found);
        let value = |env: &Env| -> f64 {
            evaluate(graph, env, &[output])[0].data.iter().zip(&weights.data).map(|(a, b)| a * b).sum()
        };
        for (at, gradient) in values.iter().enumerate() {
            let key = Extern::Named(format!("x{at}"));
            assert_eq!(gradient.shape, self.env.externs[&key].shape);
            for (entry, got) in gradient.data.iter().enumerate() {
                let moved = |h: f64| {
                    let mut env = self.env.clone();
                    env.externs.get_mut(&key).expect("an input").data[entry] += h;
                    value(&env)
                };
                let slope = |h: f64| (moved(h) - moved(-h)) / (2.0 * h);
                let want = (4.0 * slope(5e-4) - slope(1e-3)) / 3.0;
                assert!((got - want).abs() < 1e-8 * (1.0 + want.abs()), "x{at}[{entry}]: {got}, not {want}\n{graph}");
            }
        }
        self.b
    }

    fn of(shapes: &[&[usize]], build: impl FnOnce(&mut Builder, &[NodeId]) -> NodeId) -> Builder {
        let mut case = Self::new(shapes);
        let inputs = case.inputs.clone();
        let output = build(&mut case.b, &inputs);
        case.check(output)
    }
}

#[test]
fn convolutions_and_their_adjoints() {
    let geometries = [
        (Geometry::same([5, 4], [3, 3], [1, 1]), [5, 4]),
        (Geometry::same([5, 6], [3, 2], [2, 2]), [5, 6]),
        (Geometry::valid([2, 3], [2, 1]), [5, 4]),
    ];
    for (geometry, [h, w]) in geometries {
        let [kh, kw] = geometry.kernel;
        let [oh, ow] = geometry.output([h, w]).expect("a window fits");
        let (x, filter, y) = ([2, h, w, 2], [kh, kw, 2, 3], [2, oh, ow, 3]);
        Case::of(&[&x, &filter], |b, i| b.add(Op::Conv(geometry), i));
        Case::of(&[&y, &filter], |b, i| b.add(Op::ConvInputGrad { geometry, size: [h, w] }, i));
        Case::of(&[&x, &y], |b, i| b.add(Op::ConvFilterGrad(geometry), i));
    }
    let dilated = Geometry::valid([2, 3], [2, 1]).dilated([2, 2]).padded([5, 4]);
    let uneven = Geometry { before: [1, 0], after: [0, 2], ..Geometry::valid([3, 2], [1, 2]) };
    for (geometry, cin, cout) in [(dilated, 2, 3), (dilated.grouped(2), 2, 6), (uneven.grouped(3), 3, 3)] {
        let [oh, ow] = geometry.output([5, 4]).expect("a window fits");
        let filter = [geometry.kernel[0], geometry.kernel[1], cin / geometry.groups, cout];
        let (x, y) = ([2, 5, 4, cin], [2, oh, ow, cout]);
        Case::of(&[&x, &filter], |b, i| b.add(Op::Conv(geometry), i));
        Case::of(&[&y, &filter], |b, i| b.add(Op::ConvInputGrad { geometry, size: [5, 4] }, i));
        Case::of(&[&x, &y], |b, i| b.add(Op::ConvFilterGrad(geometry), i));
    }
}

#[test]
fn products_of_matrices_in_every_orientation() {
    for (ta, tb) in [(false, false), (false, true), (true, false), (true, true)] {
        let (a, b) = (if ta { [3, 2] } else { [2, 3] }, if tb { [4, 3] } else { [3, 4] });
        Case::of(&[&a, &b], |b, i| b.add(Op::MatMul { transpose_a: ta, transpose_b: tb }, i));
        let [stack_a, stack_b] = [a, b].map(|it| [&[2], &it[..]].concat());
        Case::of(&[&stack_a, &stack_b], |b, i| b.add(Op::MatMul { transpose_a: ta, transpose_b: tb }, i));
    }
}

#[test]
fn a_gram_matrix_under_a_symmetric_adjoint_takes_one_product() {
    for transpose_a in [true, false] {
        let gram = Op::MatMul { transpose_a, transpose_b: !transpose_a };
        // The weighted sum of `check` is not symmetric.
        Case::of(&[&[4, 3]], |b, i| b.add(gram.clone(), &[i[0], i[0]]));
        let b = Case::of(&[&[4, 3]], |b, i| {
            let product = b.add(gram.clone(), &[i[0], i[0]]);
            let squares = b.binary(Binary::Mul, product, product);
            b.sum_all(squares)
        });
        let products = b.graph().ids().filter(|&it| matches!(b.graph().op(it), Op::MatMul { .. })).count();
        assert_eq!(products, 2, "{}", b.graph());
    }
}

#[test]
fn maps_sum_over_what_was_repeated() {
    let body = ScalarFn::build(4, |p, i| {
        let exp = p.unary(Unary::Exp, i[1]);
        let tanh = p.unary(Unary::Tanh, i[2]);
        let product = p.mul(i[0], exp);
        let sum = p.add(product, tanh);
        p.mul(sum, i[3])
    });
    Case::of(&[&[2, 3, 2, 3], &[2, 3, 2, 1], &[3], &[]], |b, i| b.map(body.clone(), i));
    Case::of(&[&[2, 3], &[1, 3], &[2, 1], &[1, 1]], |b, i| b.map(body.clone(), i));
    Case::of(&[&[3], &[3], &[3], &[3]], |b, i| b.map(body.clone(), i));
    // One operand twice, and operands that do not have the axis along which another is repeated.
    Case::of(&[&[2, 3]], |b, i| b.binary(Binary::Mul, i[0], i[0]));
    Case::of(&[&[2, 1], &[3]], |b, i| b.binary(Binary::Mul, i[0], i[1]));
}

#[test]
fn maps_of_broadcasts_and_constants() {
    let b = Case::of(&[&[3], &[2, 3]], |b, i| {
        let wide = b.broadcast(i[0], Shape::from([2, 3]));
        let three = b.constant(3.0, Shape::from([2, 3]));
        let product = b.binary(Binary::Mul, wide, i[1]);
        let scaled = b.binary(Binary::Mul, product, three);
        let sum = b.sum(scaled, &[0, 1]);
        let mean = b.scale(sum, 1.0 / 6.0);
        b.reshape(mean, Shape::scalar())
    });
    verify(b.graph(), "gradients");
    // Only broadcasts: every entry counts as often as it is repeated.
    Case::of(&[&[3], &[1]], |b, i| {
        let (one, other) = (b.broadcast(i[0], Shape::from([4, 3])), b.broadcast(i[1], Shape::from([4, 3])));
        b.binary(Binary::Mul, one, other)
    });
}

#[test]
fn reductions_and_repetitions() {
    for axes in [vec![0], vec![1], vec![0, 2], vec![0, 1, 2]] {
        for kind in [Reduction::Sum, Reduction::Max, Reduction::Mean, Reduction::Variance] {
            Case::of(&[&[2, 3, 4]], |b, i| b.add(Op::Reduce { kind, axes: axes.clone() }, i));
        }
    }
    Case::of(&[&[3, 1]], |b, i| b.broadcast(i[0], Shape::from([2, 3, 4])));
    Case::of(&[&[]], |b, i| b.broadcast(i[0], Shape::from([2, 3])));
}

#[test]
fn equal_maxima_share_the_gradient() {
    let mut b = Builder::empty("test");
    let x = b.constant(2.0, Shape::from([4]));
    let top = b.add(Op::Reduce { kind: Reduction::Max, axes: vec![0] }, &[x]);
    let seed = b.constant(1.0, Shape::from([1]));
    let found = gradients(&mut b, top, seed, &[x]);
    assert_eq!(evaluate(b.graph(), &Env::default(), &found)[0].data, [0.25; 4]);
}

#[test]
fn windows() {
    for (geometry, size) in [
        (Geometry::same([5, 4], [3, 3], [1, 1]), [5, 4]),
        (Geometry::same([5, 5], [2, 2], [2, 2]), [5, 5]),
        (Geometry::valid([3, 3], [2, 2]), [5, 5]),
        (Geometry::valid([2, 2], [1, 2]).dilated([2, 3]).padded([5, 4]), [5, 4]),
    ] {
        let x = [2, size[0], size[1], 2];
        let [oh, ow] = geometry.output(size).expect("a window fits");
        Case::of(&[&x], |b, i| b.add(Op::Window { kind: Window::Sum, geometry }, i));
        Case::of(&[&[2, oh, ow, 2]], |b, i| b.add(Op::Window { kind: Window::SumGrad { size }, geometry }, i));
        Case::of(&[&x], |b, i| b.add(Op::Window { kind: Window::Max, geometry }, i));
    }
}

#[test]
fn movement() {
    Case::of(&[&[2, 3, 4]], |b, i| b.add(Op::Transpose(vec![2, 0, 1]), i));
    Case::of(&[&[2, 6]], |b, i| b.reshape(i[0], Shape::from([3, 4])));
}

#[test]
fn picks_and_their_sums() {
    let index = |case: &mut Case| {
        case.env.externs.insert(Extern::Named("index".to_owned()), Tensor::new([5], vec![2.0, 0.0, 2.0, 3.0, 2.0]));
        case.b.named_input("index", [5], DType::Int)
    };
    let mut case = Case::new(&[&[4, 3, 2]]);
    let at = index(&mut case);
    let picked = case.b.add(Op::Gather, &[case.inputs[0], at]);
    case.check(picked);
    let mut case = Case::new(&[&[5, 3]]);
    let at = index(&mut case);
    let sums = case.b.add(Op::Scatter { rows: 4 }, &[at, case.inputs[0]]);
    case.check(sums);
}

/// A place for each axis: where it begins, and whether it is turned.
fn place(at: &[(i64, bool)]) -> Vec<Along> {
    at.iter().map(|&(start, turned)| Along { start, turned }).collect()
}

#[test]
fn parts_and_what_is_cut_off() {
    // Joined; cut and padded; mirrored, with an end beyond the whole.
    Case::of(&[&[2, 1, 4], &[2, 3, 4]], |b, i| {
        let places = vec![place(&[(0, false); 3]), place(&[(0, false), (1, false), (0, false)])];
        b.add(Op::Assemble { shape: Shape::from([2, 4, 4]), places }, i)
    });
    Case::of(&[&[2, 3, 4]], |b, i| {
        let places = vec![place(&[(-1, false), (2, false), (-1, false)])];
        b.add(Op::Assemble { shape: Shape::from([3, 6, 2]), places }, i)
    });
    Case::of(&[&[2, 3, 4]], |b, i| {
        let places = vec![place(&[(1, true), (0, false), (2, true)])];
        b.add(Op::Assemble { shape: Shape::from([2, 2, 5]), places }, i)
    });
    // A sum of what is cut and what is not: of the second nothing arrives.
    Case::of(&[&[2, 3], &[2, 3]], |b, i| {
        let places = vec![place(&[(0, false), (0, false)]), place(&[(0, false), (9, false)])];
        let y = b.add(Op::Assemble { shape: Shape::from([2, 3]), places }, i);
        b.sum_all(y)
    });
}

/// What is read in parts gets its gradient in one piece.
#[test]
fn gradients_of_parts_are_joined() {
    let b = Case::of(&[&[2, 6]], |b, i| {
        let part = |b: &mut Builder, at: i64| {
            let places = vec![place(&[(0, false), (-at, false)])];
            b.add(Op::Assemble { shape: Shape::from([2, 2]), places }, &[i[0]])
        };
        let [one, two, three] = [0, 2, 4].map(|at| part(b, at));
        let product = b.binary(Binary::Mul, one, two);
        b.binary(Binary::Mul, product, three)
    });
    let whole = |id: &NodeId| matches!(b.graph().op(*id), Op::Assemble { places, .. } if places.len() == 3);
    assert_eq!(b.graph().ids().filter(whole).count(), 1, "{}", b.graph());
    let last = b.graph().ids().next_back().expect("there are nodes");
    assert!(whole(&last), "{}", b.graph());
}

#[test]
fn cross_entropy() {
    let mut case = Case::new(&[&[3, 4]]);
    case.env.externs.insert(Extern::Named("labels".to_owned()), Tensor::new([3], vec![2.0, 0.0, 3.0]));
    let labels = case.b.named_input("labels", [3], DType::Int);
    let kind = Loss::CrossEntropy { smoothing: Scalar64(0.1), floor: Scalar64(1e-2) };
    let losses = case.b.add(Op::Loss(kind), &[case.inputs[0], labels]);
    case.check(losses);
}

#[test]
fn a_normalised_batch_and_a_sphere_convolution() {
    let b = Case::of(&[&[3, 2, 2, 2], &[2], &[2]], |b, i| {
        let axes = vec![0, 1, 2];
        let mean = b.add(Op::Reduce { kind: Reduction::Mean, axes: axes.clone() }, &[i[0]]);
        let variance = b.add(Op::Reduce { kind: Reduction::Variance, axes }, &[i[0]]);
        let body = ScalarFn::build(5, |p, i| {
            let small = p.constant(1e-3);
            let moved = p.add(i[2], small);
            let root = p.unary(Unary::Sqrt, moved);
            let centred = p.sub(i[0], i[1]);
            let unit = p.div(centred, root);
            let scaled = p.mul(unit, i[3]);
            p.add(scaled, i[4])
        });
        b.map(body, &[i[0], mean, variance, i[1], i[2]])
    });
    // Mean and variance; the sums of `g` and of `g (x - mean)` serve statistics and parameters alike.
    let over_batch = |op: &Op| matches!(op, Op::Reduce { axes, .. } if *axes == [0, 1, 2]);
    let sums = b.graph().ids().filter(|&it| over_batch(b.graph().op(it))).count();
    assert_eq!(sums, 4, "{}", b.graph());

    let geometry = Geometry::same([4, 4], [3, 3], [1, 1]);
    Case::of(&[&[2, 4, 4, 2], &[3, 3, 2, 3]], |b, i| {
        let s = b.add(Op::Conv(geometry), i);
        let squares = b.binary(Binary::Mul, i[0], i[0]);
        let squares = b.sum(squares, &[3]);
        let patch = b.add(Op::Window { kind: Window::Sum, geometry }, &[squares]);
        let squares = b.binary(Binary::Mul, i[1], i[1]);
        let filter = b.sum(squares, &[0, 1, 2]);
        let filter = b.reshape(filter, Shape::from([3]));
        let body = ScalarFn::build(3, |p, i| {
            let small = p.constant(1e-4);
            let [x, w] = [i[1], i[2]].map(|it| {
                let moved = p.add(it, small);
                p.unary(Unary::Sqrt, moved)
            });
            let norms = p.mul(x, w);
            let c = p.div(i[0], norms);
            p.unary(Unary::Asin, c)
        });
        b.map(body.simplify(), &[s, patch, filter])
    });
}

#[test]
fn what_the_output_does_not_depend_on_gets_zeros_and_no_work() {
    let mut b = Builder::empty("test");
    let x = b.named_input("x", [2, 4, 4, 2], DType::Real);
    let w = b.named_input("w", [3, 3, 2, 3], DType::Real);
    let other = b.named_input("other", [5], DType::Real);
    let y = b.add(Op::Conv(Geometry::valid([3, 3], [1, 1])), &[x, w]);
    let seed = b.constant(1.0, Shape::from([2, 2, 2, 3]));
    let found = gradients(&mut b, y, seed, &[w, other]);
    assert_eq!(evaluate(b.graph(), &Env::default(), &found[1..])[0], Tensor::filled([5], 0.0));
    assert!(!b.graph().ids().any(|it| matches!(b.graph().op(it), Op::ConvInputGrad { .. })));
}
