//! The convolution family: Winograd's way where it pays, else implicit matrix products without copies of patches.

mod filter;
mod lanes;
mod pixels;
pub(super) mod tile;
pub(super) mod transform;
mod winograd;

use super::isa::Isa;
use super::kernel::{Kernel, product};
use super::real::Real;
use crate::kernel::{ConvKernel, ConvKind};

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
    product(&[taps, kernel.input[2], kernel.output[2]])?;
    if winograd::fits::<R>(kernel, isa) {
        return Ok(Box::new(winograd::Winograd::<R>::new(kernel, isa)));
    }
    Ok(match kernel.kind {
        ConvKind::Forward | ConvKind::InputGrad => Box::new(pixels::Pixels::<R>::new(kernel, isa)),
        ConvKind::FilterGrad => Box::new(filter::Filter::<R>::new(kernel, isa)),
    })
}

/// Position of the input that tap `(ky, kx)` of the window at `(y, x)` reads.
fn source(kernel: &ConvKernel, [y, x]: [usize; 2], [ky, kx]: [usize; 2]) -> Option<usize> {
    let geometry = &kernel.geometry;
    let row = (y * geometry.stride[0] + ky).checked_sub(geometry.before[0])?;
    let column = (x * geometry.stride[1] + kx).checked_sub(geometry.before[1])?;
    (row < kernel.input[0] && column < kernel.input[1]).then(|| row * kernel.input[1] + column)
}
