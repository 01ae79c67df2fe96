//! The two precisions, and the functions of one number in each.

use super::augment::Pixel;
use super::conv::direct::Direct;
use super::conv::tile::Tile;
use super::conv::transform::Transforms;
use super::isa::Isa;
use super::map::along::Along;
use super::math;
use gemm_common::Parallelism;
use std::ops::{Add, AddAssign, Div, Mul, Neg, Sub};

/// A matrix product of the `gemm` crates.
pub(super) type Gemm<T> = unsafe fn(
    usize,
    usize,
    usize,
    *mut T,
    isize,
    isize,
    bool,
    *const T,
    isize,
    isize,
    *const T,
    isize,
    isize,
    T,
    T,
    bool,
    bool,
    bool,
    Parallelism,
);

/// `f32` or `f64`.
pub(super) trait Real:
    Pixel
    + Default
    + PartialOrd
    + std::fmt::Debug
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + AddAssign
{
    /// 0.
    const ZERO: Self;
    /// 1.
    const ONE: Self;
    /// The smallest `1 - a^2` that the slope of `asin` sees.
    const SLOPE: Self;
    /// The matrix product: `m`, `n`, `k`; the result with the strides of its columns and rows, and whether it is read;
    /// the left operand and the right one with theirs; factors of what was there and of the product; three flags for complex
    /// numbers; threads.
    fn gemm() -> Gemm<Self>;
    /// Rounds.
    fn of(value: f64) -> Self;
    /// Widens.
    fn f64(self) -> f64;
    /// `self * a + b`, fused where that is one instruction.
    fn fma<const FMA: bool>(self, a: Self, b: Self) -> Self;
    /// Magnitude.
    fn abs(self) -> Self;
    /// Whether it is NaN.
    fn is_nan(self) -> bool;
    /// The larger; NaN when either is NaN, as IEEE 754's `maximum`.
    #[inline(always)]
    fn larger(self, other: Self) -> Self {
        if other < self || self.is_nan() { self } else { other }
    }
    /// Root.
    fn sqrt(self) -> Self;
    /// Largest integer not above.
    fn floor(self) -> Self;
    /// `e^self`.
    fn exp<const FMA: bool>(self) -> Self;
    /// `e^self - 1`.
    fn expm1<const FMA: bool>(self) -> Self;
    /// Natural logarithm.
    fn log<const FMA: bool>(self) -> Self;
    /// `log(1 + self)`.
    fn log1p<const FMA: bool>(self) -> Self;
    /// Sine.
    fn sin<const FMA: bool>(self) -> Self;
    /// Cosine.
    fn cos<const FMA: bool>(self) -> Self;
    /// Hyperbolic tangent.
    fn tanh<const FMA: bool>(self) -> Self;
    /// Error function.
    fn erf<const FMA: bool>(self) -> Self;
    /// Arc sine of what is clamped to [-1, 1].
    fn asin<const FMA: bool>(self) -> Self;
    /// Arc cosine of what is clamped to [-1, 1].
    fn acos<const FMA: bool>(self) -> Self;
    /// Arc sine of a number that was not rounded before.
    fn asin_of<const FMA: bool>(wide: f64) -> Self;
    /// Arc cosine, likewise.
    fn acos_of<const FMA: bool>(wide: f64) -> Self;
    /// Arc tangent.
    fn atan<const FMA: bool>(self) -> Self;
    /// Power.
    fn pow(self, exponent: Self) -> Self;
    /// The loops of reductions.
    fn along(isa: Isa) -> Along<Self>;
    /// The micro-kernels of matrix products.
    fn tile(isa: Isa) -> Tile<Self>;
    /// The transforms of Winograd's convolutions.
    fn transforms(isa: Isa) -> Transforms<Self>;
    /// The micro-kernels of convolutions whose channels are lanes.
    fn direct(isa: Isa) -> Direct<Self>;
}

/// A real in another precision; between equal precisions it is nothing.
#[inline(always)]
pub(super) fn convert<A: Real, B: Real>(value: A) -> B {
    B::of(value.f64())
}

macro_rules! through_math {
    ($($name:ident),*) => {$(
        #[inline(always)]
        fn $name<const FMA: bool>(self) -> Self {
            math::$name::<FMA>(self)
        }
    )*};
}

impl Real for f32 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;
    const SLOPE: Self = 1e-6;

    fn gemm() -> Gemm<Self> {
        gemm_f32::gemm::f32::get_gemm_fn()
    }
    #[inline(always)]
    fn of(value: f64) -> Self {
        value as f32
    }
    #[inline(always)]
    fn f64(self) -> f64 {
        f64::from(self)
    }
    #[inline(always)]
    fn fma<const FMA: bool>(self, a: Self, b: Self) -> Self {
        if FMA { self.mul_add(a, b) } else { self * a + b }
    }
    #[inline(always)]
    fn abs(self) -> Self {
        f32::abs(self)
    }
    #[inline(always)]
    fn is_nan(self) -> bool {
        f32::is_nan(self)
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        f32::sqrt(self)
    }
    #[inline(always)]
    fn floor(self) -> Self {
        f32::floor(self)
    }
    through_math!(exp, expm1, log, log1p, sin, cos, tanh, erf, asin, acos, atan);
    #[inline(always)]
    fn asin_of<const FMA: bool>(wide: f64) -> Self {
        math::asin_of::<FMA>(wide)
    }
    #[inline(always)]
    fn acos_of<const FMA: bool>(wide: f64) -> Self {
        math::acos_of::<FMA>(wide)
    }
    #[inline(always)]
    fn pow(self, exponent: Self) -> Self {
        f64::from(self).powf(f64::from(exponent)) as f32
    }
    fn along(isa: Isa) -> Along<Self> {
        Along::f32(isa)
    }
    fn tile(isa: Isa) -> Tile<Self> {
        Tile::f32(isa)
    }
    fn transforms(isa: Isa) -> Transforms<Self> {
        Transforms::f32(isa)
    }
    fn direct(isa: Isa) -> Direct<Self> {
        Direct::f32(isa)
    }
}

macro_rules! through_std {
    ($($name:ident = $call:ident),*) => {$(
        #[inline(always)]
        fn $name<const FMA: bool>(self) -> Self {
            self.$call()
        }
    )*};
}

impl Real for f64 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;
    const SLOPE: Self = 1e-12;

    fn gemm() -> Gemm<Self> {
        gemm_f64::gemm::f64::get_gemm_fn()
    }
    #[inline(always)]
    fn of(value: f64) -> Self {
        value
    }
    #[inline(always)]
    fn f64(self) -> f64 {
        self
    }
    #[inline(always)]
    fn fma<const FMA: bool>(self, a: Self, b: Self) -> Self {
        if FMA { self.mul_add(a, b) } else { self * a + b }
    }
    #[inline(always)]
    fn abs(self) -> Self {
        f64::abs(self)
    }
    #[inline(always)]
    fn is_nan(self) -> bool {
        f64::is_nan(self)
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        f64::sqrt(self)
    }
    #[inline(always)]
    fn floor(self) -> Self {
        f64::floor(self)
    }
    through_std!(exp = exp, expm1 = exp_m1, log = ln, log1p = ln_1p, sin = sin, cos = cos, tanh = tanh, atan = atan);
    #[inline(always)]
    fn erf<const FMA: bool>(self) -> Self {
        crate::ir::expr::erf(self)
    }
    #[inline(always)]
    fn asin<const FMA: bool>(self) -> Self {
        self.clamp(-1.0, 1.0).asin()
    }
    #[inline(always)]
    fn acos<const FMA: bool>(self) -> Self {
        self.clamp(-1.0, 1.0).acos()
    }
    #[inline(always)]
    fn asin_of<const FMA: bool>(wide: f64) -> Self {
        Real::asin::<FMA>(wide)
    }
    #[inline(always)]
    fn acos_of<const FMA: bool>(wide: f64) -> Self {
        Real::acos::<FMA>(wide)
    }
    #[inline(always)]
    fn pow(self, exponent: Self) -> Self {
        self.powf(exponent)
    }
    fn along(isa: Isa) -> Along<Self> {
        Along::f64(isa)
    }
    fn tile(isa: Isa) -> Tile<Self> {
        Tile::f64(isa)
    }
    fn transforms(isa: Isa) -> Transforms<Self> {
        Transforms::f64(isa)
    }
    fn direct(isa: Isa) -> Direct<Self> {
        Direct::f64(isa)
    }
}
