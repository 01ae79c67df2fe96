//! Range analysis: what values an expression can take.
//!
//! Interval arithmetic over the DAG, with the ends moved outward by more than rounding can matter. An
//! infinite end means unbounded. Ranges hold for every value that is a number; where an operation
//! may give none, [`ScalarFn::hazards`] says so.

use super::functions::Range;
use super::{Binary, ExprNode, Scalar, ScalarFn, Unary};
use std::f64::consts::{FRAC_PI_2, PI, TAU};

/// A closed range of reals; the ends may be infinite.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// Smallest value.
    pub low: f64,
    /// Largest value.
    pub high: f64,
}

impl Interval {
    /// Every number.
    pub const ALL: Interval = Interval { low: f64::NEG_INFINITY, high: f64::INFINITY };

    /// From `low` to `high`.
    pub fn new(low: f64, high: f64) -> Self {
        debug_assert!(low <= high, "[{low}, {high}]");
        Self { low, high }
    }

    /// One number.
    pub fn point(value: f64) -> Self {
        Self { low: value, high: value }
    }

    /// Whether `value` lies inside.
    pub fn contains(&self, value: f64) -> bool {
        self.low <= value && value <= self.high
    }

    /// Whether both ends are finite.
    pub fn is_bounded(&self) -> bool {
        self.low.is_finite() && self.high.is_finite()
    }

    fn hull(self, other: Self) -> Self {
        Self { low: self.low.min(other.low), high: self.high.max(other.high) }
    }

    /// The smallest range that holds all of `values`, moved outward; of no numbers, every number.
    fn around(values: &[f64]) -> Self {
        let mut res = Self { low: f64::INFINITY, high: f64::NEG_INFINITY };
        for &value in values {
            if value.is_nan() {
                return Self::ALL;
            }
            res = res.hull(Self::point(value));
        }
        let slack = |it: f64| if it.is_finite() { it.abs() * 16.0 * f64::EPSILON + f64::MIN_POSITIVE } else { 0.0 };
        Self { low: res.low - slack(res.low), high: res.high + slack(res.high) }
    }

    fn within(self, low: f64, high: f64) -> Self {
        Self { low: self.low.clamp(low, high), high: self.high.clamp(low, high) }
    }
}

impl ScalarFn {
    /// The values that each result can take when the arguments are inside `args`.
    pub fn interval(&self, args: &[Interval]) -> Vec<Interval> {
        let ranges = self.ranges(args);
        self.roots.iter().map(|it| ranges[it.0 as usize]).collect()
    }

    /// The values that every node can take.
    pub fn ranges(&self, args: &[Interval]) -> Vec<Interval> {
        let mut ranges: Vec<Interval> = Vec::with_capacity(self.nodes.len());
        for node in &*self.nodes {
            let at = |it: Scalar| ranges[it.0 as usize];
            let range = match *node {
                ExprNode::Const(value) => Interval::point(value.0),
                ExprNode::Input(i) => args[i as usize],
                ExprNode::Unary(op, a) => unary(op, at(a)),
                ExprNode::Binary(op, a, b) => binary(op, at(a), at(b), a == b),
                ExprNode::Select(c, a, b) => match decided(at(c)) {
                    Some(true) => at(a),
                    Some(false) => at(b),
                    None => at(a).hull(at(b)),
                },
            };
            ranges.push(range);
        }
        ranges
    }
}

/// Which branch a condition takes, if it is always the same.
pub(super) fn decided(c: Interval) -> Option<bool> {
    if !c.contains(0.0) {
        Some(true)
    } else if c.low == 0.0 && c.high == 0.0 {
        Some(false)
    } else {
        None
    }
}

fn whole(b: Interval) -> bool {
    b.low == b.high && b.low.fract() == 0.0
}

fn unary(op: Unary, a: Interval) -> Interval {
    let (low, high) = op.bounds();
    let range = match (op.range(), op.domain().low()) {
        (Range::By(of), _) => of(a),
        (Range::Ends, Some(least)) if a.high < least => return Interval::ALL,
        (Range::Ends, Some(least)) => Interval::around(&[op.apply(a.low.max(least)), op.apply(a.high)]),
        (Range::Ends, None) => Interval::around(&[op.apply(a.low), op.apply(a.high)]),
    };
    range.within(low, high)
}

pub(super) fn neg(a: Interval) -> Interval {
    Interval { low: -a.high, high: -a.low }
}

pub(super) fn same(a: Interval) -> Interval {
    a
}

pub(super) fn abs(a: Interval) -> Interval {
    let high = a.low.abs().max(a.high.abs());
    let low = if a.contains(0.0) { 0.0 } else { a.low.abs().min(a.high.abs()) };
    Interval { low, high }
}

/// Of what is exact at the ends.
pub(super) fn sign(a: Interval) -> Interval {
    Interval { low: Unary::Sign.apply(a.low), high: Unary::Sign.apply(a.high) }
}

pub(super) fn floor(a: Interval) -> Interval {
    Interval { low: a.low.floor(), high: a.high.floor() }
}

pub(super) fn asin_slope(a: Interval) -> Interval {
    let size = abs(a);
    Interval::around(&[Unary::AsinSlope.apply(size.low), Unary::AsinSlope.apply(size.high)])
}

pub(super) fn sine(a: Interval) -> Interval {
    cosine(Interval::around(&[a.low - FRAC_PI_2, a.high - FRAC_PI_2]))
}

pub(super) fn cosine(a: Interval) -> Interval {
    // Far out, a period is lost in rounding.
    if TAU <= a.high - a.low || 1e6 < a.low.abs() || 1e6 < a.high.abs() {
        return Interval { low: -1.0, high: 1.0 };
    }
    // Whether some `offset + 2 pi k` lies inside.
    let slack = 1e-9;
    let reaches = |offset: f64| {
        let next = ((a.low - slack - offset) / TAU).ceil() * TAU + offset;
        next <= a.high + slack
    };
    let mut range =
        Interval::around(&[a.low.cos() - slack, a.high.cos() + slack, a.low.cos() + slack, a.high.cos() - slack]);
    if reaches(0.0) {
        range.high = 1.0;
    }
    if reaches(PI) {
        range.low = -1.0;
    }
    range
}

/// `a * b`, where an infinite end stands for numbers without bound: 0 times it is 0.
fn times(a: f64, b: f64) -> f64 {
    if a == 0.0 || b == 0.0 { 0.0 } else { a * b }
}

fn binary(op: Binary, a: Interval, b: Interval, same: bool) -> Interval {
    let truth = |always: bool, never: bool| match (always, never) {
        (true, _) => Interval::point(1.0),
        (_, true) => Interval::point(0.0),
        _ => Interval { low: 0.0, high: 1.0 },
    };
    match op {
        Binary::Add => Interval { low: lower(a.low + b.low), high: upper(a.high + b.high) },
        Binary::Sub if same => Interval::point(0.0),
        Binary::Sub => Interval { low: lower(a.low - b.high), high: upper(a.high - b.low) },
        Binary::Mul if same => {
            let size = unary(Unary::Abs, a);
            Interval::around(&[size.low * size.low, size.high * size.high]).within(0.0, f64::INFINITY)
        }
        Binary::Mul => product(a, b),
        Binary::Div if same => Interval::point(1.0),
        Binary::Div => quotient(a, b),
        Binary::Pow => power(a, b),
        Binary::Min => Interval { low: a.low.min(b.low), high: a.high.min(b.high) },
        Binary::Max => Interval { low: a.low.max(b.low), high: a.high.max(b.high) },
        Binary::Lt if same => Interval::point(0.0),
        Binary::Le | Binary::Eq if same => Interval::point(1.0),
        Binary::Lt => truth(a.high < b.low, b.high <= a.low),
        Binary::Le => truth(a.high <= b.low, b.high < a.low),
        Binary::Eq => truth(a.low == a.high && a == b, a.high < b.low || b.high < a.low),
    }
}

/// A lower end, moved outward.
fn lower(it: f64) -> f64 {
    if it.is_nan() { f64::NEG_INFINITY } else { Interval::around(&[it]).low }
}

/// An upper end, moved outward.
fn upper(it: f64) -> f64 {
    if it.is_nan() { f64::INFINITY } else { Interval::around(&[it]).high }
}

fn product(a: Interval, b: Interval) -> Interval {
    let mut range =
        Interval::around(&[times(a.low, b.low), times(a.low, b.high), times(a.high, b.low), times(a.high, b.high)]);
    if 0.0 <= a.low && 0.0 <= b.low {
        range.low = range.low.max(0.0);
    }
    range
}

fn quotient(a: Interval, b: Interval) -> Interval {
    let ends = |at_zero: f64| {
        let inverse = |it: f64| if it == 0.0 { at_zero } else { 1.0 / it };
        let inverse = Interval { low: inverse(b.high), high: inverse(b.low) };
        product(a, inverse)
    };
    if !b.contains(0.0) {
        ends(0.0)
    } else if b.low == 0.0 && 0.0 < b.high {
        ends(f64::INFINITY)
    } else if b.high == 0.0 && b.low < 0.0 {
        ends(f64::NEG_INFINITY)
    } else {
        Interval::ALL
    }
}

fn power(a: Interval, b: Interval) -> Interval {
    let corners = |a: Interval| {
        Interval::around(&[a.low.powf(b.low), a.low.powf(b.high), a.high.powf(b.low), a.high.powf(b.high)])
    };
    if a.contains(0.0) && b.low < 0.0 {
        return if 0.0 <= a.low { Interval { low: 0.0, high: f64::INFINITY } } else { Interval::ALL };
    }
    if 0.0 <= a.low {
        // Monotone in each argument on either side of base 1 and exponent 0.
        let one = if a.contains(1.0) || b.contains(0.0) { Interval::point(1.0) } else { corners(a) };
        return corners(a).hull(one).within(0.0, f64::INFINITY);
    }
    if !whole(b) {
        return Interval::ALL;
    }
    let ends = corners(a);
    if b.low % 2.0 == 0.0 && a.contains(0.0) { ends.hull(Interval::point(0.0)) } else { ends }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{arguments, expression};
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4000, ..ProptestConfig::default() })]

        #[test]
        fn values_lie_inside(f in expression(3), mut args in arguments(3), wide in arguments(3), at in 0.0..1.0f64) {
            let ranges: Vec<Interval> = args.iter().zip(&wide).map(|(a, b)| Interval::new(a.min(*b), a.max(*b))).collect();
            for (value, range) in args.iter_mut().zip(&ranges) {
                *value = (range.low + at * (range.high - range.low)).clamp(range.low, range.high);
            }
            let inside = f.ranges(&ranges);
            let values = f.eval_nodes(&args);
            let mut numbers = true;
            for (at, value) in values.iter().enumerate() {
                numbers &= value.is_finite();
                prop_assert!(!numbers || inside[at].contains(*value), "{f}\nnode {at}: {value} not in {:?} at {args:?} of {ranges:?}", inside[at]);
            }
            // And what is not finite was foreseen.
            let guarded = f.nodes.iter().any(|it| matches!(it, ExprNode::Select(..)));
            if f.hazards(&ranges, &[0, 1, 2]).is_empty() && !guarded {
                prop_assert!(numbers || !inside.iter().all(Interval::is_bounded), "{f} at {args:?} of {ranges:?}: {values:?}");
            }
        }
    }
}
