//! The micro-kernels of convolutions whose channels are lanes: a few neighbouring pixels, or a few of a filter's numbers,
//! stay in registers while what they are made of runs by.

#[cfg(target_arch = "x86_64")]
use super::super::lanes::x86;
use super::super::lanes::{Array, Lanes};
use crate::runtime::cpu::isa::Isa;

/// Most sums of a [`SumsKernel`].
pub(super) const MOST_SUMS: usize = 9;

/// `out[i] = sum over terms [s, f]: source[s + i * advance] * filter[f]`, each a vector, for `count` pixels `i`. Arguments:
/// terms, source, filter, elements from pixel to pixel of the source and of the result, result, count.
type PixelsKernel<R> = unsafe fn(&[[usize; 2]], *const R, *const R, [usize; 2], *mut R, usize);

/// `out[t] = sum over pixels i: source[terms[t][0] + i * advance] * with[i * pitch]`, each a vector. Arguments: at most
/// [`MOST_SUMS`] terms, source, what it is multiplied with, elements from pixel to pixel of either, result, count.
type SumsKernel<R> = unsafe fn(&[[usize; 2]], *const R, *const R, [usize; 2], *mut R, usize);

/// The micro-kernels for one precision and instruction set.
#[derive(Clone, Copy)]
pub(in crate::runtime::cpu) struct Direct<R> {
    /// Numbers in a vector.
    pub(super) lanes: usize,
    /// See [`PixelsKernel`].
    pub(super) pixels: PixelsKernel<R>,
    /// See [`SumsKernel`].
    pub(super) sums: SumsKernel<R>,
}

#[inline(always)]
unsafe fn block<L: Lanes, const P: usize>(
    terms: &[[usize; 2]],
    source: *const L::R,
    filter: *const L::R,
    [advance, pitch]: [usize; 2],
    out: *mut L::R,
) {
    // SAFETY: the caller's memory holds a vector for each term and pixel.
    unsafe {
        let mut sums = [L::zero(); P];
        for [from, weight] in terms {
            let weight = L::load(filter.add(*weight));
            let from = source.add(*from);
            for (i, sum) in sums.iter_mut().enumerate() {
                *sum = L::load(from.add(i * advance)).fma(weight, *sum);
            }
        }
        for (i, sum) in sums.iter().enumerate() {
            sum.store(out.add(i * pitch));
        }
    }
}

#[inline(always)]
unsafe fn pixels<L: Lanes, const P: usize, const HALF: usize>(
    terms: &[[usize; 2]],
    source: *const L::R,
    filter: *const L::R,
    steps: [usize; 2],
    out: *mut L::R,
    count: usize,
) {
    let mut at = 0;
    while at < count {
        // The last block takes some pixels again rather than one by one.
        let first = |size: usize| at.min(count - size);
        // SAFETY: passed on to the caller.
        unsafe {
            if P <= count && HALF < count - at {
                let first = first(P);
                block::<L, P>(terms, source.add(first * steps[0]), filter, steps, out.add(first * steps[1]));
                at = first + P;
            } else if HALF <= count {
                let first = first(HALF);
                block::<L, HALF>(terms, source.add(first * steps[0]), filter, steps, out.add(first * steps[1]));
                at = first + HALF;
            } else {
                block::<L, 1>(terms, source.add(at * steps[0]), filter, steps, out.add(at * steps[1]));
                at += 1;
            }
        }
    }
}

#[inline(always)]
unsafe fn some_sums<L: Lanes, const T: usize>(
    terms: &[[usize; 2]],
    source: *const L::R,
    with: *const L::R,
    [advance, pitch]: [usize; 2],
    out: *mut L::R,
    count: usize,
) {
    // SAFETY: the caller's memory holds a vector for each term and pixel, and for each sum.
    unsafe {
        let from: [*const L::R; T] = std::array::from_fn(|it| source.add(terms[it][0]));
        let mut sums = [L::zero(); T];
        for i in 0..count {
            let factor = L::load(with.add(i * pitch));
            for (sum, from) in sums.iter_mut().zip(&from) {
                *sum = L::load(from.add(i * advance)).fma(factor, *sum);
            }
        }
        for (t, sum) in sums.iter().enumerate() {
            sum.store(out.add(t * L::COUNT));
        }
    }
}

#[inline(always)]
unsafe fn sums<L: Lanes>(
    terms: &[[usize; 2]],
    source: *const L::R,
    with: *const L::R,
    steps: [usize; 2],
    out: *mut L::R,
    count: usize,
) {
    macro_rules! by_number {
        ($($number:literal)*) => {
            match terms.len() {
                // SAFETY: passed on to the caller.
                $($number => unsafe { some_sums::<L, $number>(terms, source, with, steps, out, count) },)*
                other => unreachable!("{other} sums at a time"),
            }
        };
    }
    by_number!(1 2 3 4 5 6 7 8 9)
}

/// Instantiates the kernels for one vector type.
macro_rules! kernels {
    ($module:ident, $lanes:ty, $real:ty, [$pixels:literal, $half:literal] $(, $feature:literal)?) => {
        mod $module {
            use super::*;

            $(#[target_feature(enable = $feature)])?
            unsafe fn pixels_kernel(
                terms: &[[usize; 2]],
                source: *const $real,
                filter: *const $real,
                steps: [usize; 2],
                out: *mut $real,
                count: usize,
            ) {
                // SAFETY: passed on to the caller.
                unsafe { pixels::<$lanes, $pixels, $half>(terms, source, filter, steps, out, count) }
            }

            $(#[target_feature(enable = $feature)])?
            unsafe fn sums_kernel(
                terms: &[[usize; 2]],
                source: *const $real,
                with: *const $real,
                steps: [usize; 2],
                out: *mut $real,
                count: usize,
            ) {
                // SAFETY: passed on to the caller.
                unsafe { sums::<$lanes>(terms, source, with, steps, out, count) }
            }

            pub(super) fn direct() -> Direct<$real> {
                Direct { lanes: <$lanes as Lanes>::COUNT, pixels: pixels_kernel, sums: sums_kernel }
            }
        }
    };
}

kernels!(plain32, Array<f32, 4>, f32, [8, 4]);
kernels!(plain64, Array<f64, 2>, f64, [8, 4]);

#[cfg(target_arch = "x86_64")]
kernels!(avx2_32, x86::F32x8, f32, [8, 4], "avx2,fma");
#[cfg(target_arch = "x86_64")]
kernels!(avx2_64, x86::F64x4, f64, [8, 4], "avx2,fma");
#[cfg(target_arch = "x86_64")]
kernels!(avx512_32, x86::F32x16, f32, [14, 7], "avx512f,avx2,fma");
#[cfg(target_arch = "x86_64")]
kernels!(avx512_64, x86::F64x8, f64, [14, 7], "avx512f,avx2,fma");

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
