//! Forward convolution and input gradient where a sum has few terms: patches are gathered, multiplied and added in f64,
//! and rounded once.
//!
//! There is little to compute, and it is where roundings are felt: an image's few channels meet filters that may lie
//! along them, and near an angle of 0 the slope of `acos` makes hundreds of roundings out of one.

use super::tile::{MOST_ROWS, Tile};
use super::{SHALLOW, Sizes, TASKS, TILES, sources};
use crate::kernel::{ConvKernel, ConvKind};
use crate::runtime::cpu::isa::Isa;
use crate::runtime::cpu::kernel::{Kernel, Operand};
use crate::runtime::cpu::memory::View;
use crate::runtime::cpu::pool::{Context, Scratch};
use crate::runtime::cpu::real::Real;
use std::marker::PhantomData;

/// Most terms of a sum, but for an image's own channels.
const TERMS: usize = 128;

/// The kernel.
pub(super) struct Short<R> {
    sizes: Sizes,
    tile: Tile<f64>,
    /// `[pixel written][tap]`: the position read, within an image; `u32::MAX` for none.
    sources: Vec<u32>,
    /// Of a task.
    tiles: usize,
    marker: PhantomData<R>,
}

/// Whether a kernel is one for this.
pub(super) fn fits(kernel: &ConvKernel) -> bool {
    let taps = kernel.geometry.kernel[0] * kernel.geometry.kernel[1];
    match kernel.kind {
        ConvKind::Forward => kernel.input[2] < SHALLOW || taps * kernel.input[2] <= TERMS,
        ConvKind::InputGrad => taps * kernel.output[2] <= TERMS,
        ConvKind::FilterGrad => false,
    }
}

impl<R: Real> Short<R> {
    /// For a checked kernel that fits.
    pub(super) fn new(kernel: &ConvKernel, isa: Isa) -> Self {
        let (sizes, tile) = (Sizes::of(kernel), f64::tile(isa));
        let tiles = (sizes.written * sizes.images / tile.height / TASKS).clamp(1, TILES);
        Self { sizes, tile, sources: sources(kernel), tiles, marker: PhantomData }
    }

    fn panels(&self) -> usize {
        self.sizes.columns.div_ceil(self.tile.columns)
    }

    fn terms(&self) -> usize {
        self.sizes.taps * self.sizes.depth
    }

    /// Rows of a task.
    fn rows(&self) -> usize {
        self.tiles * self.tile.height
    }

    /// Reads the patch of a row.
    fn gather(&self, x: &[R], row: usize, patch: &mut [f64]) {
        let (image, pixel) = (row / self.sizes.written, row % self.sizes.written);
        let image = &x[image * self.sizes.read * self.sizes.depth..][..self.sizes.read * self.sizes.depth];
        let sources = &self.sources[pixel * self.sizes.taps..][..self.sizes.taps];
        for (to, &source) in patch.chunks_exact_mut(self.sizes.depth).zip(sources) {
            if source == u32::MAX {
                to.fill(0.0);
                continue;
            }
            for (to, from) in to.iter_mut().zip(&image[source as usize * self.sizes.depth..]) {
                *to = from.f64();
            }
        }
    }
}

impl<R: Real> Kernel for Short<R> {
    fn inputs(&self) -> Vec<Operand> {
        self.sizes.inputs()
    }

    fn outputs(&self) -> Vec<Operand> {
        self.sizes.outputs()
    }

    fn scratch(&self) -> Scratch {
        Scratch {
            shared: self.panels() * self.terms() * self.tile.columns * size_of::<f64>(),
            thread: self.rows() * self.terms() * size_of::<f64>(),
        }
    }

    unsafe fn run(&self, context: &Context<'_>, inputs: &[View], outputs: &[View]) {
        // SAFETY: operands as asked for; nobody writes inputs.
        let (x, filter) = unsafe { (inputs[0].slice::<R>(), inputs[1].slice::<R>()) };
        let y = outputs[0].shared::<R>();
        let rows = self.sizes.images * self.sizes.written;
        let (terms, width) = (self.terms(), self.tile.columns);
        if terms == 0 || self.sizes.columns == 0 {
            // SAFETY: the output is ours, and there are no tasks.
            unsafe { y.part(0, rows * self.sizes.columns) }.fill(R::ZERO);
            return;
        }
        let panel_len = terms * width;
        let panels = context.shared::<f64>(0, self.panels() * panel_len);
        for at in 0..self.panels() {
            // SAFETY: no task runs yet.
            let panel = unsafe { panels.part(at * panel_len, panel_len) };
            self.sizes.pack(width, at, filter, panel);
        }
        context.tasks(rows.div_ceil(self.rows()), |task| {
            let first = task * self.rows();
            let count = self.rows().min(rows - first);
            // SAFETY: scratch of this thread, as asked for; each task writes rows of its own.
            let (patches, y) = unsafe {
                let patches = context.thread::<f64>(0, self.rows() * terms).part(0, count * terms);
                (patches, y.part(first * self.sizes.columns, count * self.sizes.columns))
            };
            for (row, patch) in patches.chunks_exact_mut(terms).enumerate() {
                self.gather(x, first + row, patch);
            }
            let mut sums = [[0.0f64; 64]; MOST_ROWS];
            for (patches, y) in
                patches.chunks(self.tile.height * terms).zip(y.chunks_mut(self.tile.height * self.sizes.columns))
            {
                let valid = patches.len() / terms;
                // Rows beyond the end repeat the last; their results are dropped.
                let table: [*const f64; MOST_ROWS] =
                    std::array::from_fn(|it| patches[it.min(valid - 1) * terms..].as_ptr());
                let out = sums.each_mut().map(|it| it.as_mut_ptr());
                for at in 0..self.panels() {
                    let columns = at * width..((at + 1) * width).min(self.sizes.columns);
                    // SAFETY: every row has `terms` elements, the panel as many times `width`, and `sums` a tile.
                    unsafe {
                        let panel = panels.at(at * panel_len);
                        (self.tile.rows)(1, terms, terms, table.as_ptr(), panel, [0].as_ptr(), out.as_ptr());
                    }
                    for (y, sums) in y.chunks_exact_mut(self.sizes.columns).zip(&sums) {
                        for (y, sum) in y[columns.clone()].iter_mut().zip(sums) {
                            *y = R::of(*sum);
                        }
                    }
                }
            }
        });
    }
}
