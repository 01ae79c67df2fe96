//! Scalar expressions: what a `Map` computes for each element.
//!
//! A [`ScalarFn`] is a small hash-consed DAG in topological order. It is printed as CUDA by
//! `kernel`, run as a blocked tape by `runtime/cpu`, evaluated in f64 by `interp`.

mod build;
mod differentiate;
mod evaluate;
mod functions;
mod hazard;
mod range;
mod simplify;
#[cfg(test)]
pub(crate) mod testing;
mod text;

pub use build::Pool;
pub(crate) use evaluate::erf;
pub use functions::{Binary, Domain, Unary};
pub use hazard::{Hazard, HazardKind, Jump};
pub use range::Interval;
pub use simplify::Known;

use super::op::Scalar64;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A value inside a [`ScalarFn`]: its position among the nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Scalar(pub u32);

/// A node of the DAG; operands come earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExprNode {
    /// A number.
    Const(Scalar64),
    /// Argument number `i`.
    Input(u32),
    /// One operand.
    Unary(Unary, Scalar),
    /// Two operands.
    Binary(Binary, Scalar, Scalar),
    /// `a` where the first is not 0, else `b`.
    Select(Scalar, Scalar, Scalar),
}

impl ExprNode {
    /// The nodes that it is made of.
    pub(crate) fn operands(&self) -> impl Iterator<Item = Scalar> + use<> {
        let list = match *self {
            ExprNode::Const(_) | ExprNode::Input(_) => [None; 3],
            ExprNode::Unary(_, a) => [Some(a), None, None],
            ExprNode::Binary(_, a, b) => [Some(a), Some(b), None],
            ExprNode::Select(c, a, b) => [Some(c), Some(a), Some(b)],
        };
        list.into_iter().flatten()
    }
}

/// A function of scalars with one or more results, without dead nodes. Copies share what they hold: layers repeat, and passes hand
/// on what they do not change.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ScalarFn {
    /// How many arguments.
    pub arity: u32,
    /// Nodes, operands first.
    pub nodes: Arc<[ExprNode]>,
    /// The results.
    pub roots: Arc<[Scalar]>,
}

impl ScalarFn {
    /// Whether nothing is done to the arguments but multiplying and dividing, by them and by numbers above 0: what is made of
    /// arguments that are never negative is never negative.
    pub fn only_scales(&self) -> bool {
        self.nodes.iter().all(|it| match it {
            ExprNode::Input(_) => true,
            ExprNode::Const(value) => 0.0 < value.0,
            ExprNode::Binary(op, ..) => matches!(op, Binary::Mul | Binary::Div),
            ExprNode::Unary(..) | ExprNode::Select(..) => false,
        })
    }

    /// Builds a function with one result.
    pub fn build(arity: u32, f: impl FnOnce(&mut Pool, &[Scalar]) -> Scalar) -> ScalarFn {
        let mut pool = Pool::new();
        let inputs: Vec<Scalar> = (0..arity).map(|it| pool.input(it)).collect();
        let root = f(&mut pool, &inputs);
        pool.finish(arity, &[root])
    }

    /// Checks one that was read rather than built: it has so many arguments and results, and each node uses earlier ones.
    pub(crate) fn check(&self, arguments: usize, results: usize) -> Result<(), String> {
        if self.arity as usize != arguments || self.roots.len() != results {
            return Err("the expression's arguments or results are not the kernel's".to_owned());
        }
        for (at, node) in self.nodes.iter().enumerate() {
            let before = |it: Scalar| (it.0 as usize) < at;
            let given = |it: &ExprNode| !matches!(it, ExprNode::Input(input) if self.arity <= *input);
            if !given(node) || !node.operands().all(before) {
                return Err(format!("node {at} of the expression uses what is not there yet"));
            }
        }
        if self.roots.iter().any(|it| self.nodes.len() <= it.0 as usize) {
            return Err("a result of the expression is not one of its nodes".to_owned());
        }
        Ok(())
    }

    /// The only result of a `Map`'s body.
    pub fn root(&self) -> Scalar {
        debug_assert_eq!(self.roots.len(), 1);
        self.roots[0]
    }

    /// Which arguments occur.
    pub fn used_inputs(&self) -> Vec<u32> {
        let mut used: Vec<u32> =
            self.nodes.iter().filter_map(|it| if let ExprNode::Input(i) = it { Some(*i) } else { None }).collect();
        used.sort_unstable();
        used.dedup();
        used
    }
}
