//! Convolutions in groups of few channels, depthwise ones among them: channels of the result are the lanes of vectors, and
//! no product with another group's channels is formed.
//!
//! Images are read where they lie: what the lanes of a vector need of a pixel is one vector of it, or one number. Pixels of
//! a row with the same taps are taken together, all their channels one vector after the other, so that memory is read
//! nearly in order; those beside the border have fewer taps.

mod kernels;
mod layout;

pub(in crate::runtime::cpu) use kernels::Direct;

use super::TASKS;
use crate::kernel::{ConvKernel, ConvKind, shares};
use crate::runtime::cpu::isa::{Isa, Job};
use crate::runtime::cpu::kernel::{Kernel, Operand, product, share};
use crate::runtime::cpu::memory::View;
use crate::runtime::cpu::pool::{Context, Scratch};
use crate::runtime::cpu::real::Real;
use kernels::{Line, MOST_SUMS, Term};
use layout::{Axis, Columns, Reading, Segment};
use std::ops::Range;

/// Most shares of the rows that a filter gradient is added up in, and fewest pixels of a share.
const CHUNKS: usize = 16;
const SHARE: usize = 128;
/// Numbers of the filter, or of its gradient, that should stay in the first cache.
const HELD: usize = 4 << 10;
/// Pixels of a line; where a row has fewer with the same taps, they are taken with those above and below.
const SHORT: usize = 4;
/// Pixels that are added up in the kernel's precision.
const PIXELS: usize = 128;

/// The kernel.
struct Grid<R> {
    kind: ConvKind,
    images: usize,
    axes: [Axis; 2],
    columns: Columns,
    kernels: Direct<R>,
    /// Of rows, and of the pixels of a row; and the terms of either.
    segments: [Vec<Segment>; 2],
    terms: Vec<Vec<Vec<Vec<Term>>>>,
    /// A group's channels of the filter: of the input, and of the output.
    shares: [usize; 2],
    /// Shares of the vectors, and, of a filter gradient, of the rows of all images.
    passes: usize,
    chunks: usize,
}

/// For a checked kernel.
pub(super) fn load<R: Real>(kernel: &ConvKernel, isa: Isa) -> Result<Box<dyn Kernel>, String> {
    let [each_in, each_out] = shares(kernel)?;
    let (each, depth) = if kernel.kind == ConvKind::InputGrad { (each_in, each_out) } else { (each_out, each_in) };
    let axes = [Axis::of(kernel, 0), Axis::of(kernel, 1)];
    let kernels = R::direct(isa);
    let columns = Columns::new(kernels.lanes, kernel.geometry.groups, each, depth);
    product(&[CHUNKS, kernel.geometry.taps(), depth, columns.vectors.len(), kernels.lanes])?;
    let segments = [axes[0].segments(), axes[1].segments()];
    let of = |down| segments[1].iter().map(|across| terms(kernels.lanes, &axes, &columns, down, across)).collect();
    let terms = segments[0].iter().map(of).collect();
    let panel = kernel.geometry.taps() * depth * kernels.lanes;
    let passes = columns.vectors.len().div_ceil((HELD / panel.max(1)).max(1)).max(1);
    let pixels = kernel.n * axes[0].written * axes[1].written;
    let chunks = TASKS.div_ceil(passes).min(pixels / SHARE).clamp(1, CHUNKS);
    Ok(Box::new(Grid::<R> {
        kind: kernel.kind,
        images: kernel.n,
        segments,
        terms,
        axes,
        columns,
        kernels,
        shares: [each_in, each_out],
        passes,
        chunks,
    }))
}

/// The terms of pixels that have the same taps: all channels of a group for one tap after the other, as the source has them
/// side by side, in parts of at most [`MOST_SUMS`].
fn terms(lanes: usize, axes: &[Axis; 2], columns: &Columns, down: &Segment, across: &Segment) -> Vec<Vec<Term>> {
    let Columns { read, depth, reading, .. } = *columns;
    let mut all = Vec::new();
    for &(down, row) in &down.taps {
        for &(right, column) in &across.taps {
            let (source, tap) = ((row * axes[1].read + column) * read, down * axes[1].kernel + right);
            all.extend((0..depth).map(|j| Term {
                source: source + if reading == Reading::One { j } else { 0 },
                weight: (tap * depth + j) * lanes,
                pick: j,
            }));
        }
    }
    let at_once = all.len().div_ceil(all.len().div_ceil(MOST_SUMS).max(1)).max(1);
    all.chunks(at_once).map(<[Term]>::to_vec).collect()
}

/// Adds sums in the kernel's precision to those in f64, and starts them again.
struct Flush<'a, R> {
    sums: &'a mut [R],
    all: &'a mut [f64],
}

impl<R: Real> Job for Flush<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        for (all, sum) in self.all.iter_mut().zip(self.sums) {
            *all += sum.f64();
            *sum = R::ZERO;
        }
    }
}

impl<R: Real> Grid<R> {
    fn taps(&self) -> usize {
        self.axes[0].kernel * self.axes[1].kernel
    }

    /// Numbers of a row that is read, and of one that is written.
    fn rows(&self) -> [usize; 2] {
        [self.axes[1].read * self.columns.read, self.axes[1].written * self.columns.count]
    }

    /// Numbers of an image that is read, and of one that is written.
    fn sizes(&self) -> [usize; 2] {
        let [read, written] = self.rows();
        [self.axes[0].read * read, self.axes[0].written * written]
    }

    fn filter(&self) -> usize {
        let outputs = if self.kind == ConvKind::InputGrad { self.columns.read } else { self.columns.count };
        self.taps() * self.shares[0] * outputs
    }

    /// A filter's numbers for one vector, `[tap][depth][lane]`.
    fn panel(&self) -> usize {
        self.taps() * self.columns.depth * self.kernels.lanes
    }

    /// Packs a vector's part of the filter.
    fn pack(&self, vector: usize, filter: &[R], panel: &mut [R]) {
        let Columns { depth, each, count, read, .. } = self.columns;
        let first = self.columns.vectors[vector].lane;
        for (at, to) in panel.chunks_exact_mut(self.kernels.lanes).enumerate() {
            let (tap, j) = (at / depth, at % depth);
            for (lane, to) in to.iter_mut().enumerate() {
                let column = first + lane;
                *to = if count <= column {
                    R::ZERO
                } else if self.kind == ConvKind::InputGrad {
                    filter[(tap * each + column % each) * read + column / each * depth + j]
                } else {
                    filter[(tap * depth + j) * count + column]
                };
            }
        }
    }

    /// A share of the rows of all images: calls `run` with pixels in a line, where they are read, and where they are written.
    /// Beside the border lines may go down.
    fn lines(&self, task: usize, tasks: usize, vectors: Range<usize>, mut run: impl FnMut(&Line<'_>, usize, usize)) {
        let (written, [row_read, row_written]) = (self.axes[0].written, self.rows());
        let rows = share(self.images * written, tasks, task);
        for image in rows.start / written.max(1)..rows.end.div_ceil(written.max(1)) {
            let [read_from, write_to] = self.sizes().map(|it| image * it);
            for (down, terms) in self.segments[0].iter().zip(&self.terms) {
                let first = image * written + down.first;
                let numbers = |row: usize| row.saturating_sub(first).div_ceil(down.step).min(down.count);
                let down_axis =
                    (numbers(rows.start)..numbers(rows.end), down.advance * row_read, down.step * row_written);
                for (across, terms) in self.segments[1].iter().zip(terms) {
                    let Columns { read, count, .. } = self.columns;
                    let axis = (0..across.count, across.advance * read, across.step * count);
                    let upright = across.count < SHORT && across.count < down_axis.0.len();
                    let (lines, line) = if upright { (&axis, &down_axis) } else { (&down_axis, &axis) };
                    let pixels = Line {
                        terms,
                        vectors: &self.columns.vectors[vectors.clone()],
                        picks: &self.columns.picks,
                        advance: line.1,
                        panel: self.panel(),
                        pitch: line.2,
                        count: line.0.len(),
                    };
                    let to = write_to + down.first * row_written + across.first * count + line.0.start * line.2;
                    for at in lines.0.clone() {
                        run(&pixels, read_from + line.0.start * line.1 + at * lines.1, to + at * lines.2);
                    }
                }
            }
        }
    }

    /// Adds up a share of the rows to the filter's gradient, in some of the vectors.
    fn add_up(&self, context: &Context<'_>, chunk: usize, vectors: Range<usize>, x: &[R], dy: &[R], all: &mut [f64]) {
        // SAFETY: scratch of this thread, as asked for.
        let sums = unsafe { context.thread::<R>(0, all.len()).part(0, all.len()) };
        sums.fill(R::ZERO);
        all.fill(0.0);
        let (kernel, mut pixels) = (self.kernels.sums(self.columns.reading), 0);
        self.lines(chunk, self.chunks, vectors, |line, from, to| {
            let (x, dy) = (x.as_ptr().wrapping_add(from), dy.as_ptr().wrapping_add(to));
            // SAFETY: terms are inside of the image, and so are the line's pixels; there are sums for each term.
            unsafe { kernel(line, x, dy, sums.as_mut_ptr()) };
            pixels += line.count;
            if PIXELS <= pixels {
                context.isa.run(Flush { sums: &mut *sums, all: &mut *all });
                pixels = 0;
            }
        });
        context.isa.run(Flush { sums, all });
    }

    fn filter_gradient(&self, context: &Context<'_>, x: &[R], dy: &[R], dw: View) {
        let (panel, vectors, count) = (self.panel(), self.columns.vectors.len(), self.columns.count);
        let size = vectors * panel;
        let sums = context.shared::<f64>(0, self.chunks * size);
        context.tasks(self.chunks * self.passes, |task| {
            let (chunk, pass) = (task / self.passes, task % self.passes);
            let vectors = share(vectors, self.passes, pass);
            // SAFETY: each task has its own sums.
            let sums = unsafe { sums.part(chunk * size + vectors.start * panel, vectors.len() * panel) };
            self.add_up(context, chunk, vectors, x, dy, sums);
        });
        let dw = dw.shared::<R>();
        context.tasks(self.taps() * self.columns.depth, |row| {
            // SAFETY: all sums are complete; each task writes its own row of the filter.
            let (sums, dw) = unsafe { (sums.slice(0, self.chunks * size), dw.part(row * count, count)) };
            for ((vector, lane), to) in self.columns.places().zip(dw) {
                let at = vector * panel + row * self.kernels.lanes + lane;
                *to = R::of((0..self.chunks).map(|chunk| sums[chunk * size + at]).sum());
            }
        });
    }
}

impl<R: Real> Kernel for Grid<R> {
    fn inputs(&self) -> Vec<Operand> {
        let [read, written] = self.sizes().map(|it| Operand::real(self.images * it));
        match self.kind {
            ConvKind::Forward | ConvKind::InputGrad => vec![read, Operand::real(self.filter())],
            ConvKind::FilterGrad => vec![read, written],
        }
    }

    fn outputs(&self) -> Vec<Operand> {
        vec![match self.kind {
            ConvKind::Forward | ConvKind::InputGrad => Operand::real(self.images * self.sizes()[1]),
            ConvKind::FilterGrad => Operand::real(self.filter()),
        }]
    }

    fn scratch(&self) -> Scratch {
        let panels = self.columns.vectors.len() * self.panel();
        match self.kind {
            ConvKind::Forward | ConvKind::InputGrad => Scratch { shared: panels * size_of::<R>(), thread: 0 },
            ConvKind::FilterGrad => {
                let pass = self.columns.vectors.len().div_ceil(self.passes) * self.panel();
                Scratch { shared: self.chunks * panels * size_of::<f64>(), thread: pass * size_of::<R>() }
            }
        }
    }

    unsafe fn run(&self, context: &Context<'_>, inputs: &[View], outputs: &[View]) {
        // SAFETY: operands as asked for; nobody writes inputs.
        let (x, with) = unsafe { (inputs[0].slice::<R>(), inputs[1].slice::<R>()) };
        if self.kind == ConvKind::FilterGrad {
            return self.filter_gradient(context, x, with, outputs[0]);
        }
        let (vectors, panel) = (self.columns.vectors.len(), self.panel());
        let all = vectors * panel;
        let panels = context.shared::<R>(0, all);
        context.tasks(TASKS.min(vectors), |task| {
            for vector in share(vectors, TASKS.min(vectors), task) {
                // SAFETY: each task packs its own vectors.
                self.pack(vector, with, unsafe { panels.part(vector * panel, panel) });
            }
        });
        let (y, kernel) = (outputs[0].shared::<R>(), self.kernels.pixels(self.columns.reading));
        let strips = TASKS.div_ceil(self.passes).min(self.images * self.axes[0].written);
        context.tasks(strips * self.passes, |task| {
            let vectors = share(vectors, self.passes, task % self.passes);
            // SAFETY: the filter is packed.
            let filter = unsafe { panels.slice(0, all) }[vectors.start * panel..].as_ptr();
            self.lines(task / self.passes, strips, vectors, |line, from, to| {
                // SAFETY: terms are inside of the image, and the panels hold all of them; each task has rows and channels of
                // its own.
                unsafe { kernel(line, x.as_ptr().wrapping_add(from), filter, y.at(to)) };
            });
        });
    }
}
