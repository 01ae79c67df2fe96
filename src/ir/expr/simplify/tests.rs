//! Rewrites against evaluation on sampled points.

use super::super::testing::{arguments, expression, wild_expression, with_error};
use super::*;
use proptest::prelude::*;
use std::f64::consts::PI;

fn simple(arity: u32, f: impl FnOnce(&mut Pool, &[Scalar]) -> Scalar) -> String {
    ScalarFn::build(arity, f).simplify().to_string()
}

/// The same for an operator: a cosine, and squares of norms.
fn of_operator(arity: u32, f: impl FnOnce(&mut Pool, &[Scalar]) -> Scalar) -> String {
    ScalarFn::build(arity, f).simplify_with(Known { positive: &[1, 2], cosines: &[0] }).to_string()
}

/// `(1 - 2/pi theta)` and the like, with `theta = acos(a0)`.
fn angle(p: &mut Pool, i: &[Scalar]) -> Scalar {
    p.unary(Unary::Acos, i[0])
}

#[test]
fn no_arc_cosine_survives_in_the_operators_of_the_paper() {
    let cosine = of_operator(1, |p, i| {
        let theta = angle(p, i);
        p.unary(Unary::Cos, theta)
    });
    assert_eq!(cosine, "a0");
    let linear = simple(1, |p, i| {
        let theta = angle(p, i);
        let (one, two, pi) = (p.constant(1.0), p.constant(2.0), p.constant(PI));
        let slope = p.div(two, pi);
        let fall = p.mul(slope, theta);
        p.sub(one, fall)
    });
    assert_eq!(linear, "asin(a0) * 0.6366197723675814");
    let sigmoid = |k: &dyn Fn(&mut Pool, &[Scalar]) -> Scalar, arity| {
        simple(arity, |p, i| {
            let theta = angle(p, i);
            let k = k(p, i);
            let (one, two, four, pi) = (p.constant(1.0), p.constant(2.0), p.constant(4.0), p.constant(PI));
            let (four_k, two_k) = (p.mul(four, k), p.mul(two, k));
            let inner = p.div(pi, four_k);
            let tanh = p.unary(Unary::Tanh, inner);
            let coth = p.div(one, tanh);
            let half = p.div(pi, two);
            let arc = p.sub(half, theta);
            let arc = p.div(arc, two_k);
            let rise = p.unary(Unary::Tanh, arc);
            p.mul(coth, rise)
        })
    };
    // coth(pi / 1.2)
    assert!(sigmoid(&|p, _| p.constant(0.3), 1).starts_with("tanh(asin(a0) * 1.6666666666666667) * 1.0107000720918"));
    let learned = sigmoid(
        &|p, i| {
            let (size, least) = (p.unary(Unary::Abs, i[1]), p.constant(0.05));
            p.add(size, least)
        },
        2,
    );
    assert_eq!(learned, "let t0 = abs(a1) + 0.05; tanh(asin(a0) / t0 * 0.5) / tanh(0.7853981633974483 / t0)");
}

#[test]
fn norms_cancel_where_an_operator_multiplies_the_cosine_by_them() {
    // x_norm * w_norm * (s / (x_norm * w_norm)), over s, x2, w2.
    let norms = |p: &mut Pool, i: &[Scalar]| (p.unary(Unary::Sqrt, i[1]), p.unary(Unary::Sqrt, i[2]));
    let cosine = |p: &mut Pool, i: &[Scalar]| {
        let (x, w) = norms(p, i);
        let both = p.mul(x, w);
        p.div(i[0], both)
    };
    assert_eq!(of_operator(3, cosine), "a0 * (rsqrt(a1) * rsqrt(a2))");
    let none = of_operator(3, |p, i| {
        let ((x, w), c) = (norms(p, i), cosine(p, i));
        let both = p.mul(x, w);
        p.mul(both, c)
    });
    assert_eq!(none, "a0");
    let weight_cosine = of_operator(3, |p, i| {
        let ((x, _), c) = (norms(p, i), cosine(p, i));
        p.mul(x, c)
    });
    assert_eq!(weight_cosine, "a0 * rsqrt(a2)");
    let by_reciprocals = of_operator(3, |p, i| {
        let (x, w) = norms(p, i);
        let (rx, rw) = (p.unary(Unary::Rsqrt, i[1]), p.unary(Unary::Rsqrt, i[2]));
        let c = p.mul(i[0], rx);
        let c = p.mul(c, rw);
        let both = p.mul(x, w);
        p.mul(both, c)
    });
    assert_eq!(by_reciprocals, "a0");
}

#[test]
fn identities() {
    let of = |text: &str, f: &dyn Fn(&mut Pool, &[Scalar]) -> Scalar| assert_eq!(simple(2, |p, i| f(p, i)), text);
    let number = |p: &mut Pool, it: f64| p.constant(it);
    of("a0", &|p, i| {
        let zero = number(p, 0.0);
        p.add(zero, i[0])
    });
    of("-a0", &|p, i| {
        let zero = number(p, 0.0);
        p.sub(zero, i[0])
    });
    of("a0", &|p, i| {
        let minus = p.unary(Unary::Neg, i[0]);
        p.unary(Unary::Neg, minus)
    });
    of("a0 * 0.0078125", &|p, i| {
        let by = number(p, 128.0);
        p.div(i[0], by)
    });
    of("(a0 - 127.5) * 0.0078125", &|p, i| {
        let (middle, by) = (number(p, 127.5), number(p, 128.0));
        let moved = p.sub(i[0], middle);
        p.div(moved, by)
    });
    for (exponent, text) in [
        (0.0, "1"),
        (1.0, "a0"),
        (2.0, "a0 * a0"),
        (3.0, "a0 * a0 * a0"),
        (4.0, "let t0 = a0 * a0; t0 * t0"),
        (0.5, "sqrt(a0)"),
        (-0.5, "rsqrt(a0)"),
        (-1.0, "1 / a0"),
        (-2.0, "1 / (a0 * a0)"),
        (0.3, "a0 ^ 0.3"),
    ] {
        of(text, &|p, i| {
            let exponent = number(p, exponent);
            p.binary(Binary::Pow, i[0], exponent)
        });
    }
    of("abs(a0)", &|p, i| {
        let once = p.unary(Unary::Abs, i[0]);
        p.unary(Unary::Abs, once)
    });
    of("a1", &|p, i| {
        let exp = p.unary(Unary::Exp, i[1]);
        p.unary(Unary::Log, exp)
    });
    of("a1", &|p, i| {
        let (yes, three) = (number(p, 2.0), number(p, 3.0));
        let cond = p.binary(Binary::Lt, yes, three);
        p.select(cond, i[1], i[0])
    });
    of("a1 - a0", &|p, i| {
        let minus = p.unary(Unary::Neg, i[0]);
        p.add(minus, i[1])
    });
    of("a0 * a0", &|p, i| {
        let size = p.unary(Unary::Abs, i[0]);
        p.mul(size, size)
    });
    of("a0 / a1", &|p, i| {
        let one = number(p, 1.0);
        let inverse = p.div(one, i[1]);
        p.mul(inverse, i[0])
    });
    of("max(a0, 3)", &|p, i| {
        let (two, three) = (number(p, 2.0), number(p, 3.0));
        let low = p.binary(Binary::Max, i[0], three);
        p.binary(Binary::Max, low, two)
    });
}

#[test]
fn a_large_constant_is_not_merged_with_a_small_one() {
    // (x - 1e6) is exact near 1e6; x - 999999.999 is not.
    let text = simple(1, |p, i| {
        let (large, small) = (p.constant(1e6), p.constant(1e-3));
        let near = p.sub(i[0], large);
        p.add(near, small)
    });
    assert_eq!(text, "a0 - 1000000 + 0.001");
}

#[test]
fn a_stopped_value_does_not_cancel() {
    let text = simple(1, |p, i| {
        let stop = p.unary(Unary::Stop, i[0]);
        p.sub(i[0], stop)
    });
    assert_eq!(text, "a0 - stop(a0)");
}

#[test]
fn a_product_splits_by_what_its_factors_need() {
    let f = ScalarFn::build(3, |p, i| {
        let r = p.unary(Unary::Rsqrt, i[1]);
        let half = p.constant(-0.5);
        let cube = p.mul(r, r);
        let cube = p.mul(cube, r);
        let outer = p.mul(cube, half);
        let inner = p.mul(i[0], i[2]);
        p.mul(inner, outer)
    });
    let (outer, inner) = f.split_product(&[false, true, false]);
    assert_eq!((outer.arity, inner.arity), (3, 3));
    assert_eq!(outer.to_string(), "let t0 = rsqrt(a1); t0 * t0 * t0 * -0.5");
    assert_eq!(inner.to_string(), "a0 * a2");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, ..ProptestConfig::default() })]

    #[test]
    fn values_are_kept_and_a_second_time_changes_nothing(f in expression(3), args in arguments(3)) {
        let simple = f.simplify();
        prop_assert_eq!(&simple, &simple.simplify(), "of {}", f);
        let (want, error) = with_error(&f, &args);
        let (got, error_after) = with_error(&simple, &args);
        let overflows = simple.eval_nodes(&args).iter().any(|it| !it.is_finite());
        if !overflows && want.is_finite() && error < 1e-6 * (1.0 + want.abs()) {
            // Both are right to within what their own roundings allow.
            let bound = 1e-15 + 8.0 * (error + error_after);
            prop_assert!((want - got).abs() <= bound, "{f}\n{simple}\n{want} {got} {bound:e} at {args:?}");
            // Simplifying loses no digits that the written form keeps.
            prop_assert!(error_after <= 64.0 * error + 1e-15 * (1.0 + want.abs()), "{f}\n{simple}\n{error:e} {error_after:e} at {args:?}");
        }
    }
}

/// Signs and kinds of numbers for which functions leave their domain.
fn edges() -> impl Strategy<Value = Vec<f64>> {
    prop::collection::vec(prop::sample::select(vec![f64::NAN, 0.0, -4.0, -1.0, -0.5, 0.5, 1.0, 4.0]), 3)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6000, ..ProptestConfig::default() })]

    #[test]
    fn what_is_nan_stays_nan(f in wild_expression(3), args in edges()) {
        let simple = f.simplify();
        let values = f.eval_nodes(&args);
        // What is infinite on the way may come out finite.
        if values.iter().all(|it| !it.is_infinite()) {
            let (before, after) = (f.eval(&args)[0], simple.eval(&args)[0]);
            // Where rounding takes a value just below 0 that is 0, a power of it is infinite rather than none.
            prop_assert!(!before.is_nan() || !after.is_finite(), "{f}\n{simple}\n{after} at {args:?}");
        }
    }
}

#[test]
fn no_rewrite_leaves_the_domain() {
    let same = |text: &str, f: &dyn Fn(&mut Pool, &[Scalar]) -> Scalar| assert_eq!(simple(1, |p, i| f(p, i)), text);
    same("exp(log(a0))", &|p, i| {
        let log = p.unary(Unary::Log, i[0]);
        p.unary(Unary::Exp, log)
    });
    same("let t0 = sqrt(a0); t0 * t0", &|p, i| {
        let root = p.unary(Unary::Sqrt, i[0]);
        p.mul(root, root)
    });
    same("a0 * 0", &|p, i| p.sub(i[0], i[0]));
    same("a0 / a0", &|p, i| p.div(i[0], i[0]));
    same("a0 <= a0", &|p, i| p.binary(Binary::Le, i[0], i[0]));
    same("min(exp(a0), 0)", &|p, i| {
        let (exp, zero) = (p.unary(Unary::Exp, i[0]), p.constant(0.0));
        p.binary(Binary::Min, exp, zero)
    });
    same("min(max(a0, -1), 1)", &|p, i| {
        let theta = p.unary(Unary::Acos, i[0]);
        p.unary(Unary::Cos, theta)
    });
}
