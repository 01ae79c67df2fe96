//! Sliding windows over each channel, and their adjoints.

use super::Tensor;
use super::conv::taps;
use crate::ir::Geometry;

/// Sum over each window; positions outside count as zero.
pub(super) fn sum(x: &Tensor, geometry: &Geometry) -> Tensor {
    let [n, height, width, c] = x.dims::<4>();
    let [oh, ow] = geometry.output([height, width]).expect("the shape rule holds");
    let mut y = Tensor::filled([n, oh, ow, c], 0.0);
    taps(geometry, n, [height, width], [oh, ow], |out, pixel, _| {
        (0..c).for_each(|it| y.data[out * c + it] += x.data[pixel * c + it]);
    });
    y
}

/// Every position collects the gradient of each window that holds it.
pub(super) fn sum_grad(dy: &Tensor, geometry: &Geometry, size: [usize; 2]) -> Tensor {
    let [n, oh, ow, c] = dy.dims::<4>();
    let mut dx = Tensor::filled([n, size[0], size[1], c], 0.0);
    taps(geometry, n, size, [oh, ow], |out, pixel, _| {
        (0..c).for_each(|it| dx.data[pixel * c + it] += dy.data[out * c + it]);
    });
    dx
}

/// Maximum over the positions of each window that lie inside the image.
pub(super) fn max(x: &Tensor, geometry: &Geometry) -> Tensor {
    let [n, height, width, c] = x.dims::<4>();
    let [oh, ow] = geometry.output([height, width]).expect("the shape rule holds");
    let mut y = Tensor::filled([n, oh, ow, c], f64::NEG_INFINITY);
    for (to, from) in first_maxima(x, geometry).into_iter().enumerate() {
        if let Some(from) = from {
            y.data[to] = x.data[from];
        }
    }
    y
}

/// The gradient of each window goes to its first maximum in row-major order.
pub(super) fn max_grad(x: &Tensor, dy: &Tensor, geometry: &Geometry) -> Tensor {
    let mut dx = Tensor::filled(x.shape.clone(), 0.0);
    for (from, to) in first_maxima(x, geometry).into_iter().enumerate() {
        if let Some(to) = to {
            dx.data[to] += dy.data[from];
        }
    }
    dx
}

/// For each output element, the input element that is its window's first maximum.
fn first_maxima(x: &Tensor, geometry: &Geometry) -> Vec<Option<usize>> {
    let [n, height, width, c] = x.dims::<4>();
    let [oh, ow] = geometry.output([height, width]).expect("the shape rule holds");
    let mut best: Vec<Option<usize>> = vec![None; n * oh * ow * c];
    // Taps come in row-major order, so only something strictly larger replaces what is there; NaN is the largest.
    taps(geometry, n, [height, width], [oh, ow], |out, pixel, _| {
        for it in 0..c {
            let (best, here) = (&mut best[out * c + it], pixel * c + it);
            if best.is_none_or(|best| x.data[best] < x.data[here] || x.data[here].is_nan() && !x.data[best].is_nan()) {
                *best = Some(here);
            }
        }
    });
    best
}
