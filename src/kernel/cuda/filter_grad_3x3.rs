//! The filter gradient of a 3x3 convolution with all nine taps in one block.

use super::contraction::{shape, shares};
use super::text::{element, file};
use super::waves::{Blocks, Stage};
use super::{CudaLaunch, CudaSource, Options, blocks};
use crate::ir::DType;
use crate::kernel::ConvKernel;

/// A block's share of the filter, and pixels of a strip; as in `kernels/filter_grad_3x3.cu`.
const FILTERS: usize = 128;
const CHANNELS: usize = 32;
const PIXELS: usize = 128;

/// Images, rows and columns of a strip, those with the smallest margin first. Two strips fit the shared memory of every
/// card since compute capability 8.0.
const STRIPS: [[usize; 3]; 4] = [[1, 8, 16], [1, 16, 8], [2, 8, 8], [1, 4, 32]];

/// Pixels of a strip with its margin.
fn lines([n, h, w]: [usize; 3]) -> usize {
    n * (h + 2) * (w + 2)
}

/// How the gradient is shared out.
pub(super) struct NineTaps {
    strip: [usize; 3],
    split: usize,
    /// Cycles that it is expected to take.
    pub(super) cycles: f64,
}

/// The best way with nine taps in a block, where there is one. `split` overrules the shares.
pub(super) fn choose(conv: &ConvKernel, options: &Options, split: Option<usize>) -> Option<NineTaps> {
    let ConvKernel { geometry, n, input: [_, _, cin], output: [oh, ow, cout], reads, .. } = *conv;
    let close = geometry.stride == [1, 1] && geometry.dilation == [1, 1];
    if geometry.kernel != [3, 3] || !close || reads != DType::Bf16 {
        return None;
    }
    let count = |[images, rows, columns]: [usize; 3]| n.div_ceil(images) * oh.div_ceil(rows) * ow.div_ceil(columns);
    let strip = STRIPS.into_iter().min_by_key(|&it| count(it)).expect("there are strips");
    // Bytes of a strip; and its fragments: for each 16 pixels eight warps read 32 filters and nine times 16 channels.
    let copied = 2 * (PIXELS * FILTERS + lines(strip) * CHANNELS);
    let read = 2 * PIXELS * 8 * (32 + 9 * 16);
    let stage = Stage { products: 9 * CHANNELS * FILTERS * PIXELS, shared: read + copied, copied };
    let (count, stages) = (cin.div_ceil(CHANNELS) * cout.div_ceil(FILTERS), count(strip));
    let all = Blocks { count, stages, stage: stage.cycles(reads, 1), resident: 1, width: 9 * cin * cout };
    let (cycles, best) = all.fewest(options.processors);
    Some(NineTaps { strip, split: split.unwrap_or(best), cycles })
}

/// The unit.
pub(super) fn generate(conv: &ConvKernel, NineTaps { strip, split, .. }: NineTaps) -> CudaSource {
    let ConvKernel { input: [h, w, cin], output: [oh, ow, cout], writes, .. } = *conv;
    let mut text = shape(conv);
    text.ints([("INPUT_H", h), ("INPUT_W", w), ("INPUT_C", cin)]);
    text.ints([("OUTPUT_H", oh), ("OUTPUT_W", ow), ("OUTPUT_C", cout)]);
    text.ints([("STRIP_N", strip[0]), ("STRIP_H", strip[1]), ("STRIP_W", strip[2]), ("SPLIT", split)]);
    text.file(file!("device.cu"));
    text.file(file!("ring.cu"));
    text.code(format_args!("using stored = {};", element(if split == 1 { writes } else { DType::Real })));
    text.file(file!("filter_grad_3x3.cu"));
    let launch = CudaLaunch {
        entry: "filter_grad",
        grid: [blocks(cout, FILTERS), blocks(cin, CHANNELS), split as u32],
        block: 256,
        shared: (2 * 2 * (PIXELS * FILTERS + lines(strip) * (CHANNELS + 8))) as u32,
        arguments: Vec::new(),
    };
    let (launches, scratch) = shares(&mut text, launch, split, 9 * cin * cout, writes);
    CudaSource { text: text.finish(), launches, scratch, counters: 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::Geometry;
    use crate::kernel::{ConvKind, KernelSpec};

    fn filter_grad(size: usize, channels: usize, reads: DType) -> KernelSpec {
        let geometry = Geometry::same([size, size], [3, 3], [1, 1]);
        let image = [size, size, channels];
        let kind = ConvKind::FilterGrad;
        KernelSpec::Conv(ConvKernel { kind, geometry, n: 128, input: image, output: image, reads, writes: DType::Real })
    }

    #[test]
    fn nine_taps_share_a_block_where_images_are_large_enough_to_fill_strips() {
        let taken = |size, channels, reads| {
            let source = super::super::generate(&filter_grad(size, channels, reads), &Options::default());
            source.text.contains("filter_grad_3x3.cu")
        };
        for (size, channels) in [(32, 128), (16, 256), (8, 512)] {
            assert!(taken(size, channels, DType::Bf16), "{size}x{size}, {channels} channels");
            assert!(!taken(size, channels, DType::Real));
        }
        // Of 16 rows and columns five are used.
        assert!(!taken(5, 128, DType::Bf16));
    }

    #[test]
    fn two_strips_fit_the_shared_memory_of_every_card() {
        for strip in STRIPS {
            let bytes = 4 * (PIXELS * FILTERS + lines(strip) * (CHANNELS + 8));
            assert!(bytes <= 99 * 1024, "{strip:?} takes {bytes} bytes");
            assert_eq!(strip.iter().product::<usize>(), PIXELS);
        }
    }
}
