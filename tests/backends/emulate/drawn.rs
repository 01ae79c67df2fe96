//! Random numbers that an expression draws where it uses them: in maps, and behind convolutions.

use super::join::check;
use super::module;
use sphc::ir::{DType, Geometry, Reduction, ScalarFn};
use sphc::kernel::cuda::{Arithmetic, Choice, Options};
use sphc::kernel::{ConvKernel, ConvKind, Draws, KernelSpec, MapInput, MapKernel, MapOutput, Store};

/// `x u`, whole, and the sum of it over all but the last axis.
fn scaled(dims: &[usize], draws: Draws, strides: Vec<usize>) -> MapKernel {
    let body = ScalarFn::build(2, |pool, i| pool.mul(i[0], i[1]));
    let root = body.roots[0];
    let mut dense = vec![1; dims.len()];
    (0..dims.len() - 1).rev().for_each(|it| dense[it] = dense[it + 1] * dims[it + 1]);
    let mut over = vec![true; dims.len()];
    over[dims.len() - 1] = false;
    MapKernel {
        dims: dims.to_vec(),
        inputs: vec![MapInput::new(dense, DType::Real), MapInput::drawn(strides, draws)],
        body: ScalarFn { roots: [root; 2].into(), ..body },
        outputs: vec![
            MapOutput { store: Store::Full, dtype: DType::Real },
            MapOutput { store: Store::Reduce { kind: Reduction::Sum, over }, dtype: DType::Real },
        ],
    }
}

const STREAM: u64 = 0x9e37_79b9_7f4a_7c15;

#[test]
fn maps_draw_numbers_of_elements_rows_and_columns() {
    if !module::available() {
        return;
    }
    // Words, and single numbers; from the first number on, within four of them, and far.
    for columns in [24, 10] {
        for first in [0, 3, 8, 1 << 40] {
            for strides in [vec![columns, 1], vec![1, 0], vec![0, 1], vec![0, 0]] {
                let map = scaled(&[37, columns], Draws { stream: STREAM, first }, strides);
                check(&[KernelSpec::Map(map)], &[], &Options::default());
            }
        }
    }
}

#[test]
fn numbers_are_drawn_behind_convolutions() {
    if !module::available() {
        return;
    }
    let [n, h, w, filters] = [3, 5, 7, 24];
    let draws = Draws { stream: STREAM, first: 5 };
    let conv = |groups: usize, kind: ConvKind| ConvKernel {
        kind,
        geometry: Geometry { groups, ..Geometry::same([h, w], [3, 3], [1, 1]) },
        n,
        input: [h, w, 24],
        output: [h, w, filters],
        reads: DType::Real,
        writes: DType::Real,
    };
    let pixels = n * h * w;
    for strides in [vec![filters, 1], vec![1, 0], vec![0, 1]] {
        let map = scaled(&[pixels, filters], draws, strides);
        let (f32, bf16) = (Options::default(), Options { arithmetic: Arithmetic::Bf16, ..Options::default() });
        let split = Options { choice: Some(Choice { tile: 3, split: 2 }), ..f32 };
        for options in [f32, split, bf16] {
            check(&[KernelSpec::ConvMap { conv: conv(1, ConvKind::Forward), map: map.clone() }], &[], &options);
        }
        check(&[KernelSpec::ConvMap { conv: conv(1, ConvKind::InputGrad), map: map.clone() }], &[], &f32);
        check(&[KernelSpec::ConvMap { conv: conv(4, ConvKind::Forward), map }], &[], &f32);
    }
}
