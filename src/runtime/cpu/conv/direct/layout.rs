//! Where the numbers of a result come from: positions along the axes, and lanes.

use super::kernels::Pick;
use crate::kernel::{ConvKernel, ConvKind};
use std::ops::Range;

/// One axis: which positions of the source make a position of the result. A filter gradient goes through its pixels as a
/// forward convolution does.
pub(super) struct Axis {
    back: bool,
    pub(super) kernel: usize,
    stride: usize,
    dilation: usize,
    before: usize,
    /// Positions of the source and of the result.
    pub(super) read: usize,
    pub(super) written: usize,
}

/// Positions along an axis with the same taps: `first + i * step`, for which tap `(t, from)` reads at `from + i * advance`.
pub(super) struct Segment {
    pub(super) first: usize,
    pub(super) step: usize,
    pub(super) count: usize,
    pub(super) advance: usize,
    pub(super) taps: Vec<(usize, usize)>,
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

    /// All positions. Where a stride leaves those of an input gradient with different taps, the ones with the same are taken
    /// together.
    pub(super) fn segments(&self) -> Vec<Segment> {
        let (step, advance) = if self.back { (self.stride, 1) } else { (1, self.stride) };
        let mut all: Vec<Segment> = Vec::new();
        for start in 0..step.min(self.written) {
            for first in (start..self.written).step_by(step) {
                let taps: Vec<(usize, usize)> = self.sources(first).collect();
                match all
                    .last_mut()
                    .filter(|it| start < first && it.taps.iter().map(|it| it.0).eq(taps.iter().map(|it| it.0)))
                {
                    Some(last) => last.count += 1,
                    None => all.push(Segment { first, step, count: 1, advance, taps }),
                }
            }
        }
        all
    }
}

/// How the lanes of a vector get their numbers of the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// A channel of the result is made of one of the source: lanes lie as they are needed.
    Own,
    /// Several groups: a vector of the source has all their channels, of which each lane takes its own.
    Picked,
    /// One group, or a part of it: all lanes take the same number.
    One,
}

/// Channels of the result that are computed together.
pub(super) struct Vector {
    /// The first.
    pub(super) lane: usize,
    /// How many there are from it on, at most a vector.
    pub(super) valid: usize,
    /// Which of them are its own: others may be another vector's, and belong to that.
    pub(super) own: Range<usize>,
    /// The first channel of the source.
    pub(super) source: usize,
    /// The first of its picks, one for each channel of a group.
    pub(super) pick: usize,
}

/// Channels of the result as vectors, and the source's channels that a lane adds up.
pub(super) struct Columns {
    pub(super) count: usize,
    /// Channels of the source.
    pub(super) read: usize,
    /// Channels of the result and of the source in a group.
    pub(super) each: usize,
    pub(super) depth: usize,
    pub(super) reading: Reading,
    pub(super) vectors: Vec<Vector>,
    pub(super) picks: Vec<Pick>,
}

impl Columns {
    pub(super) fn new(lanes: usize, groups: usize, each: usize, depth: usize) -> Columns {
        let (count, read) = (groups * each, groups * depth);
        // Of a source with fewer channels than a vector nothing but single numbers can be read.
        let together = if read < lanes { 0 } else { lanes / each.max(depth).max(1) };
        let reading = match together {
            0 | 1 => Reading::One,
            _ if each == 1 && depth == 1 => Reading::Own,
            _ => Reading::Picked,
        };
        let mut all = Columns { count, read, each, depth, reading, vectors: Vec::new(), picks: Vec::new() };
        if each == 0 {
            return all;
        }
        let vector = |all: &[Vector], lane: usize, end: usize, source: usize, pick: usize| {
            let done = all.last().map_or(0, |it| it.lane + it.own.end);
            Vector { lane, valid: lanes.min(count - lane), own: done - lane..end - lane, source, pick }
        };
        if reading == Reading::One {
            all.picks.resize(depth.max(1), Pick::default());
            for group in 0..groups {
                for first in (0..each).step_by(lanes) {
                    let end = group * each + (first + lanes).min(each);
                    // The last takes some channels again rather than another group's.
                    let lane = group * each + first.min(each.saturating_sub(lanes));
                    all.vectors.push(vector(&all.vectors, lane, end, group * depth, 0));
                }
            }
            return all;
        }
        let mut shifts: Vec<usize> = Vec::new();
        for group in (0..groups).step_by(together) {
            let group = group.min(groups - together);
            let lane = group * each;
            // A vector is read whole, though its groups may need less of it.
            let source = (group * depth).min(read - lanes);
            let shift = group * depth - source;
            let known = shifts.iter().position(|it| *it == shift).unwrap_or_else(|| {
                shifts.push(shift);
                for j in 0..depth {
                    let from = |lane: usize| shift + (lane / each).min(together - 1) * depth + j;
                    all.picks.push(std::array::from_fn(|lane| from(lane) as u32));
                }
                shifts.len() - 1
            });
            all.vectors.push(vector(&all.vectors, lane, lane + together * each, source, known * depth));
        }
        all
    }

    /// Where each channel of the result is: its vector, and its lane of it.
    pub(super) fn places(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        let lanes = |(number, vector): (usize, &Vector)| vector.own.clone().map(move |lane| (number, lane));
        self.vectors.iter().enumerate().flat_map(lanes)
    }
}
