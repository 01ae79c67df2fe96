//! Data movement: permuted axes, picks along the first axis, augmentation.

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

/// Images by their indices, cropped at random out of a symmetric padding and mirrored at random.
///
/// The image `(y, x)` of the result reads `(y + oy, x' + ox)` of the padded original, where
/// `x' = w - 1 - x` if the image is mirrored: the crop is chosen first, then mirrored.
pub(super) fn augment(source: &Tensor, index: &Tensor, uniform: &Tensor, flip: bool, crop: usize) -> Tensor {
    let [_, height, width, channels] = source.dims::<4>();
    let n = index.data.len();
    let mut result = Tensor::filled([n, height, width, channels], 0.0);
    for image in 0..n {
        let u = &uniform.data[image * 3..][..3];
        let mirrored = flip && u[0] < 0.5;
        let offset = |u: f64| (u * (2 * crop + 1) as f64).floor() as usize;
        let (oy, ox) = (offset(u[1]), offset(u[2]));
        for y in 0..height {
            for x in 0..width {
                let column = if mirrored { width - 1 - x } else { x };
                let from_y = reflect((y + oy) as i64 - crop as i64, height);
                let from_x = reflect((column + ox) as i64 - crop as i64, width);
                let from = ((index.data[image] as usize * height + from_y) * width + from_x) * channels;
                let to = ((image * height + y) * width + x) * channels;
                result.data[to..][..channels].copy_from_slice(&source.data[from..][..channels]);
            }
        }
    }
    result
}

/// A position outside of `0..n`, mirrored at the edges with the edge included: -1 is 0, `n` is `n - 1`.
fn reflect(at: i64, n: usize) -> usize {
    let n = n as i64;
    let at = at.rem_euclid(2 * n);
    (if at < n { at } else { 2 * n - 1 - at }) as usize
}

#[cfg(test)]
mod tests {
    use super::reflect;

    #[test]
    fn reflection_repeats_the_edge() {
        let all: Vec<usize> = (-4..8).map(|at| reflect(at, 4)).collect();
        assert_eq!(all, [3, 2, 1, 0, 0, 1, 2, 3, 3, 2, 1, 0]);
        assert_eq!([reflect(-1, 1), reflect(0, 1), reflect(5, 1)], [0, 0, 0]);
    }
}
