//! Losses of images that are of two classes: the mean of what a loss is for the one and for the other, by their shares.
//!
//! A cross entropy is made so where it arises. What is linear in it is then the mean as well; of anything else, such as a power of
//! it, the loss is built for each class by itself.

use crate::ir::{Binary, ExprNode, NodeId, Op, Reduction, ScalarFn, Unary};
use crate::lower::network::Network;
use crate::lower::network::mix::mean;
use std::collections::BTreeMap;

/// How a number depends on others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Degree {
    Not,
    Linear,
    Bent,
}

impl Network<'_> {
    /// A number for each image of a batch, from one that may be made of cross entropies of both its classes.
    pub(in crate::lower) fn of_both(&mut self, loss: NodeId) -> NodeId {
        let Some(mixed) = &self.mixed else { return loss };
        let (share, entropies) = (mixed.share, mixed.entropies.clone());
        let is_both: Vec<NodeId> = entropies.iter().map(|it| it[0]).collect();
        if self.degree(loss, &is_both) < Degree::Bent || self.graph.fact(loss).shape() != self.graph.fact(share).shape()
        {
            return loss;
        }
        let origin = self.graph.origin_id(loss);
        let [own, other] = [1, 2].map(|at| {
            let of_one = entropies.iter().map(|it| (it[0], it[at])).collect();
            self.built_on(loss, of_one)
        });
        let body = ScalarFn::build(3, |pool, i| mean(pool, i[0], i[1], i[2]));
        self.graph.add(Op::Map { body, int: false }, &[share, own, other], origin).0
    }

    /// How a node depends on some.
    fn degree(&self, root: NodeId, on: &[NodeId]) -> Degree {
        let graph = &self.graph;
        let mut found: BTreeMap<NodeId, Degree> = BTreeMap::new();
        for id in graph.needed([root]) {
            let operands: Vec<Degree> = graph.operands(id).iter().map(|it| found[it]).collect();
            let most = operands.iter().copied().max().unwrap_or(Degree::Not);
            let degree = match graph.op(id) {
                _ if on.contains(&id) => Degree::Linear,
                _ if most == Degree::Not => Degree::Not,
                Op::Map { body, int: false } => of_function(body, &operands),
                Op::Reduce { kind: Reduction::Sum | Reduction::Mean, .. }
                | Op::Broadcast(_)
                | Op::Reshape(_)
                | Op::Transpose(_) => most,
                // Whatever it is, building the loss for each class is right; it only costs more.
                _ => Degree::Bent,
            };
            found.insert(id, degree);
        }
        found[&root]
    }

    /// A node with others in place of some that it is made of.
    fn built_on(&mut self, root: NodeId, mut to: BTreeMap<NodeId, NodeId>) -> NodeId {
        for id in self.graph.needed([root]) {
            let operands = self.graph.operands(id);
            if to.contains_key(&id) || operands.iter().all(|it| !to.contains_key(it)) {
                continue;
            }
            let (op, origin) = (self.graph.op(id).clone(), self.graph.origin_id(id));
            let operands: Vec<NodeId> = operands.iter().map(|it| to.get(it).copied().unwrap_or(*it)).collect();
            to.insert(id, self.graph.add(op, &operands, origin).0);
        }
        to.get(&root).copied().unwrap_or(root)
    }
}

/// How a function depends on what its operands do.
fn of_function(body: &ScalarFn, operands: &[Degree]) -> Degree {
    let bent = |it: Degree| if it == Degree::Not { it } else { Degree::Bent };
    let mut found: Vec<Degree> = Vec::with_capacity(body.nodes.len());
    for node in &*body.nodes {
        let at = |it: crate::ir::Scalar| found[it.0 as usize];
        let degree = match *node {
            ExprNode::Const(_) => Degree::Not,
            ExprNode::Input(it) => operands[it as usize],
            ExprNode::Unary(Unary::Neg, a) => at(a),
            ExprNode::Unary(_, a) => bent(at(a)),
            ExprNode::Binary(Binary::Add | Binary::Sub, a, b) => at(a).max(at(b)),
            ExprNode::Binary(Binary::Mul, a, b) if at(a) == Degree::Not || at(b) == Degree::Not => at(a).max(at(b)),
            ExprNode::Binary(Binary::Div, a, b) if at(b) == Degree::Not => at(a),
            ExprNode::Binary(_, a, b) => bent(at(a).max(at(b))),
            ExprNode::Select(c, a, b) if at(c) == Degree::Not => at(a).max(at(b)),
            ExprNode::Select(c, a, b) => bent(at(c).max(at(a)).max(at(b))),
        };
        found.push(degree);
    }
    found[body.root().0 as usize]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_and_shares_are_linear_and_powers_are_not() {
        let on = [Degree::Linear, Degree::Linear, Degree::Not];
        let degree = |f: ScalarFn| of_function(&f, &on);
        assert_eq!(degree(ScalarFn::build(3, |_, i| i[2])), Degree::Not);
        let sum = ScalarFn::build(3, |pool, i| {
            let three = pool.constant(3.0);
            let (scaled, share) = (pool.mul(three, i[0]), pool.div(i[1], i[2]));
            let all = pool.sub(scaled, share);
            pool.select(i[2], all, three)
        });
        assert_eq!(degree(sum), Degree::Linear);
        assert_eq!(degree(ScalarFn::build(3, |pool, i| pool.mul(i[0], i[1]))), Degree::Bent);
        assert_eq!(degree(ScalarFn::build(3, |pool, i| pool.div(i[2], i[1]))), Degree::Bent);
        assert_eq!(degree(ScalarFn::build(3, |pool, i| pool.select(i[0], i[2], i[2]))), Degree::Bent);
        assert_eq!(degree(ScalarFn::build(3, |pool, i| pool.unary(Unary::Exp, i[0]))), Degree::Bent);
        assert_eq!(degree(ScalarFn::build(3, |pool, i| pool.unary(Unary::Exp, i[2]))), Degree::Not);
    }
}
