//! Scalar expressions in f64, node by node: the meaning of every `Unary` and `Binary`.

use crate::ir::{Binary, ExprNode, ScalarFn, Unary};

/// The smallest `1 - a^2` that the slope of `asin` sees in f64.
const ASIN_SLOPE_FLOOR: f64 = 1e-12;

/// Evaluates every node into `values` (cleared first); results are at the function's roots.
pub(super) fn evaluate(f: &ScalarFn, inputs: &[f64], values: &mut Vec<f64>) {
    values.clear();
    for node in &*f.nodes {
        let value = match *node {
            ExprNode::Const(value) => value.0,
            ExprNode::Input(at) => inputs[at as usize],
            ExprNode::Unary(op, a) => unary(op, values[a.0 as usize]),
            ExprNode::Binary(op, a, b) => binary(op, values[a.0 as usize], values[b.0 as usize]),
            ExprNode::Select(cond, a, b) => {
                if values[cond.0 as usize] != 0.0 {
                    values[a.0 as usize]
                } else {
                    values[b.0 as usize]
                }
            }
        };
        values.push(value);
    }
}

/// One operand.
pub(super) fn unary(op: Unary, a: f64) -> f64 {
    match op {
        Unary::Neg => -a,
        Unary::Abs => a.abs(),
        Unary::Sign => {
            if a == 0.0 || a.is_nan() {
                a
            } else {
                a.signum()
            }
        }
        Unary::Sqrt => a.sqrt(),
        Unary::Rsqrt => 1.0 / a.sqrt(),
        Unary::Exp => a.exp(),
        Unary::Expm1 => a.exp_m1(),
        Unary::Log => a.ln(),
        Unary::Log1p => a.ln_1p(),
        Unary::Sin => a.sin(),
        Unary::Cos => a.cos(),
        Unary::Tanh => a.tanh(),
        // Both ends are exact: as `tanh` it would lose what is left near 0.
        Unary::Logistic => (-softplus(-a)).exp(),
        Unary::Erf => erf(a),
        Unary::Asin => a.clamp(-1.0, 1.0).asin(),
        Unary::Acos => a.clamp(-1.0, 1.0).acos(),
        Unary::AsinSlope => 1.0 / at_least((1.0 - a) * (1.0 + a), ASIN_SLOPE_FLOOR).sqrt(),
        Unary::Atan => a.atan(),
        Unary::Floor => a.floor(),
        Unary::Stop => a,
    }
}

/// Two operands.
pub(super) fn binary(op: Binary, a: f64, b: f64) -> f64 {
    let truth = |it: bool| if it { 1.0 } else { 0.0 };
    match op {
        Binary::Add => a + b,
        Binary::Sub => a - b,
        Binary::Mul => a * b,
        Binary::Div => a / b,
        Binary::Pow => a.powf(b),
        Binary::Min | Binary::Max if a.is_nan() || b.is_nan() => f64::NAN,
        Binary::Min => a.min(b),
        Binary::Max => a.max(b),
        Binary::Lt => truth(a < b),
        Binary::Le => truth(a <= b),
        Binary::Eq => truth(a == b),
    }
}

/// `log(1 + e^a)`.
fn softplus(a: f64) -> f64 {
    if 0.0 < a { a + (-a).exp().ln_1p() } else { a.exp().ln_1p() }
}

/// The error function: its power series up to 1, and beyond the trapezoidal rule for an integral of what it lacks of 1,
/// with the residue that the step leaves.
fn erf(a: f64) -> f64 {
    use std::f64::consts::{FRAC_2_SQRT_PI, PI};
    let x = a.abs();
    if x <= 1.0 {
        let (mut power, mut sum) = (a, 0.0);
        for n in 0..25 {
            sum += power / f64::from(2 * n + 1);
            power *= -a * a / f64::from(n + 1);
        }
        return FRAC_2_SQRT_PI * sum;
    }
    if 6.5 < x {
        return a.signum();
    }
    let step = 0.5;
    let square = |k: i32| (step * f64::from(k)).powi(2);
    let rest: f64 = (1..=13).map(|k| (-square(k)).exp() / (x * x + square(k))).sum();
    let trapezoids = 2.0 * step * x / PI * (-x * x).exp() * (0.5 / (x * x) + rest);
    let residue = if x < PI / step { 2.0 / (2.0 * PI * x / step).exp_m1() } else { 0.0 };
    (1.0 - (trapezoids - residue)).copysign(a)
}

/// The larger of the two, but NaN stays NaN, so that a broken number shows.
fn at_least(a: f64, low: f64) -> f64 {
    if a < low { low } else { a }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::{FRAC_PI_2, PI};

    #[test]
    fn singular_functions_are_safe() {
        assert_eq!(unary(Unary::Asin, 1.5), FRAC_PI_2);
        assert_eq!(unary(Unary::Acos, -1.5), PI);
        assert_eq!(unary(Unary::AsinSlope, 1.0), 1e6);
        assert_eq!(unary(Unary::AsinSlope, -3.0), 1e6);
        assert_eq!(unary(Unary::AsinSlope, 0.6), 1.25);
        assert!(unary(Unary::Sqrt, -1.0).is_nan());
        assert!(unary(Unary::Sqrt, f64::NAN).is_nan());
        assert!(unary(Unary::Asin, f64::NAN).is_nan());
    }

    #[test]
    fn each_unary_has_its_value() {
        let cases = [
            (Unary::Neg, 2.0, -2.0),
            (Unary::Abs, -2.0, 2.0),
            (Unary::Sign, -7.0, -1.0),
            (Unary::Sign, 0.0, 0.0),
            (Unary::Sign, 7.0, 1.0),
            (Unary::Sqrt, 9.0, 3.0),
            (Unary::Rsqrt, 4.0, 0.5),
            (Unary::Exp, 0.0, 1.0),
            (Unary::Expm1, 1e-20, 1e-20),
            (Unary::Log, 1.0, 0.0),
            (Unary::Log1p, 1e-20, 1e-20),
            (Unary::Sin, 0.0, 0.0),
            (Unary::Cos, 0.0, 1.0),
            (Unary::Tanh, 0.0, 0.0),
            (Unary::Logistic, 0.0, 0.5),
            (Unary::Logistic, -1000.0, 0.0),
            (Unary::Erf, 0.0, 0.0),
            (Unary::Erf, f64::INFINITY, 1.0),
            (Unary::Asin, 1.0, FRAC_PI_2),
            (Unary::Acos, 1.0, 0.0),
            (Unary::Atan, 0.0, 0.0),
            (Unary::Floor, -0.5, -1.0),
            (Unary::Stop, 3.0, 3.0),
        ];
        for (op, a, expected) in cases {
            assert_eq!(unary(op, a), expected, "{op:?} {a}");
        }
    }

    /// Against PyTorch in f64, and the same formula for optimisation and kernels against this one.
    #[test]
    fn the_error_function_agrees_with_others() {
        let cases = [
            (1e-9, 1.1283791670955127e-09),
            (0.1, 0.1124629160182849),
            (-0.5, -0.5204998778130465),
            (0.9, 0.7969082124228322),
            (1.3, 0.9340079449406524),
            (-2.0, -0.9953222650189527),
            (2.7, 0.9998656672600594),
            (3.5, 0.9999992569016276),
            (5.0, 0.9999999999984626),
            (-6.5, -1.0),
        ];
        for (a, wanted) in cases {
            let near = |found: f64| (found - wanted).abs() <= 4.0 * f64::EPSILON * wanted.abs();
            assert!(near(unary(Unary::Erf, a)) && near(Unary::Erf.apply(a)), "{a}");
        }
        for at in -700..700 {
            let a = f64::from(at) * 0.01;
            let (one, other) = (unary(Unary::Erf, a), Unary::Erf.apply(a));
            assert!((one - other).abs() <= 8.0 * f64::EPSILON * one.abs(), "{a}: {one} {other}");
        }
        assert!(unary(Unary::Erf, f64::NAN).is_nan() && Unary::Erf.apply(f64::NAN).is_nan());
    }

    #[test]
    fn each_binary_has_its_value() {
        let cases = [
            (Binary::Add, 2.0, 3.0, 5.0),
            (Binary::Sub, 2.0, 3.0, -1.0),
            (Binary::Mul, 2.0, 3.0, 6.0),
            (Binary::Div, 3.0, 2.0, 1.5),
            (Binary::Pow, 2.0, 3.0, 8.0),
            (Binary::Min, 2.0, 3.0, 2.0),
            (Binary::Max, 2.0, 3.0, 3.0),
            (Binary::Lt, 2.0, 2.0, 0.0),
            (Binary::Lt, 1.0, 2.0, 1.0),
            (Binary::Le, 2.0, 2.0, 1.0),
            (Binary::Eq, 2.0, 2.0, 1.0),
            (Binary::Eq, 2.0, 3.0, 0.0),
        ];
        for (op, a, b, expected) in cases {
            assert_eq!(binary(op, a, b), expected, "{op:?} {a} {b}");
        }
    }

    #[test]
    fn select_takes_the_first_where_the_condition_is_not_zero() {
        let f = ScalarFn::build(3, |pool, i| pool.select(i[0], i[1], i[2]));
        let mut values = Vec::new();
        for (cond, expected) in [(0.0, 5.0), (1.0, 4.0), (-2.0, 4.0)] {
            evaluate(&f, &[cond, 4.0, 5.0], &mut values);
            assert_eq!(values[f.root().0 as usize], expected);
        }
    }
}
