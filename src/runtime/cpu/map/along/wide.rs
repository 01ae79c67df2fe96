//! Vectors of numbers in f64, and the largest of numbers as they are.

use super::LANES;
use crate::runtime::cpu::real::Real;

/// A vector of numbers in f64.
///
/// # Safety
/// Methods may only be called where the instruction set is there, with addresses of as many numbers.
pub(super) unsafe trait Wide<R>: Copy {
    const COUNT: usize;
    unsafe fn widen(from: *const R) -> Self;
    unsafe fn load(from: *const f64) -> Self;
    unsafe fn store(self, to: *mut f64);
    unsafe fn same(value: f64) -> Self;
    unsafe fn add(self, other: Self) -> Self;
    unsafe fn sub(self, other: Self) -> Self;
    unsafe fn mul(self, other: Self) -> Self;
    /// The larger; NaN if either is.
    unsafe fn larger(self, other: Self) -> Self;
}

/// A vector of one number, for what is left over.
#[derive(Clone, Copy)]
pub(super) struct One(pub(super) f64);

// SAFETY: needs no instruction set.
unsafe impl<R: Real> Wide<R> for One {
    const COUNT: usize = 1;
    #[inline(always)]
    unsafe fn widen(from: *const R) -> Self {
        // SAFETY: the caller's address, as below.
        One(unsafe { *from }.f64())
    }
    #[inline(always)]
    unsafe fn load(from: *const f64) -> Self {
        // SAFETY: as above.
        One(unsafe { *from })
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f64) {
        // SAFETY: as above.
        unsafe { *to = self.0 };
    }
    #[inline(always)]
    unsafe fn same(value: f64) -> Self {
        One(value)
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        One(self.0 + other.0)
    }
    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        One(self.0 - other.0)
    }
    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        One(self.0 * other.0)
    }
    #[inline(always)]
    unsafe fn larger(self, other: Self) -> Self {
        One(self.0.larger(other.0))
    }
}

/// Two of them, for any machine.
#[derive(Clone, Copy)]
pub(super) struct Two(f64, f64);

// SAFETY: needs no instruction set.
unsafe impl<R: Real> Wide<R> for Two {
    const COUNT: usize = 2;
    #[inline(always)]
    unsafe fn widen(from: *const R) -> Self {
        // SAFETY: the caller's address, as below.
        unsafe { Two((*from).f64(), (*from.add(1)).f64()) }
    }
    #[inline(always)]
    unsafe fn load(from: *const f64) -> Self {
        // SAFETY: as above.
        unsafe { Two(*from, *from.add(1)) }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f64) {
        // SAFETY: as above.
        unsafe { (*to, *to.add(1)) = (self.0, self.1) };
    }
    #[inline(always)]
    unsafe fn same(value: f64) -> Self {
        Two(value, value)
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        Two(self.0 + other.0, self.1 + other.1)
    }
    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        Two(self.0 - other.0, self.1 - other.1)
    }
    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        Two(self.0 * other.0, self.1 * other.1)
    }
    #[inline(always)]
    unsafe fn larger(self, other: Self) -> Self {
        Two(self.0.larger(other.0), self.1.larger(other.1))
    }
}

/// The vectors of an instruction set, and the largest of some numbers in its native vectors: what `max` makes of NaN is lost or not with the
/// order of its operands, so that NaN is looked for apart.
#[cfg(target_arch = "x86_64")]
pub(super) mod x86 {
    use super::{LANES, Real, Wide};
    use std::arch::x86_64::*;

    macro_rules! wide {
        ($name:ident, $vector:ty, $count:literal, $from32:expr, $load:ident, $store:ident, $same:ident, $add:ident, $sub:ident, $mul:ident, $larger:expr) => {
            #[derive(Clone, Copy)]
            pub(in super::super) struct $name($vector);

            wide!(@over f32, $name, $count, $from32, $load, $store, $same, $add, $sub, $mul, $larger);
            wide!(@over f64, $name, $count, $load, $load, $store, $same, $add, $sub, $mul, $larger);
        };
        (@over $real:ty, $name:ident, $count:literal, $widen:expr, $load:ident, $store:ident, $same:ident, $add:ident, $sub:ident, $mul:ident, $larger:expr) => {
            // SAFETY: each method is a few instructions of the set that the trait's callers vouch for.
            unsafe impl Wide<$real> for $name {
                const COUNT: usize = $count;
                #[inline(always)]
                unsafe fn widen(from: *const $real) -> Self {
                    // SAFETY: see above.
                    unsafe { Self($widen(from)) }
                }
                #[inline(always)]
                unsafe fn load(from: *const f64) -> Self {
                    // SAFETY: see above.
                    unsafe { Self($load(from)) }
                }
                #[inline(always)]
                unsafe fn store(self, to: *mut f64) {
                    // SAFETY: see above.
                    unsafe { $store(to, self.0) }
                }
                #[inline(always)]
                unsafe fn same(value: f64) -> Self {
                    // SAFETY: see above.
                    unsafe { Self($same(value)) }
                }
                #[inline(always)]
                unsafe fn add(self, other: Self) -> Self {
                    // SAFETY: see above.
                    unsafe { Self($add(self.0, other.0)) }
                }
                #[inline(always)]
                unsafe fn sub(self, other: Self) -> Self {
                    // SAFETY: see above.
                    unsafe { Self($sub(self.0, other.0)) }
                }
                #[inline(always)]
                unsafe fn mul(self, other: Self) -> Self {
                    // SAFETY: see above.
                    unsafe { Self($mul(self.0, other.0)) }
                }
                #[inline(always)]
                unsafe fn larger(self, other: Self) -> Self {
                    // SAFETY: see above.
                    unsafe { Self($larger(self.0, other.0)) }
                }
            }
        };
    }

    wide!(
        Four,
        __m256d,
        4,
        |from| _mm256_cvtps_pd(_mm_loadu_ps(from)),
        _mm256_loadu_pd,
        _mm256_storeu_pd,
        _mm256_set1_pd,
        _mm256_add_pd,
        _mm256_sub_pd,
        _mm256_mul_pd,
        |a, b| _mm256_blendv_pd(_mm256_max_pd(a, b), a, _mm256_cmp_pd::<_CMP_UNORD_Q>(a, a))
    );
    wide!(
        Eight,
        __m512d,
        8,
        |from| _mm512_cvtps_pd(_mm256_loadu_ps(from)),
        _mm512_loadu_pd,
        _mm512_storeu_pd,
        _mm512_set1_pd,
        _mm512_add_pd,
        _mm512_sub_pd,
        _mm512_mul_pd,
        |a, b| _mm512_mask_blend_pd(_mm512_cmp_pd_mask::<_CMP_UNORD_Q>(a, a), _mm512_max_pd(a, b), a)
    );

    macro_rules! largest {
        ($name:ident, $real:ty, $count:literal, $feature:literal, $load:ident, $store:ident, $same:ident, $max:ident, $unordered:expr) => {
            /// # Safety
            /// The instruction set is there.
            #[target_feature(enable = $feature)]
            pub(in super::super) unsafe fn $name(values: &[$real]) -> $real {
                const VECTORS: usize = LANES / $count;
                let (chunks, rest) = values.as_chunks::<LANES>();
                let mut last = [<$real>::NEG_INFINITY; LANES];
                last[..rest.len()].copy_from_slice(rest);
                let last = if rest.is_empty() { &[] } else { std::slice::from_ref(&last) };
                let mut nan = false;
                let mut lanes = [$same(<$real>::NEG_INFINITY); VECTORS];
                for chunks in [chunks, last] {
                    for chunk in chunks {
                        for (at, lane) in lanes.iter_mut().enumerate() {
                            // SAFETY: within the chunk.
                            let value = unsafe { $load(chunk.as_ptr().add(at * $count)) };
                            *lane = $max(*lane, value);
                            nan |= $unordered(value);
                        }
                    }
                }
                if nan {
                    return <$real>::NAN;
                }
                let mut count = VECTORS;
                while 1 < count {
                    count /= 2;
                    for at in 0..count {
                        lanes[at] = $max(lanes[at], lanes[at + count]);
                    }
                }
                let mut all = [0.0; $count];
                // SAFETY: the array holds a vector.
                unsafe { $store(all.as_mut_ptr(), lanes[0]) };
                all.into_iter().fold(<$real>::NEG_INFINITY, Real::larger)
            }
        };
    }

    largest!(four32, f32, 8, "avx2,fma", _mm256_loadu_ps, _mm256_storeu_ps, _mm256_set1_ps, _mm256_max_ps, |it| {
        _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_UNORD_Q>(it, it)) != 0
    });
    largest!(four64, f64, 4, "avx2,fma", _mm256_loadu_pd, _mm256_storeu_pd, _mm256_set1_pd, _mm256_max_pd, |it| {
        _mm256_movemask_pd(_mm256_cmp_pd::<_CMP_UNORD_Q>(it, it)) != 0
    });
    largest!(
        eight32,
        f32,
        16,
        "avx512f,avx2,fma",
        _mm512_loadu_ps,
        _mm512_storeu_ps,
        _mm512_set1_ps,
        _mm512_max_ps,
        |it| _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(it, it) != 0
    );
    largest!(
        eight64,
        f64,
        8,
        "avx512f,avx2,fma",
        _mm512_loadu_pd,
        _mm512_storeu_pd,
        _mm512_set1_pd,
        _mm512_max_pd,
        |it| _mm512_cmp_pd_mask::<_CMP_UNORD_Q>(it, it) != 0
    );
}
