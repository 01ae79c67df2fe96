//! Sums of products: some channels of them, with what roundings may do to factors and sums.

use super::bound::{Expected, Roundings};
use super::meaning::{execute, short};
use crate::ir::DType;
use crate::kernel::{ConvKernel, ConvKind, KernelSpec, MatMulKernel};

/// What becomes of factors before they are multiplied, which the expected numbers follow to the bit: a device that rounds
/// another way, or not at all, is off by more than sums are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Factors {
    /// They are multiplied as they are.
    Whole,
    /// To the nearest number of ten bits behind the leading one, of two the one away from 0; for tensor cores.
    Tf32,
    /// As they are stored in 16 bits; for tensor cores.
    Bf16,
}

impl Factors {
    fn rounded(self, value: f64) -> f64 {
        match self {
            Factors::Whole => value,
            Factors::Bf16 => short(value),
            Factors::Tf32 if value == 0.0 || !value.is_finite() => value,
            Factors::Tf32 => {
                // A power of two above or at the number; dividing by it is exact.
                let step = 2f64.powi(value.abs().log2().floor() as i32 - 10);
                (value / step).round() * step
            }
        }
    }
}

/// At most this many channels of a contraction are computed the slow way.
const CHANNELS: usize = 8;

/// Evenly spread numbers below `extent`, the first and the last among them.
fn picks(extent: usize) -> Vec<usize> {
    let count = extent.min(CHANNELS);
    (0..count).map(|it| if count == 1 { 0 } else { it * (extent - 1) / (count - 1) }).collect()
}

/// What is left of a tensor `[.., extent, inner]` when only some of `extent` are kept.
fn keep(values: &[f64], extent: usize, inner: usize, picked: &[usize]) -> Vec<f64> {
    let blocks = values.chunks_exact(extent * inner);
    blocks.flat_map(|block| picked.iter().flat_map(|&it| &block[it * inner..][..inner])).copied().collect()
}

/// Some channels of a contraction, as a smaller contraction.
struct Narrow {
    spec: KernelSpec,
    inputs: Vec<Vec<f64>>,
    places: Vec<usize>,
    /// Products added up for each element.
    terms: usize,
}

fn narrow(spec: &KernelSpec, inputs: &[Vec<f64>]) -> Narrow {
    match spec {
        KernelSpec::Conv(conv) if conv.geometry.groups == 1 => narrow_conv(conv, inputs),
        KernelSpec::Conv(conv) => narrow_groups(conv, inputs),
        KernelSpec::MatMul(MatMulKernel { batch, m, n, k, transpose_a, transpose_b }) => {
            let picked = picks(*n);
            let b = if *transpose_b { keep(&inputs[1], *n, *k, &picked) } else { keep(&inputs[1], *n, 1, &picked) };
            let places = (0..*batch * *m).flat_map(|row| picked.iter().map(move |it| row * n + it)).collect();
            let (transpose_a, transpose_b) = (*transpose_a, *transpose_b);
            let spec = KernelSpec::MatMul(MatMulKernel {
                batch: *batch,
                m: *m,
                n: picked.len(),
                k: *k,
                transpose_a,
                transpose_b,
            });
            Narrow { spec, inputs: vec![inputs[0].clone(), b], places, terms: *k }
        }
        _ => unreachable!("only contractions are narrowed"),
    }
}

/// Some channels of a convolution.
fn narrow_conv(conv: &ConvKernel, inputs: &[Vec<f64>]) -> Narrow {
    let (mut small, [cin, cout]) = (*conv, [conv.input[2], conv.output[2]]);
    let taps = conv.geometry.kernel[0] * conv.geometry.kernel[1];
    let (inputs, rows, extent, picked, terms) = match conv.kind {
        ConvKind::Forward => {
            let picked = picks(cout);
            small.output[2] = picked.len();
            let filter = keep(&inputs[1], cout, 1, &picked);
            let rows: Vec<usize> = (0..conv.n * conv.output[0] * conv.output[1]).collect();
            (vec![inputs[0].clone(), filter], rows, cout, picked, taps * cin)
        }
        ConvKind::InputGrad => {
            let picked = picks(cin);
            small.input[2] = picked.len();
            let filter = keep(&inputs[1], cin, cout, &picked);
            let rows: Vec<usize> = (0..conv.n * conv.input[0] * conv.input[1]).collect();
            (vec![inputs[0].clone(), filter], rows, cin, picked, taps * cout)
        }
        ConvKind::FilterGrad => {
            let (of_x, of_dy) = (picks(cin), picks(cout));
            small.input[2] = of_x.len();
            small.output[2] = of_dy.len();
            let given = vec![keep(&inputs[0], cin, 1, &of_x), keep(&inputs[1], cout, 1, &of_dy)];
            let rows = (0..taps).flat_map(|tap| of_x.iter().map(move |c| tap * cin + c)).collect();
            (given, rows, cout, of_dy, conv.n * conv.output[0] * conv.output[1])
        }
    };
    let places = rows.into_iter().flat_map(|row| picked.iter().map(move |it| row * extent + it)).collect();
    Narrow { spec: KernelSpec::Conv(small), inputs, places, terms }
}

/// Some groups of a convolution, whole.
fn narrow_groups(conv: &ConvKernel, inputs: &[Vec<f64>]) -> Narrow {
    let groups = conv.geometry.groups;
    let [each_in, each_out] = [conv.input[2] / groups, conv.output[2] / groups];
    let mut picked = picks(groups);
    picked.truncate((CHANNELS / each_in.max(each_out)).max(1));
    let mut small = *conv;
    small.geometry.groups = picked.len();
    small.input[2] = each_in * picked.len();
    small.output[2] = each_out * picked.len();
    let taps = conv.geometry.kernel[0] * conv.geometry.kernel[1];
    let pixels = |[h, w, _]: [usize; 3]| conv.n * h * w;
    // Channels are those of the first group, then those of the next.
    let x = |at: usize| keep(&inputs[at], groups, each_in, &picked);
    let y = |at: usize| keep(&inputs[at], groups, each_out, &picked);
    let (inputs, rows, each, terms) = match conv.kind {
        ConvKind::Forward => (vec![x(0), y(1)], pixels(conv.output), each_out, taps * each_in),
        ConvKind::InputGrad => (vec![y(0), y(1)], pixels(conv.input), each_in, taps * each_out),
        ConvKind::FilterGrad => (vec![x(0), y(1)], taps * each_in, each_out, pixels(conv.output)),
    };
    let group = |row: usize, group: usize| (0..each).map(move |it| (row * groups + group) * each + it);
    let places = (0..rows).flat_map(|row| picked.iter().flat_map(move |it| group(row, *it))).collect();
    Narrow { spec: KernelSpec::Conv(small), inputs, places, terms }
}

/// Products of which a tensor core adds fewer at a time than this are none: it aligns what it adds to the largest, drops
/// what hangs over, and cuts the sum off, all towards 0.
const ADDED_AT_A_TIME: f64 = 4.0;

/// Sums of products of rounded factors. Adding up is off by the root of the number of terms, times four, of the sum of
/// sizes. On a tensor core each addition of a few products also takes up to two roundings of the sum away for each of
/// them and for the sum, always towards 0, which adds up where all terms have one sign: the sum is then half as large on
/// the average as it is in the end.
pub(super) fn contraction(spec: &KernelSpec, inputs: &[Vec<f64>], seed: u64, roundings: &Roundings) -> Expected {
    let factors = match spec {
        KernelSpec::Conv(conv) if conv.reads == DType::Bf16 => Factors::Bf16,
        KernelSpec::Conv(conv) if conv.is_apart() => Factors::Whole,
        KernelSpec::Conv(_) => roundings.conv,
        _ => roundings.matmul,
    };
    let Narrow { spec, mut inputs, places, terms } = narrow(spec, inputs);
    inputs.iter_mut().flatten().for_each(|it| *it = factors.rounded(*it));
    let values = execute(&spec, &inputs, seed).remove(0);
    let squares: Vec<Vec<f64>> = inputs.iter().map(|it| it.iter().map(|it| it * it).collect()).collect();
    let squares = execute(&spec, &squares, seed).remove(0);
    let terms = terms as f64;
    let root = terms.sqrt();
    let adding = roundings.unit * (8.0 + 4.0 * root) * root;
    let cutting = match factors {
        Factors::Whole => 0.0,
        Factors::Tf32 | Factors::Bf16 => roundings.unit * terms * (ADDED_AT_A_TIME + 2.0) / ADDED_AT_A_TIME,
    };
    // Squares of small products are lost before the products are.
    let size = |square: f64| square.max(f64::MIN_POSITIVE).sqrt();
    let bounds = squares.iter().zip(&values).map(|(square, value)| size(*square) * adding + value.abs() * cutting);
    Expected { places: Some(places), bounds: bounds.collect(), values }
}

#[cfg(test)]
mod tests {
    use super::super::bound::expected;
    use super::*;
    use crate::ir::Precision;

    /// One sum of products, as a tensor core adds them, of factors that were rounded, cut off, or left: the share of its
    /// bound that the error takes.
    #[test]
    fn a_tensor_core_is_within_bounds_and_factors_that_were_not_rounded_are_not() {
        let factor = |at: usize| (1.0 + (at as f32 * 0.618_034).fract()) * if at.is_multiple_of(7) { 3.0 } else { 1.0 };
        let share = |k: usize, how: fn(f64) -> f64| {
            let of = |from: usize| (from..from + k).map(|it| f64::from(factor(it))).collect::<Vec<f64>>();
            let inputs = [of(0), of(5)];
            let spec =
                KernelSpec::MatMul(MatMulKernel { batch: 1, m: 1, n: 1, k, transpose_a: false, transpose_b: false });
            let found = &expected(&spec, &inputs, 0, &Roundings::of(Precision::Tf32))[0];
            (tensor_core(&inputs, how) - found.values[0]).abs() / found.bounds[0]
        };
        let rounded = |it: f64| Factors::Tf32.rounded(it);
        let cut_off = |it: f64| f64::from(f32::from_bits((it as f32).to_bits() & !0x1fff));
        for k in [10, 300, 3000, 20_000] {
            assert!(share(k, rounded) < 0.5, "{k}: {}", share(k, rounded));
        }
        // Beyond what the root of the number of terms allows.
        assert!(0.1 < share(20_000, rounded));
        assert!(
            1.0 < share(300, cut_off) && 1.0 < share(16, |it| it),
            "{} {}",
            share(300, cut_off),
            share(16, |it| it)
        );
    }

    /// Four products at a time, aligned to the largest of them and the sum, with one more bit than a number has.
    fn tensor_core(inputs: &[Vec<f64>], how: fn(f64) -> f64) -> f64 {
        let products: Vec<f64> = inputs[0].iter().zip(&inputs[1]).map(|(a, b)| how(*a) * how(*b)).collect();
        products.chunks(4).fold(0.0f64, |sum, four| {
            let largest = four.iter().fold(sum.abs(), |most, it| most.max(it.abs()));
            let step = 2f64.powi(largest.log2().floor() as i32 - 24);
            let all: f64 = four.iter().chain([&sum]).map(|it| (it / step).trunc() * step).sum();
            let step = 2f64.powi(all.abs().log2().floor() as i32 - 23);
            (all / step).trunc() * step
        })
    }

    #[test]
    fn factors_are_rounded_to_the_nearest() {
        let tf32 = |it: f64| Factors::Tf32.rounded(it);
        let half = 2f64.powi(-11);
        assert_eq!(
            [tf32(1.0 + half), tf32(-1.0 - half), tf32(1.0 + 0.99 * half)],
            [1.0 + 2.0 * half, -1.0 - 2.0 * half, 1.0]
        );
        assert_eq!([tf32(2.0 - half / 2.0), tf32(0.0), tf32(-3.0)], [2.0, 0.0, -3.0]);
        // The low half of a number decides a tie as well.
        assert_eq!(short(f64::from(f32::from_bits(0x3F80_8001))), f64::from(f32::from_bits(0x3F81_0000)));
        assert_eq!(short(f64::from(f32::from_bits(0x3F80_8000))), 1.0);
    }

    #[test]
    fn picks_hold_both_ends() {
        assert_eq!(picks(1), [0]);
        assert_eq!(picks(3), [0, 1, 2]);
        let many = picks(100);
        assert_eq!((many.len(), many[0], many[CHANNELS - 1]), (CHANNELS, 0, 99));
        assert_eq!(keep(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 3, 1, &[0, 2]), [1.0, 3.0, 4.0, 6.0]);
        assert_eq!(keep(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 3, 2, &[2]), [5.0, 6.0]);
    }
}
