//! Functions of one f32 without branches, so that loops over them become vector instructions.
//! Errors are at most 4 units in the last place (tested). Polynomials are minimax fits of the
//! remainders named beside them.

/// Adding and subtracting it rounds an f32 below 2^22 to an integer, which is then in the low bits.
const ROUND: f32 = 12_582_912.0;

#[inline(always)]
fn fma<const FMA: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FMA { a.mul_add(b, c) } else { a * b + c }
}

/// Horner's scheme, highest power first.
#[inline(always)]
fn poly<const FMA: bool, const N: usize>(x: f32, coefficients: [f32; N]) -> f32 {
    let mut sum = coefficients[0];
    for &c in &coefficients[1..] {
        sum = fma::<FMA>(sum, x, c);
    }
    sum
}

#[inline(always)]
fn clamp(x: f32, low: f32, high: f32) -> f32 {
    // NaN passes both comparisons.
    let x = if x < low { low } else { x };
    if high < x { high } else { x }
}

/// `2^n` for `n` in -126..=127.
#[inline(always)]
fn power_of_two(n: i32) -> f32 {
    f32::from_bits((n.wrapping_add(127) as u32) << 23)
}

/// `x = n ln 2 + r`; gives `n` and `e^r - 1`.
#[inline(always)]
fn reduce_exp<const FMA: bool>(x: f32) -> (i32, f32) {
    let shifted = fma::<FMA>(x, std::f32::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    // ln 2 in two parts; the first has trailing zeros, so that its product with `n` is exact.
    let r = fma::<FMA>(n, -0.693_359_4, x);
    let r = fma::<FMA>(n, 2.121_944_4e-4, r);
    // (e^r - 1 - r) / r^2
    let p = poly::<FMA, 6>(r, [1.990_890_9e-4, 1.393_454_4e-3, 8.333_284e-3, 4.166_645_6e-2, 1.666_666_7e-1, 5e-1]);
    (shifted.to_bits().wrapping_sub(ROUND.to_bits()) as i32, fma::<FMA>(r * r, p, r))
}

/// `e^x`.
#[inline(always)]
pub(super) fn exp<const FMA: bool>(x: f32) -> f32 {
    let (n, e) = reduce_exp::<FMA>(clamp(x, -104.0, 89.0));
    // In two steps, for results below the normal range and above it.
    let half = n >> 1;
    (e + 1.0) * power_of_two(half) * power_of_two(n.wrapping_sub(half))
}

/// `e^x - 1`.
#[inline(always)]
pub(super) fn expm1<const FMA: bool>(x: f32) -> f32 {
    let (n, e) = reduce_exp::<FMA>(clamp(x, -40.0, 89.0));
    // 2^128 is out of range, its half is not.
    let scale = power_of_two(n.wrapping_sub(1));
    2.0 * fma::<FMA>(scale, e, scale - 0.5)
}

/// Hyperbolic tangent.
#[inline(always)]
pub(super) fn tanh<const FMA: bool>(x: f32) -> f32 {
    let e = expm1::<FMA>(clamp(2.0 * x.abs(), 0.0, 30.0));
    (e / (e + 2.0)).copysign(x)
}

/// Error function: what is left of 1 beside `e^-y`, for a `y` that is `x` times a polynomial. Where it is small, `e^-y - 1`
/// keeps its digits.
#[inline(always)]
pub(super) fn erf<const FMA: bool>(x: f32) -> f32 {
    let a = clamp(x.abs(), 0.0, 4.0);
    // -log(1 - erf a) / a - 1
    let s = poly::<FMA, 8>(
        a,
        [
            4.070_796e-5,
            -3.810_008_6e-4,
            1.251_747_2e-3,
            2.057_152_7e-4,
            -1.932_171_5e-2,
            1.028_144_1e-1,
            6.366_164_7e-1,
            1.283_792_1e-1,
        ],
    );
    let (n, e) = reduce_exp::<FMA>(-fma::<FMA>(a, s, a));
    // At least 2^-26.
    let scale = power_of_two(n);
    fma::<FMA>(-scale, e, 1.0 - scale).copysign(x)
}

/// Natural logarithm.
#[inline(always)]
pub(super) fn log<const FMA: bool>(x: f32) -> f32 {
    let tiny = x < f32::MIN_POSITIVE;
    let scaled = if tiny { x * 8_388_608.0 } else { x };
    // The exponent that leaves the mantissa in [sqrt(1/2), sqrt(2)).
    let bits = scaled.to_bits().wrapping_sub(0x3F35_04F3);
    let exponent = (bits as i32) >> 23;
    let mantissa = f32::from_bits((bits & 0x007F_FFFF).wrapping_add(0x3F35_04F3));
    let n = exponent as f32 - if tiny { 23.0 } else { 0.0 };
    let f = mantissa - 1.0;
    // (log(1 + f) - f + f^2 / 2) / f^3
    let p = poly::<FMA, 9>(
        f,
        [
            6.927_849e-2,
            -1.180_847e-1,
            1.187_729_3e-1,
            -1.238_165_5e-1,
            1.421_779e-1,
            -1.666_936_9e-1,
            2.000_227e-1,
            -2.499_998_5e-1,
            3.333_331e-1,
        ],
    );
    let square = f * f;
    let low = fma::<FMA>(n, -2.121_944_4e-4, fma::<FMA>(square * f, p, -0.5 * square));
    let value = fma::<FMA>(n, 0.693_359_4, f + low);
    let value = if x == f32::INFINITY { x } else { value };
    let value = if x == 0.0 { f32::NEG_INFINITY } else { value };
    if 0.0 <= x { value } else { f32::NAN }
}

/// `log(1 + x)`.
#[inline(always)]
pub(super) fn log1p<const FMA: bool>(x: f32) -> f32 {
    let u = 1.0 + x;
    // What rounding `u` lost.
    let value = log::<FMA>(u) + (x - (u - 1.0)) / u;
    if u == 0.0 || u == f32::INFINITY { log::<FMA>(u) } else { value }
}

/// `x = n pi/2 + r`; gives `n`, the sine of `r` and its cosine. Reduced in f64: exact enough for
/// arguments up to 1e8.
#[inline(always)]
fn circle<const FMA: bool>(x: f32) -> (i64, f32, f32) {
    const ROUND: f64 = 6_755_399_441_055_744.0;
    let wide = f64::from(x);
    let shifted = wide * std::f64::consts::FRAC_2_PI + ROUND;
    let n = shifted - ROUND;
    // pi/2 in three parts; the first has trailing zeros, so that its product with `n` is exact; the last
    // is what f64 has no room for, and counts where the sine is near zero.
    let high = f64::from_bits(0x3FF9_21FB_4000_0000);
    let low = 6.123_233_995_736_766e-17;
    let r = ((wide - n * high) - n * (std::f64::consts::FRAC_PI_2 - high) - n * low) as f32;
    let z = r * r;
    // (sin r - r) / r^3 and (cos r - 1 + r^2 / 2) / r^4, in r^2
    let s = poly::<FMA, 4>(z, [2.717_564_5e-6, -1.983_925_6e-4, 8.333_329e-3, -1.666_666_7e-1]);
    let c = poly::<FMA, 4>(z, [-2.720_330_5e-7, 2.479_943_6e-5, -1.388_888_3e-3, 4.166_666_8e-2]);
    let sin = fma::<FMA>(r * z, s, r);
    let cos = fma::<FMA>(z * z, c, fma::<FMA>(z, -0.5, 1.0));
    (shifted.to_bits().wrapping_sub(ROUND.to_bits()) as i64, sin, cos)
}

/// Sine.
#[inline(always)]
pub(super) fn sin<const FMA: bool>(x: f32) -> f32 {
    let (n, sin, cos) = circle::<FMA>(x);
    let value = if n & 1 == 0 { sin } else { cos };
    if n & 2 == 0 { value } else { -value }
}

/// Cosine.
#[inline(always)]
pub(super) fn cos<const FMA: bool>(x: f32) -> f32 {
    let (n, sin, cos) = circle::<FMA>(x);
    let value = if n & 1 == 0 { cos } else { sin };
    if n.wrapping_add(1) & 2 == 0 { value } else { -value }
}

/// `(asin(a) - a) / a` for `a = sqrt(z)` up to 1/2.
#[inline(always)]
fn asin_rest<const FMA: bool>(z: f32) -> f32 {
    z * poly::<FMA, 5>(z, [4.227_851_7e-2, 2.411_449e-2, 4.548_333_6e-2, 7.495_196e-2, 1.666_675_5e-1])
}

/// Whether `a`, from 0 to 1, is beyond 1/2, and `asin a`, or else half of `acos a`; `rest` is `1 - a`, which may be more
/// exact than `a` is.
#[inline(always)]
fn arc<const FMA: bool>(a: f32, rest: f32) -> (bool, f32) {
    let large = 0.5 < a;
    // acos a = 2 asin(sqrt((1 - a) / 2))
    let z = if large { 0.5 * rest } else { a * a };
    let s = if large { z.sqrt() } else { a };
    (large, fma::<FMA>(s, asin_rest::<FMA>(z), s))
}

#[inline(always)]
fn asin_with<const FMA: bool>(x: f32, a: f32, rest: f32) -> f32 {
    let (large, value) = arc::<FMA>(a, rest);
    let value = if large { std::f32::consts::FRAC_PI_2 - 2.0 * value } else { value };
    value.copysign(x)
}

#[inline(always)]
fn acos_with<const FMA: bool>(x: f32, a: f32, rest: f32) -> f32 {
    let (large, value) = arc::<FMA>(a, rest);
    let signed = value.copysign(x);
    // Near -1 the result is pi less a small angle, near 1 the small angle itself.
    let near = if x < 0.0 { std::f32::consts::PI - 2.0 * value } else { 2.0 * value };
    if large { near } else { std::f32::consts::FRAC_PI_2 - signed }
}

/// Arc sine of `x` clamped to [-1, 1].
#[inline(always)]
pub(super) fn asin<const FMA: bool>(x: f32) -> f32 {
    let a = clamp(x.abs(), 0.0, 1.0);
    asin_with::<FMA>(x, a, 1.0 - a)
}

/// Arc cosine of `x` clamped to [-1, 1].
#[inline(always)]
pub(super) fn acos<const FMA: bool>(x: f32) -> f32 {
    let a = clamp(x.abs(), 0.0, 1.0);
    acos_with::<FMA>(x, a, 1.0 - a)
}

/// Size of `x`, at most 1, and what it lacks of 1.
#[inline(always)]
fn parts(x: f64) -> (f32, f32) {
    let a = x.abs();
    let a = if 1.0 < a { 1.0 } else { a };
    (a as f32, (1.0 - a) as f32)
}

/// Arc sine of an `x` that f32 would round, which near the ends moves the angle by much more.
#[inline(always)]
pub(super) fn asin_of<const FMA: bool>(x: f64) -> f32 {
    let (a, rest) = parts(x);
    asin_with::<FMA>(x as f32, a, rest)
}

/// Arc cosine, likewise.
#[inline(always)]
pub(super) fn acos_of<const FMA: bool>(x: f64) -> f32 {
    let (a, rest) = parts(x);
    acos_with::<FMA>(x as f32, a, rest)
}

/// Arc tangent.
#[inline(always)]
pub(super) fn atan<const FMA: bool>(x: f32) -> f32 {
    let a = x.abs();
    let far = 2.414_213_7 < a;
    let middle = 0.414_213_57 < a;
    // Turned by an eighth or a quarter of the circle, so that what is left is below tan(pi/8).
    let top = if far {
        -1.0
    } else if middle {
        a - 1.0
    } else {
        a
    };
    let bottom = if far {
        a
    } else if middle {
        a + 1.0
    } else {
        1.0
    };
    let turn = if far {
        std::f32::consts::FRAC_PI_2
    } else if middle {
        std::f32::consts::FRAC_PI_4
    } else {
        0.0
    };
    let t = top / bottom;
    let z = t * t;
    // (atan t - t) / t^3, in t^2
    let p = poly::<FMA, 5>(z, [-6.078_859e-2, 1.059_427_7e-1, -1.424_362_8e-1, 1.999_847_9e-1, -3.333_331_5e-1]);
    (turn + fma::<FMA>(t * z, p, t)).copysign(x)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Units in the last place between a result and the truth.
    fn ulps(found: f32, truth: f64) -> f64 {
        if found.is_nan() && truth.is_nan() || f64::from(found) == truth {
            return 0.0;
        }
        let nearest = truth as f32;
        if nearest == found {
            return 0.5;
        }
        let unit = f64::from(f32::from_bits(nearest.abs().to_bits() + 1)) - f64::from(nearest.abs());
        (f64::from(found) - truth).abs() / unit
    }

    fn worst(name: &str, low: f32, high: f32, bound: f64, f: fn(f32) -> f32, truth: fn(f64) -> f64) {
        let count = 400_000;
        let mut found = (0.0, 0.0);
        for at in 0..=count {
            let x = low + (high - low) * (at as f32 / count as f32);
            let error = ulps(f(x), truth(f64::from(x)));
            if found.0 < error || error.is_nan() {
                found = (error, x);
            }
        }
        println!("{name} [{low}, {high}]: {} ulp at {}", found.0, found.1);
        assert!(found.0 <= bound, "{name}: {} ulp at {}", found.0, found.1);
    }

    #[test]
    fn angles_are_exact_where_their_cosine_needs_more_than_f32() {
        for at in 1..4000 {
            let x = 1.0 - 1e-9 * f64::from(at * at);
            for x in [x, -x] {
                let found = [asin_of::<true>(x), asin_of::<false>(x), acos_of::<true>(x), acos_of::<false>(x)];
                for (found, truth) in found.into_iter().zip([x.asin(), x.asin(), x.acos(), x.acos()]) {
                    assert!(ulps(found, truth) <= 3.0, "{x}: {found} instead of {truth}");
                }
            }
        }
        assert_eq!(asin_of::<false>(7.0), std::f32::consts::FRAC_PI_2);
        assert_eq!(acos_of::<false>(-7.0), std::f32::consts::PI);
        assert!(asin_of::<false>(f64::NAN).is_nan() && acos_of::<false>(f64::NAN).is_nan());
    }

    fn each<const FMA: bool>() {
        worst("exp", -87.0, 88.7, 2.0, exp::<FMA>, f64::exp);
        worst("exp", -1.0, 1.0, 2.0, exp::<FMA>, f64::exp);
        worst("expm1", -20.0, 88.0, 3.0, expm1::<FMA>, f64::exp_m1);
        worst("expm1", -1.0, 1.0, 3.0, expm1::<FMA>, f64::exp_m1);
        worst("tanh", -10.0, 10.0, 4.0, tanh::<FMA>, f64::tanh);
        worst("tanh", -0.5, 0.5, 4.0, tanh::<FMA>, f64::tanh);
        worst("erf", -1.0, 1.0, 3.0, erf::<FMA>, crate::ir::expr::erf);
        worst("erf", -5.0, 5.0, 3.0, erf::<FMA>, crate::ir::expr::erf);
        worst("erf", -1e-6, 1e-6, 2.0, erf::<FMA>, crate::ir::expr::erf);
        worst("log", 1e-6, 3.0, 2.0, log::<FMA>, f64::ln);
        worst("log", 1.0, 1e30, 2.0, log::<FMA>, f64::ln);
        worst("log", 1e-45, 1e-37, 2.0, log::<FMA>, f64::ln);
        worst("log1p", -0.999, 3.0, 3.0, log1p::<FMA>, f64::ln_1p);
        worst("log1p", -1e-3, 1e-3, 2.0, log1p::<FMA>, f64::ln_1p);
        worst("sin", -3.0, 3.0, 2.0, sin::<FMA>, f64::sin);
        worst("sin", 1000.0, 100_000.0, 2.0, sin::<FMA>, f64::sin);
        worst("cos", -3.0, 3.0, 2.0, cos::<FMA>, f64::cos);
        worst("cos", -100_000.0, -1000.0, 2.0, cos::<FMA>, f64::cos);
        worst("asin", -1.0, 1.0, 3.0, asin::<FMA>, f64::asin);
        worst("acos", -1.0, 1.0, 3.0, acos::<FMA>, f64::acos);
        worst("acos", 0.999, 1.0, 3.0, acos::<FMA>, f64::acos);
        worst("atan", -5.0, 5.0, 3.0, atan::<FMA>, f64::atan);
        worst("atan", 5.0, 1e9, 3.0, atan::<FMA>, f64::atan);
    }

    #[test]
    fn functions_are_exact_to_a_few_units_in_the_last_place() {
        each::<false>();
        each::<true>();
    }

    #[test]
    fn ends_and_exceptions_are_right() {
        assert_eq!(exp::<false>(f32::NEG_INFINITY), 0.0);
        assert_eq!(exp::<false>(f32::INFINITY), f32::INFINITY);
        assert_eq!(expm1::<false>(f32::INFINITY), f32::INFINITY);
        assert_eq!(expm1::<false>(-100.0), -1.0);
        assert_eq!(expm1::<false>(1e-30), 1e-30);
        assert_eq!(tanh::<false>(100.0), 1.0);
        assert_eq!(tanh::<false>(-1e-20), -1e-20);
        assert_eq!((erf::<false>(f32::INFINITY), erf::<false>(-1e9), erf::<false>(0.0)), (1.0, -1.0, 0.0));
        assert!(erf::<false>(f32::NAN).is_nan());
        assert_eq!(log::<false>(0.0), f32::NEG_INFINITY);
        assert_eq!(log::<false>(f32::INFINITY), f32::INFINITY);
        assert!(log::<false>(-1.0).is_nan());
        assert_eq!(log1p::<false>(-1.0), f32::NEG_INFINITY);
        assert_eq!(asin::<false>(7.0), std::f32::consts::FRAC_PI_2);
        assert_eq!(acos::<false>(-7.0), std::f32::consts::PI);
        assert_eq!(atan::<false>(f32::INFINITY), std::f32::consts::FRAC_PI_2);
        for f in [exp::<false>, expm1::<false>, tanh::<false>, log::<false>, log1p::<false>, sin::<false>] {
            assert!(f(f32::NAN).is_nan());
        }
        for f in [cos::<false>, asin::<false>, acos::<false>, atan::<false>] {
            assert!(f(f32::NAN).is_nan());
        }
    }
}
