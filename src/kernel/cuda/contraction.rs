//! Convolutions and matrix products: tile, shares of the summed extent, constants.

use super::combine::last_block;
use super::filter_grad_3x3;
use super::text::{Text, element, file};
use super::waves::{Blocks, Stage};
use super::{Argument, Arithmetic, CudaLaunch, CudaSource, FILTER_GRAD_3X3, Options, blocks};
use crate::ir::{DType, Geometry};
use crate::kernel::{ConvKernel, ConvKind};

/// Extent of k that one stage holds, and stages in flight; as in `kernels/tile.cu`.
const DEPTH: usize = 32;
const STAGES: usize = 3;

/// A block's share of the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tile {
    pub(super) m: usize,
    pub(super) n: usize,
    warps: [usize; 2],
    /// Blocks that fit a multiprocessor at once by registers.
    blocks: usize,
}

/// All tiles that are ever emitted over operands in fp32; each is tested.
pub(super) const TILES: [Tile; 4] = [
    Tile { m: 128, n: 128, warps: [2, 4], blocks: 2 },
    Tile { m: 128, n: 64, warps: [4, 2], blocks: 2 },
    Tile { m: 64, n: 64, warps: [2, 2], blocks: 4 },
    Tile { m: 128, n: 32, warps: [4, 1], blocks: 4 },
];

/// All over operands in bf16. Warps are as large as registers allow: a warp of 64x64 reads half of what two of 64x32 do,
/// and reading shared memory is what limits the rest.
pub(super) const TILES_BF16: [Tile; 5] = [
    Tile { m: 256, n: 128, warps: [4, 2], blocks: 1 },
    Tile { m: 128, n: 128, warps: [2, 2], blocks: 2 },
    Tile { m: 128, n: 64, warps: [2, 1], blocks: 4 },
    Tile { m: 64, n: 64, warps: [2, 2], blocks: 4 },
    Tile { m: 128, n: 32, warps: [2, 1], blocks: 4 },
];

impl Tile {
    pub(super) fn threads(&self) -> usize {
        self.warps[0] * self.warps[1] * 32
    }

    /// Bytes of shared memory, for numbers of `bytes`.
    pub(super) fn shared(&self, bytes: usize) -> usize {
        (self.m + self.n) * DEPTH * STAGES * bytes
    }

    /// Blocks that fit a multiprocessor at once, by the smallest shared memory of the cards aimed at and by registers.
    fn resident(&self, bytes: usize) -> usize {
        (164 * 1024 / (self.shared(bytes) + 1024)).clamp(1, self.blocks)
    }

    /// Cycles of several products over fp32 in one launch, each split so: the longest block's, or all blocks' where these are
    /// more.
    pub(super) fn cycles_together(&self, all: impl Iterator<Item = (Extents, usize)>, processors: usize) -> f64 {
        let resident = self.resident(4);
        let stage = self.stage(4, 1).cycles(DType::Real, resident) * resident as f64;
        let (mut longest, mut sum) = (0.0f64, 0.0);
        for (extents, split) in all {
            let adding = if split == 1 { 0.0 } else { last_block(split * self.m * self.n * 4) };
            let block = stage * (extents.stages().div_ceil(split) + 2) as f64;
            longest = longest.max(block + adding);
            sum += block * (extents.tiles(self) * split) as f64;
        }
        longest.max(sum / (processors * resident) as f64)
    }

    /// What a stage takes of a multiprocessor. Of `again` stages only one finds the left operand's rows outside of the L1
    /// cache.
    fn stage(&self, bytes: usize, again: usize) -> Stage {
        let [m, n] = self.warps;
        let read = m * n * (self.m / m + self.n / n);
        Stage {
            products: self.m * self.n * DEPTH,
            shared: (read + self.m + self.n) * DEPTH * bytes,
            copied: (self.m / again + self.n) * DEPTH * bytes,
        }
    }
}

/// The tiles for operands of this type.
fn tiles(reads: DType) -> &'static [Tile] {
    if reads == DType::Bf16 { &TILES_BF16 } else { &TILES }
}

/// A matrix product to be tiled: `batches` of `m x n`, summed over `k`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extents {
    pub(super) m: usize,
    pub(super) n: usize,
    pub(super) k: usize,
    pub(super) batches: usize,
    pub(super) reads: DType,
    /// How many of a block's stages read the same rows of the left operand; all but the first find them in the L1 cache.
    pub(super) again: usize,
}

impl Extents {
    /// Stages of the summed extent.
    pub(super) fn stages(&self) -> usize {
        self.k.div_ceil(DEPTH)
    }

    /// Tiles of all batches.
    fn tiles(&self, tile: &Tile) -> usize {
        self.m.div_ceil(tile.m) * self.n.div_ceil(tile.n) * self.batches
    }
}

/// The tile, and into how many shares `k` is split, that are expected to be fastest; and cycles. Ties go to the earlier
/// tile.
pub(super) fn choose(extents: &Extents, options: &Options) -> (Tile, usize, f64) {
    let Extents { m, n, batches, reads, again, .. } = *extents;
    let tiles = tiles(reads);
    if let Some(choice) = options.choice {
        return (tiles[choice.tile], choice.split, 0.0);
    }
    let cost = |tile: &Tile| {
        let resident = tile.resident(bytes(reads));
        let all = Blocks {
            count: extents.tiles(tile),
            stages: extents.stages(),
            stage: tile.stage(bytes(reads), again).cycles(reads, resident),
            resident,
            width: m * n * batches,
        };
        let (cycles, split) = all.fewest(options.processors);
        (*tile, split, cycles)
    };
    let costs = tiles.iter().skip(options.first_tile.min(tiles.len() - 1)).map(cost);
    costs.reduce(|best, it| if it.2 < best.2 { it } else { best }).expect("there are tiles")
}

/// Bytes of an element of an operand in memory.
fn bytes(reads: DType) -> usize {
    if reads == DType::Bf16 { 2 } else { 4 }
}

/// Numbers per copy of rows of `channels`.
pub(super) fn vector(channels: usize, reads: DType) -> usize {
    if reads == DType::Bf16 {
        assert!(channels.is_multiple_of(8), "operands in bf16 are copied by eights, and {channels} channels are not");
        8
    } else if channels.is_multiple_of(4) {
        4
    } else {
        1
    }
}

fn arithmetic(it: Arithmetic) -> &'static str {
    match it {
        Arithmetic::F32 => "Fp32",
        Arithmetic::Tf32 => "Tf32",
        Arithmetic::Bf16 => "Bf16",
    }
}

/// What all three families ask for.
pub(super) struct Product<'a> {
    pub(super) tile: Tile,
    pub(super) split: usize,
    pub(super) entry: &'static str,
    pub(super) file: (&'a str, &'a str),
    pub(super) arithmetic: Arithmetic,
    /// Of both operands in memory, and of the result.
    pub(super) reads: DType,
    pub(super) writes: DType,
    pub(super) along_k: [bool; 2],
    pub(super) vectors: [usize; 2],
    pub(super) grid: [u32; 3],
    /// Elements of the result.
    pub(super) width: usize,
}

impl Product<'_> {
    /// Adds constants and the files that all three share.
    pub(super) fn preamble(&self, text: &mut Text) {
        text.file(file!("device.cu"));
        text.file(file!("vector.cu"));
        text.file(file!("moments.cu"));
        self.tiles(text);
    }

    /// Adds constants and the files that depend on them.
    pub(super) fn tiles(&self, text: &mut Text) {
        let Product { tile, split, .. } = *self;
        text.ints([
            ("SPLIT", split),
            ("VECTOR_A", self.vectors[0]),
            ("VECTOR_B", self.vectors[1]),
            ("TILE_M", tile.m),
            ("TILE_N", tile.n),
            ("WARPS_M", tile.warps[0]),
            ("WARPS_N", tile.warps[1]),
            ("BLOCKS", tile.blocks),
        ]);
        let met = if self.reads == DType::Bf16 { Arithmetic::Bf16 } else { self.arithmetic };
        text.kind("Arithmetic", "ARITHMETIC", arithmetic(met));
        text.constant("bool", "A_ALONG_K", self.along_k[0]);
        text.constant("bool", "B_ALONG_K", self.along_k[1]);
        text.code(format_args!("using operand = {};", element(self.reads)));
        text.code(format_args!("using stored = {};", element(self.stored())));
        text.file(file!("ring.cu"));
        text.file(file!("tile.cu"));
        text.file(if self.reads == DType::Bf16 { file!("tile_bf16.cu") } else { file!("tile_fp32.cu") });
    }

    /// Element type of what the contraction itself stores: the result, or shares of its sums.
    pub(super) fn stored(&self) -> DType {
        if self.split == 1 { self.writes } else { DType::Real }
    }

    pub(super) fn launch(&self, arguments: Vec<Argument>) -> CudaLaunch {
        CudaLaunch {
            entry: self.entry,
            grid: self.grid,
            block: self.tile.threads() as u32,
            shared: self.tile.shared(bytes(self.reads)) as u32,
            arguments,
        }
    }

    fn finish(self, mut text: Text) -> CudaSource {
        self.preamble(&mut text);
        text.file(self.file);
        let (launches, scratch) = self.stages(&mut text);
        CudaSource { text: text.finish(), launches, scratch, counters: 0 }
    }

    /// The launches that store the sums as they are, and their scratch space in bytes.
    pub(super) fn stages(&self, text: &mut Text) -> (Vec<CudaLaunch>, usize) {
        shares(text, self.launch(Vec::new()), self.split, self.width, self.writes)
    }
}

/// The launches that leave sums in output 0, and their scratch space in bytes: `first`, which takes both operands and
/// writes `width` sums, or `split` shares of each that a second launch adds.
pub(super) fn shares(
    text: &mut Text,
    first: CudaLaunch,
    split: usize,
    width: usize,
    writes: DType,
) -> (Vec<CudaLaunch>, usize) {
    let result = if split == 1 { Argument::Output(0) } else { Argument::Scratch(0) };
    let mut launches = vec![CudaLaunch { arguments: vec![Argument::Input(0), Argument::Input(1), result], ..first }];
    if split == 1 {
        return (launches, 0);
    }
    text.once(file!("combine.cu"));
    text.code(format_args!(
        "extern \"C\" __global__ void __launch_bounds__(COMBINE_THREADS)\n\
         combine(const float* partial, {}* result) {{ combine_partials<1, false>(partial, result, {split}, {width}); }}",
        element(writes),
    ));
    launches.push(CudaLaunch {
        entry: "combine",
        grid: [blocks(width, 256), 1, 1],
        block: 256,
        shared: 0,
        arguments: vec![Argument::Scratch(0), Argument::Output(0)],
    });
    (launches, split * width * 4)
}

/// Constants that every convolution asks for.
pub(super) fn shape(conv: &ConvKernel) -> Text {
    let ConvKernel { geometry, n, input: [h, w, cin], output: [oh, ow, cout], .. } = *conv;
    let [kh, kw] = geometry.kernel;
    let [sh, sw] = geometry.stride;
    let largest = (n * h * w * cin).max(n * oh * ow * cout).max(kh * kw * cin / geometry.groups * cout);
    assert!(i32::try_from(largest).is_ok(), "a convolution over {largest} elements is not addressable");
    let mut text = Text::new();
    text.ints([("IMAGES", n), ("KERNEL_H", kh), ("KERNEL_W", kw), ("STRIDE_H", sh), ("STRIDE_W", sw)]);
    text.ints([("BEFORE_H", geometry.before[0]), ("BEFORE_W", geometry.before[1])]);
    text.ints([("DILATION_H", geometry.dilation[0]), ("DILATION_W", geometry.dilation[1])]);
    text
}

/// A convolution's gradient in the filter.
pub(super) fn filter_grad(conv: &ConvKernel, options: &Options) -> CudaSource {
    let ConvKernel {
        geometry: Geometry { kernel: [kh, kw], .. }, n, input: [h, w, cin], output, reads, writes, ..
    } = *conv;
    let [oh, ow, cout] = output;
    let forced = options.choice.filter(|it| it.tile == FILTER_GRAD_3X3);
    if let Some(choice) = forced {
        let nine = filter_grad_3x3::choose(conv, options, Some(choice.split));
        return filter_grad_3x3::generate(conv, nine.expect("nine taps are chosen where there are nine"));
    }
    let mut text = shape(conv);
    text.ints([("INPUT_H", h), ("INPUT_W", w), ("INPUT_C", cin)]);
    text.ints([("OUTPUT_H", oh), ("OUTPUT_W", ow), ("OUTPUT_C", cout)]);
    let extents = Extents { m: kh * kw * cin, n: cout, k: n * oh * ow, batches: 1, reads, again: 1 };
    let (tile, split, cycles) = choose(&extents, options);
    let free = options.choice.is_none() && options.first_tile == 0;
    if let Some(nine) = filter_grad_3x3::choose(conv, options, None).filter(|it| free && it.cycles < cycles) {
        return filter_grad_3x3::generate(conv, nine);
    }
    Product {
        tile,
        split,
        entry: "filter_grad",
        file: file!("filter_grad.cu"),
        arithmetic: options.arithmetic,
        along_k: [false, false],
        reads,
        writes,
        vectors: [vector(cin, reads), vector(cout, reads)],
        grid: [blocks(extents.m, tile.m), blocks(cout, tile.n), split as u32],
        width: extents.m * cout,
    }
    .finish(text)
}

/// A forward convolution or its gradient in the input, up to where the sums are in registers; and the unit so far.
pub(super) fn pixels(conv: &ConvKernel, options: &Options) -> (Product<'static>, Text) {
    let ConvKernel { kind, geometry, n, input, output, reads, writes } = *conv;
    let ([kh, kw], [sh, sw]) = (geometry.kernel, geometry.stride);
    let back = kind == ConvKind::InputGrad;
    let (source, target) = if back { (output, input) } else { (input, output) };
    // `conv.cu` keeps a row and a column in 16 bits each.
    assert!(source[0].max(source[1]) < 0x4000, "images of {} x {} are too large", source[0], source[1]);
    let mut text = shape(conv);
    text.ints([("SOURCE_H", source[0]), ("SOURCE_W", source[1]), ("SOURCE_C", source[2])]);
    text.ints([("TARGET_H", target[0]), ("TARGET_W", target[1]), ("TARGET_C", target[2])]);
    text.constant("bool", "INPUT_GRAD", back);
    let (classes, rows) = if back {
        (sh * sw, n * target[0].div_ceil(sh) * target[1].div_ceil(sw))
    } else {
        (1, n * target[0] * target[1])
    };
    // `conv.cu` takes the taps of a row one after the other.
    let again = if source[2].is_multiple_of(DEPTH) { kw.div_ceil(if back { sw } else { 1 }) } else { 1 };
    let k = kh * kw * source[2] / classes.min(kh * kw);
    let extents = Extents { m: rows, n: target[2], k, batches: classes, reads, again };
    let (tile, split, _) = choose(&extents, options);
    let product = Product {
        tile,
        split,
        entry: "conv",
        file: file!("conv.cu"),
        arithmetic: options.arithmetic,
        along_k: [true, back],
        reads,
        writes,
        vectors: [source[2], if back { source[2] } else { target[2] }].map(|it| vector(it, reads)),
        grid: [blocks(rows, tile.m), blocks(target[2], tile.n), (classes * split) as u32],
        width: n * target.iter().product::<usize>(),
    };
    (product, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(m: usize, n: usize, k: usize, reads: DType) -> (Tile, usize) {
        let (tile, split, _) = choose(&Extents { m, n, k, batches: 1, reads, again: 1 }, &Options::default());
        (tile, split)
    }

    #[test]
    fn small_results_share_out_their_sum() {
        for reads in [DType::Real, DType::Bf16] {
            let (_, split) = of(1152, 128, 131_072, reads);
            assert!(8 <= split, "a filter gradient of nine blocks is split {split} ways");
            assert_eq!(of(131_072, 128, 1152, reads), (tiles(reads)[0], 1));
            assert!(of(128, 10, 256, reads).0.n <= 64);
        }
    }

    #[test]
    #[should_panic(expected = "operands in bf16 are copied by eights, and 12 channels are not")]
    fn operands_in_bf16_have_channels_by_eights() {
        vector(12, DType::Bf16);
    }
}
