//! An operator by itself: what it makes of the angle alone.

use super::{Binary, ExprNode, ScalarFn};

/// The smallest size of a divisor that is not taken for 0.
const NO_DIVISOR: f64 = 1e-12;

/// An operator as a function of the angle between a patch and a filter, each of norm 1, as evaluation has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Response {
    /// The value, of the angle in radians.
    pub value: ScalarFn,
    /// Its derivative.
    pub slope: ScalarFn,
    /// Names and starting values of what the operator learns and its value depends on.
    pub learned: Vec<(String, f64)>,
    /// The same of other numbers that it depends on, such as running statistics.
    pub given: Vec<(String, f64)>,
}

impl Response {
    /// That of a function of the angle.
    pub fn new(value: ScalarFn, learned: Vec<(String, f64)>, given: Vec<(String, f64)>) -> Response {
        let slope = value.differentiate(0);
        Response { value, slope, learned, given }
    }
}

impl ScalarFn {
    /// The only result of a function of one argument, where it is finite in single precision and nothing is divided by 0.
    pub fn finite_at(&self, x: f64) -> Option<f64> {
        let values = self.eval_nodes(&[x]);
        let divides = |node: &ExprNode| matches!(node, ExprNode::Binary(Binary::Div, _, by) if values[by.0 as usize].abs() < NO_DIVISOR);
        let value = values[self.root().0 as usize];
        (value.abs() <= f64::from(f32::MAX) && !self.nodes.iter().any(divides)).then_some(value)
    }

    /// Where, from one place to another, a divisor of a function of one argument goes through 0.
    pub fn pole_between(&self, from: f64, to: f64) -> Option<f64> {
        let divisors: Vec<usize> = self
            .nodes
            .iter()
            .filter_map(|it| if let ExprNode::Binary(Binary::Div, _, by) = it { Some(by.0 as usize) } else { None })
            .collect();
        let (low, high) = (self.eval_nodes(&[from]), self.eval_nodes(&[to]));
        let at = divisors.into_iter().find(|it| low[*it] * high[*it] < 0.0)?;
        let (mut low, mut high, below) = (from, to, low[at] < 0.0);
        for _ in 0..60 {
            let middle = 0.5 * (low + high);
            let side = if (self.eval_nodes(&[middle])[at] < 0.0) == below { &mut low } else { &mut high };
            *side = middle;
        }
        // A divisor that jumps over 0 is never there, unless by little.
        (self.eval_nodes(&[low])[at] - self.eval_nodes(&[high])[at]).abs().lt(&1e-6).then_some(low)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::Unary;
    use std::f64::consts::{FRAC_PI_2, PI};

    #[test]
    fn a_pole_is_found_between_places_and_at_one() {
        let secant = ScalarFn::build(1, |pool, it| {
            let (one, cos) = (pool.constant(1.0), pool.unary(Unary::Cos, it[0]));
            pool.div(one, cos)
        });
        assert!((secant.pole_between(1.0, 2.0).unwrap() - FRAC_PI_2).abs() < 1e-12);
        assert_eq!(secant.pole_between(0.0, 1.5), None);
        assert_eq!((secant.finite_at(FRAC_PI_2), secant.finite_at(PI)), (None, Some(-1.0)));
        let logarithm = ScalarFn::build(1, |pool, it| pool.unary(Unary::Log, it[0]));
        assert_eq!(
            (logarithm.finite_at(0.0), logarithm.finite_at(-1.0), logarithm.finite_at(1.0)),
            (None, None, Some(0.0))
        );
        let step = ScalarFn::build(1, |pool, it| {
            let sign = pool.unary(Unary::Sign, it[0]);
            pool.div(it[0], sign)
        });
        assert_eq!(step.pole_between(-1.0, 1.5), None, "it jumps over 0");
    }
}
