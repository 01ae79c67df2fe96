//! Convolution and its two adjoints, as sums over every (output position, tap) that meets the image.

use super::Tensor;
use crate::ir::Geometry;

/// Calls `visit(output pixel, input pixel, tap)` with flat indices (channels apart) for every output
/// position and every tap of its window that lies inside the image, in row-major order.
pub(super) fn taps(
    geometry: &Geometry,
    n: usize,
    size: [usize; 2],
    output: [usize; 2],
    mut visit: impl FnMut(usize, usize, usize),
) {
    let inside = |out: usize, tap: usize, axis: usize| {
        (out * geometry.stride[axis] + tap).checked_sub(geometry.before[axis]).filter(|&it| it < size[axis])
    };
    for image in 0..n {
        for oy in 0..output[0] {
            for ox in 0..output[1] {
                let out = (image * output[0] + oy) * output[1] + ox;
                for ky in 0..geometry.kernel[0] {
                    let Some(y) = inside(oy, ky, 0) else { continue };
                    for kx in 0..geometry.kernel[1] {
                        let Some(x) = inside(ox, kx, 1) else { continue };
                        visit(out, (image * size[0] + y) * size[1] + x, ky * geometry.kernel[1] + kx);
                    }
                }
            }
        }
    }
}

fn output(geometry: &Geometry, size: [usize; 2]) -> [usize; 2] {
    geometry.output(size).expect("the shape rule holds")
}

/// `y[o, k] = sum x[i, c] w[tap, c, k]`.
pub(super) fn forward(x: &Tensor, w: &Tensor, geometry: &Geometry) -> Tensor {
    let [n, height, width, cin] = x.dims::<4>();
    let [_, _, _, cout] = w.dims::<4>();
    let [oh, ow] = output(geometry, [height, width]);
    let mut y = Tensor::filled([n, oh, ow, cout], 0.0);
    taps(geometry, n, [height, width], [oh, ow], |out, pixel, tap| {
        let to = &mut y.data[out * cout..][..cout];
        for c in 0..cin {
            let value = x.data[pixel * cin + c];
            let filter = &w.data[(tap * cin + c) * cout..][..cout];
            for (to, filter) in to.iter_mut().zip(filter) {
                *to += value * filter;
            }
        }
    });
    y
}

/// `dx[i, c] = sum dy[o, k] w[tap, c, k]`.
pub(super) fn input_grad(dy: &Tensor, w: &Tensor, geometry: &Geometry, size: [usize; 2]) -> Tensor {
    let [n, oh, ow, cout] = dy.dims::<4>();
    let [_, _, cin, _] = w.dims::<4>();
    let mut dx = Tensor::filled([n, size[0], size[1], cin], 0.0);
    taps(geometry, n, size, [oh, ow], |out, pixel, tap| {
        let from = &dy.data[out * cout..][..cout];
        for c in 0..cin {
            let filter = &w.data[(tap * cin + c) * cout..][..cout];
            dx.data[pixel * cin + c] += from.iter().zip(filter).map(|(a, b)| a * b).sum::<f64>();
        }
    });
    dx
}

/// `dw[tap, c, k] = sum x[i, c] dy[o, k]`.
pub(super) fn filter_grad(x: &Tensor, dy: &Tensor, geometry: &Geometry) -> Tensor {
    let [n, height, width, cin] = x.dims::<4>();
    let [_, oh, ow, cout] = dy.dims::<4>();
    let mut dw = Tensor::filled([geometry.kernel[0], geometry.kernel[1], cin, cout], 0.0);
    taps(geometry, n, [height, width], [oh, ow], |out, pixel, tap| {
        let from = &dy.data[out * cout..][..cout];
        for c in 0..cin {
            let value = x.data[pixel * cin + c];
            let to = &mut dw.data[(tap * cin + c) * cout..][..cout];
            for (to, from) in to.iter_mut().zip(from) {
                *to += value * from;
            }
        }
    });
    dw
}
