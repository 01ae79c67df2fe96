//! Scalar expressions in f64, node by node: the meaning of every `Unary` and `Binary`.

use crate::ir::{Binary, ExprNode, ScalarFn, Unary};

/// The smallest `1 - a^2` that the slope of `asin` sees in f64.
const ASIN_SLOPE_FLOOR: f64 = 1e-12;

/// Evaluates every node into `values` (cleared first); results are at the function's roots.
pub(super) fn evaluate(f: &ScalarFn, inputs: &[f64], values: &mut Vec<f64>) {
    values.clear();
    for node in &f.nodes {
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
