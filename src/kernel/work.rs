//! How much a kernel has to do: arithmetic operations, and bytes that must pass at least once; and what it is called.

use super::{ConvKind, KernelSpec};
use crate::ir::ExprNode;
use std::ops::Range;

impl KernelSpec {
    /// Arithmetic operations of one launch; a multiply and add are two.
    pub fn flops(&self) -> u64 {
        let product = |extents: &[usize]| extents.iter().map(|&it| it as u64).product::<u64>();
        match self {
            // All three products of a convolution form the same ones.
            KernelSpec::Conv(it) => {
                let taps = product(&it.geometry.kernel) * (it.input[2] / it.geometry.groups.max(1)) as u64;
                2 * it.n as u64 * product(&it.output) * taps
            }
            KernelSpec::ConvMap { conv, map } => KernelSpec::Conv(*conv).flops() + KernelSpec::Map(map.clone()).flops(),
            KernelSpec::MatMul { batch, m, n, k, .. } => 2 * product(&[*batch, *m, *n, *k]),
            KernelSpec::Map(it) => {
                let node = |it: &&ExprNode| !matches!(it, ExprNode::Const(_) | ExprNode::Input(_));
                product(&it.dims) * it.body.nodes.iter().filter(node).count() as u64
            }
            KernelSpec::Maps(all) => all.iter().map(|it| KernelSpec::Map(it.clone()).flops()).sum(),
            KernelSpec::Window { geometry, n, input, output, .. } => {
                product(&geometry.kernel) * product(output) * (n * input[2]) as u64
            }
            // A few exponentials and logarithms for each logit.
            KernelSpec::Scatter { n, item, .. } => product(&[*n, *item]),
            KernelSpec::Loss { n, classes, .. } => 4 * product(&[*n, *classes]),
            KernelSpec::Transpose { .. }
            | KernelSpec::Assemble { .. }
            | KernelSpec::Gather { .. }
            | KernelSpec::Random { .. } => 0,
        }
    }

    /// Whether it is a convolution's product or a matrix product.
    pub fn is_contraction(&self) -> bool {
        matches!(self, KernelSpec::Conv(_) | KernelSpec::ConvMap { .. } | KernelSpec::MatMul { .. })
    }

    /// What it is called in tables.
    pub fn family(&self) -> &'static str {
        match self {
            KernelSpec::Conv(conv) => match conv.kind {
                ConvKind::Forward => "conv",
                ConvKind::InputGrad => "conv input grad",
                ConvKind::FilterGrad => "conv filter grad",
            },
            KernelSpec::ConvMap { conv, .. } if conv.kind == ConvKind::Forward => "conv + map",
            KernelSpec::ConvMap { .. } => "conv input grad + map",
            KernelSpec::MatMul { .. } => "matmul",
            KernelSpec::Map(_) => "map",
            KernelSpec::Maps(_) => "many maps",
            KernelSpec::Window { .. } => "window",
            KernelSpec::Transpose { .. } => "transpose",
            KernelSpec::Assemble { .. } => "assemble",
            KernelSpec::Gather { .. } => "gather",
            KernelSpec::Scatter { .. } => "scatter",
            KernelSpec::Loss { .. } => "loss",
            KernelSpec::Random { .. } => "random",
        }
    }

    /// What makes a result, and from which of so many operands: of maps that share a launch, one.
    pub fn maker(&self, result: usize, operands: usize) -> (&'static str, Range<usize>) {
        let KernelSpec::Maps(maps) = self else { return (self.family(), 0..operands) };
        let (mut first, mut results) = (0, 0);
        for map in maps {
            results += map.outputs.len();
            if result < results {
                return ("map", first..first + map.inputs.len());
            }
            first += map.inputs.len();
        }
        unreachable!("a launch has the results of its maps")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::Geometry;
    use crate::kernel::ConvKernel;

    #[test]
    fn the_products_of_a_convolution_do_the_same_work() {
        let geometry = Geometry::same([8, 8], [3, 3], [1, 1]);
        for kind in [ConvKind::Forward, ConvKind::InputGrad, ConvKind::FilterGrad] {
            let spec = KernelSpec::Conv(ConvKernel {
                kind,
                geometry,
                n: 2,
                input: [8, 8, 5],
                output: [8, 8, 7],
                reads: crate::ir::DType::Real,
                writes: crate::ir::DType::Real,
            });
            assert_eq!(spec.flops(), 2 * (2 * 8 * 8 * 7) * (3 * 3 * 5));
        }
        let depthwise = KernelSpec::Conv(ConvKernel {
            kind: ConvKind::Forward,
            geometry: geometry.grouped(6),
            n: 2,
            input: [8, 8, 6],
            output: [8, 8, 12],
            reads: crate::ir::DType::Real,
            writes: crate::ir::DType::Real,
        });
        assert_eq!(depthwise.flops(), 2 * (2 * 8 * 8 * 12) * (3 * 3));
        let product = KernelSpec::MatMul { batch: 1, m: 3, n: 4, k: 5, transpose_a: false, transpose_b: true };
        assert_eq!(product.flops(), 120);
    }
}
