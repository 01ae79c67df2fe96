//! Sums and maxima over axes, which stay as extents of 1.

use super::{Tensor, map::each};
use crate::ir::Reduction;

/// Reduces over `axes`.
pub(super) fn reduce(kind: Reduction, axes: &[usize], x: &Tensor) -> Tensor {
    let mut shape = x.shape.clone();
    axes.iter().for_each(|&axis| shape.0[axis] = 1);
    let start = match kind {
        Reduction::Sum => 0.0,
        Reduction::Max => f64::NEG_INFINITY,
    };
    let mut result = Tensor::filled(shape.clone(), start);
    each(&x.shape, &[&shape], |position, offsets| {
        let (value, to) = (x.data[position], &mut result.data[offsets[0]]);
        match kind {
            Reduction::Sum => *to += value,
            Reduction::Max if *to < value || value.is_nan() => *to = value,
            Reduction::Max => {}
        }
    });
    result
}
