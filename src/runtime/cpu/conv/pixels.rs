//! Forward convolution and input gradient: for every pixel of the result, a sum over taps of a row of
//! channels times the tap's filter matrix.
//!
//! Pixels are grouped by which taps they have (the border has fewer; with a stride, the input gradient
//! has one group per residue), so nothing is multiplied with padding and a stride costs nothing. Within
//! a group, tiles of pixels are row pointers into the images; the filter is packed once per launch
//! into panels `[columns / width][tap][depth][width]`.

use super::source;
use super::tile::{MOST_ROWS, Tile};
use crate::kernel::{ConvKernel, ConvKind};
use crate::runtime::cpu::isa::Isa;
use crate::runtime::cpu::kernel::{Kernel, Operand};
use crate::runtime::cpu::memory::View;
use crate::runtime::cpu::pool::{Context, Scratch};
use crate::runtime::cpu::real::Real;
use std::collections::BTreeMap;

/// Fewer channels than this are gathered into patches, so that the summed axis is long enough.
const SHALLOW: usize = 8;
/// Terms of a partial sum: few where sums are short and there is little to lose, else so many that adding the parts up
/// costs next to nothing.
const SHORT: usize = 8;
const LONG: usize = 128;
/// Tiles of a task, at most.
const TILES: usize = 8;
/// Tasks wanted.
const TASKS: usize = 48;

/// Pixels with the same taps.
struct Group {
    /// Pixels of the result, within an image.
    pixels: Vec<u32>,
    /// Taps, ascending.
    taps: Vec<u32>,
    /// `[pixel][tap]`: the position read, within an image; `u32::MAX` for none (patches only).
    sources: Vec<u32>,
}

/// A range of a group's pixels over all images, and of the panels.
struct Piece {
    group: usize,
    /// Among `n * pixels`, image-major.
    first: usize,
    end: usize,
    panels: std::ops::Range<usize>,
}

/// The kernel.
pub(super) struct Pixels<R> {
    kind: ConvKind,
    tile: Tile<R>,
    groups: Vec<Group>,
    pieces: Vec<Piece>,
    /// Pixels of an image that is read, and of one that is written.
    read: usize,
    written: usize,
    images: usize,
    /// Channels read and written.
    depth: usize,
    columns: usize,
    taps: usize,
    /// Gather patches first.
    patches: bool,
    tiles: usize,
}

impl<R: Real> Pixels<R> {
    /// For a checked kernel.
    pub(super) fn new(kernel: &ConvKernel, isa: Isa) -> Self {
        let tile = R::tile(isa);
        let forward = kernel.kind == ConvKind::Forward;
        let (from, to) = if forward { (kernel.input, kernel.output) } else { (kernel.output, kernel.input) };
        let (depth, columns, images) = (from[2], to[2], kernel.n);
        let [kh, kw] = kernel.geometry.kernel;
        let taps = kh * kw;
        let patches = depth < SHALLOW && forward;

        // Which position each tap of each pixel reads.
        let mut table = vec![u32::MAX; to[0] * to[1] * taps];
        for y in 0..kernel.output[0] {
            for x in 0..kernel.output[1] {
                for tap in 0..taps {
                    if let Some(input) = source(kernel, [y, x], [tap / kw, tap % kw]) {
                        let output = y * kernel.output[1] + x;
                        let (pixel, read) = if forward { (output, input) } else { (input, output) };
                        table[pixel * taps + tap] = read as u32;
                    }
                }
            }
        }
        let mut found: BTreeMap<Vec<u32>, Group> = BTreeMap::new();
        for pixel in 0..to[0] * to[1] {
            let sources = &table[pixel * taps..][..taps];
            let there = |tap: &u32| patches || sources[*tap as usize] != u32::MAX;
            let key: Vec<u32> = (0..taps as u32).filter(there).collect();
            let group = found.entry(key.clone()).or_insert_with(|| Group {
                pixels: Vec::new(),
                taps: key.clone(),
                sources: Vec::new(),
            });
            group.pixels.push(pixel as u32);
            group.sources.extend(key.iter().map(|&tap| sources[tap as usize]));
        }
        let groups: Vec<Group> = found.into_values().collect();

        let panels = columns.div_ceil(tile.columns);
        let rows: usize = groups.iter().map(|it| it.pixels.len() * images).sum();
        let tiles = (rows / tile.height / TASKS).clamp(1, TILES);
        let mut pieces = Vec::new();
        for (at, group) in groups.iter().enumerate() {
            let rows = group.pixels.len() * images;
            for first in (0..rows).step_by(tiles * tile.height) {
                let end = (first + tiles * tile.height).min(rows);
                // Few rows, as in a last layer: the panels are shared out, too.
                let step = if rows < 16 * tile.height { 1 } else { panels.max(1) };
                for panel in (0..panels).step_by(step) {
                    pieces.push(Piece { group: at, first, end, panels: panel..(panel + step).min(panels) });
                }
            }
        }
        // Long pieces first: the last ones even out the threads.
        pieces.sort_by_key(|it| std::cmp::Reverse((it.end - it.first) * groups[it.group].taps.len() * it.panels.len()));
        Self {
            kind: kernel.kind,
            tile,
            groups,
            pieces,
            read: from[0] * from[1],
            written: to[0] * to[1],
            images,
            depth,
            columns,
            taps,
            patches,
            tiles,
        }
    }

    fn panels(&self) -> usize {
        self.columns.div_ceil(self.tile.columns)
    }

    fn panel_len(&self) -> usize {
        self.taps * self.depth * self.tile.columns
    }

    /// Pointers of a task: row tables.
    fn table_bytes(&self) -> usize {
        (self.tiles * self.taps * self.tile.height * size_of::<usize>()).next_multiple_of(64)
    }

    /// Patches of a task.
    fn patch_len(&self) -> usize {
        if self.patches { self.tiles * self.tile.height * self.taps * self.depth } else { 0 }
    }

    /// Packs panel `at` of the filter.
    fn pack(&self, at: usize, filter: &[R], panel: &mut [R]) {
        let width = self.tile.columns;
        let first = at * width;
        let count = width.min(self.columns - first);
        for tap in 0..self.taps {
            let matrix = &filter[tap * self.depth * self.columns..][..self.depth * self.columns];
            let panel = &mut panel[tap * self.depth * width..][..self.depth * width];
            match self.kind {
                // The filter is `[tap][depth][columns]`.
                ConvKind::Forward => {
                    for (to, from) in panel.chunks_exact_mut(width).zip(matrix.chunks_exact(self.columns)) {
                        to[..count].copy_from_slice(&from[first..first + count]);
                        to[count..].fill(R::ZERO);
                    }
                }
                // The filter is `[tap][columns][depth]`.
                ConvKind::InputGrad | ConvKind::FilterGrad => {
                    for column in 0..width {
                        if column < count {
                            let from = &matrix[(first + column) * self.depth..][..self.depth];
                            for (to, from) in panel[column..].iter_mut().step_by(width).zip(from) {
                                *to = *from;
                            }
                        } else {
                            panel[column..].iter_mut().step_by(width).for_each(|it| *it = R::ZERO);
                        }
                    }
                }
            }
        }
    }

    /// Computes a piece.
    ///
    /// # Safety
    /// `x` holds the images read, `panels` the packed filter; the piece's part of `y` is this task's.
    unsafe fn piece(&self, context: &Context<'_>, piece: &Piece, x: &[R], panels: *const R, y: *mut R) {
        let group = &self.groups[piece.group];
        let (height, width) = (self.tile.height, self.tile.columns);
        let rows = piece.end - piece.first;
        let tiles = rows.div_ceil(height);
        let per_image = group.pixels.len();
        let taps = group.taps.len();
        let write = |row: usize| {
            let (image, at) = (row / per_image, row % per_image);
            (image * self.written + group.pixels[at] as usize) * self.columns
        };
        if taps == 0 {
            for row in piece.first..piece.end {
                for panel in piece.panels.clone() {
                    let count = width.min(self.columns - panel * width);
                    // SAFETY: this task's part of `y`.
                    unsafe { std::slice::from_raw_parts_mut(y.add(write(row) + panel * width), count) }.fill(R::ZERO);
                }
            }
            return;
        }
        let (steps, depth) = if self.patches { (1, taps * self.depth) } else { (taps, self.depth) };
        // SAFETY: scratch of this thread, as asked for.
        let (table, patches) = unsafe {
            (
                context.thread::<*const R>(0, tiles * steps * height).part(0, tiles * steps * height),
                context.thread::<R>(self.table_bytes(), self.patch_len()).part(0, self.patch_len()),
            )
        };
        for tile in 0..tiles {
            for i in 0..height {
                // Rows beyond the end repeat the last; their results are dropped.
                let row = (piece.first + tile * height + i).min(piece.end - 1);
                let (image, at) = (row / per_image, row % per_image);
                let image = &x[image * self.read * self.depth..][..self.read * self.depth];
                let sources = &group.sources[at * taps..][..taps];
                if self.patches {
                    let patch = &mut patches[(tile * height + i) * depth..][..depth];
                    for (to, &source) in patch.chunks_exact_mut(self.depth).zip(sources) {
                        if source == u32::MAX {
                            to.fill(R::ZERO);
                        } else {
                            to.copy_from_slice(&image[source as usize * self.depth..][..self.depth]);
                        }
                    }
                    table[tile * height + i] = patch.as_ptr();
                } else {
                    for (tap, &source) in sources.iter().enumerate() {
                        table[(tile * taps + tap) * height + i] = image[source as usize * self.depth..].as_ptr();
                    }
                }
            }
        }
        let numbers: &[u32] = if self.patches { &[0] } else { &group.taps };
        let mut spare = [[R::ZERO; 64]; MOST_ROWS];
        for panel in piece.panels.clone() {
            let first = panel * width;
            let count = width.min(self.columns - first);
            for tile in 0..tiles {
                let mut out = [std::ptr::null_mut::<R>(); MOST_ROWS];
                let valid = height.min(rows - tile * height);
                for (i, (out, spare)) in out.iter_mut().zip(&mut spare).enumerate().take(height) {
                    *out = if i < valid && count == width {
                        y.wrapping_add(write(piece.first + tile * height + i) + first)
                    } else {
                        spare.as_mut_ptr()
                    };
                }
                // SAFETY: every row pointer has `depth` elements behind it, the panel holds all taps, and
                // results go to this task's rows or to spare ones.
                unsafe {
                    (self.tile.rows)(
                        steps,
                        depth,
                        if self.patches { SHORT } else { LONG },
                        table.as_ptr().add(tile * steps * height),
                        panels.add(panel * self.panel_len()),
                        numbers.as_ptr(),
                        out.as_ptr(),
                    );
                }
                if count < width {
                    for (i, spare) in spare.iter().enumerate().take(valid) {
                        let to = write(piece.first + tile * height + i) + first;
                        // SAFETY: this task's part of `y`.
                        unsafe { std::slice::from_raw_parts_mut(y.add(to), count) }.copy_from_slice(&spare[..count]);
                    }
                }
            }
        }
    }
}

impl<R: Real> Kernel for Pixels<R> {
    fn inputs(&self) -> Vec<Operand> {
        let filter = self.taps * self.depth * self.columns;
        vec![Operand::real(self.images * self.read * self.depth), Operand::real(filter)]
    }

    fn outputs(&self) -> Vec<Operand> {
        vec![Operand::real(self.images * self.written * self.columns)]
    }

    fn scratch(&self) -> Scratch {
        Scratch {
            shared: self.panels() * self.panel_len() * size_of::<R>(),
            thread: self.table_bytes() + self.patch_len() * size_of::<R>(),
        }
    }

    unsafe fn run(&self, context: &Context<'_>, inputs: &[View], outputs: &[View]) {
        // SAFETY: operands as asked for; nobody writes inputs.
        let (x, filter) = unsafe { (inputs[0].slice::<R>(), inputs[1].slice::<R>()) };
        let y = outputs[0].shared::<R>();
        let panels = context.shared::<R>(0, self.panels() * self.panel_len());
        context.tasks(self.panels(), |at| {
            // SAFETY: each task packs its own panel.
            self.pack(at, filter, unsafe { panels.part(at * self.panel_len(), self.panel_len()) });
        });
        context.tasks(self.pieces.len(), |at| {
            // SAFETY: pieces are disjoint parts of the result; the panels are only read now.
            unsafe { self.piece(context, &self.pieces[at], x, panels.at(0), y.at(0)) };
        });
    }
}
