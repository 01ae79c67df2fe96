//! Numbers of every kind through the kernels' CUDA text, and losses at any gap.

use super::case::{self, Numbers, Value, map, reduced, whole};
use super::{CudaSource, Options, Stress, bytes, execute, generate, module, numbers};
use crate::networks::exact::values::LOSSES;
use crate::networks::exact::{alike, compares, every_function, special};
use sphc::ir::expr::Pool;
use sphc::ir::op::Scalar64;
use sphc::ir::{Binary, DType, Geometry, Loss, Reduction, ScalarFn, Shape, Window};
use sphc::kernel::KernelSpec;

fn reals(shape: impl Into<Shape>, data: Vec<f64>) -> Value {
    Value { dtype: DType::Real, shape: shape.into(), data }
}

/// The results of a kernel whose operands are these, `sizes` numbers each.
fn results(spec: &KernelSpec, inputs: &[Value], sizes: &[usize]) -> Vec<Vec<f64>> {
    let source: CudaSource = generate(spec, &Options::default());
    let inputs: Vec<Vec<u8>> = inputs.iter().map(|it| bytes(it.dtype, &it.data)).collect();
    let mut outputs: Vec<Vec<u8>> = sizes.iter().map(|it| vec![0xff; it * 4]).collect();
    execute(&source, &inputs, &mut outputs, Stress { seed: 1, late: true }).unwrap();
    outputs.iter().map(|it| numbers(DType::Real, it)).collect()
}

#[test]
fn numbers_of_every_kind_stay_of_their_kind() {
    if !module::available() {
        return;
    }
    let special = special();
    let (x, y): (Vec<f64>, Vec<f64>) = special.iter().flat_map(|x| special.iter().map(move |y| (*x, *y))).unzip();
    let count = x.len();
    let functions = every_function();
    let mut pool = Pool::new();
    let arguments = [pool.input(0), pool.input(1)];
    let roots: Vec<_> = functions.iter().map(|it| pool.inline(&it.1, &arguments)[0]).collect();
    let body = pool.finish(2, &roots);
    let inputs = vec![reals([count], x.clone()), reals([count], y.clone())];
    let spec = map("special", inputs.clone(), &body, &vec![whole(); roots.len()]).spec;
    let found = results(&spec, &inputs, &vec![count; roots.len()]);
    for ((name, f), found) in functions.iter().zip(&found) {
        for ((x, y), found) in x.iter().zip(&y).zip(found) {
            let wanted = f.eval(&[*x, *y])[0];
            assert!(compares(name, *found, wanted, true), "{name} of {x:e}, {y:e} is {found:e}, not {wanted:e}");
        }
    }
}

/// A number by itself goes through the same functions in double precision.
#[test]
fn single_numbers_of_every_kind_stay_of_their_kind() {
    if !module::available() {
        return;
    }
    let functions = every_function();
    let mut pool = Pool::new();
    let arguments = [pool.input(0), pool.input(1)];
    // Without angles, for which there is no double precision.
    let functions: Vec<_> = functions.iter().filter(|it| !["Sin", "Cos"].contains(&it.0.as_ref())).collect();
    let roots: Vec<_> = functions.iter().map(|it| pool.inline(&it.1, &arguments)[0]).collect();
    let body = pool.finish(2, &roots);
    let mut numbers = special();
    numbers.extend([3.0, -3.0, 7.0, -2.5, 31.0]);
    for x in &numbers {
        for y in &numbers {
            let inputs = vec![reals([1], vec![*x]), reals([1], vec![*y])];
            let spec = map("single", inputs.clone(), &body, &vec![whole(); roots.len()]).spec;
            let found = results(&spec, &inputs, &vec![1; roots.len()]);
            for ((name, f), found) in functions.iter().zip(&found) {
                let wanted = f.eval(&[*x, *y])[0];
                assert!(
                    compares(name, found[0], wanted, true),
                    "{name} of {x:e}, {y:e} is {:e}, not {wanted:e}",
                    found[0]
                );
            }
        }
    }
}

#[test]
fn losses_and_their_gradients_are_exact_at_any_gap() {
    if !module::available() {
        return;
    }
    for smoothing in [0.0, 0.125] {
        for floor in [0.0, 1e-4] {
            let rows: Vec<_> = LOSSES.iter().filter(|it| it.2 == smoothing && it.3 == floor).collect();
            let n = rows.len();
            let scores = reals([n, 3], rows.iter().flat_map(|it| it.0).collect());
            let labels = Value { dtype: DType::Int, shape: Shape::from([n]), data: vec![0.0; n] };
            let inputs = [scores, labels, reals([n], vec![1.0; n])];
            let (s, f) = (Scalar64(smoothing), Scalar64(floor));
            let kinds = [
                (Loss::CrossEntropy { smoothing: s, floor: f }, 2, n),
                (Loss::CrossEntropyGrad { smoothing: s, floor: f }, 3, 3 * n),
            ];
            for (kind, operands, size) in kinds {
                let found = results(&KernelSpec::Loss { kind, n, classes: 3 }, &inputs[..operands], &[size]).remove(0);
                let wanted: Vec<f64> = if operands == 2 {
                    rows.iter().map(|it| it.4).collect()
                } else {
                    rows.iter().flat_map(|it| it.5).collect()
                };
                for (at, (found, wanted)) in found.iter().zip(&wanted).enumerate() {
                    let scores = rows[at * n / size].0;
                    assert!(alike(*found, *wanted, true, 2e-5), "{kind:?} of {scores:?}: {found:e}, not {wanted:e}");
                }
            }
        }
    }
}

#[test]
fn scores_that_are_nan_or_infinite_have_no_loss_and_count_as_misses() {
    if !module::available() {
        return;
    }
    for classes in [3, 32, 45, 100] {
        for (broken, at) in [(f64::NAN, 0), (f64::NAN, classes - 1), (f64::INFINITY, 1), (f64::NEG_INFINITY, 1)] {
            let mut make = Numbers::new(classes as u64);
            let mut scores = make.reals([2, classes], -1.0, 1.0);
            scores.data[at] = broken;
            if broken == f64::NEG_INFINITY {
                scores.data[..classes].fill(broken);
            }
            let labels = Value { dtype: DType::Int, shape: Shape::from([2]), data: vec![0.0; 2] };
            let inputs = [scores, labels, reals([2], vec![1.0; 2])];
            for floor in [0.0, 1e-4, 1e-50] {
                let (smoothing, floor) = (Scalar64(0.01), Scalar64(floor));
                let kinds = [
                    (Loss::CrossEntropy { smoothing, floor }, 1),
                    (Loss::CrossEntropyGrad { smoothing, floor }, classes),
                ];
                for (kind, each) in kinds {
                    let operands = if each == 1 { &inputs[..2] } else { &inputs[..] };
                    let found = results(&KernelSpec::Loss { kind, n: 2, classes }, operands, &[2 * each]).remove(0);
                    assert!(found[..each].iter().all(|it| it.is_nan()), "{kind:?}, {broken} at {at}: {found:?}");
                    assert!(found[each..].iter().all(|it| it.is_finite()), "{kind:?}: the other example is {found:?}");
                }
            }
            let kind = Loss::Correct;
            let found = results(&KernelSpec::Loss { kind, n: 2, classes }, &inputs[..2], &[2]).remove(0);
            let hit = if broken == f64::NEG_INFINITY { 1.0 } else { 0.0 };
            assert_eq!(found[0], hit, "{broken} at {at} of {classes}");
            // A label of no class, as of a pixel that is left out, is not hit either.
            let beyond = Value { data: vec![classes as f64; 2], ..inputs[1].clone() };
            let inputs = [inputs[0].clone(), beyond];
            let found = results(&KernelSpec::Loss { kind, n: 2, classes }, &inputs, &[2]).remove(0);
            assert_eq!(found, [0.0, 0.0], "a label beyond {classes} classes, {broken} at {at}");
        }
    }
}

#[test]
fn reductions_and_pools_show_a_nan() {
    if !module::available() {
        return;
    }
    let bounded = ScalarFn::build(1, |pool, i| {
        let low = pool.constant(-0.5);
        pool.binary(Binary::Max, i[0], low)
    });
    let body = ScalarFn { roots: [bounded.root(); 3].into(), ..bounded };
    for (rows, columns) in [(3, 5), (37, 33), (300, 10), (9000, 5), (3, 700)] {
        let mut x = vec![-1.0; rows * columns];
        let at = (rows - 1) * columns + columns / 2;
        x[at] = f64::NAN;
        let input = vec![reals([rows, columns], x)];
        let kinds = [reduced(Reduction::Max, &[1]), reduced(Reduction::Max, &[0]), reduced(Reduction::Max, &[0, 1])];
        let spec = map("nan", input.clone(), &body, &kinds).spec;
        let found = results(&spec, &input, &[rows, columns, 1]);
        for (found, nan) in found.iter().zip([rows - 1, columns / 2, 0]) {
            for (at, it) in found.iter().enumerate() {
                assert!(if at == nan { it.is_nan() } else { *it == -0.5 }, "[{rows}, {columns}]: {at} is {it}");
            }
        }
    }
    let overlapping = ([7, 5, 3], Geometry::same([7, 5], [3, 3], [2, 2]));
    let side_by_side = ([6, 4, 8], Geometry::valid([2, 2], [2, 2]));
    let kinds = [Window::Max, Window::MaxGrad];
    for ((size, geometry), kind) in [overlapping, side_by_side].into_iter().flat_map(|it| kinds.map(|kind| (it, kind)))
    {
        let mut case = case::window(kind, 2, size, geometry);
        case.inputs[0].data[40..47].fill(f64::NAN);
        let data: Vec<Vec<f64>> = case.inputs.iter().map(|it| it.data.clone()).collect();
        let wanted = sphc::verify::execute(&case.spec, &data, case::SEED).remove(0);
        let found = results(&case.spec, &case.inputs, &[wanted.len()]).remove(0);
        assert!(kind == Window::MaxGrad || wanted.iter().any(|it| it.is_nan()));
        for (at, (found, wanted)) in found.iter().zip(&wanted).enumerate() {
            assert!(alike(*found, *wanted, true, 1e-6), "{kind:?}[{at}] is {found}, not {wanted}");
        }
    }
}
