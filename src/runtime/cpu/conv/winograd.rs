//! 3x3 convolutions of stride 1 by Winograd's F(2x2, 3x3), all three products: 2.25 times fewer
//! multiplications than the direct way, and a smaller error.
//!
//! Tiles of 2x2 results are taken in blocks that stay in the cache: their 4x4 patches are transformed to
//! 16 values per channel, each of the 16 is one matrix product with the transformed filter, and the
//! results are transformed back. The input gradient is the same with the filter turned round and
//! transposed. The filter gradient sums products of transformed patches and gradients over tiles, in a
//! fixed number of chunks with an accumulator each.

use super::tile::{MOST_ROWS, OuterKernel, Tile};
use super::transform::{PRODUCTS, Transforms};
use crate::kernel::{ConvKernel, ConvKind};
use crate::runtime::cpu::isa::Isa;
use crate::runtime::cpu::kernel::{Kernel, Operand, share};
use crate::runtime::cpu::memory::View;
use crate::runtime::cpu::pool::{Context, Scratch};
use crate::runtime::cpu::real::Real;
use std::ops::Range;

/// Fewest channels on either side: below, the transforms cost more than they save.
const CHANNELS: usize = 32;
/// Fewest tiles: below, the filter's transform eats the gain.
const TILES: usize = 96;
/// Bytes of a block's transformed values that should fit a second-level cache beside the filter.
const CACHE: usize = 600 << 10;
/// Blocks wanted, so that threads are evenly busy.
const BLOCKS: usize = 24;
/// Bytes of all accumulators of a filter gradient together.
const ACCUMULATORS: usize = 18 << 20;
/// Products of a row; a filter gradient is computed row by row.
const ROW: usize = 4;
/// Tiles of a block of a filter gradient.
const DEPTH: usize = 96;
/// Terms of a partial sum.
const PART: usize = 128;
/// Channels of the filter that are transposed together.
const STRIP: usize = 16;
/// Elements between rows of transformed values beyond their channels: rows that are a power of two
/// apart would fight for the same lines of the cache.
const PAD: usize = 16;

/// The kernel.
pub(super) struct Winograd<R> {
    kind: ConvKind,
    tile: Tile<R>,
    transforms: Transforms<R>,
    images: usize,
    /// Height and width of what the patches are cut from, and of what the tiles are.
    read: [usize; 2],
    written: [usize; 2],
    /// Padding before, as the patches see it.
    before: [usize; 2],
    /// Channels of the patches and of the tiles.
    depth: usize,
    columns: usize,
    /// Tiles of an image, down and across.
    grid: [usize; 2],
    /// Tiles of a block.
    block: usize,
    chunks: usize,
    zeros: Vec<R>,
}

/// Whether this way is possible and pays.
pub(super) fn fits<R: Real>(kernel: &ConvKernel, isa: Isa) -> bool {
    let geometry = &kernel.geometry;
    let lanes = R::transforms(isa).lanes;
    let [oh, ow, cout] = kernel.output;
    let cin = kernel.input[2];
    geometry.kernel == [3, 3]
        && geometry.stride == [1, 1]
        && geometry.dilation == [1, 1]
        && geometry.before.iter().chain(&geometry.after).all(|it| *it <= 2)
        && cin.is_multiple_of(lanes)
        && cout.is_multiple_of(lanes)
        && CHANNELS <= cin.min(cout)
        && TILES <= kernel.n * oh.div_ceil(2) * ow.div_ceil(2)
}

impl<R: Real> Winograd<R> {
    /// For a checked kernel that fits.
    pub(super) fn new(kernel: &ConvKernel, isa: Isa) -> Self {
        let tile = R::tile(isa);
        let before = kernel.geometry.before;
        let (input, output) = (kernel.input, kernel.output);
        let (read, written, before, depth, columns) = match kernel.kind {
            ConvKind::Forward | ConvKind::FilterGrad => (input, output, before, input[2], output[2]),
            ConvKind::InputGrad => (output, input, before.map(|it| 2 - it), output[2], input[2]),
        };
        let grid = [written[0].div_ceil(2), written[1].div_ceil(2)];
        let tiles = kernel.n * grid[0] * grid[1];
        let size = size_of::<R>();
        let per_tile = match kernel.kind {
            ConvKind::Forward | ConvKind::InputGrad => PRODUCTS * (depth + tile.columns) * size,
            ConvKind::FilterGrad => ROW * (depth + columns + 2 * PAD) * size,
        };
        let unit = tile.height;
        let most = if kernel.kind == ConvKind::FilterGrad { DEPTH } else { tiles.div_ceil(BLOCKS) };
        let block = (CACHE / per_tile / unit * unit).min(most.next_multiple_of(unit)).max(unit);
        let accumulator =
            PRODUCTS * depth.next_multiple_of(tile.height) * columns.next_multiple_of(tile.columns) * size;
        // A power of two, for the usual numbers of threads.
        let most = (ACCUMULATORS / accumulator).clamp(4, 16).min(tiles / 64).max(1);
        let chunks = if most.is_power_of_two() { most } else { most.next_power_of_two() / 2 };
        Self {
            kind: kernel.kind,
            tile,
            transforms: R::transforms(isa),
            images: kernel.n,
            read: [read[0], read[1]],
            written: [written[0], written[1]],
            before,
            depth,
            columns,
            grid,
            block,
            chunks,
            zeros: vec![R::ZERO; depth.max(columns)],
        }
    }

    fn tiles(&self) -> usize {
        self.images * self.grid[0] * self.grid[1]
    }

    fn panels(&self) -> usize {
        self.columns.div_ceil(self.tile.columns)
    }

    /// Elements of one of the 16 matrices of a panel.
    fn matrix(&self) -> usize {
        self.depth * self.tile.columns
    }

    /// Image, row and column of a tile's first result.
    fn place(&self, tile: usize) -> (usize, usize, usize) {
        let per_image = self.grid[0] * self.grid[1];
        let (image, at) = (tile / per_image, tile % per_image);
        (image, at / self.grid[1] * 2, at % self.grid[1] * 2)
    }

    /// Rows of channels of a tile's patch; zeros outside.
    fn patch<'a>(&'a self, tile: usize, x: &'a [R]) -> [*const R; 16] {
        let (image, y, column) = self.place(tile);
        let [height, width] = self.read;
        std::array::from_fn(|at| {
            let row = (y + at / 4).wrapping_sub(self.before[0]);
            let column = (column + at % 4).wrapping_sub(self.before[1]);
            if row < height && column < width {
                x[((image * height + row) * width + column) * self.depth..][..self.depth].as_ptr()
            } else {
                self.zeros.as_ptr()
            }
        })
    }

    /// What `at` makes of the offsets of a tile's four results; `outside` for those that lie outside. Offsets that went through
    /// memory would wait for the results of the tile before to be written.
    #[inline(always)]
    fn results<P: Copy>(&self, tile: usize, outside: P, at: impl Fn(usize) -> P) -> [P; 4] {
        let (image, y, x) = self.place(tile);
        let [height, width] = self.written;
        let offset = |row: usize, column: usize| match row < height && column < width {
            true => at(((image * height + row) * width + column) * self.columns),
            false => outside,
        };
        [offset(y, x), offset(y, x + 1), offset(y + 1, x), offset(y + 1, x + 1)]
    }

    /// Transforms rows `from .. from + STRIP` of a panel's matrices.
    fn transform_filter(&self, panel: usize, from: usize, filter: &[R], to: *mut R) {
        let width = self.tile.columns;
        let first = panel * width;
        let count = width.min(self.columns - first);
        let rows = STRIP.min(self.depth - from);
        let mut taps = [[[R::ZERO; 32]; 9]; STRIP];
        for tap in 0..9 {
            for (at, taps) in taps.iter_mut().enumerate().take(rows) {
                if self.kind == ConvKind::Forward {
                    let start = (tap * self.depth + from + at) * self.columns + first;
                    taps[tap][..count].copy_from_slice(&filter[start..][..count]);
                }
            }
            if self.kind == ConvKind::InputGrad {
                for column in 0..count {
                    let start = ((8 - tap) * self.columns + first + column) * self.depth + from;
                    for (taps, value) in taps.iter_mut().zip(&filter[start..][..rows]) {
                        taps[tap][column] = *value;
                    }
                }
            }
        }
        for (at, taps) in taps.iter().enumerate().take(rows) {
            // SAFETY: the panel's 16 matrices have `depth` rows of `width`, of which this is one.
            unsafe {
                let to = to.add((from + at) * width);
                (self.transforms.filter)(taps.as_ptr().cast(), 32, width, to, self.matrix());
            }
        }
    }

    /// Elements between the 16 parts of a block's transformed patches, and of its products.
    fn steps(&self) -> [usize; 2] {
        [self.block * self.depth + PAD, self.block * self.tile.columns + PAD]
    }

    /// Forward or input gradient of one block.
    ///
    /// # Safety
    /// `filter` is the transformed filter; the block's part of `y` is this task's.
    unsafe fn block(&self, context: &Context<'_>, block: usize, x: &[R], filter: *const R, y: *mut R) {
        let (height, width) = (self.tile.height, self.tile.columns);
        let first = block * self.block;
        let count = self.block.min(self.tiles() - first);
        let [step, step_products] = self.steps();
        let patches = context.thread::<R>(0, PRODUCTS * (step + step_products));
        let products = patches.at(PRODUCTS * step);
        for tile in 0..count {
            let rows = self.patch(first + tile, x);
            // SAFETY: each of the 16 parts of the scratch has room for `block` tiles.
            unsafe { (self.transforms.patch)(&rows, self.depth, patches.at(tile * self.depth), step) };
        }
        for panel in 0..self.panels() {
            for product in 0..PRODUCTS {
                for from in (0..count).step_by(height) {
                    let mut rows = [std::ptr::null::<R>(); MOST_ROWS];
                    let mut out = [std::ptr::null_mut::<R>(); MOST_ROWS];
                    for (i, (row, out)) in rows.iter_mut().zip(&mut out).enumerate().take(height) {
                        // Blocks are whole tiles high, so rows beyond the count are scratch as well.
                        *row = patches.at(product * step + (from + i) * self.depth);
                        *out = products.wrapping_add(product * step_products + (from + i) * width);
                    }
                    // SAFETY: rows have `depth` elements, the matrix `depth` rows, results `width`.
                    unsafe {
                        let matrix = filter.add((panel * PRODUCTS + product) * self.matrix());
                        (self.tile.rows)(1, self.depth, PART, rows.as_ptr(), matrix, [0].as_ptr(), out.as_ptr());
                    }
                }
            }
            let start = panel * width;
            let channels = width.min(self.columns - start);
            for tile in 0..count {
                let to = self.results(first + tile, std::ptr::null_mut(), |at| y.wrapping_add(at + start));
                // SAFETY: products as just computed; results inside `y`, in this block's tiles.
                unsafe { (self.transforms.tile)(products.add(tile * width), step_products, channels, &to) };
            }
        }
    }

    /// Rows and columns of an accumulator's matrix, filled up to whole tiles.
    fn padded(&self) -> [usize; 2] {
        let low = self.tile.outer[2].0;
        [self.depth.next_multiple_of(low), self.columns.next_multiple_of(self.tile.columns)]
    }

    fn accumulator(&self) -> usize {
        PRODUCTS * self.padded()[0] * self.padded()[1]
    }

    /// Elements between rows of transformed patches and gradients.
    fn pitches(&self) -> [usize; 2] {
        self.padded().map(|it| it + PAD)
    }

    /// Filter gradient over one chunk's tiles. The products are taken row by row, so that a block of many
    /// tiles stays in the cache.
    fn chunk(&self, context: &Context<'_>, chunk: usize, x: &[R], dy: &[R], sums: &mut [R]) {
        let range = share(self.tiles(), self.chunks, chunk);
        for first in range.clone().step_by(self.block) {
            let count = self.block.min(range.end - first);
            for y in 0..PRODUCTS / ROW {
                let part = &mut sums[y * self.accumulator() / (PRODUCTS / ROW)..];
                self.row(context, y, first..first + count, x, dy, part, first != range.start);
            }
        }
        if range.is_empty() {
            sums.fill(R::ZERO);
        }
    }

    /// Row `y` of the products of some tiles, added to `sums` or put there.
    #[allow(clippy::too_many_arguments, reason = "a row, its operands and where its sums go")]
    fn row(&self, context: &Context<'_>, y: usize, tiles: Range<usize>, x: &[R], dy: &[R], sums: &mut [R], add: bool) {
        let [pitch_a, pitch_b] = self.pitches();
        let [rows, columns] = self.padded();
        let width = self.tile.columns;
        let (step_a, step_b) = (self.block * pitch_a + PAD, self.block * pitch_b + PAD);
        let a = context.thread::<R>(0, ROW * (step_a + step_b));
        let b = a.at(ROW * step_a);
        let count = tiles.len();
        for (at, tile) in tiles.enumerate() {
            let patch = self.patch(tile, x);
            let gradient = self.results(tile, self.zeros.as_ptr(), |at| dy[at..][..self.columns].as_ptr());
            // SAFETY: each of the four parts of the scratch has room for `block` rows.
            unsafe {
                (self.transforms.patch_row)(y, &patch, self.depth, a.at(at * pitch_a), step_a);
                (self.transforms.spread_row)(y, &gradient, self.columns, b.add(at * pitch_b), step_b);
            }
        }
        for product in 0..ROW {
            let mut row = 0;
            while row < rows {
                let (height, kernel) = self.outer(rows - row);
                // Rows of patches stay in the first-level cache while the panels run by.
                for panel in 0..columns / width {
                    let at = (product * rows + row) * columns + panel * width;
                    debug_assert!(at + (height - 1) * columns + width <= sums.len());
                    // SAFETY: the transformed values hold `count` steps, the accumulator the tile.
                    unsafe {
                        kernel(
                            count,
                            a.at(product * step_a + row),
                            b.add(product * step_b + panel * width),
                            sums.as_mut_ptr().add(at),
                            [pitch_a, pitch_b, columns],
                            add,
                        );
                    }
                }
                row += height;
            }
        }
    }

    /// The highest kernel that fits; rows are a multiple of the lowest.
    fn outer(&self, rows: usize) -> (usize, OuterKernel<R>) {
        let fits = self.tile.outer.iter().find(|it| it.0 <= rows);
        *fits.unwrap_or(&self.tile.outer[2])
    }

    /// # Safety
    /// As for [`Kernel::run`].
    unsafe fn run_filter(&self, context: &Context<'_>, inputs: &[View], output: View) {
        // SAFETY: operands as asked for; nobody writes inputs.
        let (x, dy) = unsafe { (inputs[0].slice::<R>(), inputs[1].slice::<R>()) };
        let size = self.accumulator();
        let sums = context.shared::<R>(0, self.chunks * size);
        context.tasks(self.chunks, |chunk| {
            // SAFETY: each task has its own accumulator.
            self.chunk(context, chunk, x, dy, unsafe { sums.part(chunk * size, size) });
        });
        let dw = output.shared::<R>();
        let [rows, columns] = self.padded();
        let tasks = self.depth.div_ceil(8);
        context.tasks(tasks, |task| {
            for row in share(self.depth, tasks, task) {
                // SAFETY: all accumulators are complete; each row of the nine taps is written once.
                unsafe {
                    (self.transforms.gradient)(
                        sums.at(row * columns),
                        size,
                        self.chunks,
                        rows * columns,
                        self.columns,
                        dw.at(row * self.columns),
                        self.depth * self.columns,
                    );
                }
            }
        });
    }
}

impl<R: Real> Kernel for Winograd<R> {
    fn inputs(&self) -> Vec<Operand> {
        let read = Operand::real(self.images * self.read[0] * self.read[1] * self.depth);
        let written = Operand::real(self.images * self.written[0] * self.written[1] * self.columns);
        match self.kind {
            ConvKind::Forward | ConvKind::InputGrad => vec![read, Operand::real(9 * self.depth * self.columns)],
            ConvKind::FilterGrad => vec![read, written],
        }
    }

    fn outputs(&self) -> Vec<Operand> {
        match self.kind {
            ConvKind::Forward | ConvKind::InputGrad => {
                vec![Operand::real(self.images * self.written[0] * self.written[1] * self.columns)]
            }
            ConvKind::FilterGrad => vec![Operand::real(9 * self.depth * self.columns)],
        }
    }

    fn scratch(&self) -> Scratch {
        let (shared, thread) = match self.kind {
            ConvKind::Forward | ConvKind::InputGrad => {
                (self.panels() * PRODUCTS * self.matrix(), PRODUCTS * self.steps().iter().sum::<usize>())
            }
            ConvKind::FilterGrad => {
                let [a, b] = self.pitches();
                (self.chunks * self.accumulator(), ROW * (self.block * (a + b) + 2 * PAD))
            }
        };
        Scratch { shared: shared * size_of::<R>(), thread: thread * size_of::<R>() }
    }

    unsafe fn run(&self, context: &Context<'_>, inputs: &[View], outputs: &[View]) {
        if self.kind == ConvKind::FilterGrad {
            // SAFETY: passed on to the caller.
            unsafe { self.run_filter(context, inputs, outputs[0]) };
            return;
        }
        // SAFETY: operands as asked for; nobody writes inputs.
        let (x, filter) = unsafe { (inputs[0].slice::<R>(), inputs[1].slice::<R>()) };
        let y = outputs[0].shared::<R>();
        let panel = PRODUCTS * self.matrix();
        let transformed = context.shared::<R>(0, self.panels() * panel);
        let strips = self.depth.div_ceil(STRIP);
        context.tasks(self.panels() * strips, |task| {
            let (at, strip) = (task / strips, task % strips);
            self.transform_filter(at, strip * STRIP, filter, transformed.at(at * panel));
        });
        context.tasks(self.tiles().div_ceil(self.block), |block| {
            // SAFETY: blocks are disjoint parts of the result; the filter is only read now.
            unsafe { self.block(context, block, x, transformed.at(0), y.at(0)) };
        });
    }
}
