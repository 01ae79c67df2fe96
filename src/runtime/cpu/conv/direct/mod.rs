//! Convolutions in groups of few channels, depthwise ones among them: channels of the result are the lanes of vectors, and
//! no product with another group's channels is formed.
//!
//! A task has a strip of rows of the result and a block of its channels. What they are made of is first laid out for it
//! as `[row][column of the image][channel of the group][lane]`, with zeros beside the image, so that a lane finds each of
//! its group's channels in its own place and every pixel has every tap. Where a stride leaves the pixels of an input
//! gradient with different taps, those with the same are taken together.

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
use kernels::MOST_SUMS;
use layout::{Axis, Class, Columns, Strip};

/// Most lanes of a block.
const BLOCK: usize = 64;
/// Numbers that a strip's source should not exceed, so that it stays in the cache.
const STRIP: usize = 64 << 10;
/// Shares of the images that a filter gradient is added up in.
const CHUNKS: usize = 8;

/// The kernel.
struct Grid<R> {
    kind: ConvKind,
    images: usize,
    axes: [Axis; 2],
    columns: Columns,
    kernels: Direct<R>,
    classes: Vec<Class>,
    strips: Vec<Strip>,
    /// Zeros left of a row of the source, and its width with those on both sides.
    left: usize,
    width: usize,
    /// Numbers of the longest strip's source.
    source: usize,
    /// A group's channels of the filter: of the input, and of the output.
    shares: [usize; 2],
    chunks: usize,
}

/// For a checked kernel.
pub(super) fn load<R: Real>(kernel: &ConvKernel, isa: Isa) -> Result<Box<dyn Kernel>, String> {
    let [each_in, each_out] = shares(kernel)?;
    let back = kernel.kind == ConvKind::InputGrad;
    let axes = [Axis::of(kernel, 0), Axis::of(kernel, 1)];
    let kernels = R::direct(isa);
    let (count, read) = if back { (kernel.input[2], kernel.output[2]) } else { (kernel.output[2], kernel.input[2]) };
    let (each, depth) = if back { (each_in, each_out) } else { (each_out, each_in) };
    let vectors = count.div_ceil(kernels.lanes);
    // A source that is laid out for several channels fills the cache sooner.
    let most = if depth == 1 { BLOCK } else { BLOCK / 2 };
    let blocks = (vectors * kernels.lanes).div_ceil(most).max(1);
    let columns = Columns { count, block: vectors.div_ceil(blocks).max(1) * kernels.lanes, blocks, depth, each, read };

    let classes = axes[1].classes();
    let taps = classes.iter().flat_map(|it| it.taps.iter().map(move |tap| (it, tap.1)));
    let reach = taps.map(|(it, base)| (base, base + it.count.saturating_sub(1) as isize * it.advance as isize));
    let (low, high) = reach.fold((0, axes[1].read as isize - 1), |all, it| (all.0.min(it.0), all.1.max(it.1)));
    let (left, width) = (low.unsigned_abs(), (high - low + 1).unsigned_abs());
    let row = product(&[width, depth, columns.block])?;

    // Long strips read rows once; but there should be work for all threads.
    let tasks = (kernel.n * columns.blocks).max(1);
    let most = axes[0].written.div_ceil(TASKS.div_ceil(tasks)).max(1);
    let strips = Strip::all(&axes[0], most, STRIP / row.max(1));
    let source = product(&[strips.iter().map(|it| it.from.len()).max().unwrap_or(0), row])?;
    product(&[CHUNKS, kernel.geometry.taps(), depth, columns.blocks * columns.block])?;
    Ok(Box::new(Grid::<R> {
        kind: kernel.kind,
        images: kernel.n,
        axes,
        columns,
        kernels,
        classes,
        strips,
        left,
        width,
        source,
        shares: [each_in, each_out],
        chunks: kernel.n.clamp(1, CHUNKS),
    }))
}

/// Terms of a row, by class, and the rows of the source that they are of: taps, and rows behind the first.
#[derive(Default)]
struct Terms {
    of: Vec<(usize, usize)>,
    rows: Vec<Vec<[usize; 2]>>,
}

/// Lays out the source of a strip.
struct LayOut<'a, R> {
    grid: &'a Grid<R>,
    strip: &'a Strip,
    block: usize,
    image: &'a [R],
    to: &'a mut [R],
}

impl<R: Real> Job for LayOut<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let LayOut { grid, strip, block, image, to } = self;
        let (pixel, channels, read) = (grid.pixel(), grid.columns.read, grid.axes[1].read);
        for (row, to) in strip.from.clone().zip(to.chunks_exact_mut(grid.width * pixel)) {
            to[..grid.left * pixel].fill(R::ZERO);
            to[(grid.left + read) * pixel..].fill(R::ZERO);
            let inner = to[grid.left * pixel..].chunks_exact_mut(pixel);
            for (from, to) in image[row * read * channels..].chunks_exact(channels).take(read).zip(inner) {
                grid.columns.spread(block, from, to);
            }
        }
    }
}

impl<R: Real> Grid<R> {
    fn taps(&self) -> usize {
        self.axes[0].kernel * self.axes[1].kernel
    }

    /// Numbers of an image that is read, and of one that is written.
    fn sizes(&self) -> [usize; 2] {
        let [down, across] = &self.axes;
        [down.read * across.read * self.columns.read, down.written * across.written * self.columns.count]
    }

    fn filter(&self) -> usize {
        let outputs = if self.kind == ConvKind::InputGrad { self.columns.read } else { self.columns.count };
        self.taps() * self.shares[0] * outputs
    }

    /// Numbers from pixel to pixel of a strip's source.
    fn pixel(&self) -> usize {
        self.columns.depth * self.columns.block
    }

    /// A filter's numbers for one block of lanes, `[tap][depth][lane]`.
    fn panel(&self) -> usize {
        self.taps() * self.pixel()
    }

    /// Numbers of a row of the result in one block of lanes.
    fn line(&self) -> usize {
        self.axes[1].written * self.columns.block
    }

    /// Where the second part of a thread's working memory starts.
    fn second(&self) -> usize {
        (self.source * size_of::<R>()).next_multiple_of(64)
    }

    /// Where a row of the source starts in a strip's; without a source, anywhere.
    fn start(&self, strip: &Strip, row: usize) -> usize {
        row.saturating_sub(strip.from.start) * self.width * self.pixel()
    }

    /// Packs a block of the filter.
    fn pack(&self, block: usize, filter: &[R], panel: &mut [R]) {
        let Columns { block: width, depth, each, count, read, .. } = self.columns;
        for (at, to) in panel.chunks_exact_mut(width).enumerate() {
            let (tap, j) = (at / depth, at % depth);
            for (lane, to) in to.iter_mut().enumerate() {
                let column = block * width + lane;
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

    /// What the pixels of a row are made of, for each class: where a tap's source starts behind the first row that it reads,
    /// and its part of a panel, for each channel of the group. Most rows have the terms of the one before.
    fn terms(&self, row: usize, known: &mut Terms) -> usize {
        let (pixel, block) = (self.pixel(), self.columns.block);
        let first = self.axes[0].sources(row).map(|it| it.1).min().unwrap_or(0);
        let rows = || self.axes[0].sources(row).map(|(down, from)| (down, from - first));
        if known.rows.len() == self.classes.len() && rows().eq(known.of.iter().copied()) {
            return first;
        }
        known.of = rows().collect();
        known.rows.resize_with(self.classes.len(), Vec::new);
        for (class, terms) in self.classes.iter().zip(&mut known.rows) {
            terms.clear();
            for &(down, from) in &known.of {
                for &(right, base) in &class.taps {
                    let start = (from * self.width + self.left).wrapping_add_signed(base) * pixel;
                    let weight = (down * self.axes[1].kernel + right) * pixel;
                    terms.extend((0..self.columns.depth).map(|j| [start + j * block, weight + j * block]));
                }
            }
        }
        first
    }

    /// A strip of the result, in one block of lanes.
    ///
    /// # Safety
    /// `panel` holds the block's filter; the strip's part of `y`, in this block, is this task's.
    #[allow(clippy::too_many_arguments, reason = "a strip, its operands and where its sums go")]
    unsafe fn strip(
        &self,
        context: &Context<'_>,
        image: usize,
        strip: &Strip,
        block: usize,
        x: &[R],
        panel: &[R],
        y: *mut R,
    ) {
        let Columns { count, block: width, .. } = self.columns;
        let [read, written] = self.sizes();
        let lanes = self.kernels.lanes;
        // SAFETY: scratch of this thread, as asked for.
        let (source, spare) = unsafe {
            (
                context.thread::<R>(0, self.source).part(0, self.source),
                context.thread::<R>(self.second(), self.axes[1].written * lanes).part(0, self.axes[1].written * lanes),
            )
        };
        context.isa.run(LayOut { grid: self, strip, block, image: &x[image * read..][..read], to: &mut *source });
        let valid = self.columns.valid(block);
        let mut known = Terms::default();
        for row in strip.rows.clone() {
            let start = self.start(strip, self.terms(row, &mut known));
            for (class, terms) in self.classes.iter().zip(&known.rows) {
                let first = image * written + (row * self.axes[1].written + class.first) * count + block * width;
                for lane in (0..valid).step_by(lanes) {
                    let whole = lane + lanes <= valid;
                    let to = y.wrapping_add(first + lane);
                    let (out, pitch) = if whole { (to, class.step * count) } else { (spare.as_mut_ptr(), lanes) };
                    // SAFETY: the source holds a row's taps for all its pixels, and the panel all terms, up to the block's
                    // last lane; results go to this task's pixels or to spare ones.
                    unsafe {
                        let (source, panel) = (source.as_ptr().add(start + lane), panel.as_ptr().add(lane));
                        let steps = [class.advance * self.pixel(), pitch];
                        (self.kernels.pixels)(terms, source, panel, steps, out, class.count);
                    }
                    if !whole {
                        for (at, from) in spare.chunks_exact(lanes).take(class.count).enumerate() {
                            let to = to.wrapping_add(at * class.step * count);
                            // SAFETY: this task's part of `y`.
                            unsafe { std::slice::from_raw_parts_mut(to, valid - lane) }
                                .copy_from_slice(&from[..valid - lane]);
                        }
                    }
                }
            }
        }
    }

    /// Adds up a share of the images to the filter's gradient, in one block of lanes: rows in the kernel's precision, and
    /// rows in f64.
    fn add_up(&self, context: &Context<'_>, chunk: usize, block: usize, x: &[R], dy: &[R], sums: &mut [f64]) {
        let Columns { count, block: width, .. } = self.columns;
        let [read, written] = self.sizes();
        let (lanes, class) = (self.kernels.lanes, &self.classes[0]);
        // SAFETY: scratch of this thread, as asked for.
        let (source, line) = unsafe {
            (
                context.thread::<R>(0, self.source).part(0, self.source),
                context.thread::<R>(self.second(), self.line()).part(0, self.line()),
            )
        };
        sums.fill(0.0);
        line.fill(R::ZERO);
        let valid = self.columns.valid(block);
        let mut out = [R::ZERO; MOST_SUMS * BLOCK];
        let mut known = Terms::default();
        for image in share(self.images, self.chunks, chunk) {
            for strip in &self.strips {
                context.isa.run(LayOut {
                    grid: self,
                    strip,
                    block,
                    image: &x[image * read..][..read],
                    to: &mut *source,
                });
                for row in strip.rows.clone() {
                    let from = &dy[image * written + row * class.count * count..][..class.count * count];
                    for (to, from) in line.chunks_exact_mut(width).zip(from.chunks_exact(count)) {
                        to[..valid].copy_from_slice(&from[block * width..][..valid]);
                    }
                    let start = self.start(strip, self.terms(row, &mut known));
                    let terms = &known.rows[0];
                    let at_once = terms.len().div_ceil(terms.len().div_ceil(MOST_SUMS).max(1)).max(1);
                    for terms in terms.chunks(at_once) {
                        for lane in (0..valid).step_by(lanes) {
                            // SAFETY: the source holds a row's taps for all its pixels, the line the row's gradients, up
                            // to the block's last lane; and `out` as many vectors as there are starts.
                            unsafe {
                                let (source, line) = (source.as_ptr().add(start + lane), line.as_ptr().add(lane));
                                let steps = [class.advance * self.pixel(), width];
                                (self.kernels.sums)(terms, source, line, steps, out.as_mut_ptr(), class.count);
                            }
                            for ([_, place], out) in terms.iter().zip(out.chunks_exact(lanes)) {
                                for (sum, out) in sums[place + lane..][..lanes].iter_mut().zip(out) {
                                    *sum += out.f64();
                                }
                            }
                        }
                    }
                }
            }
        }
    }

    fn filter_gradient(&self, context: &Context<'_>, x: &[R], dy: &[R], dw: View) {
        let Columns { count, block: width, blocks, .. } = self.columns;
        let panel = self.panel();
        let all = self.chunks * blocks * panel;
        let sums = context.shared::<f64>(0, all);
        context.tasks(self.chunks * blocks, |task| {
            // SAFETY: each task has its own sums.
            let sums = unsafe { sums.part(task * panel, panel) };
            self.add_up(context, task / blocks, task % blocks, x, dy, sums);
        });
        let dw = dw.shared::<R>();
        context.tasks(self.taps() * self.columns.depth, |row| {
            // SAFETY: all sums are complete; each task writes its own row of the filter.
            let (sums, dw) = unsafe { (sums.slice(0, all), dw.part(row * count, count)) };
            for (column, to) in dw.iter_mut().enumerate() {
                let at = column / width * panel + row * width + column % width;
                *to = R::of((0..self.chunks).map(|chunk| sums[chunk * blocks * panel + at]).sum());
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
        let panels = self.columns.blocks * self.panel();
        let (shared, second) = match self.kind {
            ConvKind::Forward | ConvKind::InputGrad => {
                (panels * size_of::<R>(), self.axes[1].written * self.kernels.lanes)
            }
            ConvKind::FilterGrad => (self.chunks * panels * size_of::<f64>(), self.line()),
        };
        Scratch { shared, thread: self.second() + second * size_of::<R>() }
    }

    unsafe fn run(&self, context: &Context<'_>, inputs: &[View], outputs: &[View]) {
        // SAFETY: operands as asked for; nobody writes inputs.
        let (x, with) = unsafe { (inputs[0].slice::<R>(), inputs[1].slice::<R>()) };
        if self.kind == ConvKind::FilterGrad {
            return self.filter_gradient(context, x, with, outputs[0]);
        }
        let (blocks, panel) = (self.columns.blocks, self.panel());
        let panels = context.shared::<R>(0, blocks * panel);
        context.tasks(blocks, |block| {
            // SAFETY: each task packs its own block.
            self.pack(block, with, unsafe { panels.part(block * panel, panel) });
        });
        let y = outputs[0].shared::<R>();
        context.tasks(self.images * self.strips.len() * blocks, |task| {
            let (rest, block) = (task / blocks, task % blocks);
            let (image, strip) = (rest / self.strips.len(), &self.strips[rest % self.strips.len()]);
            // SAFETY: the filter is packed; each task has its own strip of the result.
            unsafe {
                let panel = panels.slice(block * panel, panel);
                self.strip(context, image, strip, block, x, panel, y.at(0));
            }
        });
    }
}
