//! Vectors of lanes: what micro-kernels and transforms are written over.

/// Lanes of the widest vector.
pub(super) const MOST_LANES: usize = 16;

/// A vector of lanes.
///
/// # Safety
/// Methods may only be called where the instruction set is there.
pub(super) unsafe trait Lanes: Copy {
    type R: Copy;
    /// For each lane, a lane.
    type Index: Copy;
    const COUNT: usize;
    unsafe fn zero() -> Self;
    unsafe fn load(from: *const Self::R) -> Self;
    unsafe fn store(self, to: *mut Self::R);
    unsafe fn splat(from: *const Self::R) -> Self;
    unsafe fn add(self, other: Self) -> Self;
    unsafe fn sub(self, other: Self) -> Self;
    unsafe fn mul(self, other: Self) -> Self;
    unsafe fn same(value: Self::R) -> Self;
    /// `self * a + b`.
    unsafe fn fma(self, a: Self, b: Self) -> Self;
    /// From the first of these numbers, each below `COUNT`.
    unsafe fn index(from: *const [u32; MOST_LANES]) -> Self::Index;
    /// In each lane, that of the index.
    unsafe fn pick(self, index: Self::Index) -> Self;
}

/// Lanes as an array, for any machine.
#[derive(Clone, Copy)]
pub(super) struct Array<R, const N: usize>([R; N]);

macro_rules! array {
    ($real:ty, $count:literal) => {
        // SAFETY: needs no instruction set.
        unsafe impl Lanes for Array<$real, $count> {
            type R = $real;
            type Index = [u32; $count];
            const COUNT: usize = $count;
            #[inline(always)]
            unsafe fn zero() -> Self {
                Array([0.0; $count])
            }
            #[inline(always)]
            unsafe fn load(from: *const $real) -> Self {
                // SAFETY: the caller's memory holds a vector.
                unsafe { Array(from.cast::<[$real; $count]>().read_unaligned()) }
            }
            #[inline(always)]
            unsafe fn store(self, to: *mut $real) {
                // SAFETY: as above.
                unsafe { to.cast::<[$real; $count]>().write_unaligned(self.0) }
            }
            #[inline(always)]
            unsafe fn splat(from: *const $real) -> Self {
                // SAFETY: as above.
                unsafe { Array([*from; $count]) }
            }
            #[inline(always)]
            unsafe fn add(self, other: Self) -> Self {
                Array(std::array::from_fn(|i| self.0[i] + other.0[i]))
            }
            #[inline(always)]
            unsafe fn sub(self, other: Self) -> Self {
                Array(std::array::from_fn(|i| self.0[i] - other.0[i]))
            }
            #[inline(always)]
            unsafe fn mul(self, other: Self) -> Self {
                Array(std::array::from_fn(|i| self.0[i] * other.0[i]))
            }
            #[inline(always)]
            unsafe fn same(value: $real) -> Self {
                Array([value; $count])
            }
            #[inline(always)]
            unsafe fn fma(self, a: Self, b: Self) -> Self {
                let mut res = b;
                for i in 0..$count {
                    res.0[i] = if cfg!(target_arch = "aarch64") {
                        self.0[i].mul_add(a.0[i], b.0[i])
                    } else {
                        self.0[i] * a.0[i] + b.0[i]
                    };
                }
                res
            }
            #[inline(always)]
            unsafe fn index(from: *const [u32; MOST_LANES]) -> Self::Index {
                // SAFETY: the caller's numbers.
                unsafe { from.cast::<[u32; $count]>().read() }
            }
            #[inline(always)]
            unsafe fn pick(self, index: Self::Index) -> Self {
                Array(index.map(|it| self.0[it as usize % $count]))
            }
        }
    };
}
array!(f32, 4);
array!(f64, 2);

/// Vectors of AVX2 and AVX-512.
#[cfg(target_arch = "x86_64")]
pub(super) mod x86 {
    use super::{Lanes, MOST_LANES};
    use std::arch::x86_64::*;

    macro_rules! vector {
        ($name:ident, $vector:ty, $real:ty, $count:literal, $index:ty, $indices:expr, $pick:expr, $($method:ident = $call:ident),*) => {
            /// A vector.
            #[derive(Clone, Copy)]
            pub(in super::super) struct $name($vector);

            // SAFETY: each method is one instruction of the set that the trait's callers vouch for.
            unsafe impl Lanes for $name {
                type R = $real;
                type Index = $index;
                const COUNT: usize = $count;
                #[inline(always)]
                unsafe fn index(from: *const [u32; MOST_LANES]) -> $index {
                    // SAFETY: see above.
                    unsafe { $indices(from.cast()) }
                }
                #[inline(always)]
                unsafe fn pick(self, index: $index) -> Self {
                    // SAFETY: see above.
                    unsafe { Self($pick(index, self.0)) }
                }
                $(vector!(@$method $call $vector, $real);)*
            }
        };
        (@zero $call:ident $vector:ty, $real:ty) => {
            #[inline(always)]
            unsafe fn zero() -> Self {
                // SAFETY: see above.
                unsafe { Self($call()) }
            }
        };
        (@load $call:ident $vector:ty, $real:ty) => {
            #[inline(always)]
            unsafe fn load(from: *const $real) -> Self {
                // SAFETY: see above.
                unsafe { Self($call(from)) }
            }
        };
        (@store $call:ident $vector:ty, $real:ty) => {
            #[inline(always)]
            unsafe fn store(self, to: *mut $real) {
                // SAFETY: see above.
                unsafe { $call(to, self.0) }
            }
        };
        (@same $call:ident $vector:ty, $real:ty) => {
            #[inline(always)]
            unsafe fn same(value: $real) -> Self {
                // SAFETY: see above.
                unsafe { Self($call(value)) }
            }
            #[inline(always)]
            unsafe fn splat(from: *const $real) -> Self {
                // SAFETY: see above.
                unsafe { Self($call(*from)) }
            }
        };
        (@fma $call:ident $vector:ty, $real:ty) => {
            #[inline(always)]
            unsafe fn fma(self, a: Self, b: Self) -> Self {
                // SAFETY: see above.
                unsafe { Self($call(self.0, a.0, b.0)) }
            }
        };
        (@$method:ident $call:ident $vector:ty, $real:ty) => {
            #[inline(always)]
            unsafe fn $method(self, other: Self) -> Self {
                // SAFETY: see above.
                unsafe { Self($call(self.0, other.0)) }
            }
        };
    }
    /// Lanes of 64 bits as pairs of 32.
    #[inline(always)]
    unsafe fn pairs(from: *const __m128i) -> __m256i {
        // SAFETY: the caller has AVX2, and four numbers.
        unsafe {
            let index = _mm256_cvtepu32_epi64(_mm_loadu_si128(from));
            let low = _mm256_add_epi64(index, index);
            _mm256_or_si256(low, _mm256_slli_epi64(_mm256_add_epi64(low, _mm256_set1_epi64x(1)), 32))
        }
    }

    vector!(
        F32x8,
        __m256,
        f32,
        8,
        __m256i,
        _mm256_loadu_si256,
        |index, from| _mm256_permutevar8x32_ps(from, index),
        zero = _mm256_setzero_ps,
        load = _mm256_loadu_ps,
        store = _mm256_storeu_ps,
        same = _mm256_set1_ps,
        add = _mm256_add_ps,
        sub = _mm256_sub_ps,
        mul = _mm256_mul_ps,
        fma = _mm256_fmadd_ps
    );
    vector!(
        F64x4,
        __m256d,
        f64,
        4,
        __m256i,
        pairs,
        |index, from| _mm256_castps_pd(_mm256_permutevar8x32_ps(_mm256_castpd_ps(from), index)),
        zero = _mm256_setzero_pd,
        load = _mm256_loadu_pd,
        store = _mm256_storeu_pd,
        same = _mm256_set1_pd,
        add = _mm256_add_pd,
        sub = _mm256_sub_pd,
        mul = _mm256_mul_pd,
        fma = _mm256_fmadd_pd
    );
    vector!(
        F32x16,
        __m512,
        f32,
        16,
        __m512i,
        _mm512_loadu_si512,
        _mm512_permutexvar_ps,
        zero = _mm512_setzero_ps,
        load = _mm512_loadu_ps,
        store = _mm512_storeu_ps,
        same = _mm512_set1_ps,
        add = _mm512_add_ps,
        sub = _mm512_sub_ps,
        mul = _mm512_mul_ps,
        fma = _mm512_fmadd_ps
    );
    vector!(
        F64x8,
        __m512d,
        f64,
        8,
        __m512i,
        |from| _mm512_cvtepu32_epi64(_mm256_loadu_si256(from)),
        _mm512_permutexvar_pd,
        zero = _mm512_setzero_pd,
        load = _mm512_loadu_pd,
        store = _mm512_storeu_pd,
        same = _mm512_set1_pd,
        add = _mm512_add_pd,
        sub = _mm512_sub_pd,
        mul = _mm512_mul_pd,
        fma = _mm512_fmadd_pd
    );
}
