//! Building expressions: hash-consing, folding of constants, inlining, dead-node removal.

use super::{Binary, ExprNode, Scalar, ScalarFn, Unary};
use crate::ir::op::Scalar64;
use foldhash::fast::FixedState;
use std::collections::HashMap;

/// A DAG under construction. Equal nodes are one node.
#[derive(Clone, Debug, Default)]
pub struct Pool {
    nodes: Vec<ExprNode>,
    known: HashMap<ExprNode, Scalar, FixedState>,
}

impl Pool {
    /// An empty pool.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a node as it is.
    pub fn node(&mut self, node: ExprNode) -> Scalar {
        *self.known.entry(node).or_insert_with(|| {
            self.nodes.push(node);
            Scalar(self.nodes.len() as u32 - 1)
        })
    }

    /// The equal node, if there is one already.
    pub fn find(&self, node: &ExprNode) -> Option<Scalar> {
        self.known.get(node).copied()
    }

    /// How many nodes there are.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Looks a node up.
    pub fn get(&self, at: Scalar) -> ExprNode {
        self.nodes[at.0 as usize]
    }

    /// The number a node is known to be.
    pub fn as_const(&self, at: Scalar) -> Option<f64> {
        match self.get(at) {
            ExprNode::Const(value) => Some(value.0),
            _ => None,
        }
    }

    /// Argument `i`.
    pub fn input(&mut self, i: u32) -> Scalar {
        self.node(ExprNode::Input(i))
    }

    /// A number.
    pub fn constant(&mut self, value: f64) -> Scalar {
        self.node(ExprNode::Const(Scalar64(value)))
    }

    /// One operand.
    pub fn unary(&mut self, op: Unary, a: Scalar) -> Scalar {
        self.node(ExprNode::Unary(op, a))
    }

    /// Two operands.
    pub fn binary(&mut self, op: Binary, a: Scalar, b: Scalar) -> Scalar {
        self.node(ExprNode::Binary(op, a, b))
    }

    /// `a` where `cond` is not 0, else `b`.
    pub fn select(&mut self, cond: Scalar, a: Scalar, b: Scalar) -> Scalar {
        self.node(ExprNode::Select(cond, a, b))
    }

    /// `a + b`.
    pub fn add(&mut self, a: Scalar, b: Scalar) -> Scalar {
        self.binary(Binary::Add, a, b)
    }

    /// `a - b`.
    pub fn sub(&mut self, a: Scalar, b: Scalar) -> Scalar {
        self.binary(Binary::Sub, a, b)
    }

    /// `a * b`.
    pub fn mul(&mut self, a: Scalar, b: Scalar) -> Scalar {
        self.binary(Binary::Mul, a, b)
    }

    /// `a / b`.
    pub fn div(&mut self, a: Scalar, b: Scalar) -> Scalar {
        self.binary(Binary::Div, a, b)
    }

    /// Copies a function into this pool, its argument `i` replaced by `args[i]`; gives its results.
    pub fn inline(&mut self, f: &ScalarFn, args: &[Scalar]) -> Vec<Scalar> {
        let mut here: Vec<Scalar> = Vec::with_capacity(f.nodes.len());
        let at = |here: &[Scalar], it: Scalar| here[it.0 as usize];
        for node in &*f.nodes {
            let copy = match *node {
                ExprNode::Const(_) => self.node(*node),
                ExprNode::Input(i) => args[i as usize],
                ExprNode::Unary(op, a) => {
                    let a = at(&here, a);
                    self.unary(op, a)
                }
                ExprNode::Binary(op, a, b) => {
                    let (a, b) = (at(&here, a), at(&here, b));
                    self.binary(op, a, b)
                }
                ExprNode::Select(c, a, b) => {
                    let (c, a, b) = (at(&here, c), at(&here, a), at(&here, b));
                    self.select(c, a, b)
                }
            };
            here.push(copy);
        }
        f.roots.iter().map(|&it| at(&here, it)).collect()
    }

    /// The function that computes `root` with every node of the pool where it was.
    pub fn whole(&self, arity: u32, root: Scalar) -> ScalarFn {
        ScalarFn { arity, nodes: self.nodes.as_slice().into(), roots: [root].into() }
    }

    /// The function that computes `roots`; nodes they do not need are left behind.
    pub fn finish(&self, arity: u32, roots: &[Scalar]) -> ScalarFn {
        let mut needed = vec![false; self.nodes.len()];
        for root in roots {
            needed[root.0 as usize] = true;
        }
        for at in (0..self.nodes.len()).rev() {
            if needed[at] {
                for operand in self.nodes[at].operands() {
                    needed[operand.0 as usize] = true;
                }
            }
        }
        let mut moved = vec![Scalar(0); self.nodes.len()];
        let mut nodes = Vec::new();
        for (at, node) in self.nodes.iter().enumerate().filter(|(at, _)| needed[*at]) {
            let to = |it: Scalar| moved[it.0 as usize];
            let copy = match *node {
                ExprNode::Const(_) | ExprNode::Input(_) => *node,
                ExprNode::Unary(op, a) => ExprNode::Unary(op, to(a)),
                ExprNode::Binary(op, a, b) => ExprNode::Binary(op, to(a), to(b)),
                ExprNode::Select(c, a, b) => ExprNode::Select(to(c), to(a), to(b)),
            };
            moved[at] = Scalar(nodes.len() as u32);
            nodes.push(copy);
        }
        ScalarFn { arity, nodes: nodes.into(), roots: roots.iter().map(|it| moved[it.0 as usize]).collect() }
    }
}
