//! Sliding windows over each channel: box sums and max pools, and their adjoints.

use super::isa::Job;
use super::kernel::{Kernel, Operand, product};
use super::memory::View;
use super::pool::{Context, Scratch};
use super::real::Real;
use crate::ir::{Geometry, Window};
use std::marker::PhantomData;

/// The kernel.
pub(super) struct Windows<R> {
    kind: Window,
    images: usize,
    input: [usize; 3],
    output: [usize; 2],
    /// `[output pixel]`: the input pixels of its window, in row-major order.
    windows: Vec<Vec<u32>>,
    /// `[input pixel]`: the output pixels whose windows hold it, ascending.
    holders: Vec<Vec<u32>>,
    marker: PhantomData<R>,
}

/// Checks a kernel and tabulates its windows.
pub(super) fn load<R: Real>(
    kind: Window,
    geometry: &Geometry,
    n: usize,
    input: [usize; 3],
    output: [usize; 2],
) -> Result<Box<dyn Kernel>, String> {
    let size = [input[0], input[1]];
    super::check::geometry(geometry, size, output)?;
    if let Window::SumGrad { size: wanted } = kind
        && wanted != size
    {
        return Err("the gradient's size is not its input's".to_owned());
    }
    product(&[n, input[0], input[1], input[2]])?;
    product(&[n, output[0], output[1], input[2]])?;
    if u32::MAX as usize / 2 <= product(&[output[0], output[1], geometry.kernel[0], geometry.kernel[1]])?
        || u32::MAX as usize / 2 <= product(&size)?
    {
        return Err("an image has too many positions".to_owned());
    }
    let mut windows = Vec::with_capacity(output[0] * output[1]);
    let mut holders = vec![Vec::new(); size[0] * size[1]];
    for y in 0..output[0] {
        for x in 0..output[1] {
            let along = |at: usize, axis: usize| {
                (0..geometry.kernel[axis]).filter_map(move |tap| geometry.position(axis, at, tap, size[axis]))
            };
            let mut window = Vec::new();
            for row in along(y, 0) {
                for column in along(x, 1) {
                    let pixel = row * size[1] + column;
                    window.push(pixel as u32);
                    holders[pixel].push((y * output[1] + x) as u32);
                }
            }
            windows.push(window);
        }
    }
    Ok(Box::new(Windows::<R> { kind, images: n, input, output, windows, holders, marker: PhantomData }))
}

impl<R: Real> Windows<R> {
    fn read(&self) -> usize {
        self.input[0] * self.input[1] * self.input[2]
    }

    fn written(&self) -> usize {
        self.output[0] * self.output[1] * self.input[2]
    }
}

/// One image.
struct Image<'a, R> {
    kernel: &'a Windows<R>,
    x: &'a [R],
    dy: &'a [R],
    to: &'a mut [R],
    /// A number per channel: sums, or largest values.
    values: &'a mut [f64],
    /// A number per channel: which tap was largest.
    taps: &'a mut [u32],
}

impl<R: Real> Job for Image<'_, R> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let c = self.kernel.input[2];
        match self.kernel.kind {
            Window::Sum => sums(c, &self.kernel.windows, self.x, self.to, self.values),
            Window::SumGrad { .. } => sums(c, &self.kernel.holders, self.dy, self.to, self.values),
            Window::Max => {
                for (window, to) in self.kernel.windows.iter().zip(self.to.chunks_exact_mut(c)) {
                    to.fill(R::of(f64::NEG_INFINITY));
                    for &pixel in window {
                        for (to, &x) in to.iter_mut().zip(&self.x[pixel as usize * c..][..c]) {
                            *to = to.larger(x);
                        }
                    }
                }
            }
            Window::MaxGrad => {
                self.to.fill(R::ZERO);
                let best = &mut self.values[..c];
                let taps = &mut self.taps[..c];
                for (window, dy) in self.kernel.windows.iter().zip(self.dy.chunks_exact(c)) {
                    best.fill(f64::NEG_INFINITY);
                    taps.fill(0);
                    for (tap, &pixel) in window.iter().enumerate() {
                        let x = &self.x[pixel as usize * c..][..c];
                        for ((best, taps), x) in best.iter_mut().zip(taps.iter_mut()).zip(x) {
                            // The first NaN is the largest of all.
                            let larger = *best < x.f64() || x.is_nan() && !best.is_nan();
                            *best = if larger { x.f64() } else { *best };
                            *taps = if larger { tap as u32 } else { *taps };
                        }
                    }
                    for (tap, &pixel) in window.iter().enumerate() {
                        let to = &mut self.to[pixel as usize * c..][..c];
                        for ((to, taps), &dy) in to.iter_mut().zip(taps.iter()).zip(dy) {
                            *to += if *taps == tap as u32 { dy } else { R::ZERO };
                        }
                    }
                }
            }
        }
    }
}

/// For each pixel, the sum over its sources, in f64.
#[inline(always)]
fn sums<R: Real>(c: usize, sources: &[Vec<u32>], from: &[R], to: &mut [R], sums: &mut [f64]) {
    if c == 1 {
        for (sources, to) in sources.iter().zip(to) {
            *to = R::of(sources.iter().map(|&it| from[it as usize].f64()).sum());
        }
        return;
    }
    let sums = &mut sums[..c];
    for (sources, to) in sources.iter().zip(to.chunks_exact_mut(c)) {
        sums.fill(0.0);
        for &pixel in sources {
            for (sum, from) in sums.iter_mut().zip(&from[pixel as usize * c..][..c]) {
                *sum += from.f64();
            }
        }
        for (to, sum) in to.iter_mut().zip(sums.iter()) {
            *to = R::of(*sum);
        }
    }
}

impl<R: Real> Kernel for Windows<R> {
    fn inputs(&self) -> Vec<Operand> {
        let (x, y) = (Operand::real(self.images * self.read()), Operand::real(self.images * self.written()));
        match self.kind {
            Window::Sum | Window::Max => vec![x],
            Window::SumGrad { .. } => vec![y],
            Window::MaxGrad => vec![x, y],
        }
    }

    fn outputs(&self) -> Vec<Operand> {
        let len = match self.kind {
            Window::Sum | Window::Max => self.written(),
            Window::SumGrad { .. } | Window::MaxGrad => self.read(),
        };
        vec![Operand::real(self.images * len)]
    }

    fn scratch(&self) -> Scratch {
        Scratch { shared: 0, thread: self.input[2] * 12 }
    }

    unsafe fn run(&self, context: &Context<'_>, inputs: &[View], outputs: &[View]) {
        // SAFETY: operands as asked for; nobody writes inputs.
        let given: Vec<&[R]> = inputs.iter().map(|it| unsafe { it.slice::<R>() }).collect();
        let (read, written) = (self.read(), self.written());
        if read == 0 || written == 0 {
            // SAFETY: the output is ours, and there are no tasks.
            unsafe { outputs[0].shared::<R>().part(0, outputs[0].bytes / size_of::<R>()) }.fill(R::ZERO);
            return;
        }
        context.tasks(self.images, |image| {
            let c = self.input[2];
            let x = |at: usize| &given[at][image * read..][..read];
            let y = |at: usize| &given[at][image * written..][..written];
            let (x, dy, len): (&[R], &[R], usize) = match self.kind {
                Window::Sum | Window::Max => (x(0), &[], written),
                Window::SumGrad { .. } => (&[], y(0), read),
                Window::MaxGrad => (x(0), y(1), read),
            };
            // SAFETY: each task has its own image and its thread's scratch.
            let (to, values, taps) = unsafe {
                (
                    outputs[0].shared::<R>().part(image * len, len),
                    context.thread::<f64>(0, c).part(0, c),
                    context.thread::<u32>(8 * c, c).part(0, c),
                )
            };
            context.isa.run(Image { kernel: self, x, dy, to, values, taps });
        });
    }
}
