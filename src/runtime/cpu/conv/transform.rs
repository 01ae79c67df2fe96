//! The transforms of Winograd's F(2x2, 3x3): 16 products per 2x2 tile of the result instead of 36.
//!
//! `Y = A' ((G g G') . (B' d B)) A` for a 4x4 patch `d` and a 3x3 filter `g`; the filter's gradient is
//! `G' ((B' d B) . (A y A')) G`. All work on vectors of channels: element `f` of 16 lies `step` elements
//! after element `f - 1`.
//!
//! No closures and no iterators over arrays here: one that is not inlined would be compiled without the vector instructions,
//! and what it is given would go through memory.

#![allow(clippy::needless_range_loop, reason = "see above")]

#[cfg(target_arch = "x86_64")]
use super::lanes::x86;
use super::lanes::{Array, Lanes};
use crate::runtime::cpu::isa::Isa;

/// Products of a tile.
pub(super) const PRODUCTS: usize = 16;

/// Transforms for one precision and instruction set. The number of channels must be a multiple of
/// `lanes`.
pub(in crate::runtime::cpu) struct Transforms<R> {
    /// Channels of a vector.
    pub(super) lanes: usize,
    /// `B' d B`: rows of the patch, channels, result, step.
    pub(super) patch: unsafe fn(&[*const R; 16], usize, *mut R, usize),
    /// Row `y` of `B' d B`: y, rows of the patch, channels, result, step.
    pub(super) patch_row: unsafe fn(usize, &[*const R; 16], usize, *mut R, usize),
    /// Row `y` of `A y A'`: y, rows of the tile, channels, result, step.
    pub(super) spread_row: unsafe fn(usize, &[*const R; 4], usize, *mut R, usize),
    /// `A' m A`: products, step, channels, rows of the tile (null where it is outside).
    pub(super) tile: unsafe fn(*const R, usize, usize, &[*mut R; 4]),
    /// `G g G'`: filter, elements between its taps, channels, result, step.
    pub(super) filter: unsafe fn(*const R, usize, usize, *mut R, usize),
    /// `G' (sum of chunks) G`: first chunk, elements between chunks, chunks, step, channels, result,
    /// elements between its taps.
    pub(super) gradient: unsafe fn(*const R, usize, usize, usize, usize, *mut R, usize),
}

/// Columns as rows.
#[inline(always)]
unsafe fn turned<L: Lanes, const COLUMNS: usize, const ROWS: usize>(
    columns: [[L; ROWS]; COLUMNS],
) -> [[L; COLUMNS]; ROWS] {
    // SAFETY: the caller has the instructions.
    let mut rows = [[unsafe { L::zero() }; COLUMNS]; ROWS];
    for x in 0..COLUMNS {
        for y in 0..ROWS {
            rows[y][x] = columns[x][y];
        }
    }
    rows
}

/// `B' d` of one column.
#[inline(always)]
unsafe fn differences<L: Lanes>(d: [L; 4]) -> [L; 4] {
    // SAFETY: the caller has the instructions.
    unsafe { [d[0].sub(d[2]), d[1].add(d[2]), d[2].sub(d[1]), d[1].sub(d[3])] }
}

#[inline(always)]
unsafe fn patch<L: Lanes>(rows: &[*const L::R; 16], channels: usize, to: *mut L::R, step: usize) {
    // SAFETY: every row has `channels` elements, and so has each of the 16 results.
    unsafe {
        for c in (0..channels).step_by(L::COUNT) {
            let mut columns = [[L::zero(); 4]; 4];
            for x in 0..4 {
                let mut d = [L::zero(); 4];
                for y in 0..4 {
                    d[y] = L::load(rows[y * 4 + x].add(c));
                }
                columns[x] = differences(d);
            }
            let turned = turned(columns);
            for y in 0..4 {
                let row = differences(turned[y]);
                for x in 0..4 {
                    row[x].store(to.add((y * 4 + x) * step + c));
                }
            }
        }
    }
}

/// Row `y` of `B' d B` only: four of the products.
#[inline(always)]
unsafe fn patch_row<L: Lanes>(y: usize, rows: &[*const L::R; 16], channels: usize, to: *mut L::R, step: usize) {
    let (a, b) = ([0, 1, 2, 1][y] * 4, [2, 2, 1, 3][y] * 4);
    // SAFETY: as for `patch`, with four results.
    unsafe {
        for c in (0..channels).step_by(L::COUNT) {
            let mut columns = [L::zero(); 4];
            for x in 0..4 {
                let (a, b) = (L::load(rows[a + x].add(c)), L::load(rows[b + x].add(c)));
                columns[x] = if y == 1 { a.add(b) } else { a.sub(b) };
            }
            let row = differences(columns);
            for x in 0..4 {
                row[x].store(to.add(x * step + c));
            }
        }
    }
}

/// `A y` of one column.
#[inline(always)]
unsafe fn sums<L: Lanes>(y: [L; 2]) -> [L; 4] {
    // SAFETY: the caller has the instructions.
    unsafe { [y[0], y[0].add(y[1]), y[0].sub(y[1]), L::zero().sub(y[1])] }
}

/// Row `y` of `A y A'`.
#[inline(always)]
unsafe fn spread_row<L: Lanes>(y: usize, rows: &[*const L::R; 4], channels: usize, to: *mut L::R, step: usize) {
    // SAFETY: as for `patch_row`.
    unsafe {
        for c in (0..channels).step_by(L::COUNT) {
            let mut columns = [L::zero(); 2];
            for x in 0..2 {
                let (a, b) = (L::load(rows[x].add(c)), L::load(rows[2 + x].add(c)));
                columns[x] = match y {
                    0 => a,
                    1 => a.add(b),
                    2 => a.sub(b),
                    _ => L::zero().sub(b),
                };
            }
            let row = sums(columns);
            for x in 0..4 {
                row[x].store(to.add(x * step + c));
            }
        }
    }
}

/// `A' m` of one column.
#[inline(always)]
unsafe fn gathered<L: Lanes>(m: [L; 4]) -> [L; 2] {
    // SAFETY: the caller has the instructions.
    unsafe { [m[0].add(m[1]).add(m[2]), m[1].sub(m[2]).sub(m[3])] }
}

#[inline(always)]
unsafe fn tile<L: Lanes>(from: *const L::R, step: usize, channels: usize, rows: &[*mut L::R; 4]) {
    // SAFETY: as for `patch`; null rows are left out.
    unsafe {
        for c in (0..channels).step_by(L::COUNT) {
            let mut columns = [[L::zero(); 2]; 4];
            for x in 0..4 {
                let mut m = [L::zero(); 4];
                for y in 0..4 {
                    m[y] = L::load(from.add((y * 4 + x) * step + c));
                }
                columns[x] = gathered(m);
            }
            let turned = turned(columns);
            for y in 0..2 {
                let row = gathered(turned[y]);
                for x in 0..2 {
                    let to = rows[y * 2 + x];
                    if !to.is_null() {
                        row[x].store(to.add(c));
                    }
                }
            }
        }
    }
}

/// `G g` of one column.
#[inline(always)]
unsafe fn halves<L: Lanes>(g: [L; 3], half: L) -> [L; 4] {
    // SAFETY: the caller has the instructions.
    unsafe {
        let ends = g[0].add(g[2]);
        [g[0], ends.add(g[1]).mul(half), ends.sub(g[1]).mul(half), g[2]]
    }
}

#[inline(always)]
unsafe fn filter<L: Lanes>(from: *const L::R, tap: usize, channels: usize, to: *mut L::R, step: usize, half: L) {
    // SAFETY: as for `patch`, with 9 taps.
    unsafe {
        for c in (0..channels).step_by(L::COUNT) {
            let mut columns = [[L::zero(); 4]; 3];
            for x in 0..3 {
                let mut g = [L::zero(); 3];
                for y in 0..3 {
                    g[y] = L::load(from.add((y * 3 + x) * tap + c));
                }
                columns[x] = halves(g, half);
            }
            let turned = turned(columns);
            for y in 0..4 {
                let row = halves(turned[y], half);
                for x in 0..4 {
                    row[x].store(to.add((y * 4 + x) * step + c));
                }
            }
        }
    }
}

/// `G' u` of one column.
#[inline(always)]
unsafe fn joined<L: Lanes>(u: [L; 4], half: L) -> [L; 3] {
    // SAFETY: the caller has the instructions.
    unsafe {
        let (sum, difference) = (u[1].add(u[2]).mul(half), u[1].sub(u[2]).mul(half));
        [u[0].add(sum), difference, sum.add(u[3])]
    }
}

#[inline(always)]
unsafe fn gradient<L: Lanes>(
    from: *const L::R,
    [chunk, chunks, step]: [usize; 3],
    channels: usize,
    to: *mut L::R,
    tap: usize,
    half: L,
) {
    // SAFETY: as for `filter`, the other way round, over all chunks.
    unsafe {
        for c in (0..channels).step_by(L::COUNT) {
            let mut columns = [[L::zero(); 3]; 4];
            for x in 0..4 {
                let mut u = [L::zero(); 4];
                for y in 0..4 {
                    u[y] = L::load(from.add((y * 4 + x) * step + c));
                    for at in 1..chunks {
                        u[y] = u[y].add(L::load(from.add(at * chunk + (y * 4 + x) * step + c)));
                    }
                }
                columns[x] = joined(u, half);
            }
            let turned = turned(columns);
            for y in 0..3 {
                let row = joined(turned[y], half);
                for x in 0..3 {
                    row[x].store(to.add((y * 3 + x) * tap + c));
                }
            }
        }
    }
}

/// Instantiates the transforms for one vector type.
macro_rules! transforms {
    ($module:ident, $lanes:ty, $real:ty $(, $feature:literal)?) => {
        mod $module {
            use super::{Lanes, Transforms};

            type L = $lanes;

            $(#[target_feature(enable = $feature)])?
            unsafe fn patch(rows: &[*const $real; 16], channels: usize, to: *mut $real, step: usize) {
                // SAFETY: passed on to the caller.
                unsafe { super::patch::<L>(rows, channels, to, step) }
            }

            $(#[target_feature(enable = $feature)])?
            unsafe fn patch_row(y: usize, rows: &[*const $real; 16], channels: usize, to: *mut $real, step: usize) {
                // SAFETY: passed on to the caller. Each row is compiled for itself.
                unsafe {
                    match y {
                        0 => super::patch_row::<L>(0, rows, channels, to, step),
                        1 => super::patch_row::<L>(1, rows, channels, to, step),
                        2 => super::patch_row::<L>(2, rows, channels, to, step),
                        _ => super::patch_row::<L>(3, rows, channels, to, step),
                    }
                }
            }

            $(#[target_feature(enable = $feature)])?
            unsafe fn spread_row(y: usize, rows: &[*const $real; 4], channels: usize, to: *mut $real, step: usize) {
                // SAFETY: as above.
                unsafe {
                    match y {
                        0 => super::spread_row::<L>(0, rows, channels, to, step),
                        1 => super::spread_row::<L>(1, rows, channels, to, step),
                        2 => super::spread_row::<L>(2, rows, channels, to, step),
                        _ => super::spread_row::<L>(3, rows, channels, to, step),
                    }
                }
            }

            $(#[target_feature(enable = $feature)])?
            unsafe fn tile(from: *const $real, step: usize, channels: usize, rows: &[*mut $real; 4]) {
                // SAFETY: passed on to the caller.
                unsafe { super::tile::<L>(from, step, channels, rows) }
            }

            $(#[target_feature(enable = $feature)])?
            unsafe fn filter(from: *const $real, tap: usize, channels: usize, to: *mut $real, step: usize) {
                // SAFETY: passed on to the caller.
                unsafe { super::filter::<L>(from, tap, channels, to, step, L::same(0.5)) }
            }

            $(#[target_feature(enable = $feature)])?
            unsafe fn gradient(
                from: *const $real,
                chunk: usize,
                chunks: usize,
                step: usize,
                channels: usize,
                to: *mut $real,
                tap: usize,
            ) {
                // SAFETY: passed on to the caller.
                unsafe { super::gradient::<L>(from, [chunk, chunks, step], channels, to, tap, L::same(0.5)) }
            }

            pub(super) fn transforms() -> Transforms<$real> {
                Transforms { lanes: L::COUNT, patch, patch_row, spread_row, tile, filter, gradient }
            }
        }
    };
}

transforms!(plain32, super::Array<f32, 4>, f32);
transforms!(plain64, super::Array<f64, 2>, f64);
#[cfg(target_arch = "x86_64")]
transforms!(avx2_32, super::x86::F32x8, f32, "avx2,fma");
#[cfg(target_arch = "x86_64")]
transforms!(avx2_64, super::x86::F64x4, f64, "avx2,fma");
#[cfg(target_arch = "x86_64")]
transforms!(avx512_32, super::x86::F32x16, f32, "avx512f,avx2,fma");
#[cfg(target_arch = "x86_64")]
transforms!(avx512_64, super::x86::F64x8, f64, "avx512f,avx2,fma");

impl Transforms<f32> {
    /// For this instruction set.
    pub(in crate::runtime::cpu) fn f32(isa: Isa) -> Self {
        match isa {
            Isa::Plain => plain32::transforms(),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => avx2_32::transforms(),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => avx512_32::transforms(),
        }
    }
}

impl Transforms<f64> {
    /// For this instruction set.
    pub(in crate::runtime::cpu) fn f64(isa: Isa) -> Self {
        match isa {
            Isa::Plain => plain64::transforms(),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => avx2_64::transforms(),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => avx512_64::transforms(),
        }
    }
}
