//! The convolution family: Winograd's way where it pays, f64 where sums are short, channels as lanes where groups have few, products
//! of matrices where there is one tap, else implicit ones without copies of patches.

pub(super) mod direct;
mod filter;
mod grouped;
mod lanes;
mod pixels;
mod short;
pub(super) mod tile;
pub(super) mod transform;
mod winograd;

use super::isa::Isa;
use super::kernel::{Kernel, Operand, product};
use super::matmul;
use super::real::{Real, convert};
use crate::ir::Geometry;
use crate::kernel::{ConvKernel, ConvKind, MatMulKernel, shares};

/// Checks a kernel and picks the way to run it.
pub(super) fn load<R: Real>(kernel: &ConvKernel, isa: Isa) -> Result<Box<dyn Kernel>, String> {
    let (geometry, [h, w, _], [oh, ow, _]) = (&kernel.geometry, kernel.input, kernel.output);
    super::check::geometry(geometry, [h, w], [oh, ow])?;
    let taps = product(&geometry.kernel)?;
    for pixels in [h * w, oh * ow] {
        // Tables of positions are 32 bits wide.
        if u32::MAX as usize / 2 <= product(&[pixels, taps.max(1)])? {
            return Err("an image has too many positions".to_owned());
        }
    }
    product(&[kernel.n, h, w, kernel.input[2]])?;
    product(&[kernel.n, oh, ow, kernel.output[2]])?;
    let [each_in, each_out] = shares(kernel)?;
    product(&[taps, each_in, kernel.output[2]])?;
    if 1 < geometry.groups {
        let few = each_in.min(each_out) < MANY;
        return if few { direct::load::<R>(kernel, isa) } else { grouped::load::<R>(kernel, isa) };
    }
    if winograd::fits::<R>(kernel, isa) {
        return Ok(Box::new(winograd::Winograd::<R>::new(kernel, isa)));
    }
    if short::fits(kernel) {
        return Ok(Box::new(short::Short::<R>::new(kernel, isa)));
    }
    if let Some(product) = of_single_pixels(kernel) {
        return matmul::load::<R>(&product);
    }
    Ok(match kernel.kind {
        ConvKind::Forward | ConvKind::InputGrad => Box::new(pixels::Pixels::<R>::new(kernel, isa)),
        ConvKind::FilterGrad => filter::load::<R>(kernel, isa),
    })
}

/// A convolution without neighbours, forward or its gradient in the input, as the product of matrices that it is.
fn of_single_pixels(kernel: &ConvKernel) -> Option<MatMulKernel> {
    let ConvKernel { kind, geometry, n: images, input: [h, w, from], output: [.., to], .. } = *kernel;
    let Geometry { kernel: [1, 1], stride: [1, 1], before: [0, 0], after: [0, 0], .. } = geometry else { return None };
    let (n, k, transpose_b) = match kind {
        ConvKind::Forward => (to, from, false),
        ConvKind::InputGrad => (from, to, true),
        // Sums over all pixels have a way of their own.
        ConvKind::FilterGrad => return None,
    };
    Some(MatMulKernel { batch: 1, m: images * h * w, n, k, transpose_a: false, transpose_b })
}

/// Fewer channels than this are an image's own: its first layer has few terms to add, whatever the kernel.
const SHALLOW: usize = 8;
/// A group of fewer channels than this does not fill the tiles of a product.
const MANY: usize = 32;
/// Tiles of a task over pixels, at most.
const TILES: usize = 8;
/// Such tasks wanted.
const TASKS: usize = 48;

/// Sizes of a forward convolution or an input gradient, as what it reads and what it writes.
struct Sizes {
    kind: ConvKind,
    images: usize,
    /// Pixels of an image that is read, and of one that is written.
    read: usize,
    written: usize,
    /// Channels read and written.
    depth: usize,
    columns: usize,
    taps: usize,
}

impl Sizes {
    fn of(kernel: &ConvKernel) -> Sizes {
        let forward = kernel.kind == ConvKind::Forward;
        let (from, to) = if forward { (kernel.input, kernel.output) } else { (kernel.output, kernel.input) };
        Sizes {
            kind: kernel.kind,
            images: kernel.n,
            read: from[0] * from[1],
            written: to[0] * to[1],
            depth: from[2],
            columns: to[2],
            taps: kernel.geometry.kernel[0] * kernel.geometry.kernel[1],
        }
    }

    fn inputs(&self) -> Vec<Operand> {
        let filter = self.taps * self.depth * self.columns;
        vec![Operand::real(self.images * self.read * self.depth), Operand::real(filter)]
    }

    fn outputs(&self) -> Vec<Operand> {
        vec![Operand::real(self.images * self.written * self.columns)]
    }

    /// Packs panel `at` of the filter, `width` columns of it: `[tap][depth][width]`.
    fn pack<R: Real, N: Real>(&self, width: usize, at: usize, filter: &[R], panel: &mut [N]) {
        let (taps, depth, columns) = (self.taps, self.depth, self.columns);
        let first = at * width;
        let count = width.min(columns - first);
        for tap in 0..taps {
            let matrix = &filter[tap * depth * columns..][..depth * columns];
            let panel = &mut panel[tap * depth * width..][..depth * width];
            match self.kind {
                // The filter is `[tap][depth][columns]`.
                ConvKind::Forward => {
                    for (to, from) in panel.chunks_exact_mut(width).zip(matrix.chunks_exact(columns)) {
                        for (to, from) in to.iter_mut().zip(&from[first..first + count]) {
                            *to = convert(*from);
                        }
                        to[count..].fill(N::ZERO);
                    }
                }
                // The filter is `[tap][columns][depth]`.
                ConvKind::InputGrad | ConvKind::FilterGrad => {
                    for column in 0..width {
                        if column < count {
                            let from = &matrix[(first + column) * depth..][..depth];
                            for (to, from) in panel[column..].iter_mut().step_by(width).zip(from) {
                                *to = convert(*from);
                            }
                        } else {
                            panel[column..].iter_mut().step_by(width).for_each(|it| *it = N::ZERO);
                        }
                    }
                }
            }
        }
    }
}

/// Of a forward convolution or an input gradient: for each pixel written, the position that each tap reads, within an
/// image; `u32::MAX` for none.
fn sources(kernel: &ConvKernel) -> Vec<u32> {
    let forward = kernel.kind == ConvKind::Forward;
    let [kh, kw] = kernel.geometry.kernel;
    let taps = kh * kw;
    let to = if forward { kernel.output } else { kernel.input };
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
    table
}

/// Position of the input that tap `(ky, kx)` of the window at `(y, x)` reads.
fn source(kernel: &ConvKernel, [y, x]: [usize; 2], [ky, kx]: [usize; 2]) -> Option<usize> {
    let row = kernel.geometry.position(0, y, ky, kernel.input[0])?;
    let column = kernel.geometry.position(1, x, kx, kernel.input[1])?;
    Some(row * kernel.input[1] + column)
}
