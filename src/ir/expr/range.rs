//! Range analysis: what values an expression can take, and where it stops being finite.
//!
//! Interval arithmetic over the DAG, with the ends moved outward by more than rounding can matter. An
//! infinite end means unbounded. Ranges hold for every value that is a number; where an operation
//! may give none, [`ScalarFn::hazards`] says so.

use super::{Binary, ExprNode, Scalar, ScalarFn, Unary};
use std::collections::BTreeSet;
use std::f64::consts::{FRAC_PI_2, PI, TAU};

/// A closed range of reals; the ends may be infinite.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// Smallest value.
    pub low: f64,
    /// Largest value.
    pub high: f64,
}

/// Why a node may not be a finite number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HazardKind {
    /// A divisor (or the argument of `rsqrt`, or the base of a negative power) that can be 0.
    DivisionByZero,
    /// A logarithm of what can be 0 or less.
    LogOfNonPositive,
    /// A root (or a broken power) of what can be negative.
    RootOfNegative,
    /// An arc sine or cosine of what can lie outside [-1, 1]; it is clamped.
    ArcOutside,
    /// A bounded argument gives a number too large for f64.
    Overflow,
}

/// A node that may not be a finite number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hazard {
    /// The node.
    pub node: Scalar,
    /// Why.
    pub kind: HazardKind,
    /// The operand that is to blame.
    pub operand: Scalar,
    /// The values it can take.
    pub range: Interval,
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
        for node in &self.nodes {
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

    /// Nodes that may not be finite numbers when the arguments are inside `args`, operands first. What
    /// a `Select` guards by a comparison of the very operand is not reported.
    pub fn hazards(&self, args: &[Interval]) -> Vec<Hazard> {
        let ranges = self.ranges(args);
        let guards = self.guards(&ranges);
        let mut found = Vec::new();
        for (at, node) in self.nodes.iter().enumerate() {
            let Some(guarded) = &guards[at] else { continue };
            let range = |it: Scalar| ranges[it.0 as usize];
            let hazard = match *node {
                ExprNode::Const(_) | ExprNode::Input(_) | ExprNode::Select(..) => None,
                ExprNode::Unary(op, a) => unary_hazard(op, range(a)).map(|it| (it, a)),
                ExprNode::Binary(Binary::Div, _, b) => {
                    range(b).contains(0.0).then_some((HazardKind::DivisionByZero, b))
                }
                ExprNode::Binary(Binary::Pow, a, b) => power_hazard(range(a), range(b)).map(|it| (it, a)),
                ExprNode::Binary(..) => None,
            };
            let hazard = hazard.or_else(|| {
                let mut operands = super::build::operands(node);
                let first = operands.next()?;
                let bounded = range(first).is_bounded() && operands.all(|it| range(it).is_bounded());
                (bounded && !ranges[at].is_bounded()).then_some((HazardKind::Overflow, first))
            });
            if let Some((kind, operand)) = hazard
                && !guarded.contains(&operand)
            {
                found.push(Hazard { node: Scalar(at as u32), kind, operand, range: range(operand) });
            }
        }
        found
    }

    /// For each node that a result can need: the operands that some comparison has looked at on every
    /// way to it.
    fn guards(&self, ranges: &[Interval]) -> Vec<Option<BTreeSet<Scalar>>> {
        let mut guards: Vec<Option<BTreeSet<Scalar>>> = vec![None; self.nodes.len()];
        let meet = |guards: &mut Vec<Option<BTreeSet<Scalar>>>, at: Scalar, with: &BTreeSet<Scalar>| {
            let slot = &mut guards[at.0 as usize];
            *slot = Some(match slot.take() {
                Some(there) => there.intersection(with).copied().collect(),
                None => with.clone(),
            });
        };
        for &root in &self.roots {
            meet(&mut guards, root, &BTreeSet::new());
        }
        for at in (0..self.nodes.len()).rev() {
            let Some(own) = guards[at].clone() else { continue };
            let node = self.nodes[at];
            if let ExprNode::Select(c, a, b) = node {
                let mut inside = own.clone();
                match self.nodes[c.0 as usize] {
                    ExprNode::Binary(Binary::Lt | Binary::Le | Binary::Eq, x, y) => inside.extend([x, y]),
                    _ => inside.extend([c]),
                }
                meet(&mut guards, c, &own);
                match decided(ranges[c.0 as usize]) {
                    Some(true) => meet(&mut guards, a, &own),
                    Some(false) => meet(&mut guards, b, &own),
                    None => {
                        meet(&mut guards, a, &inside);
                        meet(&mut guards, b, &inside);
                    }
                }
                continue;
            }
            for operand in super::build::operands(&node) {
                meet(&mut guards, operand, &own);
            }
        }
        guards
    }
}

/// Which branch a condition takes, if it is always the same.
fn decided(c: Interval) -> Option<bool> {
    if !c.contains(0.0) {
        Some(true)
    } else if c.low == 0.0 && c.high == 0.0 {
        Some(false)
    } else {
        None
    }
}

fn unary_hazard(op: Unary, a: Interval) -> Option<HazardKind> {
    // A cosine computed from bounded parts may be past 1 by rounding; that is what the clamp is for.
    let slack = 1e-9;
    match op {
        Unary::Sqrt if a.low < 0.0 => Some(HazardKind::RootOfNegative),
        Unary::Rsqrt if a.low < 0.0 => Some(HazardKind::RootOfNegative),
        Unary::Rsqrt if a.low == 0.0 => Some(HazardKind::DivisionByZero),
        Unary::Log if a.low <= 0.0 => Some(HazardKind::LogOfNonPositive),
        Unary::Log1p if a.low <= -1.0 => Some(HazardKind::LogOfNonPositive),
        Unary::Asin | Unary::Acos | Unary::AsinSlope if a.low < -1.0 - slack || 1.0 + slack < a.high => {
            Some(HazardKind::ArcOutside)
        }
        _ => None,
    }
}

fn whole(b: Interval) -> bool {
    b.low == b.high && b.low.fract() == 0.0
}

fn power_hazard(a: Interval, b: Interval) -> Option<HazardKind> {
    if a.low < 0.0 && !whole(b) {
        Some(HazardKind::RootOfNegative)
    } else if a.contains(0.0) && b.low < 0.0 {
        Some(HazardKind::DivisionByZero)
    } else {
        None
    }
}

fn unary(op: Unary, a: Interval) -> Interval {
    let ends = || Interval::around(&[op.apply(a.low), op.apply(a.high)]);
    match op {
        Unary::Neg => Interval { low: -a.high, high: -a.low },
        Unary::Stop => a,
        Unary::Abs => {
            let high = a.low.abs().max(a.high.abs());
            let low = if a.contains(0.0) { 0.0 } else { a.low.abs().min(a.high.abs()) };
            Interval { low, high }
        }
        Unary::Sign => Interval { low: op.apply(a.low), high: op.apply(a.high) },
        Unary::Floor => Interval { low: a.low.floor(), high: a.high.floor() },
        Unary::Sqrt | Unary::Exp => ends().within(0.0, f64::INFINITY),
        Unary::Logistic => ends().within(0.0, 1.0),
        Unary::Tanh => ends().within(-1.0, 1.0),
        Unary::Expm1 => ends().within(-1.0, f64::INFINITY),
        Unary::Asin | Unary::Acos | Unary::Atan => ends(),
        Unary::Rsqrt if a.high < 0.0 => Interval::ALL,
        Unary::Rsqrt => Interval::around(&[1.0 / a.low.max(0.0).sqrt(), op.apply(a.high)]).within(0.0, f64::INFINITY),
        Unary::Log if a.high < 0.0 => Interval::ALL,
        Unary::Log => Interval::around(&[a.low.max(0.0).ln(), a.high.ln()]),
        Unary::Log1p if a.high < -1.0 => Interval::ALL,
        Unary::Log1p => Interval::around(&[a.low.max(-1.0).ln_1p(), a.high.ln_1p()]),
        Unary::AsinSlope => {
            let size = unary(Unary::Abs, a);
            Interval::around(&[op.apply(size.low), op.apply(size.high)]).within(1.0, f64::INFINITY)
        }
        Unary::Cos => cosine(a),
        Unary::Sin => cosine(Interval::around(&[a.low - FRAC_PI_2, a.high - FRAC_PI_2])),
    }
}

fn cosine(a: Interval) -> Interval {
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
    range.within(-1.0, 1.0)
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
    use super::super::Pool;
    use super::super::testing::{arguments, expression};
    use super::*;
    use proptest::prelude::*;

    fn kinds(f: &ScalarFn, args: &[Interval]) -> Vec<HazardKind> {
        f.hazards(args).iter().map(|it| it.kind).collect()
    }

    fn call(op: Unary) -> ScalarFn {
        ScalarFn::build(1, |p, i| p.unary(op, i[0]))
    }

    #[test]
    fn the_operators_of_the_paper_are_finite_on_their_domain() {
        let cos = Interval::new(-1.0, 1.0);
        let linear = ScalarFn::build(1, |p, i| {
            let theta = p.unary(Unary::Acos, i[0]);
            let (one, slope) = (p.constant(1.0), p.constant(2.0 / PI));
            let fall = p.mul(slope, theta);
            p.sub(one, fall)
        })
        .simplify();
        assert_eq!(linear.hazards(&[cos]), []);
        assert_eq!(linear.differentiate(0).hazards(&[cos]), []);
        let range = linear.interval(&[cos])[0];
        assert!((range.low + 1.0).abs() < 1e-12 && (range.high - 1.0).abs() < 1e-12, "{range:?}");
        let learned = ScalarFn::build(2, |p: &mut Pool, i| {
            let (size, least) = (p.unary(Unary::Abs, i[1]), p.constant(0.05));
            let k = p.add(size, least);
            p.div(i[0], k)
        });
        assert_eq!(learned.hazards(&[cos, Interval::ALL]), []);
    }

    #[test]
    fn what_can_be_infinite_is_found_with_its_operand() {
        let around = Interval::new(-1.0, 1.0);
        assert_eq!(kinds(&call(Unary::Log), &[around]), [HazardKind::LogOfNonPositive]);
        assert_eq!(kinds(&call(Unary::Sqrt), &[around]), [HazardKind::RootOfNegative]);
        assert_eq!(kinds(&call(Unary::Rsqrt), &[Interval::new(0.0, 1.0)]), [HazardKind::DivisionByZero]);
        assert_eq!(kinds(&call(Unary::Acos), &[Interval::new(0.0, 2.0)]), [HazardKind::ArcOutside]);
        assert_eq!(kinds(&call(Unary::Exp), &[Interval::new(0.0, 1e6)]), [HazardKind::Overflow]);
        assert_eq!(kinds(&call(Unary::Exp), &[Interval::new(0.0, f64::INFINITY)]), []);
        let quotient = ScalarFn::build(2, |p, i| {
            let one = p.constant(1.0);
            let below = p.sub(one, i[1]);
            p.div(i[0], below)
        });
        let found = quotient.hazards(&[around, around]);
        assert_eq!(found.len(), 1);
        assert_eq!(quotient.node_text(found[0].operand, &|it| format!("a{it}")), "1 - a1");
        let power = ScalarFn::build(1, |p, i| {
            let exponent = p.constant(0.3);
            p.binary(Binary::Pow, i[0], exponent)
        });
        assert_eq!(kinds(&power, &[around]), [HazardKind::RootOfNegative]);
    }

    #[test]
    fn a_guarded_pole_is_no_hazard() {
        let slope = call(Unary::Sqrt).differentiate(0);
        assert_eq!(slope.hazards(&[Interval::new(-1.0, 1.0)]), []);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

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
            if f.hazards(&ranges).is_empty() && !guarded {
                prop_assert!(numbers || !inside.iter().all(Interval::is_bounded), "{f} at {args:?} of {ranges:?}: {values:?}");
            }
        }
    }
}
