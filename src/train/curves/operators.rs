//! Operators as curves: what each makes of the angle between a patch and a filter, and its slope.

use crate::ir::{Response, ScalarFn};
use std::f64::consts::PI;
use std::ops::Range;

/// Places from 0 to pi: four for each degree.
const STEPS: usize = 720;

/// What is drawn of an operator.
#[derive(Clone, Debug, PartialEq)]
pub struct OperatorCurve {
    /// As it was written.
    pub name: String,
    /// Its values.
    pub value: Trail,
    /// Its derivative by the angle in radians.
    pub slope: Trail,
    /// What it is drawn with, such as `learns k, from 0.7 on`; empty if nothing.
    pub drawn_with: String,
}

/// A function of the angle, where it is finite.
#[derive(Clone, Debug, PartialEq)]
pub struct Trail {
    /// Angles and values, without a gap in each.
    pub parts: Vec<Vec<(f64, f64)>>,
    /// Angles at which it is not finite, from the first to the last in a row.
    pub gaps: Vec<[f64; 2]>,
}

impl OperatorCurve {
    /// That of an operator.
    pub fn new(name: &str, of: &Response) -> OperatorCurve {
        let list = |list: &[(String, f64)]| {
            list.iter().map(|(name, value)| format!("{name} = {value}")).collect::<Vec<_>>().join(", ")
        };
        let mut told = Vec::new();
        if !of.learned.is_empty() {
            told.push(format!("learns; drawn as it starts, {}", list(&of.learned)));
        }
        if !of.given.is_empty() {
            told.push(format!("drawn for {}", list(&of.given)));
        }
        let value = Trail::of(&|x| of.value.finite_at(x), &of.value);
        // There is no slope where there is no value.
        let slope = Trail::of(&|x| of.value.finite_at(x).and_then(|_| of.slope.finite_at(x)), &of.slope);
        OperatorCurve { name: name.to_owned(), value, slope, drawn_with: told.join("; ") }
    }

    /// Where it has no finite value, or else no finite slope; `None` where it has both everywhere.
    pub fn missing(&self) -> Option<String> {
        let [value, slope] = [&self.value, &self.slope].map(Trail::missing);
        match (value, slope) {
            (Some(it), _) => Some(format!("not finite {it}")),
            (None, Some(it)) => Some(format!("slope not finite {it}")),
            (None, None) => None,
        }
    }
}

impl Trail {
    /// How far another is from it where both are seen, which is within `seen`; `None` if they are not finite at the same angles.
    pub fn distance(&self, other: &Trail, seen: &Range<f64>) -> Option<f64> {
        let angles =
            |it: &Trail| -> Vec<Vec<f64>> { it.parts.iter().map(|it| it.iter().map(|it| it.0).collect()).collect() };
        let (mine, others) = (self.parts.concat(), other.parts.concat());
        let value = |it: &(f64, f64)| it.1.clamp(seen.start, seen.end);
        let far = mine.iter().zip(&others).map(|(a, b)| (value(a) - value(b)).abs());
        (angles(self) == angles(other) && !mine.is_empty()).then(|| far.fold(0.0, f64::max))
    }

    /// Of what is finite or not at an angle; a pole of `f` may lie between two.
    fn of(found_at: &dyn Fn(f64) -> Option<f64>, f: &ScalarFn) -> Trail {
        let (mut parts, mut gaps) = (Vec::new(), Vec::<[f64; 2]>::new());
        let mut part: Vec<(f64, f64)> = Vec::new();
        let mut open = false;
        for step in 0..=STEPS {
            let x = PI * step as f64 / STEPS as f64;
            let before = PI * step.saturating_sub(1) as f64 / STEPS as f64;
            let found = found_at(x);
            if found.is_some()
                && !part.is_empty()
                && let Some(pole) = f.pole_between(before, x)
            {
                parts.push(std::mem::take(&mut part));
                gaps.push([pole, pole]);
            }
            match (found, gaps.last_mut()) {
                (Some(it), gap) => {
                    if let Some(gap) = gap.filter(|_| open) {
                        gap[1] = edge(found_at, x, before);
                    }
                    part.push((x, it));
                }
                (None, Some(gap)) if open => gap[1] = x,
                (None, _) => {
                    let start = if part.is_empty() { x } else { edge(found_at, before, x) };
                    parts.push(std::mem::take(&mut part));
                    gaps.push([start, x]);
                }
            }
            open = found.is_none();
        }
        parts.push(part);
        parts.retain(|it: &Vec<(f64, f64)>| !it.is_empty());
        Trail { parts, gaps }
    }

    fn missing(&self) -> Option<String> {
        if self.parts.is_empty() {
            return Some("at any angle".to_owned());
        }
        let gap = |it: &[f64; 2]| match it {
            [from, to] if (from - to).abs() < 1e-6 => format!("at {}", angle(*from)),
            [from, to] => format!("from {} to {}", angle(*from), angle(*to)),
        };
        let all: Vec<String> = self.gaps.iter().map(gap).collect();
        (!all.is_empty()).then(|| all.join(", "))
    }
}

/// How far it is finite from `finite` towards `not`.
fn edge(found_at: &dyn Fn(f64) -> Option<f64>, mut finite: f64, mut not: f64) -> f64 {
    for _ in 0..40 {
        let middle = 0.5 * (finite + not);
        let side = if found_at(middle).is_some() { &mut finite } else { &mut not };
        *side = middle;
    }
    not
}

/// An angle as one would write it.
fn angle(it: f64) -> String {
    let known = [(0.0, "0"), (0.25, "pi/4"), (0.5, "pi/2"), (0.75, "3pi/4"), (1.0, "pi")];
    match known.iter().find(|known| (it - known.0 * PI).abs() < 1e-6) {
        Some((_, text)) => (*text).to_owned(),
        None => format!("{it:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::{Binary, Unary};

    #[test]
    fn gaps_are_where_nothing_is_finite() {
        let of = |value: ScalarFn| OperatorCurve::new("f", &Response::new(value, Vec::new(), Vec::new()));
        let secant = |shift: f64| {
            ScalarFn::build(1, |pool, it| {
                let (one, shift) = (pool.constant(1.0), pool.constant(shift));
                let moved = pool.add(it[0], shift);
                let cos = pool.unary(Unary::Cos, moved);
                pool.div(one, cos)
            })
        };
        assert_eq!(of(secant(0.0)).missing().unwrap(), "not finite at pi/2");
        let between = of(secant(0.001));
        assert_eq!((between.missing().unwrap(), between.value.parts.len()), ("not finite at 1.570".to_owned(), 2));
        let logarithm = of(ScalarFn::build(1, |pool, it| {
            let cos = pool.unary(Unary::Cos, it[0]);
            pool.unary(Unary::Log, cos)
        }));
        assert_eq!(logarithm.missing().unwrap(), "not finite from pi/2 to pi");
        let root = of(ScalarFn::build(1, |pool, it| {
            let power = pool.constant(0.3);
            pool.binary(Binary::Pow, it[0], power)
        }));
        assert_eq!(root.missing().unwrap(), "slope not finite at 0");
        let plain = of(ScalarFn::build(1, |pool, it| pool.unary(Unary::Cos, it[0])));
        assert_eq!((plain.missing(), plain.value.parts[0].len()), (None, 721));
        let slopes = &plain.slope.parts[0];
        assert!(slopes.iter().all(|(x, it)| (it + x.sin()).abs() < 1e-12));
        let far = |other: &OperatorCurve, seen| plain.value.distance(&other.value, &seen);
        assert_eq!(far(&plain, -1.0..1.0), Some(0.0));
        assert!(far(&root, -1.0..2.0).is_some_and(|it| (2.0..3.0).contains(&it)));
        // What lies beyond the picture is not seen to differ.
        assert_eq!((far(&root, 1.0..1.1).map(|it| it.round()), far(&between, -1.0..1.0)), (Some(0.0), None));
    }
}
