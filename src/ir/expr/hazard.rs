//! Where an expression is not a finite number, or changes without a bounded slope, and at which arguments.
//!
//! Interval arithmetic ([`ScalarFn::ranges`]) says where something may happen; it can be wrong, as it does
//! not know that two parts of an expression move together. So each suspicion is followed into smaller and
//! smaller parts of the domain until there is a place where it happens, or none is left.

use super::range::decided;
use super::{Binary, Domain, ExprNode, Interval, Scalar, ScalarFn, Unary};
use std::collections::BTreeSet;

/// What is wrong with a node.
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
    /// A bounded argument gives a number too large for single precision.
    Overflow,
    /// A root (or a power below 1) of what can be 0: finite, but its slope there is not.
    Steep,
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
    /// Whether a `Select` looked at the operand before: it happens only where the node is needed then.
    pub guarded: bool,
}

/// A jump: no gradient knows of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Jump {
    /// The comparison, sign or rounding that switches.
    pub node: Scalar,
    /// The argument that was moved.
    pub input: u32,
    /// Where it switches.
    pub at: f64,
    /// The result on the left and on the right.
    pub sides: [f64; 2],
}

/// Results of this size are infinite in single precision.
const LARGEST: f64 = f32::MAX as f64;

/// Parts of the domain looked at for one suspicion.
const MOST_PARTS: usize = 20_000;

impl ScalarFn {
    /// Nodes that may not be finite numbers when the arguments are inside `args`, operands first; roots
    /// that are steep only where they depend on an argument of `moved`. What follows from a hazard before it
    /// is left out.
    pub fn hazards(&self, args: &[Interval], moved: &[u32]) -> Vec<Hazard> {
        let ranges = self.ranges(args);
        let guards = self.guards(&ranges);
        let depends = self.depend(moved);
        let mut tainted = vec![false; self.nodes.len()];
        let mut found = Vec::new();
        for (at, node) in self.nodes.iter().enumerate() {
            let Some(guarded) = &guards[at] else { continue };
            tainted[at] = node.operands().any(|it| tainted[it.0 as usize]);
            if tainted[at] {
                continue;
            }
            let hazard = self.node_hazard(at, &ranges).filter(|it| it.0 != HazardKind::Steep || depends[at]);
            if let Some((kind, operand)) = hazard {
                let guarded = guarded.contains(&operand);
                tainted[at] = kind != HazardKind::Steep && !guarded;
                let (node, range) = (Scalar(at as u32), ranges[operand.0 as usize]);
                found.push(Hazard { node, kind, operand, range, guarded });
            }
        }
        found
    }

    /// Arguments inside `args` where a hazard happens; `None` when there are none. Only the arguments that
    /// the blamed operand uses are told.
    pub fn locate(&self, hazard: &Hazard, args: &[Interval]) -> Option<Vec<(u32, f64)>> {
        let node = hazard.node.0 as usize;
        let cone = ScalarFn { arity: self.arity, nodes: self.nodes[..=node].into(), roots: [hazard.node].into() };
        let (f, used) =
            if hazard.guarded { (self, self.reached(self.root())) } else { (&cone, cone.reached(hazard.operand)) };
        let happens = |part: &[Interval]| {
            let ranges = f.ranges(part);
            let same = |it: (HazardKind, Scalar)| it.0 == hazard.kind;
            f.node_hazard(node, &ranges).is_some_and(same) && (!hazard.guarded || f.guards(&ranges)[node].is_some())
        };
        let told = |part: &[Interval]| used.iter().map(|it| (*it, middle(part[*it as usize]))).collect();
        // Places that are easy to name come first.
        let mut points = vec![args.to_vec()];
        for &input in &used {
            let range = args[input as usize];
            let values: Vec<f64> =
                [0.0, 1.0, -1.0, range.low, range.high].into_iter().filter(|it| range.contains(*it)).collect();
            points = points
                .iter()
                .flat_map(|it| values.iter().map(|value| replaced(it, input, Interval::point(*value))))
                .take(1000)
                .collect();
        }
        if let Some(point) = points.iter().find(|it| happens(it)) {
            return Some(told(point));
        }
        let mut parts = vec![args.to_vec()];
        for _ in 0..MOST_PARTS {
            let part = parts.pop()?;
            if !happens(&part) {
                continue;
            }
            let share = |it: &u32| width(part[*it as usize]) / width(args[*it as usize]).max(f64::MIN_POSITIVE);
            let widest = used.iter().copied().max_by(|a, b| share(a).total_cmp(&share(b)));
            match widest.filter(|it| 1e-7 < share(it)) {
                // At the edge of a guarded part both sides seem to be needed.
                None if hazard.guarded => {}
                None => return Some(told(&part)),
                Some(input) => {
                    let range = part[input as usize];
                    let middle = middle(range);
                    parts.push(replaced(&part, input, Interval::new(middle, range.high)));
                    parts.push(replaced(&part, input, Interval::new(range.low, middle)));
                }
            }
        }
        None
    }

    /// Where the only result jumps as one argument moves through its range, the others at `usual`.
    pub fn jumps(&self, args: &[Interval], usual: &[f64]) -> Vec<Jump> {
        let switches: Vec<usize> = (0..self.nodes.len()).filter(|it| is_switch(&self.nodes[*it])).collect();
        let mut found: Vec<Jump> = Vec::new();
        if switches.is_empty() {
            return found;
        }
        for input in self.reached(self.root()) {
            let range = args[input as usize];
            let nodes = |value: f64| {
                let mut point = usual.to_vec();
                point[input as usize] = value;
                self.eval_nodes(&point)
            };
            let state = |value: f64| -> Vec<f64> {
                let values = nodes(value);
                switches.iter().map(|it| values[*it]).collect()
            };
            let points: Vec<f64> = (0..=STEPS).map(|it| between(range, f64::from(it) / f64::from(STEPS))).collect();
            for pair in points.windows(2) {
                let [mut left, mut right] = [pair[0], pair[1]];
                let (before, after) = (state(left), state(right));
                let Some(node) = (0..switches.len()).find(|it| before[*it] != after[*it]) else { continue };
                for _ in 0..60 {
                    let middle = 0.5 * (left + right);
                    if state(middle)[node] == before[node] { left = middle } else { right = middle }
                }
                let step = 1e-9 * (1.0 + left.abs());
                let side = |value: f64| nodes(value.clamp(range.low, range.high))[self.root().0 as usize];
                let sides = [side(left - step), side(right + step)];
                let known = found.iter().any(|it| it.node.0 as usize == switches[node]);
                if !known && 1e-6 * (1.0 + sides[0].abs()) < (sides[0] - sides[1]).abs() {
                    let at = if right.abs() < 1e-12 { 0.0 } else { right };
                    found.push(Jump { node: Scalar(switches[node] as u32), input, at, sides });
                }
            }
        }
        found
    }

    /// What is wrong with one node, and by which operand.
    fn node_hazard(&self, at: usize, ranges: &[Interval]) -> Option<(HazardKind, Scalar)> {
        let range = |it: Scalar| ranges[it.0 as usize];
        let node = &self.nodes[at];
        let hazard = match *node {
            ExprNode::Const(_) | ExprNode::Input(_) | ExprNode::Select(..) => return None,
            ExprNode::Unary(op, a) => unary_hazard(op, range(a)).map(|it| (it, a)),
            ExprNode::Binary(Binary::Div, _, b) => range(b).contains(0.0).then_some((HazardKind::DivisionByZero, b)),
            ExprNode::Binary(Binary::Pow, a, b) => power_hazard(range(a), range(b)).map(|it| (it, a)),
            ExprNode::Binary(..) => None,
        };
        hazard.or_else(|| {
            let first = node.operands().next()?;
            let bounded = node.operands().all(|it| range(it).is_bounded());
            let fits = |it: f64| it.abs() <= LARGEST;
            let over = !(fits(ranges[at].low) && fits(ranges[at].high));
            // What was too large already is reported where it became so.
            let new = node.operands().all(|it| fits(range(it).low) && fits(range(it).high));
            (bounded && over && new).then_some((HazardKind::Overflow, first))
        })
    }

    /// Which nodes depend on one of the arguments.
    fn depend(&self, inputs: &[u32]) -> Vec<bool> {
        let mut res: Vec<bool> = Vec::with_capacity(self.nodes.len());
        for node in &*self.nodes {
            let own = match node {
                ExprNode::Input(it) => inputs.contains(it),
                // What has no derivative carries none.
                ExprNode::Unary(Unary::Stop | Unary::Sign | Unary::Floor, _) => false,
                _ => node.operands().any(|it| res[it.0 as usize]),
            };
            res.push(own);
        }
        res
    }

    /// The arguments that a node is made of, ascending.
    fn reached(&self, root: Scalar) -> Vec<u32> {
        let mut needed = vec![false; self.nodes.len()];
        needed[root.0 as usize] = true;
        let mut inputs = BTreeSet::new();
        for at in (0..=root.0 as usize).rev() {
            if needed[at] {
                if let ExprNode::Input(it) = self.nodes[at] {
                    inputs.insert(it);
                }
                self.nodes[at].operands().for_each(|it| needed[it.0 as usize] = true);
            }
        }
        inputs.into_iter().collect()
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
        for &root in &*self.roots {
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
            for operand in node.operands() {
                meet(&mut guards, operand, &own);
            }
        }
        guards
    }
}

/// Points along an argument that are looked at for jumps; odd, so that the middle is not among them.
const STEPS: u32 = 255;

fn is_switch(node: &ExprNode) -> bool {
    matches!(
        node,
        ExprNode::Unary(Unary::Sign | Unary::Floor, _) | ExprNode::Binary(Binary::Lt | Binary::Le | Binary::Eq, ..)
    )
}

fn replaced(part: &[Interval], input: u32, by: Interval) -> Vec<Interval> {
    let mut part = part.to_vec();
    part[input as usize] = by;
    part
}

/// Ranges over many sizes are divided by size.
fn by_size(range: Interval) -> bool {
    0.0 < range.low && 100.0 * range.low < range.high
}

fn between(range: Interval, share: f64) -> f64 {
    if by_size(range) {
        range.low * (range.high / range.low).powf(share)
    } else {
        range.low + share * (range.high - range.low)
    }
}

fn middle(range: Interval) -> f64 {
    if range.low == range.high { range.low } else { between(range, 0.5) }
}

fn width(range: Interval) -> f64 {
    if by_size(range) { (range.high / range.low).ln() } else { range.high - range.low }
}

/// An end that is past a bound by no more than rounding.
const SLACK: f64 = 1e-9;

fn unary_hazard(op: Unary, a: Interval) -> Option<HazardKind> {
    match op.domain() {
        Domain::Root | Domain::InverseRoot if a.low < -SLACK => Some(HazardKind::RootOfNegative),
        Domain::Root if a.low <= 0.0 => Some(HazardKind::Steep),
        Domain::InverseRoot if a.low <= 0.0 => Some(HazardKind::DivisionByZero),
        Domain::Logarithm(pole) if a.low <= pole => Some(HazardKind::LogOfNonPositive),
        Domain::Arc if a.low < -1.0 - SLACK || 1.0 + SLACK < a.high => Some(HazardKind::ArcOutside),
        Domain::All | Domain::Root | Domain::InverseRoot | Domain::Logarithm(_) | Domain::Arc => None,
    }
}

fn power_hazard(a: Interval, b: Interval) -> Option<HazardKind> {
    let whole = b.low == b.high && b.low.fract() == 0.0;
    if a.low < -SLACK && !whole {
        Some(HazardKind::RootOfNegative)
    } else if a.contains(0.0) && b.low < 0.0 {
        Some(HazardKind::DivisionByZero)
    } else if a.contains(0.0) && b.low < 1.0 && !whole {
        Some(HazardKind::Steep)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::super::Pool;
    use super::*;
    use std::f64::consts::PI;

    const COS: Interval = Interval { low: -1.0, high: 1.0 };

    fn kinds(f: &ScalarFn, args: &[Interval]) -> Vec<HazardKind> {
        f.hazards(args, &[0]).iter().map(|it| it.kind).collect()
    }

    fn call(op: Unary) -> ScalarFn {
        ScalarFn::build(1, |p, i| p.unary(op, i[0]))
    }

    /// The first suspicion, followed.
    fn place(f: &ScalarFn, args: &[Interval]) -> Option<Vec<(u32, f64)>> {
        f.locate(&f.hazards(args, &[0])[0], args)
    }

    #[test]
    fn the_operators_of_the_paper_are_finite_on_their_domain() {
        let linear = ScalarFn::build(1, |p, i| {
            let theta = p.unary(Unary::Acos, i[0]);
            let (one, slope) = (p.constant(1.0), p.constant(2.0 / PI));
            let fall = p.mul(slope, theta);
            p.sub(one, fall)
        })
        .simplify();
        assert_eq!(linear.hazards(&[COS], &[0]), []);
        assert_eq!(linear.differentiate(0).hazards(&[COS], &[0]), []);
        let range = linear.interval(&[COS])[0];
        assert!((range.low + 1.0).abs() < 1e-12 && (range.high - 1.0).abs() < 1e-12, "{range:?}");
        let learned = ScalarFn::build(2, |p: &mut Pool, i| {
            let (size, least) = (p.unary(Unary::Abs, i[1]), p.constant(0.05));
            let k = p.add(size, least);
            p.div(i[0], k)
        });
        assert_eq!(learned.hazards(&[COS, Interval::ALL], &[0, 1]), []);
    }

    #[test]
    fn what_can_be_infinite_is_found_with_its_operand() {
        assert_eq!(kinds(&call(Unary::Log), &[COS]), [HazardKind::LogOfNonPositive]);
        assert_eq!(kinds(&call(Unary::Sqrt), &[COS]), [HazardKind::RootOfNegative]);
        assert_eq!(kinds(&call(Unary::Sqrt), &[Interval::new(0.0, 1.0)]), [HazardKind::Steep]);
        assert_eq!(kinds(&call(Unary::Rsqrt), &[Interval::new(0.0, 1.0)]), [HazardKind::DivisionByZero]);
        assert_eq!(kinds(&call(Unary::Acos), &[Interval::new(0.0, 2.0)]), [HazardKind::ArcOutside]);
        assert_eq!(kinds(&call(Unary::Exp), &[Interval::new(0.0, 1e6)]), [HazardKind::Overflow]);
        assert_eq!(kinds(&call(Unary::Exp), &[Interval::new(0.0, 89.0)]), [HazardKind::Overflow]);
        assert_eq!(kinds(&call(Unary::Exp), &[Interval::new(0.0, 88.0)]), []);
        assert_eq!(kinds(&call(Unary::Exp), &[Interval::new(0.0, f64::INFINITY)]), []);
        let quotient = ScalarFn::build(2, |p, i| {
            let one = p.constant(1.0);
            let below = p.sub(one, i[1]);
            p.div(i[0], below)
        });
        let found = quotient.hazards(&[COS, COS], &[0, 1]);
        assert_eq!(found.len(), 1);
        assert_eq!(quotient.node_text(found[0].operand, &|it| format!("a{it}")), "1 - a1");
        assert_eq!(quotient.locate(&found[0], &[COS, COS]), Some(vec![(1, 1.0)]));
        let power = ScalarFn::build(1, |p, i| {
            let exponent = p.constant(0.3);
            p.binary(Binary::Pow, i[0], exponent)
        });
        assert_eq!(kinds(&power, &[COS]), [HazardKind::RootOfNegative]);
        assert_eq!(kinds(&power, &[Interval::new(0.0, 1.0)]), [HazardKind::Steep]);
    }

    #[test]
    fn a_guarded_pole_is_no_hazard() {
        let slope = call(Unary::Sqrt).differentiate(0);
        assert_eq!(place(&slope, &[Interval::new(0.0, 1.0)]), None);
        // The same with the wrong comparison.
        let log = ScalarFn::build(1, |p, i| {
            let zero = p.constant(0.0);
            let (negative, log) = (p.binary(Binary::Lt, i[0], zero), p.unary(Unary::Log, i[0]));
            p.select(negative, zero, log)
        });
        assert_eq!(place(&log, &[COS]), Some(vec![(0, 0.0)]));
    }

    #[test]
    fn a_pole_between_places_with_names_is_found() {
        let f = ScalarFn::build(1, |p, i| {
            let (a, one) = (p.constant(0.123), p.constant(1.0));
            let below = p.sub(i[0], a);
            p.div(one, below)
        });
        let found = place(&f, &[COS]).expect("a place");
        assert!((found[0].1 - 0.123).abs() < 1e-6, "{found:?}");
    }

    #[test]
    fn a_suspicion_that_comes_from_parts_that_move_together_is_dropped() {
        // x*x - x + 1 is at least 0.75; its interval on [0, 1] holds 0.
        let f = ScalarFn::build(1, |p, i| {
            let one = p.constant(1.0);
            let square = p.mul(i[0], i[0]);
            let below = p.sub(square, i[0]);
            let below = p.add(below, one);
            p.div(one, below)
        });
        let around = Interval::new(-1.0, 2.0);
        assert_eq!(kinds(&f, &[around]), [HazardKind::DivisionByZero]);
        assert_eq!(place(&f, &[around]), None);
    }

    #[test]
    fn jumps_are_told_from_corners() {
        let sign = call(Unary::Sign);
        let found = sign.jumps(&[COS], &[0.3]);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].at, found[0].sides), (0.0, [-1.0, 1.0]));
        let square = ScalarFn::build(1, |p, i| {
            let sign = p.unary(Unary::Sign, i[0]);
            let square = p.mul(i[0], i[0]);
            p.mul(sign, square)
        });
        assert_eq!(square.jumps(&[COS], &[0.3]), []);
        let bend = ScalarFn::build(2, |p, i| {
            let (inside, half) = (p.binary(Binary::Lt, i[0], i[1]), p.constant(0.5));
            let sum = p.add(i[0], i[1]);
            let outside = p.mul(sum, half);
            p.select(inside, i[0], outside)
        });
        assert_eq!(bend.jumps(&[Interval::new(0.01, 1e6), Interval::new(0.01, 1e6)], &[1.0, 1.0]), []);
    }
}
