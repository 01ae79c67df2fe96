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
        let from_the_border = out * geometry.stride[axis] + tap * geometry.dilation[axis];
        from_the_border.checked_sub(geometry.before[axis]).filter(|&it| it < size[axis])
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

/// The filters that see input channel `c`, and which of a filter's own channels that is.
fn filters_of(c: usize, cin: usize, cout: usize, groups: usize) -> (std::ops::Range<usize>, usize) {
    let group = c * groups / cin;
    (group * cout / groups..(group + 1) * cout / groups, c - group * cin / groups)
}

/// `y[o, k] = sum x[i, c] w[tap, c, k]`, over the channels `c` of the group of `k`.
pub(super) fn forward(x: &Tensor, w: &Tensor, geometry: &Geometry) -> Tensor {
    let [n, height, width, cin] = x.dims::<4>();
    let [_, _, each, cout] = w.dims::<4>();
    let [oh, ow] = output(geometry, [height, width]);
    let mut y = Tensor::filled([n, oh, ow, cout], 0.0);
    taps(geometry, n, [height, width], [oh, ow], |out, pixel, tap| {
        let to = &mut y.data[out * cout..][..cout];
        for c in 0..cin {
            let value = x.data[pixel * cin + c];
            let (filters, own) = filters_of(c, cin, cout, geometry.groups);
            let filter = &w.data[(tap * each + own) * cout..][filters.clone()];
            for (to, filter) in to[filters].iter_mut().zip(filter) {
                *to += value * filter;
            }
        }
    });
    y
}

/// `dx[i, c] = sum dy[o, k] w[tap, c, k]`.
pub(super) fn input_grad(dy: &Tensor, w: &Tensor, geometry: &Geometry, size: [usize; 2]) -> Tensor {
    let [n, oh, ow, cout] = dy.dims::<4>();
    let [_, _, each, _] = w.dims::<4>();
    let cin = each * geometry.groups;
    let mut dx = Tensor::filled([n, size[0], size[1], cin], 0.0);
    taps(geometry, n, size, [oh, ow], |out, pixel, tap| {
        let from = &dy.data[out * cout..][..cout];
        for c in 0..cin {
            let (filters, own) = filters_of(c, cin, cout, geometry.groups);
            let filter = &w.data[(tap * each + own) * cout..][filters.clone()];
            dx.data[pixel * cin + c] += from[filters].iter().zip(filter).map(|(a, b)| a * b).sum::<f64>();
        }
    });
    dx
}

/// `dw[tap, c, k] = sum x[i, c] dy[o, k]`.
pub(super) fn filter_grad(x: &Tensor, dy: &Tensor, geometry: &Geometry) -> Tensor {
    let [n, height, width, cin] = x.dims::<4>();
    let [_, oh, ow, cout] = dy.dims::<4>();
    let each = cin / geometry.groups;
    let mut dw = Tensor::filled([geometry.kernel[0], geometry.kernel[1], each, cout], 0.0);
    taps(geometry, n, [height, width], [oh, ow], |out, pixel, tap| {
        let from = &dy.data[out * cout..][..cout];
        for c in 0..cin {
            let value = x.data[pixel * cin + c];
            let (filters, own) = filters_of(c, cin, cout, geometry.groups);
            let to = &mut dw.data[(tap * each + own) * cout..][filters.clone()];
            for (to, from) in to.iter_mut().zip(&from[filters]) {
                *to += value * from;
            }
        }
    });
    dw
}
