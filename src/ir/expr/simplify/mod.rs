//! Simplification: constants, identities, and the rewrites that keep operators safe.
//!
//! A function is rebuilt bottom up through constructors that never make what has a simpler form
//! ([`Simplifier`]). Sums (`sum.rs`) and products (`product.rs`) are looked at as lists of terms and
//! of powers, but they are only regrouped where something cancels or merges: regrouping alone gains
//! nothing, loses sharing, and could cancel digits that the written form keeps.
//!
//! No rewrite leaves the domain: roots, logarithms and quotients go away only where what is known of signs
//! says that they are numbers, and no argument goes away altogether (`x - x`, `x * 0`, `x / x`), so that a
//! NaN stays one. Of arguments that are told to be positive it is assumed that they are finite. What
//! remains assumed is that sums and products are those of reals: what overflows on the way may come out
//! finite. `Stop` is a wall: nothing is cancelled through it.

mod known;
mod product;
mod sum;

use super::functions::Parity;
use super::{Binary, ExprNode, Pool, Scalar, ScalarFn, Unary};
pub use known::Known;
use known::{Reach, Sign};
use product::Product;
use std::f64::consts::FRAC_PI_2;
use std::rc::Rc;
use sum::Sum;

/// Longest list of terms or powers that is kept for a node; beyond it counts as one piece.
const LONGEST: usize = 16;

/// What is known of a node, beside the node.
#[derive(Clone, Debug)]
struct Info {
    sign: Sign,
    reach: Reach,
    product: Rc<Product>,
    sum: Rc<Sum>,
}

/// Builds nodes in their simplest form. Every node has gone through here.
#[derive(Debug)]
pub(super) struct Simplifier<'a> {
    pub(super) pool: Pool,
    infos: Vec<Info>,
    given: Known<'a>,
}

impl ScalarFn {
    /// The same function in a simpler form. Idempotent and deterministic.
    pub fn simplify(&self) -> ScalarFn {
        self.simplify_with(Known::default())
    }

    /// The same, where something is known of the arguments.
    pub fn simplify_with(&self, given: Known<'_>) -> ScalarFn {
        let mut current = self.clone();
        // One pass nearly always reaches the fixed point; a rewrite can enable one that was passed by.
        for _ in 0..8 {
            let mut into = Simplifier::new(given);
            let roots = into.copy(&current).1;
            let next = into.pool.finish(self.arity, &roots);
            if next == current {
                break;
            }
            current = next;
        }
        current
    }
}

impl<'a> Simplifier<'a> {
    pub(super) fn new(given: Known<'a>) -> Self {
        Self { pool: Pool::new(), infos: Vec::new(), given }
    }

    /// Copies a function, simplified; gives where each of its nodes went, and its roots.
    pub(super) fn copy(&mut self, f: &ScalarFn) -> (Vec<Scalar>, Vec<Scalar>) {
        let mut here: Vec<Scalar> = Vec::with_capacity(f.nodes.len());
        for node in &*f.nodes {
            let at = |it: Scalar| here[it.0 as usize];
            let copy = match *node {
                ExprNode::Const(_) | ExprNode::Input(_) => self.raw(*node),
                ExprNode::Unary(op, a) => self.unary(op, at(a)),
                ExprNode::Binary(op, a, b) => self.binary(op, at(a), at(b)),
                ExprNode::Select(c, a, b) => self.select(at(c), at(a), at(b)),
            };
            here.push(copy);
        }
        let roots = f.roots.iter().map(|it| here[it.0 as usize]).collect();
        (here, roots)
    }

    /// Adds a node as it is; of a commutative pair, the order that was there first.
    fn raw(&mut self, node: ExprNode) -> Scalar {
        if let ExprNode::Binary(op @ (Binary::Add | Binary::Mul), a, b) = node
            && let Some(there) = self.pool.find(&ExprNode::Binary(op, b, a))
        {
            return there;
        }
        let at = self.pool.node(node);
        if at.0 as usize == self.infos.len() {
            let info = Info {
                sign: self.sign_of(&node),
                reach: self.reach_of(&node),
                product: Rc::new(self.product_of(at, &node)),
                sum: Rc::new(self.sum_of(at, &node)),
            };
            self.infos.push(info);
        }
        at
    }

    pub(super) fn constant(&mut self, value: f64) -> Scalar {
        // One zero: what `-0` could decide (the sign of an infinity) is outside of what is promised.
        self.raw(ExprNode::Const(super::Scalar64(if value == 0.0 { 0.0 } else { value })))
    }

    fn value(&self, at: Scalar) -> Option<f64> {
        self.pool.as_const(at)
    }

    pub(super) fn is_zero(&self, at: Scalar) -> bool {
        self.value(at) == Some(0.0)
    }

    fn inner(&self, op: Unary, at: Scalar) -> Option<Scalar> {
        match self.pool.get(at) {
            ExprNode::Unary(found, a) if found == op => Some(a),
            _ => None,
        }
    }

    pub(super) fn unary(&mut self, op: Unary, a: Scalar) -> Scalar {
        if let Some(value) = self.value(a) {
            let folded = op.apply(value);
            if folded.is_finite() {
                return self.constant(folded);
            }
        }
        let plain = |s: &mut Self| s.raw(ExprNode::Unary(op, a));
        match op {
            Unary::Neg => self.neg(a),
            Unary::Abs => {
                let (factor, rest) = self.split(a);
                if Sign::Any < self.sign(rest) {
                    self.scaled(rest, factor.abs())
                } else if factor != 1.0 {
                    let rest = self.unary(Unary::Abs, rest);
                    self.scaled(rest, factor.abs())
                } else {
                    plain(self)
                }
            }
            Unary::Sign => {
                let (factor, rest) = self.split(a);
                if self.is_positive(rest) && self.may_vanish(rest) {
                    self.constant(factor.signum())
                } else if factor != 1.0 {
                    let rest = self.unary(Unary::Sign, rest);
                    self.scaled(rest, factor.signum())
                } else {
                    self.inner(Unary::Sign, a).map_or_else(|| plain(self), |_| a)
                }
            }
            Unary::Sqrt => match self.pool.get(a) {
                ExprNode::Binary(Binary::Mul, x, y) if x == y => self.unary(Unary::Abs, x),
                _ => {
                    let a = self.root_argument(a);
                    self.raw(ExprNode::Unary(op, a))
                }
            },
            Unary::Exp => match self.inner(Unary::Log, a) {
                Some(x) if Sign::Any < self.sign(x) => x,
                _ => plain(self),
            },
            Unary::Log => self.inner(Unary::Exp, a).unwrap_or_else(|| plain(self)),
            Unary::Expm1 => match self.inner(Unary::Log1p, a) {
                Some(x) if Sign::Any < self.sign(x) => x,
                _ => plain(self),
            },
            Unary::Log1p => self.inner(Unary::Expm1, a).unwrap_or_else(|| plain(self)),
            Unary::Sin | Unary::Cos => self.circular(op, a),
            Unary::Floor => self.inner(Unary::Floor, a).map_or_else(|| plain(self), |_| a),
            Unary::Stop => match self.pool.get(a) {
                // These have no derivative to stop.
                ExprNode::Unary(Unary::Stop | Unary::Sign | Unary::Floor, _) => a,
                _ if self.is_truth(a) => a,
                _ => plain(self),
            },
            Unary::Rsqrt
            | Unary::Tanh
            | Unary::Logistic
            | Unary::Erf
            | Unary::Asin
            | Unary::Acos
            | Unary::AsinSlope
            | Unary::Atan => self.mirrored(op, a).unwrap_or_else(|| plain(self)),
        }
    }

    /// A function that takes a minus before its argument outside, or drops it.
    fn mirrored(&mut self, op: Unary, a: Scalar) -> Option<Scalar> {
        match op.parity() {
            Parity::Neither => None,
            Parity::Even => {
                let positive = self.negated(a)?;
                Some(self.unary(op, positive))
            }
            Parity::Odd => {
                let positive = self.negated(a)?;
                let value = self.unary(op, positive);
                Some(self.neg(value))
            }
        }
    }

    /// `b` when `a` is `-b` or `b` times a negative number.
    fn negated(&mut self, a: Scalar) -> Option<Scalar> {
        let (factor, rest) = self.split(a);
        (factor < 0.0 && self.value(a).is_none()).then(|| self.scaled(rest, -factor))
    }

    fn circular(&mut self, op: Unary, a: Scalar) -> Scalar {
        if let Some(value) = self.mirrored(op, a) {
            return value;
        }
        match (op, self.pool.get(a)) {
            (Unary::Cos, ExprNode::Unary(Unary::Acos, c)) | (Unary::Sin, ExprNode::Unary(Unary::Asin, c)) => {
                if self.is_cosine(c) {
                    return c;
                }
                let (low, high) = (self.constant(-1.0), self.constant(1.0));
                let raised = self.binary(Binary::Max, c, low);
                self.binary(Binary::Min, raised, high)
            }
            (_, ExprNode::Unary(Unary::Acos | Unary::Asin, c)) => {
                // Not `1 - c*c`, which loses what is left of `c` near 1. An arc is clamped, and rounding takes even a
                // cosine beyond 1.
                let (zero, one) = (self.constant(0.0), self.constant(1.0));
                let below = self.sub(one, c);
                let above = self.add(one, c);
                let square = self.mul(below, above);
                let square = self.binary(Binary::Max, square, zero);
                self.unary(Unary::Sqrt, square)
            }
            _ => self.raw(ExprNode::Unary(op, a)),
        }
    }

    pub(super) fn binary(&mut self, op: Binary, a: Scalar, b: Scalar) -> Scalar {
        if let (Some(x), Some(y)) = (self.value(a), self.value(b)) {
            let folded = op.apply(x, y);
            if folded.is_finite() {
                return self.constant(folded);
            }
        }
        match op {
            Binary::Add => self.add(a, b),
            Binary::Sub => self.sub(a, b),
            Binary::Mul => self.mul(a, b),
            Binary::Div => self.div(a, b),
            Binary::Pow => self.pow(a, b),
            Binary::Min | Binary::Max => self.extremum(op, a, b),
            Binary::Lt if a == b => self.constant(0.0),
            Binary::Le | Binary::Eq if a == b && self.may_vanish(a) => self.constant(1.0),
            Binary::Lt | Binary::Le | Binary::Eq => self.raw(ExprNode::Binary(op, a, b)),
        }
    }

    fn extremum(&mut self, op: Binary, a: Scalar, b: Scalar) -> Scalar {
        if a == b {
            return a;
        }
        if let Some(limit) = self.value(b) {
            if limit == 0.0 && Sign::Any < self.sign(a) {
                match op {
                    Binary::Max => return a,
                    _ if self.may_vanish(a) => return b,
                    _ => {}
                }
            }
            if let ExprNode::Binary(inner, x, y) = self.pool.get(a)
                && inner == op
                && let Some(other) = self.value(y)
            {
                let limit = self.constant(op.apply(limit, other));
                return self.raw(ExprNode::Binary(op, x, limit));
            }
        }
        self.raw(ExprNode::Binary(op, a, b))
    }

    pub(super) fn select(&mut self, c: Scalar, a: Scalar, b: Scalar) -> Scalar {
        if let Some(value) = self.value(c) {
            return if value == 0.0 { b } else { a };
        }
        if a == b || self.is_positive(c) {
            return a;
        }
        if self.is_truth(c) {
            if self.value(a) == Some(1.0) && self.is_zero(b) {
                return c;
            }
            if self.is_zero(a) && self.value(b) == Some(1.0) {
                return self.sub(b, c);
            }
        }
        self.raw(ExprNode::Select(c, a, b))
    }

    /// `acos c` as the sum it also is: `pi/2 - asin c`.
    fn as_arc(&self, at: Scalar) -> Option<Scalar> {
        self.inner(Unary::Acos, at)
    }
}

/// What `acos c` and `-asin c` differ by.
const ARC: f64 = FRAC_PI_2;

#[cfg(test)]
mod tests;
