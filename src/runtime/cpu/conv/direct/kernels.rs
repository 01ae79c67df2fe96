//! The micro-kernels of convolutions whose channels are lanes: a few neighbouring pixels, or a few of a filter's numbers,
//! stay in registers while what they are made of runs by.

#[cfg(target_arch = "x86_64")]
use super::super::lanes::x86;
use super::super::lanes::{Array, Lanes, MOST_LANES};
use super::layout::{Reading, Vector};
use crate::runtime::cpu::isa::Isa;
use std::ops::Range;

/// Most sums of a filter gradient that are taken together.
pub(super) const MOST_SUMS: usize = 9;
/// Terms of a partial sum, at most.
const PART: usize = 64;
/// Vectors that are taken together where there is one pixel.
const SEVERAL: usize = 4;
/// Pixels that a filter gradient goes through with one vector of channels, so that memory is read nearly in order.
const SPAN: usize = 16;

/// For each lane, which number of a vector of the source it takes.
pub(super) type Pick = [u32; MOST_LANES];

/// A product that is added up, for every vector of channels.
#[derive(Clone, Copy)]
pub(super) struct Term {
    /// Where its source is, behind the first pixel's.
    pub(super) source: usize,
    /// Where its filter's vector is, in a vector's panel.
    pub(super) weight: usize,
    /// Which of a vector's picks.
    pub(super) pick: usize,
}

/// Pixels in a line with the same taps, in some vectors of channels.
pub(super) struct Line<'a> {
    /// In parts of at most [`MOST_SUMS`].
    pub(super) terms: &'a [Vec<Term>],
    pub(super) vectors: &'a [Vector],
    pub(super) picks: &'a [Pick],
    /// Numbers to the next pixel's source.
    pub(super) advance: usize,
    /// Numbers to the next vector's panel of `with` or of sums.
    pub(super) panel: usize,
    /// Numbers to the next pixel of the result, or of what it is for a filter gradient.
    pub(super) pitch: usize,
    pub(super) count: usize,
}

/// `out[i] = sum over terms: source[i] * filter`, for each pixel `i`. Arguments: line, its first pixel's source, panels of the filter, result.
type PixelsKernel<R> = unsafe fn(&Line<'_>, *const R, *const R, *mut R);

/// `sums += sum over pixels i: source[i] * with[i]`, for each term. Arguments: line, its first pixel's source, what it is multiplied
/// with, panels of sums.
type SumsKernel<R> = unsafe fn(&Line<'_>, *const R, *const R, *mut R);

/// The micro-kernels for one precision and instruction set.
#[derive(Clone, Copy)]
pub(in crate::runtime::cpu) struct Direct<R> {
    /// Numbers in a vector.
    pub(super) lanes: usize,
    /// By [`Reading`].
    pixels: [PixelsKernel<R>; 3],
    sums: [SumsKernel<R>; 3],
}

impl<R> Direct<R> {
    /// See [`PixelsKernel`].
    pub(super) fn pixels(&self, reading: Reading) -> PixelsKernel<R> {
        self.pixels[reading as usize]
    }

    /// See [`SumsKernel`].
    pub(super) fn sums(&self, reading: Reading) -> SumsKernel<R> {
        self.sums[reading as usize]
    }
}

/// How lanes get their numbers of the source: see [`Reading`].
trait Read<L: Lanes> {
    unsafe fn read(from: *const L::R, index: L::Index) -> L;
}

struct Own;
struct Picked;
struct One;

impl<L: Lanes> Read<L> for Own {
    #[inline(always)]
    unsafe fn read(from: *const L::R, _: L::Index) -> L {
        // SAFETY: the caller's memory holds a vector.
        unsafe { L::load(from) }
    }
}

impl<L: Lanes> Read<L> for Picked {
    #[inline(always)]
    unsafe fn read(from: *const L::R, index: L::Index) -> L {
        // SAFETY: as above.
        unsafe { L::load(from).pick(index) }
    }
}

impl<L: Lanes> Read<L> for One {
    #[inline(always)]
    unsafe fn read(from: *const L::R, _: L::Index) -> L {
        // SAFETY: the caller's memory holds a number.
        unsafe { L::splat(from) }
    }
}

#[inline(always)]
unsafe fn load_some<L: Lanes>(from: *const L::R, valid: usize) -> L {
    // SAFETY: the caller's memory holds so many numbers.
    unsafe {
        if valid == L::COUNT {
            return L::load(from);
        }
        let mut all = [L::zero(); 1];
        std::ptr::copy_nonoverlapping(from, all.as_mut_ptr().cast(), valid);
        all[0]
    }
}

/// Stores some of the lanes.
#[inline(always)]
unsafe fn store_some<L: Lanes>(vector: L, to: *mut L::R, own: &Range<usize>) {
    // SAFETY: as above.
    unsafe {
        if own.len() == L::COUNT {
            return vector.store(to);
        }
        let lanes = [vector];
        let from = lanes.as_ptr().cast::<L::R>().add(own.start);
        std::ptr::copy_nonoverlapping(from, to.add(own.start), own.len());
    }
}

/// Pixels from `first` on, in vectors from `number` on.
#[inline(always)]
unsafe fn block<L: Lanes, M: Read<L>, const PIXELS: usize, const VECTORS: usize>(
    line: &Line<'_>,
    first: usize,
    number: usize,
    source: *const L::R,
    filter: *const L::R,
    out: *mut L::R,
) {
    // SAFETY: the caller's memory holds a vector for each term and pixel.
    unsafe {
        let vectors = line.vectors.as_ptr().add(number);
        let mut totals = [[L::zero(); PIXELS]; VECTORS];
        for parts in line.terms.chunks(PART / MOST_SUMS) {
            let mut sums = [[L::zero(); PIXELS]; VECTORS];
            for terms in parts {
                for term in terms {
                    for (v, sums) in sums.iter_mut().enumerate() {
                        let vector = &*vectors.add(v);
                        let index = L::index(line.picks.as_ptr().add(vector.pick + term.pick));
                        let weight = L::load(filter.add((number + v) * line.panel + term.weight));
                        let from = source.add(first * line.advance + vector.source + term.source);
                        for (i, sum) in sums.iter_mut().enumerate() {
                            *sum = M::read(from.add(i * line.advance), index).fma(weight, *sum);
                        }
                    }
                }
            }
            for (totals, sums) in totals.iter_mut().zip(&sums) {
                for (total, sum) in totals.iter_mut().zip(sums) {
                    *total = total.add(*sum);
                }
            }
        }
        for (v, totals) in totals.iter().enumerate() {
            let vector = &*vectors.add(v);
            for (i, total) in totals.iter().enumerate() {
                store_some(*total, out.add((first + i) * line.pitch + vector.lane), &vector.own);
            }
        }
    }
}

/// Many pixels in one vector at a time, or one pixel in several: so many sums do not wait for each other.
#[inline(always)]
unsafe fn pixels<L: Lanes, M: Read<L>, const MANY: usize>(
    line: &Line<'_>,
    source: *const L::R,
    filter: *const L::R,
    out: *mut L::R,
) {
    let mut at = 0;
    while at < line.count {
        let fits = |size: usize, more: usize| size <= line.count && more < line.count - at;
        let size = if fits(MANY, 8) {
            MANY
        } else if fits(8, 4) {
            8
        } else if fits(4, 0) {
            4
        } else {
            1
        };
        // The last block takes some pixels again rather than one by one.
        let first = at.min(line.count - size);
        let vectors = line.vectors.len();
        let together = if size == 1 && SEVERAL <= vectors { SEVERAL } else { 1 };
        for number in (0..vectors).step_by(together) {
            let number = number.min(vectors - together);
            // SAFETY: passed on to the caller.
            unsafe {
                match (size, together) {
                    (1, 1) => block::<L, M, 1, 1>(line, first, number, source, filter, out),
                    (1, _) => block::<L, M, 1, SEVERAL>(line, first, number, source, filter, out),
                    (4, _) => block::<L, M, 4, 1>(line, first, number, source, filter, out),
                    (8, _) => block::<L, M, 8, 1>(line, first, number, source, filter, out),
                    (_, _) => block::<L, M, MANY, 1>(line, first, number, source, filter, out),
                }
            }
        }
        at = first + size;
    }
}

#[inline(always)]
unsafe fn some_sums<L: Lanes, M: Read<L>, const T: usize>(
    line: &Line<'_>,
    vector: &Vector,
    terms: &[Term],
    source: *const L::R,
    with: *const L::R,
    sums: *mut L::R,
    count: usize,
) {
    // SAFETY: the caller's memory holds a vector for each term and pixel, and for each sum.
    unsafe {
        let mut indices = [L::index(line.picks.as_ptr().add(vector.pick)); T];
        for (index, term) in indices.iter_mut().zip(terms) {
            *index = L::index(line.picks.as_ptr().add(vector.pick + term.pick));
        }
        let from: [*const L::R; T] = std::array::from_fn(|it| source.add(terms[it].source));
        let mut all = [L::zero(); T];
        for (sum, term) in all.iter_mut().zip(terms) {
            *sum = L::load(sums.add(term.weight));
        }
        for i in 0..count {
            let factor = load_some::<L>(with.add(i * line.pitch), vector.valid);
            for ((sum, from), index) in all.iter_mut().zip(&from).zip(&indices) {
                *sum = M::read(from.add(i * line.advance), *index).fma(factor, *sum);
            }
        }
        for (term, sum) in terms.iter().zip(&all) {
            sum.store(sums.add(term.weight));
        }
    }
}

#[inline(always)]
unsafe fn sums<L: Lanes, M: Read<L>>(line: &Line<'_>, source: *const L::R, with: *const L::R, sums: *mut L::R) {
    for first in (0..line.count).step_by(SPAN) {
        let count = SPAN.min(line.count - first);
        for (number, vector) in line.vectors.iter().enumerate() {
            for terms in line.terms {
                macro_rules! by_number {
                    ($($number:literal)*) => {
                        match terms.len() {
                            0 => {}
                            // SAFETY: passed on to the caller.
                            $($number => unsafe {
                                let source = source.add(first * line.advance + vector.source);
                                let with = with.add(first * line.pitch + vector.lane);
                                let sums = sums.add(number * line.panel);
                                some_sums::<L, M, $number>(line, vector, terms, source, with, sums, count);
                            },)*
                            other => unreachable!("{other} sums at a time"),
                        }
                    };
                }
                by_number!(1 2 3 4 5 6 7 8 9)
            }
        }
    }
}

/// Instantiates the kernels for one vector type.
macro_rules! kernels {
    ($module:ident, $lanes:ty, $real:ty, $pixels:literal $(, $feature:literal)?) => {
        mod $module {
            use super::*;

            $(#[target_feature(enable = $feature)])?
            unsafe fn pixels_kernel<M: Read<$lanes>>(
                line: &Line<'_>,
                source: *const $real,
                filter: *const $real,
                out: *mut $real,
            ) {
                // SAFETY: passed on to the caller.
                unsafe { pixels::<$lanes, M, $pixels>(line, source, filter, out) }
            }

            $(#[target_feature(enable = $feature)])?
            unsafe fn sums_kernel<M: Read<$lanes>>(
                line: &Line<'_>,
                source: *const $real,
                with: *const $real,
                all: *mut $real,
            ) {
                // SAFETY: passed on to the caller.
                unsafe { sums::<$lanes, M>(line, source, with, all) }
            }

            pub(super) fn direct() -> Direct<$real> {
                Direct {
                    lanes: <$lanes as Lanes>::COUNT,
                    pixels: [pixels_kernel::<Own>, pixels_kernel::<Picked>, pixels_kernel::<One>],
                    sums: [sums_kernel::<Own>, sums_kernel::<Picked>, sums_kernel::<One>],
                }
            }
        }
    };
}

kernels!(plain32, Array<f32, 4>, f32, 8);
kernels!(plain64, Array<f64, 2>, f64, 8);

#[cfg(target_arch = "x86_64")]
kernels!(avx2_32, x86::F32x8, f32, 8, "avx2,fma");
#[cfg(target_arch = "x86_64")]
kernels!(avx2_64, x86::F64x4, f64, 8, "avx2,fma");
#[cfg(target_arch = "x86_64")]
kernels!(avx512_32, x86::F32x16, f32, 12, "avx512f,avx2,fma");
#[cfg(target_arch = "x86_64")]
kernels!(avx512_64, x86::F64x8, f64, 12, "avx512f,avx2,fma");

impl Direct<f32> {
    /// For this instruction set.
    pub(in crate::runtime::cpu) fn f32(isa: Isa) -> Self {
        match isa {
            Isa::Plain => plain32::direct(),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => avx2_32::direct(),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => avx512_32::direct(),
        }
    }
}

impl Direct<f64> {
    /// For this instruction set.
    pub(in crate::runtime::cpu) fn f64(isa: Isa) -> Self {
        match isa {
            Isa::Plain => plain64::direct(),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => avx2_64::direct(),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => avx512_64::direct(),
        }
    }
}
