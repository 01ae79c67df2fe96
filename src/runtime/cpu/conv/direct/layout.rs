//! Where the numbers of a strip of the result come from: positions along the axes, lanes, and rows.

use crate::kernel::{ConvKernel, ConvKind};
use crate::runtime::cpu::real::Real;

/// Lanes that are shuffled together.
const TOGETHER: usize = 8;

/// One axis: which positions of the source make a position of the result. A filter gradient goes through its pixels as a
/// forward convolution does.
pub(super) struct Axis {
    pub(super) back: bool,
    pub(super) kernel: usize,
    pub(super) stride: usize,
    pub(super) dilation: usize,
    pub(super) before: usize,
    /// Positions of the source and of the result.
    pub(super) read: usize,
    pub(super) written: usize,
}

/// Positions along a row with the same taps: `first + i * step`, for which tap `(t, base)` reads at `base + i * advance`.
pub(super) struct Class {
    pub(super) first: usize,
    pub(super) step: usize,
    pub(super) count: usize,
    pub(super) advance: usize,
    pub(super) taps: Vec<(usize, isize)>,
}

impl Axis {
    pub(super) fn of(kernel: &ConvKernel, axis: usize) -> Axis {
        let (geometry, back) = (&kernel.geometry, kernel.kind == ConvKind::InputGrad);
        let (x, y) = (kernel.input[axis], kernel.output[axis]);
        let (read, written) = if back { (y, x) } else { (x, y) };
        Axis {
            back,
            kernel: geometry.kernel[axis],
            stride: geometry.stride[axis],
            dilation: geometry.dilation[axis],
            before: geometry.before[axis],
            read,
            written,
        }
    }

    /// The taps of a position that lie inside the source, and where.
    pub(super) fn sources(&self, at: usize) -> impl Iterator<Item = (usize, usize)> + '_ {
        (0..self.kernel).filter_map(move |tap| {
            let found = if self.back {
                let moved = (at + self.before).checked_sub(tap * self.dilation)?;
                (moved % self.stride == 0).then_some(moved / self.stride)?
            } else {
                (at * self.stride + tap * self.dilation).checked_sub(self.before)?
            };
            (found < self.read).then_some((tap, found))
        })
    }

    pub(super) fn classes(&self) -> Vec<Class> {
        let away = |first: usize, tap: usize| {
            if self.back {
                (first + self.before) as isize - (tap * self.dilation) as isize
            } else {
                (tap * self.dilation) as isize - self.before as isize
            }
        };
        if !self.back {
            let taps = (0..self.kernel).map(|tap| (tap, away(0, tap))).collect();
            return vec![Class { first: 0, step: 1, count: self.written, advance: self.stride, taps }];
        }
        let step = self.stride as isize;
        let of = |first: usize| Class {
            first,
            step: self.stride,
            count: (self.written - first).div_ceil(self.stride),
            advance: 1,
            taps: (0..self.kernel)
                .map(|tap| (tap, away(first, tap)))
                .filter(|it| it.1.rem_euclid(step) == 0)
                .map(|(tap, away)| (tap, away.div_euclid(step)))
                .collect(),
        };
        (0..self.stride.min(self.written)).map(of).collect()
    }
}

/// Channels of the result as lanes, and the source's channels that a lane adds up.
#[derive(Clone, Copy)]
pub(super) struct Columns {
    pub(super) count: usize,
    /// Lanes of a block, a whole number of vectors; and blocks.
    pub(super) block: usize,
    pub(super) blocks: usize,
    /// Channels of the source for each of the result.
    pub(super) depth: usize,
    /// Channels of the result in a group.
    pub(super) each: usize,
    /// Channels of the source.
    pub(super) read: usize,
}

impl Columns {
    pub(super) fn valid(&self, block: usize) -> usize {
        self.block.min(self.count - block * self.block)
    }

    /// Gives each lane of a block its group's channels of a pixel.
    #[inline(always)]
    pub(super) fn spread<R: Real>(&self, block: usize, pixel: &[R], to: &mut [R]) {
        let (first, count) = (block * self.block, self.valid(block));
        if self.depth == 1 && self.each == 1 {
            // A constant size becomes plain moves.
            match count {
                64 => to[..64].copy_from_slice(&pixel[first..first + 64]),
                48 => to[..48].copy_from_slice(&pixel[first..first + 48]),
                32 => to[..32].copy_from_slice(&pixel[first..first + 32]),
                _ => to[..count].copy_from_slice(&pixel[first..first + count]),
            }
            return;
        }
        let square = self.depth == self.each && count.is_multiple_of(TOGETHER);
        match self.each {
            2 if square => self.turn::<R, 2>(first, count, pixel, to),
            4 if square => self.turn::<R, 4>(first, count, pixel, to),
            8 if square => self.turn::<R, 8>(first, count, pixel, to),
            1 => self.repeat::<R, 1>(first, count, pixel, to),
            2 => self.repeat::<R, 2>(first, count, pixel, to),
            4 => self.repeat::<R, 4>(first, count, pixel, to),
            8 => self.repeat::<R, 8>(first, count, pixel, to),
            each => {
                let mut at = 0;
                while at < count {
                    let group = (first + at) / each;
                    let end = ((group + 1) * each - first).min(count);
                    for (j, from) in pixel[group * self.depth..][..self.depth].iter().enumerate() {
                        to[j * self.block + at..j * self.block + end].fill(*from);
                    }
                    at = end;
                }
            }
        }
    }

    /// Where groups have as many channels of the source as of the result, `TOGETHER` lanes at a time: one shuffle each.
    #[inline(always)]
    fn turn<R: Real, const EACH: usize>(&self, first: usize, count: usize, pixel: &[R], to: &mut [R]) {
        let (all, _) = pixel[first..first + count].as_chunks::<TOGETHER>();
        for (at, from) in all.iter().enumerate() {
            for j in 0..EACH {
                let lanes: [R; TOGETHER] = std::array::from_fn(|lane| from[lane / EACH * EACH + j]);
                to[j * self.block + at * TOGETHER..][..TOGETHER].copy_from_slice(&lanes);
            }
        }
    }

    /// Where groups of `EACH` start at both ends of the block.
    #[inline(always)]
    fn repeat<R: Real, const EACH: usize>(&self, first: usize, count: usize, pixel: &[R], to: &mut [R]) {
        let groups = pixel[first / EACH * self.depth..].chunks_exact(self.depth);
        for (at, from) in groups.enumerate().take(count / EACH) {
            for (j, from) in from.iter().enumerate() {
                to[j * self.block + at * EACH..][..EACH].fill(*from);
            }
        }
    }
}

/// Rows of the result, and the rows of the source that they are made of.
pub(super) struct Strip {
    pub(super) rows: std::ops::Range<usize>,
    pub(super) from: std::ops::Range<usize>,
}

impl Strip {
    /// Strips of at most so many rows of the result that are made of about so many rows of the source.
    pub(super) fn all(axis: &Axis, most: usize, rows: usize) -> Vec<Strip> {
        let mut strips: Vec<Strip> = Vec::new();
        for at in 0..axis.written {
            let (mut low, mut high) = (usize::MAX, 0);
            axis.sources(at).for_each(|it| (low, high) = (low.min(it.1), high.max(it.1 + 1)));
            let from = if low < high { low..high } else { 0..0 };
            if let Some(last) = strips.last_mut()
                && last.rows.len() < most
            {
                let both = match (last.from.is_empty(), from.is_empty()) {
                    (true, _) => from.clone(),
                    (_, true) => last.from.clone(),
                    _ => last.from.start.min(from.start)..last.from.end.max(from.end),
                };
                if both.len() <= rows {
                    (last.rows.end, last.from) = (at + 1, both);
                    continue;
                }
            }
            strips.push(Strip { rows: at..at + 1, from });
        }
        strips
    }
}
