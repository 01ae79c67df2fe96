//! Kernels that count the numbers of a tensor in 32 bits, and tensors that are too long for that.

use crate::ir::size::product;
use crate::kernel::{ConvKernel, KernelSpec};

/// Most numbers of a tensor whose places are counted in 32 bits.
pub const REACH: usize = i32::MAX as usize;

/// The numbers of a kernel's longest tensor, if they are more than it can count. [`super::generate`] takes none of these.
pub fn beyond(spec: &KernelSpec) -> Option<usize> {
    let longest = match spec {
        KernelSpec::Conv(conv) | KernelSpec::ConvMap { conv, .. } => convolution(conv),
        KernelSpec::Window { n, input: [h, w, c], output: [oh, ow], .. } => {
            product(&[*n, *h, *w, *c]).max(product(&[*n, *oh, *ow, *c]))
        }
        KernelSpec::Transpose { shape, .. } => product(shape.dims()),
        KernelSpec::Assemble { dims, parts, .. } => {
            parts.iter().map(|it| product(&it.dims)).fold(product(dims), usize::max)
        }
        KernelSpec::Gather { n, item, .. } => product(&[(*n).max(1), product(item.dims())]),
        KernelSpec::Augment { n, item, steps, .. } => match *item.dims() {
            [h, w, c] => {
                let [rows, wide, c] = crate::ir::augment::after(steps, [h, w, c]).unwrap_or([h, w, c]);
                product(&[h, w, c]).max(product(&[*n, rows, wide, c]))
            }
            _ => product(&[*n, product(item.dims())]),
        },
        KernelSpec::Scatter { rows, n, item } => product(&[*rows.max(n), *item]),
        KernelSpec::Loss { n, classes, .. } => product(&[*n, *classes]),
        KernelSpec::Random { len, .. } => *len,
        // These take 64 bits where they need them.
        KernelSpec::MatMul(_)
        | KernelSpec::MatMuls(_)
        | KernelSpec::Map(_)
        | KernelSpec::Maps(_)
        | KernelSpec::AllReduce { .. } => 0,
    };
    (REACH < longest).then_some(longest)
}

fn convolution(conv: &ConvKernel) -> usize {
    let ConvKernel { geometry, n, input: [h, w, cin], output: [oh, ow, cout], .. } = *conv;
    let [kh, kw] = geometry.kernel;
    let filter = product(&[kh, kw, cin / geometry.groups.max(1), cout]);
    product(&[n, h, w, cin]).max(product(&[n, oh, ow, cout])).max(filter)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::{DType, Geometry};
    use crate::kernel::ConvKind;

    #[test]
    fn a_convolution_over_more_than_2_31_numbers_is_told() {
        let of = |n| {
            let geometry = Geometry::same([56, 56], [1, 1], [1, 1]);
            let (kind, input, output) = (ConvKind::Forward, [56, 56, 96], [56, 56, 384]);
            let conv = ConvKernel { kind, geometry, n, input, output, reads: DType::Real, writes: DType::Real };
            beyond(&KernelSpec::Conv(conv))
        };
        assert_eq!(of(1783), None);
        assert_eq!(of(1784), Some(1784 * 56 * 56 * 384));
        assert_eq!(of(4096), Some(4_932_501_504));
        assert_eq!(of(usize::MAX), Some(usize::MAX));
    }
}
