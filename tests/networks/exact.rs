//! Functions, slopes and losses against numbers of 400 digits that share no formula with ours (`exact/values.py`), and
//! every function over numbers of every kind: NaN, infinities, zeros, tiny and huge ones.

#[allow(clippy::approx_constant, reason = "what mpmath found, digit by digit")]
pub(crate) mod values;

use crate::backends::engines::{Engine, Machine, typed};
use crate::networks::golden_layers::with_gradients;
use sphc::interp::Tensor;
use sphc::ir::op::Scalar64;
use sphc::ir::{Binary, DType, Geometry, Loss, NodeId, Op, Phase, Reduction, ScalarFn, Shape, Unary, Window};
use sphc::lower::Settings;
use sphc::shape::Builder;
use values::{FUNCTIONS, LOSSES};

/// What kind of number it is; in f32 what lies below its normal range counts as 0.
fn kind(value: f64, single: bool) -> &'static str {
    let stored = if single { f64::from(value as f32) } else { value };
    let least = if single { f64::from(f32::MIN_POSITIVE) } else { f64::MIN_POSITIVE };
    match stored {
        it if it.is_nan() => "NaN",
        f64::INFINITY => "infinite",
        f64::NEG_INFINITY => "minus infinite",
        it if it.abs() <= 4.0 * least => "zero",
        _ => "finite",
    }
}

/// Whether a number is of the kind that is wanted, and near it.
pub(crate) fn alike(found: f64, wanted: f64, single: bool, tolerance: f64) -> bool {
    let (found_kind, wanted_kind) = (kind(found, single), kind(wanted, single));
    found_kind == wanted_kind && (found_kind != "finite" || (found - wanted).abs() <= tolerance * wanted.abs())
}

fn tolerance(engine: Engine) -> f64 {
    if engine == Engine::CpuF32 { 2e-5 } else { 1e-12 }
}

#[test]
fn functions_and_their_slopes_are_exact_in_their_tails() {
    for (name, points) in FUNCTIONS {
        let count = points.len();
        let text = format!("model Case {{\n    input x: float[1, 1, {count}]\n    output {name}(x)\n}}\n");
        let graph = with_gradients(typed("case", &text, &Settings { batch: Some(1), ..Settings::default() }));
        let shape = Shape::from([1, 1, 1, count]);
        for engine in Engine::ALL {
            let mut machine = Machine::new(engine, graph.clone());
            machine.bind_named("x", &Tensor::new(shape.clone(), points.iter().map(|it| it.0).collect()));
            machine.bind_named("seed", &Tensor::new(shape.clone(), vec![1.0; count]));
            machine.run(Phase::Step);
            let (values, slopes) = (machine.result(Phase::Step, "output"), machine.result(Phase::Step, "grad/x"));
            for (at, (x, value, slope)) in points.iter().enumerate() {
                for (what, found, wanted) in [("value", values[at], *value), ("slope", slopes[at], *slope)] {
                    let fine = alike(found, wanted, engine == Engine::CpuF32, tolerance(engine));
                    assert!(fine, "{engine:?}: the {what} of {name} at {x} is {found:e}, not {wanted:e}");
                }
            }
        }
    }
}

/// A graph whose results are those of `make`.
fn graph(
    inputs: &[(&[usize], DType)],
    make: impl FnOnce(&mut Builder, &[NodeId]) -> Vec<NodeId>,
) -> sphc::shape::Typed {
    let mut b = Builder::empty("case");
    let shapes = inputs.iter().enumerate();
    let ids: Vec<NodeId> =
        shapes.map(|(at, (shape, dtype))| b.named_input(&format!("x{at}"), Shape(shape.to_vec()), *dtype)).collect();
    let results = make(&mut b, &ids);
    let table = b.tables().results.entry(Phase::Step).or_default();
    table.extend(results.into_iter().enumerate().map(|(at, id)| (format!("r{at}").into(), id)));
    b.finish()
}

/// All results of a graph on an engine.
fn results(engine: Engine, graph: &sphc::shape::Typed, inputs: &[Tensor]) -> Vec<Vec<f64>> {
    let mut machine = Machine::new(engine, graph.clone());
    inputs.iter().enumerate().for_each(|(at, it)| machine.bind_named(&format!("x{at}"), it));
    machine.run(Phase::Step);
    let count = graph.results[&Phase::Step].len();
    (0..count).map(|at| machine.result(Phase::Step, format!("r{at}"))).collect()
}

fn cross_entropy(smoothing: f64, floor: f64) -> [Loss; 2] {
    let (smoothing, floor) = (Scalar64(smoothing), Scalar64(floor));
    [Loss::CrossEntropy { smoothing, floor }, Loss::CrossEntropyGrad { smoothing, floor }]
}

#[test]
fn losses_and_their_gradients_are_exact_at_any_gap() {
    for (scores, label, smoothing, floor, value, slope) in LOSSES {
        let [loss, gradient] = cross_entropy(*smoothing, *floor);
        let shapes: [(&[usize], DType); 3] = [(&[1, 3], DType::Real), (&[1], DType::Int), (&[1], DType::Real)];
        let graph = graph(&shapes, |b, x| vec![b.add(Op::Loss(loss), &x[..2]), b.add(Op::Loss(gradient), x)]);
        let inputs = [
            Tensor::new(Shape::from([1, 3]), scores.to_vec()),
            Tensor::new(Shape::from([1]), vec![*label as f64]),
            Tensor::new(Shape::from([1]), vec![1.0]),
        ];
        for engine in Engine::ALL {
            let found = results(engine, &graph, &inputs).concat();
            for (found, wanted) in found.iter().zip([value].into_iter().chain(slope)) {
                let fine = alike(*found, *wanted, engine == Engine::CpuF32, tolerance(engine));
                let case = format!("{scores:?}, smoothing {smoothing}, floor {floor}");
                assert!(fine, "{engine:?}, {case}: {found:e}, not {wanted:e}");
            }
        }
    }
}

#[test]
fn scores_without_a_softmax_have_no_loss_and_count_as_misses() {
    let (nan, inf) = (f64::NAN, f64::INFINITY);
    // Scores, the hits of each label, and whether the loss is a number.
    let cases = [
        ([nan, 0.0, 1.0], [0.0; 3], false),
        ([0.0, 1.0, nan], [0.0; 3], false),
        ([nan; 3], [0.0; 3], false),
        ([inf, 0.0, 1.0], [1.0, 0.0, 0.0], false),
        ([-inf; 3], [1.0, 0.0, 0.0], false),
        ([-inf, 0.0, 1.0], [0.0, 0.0, 1.0], true),
        ([2.0, 3.0, 3.0], [0.0, 1.0, 0.0], true),
    ];
    for (scores, hits, number) in cases {
        for floor in [0.0, 1e-4, 1e-50] {
            let [loss, gradient] = cross_entropy(0.0, floor);
            let shapes: [(&[usize], DType); 3] = [(&[3, 3], DType::Real), (&[3], DType::Int), (&[3], DType::Real)];
            let graph = graph(&shapes, |b, x| {
                let of = |b: &mut Builder, kind, x: &[NodeId]| b.add(Op::Loss(kind), x);
                vec![of(b, Loss::Correct, &x[..2]), of(b, loss, &x[..2]), of(b, gradient, x)]
            });
            let inputs = [
                Tensor::new(Shape::from([3, 3]), [scores; 3].concat()),
                Tensor::new(Shape::from([3]), vec![0.0, 1.0, 2.0]),
                Tensor::new(Shape::from([3]), vec![1.0; 3]),
            ];
            for engine in Engine::ALL {
                let found = results(engine, &graph, &inputs);
                assert_eq!(found[0], hits, "{engine:?}: {scores:?}");
                // Of a class that cannot be, the loss is infinite; its gradient is a number.
                let fine = |it: &f64| if number { !it.is_nan() } else { it.is_nan() };
                assert!(found[1].iter().all(fine), "{engine:?}, floor {floor}: {scores:?} gives {:?}", found[1]);
                assert!(found[2].iter().all(fine), "{engine:?}, floor {floor}: {scores:?} gives {:?}", found[2]);
            }
        }
    }
}

/// Numbers of every kind, exact in f32.
pub(crate) fn special() -> Vec<f64> {
    let single = |it: f32| f64::from(it);
    let mut numbers = vec![f64::NAN, f64::INFINITY, 0.0, 1.0];
    numbers.extend([1e-40, 1e-38, 1e-30, 1e-3, 0.5, 2.0, 3.0, 4.0, 80.0, 200.0, 1e5, 1e9, 1e30].map(single));
    numbers.push(single(f32::MAX));
    numbers.iter().flat_map(|it| [*it, -it]).collect()
}

/// All functions of `x` and `y`, and a choice.
pub(crate) fn every_function() -> Vec<(String, ScalarFn)> {
    let mut all = Vec::new();
    for op in Unary::ALL {
        all.push((format!("{op:?}"), ScalarFn::build(2, |p, i| p.unary(op, i[0]))));
    }
    for op in Binary::ALL {
        all.push((format!("{op:?}"), ScalarFn::build(2, |p, i| p.binary(op, i[0], i[1]))));
    }
    for power in [-1.0, 0.5, 1.5, 2.0, 3.0, 1.0 / 3.0] {
        let f = ScalarFn::build(2, |p, i| {
            let power = p.constant(power);
            p.binary(Binary::Pow, i[0], power)
        });
        all.push((format!("power {power}"), f));
    }
    all.push(("select".into(), ScalarFn::build(2, |p, i| p.select(i[0], i[1], i[0]))));
    all
}

/// What must come out, with the pole of `AsinSlope` left to the precision.
pub(crate) fn compares(name: &str, found: f64, wanted: f64, single: bool) -> bool {
    let loose = name == "AsinSlope" && single;
    alike(found, wanted, single, if single { 2e-5 } else { 1e-13 })
        || loose && kind(found, true) == kind(wanted, true) && 0.0 < found
        || name == "power 0.5" && wanted == f64::INFINITY && found.is_nan()
        || name == "power 1.5" && wanted == f64::INFINITY && found.is_nan()
}

#[test]
fn numbers_of_every_kind_stay_of_their_kind() {
    let special = special();
    let pairs: Vec<(f64, f64)> = special.iter().flat_map(|x| special.iter().map(move |y| (*x, *y))).collect();
    let inputs = [0, 1].map(|which| {
        let data: Vec<f64> = pairs.iter().map(|it| if which == 0 { it.0 } else { it.1 }).collect();
        Tensor::new(Shape::from([data.len()]), data)
    });
    let count = pairs.len();
    let functions = every_function();
    let shapes: [(&[usize], DType); 2] = [(&[count], DType::Real), (&[count], DType::Real)];
    let graph = graph(&shapes, |b, x| functions.iter().map(|it| b.map(it.1.clone(), x)).collect());
    for engine in Engine::ALL {
        let found = results(engine, &graph, &inputs);
        for ((name, f), found) in functions.iter().zip(&found) {
            for ((x, y), found) in pairs.iter().zip(found) {
                let wanted = f.eval(&[*x, *y])[0];
                let fine = compares(name, *found, wanted, engine == Engine::CpuF32);
                assert!(fine, "{engine:?}: {name} of {x:e}, {y:e} is {found:e}, not {wanted:e}");
            }
        }
    }
}

/// Rows of every length up to one past a vector's, with the NaN at every place.
#[test]
fn a_nan_shows_at_every_place_of_a_row() {
    for length in (1..=37).chain([63, 64, 65, 130, 511, 513, 1030]) {
        let places: Vec<usize> = (0..length).filter(|it| length < 40 || *it % 31 == 0 || *it + 3 > length).collect();
        let rows = places.len();
        let mut x = vec![-1.0; rows * length];
        places.iter().enumerate().for_each(|(row, at)| x[row * length + at] = f64::NAN);
        let shapes: [(&[usize], DType); 1] = [(&[rows, length], DType::Real)];
        let graph = graph(&shapes, |b, x| {
            let mut results = Vec::new();
            for (op, bound) in [(Binary::Max, 0.0), (Binary::Min, -2.0), (Binary::Max, -5.0)] {
                let bounded = ScalarFn::build(1, |p, i| {
                    let bound = p.constant(bound);
                    p.binary(op, i[0], bound)
                });
                results.push(b.map(bounded.clone(), x));
                results.push(b.map(bounded.differentiate(0), x));
            }
            results.push(b.add(Op::Reduce { kind: Reduction::Max, axes: vec![1] }, x));
            results.push(b.add(Op::Reduce { kind: Reduction::Max, axes: vec![0, 1] }, x));
            results.push(b.add(Op::Reduce { kind: Reduction::Max, axes: vec![0] }, x));
            results
        });
        let input = Tensor::new(Shape::from([rows, length]), x.clone());
        for engine in Engine::ALL {
            let found = results(engine, &graph, std::slice::from_ref(&input));
            for (at, x) in x.iter().enumerate() {
                let what = format!("{engine:?}, {at} of rows of {length}: {x}");
                for (op, bounded) in [(0, 0.0), (2, -2.0), (4, -1.0)] {
                    let it = found[op][at];
                    assert!(if x.is_nan() { it.is_nan() } else { it == bounded }, "{what} is bounded to {it}");
                }
                // A gradient passes the NaN.
                assert!(!x.is_nan() || found[1][at] == 1.0 && found[3][at] == 1.0, "{what} hides its slope");
            }
            assert!(found[6].iter().chain(&found[7]).all(|it| it.is_nan()), "{engine:?}: maxima of rows of {length}");
            for (column, it) in found[8].iter().enumerate() {
                assert_eq!(it.is_nan(), places.contains(&column), "{engine:?}: maximum of column {column} of {length}");
            }
        }
    }
}

#[test]
fn pools_show_a_nan_and_send_the_gradient_to_the_first() {
    let geometry = Geometry::valid([2, 2], [1, 1]);
    for channels in [1, 3, 16, 33] {
        for place in 0..9 {
            let mut x = vec![0.5; 9 * channels];
            (0..channels).for_each(|it| x[place * channels + it] = f64::NAN);
            let shapes: [(&[usize], DType); 2] =
                [(&[1, 3, 3, channels], DType::Real), (&[1, 2, 2, channels], DType::Real)];
            let graph = graph(&shapes, |b, x| {
                let max = b.add(Op::Window { kind: Window::Max, geometry }, &x[..1]);
                vec![max, b.add(Op::Window { kind: Window::MaxGrad, geometry }, x)]
            });
            let inputs = [
                Tensor::new(Shape::from([1, 3, 3, channels]), x),
                Tensor::new(Shape::from([1, 2, 2, channels]), vec![1.0; 4 * channels]),
            ];
            for engine in Engine::ALL {
                let found = results(engine, &graph, &inputs);
                let [row, column] = [place / 3, place % 3];
                let mut holders = 0.0;
                for window in 0..4 {
                    let [y, x] = [window / 2, window % 2];
                    let holds = (y..y + 2).contains(&row) && (x..x + 2).contains(&column);
                    holders += f64::from(u8::from(holds));
                    for c in 0..channels {
                        assert_eq!(found[0][window * channels + c].is_nan(), holds, "{engine:?}, {place}, {window}");
                    }
                }
                for c in 0..channels {
                    assert_eq!(found[1][place * channels + c], holders, "{engine:?}: gradient of {place}");
                }
            }
        }
    }
}
