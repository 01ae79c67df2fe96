//! Reductions over axes, which stay as extents of 1.

use super::{Tensor, map::each};
use crate::ir::Reduction;

/// Reduces over `axes`.
pub(super) fn reduce(kind: Reduction, axes: &[usize], x: &Tensor) -> Tensor {
    match kind {
        Reduction::Sum => fold(axes, x, 0.0, |sum, _, value| sum + value),
        Reduction::Max => {
            let larger = |max: f64, value: f64| if max < value || value.is_nan() { value } else { max };
            fold(axes, x, f64::NEG_INFINITY, |max, _, value| larger(max, value))
        }
        Reduction::Mean => mean(axes, x),
        // By its definition, in two passes.
        Reduction::Variance => {
            let means = mean(axes, x);
            let squares = fold(axes, x, 0.0, |sum, at, value| sum + (value - means.data[at]).powi(2));
            per_count(squares, x)
        }
    }
}

fn mean(axes: &[usize], x: &Tensor) -> Tensor {
    per_count(fold(axes, x, 0.0, |sum, _, value| sum + value), x)
}

/// Divides by how many elements of `x` came together in each of the result.
fn per_count(mut sums: Tensor, x: &Tensor) -> Tensor {
    let count = (x.data.len() / sums.data.len().max(1)) as f64;
    sums.data.iter_mut().for_each(|it| *it /= count);
    sums
}

/// Takes the elements of `x` into those of the result, in order: `step(so far, place in the result, element)`.
fn fold(axes: &[usize], x: &Tensor, start: f64, step: impl Fn(f64, usize, f64) -> f64) -> Tensor {
    let mut shape = x.shape.clone();
    axes.iter().for_each(|&axis| shape.0[axis] = 1);
    let mut result = Tensor::filled(shape.clone(), start);
    each(&x.shape, &[&shape], |position, offsets| {
        let at = offsets[0];
        result.data[at] = step(result.data[at], at, x.data[position]);
    });
    result
}
