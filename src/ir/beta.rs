//! Quantiles of the distribution Beta(alpha, alpha).
//!
//! Its distribution function is the incomplete beta function over twice its value at 1/2, since it is symmetric; that
//! function is `x^a (1 - x)^a / a` over the continued fraction of DLMF 8.17.22 (<https://dlmf.nist.gov/8.17>), which is taken
//! by Lentz's method and converges quickly up to 1/2. Beyond, the quantile of `1 - p` is 1 minus that of `p`.

/// How many there are: in the middles of as many equal parts.
pub const COUNT: usize = 1024;

/// Shares are multiples of one over this.
pub const UNIT: f64 = 65536.0;

/// The continued fraction at `x` up to 1/2.
fn fraction(alpha: f64, x: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let kept = |it: f64| if it.abs() < TINY { TINY } else { it };
    let (mut value, mut c, mut d) = (1.0, 1.0, 0.0);
    for at in 1..10_000u32 {
        let m = f64::from(at / 2);
        let term = if at % 2 == 0 {
            m * (alpha - m) * x / ((alpha + 2.0 * m - 1.0) * (alpha + 2.0 * m))
        } else {
            -(alpha + m) * (2.0 * alpha + m) * x / ((alpha + 2.0 * m) * (alpha + 2.0 * m + 1.0))
        };
        d = 1.0 / kept(1.0 + term * d);
        c = kept(1.0 + term / c);
        value *= c * d;
        if (c * d - 1.0).abs() < 1e-12 {
            break;
        }
    }
    1.0 / value
}

/// The logarithm of the incomplete beta function, from 0 to `x`, at most 1/2.
fn incomplete(alpha: f64, x: f64) -> f64 {
    alpha * (x.ln() + (-x).ln_1p()) - alpha.ln() + fraction(alpha, x).ln()
}

/// [`COUNT`] quantiles, ascending, each rounded to a multiple of 1 over [`UNIT`].
pub fn quantiles(alpha: f64) -> Vec<f64> {
    let whole = incomplete(alpha, 0.5) + std::f64::consts::LN_2;
    let mut lower = Vec::with_capacity(COUNT / 2);
    let mut least = 0.0;
    for at in 0..COUNT / 2 {
        let wanted = ((at as f64 + 0.5) / COUNT as f64).ln() + whole;
        let (mut low, mut high) = (least, 0.5);
        for _ in 0..26 {
            let middle = (low + high) / 2.0;
            if incomplete(alpha, middle) < wanted { low = middle } else { high = middle }
        }
        least = low;
        lower.push(((low + high) / 2.0 * UNIT).round() / UNIT);
    }
    let upper: Vec<f64> = lower.iter().rev().map(|it| 1.0 - it).collect();
    [lower, upper].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three of them have distribution functions that can be written down.
    #[test]
    fn quantiles_are_those_of_known_distributions() {
        type Density = fn(f64) -> f64;
        let known: [(f64, Density); 4] = [
            (0.5, |x| x.sqrt().asin() * std::f64::consts::FRAC_2_PI),
            (1.0, |x| x),
            (2.0, |x| x * x * (3.0 - 2.0 * x)),
            (3.0, |x| x.powi(3) * (10.0 - 15.0 * x + 6.0 * x * x)),
        ];
        for (alpha, distribution) in known {
            let all = quantiles(alpha);
            assert_eq!(all.len(), COUNT);
            for (at, x) in all.iter().enumerate() {
                // Within the rounding of a share.
                let wanted = (at as f64 + 0.5) / COUNT as f64;
                let ends = [x - 0.51 / UNIT, x + 0.51 / UNIT].map(|it| distribution(it.clamp(0.0, 1.0)));
                assert!(ends[0] <= wanted && wanted <= ends[1], "{alpha}: {x} at {wanted}, {ends:?}");
            }
        }
    }

    #[test]
    fn extreme_ones_are_shares_in_order() {
        for alpha in [0.01, 0.1, 0.2, 7.5, 100.0] {
            let all = quantiles(alpha);
            assert!(all.windows(2).all(|it| it[0] <= it[1]), "{alpha}");
            assert!(all.iter().all(|it| (0.0..=1.0).contains(it) && (it * UNIT).fract() == 0.0), "{alpha}");
            assert_eq!(all[0], 1.0 - all[COUNT - 1]);
        }
    }
}
