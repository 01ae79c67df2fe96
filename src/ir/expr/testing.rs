//! For tests: random expressions, and how far rounding can take a value.

use super::{Binary, Domain, ExprNode, Pool, Scalar, ScalarFn, Unary};
use proptest::prelude::*;
use std::f64::consts::PI;

const NUMBERS: [f64; 16] =
    [0.0, 1.0, -1.0, 2.0, 0.5, -0.5, 3.0, 4.0, PI, PI / 2.0, 2.0 / PI, 1e-4, 0.05, 127.5, -2.0, 0.3];

/// A random function of `arity` arguments whose roots and logarithms stay inside their domains.
pub(crate) fn expression(arity: u32) -> impl Strategy<Value = ScalarFn> {
    random(arity, step)
}

/// A random function of `arity` arguments that may be NaN.
pub(crate) fn wild_expression(arity: u32) -> impl Strategy<Value = ScalarFn> {
    random(arity, |pool, op, a, b, c| match op % 4 {
        0 => pool.unary(Unary::ALL[op as usize / 4 % Unary::ALL.len()], a),
        1 => pool.binary(Binary::ALL[op as usize / 4 % Binary::ALL.len()], a, b),
        2 => {
            let exponent = pool.constant([0.5, 2.0, -1.0, -0.5, 1.5, 0.0, 3.0][op as usize / 4 % 7]);
            pool.binary(Binary::Pow, a, exponent)
        }
        _ => step(pool, op, a, b, c),
    })
}

type Step = fn(&mut Pool, u32, Scalar, Scalar, Scalar) -> Scalar;

fn random(arity: u32, step: Step) -> impl Strategy<Value = ScalarFn> {
    // Each number pair makes a node of those before it, the later ones more often.
    prop::collection::vec((0u32..1000, 0u32..10_000, 0u32..10_000, 0u32..10_000), 1..14).prop_map(move |steps| {
        let mut pool = Pool::new();
        let mut made: Vec<Scalar> = (0..arity).map(|it| pool.input(it)).collect();
        for (op, a, b, c) in steps {
            let pick = |it: u32| {
                let back = (it % 1000) as usize * made.len() / 1000;
                made[if it < 6000 { made.len() - 1 - back / 2 } else { back }]
            };
            let (a, b, c) = (pick(a), if b % 3 == 0 { number(&mut pool, b) } else { pick(b) }, pick(c));
            made.push(step(&mut pool, op, a, b, c));
        }
        let root = made[made.len() - 1];
        pool.finish(arity, &[root])
    })
}

fn number(pool: &mut Pool, it: u32) -> Scalar {
    pool.constant(NUMBERS[it as usize / 3 % NUMBERS.len()])
}

fn step(pool: &mut Pool, op: u32, a: Scalar, b: Scalar, c: Scalar) -> Scalar {
    match op % 20 {
        0..=2 => pool.add(a, b),
        3..=5 => pool.sub(a, b),
        6..=9 => pool.mul(a, b),
        10 | 11 => pool.div(a, b),
        12 => {
            let op = [Binary::Min, Binary::Max, Binary::Lt, Binary::Le, Binary::Eq][op as usize / 20 % 5];
            pool.binary(op, a, b)
        }
        13 => pool.select(c, a, b),
        14 => {
            let exponent = pool.constant([0.0, 0.5, 1.0, 2.0, 3.0, -1.0, -0.5, 1.5, -2.0, 0.3][op as usize / 20 % 10]);
            let base = safe(pool, a);
            pool.binary(Binary::Pow, base, exponent)
        }
        15 | 16 => {
            let op = [Unary::Sqrt, Unary::Rsqrt, Unary::Log][op as usize / 20 % 3];
            let base = safe(pool, a);
            pool.unary(op, base)
        }
        17 => {
            let op = [Unary::Asin, Unary::Acos, Unary::AsinSlope, Unary::Log1p][op as usize / 20 % 4];
            let inside = pool.unary(Unary::Tanh, a);
            let half = pool.constant(0.9);
            let inside = pool.mul(inside, half);
            pool.unary(op, inside)
        }
        _ => {
            let op = Unary::ALL[op as usize / 20 % Unary::ALL.len()];
            pool.unary(if op.domain() == Domain::All { op } else { Unary::Neg }, a)
        }
    }
}

/// Something above 0.
fn safe(pool: &mut Pool, a: Scalar) -> Scalar {
    let size = pool.unary(Unary::Abs, a);
    let small = pool.constant(0.05);
    pool.add(size, small)
}

/// Arguments.
pub(crate) fn arguments(arity: usize) -> impl Strategy<Value = Vec<f64>> {
    prop::collection::vec(prop_oneof![-3.0..3.0f64, -0.1..0.1f64, Just(0.5), Just(1.0)], arity)
}

/// A value, and a bound of first order on how far rounding of every operation has taken it. Infinite
/// where a decision could go the other way, or a node is not finite.
pub(crate) fn with_error(f: &ScalarFn, args: &[f64]) -> (f64, f64) {
    let values = f.eval_nodes(args);
    let mut errors: Vec<f64> = Vec::with_capacity(values.len());
    for (at, node) in f.nodes.iter().enumerate() {
        let v = |it: Scalar| values[it.0 as usize];
        let e = |it: Scalar| errors[it.0 as usize];
        let through = |slope: f64, error: f64| if error == 0.0 { 0.0 } else { slope.abs() * error };
        let from_operands = match *node {
            ExprNode::Const(_) | ExprNode::Input(_) => 0.0,
            ExprNode::Unary(op, a) => match unary_slope(op, v(a), e(a)) {
                Some(slope) => through(slope, e(a)),
                None => f64::INFINITY,
            },
            ExprNode::Binary(op, a, b) => {
                let (x, y) = (v(a), v(b));
                match op {
                    Binary::Add | Binary::Sub => e(a) + e(b),
                    Binary::Mul => through(y, e(a)) + through(x, e(b)),
                    Binary::Div => through(1.0 / y, e(a)) + through(x / y / y, e(b)),
                    Binary::Pow => through(y * x.powf(y - 1.0), e(a)) + through(x.powf(y) * x.ln(), e(b)),
                    Binary::Min | Binary::Max => e(a).max(e(b)),
                    Binary::Lt | Binary::Le | Binary::Eq if (x - y).abs() < 8.0 * (e(a) + e(b)) => f64::INFINITY,
                    Binary::Lt | Binary::Le | Binary::Eq => 0.0,
                }
            }
            ExprNode::Select(c, ..) if v(c).abs() < 8.0 * e(c) => f64::INFINITY,
            ExprNode::Select(c, a, b) => {
                if v(c) != 0.0 {
                    e(a)
                } else {
                    e(b)
                }
            }
        };
        let exact = matches!(
            node,
            ExprNode::Const(_)
                | ExprNode::Input(_)
                | ExprNode::Select(..)
                | ExprNode::Unary(Unary::Neg | Unary::Abs | Unary::Stop | Unary::Sign | Unary::Floor, _)
                | ExprNode::Binary(Binary::Min | Binary::Max | Binary::Lt | Binary::Le | Binary::Eq, ..)
        );
        let own = match node {
            // Multiples of pi are rounded too.
            ExprNode::Const(value) if value.0.fract() != 0.0 => value.0.abs() * f64::EPSILON,
            _ if exact => 0.0,
            _ => values[at].abs() * f64::EPSILON,
        };
        errors.push(if from_operands.is_nan() { f64::INFINITY } else { from_operands + own });
    }
    let root = f.root().0 as usize;
    if values.iter().any(|it| !it.is_finite()) {
        return (values[root], f64::INFINITY);
    }
    (values[root], errors[root])
}

fn unary_slope(op: Unary, a: f64, error: f64) -> Option<f64> {
    Some(match op {
        Unary::Neg | Unary::Abs | Unary::Stop => 1.0,
        Unary::Sign | Unary::Floor => {
            let edge = if op == Unary::Sign { 0.0 } else { a.round() };
            if error == 0.0 || 8.0 * error < (a - edge).abs() {
                0.0
            } else {
                return None;
            }
        }
        Unary::Sqrt => 0.5 / a.max(error).sqrt(),
        Unary::Rsqrt => 0.5 / a.powf(1.5),
        Unary::Exp | Unary::Expm1 => a.exp(),
        Unary::Log => 1.0 / a,
        Unary::Log1p => 1.0 / (1.0 + a),
        Unary::Sin | Unary::Cos | Unary::Tanh | Unary::Logistic | Unary::Atan => 1.0,
        Unary::Erf => std::f64::consts::FRAC_2_SQRT_PI,
        Unary::Asin | Unary::Acos => Unary::AsinSlope.apply(a),
        Unary::AsinSlope => a * Unary::AsinSlope.apply(a).powi(3),
    })
}
