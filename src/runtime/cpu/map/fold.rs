//! The reductions of a map: what a task keeps of them while it runs, and what becomes of that.
//!
//! All is kept in f64. Of a mean or a variance a task keeps sums of distances from a pivot, the first number it meets, and
//! of their squares: beside it nothing is lost, however far from 0 the numbers lie. Tasks are put together in order, by
//! how far their means lie apart (Chan, Golub, LeVeque 1979).

use super::block::{Rows, Task};
use super::tape::LANES;
use super::{Fold, Map, Reduced, Space};
use crate::runtime::cpu::memory::{Shared, View};
use crate::runtime::cpu::real::{Real, convert};

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

    /// Starts the accumulators that are the task's own.
    pub(super) fn clear_kept(&self) {
        self.map.reduced.iter().filter(|it| it.owned.is_none()).for_each(|it| self.clear(it, (0, it.len)));
    }

    /// Starts the accumulators of results that rows `from..to` own.
    pub(super) fn clear_owned(&self, from: usize, to: usize) {
        let owned = self.map.reduced.iter().filter(|it| it.owned.is_some() && !it.direct);
        owned.for_each(|it| self.clear(it, self.touched(it, from, to)));
    }

    fn clear(&self, reduced: &Reduced, (first, end): (usize, usize)) {
        for plane in 0..reduced.fold.planes() {
            let start = reduced.base(self.task) + plane * reduced.len + first;
            // SAFETY: these accumulators are this task's.
            unsafe { self.accumulators.part(start, end - first) }.fill(reduced.fold.start());
        }
    }

    /// Owned results are complete when the task is.
    pub(super) fn finish(&self, from: usize, to: usize) {
        for reduced in self.map.reduced.iter().filter(|it| it.owned.is_some() && !it.direct) {
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
        if reduced.direct {
            self.give_each(reduced, row, values, inner);
            return;
        }
        let base = reduced.base(self.task);
        let still = reduced.outer.iter().all(|&it| it == 0);
        let mut rows = Rows { outer: &self.map.space.outer, index: Vec::new(), row };
        let direct = still || rows.outer.len() == 1;
        if !direct {
            rows.index = vec![0; rows.outer.len()];
            rows.seek(row);
        }
        if still {
            match reduced.keeps_inner {
                true => self.take_each(reduced, base + first, values, inner),
                false => self.take_all(reduced, base, values),
            }
            return;
        }
        let mut offset_of = |at: usize| {
            if direct {
                return (row + at) * reduced.outer[0];
            }
            let offset = rows.offset(&reduced.outer);
            rows.next();
            offset
        };
        let (mut at, mut offset) = (0, offset_of(0));
        while at < count {
            // Rows that come together.
            let start = at;
            let here = offset;
            loop {
                at += 1;
                if at == count {
                    break;
                }
                offset = offset_of(at);
                if offset != here || !reduced.keeps_inner {
                    break;
                }
            }
            let values = &values[start * inner..at * inner];
            match reduced.keeps_inner {
                true => self.take_each(reduced, base + here + first, values, inner),
                false => self.take_all(reduced, base + here, values),
            }
        }
    }

    /// Results of whole rows of so many numbers, from `row` on.
    #[inline(always)]
    fn give_each(&self, reduced: &Reduced, row: usize, values: &[C], inner: usize) {
        let count = values.len() / inner;
        // SAFETY: these rows of the result are this task's.
        let result = |output: usize| unsafe { self.outputs[output].shared::<R>().part(row, count) };
        let values = values.chunks_exact(inner);
        let along = C::along(self.isa);
        match reduced.fold {
            Fold::Sum(output) => {
                for (to, values) in result(output).iter_mut().zip(values) {
                    *to = R::of(along.sum(values));
                }
            }
            Fold::Max(output) => {
                for (to, values) in result(output).iter_mut().zip(values) {
                    *to = convert(along.largest(values));
                }
            }
            Fold::Moments { mean, variance } => {
                for (at, values) in values.enumerate() {
                    let middle = pivot(values[0].f64());
                    let [sum, squares] = along.gaps(values, middle, variance.is_some());
                    let all = Spread::around(middle, sum, squares, inner as f64);
                    if let Some(output) = mean {
                        result(output)[at] = R::of(all.mean());
                    }
                    if let Some(output) = variance {
                        result(output)[at] = R::of(all.variance());
                    }
                }
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

    /// Takes rows of so many numbers into accumulators side by side from `at` on.
    #[inline(always)]
    fn take_each(&self, reduced: &Reduced, at: usize, values: &[C], inner: usize) {
        let along = C::along(self.isa);
        match reduced.fold {
            Fold::Sum(_) => {
                let [sums] = self.planes(reduced, at, inner, [0]);
                along.sum_down(values, sums);
            }
            Fold::Max(_) => {
                let [maxima] = self.planes(reduced, at, inner, [0]);
                along.largest_down(values, maxima);
            }
            Fold::Moments { variance, .. } => {
                let [pivots, sums, squares] = self.planes(reduced, at, inner, [PIVOT, SUM, SQUARES]);
                let [counts] = self.planes(reduced, at, 1, [COUNT]);
                if counts[0] == 0.0 {
                    for (pivot_of, value) in pivots.iter_mut().zip(values) {
                        *pivot_of = pivot(value.f64());
                    }
                }
                counts[0] += (values.len() / inner) as f64;
                along.gaps_down(values, pivots, sums, variance.map(|_| squares));
            }
        }
    }

    /// Takes numbers into the accumulator at `at`.
    #[inline(always)]
    fn take_all(&self, reduced: &Reduced, at: usize, values: &[C]) {
        let along = C::along(self.isa);
        match reduced.fold {
            Fold::Sum(_) => {
                let [sum] = self.planes(reduced, at, 1, [0]);
                sum[0] += along.sum(values);
            }
            Fold::Max(_) => {
                let [max] = self.planes(reduced, at, 1, [0]);
                max[0] = max[0].larger(along.largest(values).f64());
            }
            Fold::Moments { variance, .. } => {
                let [pivot_of, sum, square, count] = self.planes(reduced, at, 1, [PIVOT, SUM, SQUARES, COUNT]);
                if let (true, Some(first)) = (count[0] == 0.0, values.first()) {
                    pivot_of[0] = pivot(first.f64());
                }
                count[0] += values.len() as f64;
                let [all, squares] = along.gaps(values, pivot_of[0], variance.is_some());
                sum[0] += all;
                square[0] += squares;
            }
        }
    }
}
