//! Vectors of lanes: what micro-kernels and transforms are written over.

/// A vector of lanes.
///
/// # Safety
/// Methods may only be called where the instruction set is there.
pub(super) unsafe trait Lanes: Copy {
    type R: Copy;
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
}

/// Lanes as an array, for any machine.
#[derive(Clone, Copy)]
pub(super) struct Array<R, const N: usize>([R; N]);

macro_rules! array {
    ($real:ty, $count:literal) => {
        // SAFETY: needs no instruction set.
        unsafe impl Lanes for Array<$real, $count> {
            type R = $real;
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
        }
    };
}
array!(f32, 4);
array!(f64, 2);

/// Vectors of AVX2 and AVX-512.
#[cfg(target_arch = "x86_64")]
pub(super) mod x86 {
    use super::Lanes;
    use std::arch::x86_64::*;

    macro_rules! vector {
        ($name:ident, $vector:ty, $real:ty, $count:literal, $($method:ident = $call:ident),*) => {
            /// A vector.
            #[derive(Clone, Copy)]
            pub(in super::super) struct $name($vector);

            // SAFETY: each method is one instruction of the set that the trait's callers vouch for.
            unsafe impl Lanes for $name {
                type R = $real;
                const COUNT: usize = $count;
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
    vector!(
        F32x8,
        __m256,
        f32,
        8,
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
