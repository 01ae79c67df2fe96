//! Products as lists of powers; exponents are counted in halves, so that roots take part.

use super::{Known, LONGEST, Sign, Simplifier};
use crate::ir::expr::{Binary, ExprNode, Scalar, ScalarFn, Unary};

/// `factor * product of base^(halves/2)`.
#[derive(Clone, Debug)]
pub(super) struct Product {
    factor: f64,
    powers: Vec<(Scalar, i32)>,
}

impl Product {
    fn inverse(&self) -> Product {
        Product { factor: 1.0 / self.factor, powers: self.powers.iter().map(|(it, e)| (*it, -e)).collect() }
    }

    fn times(&self, other: &Product) -> Product {
        let mut product = self.clone();
        product.factor *= other.factor;
        for &(base, halves) in &other.powers {
            match product.powers.iter_mut().find(|it| it.0 == base) {
                Some(there) => there.1 += halves,
                None => product.powers.push((base, halves)),
            }
        }
        product.powers.retain(|it| it.1 != 0);
        product
    }

    /// Whether multiplying cancels powers or completes roots.
    fn meets(&self, other: &Product) -> bool {
        other.powers.iter().any(|(base, e)| {
            self.powers
                .iter()
                .any(|(there, f)| there == base && (e.signum() != f.signum() || (0 < *e && e & f & 1 == 1)))
        })
    }
}

impl Simplifier<'_> {
    /// The product, if it means the same as both beside each other: powers cancel where their base is not 0, roots
    /// become whole where it is not negative, and what is gone leaves no trace that matters.
    fn times(&self, left: &Product, right: &Product) -> Option<Product> {
        for (base, e) in &right.powers {
            let Some((_, f)) = left.powers.iter().find(|it| it.0 == *base) else { continue };
            let enough = match (e.signum() == f.signum(), e & f & 1 == 1) {
                (false, _) => Sign::Positive,
                (true, true) => Sign::NotNegative,
                (true, false) => Sign::Any,
            };
            if self.sign(*base) < enough {
                return None;
            }
        }
        let product = left.times(right);
        let stays = |base: &Scalar| product.powers.iter().any(|it| it.0 == *base);
        let mut gone = left.powers.iter().map(|it| it.0).filter(|it| !stays(it));
        let rest = || product.powers.iter().map(|it| it.0);
        gone.all(|it| self.may_vanish_beside(it, rest())).then_some(product)
    }

    pub(super) fn product_of(&self, at: Scalar, node: &ExprNode) -> Product {
        let of = |it: Scalar| self.infos[it.0 as usize].product.as_ref();
        let whole = Product { factor: 1.0, powers: vec![(at, 2)] };
        let product = match *node {
            ExprNode::Const(value) => Product { factor: value.0, powers: Vec::new() },
            ExprNode::Unary(Unary::Neg, a) => {
                let mut product = of(a).clone();
                product.factor = -product.factor;
                product
            }
            ExprNode::Unary(Unary::Sqrt, a) => Product { factor: 1.0, powers: vec![(a, 1)] },
            ExprNode::Unary(Unary::Rsqrt, a) => Product { factor: 1.0, powers: vec![(a, -1)] },
            ExprNode::Binary(Binary::Mul, a, b) => match self.times(of(a), of(b)) {
                Some(product) => product,
                None => return whole,
            },
            ExprNode::Binary(Binary::Div, a, b) => match self.times(of(a), &of(b).inverse()) {
                Some(product) => product,
                None => return whole,
            },
            _ => return whole,
        };
        let tame = product.powers.len() <= LONGEST && product.factor.is_finite() && product.factor != 0.0;
        if tame || product.powers.is_empty() { product } else { whole }
    }

    /// A node as a number times the rest.
    pub(super) fn split(&mut self, at: Scalar) -> (f64, Scalar) {
        match self.pool.get(at) {
            ExprNode::Const(value) => (value.0, self.constant(1.0)),
            ExprNode::Unary(Unary::Neg, a) => {
                let (factor, rest) = self.split(a);
                (-factor, rest)
            }
            ExprNode::Binary(Binary::Mul, a, b) => {
                self.value(b).filter(|it| *it != 0.0).map_or((1.0, at), |factor| (factor, a))
            }
            ExprNode::Binary(Binary::Div, a, _) if self.value(a).is_some_and(|it| it < 0.0) => (-1.0, self.neg(at)),
            _ => (1.0, at),
        }
    }

    /// `a` times a number.
    pub(super) fn scaled(&mut self, a: Scalar, by: f64) -> Scalar {
        if by == 0.0 {
            let zero = self.constant(0.0);
            return if self.may_vanish(a) { zero } else { self.raw(ExprNode::Binary(Binary::Mul, a, zero)) };
        }
        if by == 1.0 {
            return a;
        }
        // A factor that leaves the range of numbers stays apart.
        let kept = |k: f64| (k * by).is_normal().then_some(k * by);
        match self.pool.get(a) {
            ExprNode::Const(value) => return self.constant(value.0 * by),
            ExprNode::Unary(Unary::Neg, x) => return self.scaled(x, -by),
            ExprNode::Binary(Binary::Mul, x, k) => {
                if let Some(k) = self.value(k).and_then(kept) {
                    return self.scaled(x, k);
                }
            }
            ExprNode::Binary(Binary::Div, k, x) => {
                if let Some(k) = self.value(k).and_then(kept) {
                    let k = self.constant(k);
                    return self.raw(ExprNode::Binary(Binary::Div, k, x));
                }
            }
            ExprNode::Binary(Binary::Sub, x, y) if by == -1.0 => return self.sub(y, x),
            _ => {}
        }
        if by == -1.0 {
            return self.raw(ExprNode::Unary(Unary::Neg, a));
        }
        let by = self.constant(by);
        self.raw(ExprNode::Binary(Binary::Mul, a, by))
    }

    pub(in crate::ir::expr) fn neg(&mut self, a: Scalar) -> Scalar {
        self.scaled(a, -1.0)
    }

    pub(in crate::ir::expr) fn mul(&mut self, a: Scalar, b: Scalar) -> Scalar {
        let ((ka, left), (kb, right)) = (self.split(a), self.split(b));
        let factor = ka * kb;
        if ka == 0.0 || kb == 0.0 {
            return self.scaled(if ka == 0.0 { b } else { a }, 0.0);
        }
        if !factor.is_normal() {
            return self.raw(ExprNode::Binary(Binary::Mul, a, b));
        }
        let product = self.mul_rest(left, right);
        self.scaled(product, factor)
    }

    /// The product of two nodes without number factors.
    fn mul_rest(&mut self, a: Scalar, b: Scalar) -> Scalar {
        for (one, other) in [(a, b), (b, a)] {
            if self.value(one) == Some(1.0) {
                return other;
            }
            if let Some(x) = self.inner(Unary::Abs, one) {
                // `|x| |x| = x x` and `|x| sign x = x`.
                if one == other {
                    return self.mul(x, x);
                }
                if self.inner(Unary::Sign, other) == Some(x) {
                    return x;
                }
            }
            if self.inner(Unary::Sign, one) == Some(other) {
                return self.unary(Unary::Abs, other);
            }
        }
        if a == b && self.is_truth(a) {
            return a;
        }
        let (left, right) = (self.infos[a.0 as usize].product.clone(), self.infos[b.0 as usize].product.clone());
        let inverse =
            |s: &Self, it| matches!(s.pool.get(it), ExprNode::Binary(Binary::Div, k, _) if s.value(k).is_some());
        match self.times(&left, &right) {
            Some(product) if left.meets(&right) || inverse(self, a) || inverse(self, b) => self.build_product(&product),
            _ => self.raw(ExprNode::Binary(Binary::Mul, a, b)),
        }
    }

    pub(in crate::ir::expr) fn div(&mut self, a: Scalar, b: Scalar) -> Scalar {
        let plain = |s: &mut Self| s.raw(ExprNode::Binary(Binary::Div, a, b));
        if self.is_zero(a) && self.is_positive(b) && self.may_vanish(b) {
            return a;
        }
        let ((ka, top), (kb, bottom)) = (self.split(a), self.split(b));
        let factor = if kb == 1.0 { ka } else { ka * (1.0 / kb) };
        if !factor.is_normal() {
            return plain(self);
        }
        if top == bottom && self.is_positive(top) && self.may_vanish(top) {
            return self.constant(factor);
        }
        if self.value(bottom).is_some() {
            return self.scaled(top, factor);
        }
        let (left, right) =
            (self.infos[top.0 as usize].product.clone(), self.infos[bottom.0 as usize].product.inverse());
        let met = if left.meets(&right) { self.times(&left, &right) } else { None };
        let quotient = if let Some(product) = met {
            self.build_product(&product)
        } else if right.powers.iter().any(|it| 0 < it.1 || it.1 & 1 == 1) {
            // A root below becomes a factor above; what was divided twice is multiplied.
            let inverse = self.build_product(&right);
            self.mul(top, inverse)
        } else if self.value(top).is_some() {
            let top = self.constant(factor);
            return self.raw(ExprNode::Binary(Binary::Div, top, bottom));
        } else {
            self.raw(ExprNode::Binary(Binary::Div, top, bottom))
        };
        self.scaled(quotient, factor)
    }

    fn build_product(&mut self, product: &Product) -> Scalar {
        let (mut above, mut below) = (None, None);
        for &(base, halves) in &product.powers {
            if halves & 1 == 1 {
                let op = if halves < 0 { Unary::Rsqrt } else { Unary::Sqrt };
                let root = self.unary(op, base);
                self.times_power(&mut above, root, 1);
                // Two more reciprocal roots are cheaper than one division.
                if halves == -3 {
                    self.times_power(&mut above, root, 2);
                    continue;
                }
            }
            let side = if halves < 0 { &mut below } else { &mut above };
            self.times_power(side, base, halves.unsigned_abs() / 2);
        }
        let Some(below) = below else {
            return match above {
                Some(above) => self.scaled(above, product.factor),
                None => self.constant(product.factor),
            };
        };
        match above {
            Some(above) => {
                let quotient = self.raw(ExprNode::Binary(Binary::Div, above, below));
                self.scaled(quotient, product.factor)
            }
            None => {
                let top = self.constant(product.factor);
                self.raw(ExprNode::Binary(Binary::Div, top, below))
            }
        }
    }

    fn times_power(&mut self, into: &mut Option<Scalar>, base: Scalar, times: u32) {
        for _ in 0..times {
            *into = Some(match *into {
                Some(product) => self.raw(ExprNode::Binary(Binary::Mul, product, base)),
                None => base,
            });
        }
    }

    pub(super) fn pow(&mut self, a: Scalar, b: Scalar) -> Scalar {
        if self.value(a) == Some(1.0) {
            return a;
        }
        let Some(exponent) = self.value(b) else {
            return self.raw(ExprNode::Binary(Binary::Pow, a, b));
        };
        let halves = exponent * 2.0;
        if halves.fract() != 0.0 || 8.0 < halves.abs() {
            let a = if exponent.fract() == 0.0 { a } else { self.root_argument(a) };
            return self.raw(ExprNode::Binary(Binary::Pow, a, b));
        }
        let halves = halves as i32;
        let mut result = self.constant(1.0);
        if halves & 1 == 1 {
            result = self.unary(if halves < 0 { Unary::Rsqrt } else { Unary::Sqrt }, a);
        }
        let mut whole = self.constant(1.0);
        if halves.unsigned_abs() / 2 == 4 {
            let square = self.mul(a, a);
            whole = self.mul(square, square);
        } else {
            for _ in 0..halves.unsigned_abs() / 2 {
                whole = self.mul(whole, a);
            }
        }
        if halves < 0 { self.div(result, whole) } else { self.mul(whole, result) }
    }
}

impl ScalarFn {
    /// The only result as a product: factors that need nothing but the arguments marked in `outer`,
    /// times the rest. Both keep the arity.
    pub fn split_product(&self, outer: &[bool]) -> (ScalarFn, ScalarFn) {
        let mut s = Simplifier::new(Known::default());
        let root = s.copy(self).1[0];
        let product = s.infos[root.0 as usize].product.clone();
        let pulled = |s: &Simplifier, base: Scalar| {
            s.pool.finish(self.arity, &[base]).used_inputs().iter().all(|it| outer[*it as usize])
        };
        let (out, rest): (Vec<_>, Vec<_>) = product.powers.iter().partition(|it| pulled(&s, it.0));
        let out = s.build_product(&Product { factor: product.factor, powers: out });
        let rest = s.build_product(&Product { factor: 1.0, powers: rest });
        (s.pool.finish(self.arity, &[out]), s.pool.finish(self.arity, &[rest]))
    }
}
