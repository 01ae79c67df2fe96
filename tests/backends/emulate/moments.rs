//! Means and variances by the kernels' text: exact wherever the numbers lie, and none of a number that is not one.

use super::case::{self, Case, Numbers, map, reduced, whole};
use super::{check, module};
use sphc::ir::{DType, Reduction, ScalarFn, Shape};
use sphc::kernel::cuda::Options;

const BOTH: [Reduction; 2] = [Reduction::Mean, Reduction::Variance];

/// Means and variances over each of `axes` of numbers in [-1, 1] that lie around `offset`, as f32 holds them.
fn spread(shape: &[usize], axes: &[&[usize]], offset: f64) -> Case {
    let mut x = Numbers::new(shape.len() as u64).reals(Shape(shape.to_vec()), -1.0, 1.0);
    x.data.iter_mut().for_each(|it| *it = f64::from((*it + offset) as f32));
    let mut results: Vec<case::Result> = axes.iter().flat_map(|it| BOTH.map(|kind| reduced(kind, it))).collect();
    results.insert(1, whole());
    let body = ScalarFn::build(1, |_, i| i[0]);
    let body = ScalarFn { roots: vec![body.root(); results.len()].into(), ..body };
    let mut case = map(&format!("{shape:?} around {offset}"), vec![x], &body, &results);
    for (result, expected) in results.iter().zip(&mut case.outputs) {
        let bound = |value: f64| match &result.reduce {
            // A few roundings of numbers of the size of 1, and of the result.
            Some((Reduction::Variance, _)) => 4e-6,
            Some(_) => 4e-6 + value.abs() * 2f64.powi(-23),
            None => 0.0,
        };
        expected.bound = expected.data.iter().map(|it| bound(*it)).collect();
    }
    case
}

#[test]
fn means_and_variances_are_exact_wherever_the_numbers_lie() {
    if !module::available() {
        return;
    }
    for offset in [0.0, -1e3, 1e4, 1e6] {
        for (rows, columns) in [(1, 40), (37, 1), (50, 3), (9000, 5), (70, 96), (40, 700), (3, 2500)] {
            check(&spread(&[rows, columns], &[&[0], &[1], &[0, 1]], offset), &Options::default());
        }
        check(&spread(&[3, 5, 4, 6], &[&[0, 1, 2], &[0, 2], &[1, 3], &[1]], offset), &Options::default());
        check(&spread(&[2, 30, 3, 33], &[&[1, 3], &[0, 2]], offset), &Options::default());
        check(&spread(&[2, 3000, 3], &[&[1]], offset), &Options::default());
    }
    let shared =
        [spread(&[9000, 5], &[&[0]], 1e4), spread(&[300, 3], &[&[0, 1]], 0.0), spread(&[9000, 5], &[&[0]], 7.0)];
    check(&case::many(shared.to_vec()), &Options::default());
}

/// Equal numbers have no variance at all, and what is not finite reaches the results that hold it, no others.
#[test]
fn equal_and_infinite_numbers() {
    if !module::available() {
        return;
    }
    let mut case = spread(&[700, 5], &[&[0]], 0.0);
    let rows = |case: &mut Case, column: usize, of: &dyn Fn(usize) -> f64| {
        (0..700).for_each(|row| case.inputs[0].data[row * 5 + column] = of(row));
    };
    rows(&mut case, 0, &|_| 1e6 + 0.0625);
    rows(&mut case, 1, &|row| if row == 650 { f64::NAN } else { 1.0 });
    rows(&mut case, 2, &|row| if row == 0 { f64::INFINITY } else { 1.0 });
    rows(&mut case, 3, &|row| if row % 300 == 7 { f64::NEG_INFINITY } else { 1.0 });
    let source = sphc::kernel::cuda::generate(&case.spec, &Options::default());
    let inputs: Vec<Vec<u8>> = case.inputs.iter().map(|it| super::bytes(DType::Real, &it.data)).collect();
    let mut outputs: Vec<Vec<u8>> = case.outputs.iter().map(|it| vec![0; it.data.len() * 4]).collect();
    super::execute(&source, &inputs, &mut outputs, module::Stress { seed: 1, late: true }).unwrap();
    let [mean, variance] = [0, 2].map(|it| super::numbers(DType::Real, &outputs[it]));
    assert_eq!(mean[0], 1e6 + 0.0625);
    assert_eq!(variance[0], 0.0);
    assert!(mean[1].is_nan() && variance[1].is_nan());
    assert_eq!([mean[2], mean[3]], [f64::INFINITY, f64::NEG_INFINITY]);
    assert!(variance[2].is_nan() && variance[3].is_nan());
    assert!(mean[4].is_finite() && variance[4].is_finite());
}
