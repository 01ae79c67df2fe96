//! The loops of reductions: along a row, and down the columns of several rows.
//!
//! Loops count, as in [`super::lanes`]. Sums are taken in f64, along a row in [`LANES`] lanes whatever the instruction set: all sets give the same bits.

#![allow(clippy::needless_range_loop, reason = "see above")]

mod wide;

use super::tape;
use crate::runtime::cpu::isa::Isa;
use crate::runtime::cpu::real::Real;
#[cfg(target_arch = "x86_64")]
use wide::x86;
use wide::{One, Two, Wide};

/// Lanes that a row is summed in.
const LANES: usize = 32;
/// Vectors of columns that are taken together down the rows.
const COLUMNS: usize = 4;

/// Numbers of a row and the pivot; gives as many sums as the kind has.
type Row<R, const N: usize> = unsafe fn(&[R], f64) -> [f64; N];
/// Numbers of several rows, the pivots of their columns, and what is kept for each column.
type Down<R, const N: usize> = unsafe fn(&[R], &[f64], [&mut [f64]; N]);

/// The loops for one precision and instruction set.
#[derive(Clone, Copy)]
pub(in crate::runtime::cpu) struct Along<R> {
    sum: Row<R, 1>,
    gaps: Row<R, 1>,
    moments: Row<R, 2>,
    largest: unsafe fn(&[R]) -> R,
    sum_down: Down<R, 1>,
    gaps_down: Down<R, 1>,
    moments_down: Down<R, 2>,
    largest_down: Down<R, 1>,
}

/// What a sum has for pivots of its columns.
static NO_PIVOTS: [f64; tape::LANES] = [0.0; tape::LANES];

// SAFETY of all calls: an instruction set that was detected is there.
impl<R: Real> Along<R> {
    /// The sum.
    pub(super) fn sum(&self, values: &[R]) -> f64 {
        // SAFETY: see above.
        let [sum] = unsafe { (self.sum)(values, 0.0) };
        sum
    }

    /// The sum of distances from a pivot and, if wanted, that of their squares; else 0.
    pub(super) fn gaps(&self, values: &[R], pivot: f64, squares: bool) -> [f64; 2] {
        if squares {
            // SAFETY: see above.
            return unsafe { (self.moments)(values, pivot) };
        }
        // SAFETY: see above.
        let [sum] = unsafe { (self.gaps)(values, pivot) };
        [sum, 0.0]
    }

    /// The largest; NaN if one is.
    pub(super) fn largest(&self, values: &[R]) -> R {
        // SAFETY: see above.
        unsafe { (self.largest)(values) }
    }

    /// Adds rows to the sum of each column.
    pub(super) fn sum_down(&self, values: &[R], sums: &mut [f64]) {
        // SAFETY: see above.
        unsafe { (self.sum_down)(values, &NO_PIVOTS[..sums.len()], [sums]) };
    }

    /// Takes rows into the largest of each column.
    pub(super) fn largest_down(&self, values: &[R], maxima: &mut [f64]) {
        // SAFETY: see above.
        unsafe { (self.largest_down)(values, &NO_PIVOTS[..maxima.len()], [maxima]) };
    }

    /// Adds rows' distances from the pivots of the columns and, if wanted, their squares.
    pub(super) fn gaps_down(&self, values: &[R], pivots: &[f64], sums: &mut [f64], squares: Option<&mut [f64]>) {
        match squares {
            // SAFETY: see above.
            Some(squares) => unsafe { (self.moments_down)(values, pivots, [sums, squares]) },
            // SAFETY: see above.
            None => unsafe { (self.gaps_down)(values, pivots, [sums]) },
        }
    }
}

/// What is kept of numbers, in `N` accumulators.
trait Kind<const N: usize> {
    /// # Safety
    /// As for [`Wide`].
    unsafe fn take<R, W: Wide<R>>(kept: [W; N], value: W, pivot: W) -> [W; N];
}

struct Sum;
struct Gaps;
struct Moments;
struct Largest;

impl Kind<1> for Sum {
    #[inline(always)]
    unsafe fn take<R, W: Wide<R>>([sum]: [W; 1], value: W, _: W) -> [W; 1] {
        // SAFETY: passed on to the caller, as below.
        unsafe { [sum.add(value)] }
    }
}

impl Kind<1> for Gaps {
    #[inline(always)]
    unsafe fn take<R, W: Wide<R>>([sum]: [W; 1], value: W, pivot: W) -> [W; 1] {
        // SAFETY: as above.
        unsafe { [sum.add(value.sub(pivot))] }
    }
}

impl Kind<2> for Moments {
    #[inline(always)]
    unsafe fn take<R, W: Wide<R>>([sum, squares]: [W; 2], value: W, pivot: W) -> [W; 2] {
        // SAFETY: as above.
        unsafe {
            let gap = value.sub(pivot);
            [sum.add(gap), squares.add(gap.mul(gap))]
        }
    }
}

impl Kind<1> for Largest {
    #[inline(always)]
    unsafe fn take<R, W: Wide<R>>([max]: [W; 1], value: W, _: W) -> [W; 1] {
        // SAFETY: as above.
        unsafe { [max.larger(value)] }
    }
}

/// The sums of a row.
///
/// # Safety
/// As for [`Wide`].
#[inline(always)]
unsafe fn along<R: Real, W: Wide<R>, K: Kind<N>, const N: usize, const VECTORS: usize>(
    values: &[R],
    pivot: f64,
) -> [f64; N] {
    const { assert!(VECTORS * W::COUNT == LANES) };
    // SAFETY: passed on to the caller; addresses lie within chunks and arrays of `LANES` numbers.
    unsafe {
        let middle = W::same(pivot);
        let mut sums = [[W::same(0.0); N]; VECTORS];
        let (chunks, rest) = values.as_chunks::<LANES>();
        // What is no number of the row adds nothing.
        let mut last = [R::of(pivot); LANES];
        last[..rest.len()].copy_from_slice(rest);
        let last = if rest.is_empty() { &[] } else { std::slice::from_ref(&last) };
        for chunks in [chunks, last] {
            for chunk in chunks {
                for at in 0..VECTORS {
                    sums[at] = K::take(sums[at], W::widen(chunk.as_ptr().add(at * W::COUNT)), middle);
                }
            }
        }
        // Each time the second half of the lanes is added to the first.
        let mut count = VECTORS;
        while 1 < count {
            count /= 2;
            for at in 0..count {
                for kind in 0..N {
                    sums[at][kind] = sums[at][kind].add(sums[at + count][kind]);
                }
            }
        }
        let mut all = [0.0; N];
        for kind in 0..N {
            let mut lanes = [0.0; LANES];
            sums[0][kind].store(lanes.as_mut_ptr());
            let mut count = W::COUNT;
            while 1 < count {
                count /= 2;
                for at in 0..count {
                    lanes[at] += lanes[at + count];
                }
            }
            all[kind] = lanes[0];
        }
        all
    }
}

/// Takes rows into accumulators of columns, which stay in registers down the rows.
///
/// # Safety
/// As for [`Wide`].
#[inline(always)]
unsafe fn down<R: Real, W: Wide<R>, K: Kind<N>, const N: usize>(values: &[R], pivots: &[f64], kept: [&mut [f64]; N]) {
    let inner = pivots.len();
    assert!(kept.iter().all(|it| it.len() == inner));
    let mut planes = [std::ptr::null_mut::<f64>(); N];
    for (plane, kept) in planes.iter_mut().zip(kept) {
        *plane = kept.as_mut_ptr();
    }
    let rows = values.len() / inner.max(1);
    let mut first = 0;
    macro_rules! columns {
        ($vectors:expr) => {
            while first + $vectors * W::COUNT <= inner {
                let mut sums = [[W::same(0.0); N]; $vectors];
                let mut middles = [W::same(0.0); $vectors];
                for at in 0..$vectors {
                    let column = first + at * W::COUNT;
                    middles[at] = W::load(pivots.as_ptr().add(column));
                    for kind in 0..N {
                        sums[at][kind] = W::load(planes[kind].add(column));
                    }
                }
                for row in 0..rows {
                    let from = values.as_ptr().add(row * inner + first);
                    for at in 0..$vectors {
                        sums[at] = K::take(sums[at], W::widen(from.add(at * W::COUNT)), middles[at]);
                    }
                }
                for at in 0..$vectors {
                    for kind in 0..N {
                        sums[at][kind].store(planes[kind].add(first + at * W::COUNT));
                    }
                }
                first += $vectors * W::COUNT;
            }
        };
    }
    // SAFETY: passed on to the caller; columns lie within the slices.
    unsafe {
        columns!(COLUMNS);
        columns!(1);
    }
    for column in first..inner {
        for row in 0..rows {
            // SAFETY: as above.
            unsafe {
                let mut sums = [One(0.0); N];
                for kind in 0..N {
                    sums[kind] = One(*planes[kind].add(column));
                }
                let value = values[row * inner + column];
                let sums = K::take::<R, One>(sums, One(value.f64()), One(pivots[column]));
                for kind in 0..N {
                    *planes[kind].add(column) = sums[kind].0;
                }
            }
        }
    }
}

/// The largest of some numbers, each lane by itself first.
#[inline(always)]
fn largest<R: Real>(values: &[R]) -> R {
    let mut lanes = [R::of(f64::NEG_INFINITY); LANES];
    let (chunks, rest) = values.as_chunks::<LANES>();
    for chunk in chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane = lane.larger(*value);
        }
    }
    rest.iter().chain(&lanes).fold(R::of(f64::NEG_INFINITY), |max, it| max.larger(*it))
}

/// Instantiates the loops for one vector type.
macro_rules! loops {
    ($module:ident, $wide:ty, $real:ty, $vectors:literal, $largest:path $(, $feature:literal)?) => {
        mod $module {
            use super::*;

            $(#[target_feature(enable = $feature)])?
            unsafe fn row<K: Kind<N>, const N: usize>(values: &[$real], pivot: f64) -> [f64; N] {
                // SAFETY: passed on to the caller.
                unsafe { along::<$real, $wide, K, N, $vectors>(values, pivot) }
            }

            $(#[target_feature(enable = $feature)])?
            unsafe fn columns<K: Kind<N>, const N: usize>(values: &[$real], pivots: &[f64], kept: [&mut [f64]; N]) {
                // SAFETY: passed on to the caller.
                unsafe { down::<$real, $wide, K, N>(values, pivots, kept) }
            }

            pub(super) fn all() -> Along<$real> {
                Along {
                    sum: row::<Sum, 1>,
                    gaps: row::<Gaps, 1>,
                    moments: row::<Moments, 2>,
                    largest: $largest,
                    sum_down: columns::<Sum, 1>,
                    gaps_down: columns::<Gaps, 1>,
                    moments_down: columns::<Moments, 2>,
                    largest_down: columns::<Largest, 1>,
                }
            }
        }
    };
}

loops!(plain32, Two, f32, 16, largest::<f32>);
loops!(plain64, Two, f64, 16, largest::<f64>);
#[cfg(target_arch = "x86_64")]
loops!(avx2_32, x86::Four, f32, 8, x86::four32, "avx2,fma");
#[cfg(target_arch = "x86_64")]
loops!(avx2_64, x86::Four, f64, 8, x86::four64, "avx2,fma");
#[cfg(target_arch = "x86_64")]
loops!(avx512_32, x86::Eight, f32, 4, x86::eight32, "avx512f,avx2,fma");
#[cfg(target_arch = "x86_64")]
loops!(avx512_64, x86::Eight, f64, 4, x86::eight64, "avx512f,avx2,fma");

impl Along<f32> {
    /// For this instruction set.
    pub(in crate::runtime::cpu) fn f32(isa: Isa) -> Self {
        match isa {
            Isa::Plain => plain32::all(),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => avx2_32::all(),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => avx512_32::all(),
        }
    }
}

impl Along<f64> {
    /// For this instruction set.
    pub(in crate::runtime::cpu) fn f64(isa: Isa) -> Self {
        match isa {
            Isa::Plain => plain64::all(),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => avx2_64::all(),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => avx512_64::all(),
        }
    }
}
