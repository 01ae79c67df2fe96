//! What is known of values while they are simplified: signs, domains, and the arguments that they are made of.

use super::Simplifier;
use crate::ir::expr::functions::{Domain, Signed};
use crate::ir::expr::{Binary, ExprNode, Scalar, Unary};

/// What is known of a function's arguments, by their numbers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Known<'a> {
    /// Finite and above 0.
    pub positive: &'a [u32],
    /// From -1 to 1, but for rounding. Where there are any, the function is an operator, of which it was proved that
    /// no root is taken of a negative number (or it was reported): what rounding leaves below 0 counts as 0.
    pub cosines: &'a [u32],
}

/// What is known of a value's sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Sign {
    Any,
    NotNegative,
    Positive,
}

/// What a value is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reach {
    /// Whether it is a number wherever its arguments are.
    total: bool,
    /// A bit for each argument; the last stands for all that have no bit of their own.
    inputs: u128,
    /// Those of them that make the value NaN where they are: a comparison with NaN is 0 like any other.
    shown: u128,
}

impl Reach {
    const NOTHING: Reach = Reach { total: true, inputs: 0, shown: 0 };
    const REST: u128 = 1 << 127;

    pub(super) fn join(self, other: Reach) -> Reach {
        Reach { total: self.total && other.total, inputs: self.inputs | other.inputs, shown: self.shown | other.shown }
    }
}

impl Simplifier<'_> {
    fn reach(&self, at: Scalar) -> Reach {
        self.infos[at.0 as usize].reach
    }

    pub(super) fn reach_of(&self, node: &ExprNode) -> Reach {
        let (below, inside) = match *node {
            ExprNode::Const(value) => (Reach::NOTHING, value.0.is_finite()),
            ExprNode::Input(i) => {
                let inputs = if i < 127 { 1 << i } else { Reach::REST };
                (Reach { total: true, inputs, shown: inputs }, true)
            }
            ExprNode::Unary(op, a) => {
                let inside = match op.domain() {
                    Domain::All | Domain::Arc => true,
                    Domain::Root => Sign::Any < self.sign(a),
                    Domain::Logarithm(pole) if pole < 0.0 => Sign::Any < self.sign(a),
                    Domain::InverseRoot | Domain::Logarithm(_) => Sign::Positive == self.sign(a),
                };
                (self.reach(a), inside)
            }
            ExprNode::Binary(op, a, b) => {
                let inside = match op {
                    Binary::Div => Sign::Positive == self.sign(b),
                    Binary::Pow => Sign::Positive == self.sign(a),
                    Binary::Add | Binary::Sub | Binary::Mul | Binary::Min | Binary::Max => true,
                    Binary::Lt | Binary::Le | Binary::Eq => true,
                };
                let both = self.reach(a).join(self.reach(b));
                let shown = match op {
                    Binary::Lt | Binary::Le | Binary::Eq => 0,
                    // The power of 0 is 1, and so is any power of 1.
                    Binary::Pow if self.value(b).is_some_and(|it| it != 0.0) => self.reach(a).shown,
                    Binary::Pow => 0,
                    Binary::Add | Binary::Sub | Binary::Mul | Binary::Div | Binary::Min | Binary::Max => both.shown,
                };
                (Reach { shown, ..both }, inside)
            }
            ExprNode::Select(c, a, b) => {
                let (first, second) = (self.reach(a), self.reach(b));
                let shown = first.shown & second.shown;
                (Reach { shown, ..self.reach(c).join(first).join(second) }, true)
            }
        };
        Reach { total: below.total && inside, ..below }
    }

    /// Whether an expression may lose a value without a trace: it is a number whatever its arguments are.
    pub(super) fn may_vanish(&self, gone: Scalar) -> bool {
        self.may_vanish_beside(gone, [])
    }

    /// The same where `rest` stays: what is NaN there shows anyway.
    pub(super) fn may_vanish_beside(&self, gone: Scalar, rest: impl IntoIterator<Item = Scalar>) -> bool {
        let Reach { total, inputs, shown: _ } = self.reach(gone);
        let finite = self.given.positive.iter().filter(|it| **it < 127).fold(0u128, |all, it| all | 1 << it);
        let shown = rest.into_iter().fold(finite, |all, it| all | self.reach(it).shown) & !Reach::REST;
        total && inputs & !shown == 0
    }

    /// The argument of a root, safe from rounding where that is all that can make it negative.
    pub(super) fn root_argument(&mut self, a: Scalar) -> Scalar {
        if self.given.cosines.is_empty() || Sign::Any < self.sign(a) {
            return a;
        }
        let zero = self.constant(0.0);
        self.binary(Binary::Max, a, zero)
    }

    /// Whether a value lies in [-1, 1], but for rounding.
    pub(super) fn is_cosine(&self, at: Scalar) -> bool {
        match self.pool.get(at) {
            ExprNode::Const(value) => value.0.abs() <= 1.0,
            ExprNode::Input(i) => self.given.cosines.contains(&i),
            ExprNode::Unary(op, _) if -1.0 <= op.bounds().0 && op.bounds().1 <= 1.0 => true,
            ExprNode::Unary(Unary::Neg | Unary::Abs | Unary::Stop, a) => self.is_cosine(a),
            ExprNode::Binary(Binary::Mul, a, b) => self.is_cosine(a) && self.is_cosine(b),
            _ => self.is_truth(at),
        }
    }

    pub(super) fn sign(&self, at: Scalar) -> Sign {
        self.infos[at.0 as usize].sign
    }

    pub(in crate::ir::expr) fn is_positive(&self, at: Scalar) -> bool {
        self.sign(at) == Sign::Positive
    }

    pub(super) fn sign_of(&self, node: &ExprNode) -> Sign {
        match *node {
            ExprNode::Const(value) if 0.0 < value.0 => Sign::Positive,
            ExprNode::Const(value) if value.0 == 0.0 => Sign::NotNegative,
            ExprNode::Const(_) => Sign::Any,
            ExprNode::Input(i) if self.given.positive.contains(&i) => Sign::Positive,
            ExprNode::Input(_) => Sign::Any,
            ExprNode::Unary(op, a) => match op.sign() {
                Signed::Any => Sign::Any,
                Signed::Same => self.sign(a),
                Signed::SameOrZero => self.sign(a).min(Sign::NotNegative),
                Signed::Size => self.sign(a).max(Sign::NotNegative),
                Signed::NotNegative => Sign::NotNegative,
                Signed::Positive => Sign::Positive,
            },
            ExprNode::Binary(op, a, b) => {
                let (a_sign, b_sign) = (self.sign(a), self.sign(b));
                match op {
                    Binary::Add if Sign::Any < a_sign && Sign::Any < b_sign => a_sign.max(b_sign),
                    Binary::Mul if a == b => a_sign.max(Sign::NotNegative),
                    Binary::Mul | Binary::Div => a_sign.min(b_sign),
                    Binary::Pow if a_sign == Sign::Positive => Sign::Positive,
                    Binary::Pow => a_sign,
                    Binary::Min => a_sign.min(b_sign),
                    Binary::Max => a_sign.max(b_sign),
                    Binary::Lt | Binary::Le | Binary::Eq => Sign::NotNegative,
                    Binary::Add | Binary::Sub => Sign::Any,
                }
            }
            ExprNode::Select(_, a, b) => self.sign(a).min(self.sign(b)),
        }
    }

    /// Whether the value is 0 or 1.
    pub(super) fn is_truth(&self, at: Scalar) -> bool {
        match self.pool.get(at) {
            ExprNode::Binary(Binary::Lt | Binary::Le | Binary::Eq, ..) => true,
            ExprNode::Binary(Binary::Sub, one, it) => self.value(one) == Some(1.0) && self.is_truth(it),
            _ => false,
        }
    }
}
