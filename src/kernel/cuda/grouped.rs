//! Convolutions in groups, depthwise ones among them: number by number, without tiles.

use super::contraction::{shape, shares};
use super::epilogue::apart;
use super::text::{Text, element, file};
use super::{Argument, CudaLaunch, CudaSource, Options, blocks};
use crate::ir::DType;
use crate::kernel::{ConvKernel, ConvKind, MapKernel};

/// Threads of a block, and columns of a filter gradient's; as in `kernels/grouped.cu`.
const THREADS: usize = 256;
const COLUMNS: usize = 32;
/// Pixels that a thread should have of a filter gradient's sum.
const PIXELS: usize = 64;
/// Blocks on a multiprocessor at once.
const RESIDENT: usize = 8;

/// A convolution, or one of its gradients.
pub(super) fn plain(conv: &ConvKernel, options: &Options) -> CudaSource {
    let mut text = shape(conv);
    let (launches, scratch) = sums(conv, options, &mut text);
    CudaSource { text: text.finish(), launches, scratch, counters: 0 }
}

/// A convolution and the map of its result, one after the other.
pub(super) fn mapped(conv: &ConvKernel, map: &MapKernel, options: &Options) -> CudaSource {
    let conv = ConvKernel { writes: DType::Real, ..*conv };
    let mut text = shape(&conv);
    let first = sums(&conv, options, &mut text);
    text.file(file!("vector.cu"));
    text.file(file!("moments.cu"));
    text.file(file!("scalar.cu"));
    let [h, w, c] = if conv.kind == ConvKind::Forward { conv.output } else { conv.input };
    let (launches, scratch) = apart(first, conv.n * h * w * c, map, &mut text);
    CudaSource { text: text.finish(), launches, scratch, counters: 0 }
}

/// The launches that leave the sums in output 0, and their scratch space in bytes.
fn sums(conv: &ConvKernel, options: &Options, text: &mut Text) -> (Vec<CudaLaunch>, usize) {
    let ConvKernel { kind, geometry, n, input: [h, w, cin], output: [oh, ow, cout], reads, writes } = *conv;
    let each = cin / geometry.groups;
    let (name, width, split) = match kind {
        ConvKind::Forward => ("Forward", n * oh * ow * cout, 1),
        ConvKind::InputGrad => ("InputGrad", n * h * w * cin, 1),
        ConvKind::FilterGrad => {
            let width = geometry.taps() * each * cout;
            let blocks = geometry.taps() * each * cout.div_ceil(COLUMNS);
            let wanted = (RESIDENT * options.processors).div_ceil(blocks.max(1));
            let most = (n * oh * ow).div_ceil(PIXELS * (THREADS / COLUMNS)).max(1);
            ("FilterGrad", width, options.choice.map_or(wanted.clamp(1, most), |it| it.split))
        }
    };
    text.kind("Conv", "KIND", name);
    text.ints([("GROUPS", geometry.groups), ("SPLIT", split)]);
    text.ints([("INPUT_H", h), ("INPUT_W", w), ("INPUT_C", cin)]);
    text.ints([("OUTPUT_H", oh), ("OUTPUT_W", ow), ("OUTPUT_C", cout)]);
    text.file(file!("device.cu"));
    text.code(format_args!("using operand = {};", element(reads)));
    text.code(format_args!("using stored = {};", element(if split == 1 { writes } else { DType::Real })));
    text.file(file!("grouped.cu"));
    let launch = |grid: [u32; 3], shared: usize| CudaLaunch {
        entry: "grouped",
        grid,
        block: THREADS as u32,
        shared: shared as u32,
        arguments: vec![Argument::Input(0), Argument::Input(1), Argument::Output(0)],
    };
    match kind {
        ConvKind::Forward | ConvKind::InputGrad => (vec![launch([blocks(width, THREADS), 1, 1], 0)], 0),
        ConvKind::FilterGrad => {
            let across = blocks(geometry.taps() * each * cout.div_ceil(COLUMNS), 1);
            shares(text, launch([across, 1, split as u32], THREADS * size_of::<f32>()), split, width, writes)
        }
    }
}
