//! Which convolution an operator needs, and which norms: found by looking at products of powers.
//!
//! With `u = conv(x, w/W)` the cosine is `u / X`. Every product in the body is brought into the form
//! `coefficient * u^a * X^p * W^q * ...`. Then
//! - norms that cancel are gone: `x_norm * cos` is `u`, so no patch norm is computed;
//! - if `u` and `W` only ever occur as powers of one product `u * W^k`, that product is itself the
//!   convolution with the filter `w * W^(k - 1)`: for `none` this is `w`, for `cosine` it is `w / W`, so
//!   that the filter's norm costs nothing per pixel;
//! - what remains of `X` scales the rows of the result, what remains of `W` its channels.

use crate::ir::expr::{Known, Pool};
use crate::ir::op::Scalar64;
use crate::ir::{Binary, ExprNode, Scalar, ScalarFn, Unary};
use std::collections::{BTreeMap, HashMap};

/// Argument of an operator's body: the cosine. In a [`Form`]: the convolution's result.
pub(in crate::lower) const COS: u32 = 0;

/// The patch norm. In a [`Form`]: the sum of squares of the patch.
pub(in crate::lower) const X_NORM: u32 = 1;

/// The filter norm. In a [`Form`]: the sum of squares of the filter.
pub(in crate::lower) const W_NORM: u32 = 2;

/// Learnables and statistics.
pub(in crate::lower) const FIRST_FREE: u32 = 3;

/// What is known of the arguments of a body.
pub(in crate::lower) const GEOMETRY: Known<'static> = Known { positive: &[X_NORM, W_NORM], cosines: &[COS] };

/// An operator's body over what is really computed.
#[derive(Clone, Debug)]
pub(in crate::lower) struct Form {
    pub(in crate::lower) body: ScalarFn,
    /// The convolution's filter is `w * W^filter_power`.
    pub(in crate::lower) filter_power: i32,
}

impl Form {
    /// Whether the convolution's result is the operator's value.
    pub(in crate::lower) fn is_plain(&self) -> bool {
        matches!(&*self.body.nodes, [ExprNode::Input(COS)])
    }
}

/// Added to the sum of squares inside both norms.
const NORM_EPSILON: f64 = 1e-4;

/// `squares + 1e-4`: what stands inside both roots.
pub(super) fn with_epsilon(pool: &mut Pool, squares: Scalar) -> Scalar {
    let epsilon = pool.constant(NORM_EPSILON);
    pool.add(squares, epsilon)
}

/// `base * sqrt(squares)^power`.
pub(super) fn norm_power(pool: &mut Pool, base: Scalar, squares: Scalar, power: i32) -> Scalar {
    let (root, whole) = if power < 0 { (Unary::Rsqrt, Binary::Div) } else { (Unary::Sqrt, Binary::Mul) };
    let mut result = base;
    if power % 2 != 0 {
        let root = pool.unary(root, squares);
        result = pool.mul(result, root);
    }
    for _ in 0..(power / 2).abs() {
        result = pool.binary(whole, result, squares);
    }
    result
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct TermId(u32);

/// A factor of a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Atom {
    /// `Input(COS)` stands for `u`.
    Input(u32),
    Unary(Unary, TermId),
    Binary(Binary, TermId, TermId),
    Select(TermId, TermId, TermId),
}

/// `coefficient * product of atom^power`; powers are never 0.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Term {
    coefficient: Scalar64,
    powers: Vec<(Atom, i32)>,
}

#[derive(Debug, Default)]
struct Terms {
    all: Vec<Term>,
    known: HashMap<Term, TermId>,
}

impl Terms {
    fn add(&mut self, coefficient: f64, powers: BTreeMap<Atom, i32>) -> TermId {
        let powers: Vec<(Atom, i32)> =
            if coefficient == 0.0 { Vec::new() } else { powers.into_iter().filter(|it| it.1 != 0).collect() };
        let term = Term { coefficient: Scalar64(coefficient), powers };
        if let Some(&id) = self.known.get(&term) {
            return id;
        }
        let id = TermId(self.all.len() as u32);
        self.all.push(term.clone());
        self.known.insert(term, id);
        id
    }

    fn get(&self, id: TermId) -> &Term {
        &self.all[id.0 as usize]
    }

    fn atom(&mut self, atom: Atom) -> TermId {
        self.add(1.0, BTreeMap::from([(atom, 1)]))
    }

    /// `a * b^sign`.
    fn product(&mut self, a: TermId, b: TermId, sign: i32) -> TermId {
        let (left, right) = (self.get(a).clone(), self.get(b).clone());
        let coefficient =
            if sign < 0 { left.coefficient.0 / right.coefficient.0 } else { left.coefficient.0 * right.coefficient.0 };
        let mut powers: BTreeMap<Atom, i32> = left.powers.into_iter().collect();
        for (atom, power) in right.powers {
            *powers.entry(atom).or_default() += sign * power;
        }
        self.add(coefficient, powers)
    }

    /// A constant whole number within reach of repeated products.
    fn small(&self, id: TermId) -> Option<i32> {
        let term = self.get(id);
        let value = term.coefficient.0;
        (term.powers.is_empty() && value.fract() == 0.0 && value.abs() <= 16.0).then_some(value as i32)
    }

    /// `cosine` are the powers that the cosine is a product of.
    fn read(&mut self, f: &ScalarFn, cosine: &[(u32, i32)]) -> TermId {
        let mut here: Vec<TermId> = Vec::with_capacity(f.nodes.len());
        for node in &*f.nodes {
            let at = |it: Scalar| here[it.0 as usize];
            let id = match *node {
                ExprNode::Const(it) => self.add(it.0, BTreeMap::new()),
                ExprNode::Input(COS) => {
                    self.add(1.0, cosine.iter().map(|(input, power)| (Atom::Input(*input), *power)).collect())
                }
                ExprNode::Input(it) => self.atom(Atom::Input(it)),
                ExprNode::Unary(Unary::Neg, a) => {
                    let minus = self.add(-1.0, BTreeMap::new());
                    self.product(at(a), minus, 1)
                }
                ExprNode::Unary(op, a) => self.atom(Atom::Unary(op, at(a))),
                ExprNode::Binary(Binary::Mul, a, b) => self.product(at(a), at(b), 1),
                ExprNode::Binary(Binary::Div, a, b) if self.get(at(b)).coefficient.0 != 0.0 => {
                    self.product(at(a), at(b), -1)
                }
                ExprNode::Binary(Binary::Pow, a, b) if self.small(at(b)).is_some() => {
                    let (base, power) = (self.get(at(a)).clone(), self.small(at(b)).unwrap_or(1));
                    let powers = base.powers.into_iter().map(|(atom, it)| (atom, it * power)).collect();
                    self.add(base.coefficient.0.powi(power), powers)
                }
                ExprNode::Binary(op, a, b) => self.atom(Atom::Binary(op, at(a), at(b))),
                ExprNode::Select(c, a, b) => self.atom(Atom::Select(at(c), at(a), at(b))),
            };
            here.push(id);
        }
        here[f.root().0 as usize]
    }

    /// The terms that `root` needs.
    fn needed(&self, root: TermId) -> Vec<TermId> {
        let mut seen = vec![false; self.all.len()];
        let mut todo = vec![root];
        while let Some(id) = todo.pop() {
            if std::mem::replace(&mut seen[id.0 as usize], true) {
                continue;
            }
            for (atom, _) in &self.get(id).powers {
                match *atom {
                    Atom::Input(_) => {}
                    Atom::Unary(_, a) => todo.push(a),
                    Atom::Binary(_, a, b) => todo.extend([a, b]),
                    Atom::Select(c, a, b) => todo.extend([c, a, b]),
                }
            }
        }
        (0..seen.len()).filter(|&it| seen[it]).map(|it| TermId(it as u32)).collect()
    }

    /// The `k` for which `u` and `W` only occur in powers of `u * W^k`.
    fn common_power(&self, root: TermId) -> Option<i32> {
        let mut found = None;
        for id in self.needed(root) {
            let power = |input| self.get(id).powers.iter().find(|it| it.0 == Atom::Input(input)).map_or(0, |it| it.1);
            let (u, w) = (power(COS), power(W_NORM));
            match (u, w) {
                (0, 0) => continue,
                (0, _) => return None,
                _ if w % u != 0 => return None,
                _ => {}
            }
            if *found.get_or_insert(w / u) != w / u {
                return None;
            }
        }
        // Nothing depends on the filter's direction: the plain convolution serves.
        Some(found.unwrap_or(1))
    }
}

/// Writes terms as an expression over the convolution's result.
struct Writer<'a> {
    terms: &'a Terms,
    pool: Pool,
    done: BTreeMap<TermId, Scalar>,
    /// Whether `W` is part of the convolution.
    absorbed: bool,
    /// Whether the norms are given as they are, not as sums of squares.
    whole: bool,
}

impl Writer<'_> {
    fn term(&mut self, id: TermId) -> Scalar {
        if let Some(&it) = self.done.get(&id) {
            return it;
        }
        let term = self.terms.get(id).clone();
        let mut top: Option<Scalar> = None;
        let mut bottom: Option<Scalar> = None;
        let mut norms = Vec::new();
        for (atom, power) in term.powers {
            match atom {
                Atom::Input(W_NORM) if self.absorbed => continue,
                Atom::Input(input @ (X_NORM | W_NORM)) if !self.whole => {
                    norms.push((input, power));
                    continue;
                }
                _ => {}
            }
            let factor = self.atom(atom);
            for _ in 0..power.abs() {
                let side = if power < 0 { &mut bottom } else { &mut top };
                *side = Some(match *side {
                    Some(it) => self.pool.mul(it, factor),
                    None => factor,
                });
            }
        }
        let coefficient = term.coefficient.0;
        let mut result = match top {
            Some(it) if coefficient == 1.0 => it,
            Some(it) if coefficient == -1.0 => self.pool.unary(Unary::Neg, it),
            Some(it) => {
                let coefficient = self.pool.constant(coefficient);
                self.pool.mul(coefficient, it)
            }
            None => self.pool.constant(coefficient),
        };
        for (input, power) in norms {
            let squares = self.pool.input(input);
            let squares = with_epsilon(&mut self.pool, squares);
            result = norm_power(&mut self.pool, result, squares, power);
        }
        if let Some(bottom) = bottom {
            result = self.pool.div(result, bottom);
        }
        self.done.insert(id, result);
        result
    }

    fn atom(&mut self, atom: Atom) -> Scalar {
        match atom {
            Atom::Input(it) => self.pool.input(it),
            Atom::Unary(op, a) => {
                let a = self.term(a);
                self.pool.unary(op, a)
            }
            Atom::Binary(op, a, b) => {
                let (a, b) = (self.term(a), self.term(b));
                self.pool.binary(op, a, b)
            }
            Atom::Select(c, a, b) => {
                let (c, a, b) = (self.term(c), self.term(a), self.term(b));
                self.pool.select(c, a, b)
            }
        }
    }
}

/// Chooses the convolution for an operator's body over `cos`, `x_norm`, `w_norm` and more.
pub(super) fn choose(body: &ScalarFn) -> Form {
    let mut terms = Terms::default();
    let root = terms.read(body, &[(COS, 1), (X_NORM, -1)]);
    let common = terms.common_power(root);
    let written = written(&terms, root, body.arity, (common.is_some(), false));
    Form { body: written, filter_power: common.unwrap_or(0) - 1 }
}

/// An operator's body over a product of two vectors, `COS`, and their norms.
pub(in crate::lower) fn of_product(body: &ScalarFn) -> ScalarFn {
    let mut terms = Terms::default();
    let root = terms.read(body, &[(COS, 1), (X_NORM, -1), (W_NORM, -1)]);
    written(&terms, root, body.arity, (false, true))
}

fn written(terms: &Terms, root: TermId, arity: u32, (absorbed, whole): (bool, bool)) -> ScalarFn {
    let mut writer = Writer { terms, pool: Pool::new(), done: BTreeMap::new(), absorbed, whole };
    let root = writer.term(root);
    writer.pool.finish(arity, &[root]).simplify_with(Known { cosines: &[], ..GEOMETRY })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(f: impl FnOnce(&mut Pool, &[Scalar]) -> Scalar) -> Form {
        choose(&ScalarFn::build(4, f))
    }

    #[test]
    fn the_plain_product_is_the_plain_convolution() {
        let found = form(|pool, it| {
            let norms = pool.mul(it[1], it[2]);
            pool.mul(norms, it[0])
        });
        assert!(found.is_plain());
        assert_eq!(found.filter_power, 0);
    }

    #[test]
    fn a_product_with_the_patch_norm_needs_no_patch_norm() {
        let found = form(|pool, it| pool.mul(it[1], it[0]));
        assert!(found.is_plain());
        assert_eq!(found.filter_power, -1);
    }

    #[test]
    fn the_cosine_keeps_only_the_patch_norm() {
        let found = form(|_, it| it[0]);
        assert_eq!(found.body.used_inputs(), [COS, X_NORM]);
        assert_eq!(found.filter_power, -1);
    }

    #[test]
    fn a_second_division_by_the_filter_norm_moves_into_the_filter_too() {
        let found = form(|pool, it| pool.div(it[0], it[2]));
        assert_eq!(found.body.used_inputs(), [COS, X_NORM]);
        assert_eq!(found.filter_power, -2);
    }

    #[test]
    fn a_filter_norm_beside_the_cosine_stays() {
        let found = form(|pool, it| pool.add(it[0], it[2]));
        assert_eq!(found.body.used_inputs(), [COS, X_NORM, W_NORM]);
        assert_eq!(found.filter_power, -1);
    }

    #[test]
    fn powers_and_signs_agree_on_one_convolution() {
        let found = form(|pool, it| {
            let sign = pool.unary(Unary::Sign, it[0]);
            let square = pool.mul(it[0], it[0]);
            pool.mul(sign, square)
        });
        assert_eq!(found.body.used_inputs(), [COS, X_NORM]);
        assert_eq!(found.filter_power, -1);
    }
}
