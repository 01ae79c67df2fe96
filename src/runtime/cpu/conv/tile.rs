//! The micro-kernels of all matrix products: a tile of the result stays in registers while the summed
//! axis runs by. Written once over vectors of lanes, instantiated per instruction set.

#[cfg(target_arch = "x86_64")]
use super::lanes::x86;
use super::lanes::{Array, Lanes};
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

/// `outer` kernels: `c[i][0..columns] (+)= sum over k: a[k][i] * b[k][..]`. Arguments: k, a, b, c, elements
/// between steps of a and of b and between rows of c, whether to add.
pub(super) type OuterKernel<R> = unsafe fn(usize, *const R, *const R, *mut R, [usize; 3], bool);

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
                    let sum = if first { *sum } else { L::load(to).add(*sum) };
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
    [next_a, next_b, pitch]: [usize; 3],
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
            a = a.add(next_a);
            b = b.add(next_b);
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
            unsafe fn outer_high(k: usize, a: *const $real, b: *const $real, c: *mut $real, pitches: [usize; 3], add: bool) {
                // SAFETY: passed on to the caller.
                unsafe { outer::<$lanes, $high>(k, a, b, c, pitches, add) }
            }

            $(#[target_feature(enable = $feature)])?
            unsafe fn outer_middle(k: usize, a: *const $real, b: *const $real, c: *mut $real, pitches: [usize; 3], add: bool) {
                // SAFETY: passed on to the caller.
                unsafe { outer::<$lanes, $middle>(k, a, b, c, pitches, add) }
            }

            $(#[target_feature(enable = $feature)])?
            unsafe fn outer_low(k: usize, a: *const $real, b: *const $real, c: *mut $real, pitches: [usize; 3], add: bool) {
                // SAFETY: passed on to the caller.
                unsafe { outer::<$lanes, $low>(k, a, b, c, pitches, add) }
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

kernels!(plain32, Array<f32, 4>, f32, 6, [6, 4, 2]);
kernels!(plain64, Array<f64, 2>, f64, 6, [6, 4, 2]);

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
