//! Symbolic derivatives, forward through the DAG: one visit a node, so the result is as shared as
//! the function and of linear size. It is simplified while it is built.

use super::simplify::{Known, Simplifier};
use super::{Binary, ExprNode, Scalar, ScalarFn, Unary};

impl ScalarFn {
    /// The derivative in argument `input`: one result per result, of the same arity.
    ///
    /// Where a function has a corner or a pole, the derivative is finite: that of `Sqrt` is 0 at 0, ties of
    /// `Max` and `Min` go to `b`, `Sign`, `Floor`, `Stop` and comparisons have derivative 0, and `Asin` has
    /// `AsinSlope`. Where a function is NaN, so is its derivative, or what it is multiplied by passes.
    pub fn differentiate(&self, input: u32) -> ScalarFn {
        self.differentiate_with(input, Known::default())
    }

    /// The same, where something is known of the arguments.
    pub fn differentiate_with(&self, input: u32, given: Known<'_>) -> ScalarFn {
        let mut s = Simplifier::new(given);
        let simple = self.simplify_with(given);
        let (values, _) = s.copy(&simple);
        let zero = s.constant(0.0);
        let mut slopes: Vec<Scalar> = Vec::with_capacity(simple.nodes.len());
        for (at, node) in simple.nodes.iter().enumerate() {
            let y = values[at];
            let v = |it: Scalar| values[it.0 as usize];
            let d = |it: Scalar| slopes[it.0 as usize];
            let slope = match *node {
                ExprNode::Const(_) => zero,
                ExprNode::Input(i) if i == input => s.constant(1.0),
                ExprNode::Input(_) => zero,
                ExprNode::Unary(_, a) if s.is_zero(d(a)) => zero,
                ExprNode::Unary(op, a) => unary(&mut s, op, v(a), y, d(a)),
                ExprNode::Binary(_, a, b) if s.is_zero(d(a)) && s.is_zero(d(b)) => zero,
                ExprNode::Binary(op, a, b) => binary(&mut s, op, [v(a), v(b)], y, [d(a), d(b)]),
                ExprNode::Select(c, a, b) => s.select(v(c), d(a), d(b)),
            };
            slopes.push(slope);
        }
        let roots: Vec<Scalar> = simple.roots.iter().map(|it| slopes[it.0 as usize]).collect();
        s.pool.finish(self.arity, &roots).simplify_with(given)
    }
}

/// Slope of `y = op(a)` times `da`.
fn unary(s: &mut Simplifier<'_>, op: Unary, a: Scalar, y: Scalar, da: Scalar) -> Scalar {
    let slope = match op {
        Unary::Neg => return s.neg(da),
        Unary::Abs => s.unary(Unary::Sign, a),
        Unary::Sqrt => {
            let (zero, half) = (s.constant(0.0), s.constant(0.5));
            let root = s.unary(Unary::Rsqrt, a);
            let slope = s.mul(root, half);
            if s.is_positive(a) {
                slope
            } else {
                let pole = s.binary(Binary::Eq, a, zero);
                s.select(pole, zero, slope)
            }
        }
        Unary::Rsqrt => {
            let half = s.constant(-0.5);
            let square = s.mul(y, y);
            let cube = s.mul(square, y);
            s.mul(cube, half)
        }
        Unary::Exp => y,
        // Not `y + 1`, which is 0 long before `e^a` is.
        Unary::Expm1 => s.unary(Unary::Exp, a),
        Unary::Log => return s.div(da, a),
        Unary::Log1p => {
            let one = s.constant(1.0);
            let moved = s.add(one, a);
            return s.div(da, moved);
        }
        Unary::Sin => s.unary(Unary::Cos, a),
        Unary::Cos => {
            let sin = s.unary(Unary::Sin, a);
            s.neg(sin)
        }
        // Not `1 - y^2`, which is 0 long before the slope is.
        Unary::Tanh => {
            let four = s.constant(4.0);
            let slope = bell(s, a, 2.0);
            s.mul(slope, four)
        }
        // Not `y (1 - y)`, likewise.
        Unary::Logistic => bell(s, a, 1.0),
        Unary::Erf => {
            let height = s.constant(std::f64::consts::FRAC_2_SQRT_PI);
            let square = s.mul(a, a);
            let exponent = s.neg(square);
            let bell = s.unary(Unary::Exp, exponent);
            s.mul(bell, height)
        }
        Unary::Asin => s.unary(Unary::AsinSlope, a),
        Unary::Acos => {
            let slope = s.unary(Unary::AsinSlope, a);
            s.neg(slope)
        }
        Unary::AsinSlope => {
            let square = s.mul(y, y);
            let cube = s.mul(square, y);
            s.mul(a, cube)
        }
        Unary::Atan => {
            let one = s.constant(1.0);
            let square = s.mul(a, a);
            let moved = s.add(one, square);
            return s.div(da, moved);
        }
        Unary::Sign | Unary::Floor | Unary::Stop => return s.constant(0.0),
    };
    s.mul(slope, da)
}

/// `u / (1 + u)^2` with `u = e^-|by a|`: the slope of the logistic function, exact in both tails.
fn bell(s: &mut Simplifier<'_>, a: Scalar, by: f64) -> Scalar {
    let (one, by) = (s.constant(1.0), s.constant(-by));
    let size = s.unary(Unary::Abs, a);
    let exponent = s.mul(size, by);
    let u = s.unary(Unary::Exp, exponent);
    let sum = s.add(one, u);
    let square = s.mul(sum, sum);
    s.div(u, square)
}

/// Total derivative of `y = op(a, b)`.
fn binary(s: &mut Simplifier<'_>, op: Binary, [a, b]: [Scalar; 2], y: Scalar, [da, db]: [Scalar; 2]) -> Scalar {
    match op {
        Binary::Add => s.add(da, db),
        Binary::Sub => s.sub(da, db),
        Binary::Mul if a == b => {
            let two = s.constant(2.0);
            let slope = s.mul(a, da);
            s.mul(slope, two)
        }
        // What does not depend on the argument has no part in it, whatever it is.
        Binary::Mul if s.is_zero(db) => s.mul(da, b),
        Binary::Mul if s.is_zero(da) => s.mul(a, db),
        Binary::Mul => {
            let (left, right) = (s.mul(da, b), s.mul(a, db));
            s.add(left, right)
        }
        Binary::Div if s.is_zero(db) => s.div(da, b),
        Binary::Div => {
            let right = s.div(db, b);
            let right = s.mul(y, right);
            if s.is_zero(da) {
                return s.neg(right);
            }
            let left = s.div(da, b);
            s.sub(left, right)
        }
        Binary::Pow => {
            let by_base = if s.is_zero(da) {
                da
            } else {
                let one = s.constant(1.0);
                let less = s.sub(b, one);
                let power = s.binary(Binary::Pow, a, less);
                let slope = s.mul(power, b);
                s.mul(slope, da)
            };
            let by_exponent = if s.is_zero(db) {
                db
            } else {
                let zero = s.constant(0.0);
                let pole = s.binary(Binary::Eq, a, zero);
                let log = s.unary(Unary::Log, a);
                let log = s.select(pole, zero, log);
                let slope = s.mul(y, log);
                s.mul(slope, db)
            };
            s.add(by_base, by_exponent)
        }
        // Asked this way around, NaN is followed to `a`: no gradient is lost behind it.
        Binary::Min => {
            let right = s.binary(Binary::Le, b, a);
            s.select(right, db, da)
        }
        Binary::Max => {
            let right = s.binary(Binary::Le, a, b);
            s.select(right, db, da)
        }
        Binary::Lt | Binary::Le | Binary::Eq => s.constant(0.0),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{arguments, expression, with_error};
    use super::*;
    use proptest::prelude::*;

    /// Slope of the chord over `2 h`.
    fn chord(f: &ScalarFn, args: &[f64], input: usize, h: f64) -> f64 {
        let side = |h: f64| {
            let mut args = args.to_vec();
            args[input] += h;
            f.eval(&args)[0]
        };
        (side(h) - side(-h)) / (2.0 * h)
    }

    /// Derivative by central differences of four sizes, extrapolated (Ridders): about 1e-11.
    fn numeric(f: &ScalarFn, args: &[f64], input: usize) -> f64 {
        let mut row: Vec<f64> = (0..4).map(|it| chord(f, args, input, 0.02 / f64::powi(2.0, it))).collect();
        for order in 1..4 {
            let factor = f64::powi(4.0, order);
            row = row.windows(2).map(|it| (factor * it[1] - it[0]) / (factor - 1.0)).collect();
        }
        row[0]
    }

    fn agree(f: &ScalarFn, args: &[f64]) {
        for input in 0..f.arity {
            let (got, want) = (f.differentiate(input).eval(args)[0], numeric(f, args, input as usize));
            assert!((got - want).abs() <= 2e-8 * (1.0 + want.abs()), "{f} in a{input} at {args:?}: {got} {want}");
        }
    }

    #[test]
    fn every_function_of_one_argument_agrees_with_differences() {
        for op in Unary::ALL.into_iter().filter(|it| *it != Unary::Stop) {
            let f = ScalarFn::build(1, |p, i| p.unary(op, i[0]));
            for at in [0.11, 0.37, 0.52, 0.83] {
                agree(&f, &[at]);
                if op.domain().low().is_none_or(|it| it < -at) {
                    agree(&f, &[-at]);
                }
            }
            // And behind something else, so that the chain rule counts.
            let chain = ScalarFn::build(2, |p, i| {
                let (half, quarter) = (p.constant(0.5), p.constant(0.2));
                let product = p.mul(i[0], i[1]);
                let inner = p.mul(product, quarter);
                let inner = p.add(inner, half);
                let value = p.unary(op, inner);
                p.mul(value, i[0])
            });
            agree(&chain, &[0.7, -0.9]);
            agree(&chain, &[-0.6, -0.8]);
        }
    }

    #[test]
    fn every_function_of_two_arguments_agrees_with_differences() {
        for op in Binary::ALL {
            let f = ScalarFn::build(2, |p, i| p.binary(op, i[0], i[1]));
            for args in [[0.3, 0.8], [1.7, 0.9], [2.2, 1.4], [1.3, -0.7]] {
                agree(&f, &args);
            }
            let square = ScalarFn::build(2, |p, i| {
                let (sin, one) = (p.unary(Unary::Sin, i[1]), p.constant(1.5));
                let a = p.add(sin, one);
                let b = p.mul(i[0], i[1]);
                p.binary(op, a, b)
            });
            agree(&square, &[0.4, 0.9]);
            agree(&square, &[2.3, 1.3]);
        }
    }

    #[test]
    fn corners_and_poles_have_finite_derivatives() {
        let at = |op: Unary, x: f64| ScalarFn::build(1, |p, i| p.unary(op, i[0])).differentiate(0).eval(&[x])[0];
        assert_eq!(at(Unary::Sqrt, 0.0), 0.0);
        assert!(at(Unary::Sqrt, -1.0).is_nan() && at(Unary::Sqrt, f64::NAN).is_nan());
        assert_eq!(at(Unary::Abs, 0.0), 0.0);
        assert_eq!(at(Unary::Stop, 3.0), 0.0);
        assert!(at(Unary::Asin, 1.0).is_finite() && at(Unary::Acos, -1.0).is_finite());
        let relu = ScalarFn::build(1, |p, i| {
            let zero = p.constant(0.0);
            p.binary(Binary::Max, i[0], zero)
        });
        let slope = relu.differentiate(0);
        assert_eq!([slope.eval(&[-1.0]), slope.eval(&[0.0]), slope.eval(&[2.0])], [[0.0], [0.0], [1.0]]);
        assert_eq!(slope.to_string(), "1 - (a0 <= 0)");
        assert_eq!(slope.eval(&[f64::NAN]), [1.0]);
        let power = ScalarFn::build(2, |p, i| p.binary(Binary::Pow, i[0], i[1]));
        assert_eq!(power.differentiate(0).eval(&[0.0, 2.0]), [0.0]);
        assert_eq!(power.differentiate(1).eval(&[0.0, 2.0]), [0.0]);
    }

    #[test]
    fn shared_parts_keep_the_result_of_linear_size() {
        let tower = ScalarFn::build(1, |p, i| {
            (0..40).fold(i[0], |x, _| {
                let sin = p.unary(Unary::Sin, x);
                p.mul(sin, x)
            })
        });
        assert!(tower.differentiate(0).nodes.len() < 10 * tower.nodes.len());
        let several = ScalarFn { roots: [Scalar(0), tower.root()].into(), ..tower.clone() };
        assert_eq!(several.differentiate(0).roots.len(), 2);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

        #[test]
        fn random_functions_agree_with_differences(f in expression(2), args in arguments(2)) {
            // What `stop` and `floor` hide from the derivative, differences see.
            let hides = f.nodes.iter().any(|it| matches!(it, ExprNode::Unary(Unary::Stop | Unary::Floor, _)));
            for input in 0..2u32 {
                // Only where the function looks smooth: chords of three sizes agree, the slope nearby too.
                let slope = f.differentiate(input);
                let near = [0.0, -0.021, 0.021].map(|h| {
                    let mut args = args.clone();
                    args[input as usize] += h;
                    (with_error(&f, &args), slope.eval(&args)[0])
                });
                let chords = [0.02, 0.01, 0.003].map(|h| chord(&f, &args, input as usize, h));
                let here = near[0].1;
                let close = |it: f64| (it - chords[2]).abs() <= 0.02 * (1.0 + chords[2].abs());
                let smooth = near.iter().all(|it| it.0.0.abs() < 1e3 && it.0.1 < 1e-11 && (it.1 - here).abs() < 0.03 * (1.0 + here.abs()));
                if !hides && smooth && chords.iter().all(|it| close(*it)) {
                    let want = numeric(&f, &args, input as usize);
                    prop_assert!((here - want).abs() <= 0.1 * (1.0 + want.abs()), "{f}\n{slope} in a{input} at {args:?}: {here} {want}");
                }
            }
        }
    }
}
