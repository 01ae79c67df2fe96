//! The reductions of a map: what a task keeps of them while it runs, and what becomes of that.
//!
//! All is kept in f64. Of a mean or a variance a task keeps sums of distances from a pivot, the first number it meets, and
//! of their squares: beside it nothing is lost, however far from 0 the numbers lie. Tasks are put together in order, by
//! how far their means lie apart (Chan, Golub, LeVeque 1979).

use super::block::{Rows, Task};
use super::tape::LANES;
use super::{Fold, Map, Reduced, Space};
use crate::runtime::cpu::memory::{Shared, View};
use crate::runtime::cpu::real::Real;

/// Planes of a reduction's accumulators: a number for each of the result in every one.
const PIVOT: usize = 0;
const SUM: usize = 1;
const SQUARES: usize = 2;
/// How many numbers came together; only where a row, or a piece of one, starts: its others have the same.
const COUNT: usize = 3;

impl Fold {
    /// Planes of accumulators.
    pub(super) fn planes(self) -> usize {
        match self {
            Fold::Sum(_) | Fold::Max(_) => 1,
            Fold::Moments { .. } => 4,
        }
    }

    fn start(self) -> f64 {
        match self {
            Fold::Sum(_) | Fold::Moments { .. } => 0.0,
            Fold::Max(_) => f64::NEG_INFINITY,
        }
    }
}

/// Numbers of which the mean and the sum of squared distances from it are known.
#[derive(Clone, Copy, Debug, Default)]
struct Spread {
    count: f64,
    /// The mean is `pivot + shift`, in two numbers so that neither is rounded away beside the other.
    pivot: f64,
    shift: f64,
    squares: f64,
}

impl Spread {
    /// From sums of distances from a pivot, and of their squares.
    fn around(pivot: f64, sum: f64, squares: f64, count: f64) -> Spread {
        if count == 0.0 {
            return Spread::default();
        }
        let shift = sum / count;
        Spread { count, pivot, shift, squares: squares - sum * shift }
    }

    /// Of all numbers of both.
    fn with(self, other: Spread) -> Spread {
        if self.count == 0.0 {
            return other;
        }
        if other.count == 0.0 {
            return self;
        }
        let count = self.count + other.count;
        let (own, share) = (self.count / count, other.count / count);
        let shift = (other.pivot - self.pivot) + other.shift;
        let apart = shift - self.shift;
        Spread {
            count,
            pivot: self.pivot,
            shift: self.shift * own + shift * share,
            squares: self.squares + other.squares + apart * apart * self.count * share,
        }
    }

    fn mean(self) -> f64 {
        self.pivot + self.shift
    }

    /// Rounding may leave less than nothing, but never makes a number of NaN.
    fn variance(self) -> f64 {
        let variance = self.squares / self.count;
        if variance < 0.0 { 0.0 } else { variance }
    }
}

/// A pivot: one that is infinite would make NaN of all distances.
#[inline(always)]
fn pivot(first: f64) -> f64 {
    if first.is_finite() { first } else { 0.0 }
}

impl Reduced {
    /// Where the accumulators of a task start.
    fn base(&self, task: usize) -> usize {
        self.at + if self.owned.is_some() { 0 } else { task * self.fold.planes() * self.len }
    }

    /// The element whose count is that of `element`.
    fn counted_at(&self, space: &Space, element: usize) -> usize {
        if !self.keeps_inner {
            return element;
        }
        let column = element % space.inner;
        element - if space.pieces == 1 { column } else { column % LANES }
    }

    /// Writes results `first..end` from the accumulators of tasks that start at `bases`.
    ///
    /// # Safety
    /// These accumulators and results are the caller's until it is done.
    unsafe fn settle<R: Real>(
        &self,
        space: &Space,
        kept: Shared<f64>,
        bases: impl Iterator<Item = usize> + Clone,
        outputs: &[View],
        (first, end): (usize, usize),
    ) {
        // SAFETY: the caller's promise.
        let plane =
            |base: usize, plane: usize, element: usize| unsafe { kept.slice(base + plane * self.len + element, 1)[0] };
        // SAFETY: as above.
        let result = |output: usize| unsafe { outputs[output].shared::<R>().part(first, end - first) };
        match self.fold {
            Fold::Sum(output) => {
                for (element, result) in (first..end).zip(result(output)) {
                    *result = R::of(bases.clone().map(|base| plane(base, 0, element)).sum());
                }
            }
            Fold::Max(output) => {
                for (element, result) in (first..end).zip(result(output)) {
                    let all = bases.clone().map(|base| plane(base, 0, element));
                    *result = R::of(all.fold(f64::NEG_INFINITY, Real::larger));
                }
            }
            Fold::Moments { mean, variance } => {
                for element in first..end {
                    let counted = self.counted_at(space, element);
                    let of = |base: usize| {
                        let [pivot, sum, squares] = [PIVOT, SUM, SQUARES].map(|it| plane(base, it, element));
                        Spread::around(pivot, sum, squares, plane(base, COUNT, counted))
                    };
                    let all = bases.clone().map(of).fold(Spread::default(), Spread::with);
                    if let Some(output) = mean {
                        result(output)[element - first] = R::of(all.mean());
                    }
                    if let Some(output) = variance {
                        result(output)[element - first] = R::of(all.variance());
                    }
                }
            }
        }
    }
}

impl<R: Real, C: Real> Map<R, C> {
    /// Puts together what tasks kept apart, once all are done.
    pub(super) fn settle(&self, kept: Shared<f64>, outputs: &[View]) {
        for it in self.reduced.iter().filter(|it| it.owned.is_none()) {
            let bases = (0..self.space.tasks).map(|task| it.base(task));
            // SAFETY: all tasks are done.
            unsafe { it.settle::<R>(&self.space, kept, bases, outputs, (0, it.len)) };
        }
    }

    /// Reductions of nothing: sums are zero, maxima minus infinity, means and variances undefined.
    pub(super) fn settle_nothing(&self, outputs: &[View]) {
        for it in &self.reduced {
            let fill = |output: usize, value: f64| {
                // SAFETY: the output is ours, and there are no tasks.
                unsafe { outputs[output].shared::<R>().part(0, it.len) }.fill(R::of(value));
            };
            match it.fold {
                Fold::Sum(output) | Fold::Max(output) => fill(output, it.fold.start()),
                Fold::Moments { mean, variance } => {
                    [mean, variance].into_iter().flatten().for_each(|output| fill(output, f64::NAN));
                }
            }
        }
    }
}

impl<R: Real, C: Real> Task<'_, R, C> {
    /// The results that rows `from..to` touch.
    fn touched(&self, reduced: &Reduced, from: usize, to: usize) -> (usize, usize) {
        match reduced.owned {
            None => (0, reduced.len),
            Some(rows) => {
                let slice = reduced.len / (self.map.space.rows / rows);
                (from / rows * slice, to.div_ceil(rows) * slice)
            }
        }
    }

    /// Starts the accumulators that rows `from..to` touch.
    pub(super) fn clear(&self, from: usize, to: usize) {
        for reduced in &self.map.reduced {
            let (first, end) = self.touched(reduced, from, to);
            for plane in 0..reduced.fold.planes() {
                let start = reduced.base(self.task) + plane * reduced.len + first;
                // SAFETY: these accumulators are this task's.
                unsafe { self.accumulators.part(start, end - first) }.fill(reduced.fold.start());
            }
        }
    }

    /// Owned results are complete when the task is.
    pub(super) fn finish(&self, from: usize, to: usize) {
        for reduced in self.map.reduced.iter().filter(|it| it.owned.is_some()) {
            let range = self.touched(reduced, from, to);
            let base = std::iter::once(reduced.base(self.task));
            // SAFETY: these accumulators and this part of the result are this task's.
            unsafe { reduced.settle::<R>(&self.map.space, self.accumulators, base, self.outputs, range) };
        }
    }

    /// Takes `count` rows of the current block from `row` on, or a piece of one, into a reduction.
    #[inline(always)]
    pub(super) fn reduce(&self, reduced: &Reduced, row: usize, count: usize, first: usize, inner: usize) {
        let values = self.values(reduced.root, count * inner);
        let base = reduced.base(self.task);
        let still = reduced.outer.iter().all(|&it| it == 0);
        let mut rows = Rows { outer: &self.map.space.outer, index: Vec::new(), row };
        let direct = still || rows.outer.len() == 1;
        if !direct {
            rows.index = vec![0; rows.outer.len()];
            rows.seek(row);
        }
        if still && !reduced.keeps_inner {
            self.take_all(reduced, base, values);
            return;
        }
        for at in 0..count {
            let offset = if still {
                0
            } else if direct {
                (row + at) * reduced.outer[0]
            } else {
                rows.offset(&reduced.outer)
            };
            let values = &values[at * inner..][..inner];
            if reduced.keeps_inner {
                self.take_each(reduced, base + offset + first, values);
            } else {
                self.take_all(reduced, base + offset, values);
            }
            if !direct {
                rows.next();
            }
        }
    }

    /// An accumulator of each plane from `at` on, for `len` numbers.
    #[allow(clippy::mut_from_ref, reason = "accumulators lie in working memory that one task has for itself")]
    #[inline(always)]
    fn planes<const N: usize>(&self, reduced: &Reduced, at: usize, len: usize, planes: [usize; N]) -> [&mut [f64]; N] {
        // SAFETY: this task's accumulators; planes do not overlap.
        planes.map(|plane| unsafe { self.accumulators.part(at + plane * reduced.len, len) })
    }

    /// Takes numbers into accumulators side by side from `at` on.
    #[inline(always)]
    fn take_each(&self, reduced: &Reduced, at: usize, values: &[C]) {
        let len = values.len();
        match reduced.fold {
            Fold::Sum(_) => {
                let [sums] = self.planes(reduced, at, len, [0]);
                for (sum, value) in sums.iter_mut().zip(values) {
                    *sum += value.f64();
                }
            }
            Fold::Max(_) => {
                let [maxima] = self.planes(reduced, at, len, [0]);
                for (max, value) in maxima.iter_mut().zip(values) {
                    *max = max.larger(value.f64());
                }
            }
            Fold::Moments { .. } => {
                let [pivots, sums, squares] = self.planes(reduced, at, len, [PIVOT, SUM, SQUARES]);
                let [counts] = self.planes(reduced, at, 1, [COUNT]);
                if counts[0] == 0.0 {
                    for (pivot_of, value) in pivots.iter_mut().zip(values) {
                        *pivot_of = pivot(value.f64());
                    }
                }
                counts[0] += 1.0;
                let kept = pivots.iter().zip(sums).zip(squares);
                for (((pivot, sum), square), value) in kept.zip(values) {
                    let gap = value.f64() - *pivot;
                    *sum += gap;
                    *square += gap * gap;
                }
            }
        }
    }

    /// Takes numbers into the accumulator at `at`.
    #[inline(always)]
    fn take_all(&self, reduced: &Reduced, at: usize, values: &[C]) {
        match reduced.fold {
            Fold::Sum(_) => {
                let [sum] = self.planes(reduced, at, 1, [0]);
                let [all] = summed(values, |it| [it.f64()]);
                sum[0] += all;
            }
            Fold::Max(_) => {
                let [max] = self.planes(reduced, at, 1, [0]);
                max[0] = values.iter().fold(max[0], |max, it| max.larger(it.f64()));
            }
            Fold::Moments { .. } => {
                let [pivot_of, sum, square, count] = self.planes(reduced, at, 1, [PIVOT, SUM, SQUARES, COUNT]);
                if let (true, Some(first)) = (count[0] == 0.0, values.first()) {
                    pivot_of[0] = pivot(first.f64());
                }
                count[0] += values.len() as f64;
                let middle = pivot_of[0];
                let [all, squares] = summed(values, |it| {
                    let gap = it.f64() - middle;
                    [gap, gap * gap]
                });
                sum[0] += all;
                square[0] += squares;
            }
        }
    }
}

/// Lanes summed side by side.
const WIDE: usize = 32;

/// Sums of what is made of each number.
#[inline(always)]
fn summed<C: Real, const N: usize>(values: &[C], of: impl Fn(C) -> [f64; N]) -> [f64; N] {
    let mut sums = [[0.0f64; WIDE]; N];
    let chunks = values.chunks_exact(WIDE);
    let rest = chunks.remainder();
    let mut add = |at: usize, value: C| {
        for (sums, value) in sums.iter_mut().zip(of(value)) {
            sums[at] += value;
        }
    };
    for chunk in chunks {
        for (at, value) in chunk.iter().enumerate() {
            add(at, *value);
        }
    }
    for (at, value) in rest.iter().enumerate() {
        add(at, *value);
    }
    sums.map(|mut sums| {
        let mut width = WIDE / 2;
        while 0 < width {
            for at in 0..width {
                sums[at] += sums[at + width];
            }
            width /= 2;
        }
        sums[0]
    })
}
