//! The kernels' CUDA text, unchanged, run by the emulator and compared with the interpreter.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

pub(crate) mod case;
#[cfg(feature = "cuda")]
mod device;
mod drawn;
mod join;
pub(crate) mod module;
mod moments;
#[cfg(feature = "cuda")]
mod sanitize;
mod special;

use case::{Case, Images, Numbers, conv, conv_map, map, matmul, reduced, whole};
use module::{Memory, Module, Stress};
use sphc::ir::expr::Pool;
use sphc::ir::op::Scalar64;
use sphc::ir::{Binary, DType, Geometry, Loss, Random, Reduction, ScalarFn, Unary, Window};
use sphc::kernel::ConvKind;
use sphc::kernel::cuda::{
    Argument, Arithmetic, Choice, CudaLaunch, CudaSource, FILTER_GRAD_3X3, Options, TILES, TILES_BF16, generate,
};

/// Bytes as the runtime lays elements out.
pub(crate) fn bytes(dtype: DType, data: &[f64]) -> Vec<u8> {
    match dtype {
        DType::Real => data.iter().flat_map(|it| (*it as f32).to_ne_bytes()).collect(),
        DType::Bf16 => data.iter().flat_map(|it| half::bf16::from_f32(*it as f32).to_ne_bytes()).collect(),
        DType::Int => data.iter().flat_map(|it| (*it as i64).to_ne_bytes()).collect(),
        DType::U8 => data.iter().map(|it| *it as u8).collect(),
        DType::U16 => data.iter().flat_map(|it| (*it as u16).to_ne_bytes()).collect(),
    }
}

pub(crate) fn numbers(dtype: DType, bytes: &[u8]) -> Vec<f64> {
    match dtype {
        DType::Real => bytes.chunks(4).map(|it| f64::from(f32::from_ne_bytes(it.try_into().unwrap()))).collect(),
        DType::Bf16 => bytes.chunks(2).map(|it| half::bf16::from_ne_bytes(it.try_into().unwrap()).to_f64()).collect(),
        DType::Int => bytes.chunks(8).map(|it| i64::from_ne_bytes(it.try_into().unwrap()) as f64).collect(),
        DType::U8 => bytes.iter().map(|it| f64::from(*it)).collect(),
        DType::U16 => bytes.chunks(2).map(|it| f64::from(u16::from_ne_bytes(it.try_into().unwrap()))).collect(),
    }
}

/// What is wrong with a run, if anything.
fn run(case: &Case, source: &CudaSource, stress: Stress) -> Result<(), String> {
    let inputs: Vec<Vec<u8>> = case.inputs.iter().map(|it| bytes(it.dtype, &it.data)).collect();
    let mut outputs: Vec<Vec<u8>> = case.outputs.iter().map(|it| vec![0xff; bytes(it.dtype, &it.data).len()]).collect();
    execute(source, &inputs, &mut outputs, stress)?;
    for (number, (output, expected)) in outputs.iter().zip(&case.outputs).enumerate() {
        let found = numbers(expected.dtype, output);
        for (at, ((found, wanted), bound)) in found.iter().zip(&expected.data).zip(&expected.bound).enumerate() {
            let same = found == wanted || (found - wanted).abs() <= *bound;
            if !same {
                return Err(format!("output {number}[{at}] is {found}, not {wanted} (within {bound:e})"));
            }
        }
    }
    Ok(())
}

/// Runs a text in the emulator, or on the device that `SPHC_TEST_DEVICE` names.
fn execute(source: &CudaSource, inputs: &[Vec<u8>], outputs: &mut [Vec<u8>], stress: Stress) -> Result<(), String> {
    #[cfg(feature = "cuda")]
    if let Some(name) = module::device() {
        let inputs: Vec<&[u8]> = inputs.iter().map(Vec::as_slice).collect();
        return device::run(&name, source, &inputs, outputs, case::SEED);
    }
    let module = Module::new(source.launches[0].entry, source);
    let inputs: Vec<Memory> = inputs.iter().map(|it| Memory::of(it)).collect();
    let results: Vec<Memory> = outputs.iter().map(|it| Memory::of(it)).collect();
    module.run(&inputs.iter().collect::<Vec<_>>(), &results.iter().collect::<Vec<_>>(), case::SEED, stress)?;
    outputs.iter_mut().zip(&results).for_each(|(to, from)| to.copy_from_slice(from.bytes()));
    Ok(())
}

fn check(case: &Case, options: &Options) {
    let source = generate(&case.spec, options);
    for stress in [Stress { seed: 1, late: true }, Stress { seed: 2, late: false }] {
        if let Err(error) = run(case, &source, stress) {
            panic!("{}\n{options:?} {stress:?}\n{error}", case.name);
        }
    }
}

const ARITHMETICS: [Arithmetic; 3] = [Arithmetic::F32, Arithmetic::Tf32, Arithmetic::Bf16];
const KINDS: [ConvKind; 3] = [ConvKind::Forward, ConvKind::InputGrad, ConvKind::FilterGrad];

fn geometry(kernel: usize, stride: usize) -> Geometry {
    Geometry::same([9, 7], [kernel, kernel], [stride, stride])
}

#[test]
fn every_tile_and_arithmetic_of_a_convolution_gives_the_interpreters_numbers() {
    if !module::available() {
        return;
    }
    let images = Images { n: 2, size: [9, 7], cin: 20, cout: 36 };
    for kind in KINDS {
        let case = conv(kind, images, geometry(3, 1), 0.0);
        for arithmetic in ARITHMETICS {
            for tile in 0..TILES {
                check(&case, &Options { arithmetic, choice: Some(Choice { tile, split: 1 }), ..Options::default() });
            }
        }
    }
}

#[test]
fn strides_paddings_ragged_channels_and_shares_give_the_interpreters_numbers() {
    if !module::available() {
        return;
    }
    let uneven = Geometry { before: [2, 0], after: [1, 1], ..Geometry::valid([4, 2], [3, 1]) };
    let cases = [
        (Images { n: 2, size: [9, 7], cin: 3, cout: 12 }, geometry(3, 1), 1, 0),
        (Images { n: 2, size: [9, 7], cin: 8, cout: 10 }, geometry(3, 2), 1, 2),
        (Images { n: 3, size: [9, 7], cin: 5, cout: 7 }, geometry(1, 2), 1, 3),
        // A phase of the input gradient that no tap reaches.
        (Images { n: 3, size: [9, 7], cin: 8, cout: 32 }, geometry(1, 2), 1, 2),
        (Images { n: 1, size: [9, 7], cin: 4, cout: 40 }, uneven, 2, 1),
        (Images { n: 5, size: [4, 4], cin: 16, cout: 24 }, Geometry::valid([4, 4], [1, 1]), 4, 2),
        (Images { n: 3, size: [11, 6], cin: 12, cout: 8 }, Geometry::same([11, 6], [5, 5], [2, 2]), 3, 2),
    ];
    for (images, geometry, split, tile) in cases {
        for kind in KINDS {
            for arithmetic in [Arithmetic::F32, Arithmetic::Bf16] {
                let choice = Some(Choice { tile, split });
                check(&conv(kind, images, geometry, 0.0), &Options { arithmetic, choice, ..Options::default() });
            }
        }
    }
}

#[test]
fn convolutions_in_groups_and_dilated_ones_give_the_interpreters_numbers() {
    if !module::available() {
        return;
    }
    let dilated = Geometry::valid([3, 2], [1, 1]).dilated([2, 3]).padded([9, 7]);
    let strided = Geometry::valid([3, 2], [2, 1]).dilated([2, 3]).padded([9, 7]);
    let cases = [
        (Images { n: 2, size: [9, 7], cin: 40, cout: 40 }, geometry(3, 1).grouped(40), 1),
        (Images { n: 2, size: [9, 7], cin: 3, cout: 6 }, geometry(3, 2).grouped(3), 3),
        (Images { n: 2, size: [9, 7], cin: 8, cout: 12 }, strided.grouped(4), 2),
        (Images { n: 2, size: [9, 7], cin: 8, cout: 12 }, dilated, 1),
        (Images { n: 2, size: [9, 7], cin: 5, cout: 7 }, strided, 2),
    ];
    for (images, geometry, split) in cases {
        for kind in KINDS {
            let options = Options { choice: Some(Choice { tile: 2, split }), ..Options::default() };
            check(&conv(kind, images, geometry, 0.0), &options);
            check(&conv(kind, images, geometry, 0.0), &Options::default());
            // Factors of what is taken number by number are not rounded, whatever the arithmetic.
            if geometry.groups != 1 {
                check(&conv(kind, images, geometry, 1e-9), &Options { arithmetic: Arithmetic::Tf32, ..options });
            }
            if kind != ConvKind::FilterGrad {
                check(&conv_map(kind, images, geometry, split == 1), &options);
            }
        }
    }
    let images = Images { n: 2, size: [9, 7], cin: 16, cout: 32 };
    for (at, geometry) in [geometry(3, 2).grouped(16), dilated.grouped(4), dilated, strided].into_iter().enumerate() {
        for kind in KINDS {
            check(&conv(kind, images, geometry, 0.0).in_bf16(at % 2 == 0), &Options::default());
        }
        check(&conv_map(ConvKind::Forward, images, geometry, true).in_bf16(at % 2 == 0), &Options::default());
    }
}

#[test]
fn maps_in_the_registers_of_a_convolution_give_the_interpreters_numbers() {
    if !module::available() {
        return;
    }
    let images = Images { n: 2, size: [9, 7], cin: 20, cout: 36 };
    for kind in [ConvKind::Forward, ConvKind::InputGrad] {
        for arithmetic in ARITHMETICS {
            let stored = arithmetic != Arithmetic::Tf32;
            let case = conv_map(kind, images, geometry(3, 1), stored);
            for tile in 0..TILES {
                check(&case, &Options { arithmetic, choice: Some(Choice { tile, split: 1 }), ..Options::default() });
            }
            // No block holds a whole sum: the map comes after.
            check(&case, &Options { arithmetic, choice: Some(Choice { tile: 2, split: 3 }), ..Options::default() });
        }
        let ragged = Images { n: 3, size: [9, 7], cin: 5, cout: 10 };
        for (stride, stored) in [(1, false), (2, true)] {
            let case = conv_map(kind, ragged, geometry(3, stride), stored);
            for split in [1, 2] {
                check(&case, &Options { choice: Some(Choice { tile: 3, split }), ..Options::default() });
            }
        }
    }
}

#[test]
fn every_tile_over_operands_in_bf16_gives_the_interpreters_numbers() {
    if !module::available() {
        return;
    }
    let images = Images { n: 2, size: [9, 7], cin: 24, cout: 40 };
    for kind in KINDS {
        for tile in 0..TILES_BF16 {
            let case = conv(kind, images, geometry(3, 1), 0.0).in_bf16(tile % 2 == 0);
            check(&case, &Options { choice: Some(Choice { tile, split: 1 }), ..Options::default() });
        }
    }
    let uneven = Geometry { before: [2, 0], after: [1, 1], ..Geometry::valid([4, 2], [3, 1]) };
    let cases = [
        // Channels that fill a stage, so that taps go round inside of it.
        (Images { n: 2, size: [9, 7], cin: 64, cout: 32 }, geometry(3, 1), 3, 1),
        (Images { n: 1, size: [9, 7], cin: 32, cout: 96 }, geometry(3, 2), 2, 3),
        (Images { n: 2, size: [9, 7], cin: 8, cout: 72 }, geometry(3, 2), 2, 2),
        (Images { n: 1, size: [9, 7], cin: 32, cout: 8 }, uneven, 2, 4),
        (Images { n: 5, size: [4, 4], cin: 16, cout: 160 }, Geometry::valid([4, 4], [1, 1]), 4, 3),
    ];
    for (at, (images, geometry, split, tile)) in cases.into_iter().enumerate() {
        for kind in KINDS {
            let case = conv(kind, images, geometry, 0.0).in_bf16(at % 2 == 0);
            check(&case, &Options { choice: Some(Choice { tile, split }), ..Options::default() });
        }
    }
}

#[test]
fn nine_taps_in_a_block_give_the_interpreters_numbers() {
    if !module::available() {
        return;
    }
    let plain = |before, after| Geometry { before, after, ..Geometry::valid([3, 3], [1, 1]) };
    let cases = [
        // Two strips of every shape that is chosen, more filters or channels than a block takes, nothing that fits.
        (Images { n: 2, size: [9, 12], cin: 40, cout: 24 }, plain([1, 1], [1, 1]), 2),
        (Images { n: 1, size: [18, 9], cin: 8, cout: 136 }, plain([0, 2], [2, 1]), 1),
        (Images { n: 3, size: [8, 7], cin: 16, cout: 8 }, plain([1, 1], [1, 1]), 1),
        (Images { n: 2, size: [6, 30], cin: 8, cout: 8 }, plain([0, 0], [0, 1]), 2),
    ];
    for (at, (images, geometry, split)) in cases.into_iter().enumerate() {
        let case = conv(ConvKind::FilterGrad, images, geometry, 0.0).in_bf16(at == 1);
        check(&case, &Options { choice: Some(Choice { tile: FILTER_GRAD_3X3, split }), ..Options::default() });
    }
}

#[test]
fn maps_behind_operands_in_bf16_give_the_interpreters_numbers() {
    if !module::available() {
        return;
    }
    let images = Images { n: 2, size: [9, 7], cin: 32, cout: 40 };
    for kind in [ConvKind::Forward, ConvKind::InputGrad] {
        for (tile, stride, writes) in [(0, 1, true), (1, 1, false), (2, 2, true), (3, 1, true), (4, 2, true)] {
            let case = conv_map(kind, images, geometry(3, stride), tile != 1).in_bf16(writes);
            check(&case, &Options { choice: Some(Choice { tile, split: 1 }), ..Options::default() });
            if tile == 3 {
                check(&case, &Options { choice: Some(Choice { tile, split: 2 }), ..Options::default() });
            }
        }
    }
}

#[test]
fn factors_are_rounded_as_the_arithmetic_says() {
    if !module::available() {
        return;
    }
    let images = Images { n: 1, size: [6, 5], cin: 16, cout: 16 };
    for (arithmetic, bits) in [(Arithmetic::Tf32, 11), (Arithmetic::Bf16, 8)] {
        for kind in KINDS {
            // Two factors, each rounded to the nearest.
            let rounding = 2f64.powi(-bits) * 1.01;
            let case = conv(kind, images, Geometry::same([6, 5], [3, 3], [1, 1]), rounding);
            check(&case, &Options { arithmetic, ..Options::default() });
            let mut exact = case.clone();
            exact.outputs[0].bound.iter_mut().for_each(|it| *it *= 1e-3);
            let source = generate(&exact.spec, &Options { arithmetic, ..Options::default() });
            assert!(run(&exact, &source, Stress { seed: 1, late: true }).is_err(), "{arithmetic:?} rounds nothing");
        }
    }
}

#[test]
fn matrix_products_give_the_interpreters_numbers() {
    if !module::available() {
        return;
    }
    for (transpose_a, transpose_b) in [(false, false), (false, true), (true, false), (true, true)] {
        for extents in [[33, 20, 70], [5, 130, 9]] {
            for batch in [1, 3] {
                let case = matmul(batch, extents, transpose_a, transpose_b);
                for arithmetic in [Arithmetic::F32, Arithmetic::Tf32] {
                    let choice = Some(Choice { tile: 2, split: 1 + extents[2] / 64 });
                    check(&case, &Options { arithmetic, choice, ..Options::default() });
                }
            }
        }
    }
}

#[test]
fn matrix_products_that_share_a_launch_give_the_interpreters_numbers() {
    if !module::available() {
        return;
    }
    let all = [
        matmul(1, [33, 20, 70], true, false),
        matmul(2, [70, 130, 9], true, false),
        matmul(1, [33, 20, 70], true, false),
        matmul(1, [12, 64, 200], false, true),
    ];
    let case = case::many(all.to_vec());
    for arithmetic in [Arithmetic::F32, Arithmetic::Tf32] {
        check(&case, &Options { arithmetic, ..Options::default() });
        for (tile, split) in [(2, 3), (2, 7), (3, 2)] {
            check(&case, &Options { arithmetic, choice: Some(Choice { tile, split }), ..Options::default() });
        }
    }
}

/// `relu((x - mean) * scale) + bias`, its square, and whether it is positive.
fn several() -> ScalarFn {
    let mut pool = Pool::new();
    let [x, mean, scale, bias] = [0, 1, 2, 3].map(|it| pool.input(it));
    let zero = pool.constant(0.0);
    let centred = pool.sub(x, mean);
    let scaled = pool.mul(centred, scale);
    let shifted = pool.add(scaled, bias);
    let relu = pool.binary(Binary::Max, shifted, zero);
    let square = pool.mul(relu, relu);
    let positive = pool.binary(Binary::Lt, zero, relu);
    pool.finish(4, &[relu, square, relu, positive, shifted, square])
}

#[test]
fn maps_with_every_kind_of_reduction_give_the_interpreters_numbers() {
    if !module::available() {
        return;
    }
    let results = [
        whole(),
        reduced(Reduction::Sum, &[1]),
        reduced(Reduction::Sum, &[0]),
        reduced(Reduction::Sum, &[0, 1]),
        reduced(Reduction::Max, &[0]),
        reduced(Reduction::Max, &[1]),
    ];
    let moments = [
        reduced(Reduction::Mean, &[1]),
        reduced(Reduction::Mean, &[0]),
        reduced(Reduction::Mean, &[0, 1]),
        reduced(Reduction::Variance, &[0]),
        reduced(Reduction::Variance, &[1]),
        reduced(Reduction::Variance, &[0, 1]),
    ];
    for (rows, columns) in [(1, 1), (1, 40), (37, 1), (50, 3), (300, 10), (9000, 5), (70, 96), (40, 700), (3, 2500)] {
        let mut make = Numbers::new((rows + columns) as u64);
        let inputs = vec![
            make.reals([rows, columns], -1.0, 1.0),
            make.reals([columns], -0.5, 0.5),
            make.reals([rows, 1], 0.5, 2.0),
            make.reals([], -0.1, 0.1),
        ];
        let name = format!("[{rows},{columns}]");
        check(&map(&name, inputs.clone(), &several(), &moments), &Options::default());
        let case = map(&name, inputs, &several(), &results);
        check(&case, &Options::default());
        if [37, 70, 40].contains(&rows) {
            check(&case.moved_to_bf16(), &Options::default());
        }
    }
}

/// Of several sizes and kinds, some alike, with and without a second stage, in integers and in bf16.
#[test]
fn maps_that_share_a_launch_give_the_interpreters_numbers() {
    if !module::available() {
        return;
    }
    let of = |seed: u64, [rows, columns]: [usize; 2], results: &[case::Result]| {
        let mut make = Numbers::new(seed);
        let inputs = vec![
            make.reals([rows, columns], -1.0, 1.0),
            make.reals([columns], -0.5, 0.5),
            make.reals([rows, 1], 0.5, 2.0),
            make.reals([], -0.1, 0.1),
        ];
        map(&format!("{seed} [{rows},{columns}]"), inputs, &several(), results)
    };
    let wholes = [whole(), whole(), whole()];
    let sums = [whole(), reduced(Reduction::Sum, &[0]), reduced(Reduction::Max, &[0, 1])];
    let rows = [reduced(Reduction::Sum, &[1]), whole()];
    let mut make = Numbers::new(9);
    let four = [make.reals([3, 5, 4, 6], -1.0, 1.0), make.reals([6], -0.5, 0.5), make.reals([4, 1], 0.5, 2.0)];
    let inner = |seed: f64| {
        let mut inputs = four.to_vec();
        inputs[0].data.iter_mut().for_each(|it| *it *= seed);
        inputs.push(four[1].clone());
        map(&format!("{seed} over inner axes"), inputs, &several(), &[whole(), reduced(Reduction::Sum, &[1, 3])])
    };
    let cases = [
        vec![of(1, [37, 10], &wholes), of(2, [37, 10], &wholes), of(3, [1, 3], &wholes), of(4, [37, 10], &wholes)],
        vec![of(5, [9000, 5], &sums), of(6, [300, 10], &wholes), of(7, [9000, 5], &sums), of(8, [40, 700], &sums)],
        vec![inner(1.0), case::copy(300, DType::Int), inner(0.5), of(9, [3, 2500], &rows), case::copy(7, DType::Int)],
        vec![of(10, [70, 96], &wholes).moved_to_bf16(), of(11, [70, 96], &wholes), case::copy(300, DType::Bf16)],
    ];
    for each in cases {
        check(&case::many(each), &Options::default());
    }
}

#[test]
fn maps_over_four_axes_reduce_over_any_of_them() {
    if !module::available() {
        return;
    }
    let shape = [3, 5, 4, 6];
    let all: [&[usize]; 6] = [&[0, 1, 2], &[3], &[1, 2], &[0, 2], &[0, 1, 2, 3], &[1]];
    for axes in all {
        let mut make = Numbers::new(axes.len() as u64);
        let inputs = vec![
            make.reals(shape, -1.0, 1.0),
            make.reals([6], -0.5, 0.5),
            make.reals([3, 5, 4, 1], 0.5, 2.0),
            make.reals([5, 1, 1], -0.1, 0.1),
        ];
        let results = [
            whole(),
            reduced(Reduction::Sum, axes),
            reduced(Reduction::Max, axes),
            whole(),
            reduced(Reduction::Sum, &[0, 1, 2]),
            reduced(Reduction::Sum, &[1, 3]),
        ];
        check(&map(&format!("{axes:?}"), inputs, &several(), &results), &Options::default());
    }
}

#[test]
fn every_scalar_function_gives_the_interpreters_number() {
    if !module::available() {
        return;
    }
    let mut pool = Pool::new();
    let (x, y) = (pool.input(0), pool.input(1));
    let mut roots: Vec<_> = Unary::ALL.iter().map(|&it| pool.unary(it, x)).collect();
    for op in Binary::ALL {
        roots.push(pool.binary(op, x, y));
    }
    for power in [2.0, 3.0, 0.5] {
        let power = pool.constant(power);
        roots.push(pool.binary(Binary::Pow, x, power));
    }
    let less = pool.binary(Binary::Lt, x, y);
    let infinite = pool.constant(f64::INFINITY);
    roots.push(pool.select(less, x, y));
    roots.push(pool.binary(Binary::Lt, x, infinite));
    let results = vec![whole(); roots.len()];
    let body = pool.finish(2, &roots);
    let mut make = Numbers::new(9);
    // In (0, 1): every function is defined there.
    let inputs = vec![make.reals([200], 0.05, 0.95), make.reals([200], 0.05, 0.95)];
    let mut case = map("functions", inputs, &body, &results);
    // The slope of asin and quotients grow; 1e-5 relative covers a rounding of their argument.
    for output in &mut case.outputs {
        output.bound = output.data.iter().map(|it| 1e-5 * (1.0 + it.abs())).collect();
    }
    check(&case, &Options::default());
}

#[test]
fn integers_stay_exact_and_bytes_are_read() {
    if !module::available() {
        return;
    }
    let mut pool = Pool::new();
    let (step, image) = (pool.input(0), pool.input(1));
    let (one, half) = (pool.constant(1.0), pool.constant(127.5));
    let next = pool.add(step, one);
    let centred = pool.sub(image, half);
    let body = pool.finish(2, &[next, centred]);
    let mut step = Numbers::new(1).below([], DType::Int, 10);
    step.data = vec![9_007_199_254_740_000.0];
    let image = Numbers::new(2).below([70], DType::U8, 256);
    let results = [case::Result { reduce: None, int: true }, whole()];
    check(&map("integers", vec![step, image], &body, &results), &Options::default());
}

#[test]
fn windows_and_their_adjoints_give_the_interpreters_numbers() {
    if !module::available() {
        return;
    }
    let geometries = [
        Geometry::same([7, 5], [2, 2], [2, 2]),
        Geometry::same([7, 5], [3, 3], [1, 1]),
        Geometry::valid([7, 5], [1, 1]),
        Geometry { before: [1, 1], after: [1, 1], ..Geometry::valid([3, 2], [2, 3]) },
        Geometry::valid([3, 2], [2, 1]).dilated([2, 3]).padded([7, 5]),
    ];
    for geometry in geometries {
        for kind in [Window::Sum, Window::SumGrad { size: [7, 5] }, Window::Max, Window::MaxGrad] {
            for c in [1, 6, 8] {
                let case = case::window(kind, 2, [7, 5, c], geometry);
                check(&case, &Options::default());
                check(&case.moved_to_bf16(), &Options::default());
            }
        }
    }
    // Windows that cover each position once, and channels in words of 16 bytes and not.
    for (kind, c) in [Window::Max, Window::MaxGrad].into_iter().flat_map(|it| [(it, 3), (it, 24)]) {
        for kernel in [[2, 2], [3, 1]] {
            let case = case::window(kind, 5, [6, 4, c], Geometry::valid(kernel, kernel));
            check(&case, &Options::default());
            check(&case.moved_to_bf16(), &Options::default());
        }
    }
}

/// Joined along an inner and the outer axis; cut, padded and mirrored with an end beyond the whole.
fn parts() -> [Case; 4] {
    let (start, turned) = ((0, false), (4, true));
    [
        case::assemble(&[33, 30], &[(&[33, 10], &[start, start]), (&[33, 20], &[start, (10, false)])]),
        case::assemble(&[7, 5], &[(&[2, 5], &[start, start]), (&[5, 5], &[(2, false), start])]),
        case::assemble(&[3, 6, 4], &[(&[2, 5, 9], &[(1, false), (-1, false), (-2, false)])]),
        case::assemble(
            &[2, 7, 3],
            &[(&[2, 6, 3], &[start, turned, (2, true)]), (&[1, 1, 1], &[start, (6, false), start])],
        ),
    ]
}

#[test]
fn data_movement_is_exact() {
    if !module::available() {
        return;
    }
    check(&case::transpose(&[7, 5], &[1, 0]), &Options::default());
    check(&case::transpose(&[3, 4, 2, 5], &[2, 0, 3, 1]), &Options::default());
    check(&case::transpose(&[6], &[0]), &Options::default());
    check(&case::transpose(&[7, 5], &[1, 0]).moved_to_bf16(), &Options::default());
    for [rows, n, item] in [[7, 300, 5], [3, 20, 300], [5, 1, 1]] {
        check(&case::scatter(rows, n, item), &Options::default());
    }
    for case in parts() {
        check(&case, &Options::default());
        check(&case.moved_to_bf16(), &Options::default());
    }
    for dtype in [DType::U8, DType::U16, DType::Int, DType::Real, DType::Bf16] {
        check(&case::copy(300, dtype), &Options::default());
    }
    for (dtype, item) in
        [(DType::Real, vec![10]), (DType::Int, vec![]), (DType::U8, vec![6, 5, 3]), (DType::U16, vec![7])]
    {
        check(&case::gather(dtype, 9, &item, &[]), &Options::default());
    }
    for steps in crate::files::images::augmentations([6, 5]) {
        for dtype in DType::INPUTS.into_iter().filter(|it| steps.iter().all(|step| step.takes(*it))) {
            check(&case::gather(dtype, 30, &[6, 5, 3], &steps), &Options::default());
        }
    }
    check(
        &case::gather(DType::U8, 9, &[6, 5, 1], &crate::files::images::mirrored_crop([6, 5], 8)),
        &Options::default(),
    );
}

#[test]
fn losses_give_the_interpreters_numbers() {
    if !module::available() {
        return;
    }
    let (smoothing, floor) = (Scalar64(0.01), Scalar64(1e-4));
    for kind in [Loss::CrossEntropy { smoothing, floor }, Loss::CrossEntropyGrad { smoothing, floor }, Loss::Correct] {
        for (n, classes) in [(13, 10), (3, 2), (2, 100)] {
            check(&case::loss(kind, n, classes), &Options::default());
        }
    }
}

#[test]
fn random_numbers_have_the_same_bits() {
    if !module::available() {
        return;
    }
    for (step, first) in [(0, 0), (3, 60), (5_000_000_000, 5_000_000_001)] {
        check(&case::random(Random::Uniform, 30, step, first), &Options::default());
        for examples in [1, 7, 50_000] {
            check(&case::random(Random::Shuffle { examples }, 20, step, first), &Options::default());
            check(&case::random(Random::Sequence { examples }, 20, step, first), &Options::default());
        }
    }
}

/// Every number of 16 bits, what lies halfway between two and beside that, and what is out of range.
#[test]
fn reals_of_16_bits_are_read_exactly_and_rounded_to_the_nearest() {
    if !module::available() {
        return;
    }
    let every = || (0..=u16::MAX).map(half::bf16::from_bits);
    let between = (0..=u16::MAX).flat_map(|it| [0x7fff, 0x8000, 0x8001].map(|low| u32::from(it) << 16 | low));
    let reals: Vec<f32> = between.map(f32::from_bits).collect();
    let code = format!(
        "extern \"C\" __global__ void move(const bf16* wide, const float* reals, float* read, bf16* written) {{\n\
         const int i = blockIdx.x * 256 + threadIdx.x;\n\
         if (i < {}) read[i] = (float)wide[i];\n\
         written[i] = (bf16)reals[i];\n}}\n",
        1 << 16
    );
    let launch = CudaLaunch {
        entry: "move",
        grid: [(reals.len() / 256) as u32, 1, 1],
        block: 256,
        shared: 0,
        arguments: vec![Argument::Input(0), Argument::Input(1), Argument::Output(0), Argument::Output(1)],
    };
    let text = format!("#define SPHC_GENERATED\n{}{code}", include_str!("../../kernels/device.cu"));
    let inputs =
        [every().flat_map(|it| it.to_ne_bytes()).collect(), reals.iter().flat_map(|it| it.to_ne_bytes()).collect()];
    let mut outputs = [vec![0xff; 4 << 16], vec![0xff; reals.len() * 2]];
    let source = CudaSource { text, launches: vec![launch], scratch: 0, counters: 0 };
    execute(&source, &inputs, &mut outputs, Stress { seed: 1, late: true }).unwrap();
    let same = |a: f64, b: f64| a == b && a.is_sign_negative() == b.is_sign_negative() || a.is_nan() && b.is_nan();
    for (found, wanted) in numbers(DType::Real, &outputs[0]).into_iter().zip(every()) {
        assert!(same(found, wanted.to_f64()), "{wanted} is read as {found}");
    }
    for (found, real) in numbers(DType::Bf16, &outputs[1]).into_iter().zip(reals) {
        let wanted = half::bf16::from_f32(real);
        assert!(same(found, wanted.to_f64()), "{real} is written as {found}, not {wanted}");
    }
}

/// Bugs of synchronisation, planted one at a time into text that is right: each must show.
#[test]
fn planted_bugs_of_synchronisation_are_caught() {
    // A device may well get away with them.
    if !module::available() || module::device().is_some() {
        return;
    }
    let images = Images { n: 2, size: [8, 8], cin: 32, cout: 40 };
    let contraction = conv(ConvKind::Forward, images, Geometry::same([8, 8], [3, 3], [1, 1]), 0.0);
    let choice = Some(Choice { tile: 2, split: 1 });
    let product = generate(&contraction.spec, &Options { arithmetic: Arithmetic::Bf16, choice, ..Options::default() });
    // Channels that do not fill stages, which are then taken one at a time.
    let ragged = conv(ConvKind::Forward, Images { cin: 20, ..images }, Geometry::same([8, 8], [3, 3], [1, 1]), 0.0);
    let of_ragged = generate(&ragged.spec, &Options { arithmetic: Arithmetic::Bf16, choice, ..Options::default() });
    let short = contraction.clone().in_bf16(true);
    let four_warps = Some(Choice { tile: 3, split: 1 });
    let of_short = generate(&short.spec, &Options { choice: four_warps, ..Options::default() });
    let nine = conv(ConvKind::FilterGrad, images, Geometry::same([8, 8], [3, 3], [1, 1]), 0.0).in_bf16(false);
    let nine = Case { name: format!("{}, nine taps", nine.name), ..nine };
    let choice = Some(Choice { tile: FILTER_GRAD_3X3, split: 1 });
    let of_nine = generate(&nine.spec, &Options { choice, ..Options::default() });
    let results = [
        whole(),
        whole(),
        reduced(Reduction::Sum, &[0]),
        reduced(Reduction::Sum, &[0, 1]),
        reduced(Reduction::Sum, &[0]),
        reduced(Reduction::Sum, &[1]),
    ];
    let mut make = Numbers::new(4);
    let inputs = vec![
        make.reals([100, 40], -1.0, 1.0),
        make.reals([40], -0.5, 0.5),
        make.reals([100, 1], 0.5, 2.0),
        make.reals([], -0.1, 0.1),
    ];
    let sums = map("planted", inputs.clone(), &several(), &results);
    let reduction = generate(&sums.spec, &Options::default());
    let moments = [
        reduced(Reduction::Mean, &[0]),
        reduced(Reduction::Variance, &[0, 1]),
        reduced(Reduction::Variance, &[0]),
        reduced(Reduction::Variance, &[1]),
    ];
    let spread = map("planted moments", inputs, &several(), &moments);
    let of_spread = generate(&spread.spec, &Options::default());
    let behind = conv_map(ConvKind::Forward, images, Geometry::same([8, 8], [3, 3], [1, 1]), false);
    let choice = Some(Choice { tile: 2, split: 1 });
    let of_behind = generate(&behind.spec, &Options { choice, ..Options::default() });
    let adding = matmul(1, [33, 20, 70], true, false);
    let of_adding =
        generate(&adding.spec, &Options { choice: Some(Choice { tile: 2, split: 3 }), ..Options::default() });
    let plants = [
        (&adding, &of_adding, "*(u32*)memory == blocks - 1;", "*(u32*)memory == 0;"),
        (&adding, &of_adding, "count_up(counter, blocks - 1)", "count_up(counter, blocks)"),
        (&contraction, &product, "copy_wait<STAGES - 2>();", "copy_wait<STAGES - 1>();"),
        (&contraction, &product, "__syncthreads();  // this stage", "// this stage"),
        (&contraction, &product, "free = (step + STAGES - 1) % STAGES;", "free = step % STAGES;"),
        (&ragged, &of_ragged, "|| stage + step + STAGES - 1 < last)", "|| stage + step + STAGES < last)"),
        (&contraction, &product, "            copy_commit();\n            use(", "            use("),
        (&contraction, &product, "^ ((row & 1) << 2 | (row >> 1 & 3))", "^ 8 * (row & 1)"),
        (&short, &of_short, "copy_wait<STAGES - 2>();", "copy_wait<STAGES - 1>();"),
        (&short, &of_short, "__syncthreads();  // this stage", "// this stage"),
        (&short, &of_short, "line & 7 : line >> 1 & 3", "line & 7 : line >> 2 & 3"),
        (&short, &of_short, "(line * PIECES + (at >> 3 ^ turn)) * 8", "(line * PIECES + (at >> 3)) * 8"),
        (&short, &of_short, "(ROWS_FIRST ? third : second) * 8;", "(ROWS_FIRST ? second : third) * 8;"),
        (&nine, &of_nine, "copy_wait<STAGES - 2>();", "copy_wait<STAGES - 1>();"),
        (&nine, &of_nine, "__syncthreads();  // this stage", "// this stage"),
        (&ragged, &of_ragged, "free + 1 == STAGES ? 0 : free + 1", "free"),
        (&nine, &of_nine, "if (LINES <= line) continue;", "if (LINES - 1 <= line) continue;"),
        (&nine, &of_nine, "PITCH = CHANNELS + 8", "PITCH = CHANNELS"),
        (&sums, &reduction, "columns[j][c].sums[o];\n        __syncthreads();\n", "columns[j][c].sums[o];\n"),
        (&sums, &reduction, "        __syncthreads();  // readers", "        // readers"),
        (
            &sums,
            &reduction,
            "            __syncthreads();\n            if (threadIdx.x < half)",
            "            if (threadIdx.x < half)",
        ),
        (&sums, &reduction, "0 < mask; mask /= 2)\n", "1 < mask; mask /= 2)\n"),
        (&spread, &of_spread, "rows_of(line));\n        __syncthreads();\n", "rows_of(line));\n"),
        (
            &spread,
            &of_spread,
            "        __syncthreads();\n        if (threadIdx.x % SHARED_BY",
            "        if (threadIdx.x % SHARED_BY",
        ),
        (&spread, &of_spread, "0 < mask; mask /= 2) {", "1 < mask; mask /= 2) {"),
        (&spread, &of_spread, "{all, count};\n    __syncthreads();\n", "{all, count};\n"),
        (
            &behind,
            &of_behind,
            "        __syncthreads();\n        for (int i = threadIdx.x; i < TILE_N; i += THREADS) {\n            Moments",
            "        for (int i = threadIdx.x; i < TILE_N; i += THREADS) {\n            Moments",
        ),
    ];
    for (case, source, right, wrong) in plants {
        assert_eq!(source.text.matches(right).count(), 1, "`{right}` is no longer there once");
        let planted = CudaSource { text: source.text.replace(right, wrong), ..source.clone() };
        let caught = (1..6).any(|seed| run(case, &planted, Stress { seed, late: true }).is_err());
        assert!(caught, "`{wrong}` in place of `{right}` is not caught");
        assert_eq!(run(case, source, Stress { seed: 1, late: true }), Ok(()));
    }
}
