//! How much a kernel has to do, and what it is called.

use super::{ConvKernel, ConvKind, KernelSpec, MapKernel, MatMulKernel, Store};
use crate::ir::work;
use std::ops::Range;

impl KernelSpec {
    /// Arithmetic operations of one launch.
    pub fn flops(&self) -> u64 {
        let product = |extents: &[usize]| extents.iter().map(|&it| it as u64).product::<u64>();
        match self {
            KernelSpec::Conv(it) => conv(it),
            KernelSpec::ConvMap { conv: it, map } => conv(it) + map_of(map),
            KernelSpec::MatMul(it) => matmul(it),
            KernelSpec::MatMuls(all) => all.iter().map(matmul).sum(),
            KernelSpec::Map(it) => map_of(it),
            KernelSpec::Maps(all) => all.iter().map(map_of).sum(),
            KernelSpec::Window { geometry, n, input, output, .. } => {
                product(&geometry.kernel) * product(output) * (n * input[2]) as u64
            }
            KernelSpec::Scatter { n, item, .. } => product(&[*n, *item]),
            KernelSpec::AllReduce { len, .. } => *len as u64,
            KernelSpec::Loss { n, classes, .. } => work::loss(product(&[*n, *classes])),
            KernelSpec::Transpose { .. }
            | KernelSpec::Assemble { .. }
            | KernelSpec::Gather { .. }
            | KernelSpec::Augment { .. }
            | KernelSpec::Random { .. } => 0,
        }
    }

    /// Whether it is a convolution's product or a matrix product.
    pub fn is_contraction(&self) -> bool {
        matches!(
            self,
            KernelSpec::Conv(_) | KernelSpec::ConvMap { .. } | KernelSpec::MatMul(_) | KernelSpec::MatMuls(_)
        )
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
            KernelSpec::MatMul(_) => "matmul",
            KernelSpec::MatMuls(_) => "many matmuls",
            KernelSpec::Map(_) => "map",
            KernelSpec::Maps(_) => "many maps",
            KernelSpec::Window { .. } => "window",
            KernelSpec::Transpose { .. } => "transpose",
            KernelSpec::Assemble { .. } => "assemble",
            KernelSpec::Gather { .. } => "gather",
            KernelSpec::Augment { .. } => "augment",
            KernelSpec::Scatter { .. } => "scatter",
            KernelSpec::AllReduce { .. } => "all_reduce",
            KernelSpec::Loss { .. } => "loss",
            KernelSpec::Random { .. } => "random",
        }
    }

    /// What makes a result, and from which of so many operands: of those that share a launch, one.
    pub fn maker(&self, result: usize, operands: usize) -> (&'static str, Range<usize>) {
        let maps = match self {
            KernelSpec::MatMuls(_) => return ("matmul", result * 2..result * 2 + 2),
            KernelSpec::Maps(maps) => maps,
            KernelSpec::Conv(_)
            | KernelSpec::ConvMap { .. }
            | KernelSpec::MatMul(_)
            | KernelSpec::Map(_)
            | KernelSpec::Window { .. }
            | KernelSpec::Transpose { .. }
            | KernelSpec::Assemble { .. }
            | KernelSpec::Gather { .. }
            | KernelSpec::Augment { .. }
            | KernelSpec::Scatter { .. }
            | KernelSpec::AllReduce { .. }
            | KernelSpec::Loss { .. }
            | KernelSpec::Random { .. } => return (self.family(), 0..operands),
        };
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

fn matmul(it: &MatMulKernel) -> u64 {
    work::contraction([it.batch, it.m, it.n, it.k].iter().map(|&it| it as u64).product::<u64>())
}

/// All three products of a convolution form the same ones.
fn conv(it: &ConvKernel) -> u64 {
    let product = |extents: &[usize]| extents.iter().map(|&it| it as u64).product::<u64>();
    let taps = product(&it.geometry.kernel) * (it.input[2] / it.geometry.groups.max(1)) as u64;
    work::contraction(it.n as u64 * product(&it.output) * taps)
}

fn map_of(it: &MapKernel) -> u64 {
    let reduced = it.outputs.iter().map(|output| match output.store {
        Store::Full => 0,
        Store::Reduce { kind, .. } => work::reduction(kind),
    });
    it.dims.iter().map(|&it| it as u64).product::<u64>() * (work::operations(&it.body) + reduced.sum::<u64>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::{DType, Geometry, Reduction, ScalarFn};
    use crate::kernel::{MapInput, MapOutput};

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
                reads: DType::Real,
                writes: DType::Real,
            });
            assert_eq!(spec.flops(), 2 * (2 * 8 * 8 * 7) * (3 * 3 * 5));
        }
        let depthwise = KernelSpec::Conv(ConvKernel {
            kind: ConvKind::Forward,
            geometry: geometry.grouped(6),
            n: 2,
            input: [8, 8, 6],
            output: [8, 8, 12],
            reads: DType::Real,
            writes: DType::Real,
        });
        assert_eq!(depthwise.flops(), 2 * (2 * 8 * 8 * 12) * (3 * 3));
        let product =
            KernelSpec::MatMul(MatMulKernel { batch: 1, m: 3, n: 4, k: 5, transpose_a: false, transpose_b: true });
        assert_eq!(product.flops(), 120);
    }

    #[test]
    fn a_map_works_on_what_it_reduces_as_well() {
        let output = |store| MapOutput { store, dtype: DType::Real };
        let variance = Store::Reduce { kind: Reduction::Variance, over: vec![true, false] };
        let map = MapKernel {
            dims: vec![4, 6],
            inputs: vec![MapInput::new(vec![6, 1], DType::Real)],
            body: ScalarFn::build(1, |p, i| p.mul(i[0], i[0])),
            outputs: vec![output(Store::Full)],
        };
        assert_eq!(KernelSpec::Map(map.clone()).flops(), 24);
        let mut both = map.clone();
        both.body.roots = [both.body.roots[0], both.body.roots[0]].into();
        both.outputs.push(output(variance));
        assert_eq!(KernelSpec::Map(both.clone()).flops(), 24 * (1 + 4));
        assert_eq!(KernelSpec::Maps(vec![map, both]).flops(), 24 * 6);
    }
}
