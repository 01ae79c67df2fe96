//! Sums as lists of terms with number factors.

use super::{ARC, LONGEST, Simplifier};
use crate::ir::expr::{Binary, ExprNode, Scalar, Unary};

/// `constant + sum of factor * term`; no term is a sum, a number, or a multiple.
#[derive(Clone, Debug, Default)]
pub(super) struct Sum {
    constant: f64,
    terms: Vec<(Scalar, f64)>,
}

impl Sum {
    fn scaled(&self, by: f64) -> Sum {
        Sum { constant: self.constant * by, terms: self.terms.iter().map(|(it, k)| (*it, k * by)).collect() }
    }

    fn plus(&self, other: &Sum) -> Sum {
        let mut sum = self.clone();
        sum.constant += other.constant;
        for &(term, factor) in &other.terms {
            sum.push(term, factor);
        }
        sum
    }

    fn is_finite(&self) -> bool {
        self.constant.is_finite() && self.terms.iter().all(|it| it.1.is_finite())
    }

    fn len(&self) -> usize {
        self.terms.len() + usize::from(self.constant != 0.0)
    }

    fn push(&mut self, term: Scalar, factor: f64) {
        match self.terms.iter_mut().find(|it| it.0 == term) {
            Some(there) => there.1 += factor,
            None => self.terms.push((term, factor)),
        }
    }
}

/// Whether `a + b` may become one number: when one is far larger, an operand close to it may cancel
/// first, and the small one counts in full.
fn comparable(a: f64, b: f64) -> bool {
    let (a, b) = (a.abs(), b.abs());
    a.max(b) <= 16.0 * a.min(b)
}

/// Whether `a + b` is 0 but for rounding.
fn cancels(a: f64, b: f64) -> bool {
    a != 0.0 && (a + b).abs() <= 4.0 * f64::EPSILON * a.abs()
}

impl Simplifier<'_> {
    pub(super) fn sum_of(&self, at: Scalar, node: &ExprNode) -> Sum {
        let of = |it: Scalar| self.infos[it.0 as usize].sum.as_ref();
        let sum = match *node {
            ExprNode::Const(value) => Sum { constant: value.0, terms: Vec::new() },
            ExprNode::Unary(Unary::Neg, a) => of(a).scaled(-1.0),
            ExprNode::Binary(Binary::Add, a, b) => of(a).plus(of(b)),
            ExprNode::Binary(Binary::Sub, a, b) => of(a).plus(&of(b).scaled(-1.0)),
            ExprNode::Binary(Binary::Mul, a, b) if self.value(b).is_some_and(|it| it != 0.0) => {
                Sum { constant: 0.0, terms: vec![(a, self.value(b).unwrap_or(1.0))] }
            }
            _ => Sum { constant: 0.0, terms: vec![(at, 1.0)] },
        };
        let lost = sum.terms.iter().any(|it| it.1 == 0.0);
        if lost || LONGEST < sum.terms.len() || !sum.is_finite() {
            return Sum { constant: 0.0, terms: vec![(at, 1.0)] };
        }
        sum
    }

    pub(in crate::ir::expr) fn add(&mut self, a: Scalar, b: Scalar) -> Scalar {
        self.combine(a, b, 1.0)
    }

    pub(in crate::ir::expr) fn sub(&mut self, a: Scalar, b: Scalar) -> Scalar {
        self.combine(a, b, -1.0)
    }

    /// `a + sign * b`.
    fn combine(&mut self, a: Scalar, b: Scalar, sign: f64) -> Scalar {
        if self.is_zero(b) {
            return a;
        }
        if self.is_zero(a) {
            return self.scaled(b, sign);
        }
        let ((ka, one), (kb, other)) = (self.split(a), self.split(b));
        if one == other {
            return self.scaled(one, ka + sign * kb);
        }
        let left = self.infos[a.0 as usize].sum.clone();
        let right = self.infos[b.0 as usize].sum.scaled(sign);
        if let Some(merged) = self.merged(&left, &right) {
            return self.build_sum(&merged);
        }
        let b = if kb < 0.0 { self.neg(b) } else { b };
        if kb * sign < 0.0 {
            return self.plain_sub(a, b);
        }
        if let Some(positive) = self.inner(Unary::Neg, a) {
            return self.plain_sub(b, positive);
        }
        self.raw(ExprNode::Binary(Binary::Add, a, b))
    }

    fn plain_sub(&mut self, a: Scalar, b: Scalar) -> Scalar {
        if let Some(positive) = self.inner(Unary::Neg, a) {
            let sum = self.raw(ExprNode::Binary(Binary::Add, positive, b));
            return self.raw(ExprNode::Unary(Unary::Neg, sum));
        }
        self.raw(ExprNode::Binary(Binary::Sub, a, b))
    }

    /// The sum of two lists, if they have something to merge and merging loses no digits: in
    /// `(x - y) + (x - z)` both differences may be exact, which `2 x - y - z` is not. So parts merge
    /// when they cancel, or when one of the lists is nothing but that part.
    fn merged(&mut self, left: &Sum, right: &Sum) -> Option<Sum> {
        let single = left.len().min(right.len()) == 1;
        let mut useful = false;
        let mut sum = left.plus(right);
        let mut meet = |a: f64, b: f64, total: &mut f64| {
            if cancels(a, b) {
                *total = 0.0;
            } else if !single || !comparable(a, b) {
                return false;
            }
            useful = true;
            true
        };
        if left.constant != 0.0 && right.constant != 0.0 && !meet(left.constant, right.constant, &mut sum.constant) {
            return None;
        }
        for (term, there) in &left.terms {
            let Some((_, k)) = right.terms.iter().find(|it| it.0 == *term) else { continue };
            let Some(total) = sum.terms.iter_mut().find(|it| it.0 == *term) else { continue };
            if !meet(*there, *k, &mut total.1) {
                return None;
            }
        }
        useful |= self.cancel_inner(&mut sum);
        let (rest, gone): (Vec<_>, Vec<_>) = sum.terms.into_iter().partition(|it| it.1 != 0.0);
        let leaves_a_trace = gone.iter().any(|it| !self.may_vanish_beside(it.0, rest.iter().map(|it| it.0)));
        let sum = Sum { terms: rest, ..sum };
        (useful && !leaves_a_trace && sum.is_finite()).then_some(sum)
    }

    /// Opens one multiple of a sum whose constant takes the whole's away: in `1 - 2/pi * (pi/2 - x)`.
    fn cancel_inner(&mut self, sum: &mut Sum) -> bool {
        for at in 0..sum.terms.len() {
            let (term, k) = sum.terms[at];
            let inner = self.infos[term.0 as usize].sum.clone();
            if let Some(c) = self.as_arc(term) {
                if cancels(sum.constant, k * ARC) {
                    let arc = self.unary(Unary::Asin, c);
                    sum.terms.remove(at);
                    sum.constant = 0.0;
                    let (sign, arc) = self.split(arc);
                    sum.push(arc, -k * sign);
                    return true;
                }
            } else if cancels(sum.constant, k * inner.constant) {
                sum.terms.remove(at);
                sum.constant = 0.0;
                for &(term, factor) in &inner.terms {
                    sum.push(term, k * factor);
                }
                return true;
            }
        }
        false
    }

    fn build_sum(&mut self, sum: &Sum) -> Scalar {
        let terms = &sum.terms;
        let first = terms.iter().position(|it| 0.0 < it.1);
        let mut constant = sum.constant;
        let mut total = match first {
            Some(at) => self.scaled(terms[at].0, terms[at].1),
            None if constant <= 0.0 && !terms.is_empty() => {
                // All below 0: the sum of the opposites, negated.
                let opposite = sum.scaled(-1.0);
                let total = self.build_sum(&opposite);
                return self.neg(total);
            }
            None => self.constant(std::mem::take(&mut constant)),
        };
        for (at, &(term, factor)) in terms.iter().enumerate() {
            if Some(at) != first {
                let part = self.scaled(term, factor.abs());
                let op = if factor < 0.0 { Binary::Sub } else { Binary::Add };
                total = self.raw(ExprNode::Binary(op, total, part));
            }
        }
        if constant != 0.0 {
            let part = self.constant(constant.abs());
            let op = if constant < 0.0 { Binary::Sub } else { Binary::Add };
            total = self.raw(ExprNode::Binary(op, total, part));
        }
        total
    }
}
