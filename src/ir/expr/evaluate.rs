//! What an expression means, in `f64`; and small questions and operations on whole functions.

use super::{Binary, ExprNode, Pool, Scalar, ScalarFn, Unary};

/// `d` of [`Unary::AsinSlope`] in f64.
pub(super) const SLOPE_FLOOR: f64 = 1e-12;

/// The error function: up to 2 by a series of positive terms, beyond by a continued fraction for what it lacks of 1.
pub(crate) fn erf(a: f64) -> f64 {
    use std::f64::consts::FRAC_2_SQRT_PI;
    let x = a.abs();
    if x.is_nan() || x == 0.0 {
        return a;
    }
    let bell = (-x * x).exp();
    let value = if x < 2.0 {
        let (mut term, mut sum, mut n) = (x, x, 1.0);
        while f64::EPSILON / 4.0 * sum < term {
            n += 2.0;
            term *= 2.0 * x * x / n;
            sum += term;
        }
        FRAC_2_SQRT_PI * bell * sum
    } else {
        1.0 - 0.5 * FRAC_2_SQRT_PI * bell / (1..=60).rev().fold(x, |below, k| x + 0.5 * f64::from(k) / below)
    };
    value.copysign(a)
}

impl Unary {
    /// The value at `a` in f64.
    pub fn apply(self, a: f64) -> f64 {
        match self {
            Unary::Neg => -a,
            Unary::Abs => a.abs(),
            Unary::Sign if 0.0 < a => 1.0,
            Unary::Sign if a < 0.0 => -1.0,
            Unary::Sign => a,
            Unary::Sqrt => a.sqrt(),
            Unary::Rsqrt => 1.0 / a.sqrt(),
            Unary::Exp => a.exp(),
            Unary::Expm1 => a.exp_m1(),
            Unary::Log => a.ln(),
            Unary::Log1p => a.ln_1p(),
            Unary::Sin => a.sin(),
            Unary::Cos => a.cos(),
            Unary::Tanh => a.tanh(),
            Unary::Logistic if a < 0.0 => a.exp() / (1.0 + a.exp()),
            Unary::Logistic => 1.0 / (1.0 + (-a).exp()),
            Unary::Erf => erf(a),
            Unary::Asin => a.clamp(-1.0, 1.0).asin(),
            Unary::Acos => a.clamp(-1.0, 1.0).acos(),
            Unary::AsinSlope => {
                let rest = (1.0 - a) * (1.0 + a);
                1.0 / if rest < SLOPE_FLOOR { SLOPE_FLOOR } else { rest }.sqrt()
            }
            Unary::Atan => a.atan(),
            Unary::Floor => a.floor(),
            Unary::Stop => a,
        }
    }
}

impl Binary {
    /// The value at `(a, b)` in f64.
    pub fn apply(self, a: f64, b: f64) -> f64 {
        let truth = |it: bool| f64::from(u8::from(it));
        match self {
            Binary::Add => a + b,
            Binary::Sub => a - b,
            Binary::Mul => a * b,
            Binary::Div => a / b,
            Binary::Pow => a.powf(b),
            Binary::Min if a.is_nan() || a < b => a,
            Binary::Min => b,
            Binary::Max if a.is_nan() || b < a => a,
            Binary::Max => b,
            Binary::Lt => truth(a < b),
            Binary::Le => truth(a <= b),
            Binary::Eq => truth(a == b),
        }
    }
}

impl ScalarFn {
    /// The results at `args`, in f64.
    pub fn eval(&self, args: &[f64]) -> Vec<f64> {
        let values = self.eval_nodes(args);
        self.roots.iter().map(|it| values[it.0 as usize]).collect()
    }

    /// The value of every node at `args`, in f64.
    pub fn eval_nodes(&self, args: &[f64]) -> Vec<f64> {
        assert_eq!(args.len(), self.arity as usize, "arguments of `{self}`");
        let mut values: Vec<f64> = Vec::with_capacity(self.nodes.len());
        for node in &*self.nodes {
            let at = |it: Scalar| values[it.0 as usize];
            let value = match *node {
                ExprNode::Const(value) => value.0,
                ExprNode::Input(i) => args[i as usize],
                ExprNode::Unary(op, a) => op.apply(at(a)),
                ExprNode::Binary(op, a, b) => op.apply(at(a), at(b)),
                ExprNode::Select(c, a, b) if at(c) == 0.0 => {
                    let _ = a;
                    at(b)
                }
                ExprNode::Select(_, a, _) => at(a),
            };
            values.push(value);
        }
        values
    }

    /// Whether it is the function of one argument that gives it back.
    pub fn is_identity(&self) -> bool {
        self.arity == 1 && *self.nodes == [ExprNode::Input(0)] && *self.roots == [Scalar(0)]
    }

    /// The number it always gives, if its only result is a constant.
    pub fn as_constant(&self) -> Option<f64> {
        match (&*self.roots, &*self.nodes) {
            ([_], [ExprNode::Const(value)]) => Some(value.0),
            _ => None,
        }
    }

    /// `self(args[0](..), args[1](..), ..)`: every argument is a function with one result, all of the
    /// same arity, which becomes the arity of the whole.
    pub fn compose(&self, args: &[ScalarFn]) -> ScalarFn {
        assert_eq!(args.len(), self.arity as usize, "arguments of `{self}`");
        let arity = args.first().map_or(0, |it| it.arity);
        debug_assert!(args.iter().all(|it| it.arity == arity && it.roots.len() == 1));
        let mut pool = Pool::new();
        let inputs: Vec<Scalar> = (0..arity).map(|it| pool.input(it)).collect();
        let args: Vec<Scalar> = args.iter().map(|it| pool.inline(it, &inputs)[0]).collect();
        let roots = pool.inline(self, &args);
        pool.finish(arity, &roots)
    }

    /// The same function with other arguments: argument `i` becomes argument `to[i]` of `arity`.
    pub fn rename(&self, arity: u32, to: &[u32]) -> ScalarFn {
        let mut pool = Pool::new();
        let args: Vec<Scalar> = to.iter().map(|it| pool.input(*it)).collect();
        let roots = pool.inline(self, &args);
        pool.finish(arity, &roots)
    }

    /// Drops arguments that do not occur; says which stay, ascending.
    pub fn prune(&self) -> (ScalarFn, Vec<u32>) {
        let used = self.used_inputs();
        let mut to = vec![0; self.arity as usize];
        for (at, &i) in used.iter().enumerate() {
            to[i as usize] = at as u32;
        }
        let renamed = |it: &ExprNode| if let ExprNode::Input(i) = *it { ExprNode::Input(to[i as usize]) } else { *it };
        let nodes = self.nodes.iter().map(renamed).collect();
        (ScalarFn { arity: used.len() as u32, nodes, roots: self.roots.clone() }, used)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_singular_is_made_safe() {
        assert!(Unary::Sqrt.apply(-1.0).is_nan());
        assert_eq!(Unary::Acos.apply(1.5), 0.0);
        assert_eq!(Unary::Asin.apply(-2.0), -std::f64::consts::FRAC_PI_2);
        assert!((Unary::AsinSlope.apply(1.0) - 1e6).abs() < 1e-3);
        assert_eq!(Unary::AsinSlope.apply(0.0), 1.0);
        assert!(Unary::Sqrt.apply(f64::NAN).is_nan() && Unary::AsinSlope.apply(f64::NAN).is_nan());
        for op in [Binary::Max, Binary::Min] {
            assert!(op.apply(f64::NAN, 0.0).is_nan() && op.apply(0.0, f64::NAN).is_nan());
        }
        assert_eq!(Unary::Logistic.apply(-1000.0), 0.0);
    }

    #[test]
    fn composition_renames_and_prunes() {
        let square = ScalarFn::build(1, |p, i| p.mul(i[0], i[0]));
        let difference = ScalarFn::build(2, |p, i| p.sub(i[1], i[0]));
        let both = square.compose(std::slice::from_ref(&difference));
        assert_eq!(both.eval(&[1.0, 4.0]), [9.0]);
        assert_eq!(difference.rename(3, &[2, 0]).eval(&[5.0, 0.0, 1.0]), [4.0]);
        let (pruned, used) = difference.rename(4, &[3, 1]).prune();
        assert_eq!((pruned.arity, used), (2, vec![1, 3]));
        assert_eq!(pruned.eval(&[7.0, 2.0]), [5.0]);
        assert!(ScalarFn::build(1, |_, i| i[0]).is_identity());
        assert!(!ScalarFn::build(2, |_, i| i[1]).is_identity());
        assert_eq!(ScalarFn::build(2, |p, _| p.constant(3.0)).as_constant(), Some(3.0));
    }
}
