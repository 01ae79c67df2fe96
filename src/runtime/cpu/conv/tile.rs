//! The micro-kernels of all matrix products: a tile of the result stays in registers while the summed
//! axis runs by. Written once over vectors of lanes, instantiated per instruction set.

use crate::runtime::cpu::isa::Isa;

/// Most rows of a tile, for tables on the stack.
pub(in crate::runtime::cpu) const MOST_ROWS: usize = 12;

/// `rows` kernels: `out[i][0..columns] (+)= sum over taps t, over k: rows[t * height + i][k] * b[t][k][..]`.
/// Arguments: taps, depth of a tap, terms of a partial sum, row pointers, panel, tap numbers (tap `t`'s part of the
/// panel starts at `tap_numbers[t] * depth * columns`), result rows.
///
/// Sums are taken in parts, and the parts added: rounding grows with the length of a part and the number of parts, not
/// with their product, and an angle near 0 multiplies it by its slope.
type RowsKernel<R> = unsafe fn(usize, usize, usize, *const *const R, *const R, *const u32, *const *mut R);

/// `outer` kernels: `c[i][0..columns] (+)= sum over k: a[k][i] * b[k][..]`, `a` packed `[k][height]`, `b`
/// packed `[k][columns]`. Arguments: k, a, b, c, elements between rows of c, whether to add.
type OuterKernel<R> = unsafe fn(usize, *const R, *const R, *mut R, usize, bool);

/// The micro-kernels for one precision and instruction set.
#[derive(Clone, Copy)]
pub(in crate::runtime::cpu) struct Tile<R> {
    /// Rows of the result in a tile.
    pub(in crate::runtime::cpu) height: usize,
    /// Columns of the result in a tile.
    pub(in crate::runtime::cpu) columns: usize,
    /// See [`RowsKernel`].
    pub(in crate::runtime::cpu) rows: RowsKernel<R>,
    /// See [`OuterKernel`]; each with its height: `height`, two thirds, one third.
    pub(in crate::runtime::cpu) outer: [(usize, OuterKernel<R>); 3],
}

/// A vector of lanes.
///
/// # Safety
/// Methods may only be called where the instruction set is there.
unsafe trait Lanes: Copy {
    type R: Copy;
    const COUNT: usize;
    unsafe fn zero() -> Self;
    unsafe fn load(from: *const Self::R) -> Self;
    unsafe fn store(self, to: *mut Self::R);
    unsafe fn splat(from: *const Self::R) -> Self;
    unsafe fn plus(self, other: Self) -> Self;
    /// `self * a + b`.
    unsafe fn fma(self, a: Self, b: Self) -> Self;
}

/// Vectors of a tile's row.
const VECTORS: usize = 2;

#[inline(always)]
unsafe fn rows<L: Lanes, const H: usize>(
    taps: usize,
    depth: usize,
    part: usize,
    table: *const *const L::R,
    panel: *const L::R,
    numbers: *const u32,
    out: *const *mut L::R,
) {
    // SAFETY: the caller's tables and panel are as long as `taps`, `depth` and the tile say.
    unsafe {
        let (mut tap, mut k, mut first) = (0, 0, true);
        while tap < taps {
            let mut sums = [[L::zero(); VECTORS]; H];
            let mut left = part;
            while 0 < left && tap < taps {
                let mut a = [std::ptr::null(); H];
                for (i, a) in a.iter_mut().enumerate() {
                    *a = *table.add(tap * H + i);
                }
                let mut b = panel.add((*numbers.add(tap) as usize * depth + k) * L::COUNT * VECTORS);
                macro_rules! step {
                    ($offset:literal) => {
                        let b0 = L::load(b.add($offset * VECTORS * L::COUNT));
                        let b1 = L::load(b.add(($offset * VECTORS + 1) * L::COUNT));
                        for i in 0..H {
                            let x = L::splat(a[i].add(k + $offset));
                            sums[i][0] = x.fma(b0, sums[i][0]);
                            sums[i][1] = x.fma(b1, sums[i][1]);
                        }
                    };
                }
                let end = depth.min(k + left);
                left -= end - k;
                while k + 4 <= end {
                    step!(0);
                    step!(1);
                    step!(2);
                    step!(3);
                    k += 4;
                    b = b.add(4 * VECTORS * L::COUNT);
                }
                while k < end {
                    step!(0);
                    k += 1;
                    b = b.add(VECTORS * L::COUNT);
                }
                if k == depth {
                    (tap, k) = (tap + 1, 0);
                }
            }
            // What is there already waits in memory: more sums than these do not fit the registers.
            for (i, row) in sums.iter().enumerate() {
                for (j, sum) in row.iter().enumerate() {
                    let to = (*out.add(i)).add(j * L::COUNT);
                    let sum = if first { *sum } else { L::load(to).plus(*sum) };
                    sum.store(to);
                }
            }
            first = false;
        }
    }
}

#[inline(always)]
unsafe fn outer<L: Lanes, const H: usize>(
    depth: usize,
    mut a: *const L::R,
    mut b: *const L::R,
    c: *mut L::R,
    pitch: usize,
    add: bool,
) {
    // SAFETY: the caller's packs hold `depth` steps, and `c` the tile's rows.
    unsafe {
        let mut sums = [[L::zero(); VECTORS]; H];
        if add {
            for (i, row) in sums.iter_mut().enumerate() {
                for (j, sum) in row.iter_mut().enumerate() {
                    *sum = L::load(c.add(i * pitch + j * L::COUNT));
                }
            }
        }
        for _ in 0..depth {
            let b0 = L::load(b);
            let b1 = L::load(b.add(L::COUNT));
            for (i, row) in sums.iter_mut().enumerate() {
                let x = L::splat(a.add(i));
                row[0] = x.fma(b0, row[0]);
                row[1] = x.fma(b1, row[1]);
            }
            a = a.add(H);
            b = b.add(VECTORS * L::COUNT);
        }
        for (i, row) in sums.iter().enumerate() {
            for (j, sum) in row.iter().enumerate() {
                sum.store(c.add(i * pitch + j * L::COUNT));
            }
        }
    }
}

/// Instantiates the kernels for one vector type.
macro_rules! kernels {
    ($module:ident, $lanes:ty, $real:ty, $height:literal, [$high:literal, $middle:literal, $low:literal] $(, $feature:literal)?) => {
        mod $module {
            use super::*;

            $(#[target_feature(enable = $feature)])?
            unsafe fn rows_kernel(
                taps: usize,
                depth: usize,
                part: usize,
                table: *const *const $real,
                panel: *const $real,
                numbers: *const u32,
                out: *const *mut $real,
            ) {
                // SAFETY: passed on to the caller.
                unsafe { rows::<$lanes, $height>(taps, depth, part, table, panel, numbers, out) }
            }

            $(#[target_feature(enable = $feature)])?
            unsafe fn outer_high(k: usize, a: *const $real, b: *const $real, c: *mut $real, pitch: usize, add: bool) {
                // SAFETY: passed on to the caller.
                unsafe { outer::<$lanes, $high>(k, a, b, c, pitch, add) }
            }

            $(#[target_feature(enable = $feature)])?
            unsafe fn outer_middle(k: usize, a: *const $real, b: *const $real, c: *mut $real, pitch: usize, add: bool) {
                // SAFETY: passed on to the caller.
                unsafe { outer::<$lanes, $middle>(k, a, b, c, pitch, add) }
            }

            $(#[target_feature(enable = $feature)])?
            unsafe fn outer_low(k: usize, a: *const $real, b: *const $real, c: *mut $real, pitch: usize, add: bool) {
                // SAFETY: passed on to the caller.
                unsafe { outer::<$lanes, $low>(k, a, b, c, pitch, add) }
            }

            pub(super) fn tile() -> Tile<$real> {
                Tile {
                    height: $height,
                    columns: VECTORS * <$lanes as Lanes>::COUNT,
                    rows: rows_kernel,
                    outer: [($high, outer_high), ($middle, outer_middle), ($low, outer_low)],
                }
            }
        }
    };
}

/// Lanes as an array, for any machine.
#[derive(Clone, Copy)]
struct Array<R, const N: usize>([R; N]);

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
            unsafe fn plus(self, other: Self) -> Self {
                let mut res = self;
                for i in 0..$count {
                    res.0[i] += other.0[i];
                }
                res
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

kernels!(plain32, Array<f32, 4>, f32, 6, [6, 4, 2]);
kernels!(plain64, Array<f64, 2>, f64, 6, [6, 4, 2]);

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::Lanes;
    use std::arch::x86_64::*;

    macro_rules! vector {
        ($name:ident, $vector:ty, $real:ty, $count:literal, $zero:ident, $load:ident, $store:ident, $splat:ident, $add:ident, $fma:ident) => {
            #[derive(Clone, Copy)]
            pub(super) struct $name($vector);

            // SAFETY: each method is one instruction of the set that the trait's callers vouch for.
            unsafe impl Lanes for $name {
                type R = $real;
                const COUNT: usize = $count;
                #[inline(always)]
                unsafe fn zero() -> Self {
                    // SAFETY: see above.
                    unsafe { $name($zero()) }
                }
                #[inline(always)]
                unsafe fn load(from: *const $real) -> Self {
                    // SAFETY: see above.
                    unsafe { $name($load(from)) }
                }
                #[inline(always)]
                unsafe fn store(self, to: *mut $real) {
                    // SAFETY: see above.
                    unsafe { $store(to, self.0) }
                }
                #[inline(always)]
                unsafe fn splat(from: *const $real) -> Self {
                    // SAFETY: see above.
                    unsafe { $name($splat(*from)) }
                }
                #[inline(always)]
                unsafe fn plus(self, other: Self) -> Self {
                    // SAFETY: see above.
                    unsafe { $name($add(self.0, other.0)) }
                }
                #[inline(always)]
                unsafe fn fma(self, a: Self, b: Self) -> Self {
                    // SAFETY: see above.
                    unsafe { $name($fma(self.0, a.0, b.0)) }
                }
            }
        };
    }
    vector!(
        F32x8,
        __m256,
        f32,
        8,
        _mm256_setzero_ps,
        _mm256_loadu_ps,
        _mm256_storeu_ps,
        _mm256_set1_ps,
        _mm256_add_ps,
        _mm256_fmadd_ps
    );
    vector!(
        F64x4,
        __m256d,
        f64,
        4,
        _mm256_setzero_pd,
        _mm256_loadu_pd,
        _mm256_storeu_pd,
        _mm256_set1_pd,
        _mm256_add_pd,
        _mm256_fmadd_pd
    );
    vector!(
        F32x16,
        __m512,
        f32,
        16,
        _mm512_setzero_ps,
        _mm512_loadu_ps,
        _mm512_storeu_ps,
        _mm512_set1_ps,
        _mm512_add_ps,
        _mm512_fmadd_ps
    );
    vector!(
        F64x8,
        __m512d,
        f64,
        8,
        _mm512_setzero_pd,
        _mm512_loadu_pd,
        _mm512_storeu_pd,
        _mm512_set1_pd,
        _mm512_add_pd,
        _mm512_fmadd_pd
    );
}

#[cfg(target_arch = "x86_64")]
kernels!(avx2_32, x86::F32x8, f32, 6, [6, 4, 2], "avx2,fma");
#[cfg(target_arch = "x86_64")]
kernels!(avx2_64, x86::F64x4, f64, 6, [6, 4, 2], "avx2,fma");
#[cfg(target_arch = "x86_64")]
kernels!(avx512_32, x86::F32x16, f32, 12, [12, 8, 4], "avx512f,avx2,fma");
#[cfg(target_arch = "x86_64")]
kernels!(avx512_64, x86::F64x8, f64, 12, [12, 8, 4], "avx512f,avx2,fma");

impl Tile<f32> {
    /// For this instruction set.
    pub(in crate::runtime::cpu) fn f32(isa: Isa) -> Self {
        match isa {
            Isa::Plain => plain32::tile(),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => avx2_32::tile(),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => avx512_32::tile(),
        }
    }
}

impl Tile<f64> {
    /// For this instruction set.
    pub(in crate::runtime::cpu) fn f64(isa: Isa) -> Self {
        match isa {
            Isa::Plain => plain64::tile(),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => avx2_64::tile(),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => avx512_64::tile(),
        }
    }
}
