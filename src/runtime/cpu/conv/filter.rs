//! Filter gradient: for every tap, a product of all pixels' channels with all pixels' gradients.
//!
//! Few outputs and many pixels: the pixels are cut into a fixed number of chunks, each with an
//! accumulator of its own, added in order at the end. Within a chunk, blocks of pixels are packed so
//! that the micro-kernel reads both operands in a row.
//!
//! Of few channels all taps together are the rows of one product, and sums are taken in f64, for the reason that
//! [`super::short`] tells.

use super::tile::Tile;
use super::{SHALLOW, source};
use crate::kernel::ConvKernel;
use crate::runtime::cpu::isa::Isa;
use crate::runtime::cpu::kernel::{Kernel, Operand, share};
use crate::runtime::cpu::memory::View;
use crate::runtime::cpu::pool::{Context, Scratch};
use crate::runtime::cpu::real::{Real, convert};
use std::marker::PhantomData;

/// Pixels of a block.
const BLOCK: usize = 256;
/// Most chunks.
const CHUNKS: usize = 4;

/// The kernel over reals `R`, adding up in `C`.
pub(super) struct Filter<R, C> {
    tile: Tile<C>,
    images: usize,
    /// Pixels and channels of x.
    read: usize,
    rows: usize,
    /// Pixels and channels of dy.
    pixels: usize,
    columns: usize,
    taps: usize,
    /// `[tap]`: (pixel of dy, position of x) of each pixel that has the tap, in one image.
    pairs: Vec<Vec<(u32, u32)>>,
    chunks: usize,
    shallow: bool,
    marker: PhantomData<R>,
}

/// For a checked kernel.
pub(super) fn load<R: Real>(kernel: &ConvKernel, isa: Isa) -> Box<dyn Kernel> {
    if kernel.input[2] < SHALLOW {
        Box::new(Filter::<R, f64>::new(kernel, isa))
    } else {
        Box::new(Filter::<R, R>::new(kernel, isa))
    }
}

impl<R: Real, C: Real> Filter<R, C> {
    fn new(kernel: &ConvKernel, isa: Isa) -> Self {
        let [kh, kw] = kernel.geometry.kernel;
        let [oh, ow, columns] = kernel.output;
        let shallow = kernel.input[2] < SHALLOW;
        let pairs = (0..kh * kw)
            .map(|tap| {
                let at = |pixel: usize| source(kernel, [pixel / ow, pixel % ow], [tap / kw, tap % kw]);
                (0..oh * ow).filter_map(|pixel| Some((pixel as u32, at(pixel)? as u32))).collect()
            })
            .collect();
        let pixels = kernel.n * oh * ow;
        Self {
            tile: C::tile(isa),
            images: kernel.n,
            read: kernel.input[0] * kernel.input[1],
            rows: kernel.input[2],
            pixels: oh * ow,
            columns,
            taps: kh * kw,
            pairs,
            chunks: (pixels / (4 * BLOCK)).clamp(1, CHUNKS).min(kernel.n.max(1)),
            shallow,
            marker: PhantomData,
        }
    }

    fn len(&self) -> usize {
        self.taps * self.rows * self.columns
    }

    /// Columns with the last panel filled up.
    fn padded(&self) -> usize {
        self.columns.next_multiple_of(self.tile.columns)
    }

    /// Rows of a task's product with the last tile filled up, and its tiles.
    fn tiles(&self) -> (usize, Vec<(usize, usize)>) {
        let rows = if self.shallow { self.taps * self.rows } else { self.rows };
        let [high, middle, low] = self.tile.outer.map(|it| it.0);
        let mut res = Vec::new();
        let mut left = rows;
        let mut at = 0;
        while 0 < left {
            let kind = if middle < left {
                0
            } else if low < left {
                1
            } else {
                2
            };
            let height = [high, middle, low][kind];
            res.push((at, kind));
            at += height;
            left = left.saturating_sub(height);
        }
        (at, res)
    }

    fn tasks_per_chunk(&self) -> usize {
        if self.shallow { 1 } else { self.taps }
    }

    /// Accumulator of one chunk: `[task][padded rows][padded columns]`.
    fn accumulator(&self) -> usize {
        self.tasks_per_chunk() * self.tiles().0 * self.padded()
    }

    /// One tap (or all, when shallow) of one chunk.
    fn product(&self, context: &Context<'_>, chunk: usize, tap: usize, x: &[R], dy: &[R], sums: &mut [C]) {
        let (rows, tiles) = self.tiles();
        let padded = self.padded();
        let width = self.tile.columns;
        // SAFETY: scratch of this thread, as asked for.
        let (a, b) = unsafe {
            let bytes = BLOCK * rows * size_of::<C>();
            (
                context.thread::<C>(0, BLOCK * rows).part(0, BLOCK * rows),
                context.thread::<C>(bytes.next_multiple_of(64), BLOCK * padded).part(0, BLOCK * padded),
            )
        };
        let images = share(self.images, self.chunks, chunk);
        let per_image = if self.shallow { self.pixels } else { self.pairs[tap].len() };
        let total = images.len() * per_image;
        if total == 0 {
            sums.fill(C::ZERO);
            return;
        }
        let mut lookup = Vec::new();
        if self.shallow {
            lookup = vec![u32::MAX; self.pixels * self.taps];
            for (tap, pairs) in self.pairs.iter().enumerate() {
                for &(pixel, position) in pairs {
                    lookup[pixel as usize * self.taps + tap] = position;
                }
            }
        }
        for first in (0..total).step_by(BLOCK) {
            let depth = BLOCK.min(total - first);
            for k in 0..depth {
                let (image, at) = (images.start + (first + k) / per_image, (first + k) % per_image);
                let image_x = &x[image * self.read * self.rows..][..self.read * self.rows];
                let pixel;
                if self.shallow {
                    pixel = at;
                    let mut row = 0;
                    for &position in &lookup[at * self.taps..][..self.taps] {
                        for channel in 0..self.rows {
                            let value = if position == u32::MAX {
                                C::ZERO
                            } else {
                                convert(image_x[position as usize * self.rows + channel])
                            };
                            self.put(a, &tiles, depth, k, row, value);
                            row += 1;
                        }
                    }
                } else {
                    let (to, from) = self.pairs[tap][at];
                    pixel = to as usize;
                    let from = &image_x[from as usize * self.rows..][..self.rows];
                    for &(start, kind) in &tiles {
                        let height = self.tile.outer[kind].0;
                        let to = &mut a[start * depth + k * height..][..height];
                        let count = height.min(self.rows - start);
                        // Constant sizes become plain moves.
                        match count {
                            12 => copy(&mut to[..12], &from[start..start + 12]),
                            8 => copy(&mut to[..8], &from[start..start + 8]),
                            6 => copy(&mut to[..6], &from[start..start + 6]),
                            4 => copy(&mut to[..4], &from[start..start + 4]),
                            _ => copy(&mut to[..count], &from[start..start + count]),
                        }
                        to[count..].fill(C::ZERO);
                    }
                }
                let from = &dy[(image * self.pixels + pixel) * self.columns..][..self.columns];
                for (panel, from) in from.chunks(width).enumerate() {
                    let to = &mut b[(panel * depth + k) * width..][..width];
                    copy(&mut to[..from.len()], from);
                    to[from.len()..].fill(C::ZERO);
                }
            }
            if self.shallow && (first == 0 || depth < BLOCK) {
                self.blank(a, &tiles, depth);
            }
            for &(start, kind) in &tiles {
                let (height, kernel) = self.tile.outer[kind];
                for panel in 0..padded / width {
                    let c = &mut sums[start * padded + panel * width..];
                    debug_assert!((height - 1) * padded + width <= c.len());
                    // SAFETY: the packs hold `depth` steps, the accumulator the padded rows and columns.
                    unsafe {
                        kernel(
                            depth,
                            a[start * depth..].as_ptr(),
                            b[panel * depth * width..].as_ptr(),
                            c.as_mut_ptr(),
                            [height, width, padded],
                            0 < first,
                        );
                    }
                }
            }
        }
    }

    /// Writes row `row` of step `k` of packed rows.
    #[inline]
    fn put(&self, a: &mut [C], tiles: &[(usize, usize)], depth: usize, k: usize, row: usize, value: C) {
        let high = self.tile.outer[0].0;
        let (start, kind) = tiles[(row / high).min(tiles.len() - 1)];
        // Tiles of full height come first, so the guess is right but for the last two.
        let (start, kind) = if row < start || start + self.tile.outer[kind].0 <= row {
            *tiles.iter().rev().find(|it| it.0 <= row).expect("tiles cover all rows")
        } else {
            (start, kind)
        };
        a[start * depth + k * self.tile.outer[kind].0 + row - start] = value;
    }

    /// Clears the rows that fill up the last tile, so that they are numbers.
    fn blank(&self, a: &mut [C], tiles: &[(usize, usize)], depth: usize) {
        let rows = self.taps * self.rows;
        let padded = self.tiles().0;
        for k in 0..depth {
            for row in rows..padded {
                self.put(a, tiles, depth, k, row, C::ZERO);
            }
        }
    }
}

#[inline(always)]
fn copy<A: Real, B: Real>(to: &mut [B], from: &[A]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = convert(*from);
    }
}

impl<R: Real, C: Real> Kernel for Filter<R, C> {
    fn inputs(&self) -> Vec<Operand> {
        vec![
            Operand::real(self.images * self.read * self.rows),
            Operand::real(self.images * self.pixels * self.columns),
        ]
    }

    fn outputs(&self) -> Vec<Operand> {
        vec![Operand::real(self.len())]
    }

    fn scratch(&self) -> Scratch {
        let rows = (BLOCK * self.tiles().0 * size_of::<C>()).next_multiple_of(64);
        Scratch {
            shared: self.chunks * self.accumulator() * size_of::<C>(),
            thread: rows + BLOCK * self.padded() * size_of::<C>(),
        }
    }

    unsafe fn run(&self, context: &Context<'_>, inputs: &[View], outputs: &[View]) {
        // SAFETY: operands as asked for; nobody writes inputs.
        let (x, dy) = unsafe { (inputs[0].slice::<R>(), inputs[1].slice::<R>()) };
        let (parts, size) = (self.tasks_per_chunk(), self.accumulator());
        let sums = context.shared::<C>(0, self.chunks * size);
        context.tasks(self.chunks * parts, |task| {
            let (chunk, tap) = (task / parts, task % parts);
            let part = size / parts;
            // SAFETY: each task has its own accumulator.
            let sums = unsafe { sums.part(chunk * size + tap * part, part) };
            self.product(context, chunk, tap, x, dy, sums);
        });
        let dw = outputs[0].shared::<R>();
        let (padded, part) = (self.padded(), size / parts);
        context.tasks(self.taps, |tap| {
            // SAFETY: all accumulators are complete; each task writes its own tap.
            let (sums, dw) = unsafe {
                (sums.slice(0, self.chunks * size), dw.part(tap * self.rows * self.columns, self.rows * self.columns))
            };
            let start = if self.shallow { tap * self.rows * padded } else { tap * part };
            for (row, dw) in dw.chunks_exact_mut(self.columns.max(1)).enumerate() {
                let at = start + row * padded;
                for (column, dw) in dw.iter_mut().enumerate() {
                    let mut sum = sums[at + column];
                    for chunk in 1..self.chunks {
                        sum += sums[chunk * size + at + column];
                    }
                    *dw = convert(sum);
                }
            }
        });
    }
}
