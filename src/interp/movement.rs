//! Data movement: permuted axes, picks along the first axis.

use super::Tensor;
use crate::ir::{Along, Shape};

/// Output axis `i` is input axis `perm[i]`.
pub(super) fn transpose(x: &Tensor, perm: &[usize]) -> Tensor {
    let rank = perm.len();
    let mut steps = vec![1; rank];
    for axis in (0..rank.saturating_sub(1)).rev() {
        steps[axis] = steps[axis + 1] * x.shape.0[axis + 1];
    }
    let shape = Shape(perm.iter().map(|&it| x.shape.0[it]).collect());
    let mut result = Tensor::filled(shape.clone(), 0.0);
    for position in 0..shape.len() {
        let (mut rest, mut from) = (position, 0);
        for axis in (0..rank).rev() {
            from += rest % shape.0[axis] * steps[perm[axis]];
            rest /= shape.0[axis];
        }
        result.data[position] = x.data[from];
    }
    result
}

/// Zeros, over which each part is laid.
pub(super) fn assemble(shape: &Shape, places: &[Vec<Along>], parts: &[&Tensor]) -> Tensor {
    let mut result = Tensor::filled(shape.clone(), 0.0);
    for (part, place) in parts.iter().zip(places) {
        for (position, value) in part.data.iter().enumerate() {
            let (mut rest, mut step, mut to, mut inside) = (position, 1, 0, true);
            for ((along, extent), limit) in place.iter().zip(part.shape.dims()).zip(shape.dims()).rev() {
                let here = (rest % extent) as i64;
                let there = if along.turned { along.start - here } else { along.start + here };
                inside &= 0 <= there && there < *limit as i64;
                to += there * step;
                step *= *limit as i64;
                rest /= extent;
            }
            if inside {
                result.data[to as usize] = *value;
            }
        }
    }
    result
}

/// Examples by their indices.
pub(super) fn pick(source: &Tensor, index: &Tensor) -> Tensor {
    let item: usize = source.shape.0[1..].iter().product();
    let mut shape = source.shape.clone();
    shape.0[0] = index.data.len();
    let data = index.data.iter().flat_map(|&at| &source.data[at as usize * item..][..item]).copied().collect();
    Tensor::new(shape, data)
}

/// For each row the sum of what has its index.
pub(super) fn scatter(rows: usize, index: &Tensor, g: &Tensor) -> Tensor {
    let item: usize = g.shape.0[1..].iter().product();
    let mut shape = g.shape.clone();
    shape.0[0] = rows;
    let mut result = Tensor::filled(shape, 0.0);
    for (at, row) in index.data.iter().enumerate() {
        for column in 0..item {
            result.data[*row as usize * item + column] += g.data[at * item + column];
        }
    }
    result
}
