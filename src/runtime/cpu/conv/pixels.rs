//! Forward convolution and input gradient: for every pixel of the result, a sum over taps of a row of
//! channels times the tap's filter matrix.
//!
//! Pixels are grouped by which taps they have (the border has fewer; with a stride, the input gradient
//! has one group per residue), so nothing is multiplied with padding and a stride costs nothing. Within
//! a group, tiles of pixels are row pointers into the images; the filter is packed once per launch
//! into panels `[columns / width][tap][depth][width]`.

use super::tile::{MOST_ROWS, Tile};
use super::{Sizes, TASKS, TILES, sources};
use crate::kernel::ConvKernel;
use crate::runtime::cpu::isa::Isa;
use crate::runtime::cpu::kernel::{Kernel, Operand};
use crate::runtime::cpu::memory::View;
use crate::runtime::cpu::pool::{Context, Scratch};
use crate::runtime::cpu::real::Real;
use std::collections::BTreeMap;

/// Terms of a partial sum. Adding the parts up costs one addition in so many; longer parts lose more: with 128, angles
/// near 0 of 16 to 31 channels are off by more than twice as much.
const PART: usize = 32;
/// Bytes of a filter that stays in a core's second cache, so that it comes by again for each tile of pixels, and these stay in
/// the first; a larger one stays panel by panel, and the pixels come by.
const FILTER: usize = 128 << 10;
/// Tiles are put together so that there are no more tasks than about this, however large a batch is.
const MOST: usize = 1 << 20;

/// Pixels with the same taps.
struct Group {
    /// Pixels of the result, within an image.
    pixels: Vec<u32>,
    /// Taps, ascending.
    taps: Vec<u32>,
    /// `[pixel][tap]`: the position read, within an image.
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
    sizes: Sizes,
    tile: Tile<R>,
    groups: Vec<Group>,
    pieces: Vec<Piece>,
    /// Of a task.
    tiles: usize,
}

impl<R: Real> Pixels<R> {
    /// For a checked kernel.
    pub(super) fn new(kernel: &ConvKernel, isa: Isa) -> Self {
        let tile = R::tile(isa);
        let sizes = Sizes::of(kernel);
        let (taps, images) = (sizes.taps, sizes.images);
        let table = sources(kernel);
        let mut found: BTreeMap<Vec<u32>, Group> = BTreeMap::new();
        for pixel in 0..sizes.written {
            let sources = &table[pixel * taps..][..taps];
            let there = |tap: &u32| sources[*tap as usize] != u32::MAX;
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

        let panels = sizes.columns.div_ceil(tile.columns);
        let rows: usize = groups.iter().map(|it| it.pixels.len() * images).sum();
        let tiles = (rows / tile.height / TASKS).clamp(1, TILES).max(rows / tile.height / MOST);
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
        Self { sizes, tile, groups, pieces, tiles }
    }

    fn panels(&self) -> usize {
        self.sizes.columns.div_ceil(self.tile.columns)
    }

    fn panel_len(&self) -> usize {
        self.sizes.taps * self.sizes.depth * self.tile.columns
    }

    /// Pointers of a task: row tables.
    fn table_bytes(&self) -> usize {
        (self.tiles * self.sizes.taps * self.tile.height * size_of::<usize>()).next_multiple_of(64)
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
        // Where each row is written.
        let place = |row: usize| {
            let (image, at) = (row / per_image, row % per_image);
            (image * self.sizes.written + group.pixels[at] as usize) * self.sizes.columns
        };
        let places: Vec<usize> = (piece.first..piece.end).map(place).collect();
        if taps == 0 {
            for place in places {
                for panel in piece.panels.clone() {
                    let count = width.min(self.sizes.columns - panel * width);
                    // SAFETY: this task's part of `y`.
                    unsafe { std::slice::from_raw_parts_mut(y.add(place + panel * width), count) }.fill(R::ZERO);
                }
            }
            return;
        }
        // SAFETY: scratch of this thread, as asked for.
        let table = unsafe { context.thread::<*const R>(0, tiles * taps * height).part(0, tiles * taps * height) };
        for tile in 0..tiles {
            for i in 0..height {
                // Rows beyond the end repeat the last; their results are dropped.
                let row = (piece.first + tile * height + i).min(piece.end - 1);
                let (image, at) = (row / per_image, row % per_image);
                let image = &x[image * self.sizes.read * self.sizes.depth..][..self.sizes.read * self.sizes.depth];
                let sources = &group.sources[at * taps..][..taps];
                for (tap, &source) in sources.iter().enumerate() {
                    table[(tile * taps + tap) * height + i] = image[source as usize * self.sizes.depth..].as_ptr();
                }
            }
        }
        let mut spare = [[R::ZERO; 64]; MOST_ROWS];
        let mut product = |panel: usize, tile: usize| {
            let first = panel * width;
            let count = width.min(self.sizes.columns - first);
            let mut out = [std::ptr::null_mut::<R>(); MOST_ROWS];
            let places = &places[tile * height..rows.min((tile + 1) * height)];
            for (i, (out, spare)) in out.iter_mut().zip(&mut spare).enumerate().take(height) {
                *out = match places.get(i) {
                    Some(place) if count == width => y.wrapping_add(place + first),
                    _ => spare.as_mut_ptr(),
                };
            }
            // SAFETY: every row pointer has `depth` elements behind it, the panel holds all taps, and
            // results go to this task's rows or to spare ones.
            unsafe {
                (self.tile.rows)(
                    taps,
                    self.sizes.depth,
                    PART,
                    table.as_ptr().add(tile * taps * height),
                    panels.add(panel * self.panel_len()),
                    group.taps.as_ptr(),
                    out.as_ptr(),
                );
            }
            if count < width {
                for (place, spare) in places.iter().zip(&spare) {
                    // SAFETY: this task's part of `y`.
                    let to = unsafe { std::slice::from_raw_parts_mut(y.add(place + first), count) };
                    to.copy_from_slice(&spare[..count]);
                }
            }
        };
        if piece.panels.len() * self.panel_len() * size_of::<R>() <= FILTER {
            for tile in 0..tiles {
                piece.panels.clone().for_each(|panel| product(panel, tile));
            }
        } else {
            for panel in piece.panels.clone() {
                (0..tiles).for_each(|tile| product(panel, tile));
            }
        }
    }
}

impl<R: Real> Kernel for Pixels<R> {
    fn inputs(&self) -> Vec<Operand> {
        self.sizes.inputs()
    }

    fn outputs(&self) -> Vec<Operand> {
        self.sizes.outputs()
    }

    fn scratch(&self) -> Scratch {
        Scratch { shared: self.panels() * self.panel_len() * size_of::<R>(), thread: self.table_bytes() }
    }

    unsafe fn run(&self, context: &Context<'_>, inputs: &[View], outputs: &[View]) {
        // SAFETY: operands as asked for; nobody writes inputs.
        let (x, filter) = unsafe { (inputs[0].slice::<R>(), inputs[1].slice::<R>()) };
        let y = outputs[0].shared::<R>();
        let panels = context.shared::<R>(0, self.panels() * self.panel_len());
        context.tasks(self.panels(), |at| {
            // SAFETY: each task packs its own panel.
            let panel = unsafe { panels.part(at * self.panel_len(), self.panel_len()) };
            self.sizes.pack(self.tile.columns, at, filter, panel);
        });
        context.tasks(self.pieces.len(), |at| {
            // SAFETY: pieces are disjoint parts of the result; the panels are only read now.
            unsafe { self.piece(context, &self.pieces[at], x, panels.at(0), y.at(0)) };
        });
    }
}
