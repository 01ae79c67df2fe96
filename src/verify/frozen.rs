//! The loss with every decision as it was: a smooth function that touches the loss at one point, and that differences can
//! be taken of.
//!
//! Which of two numbers is larger, the sign of a number, a comparison, what a `floor` gives: all of these jump or bend, and
//! in a network of a hundred thousand ReLUs some of them do within any step. So they are written down where the gradient is
//! taken, and the loss that is moved reads what was written. What `stop` holds back from a gradient is written down as well.
//! Ties go where the ops say (`ir::expr`). A max pool cannot be told which maximum to take; it gets a mark that changes as
//! soon as a maximum changes hands.

use crate::ir::expr::Pool;
use crate::ir::{
    Binary, DType, ExprNode, NodeId, Op, OriginId, Phase, Reduction, Scalar, ScalarFn, Shape, State, StateRole, Target,
    Unary, Window,
};
use crate::shape::Builder;
use std::collections::BTreeMap;

/// What stands for a loss.
pub(super) struct Frozen {
    /// Smooth in the parameters, but for max pools.
    pub(super) loss: NodeId,
    /// One number for each max pool.
    pub(super) marks: Vec<NodeId>,
}

/// Builds it beside the loss. The `Step` phase writes down the decisions.
pub(super) fn freeze(b: &mut Builder, loss: NodeId) -> Frozen {
    let (moves, moved) = (vec![false; b.graph().len()], b.graph().ids().collect());
    let mut freezer = Freezer { b, moves, moved, written: BTreeMap::new(), marks: Vec::new() };
    for id in freezer.b.graph().needed([loss]) {
        freezer.node(id);
    }
    Frozen { loss: freezer.moved[loss.0 as usize], marks: freezer.marks }
}

struct Freezer<'a> {
    b: &'a mut Builder,
    /// By node: whether it depends on a parameter.
    moves: Vec<bool>,
    /// By node: what stands for it.
    moved: Vec<NodeId>,
    /// What was written down already, by the node of its value.
    written: BTreeMap<NodeId, NodeId>,
    marks: Vec<NodeId>,
}

impl Freezer<'_> {
    fn node(&mut self, id: NodeId) {
        let at = id.0 as usize;
        let (op, operands) = (self.b.graph().op(id).clone(), self.b.graph().operands(id));
        self.moves[at] = matches!(op, Op::Param(_)) || operands.iter().any(|it| self.moves[it.0 as usize]);
        if !self.moves[at] {
            return;
        }
        let now: Vec<NodeId> = operands.iter().map(|it| self.moved[it.0 as usize]).collect();
        self.moved[at] = match op {
            Op::Map { body, int: false } if body.nodes.iter().any(decides) => self.map(&body, &operands, &now),
            Op::Reduce { kind: Reduction::Max, axes } => {
                // Equal maxima share.
                let hit = self.b.binary(Binary::Eq, operands[0], id);
                let count = self.b.sum(hit, &axes);
                let share = self.b.binary(Binary::Div, hit, count);
                let share = self.written_down(share);
                let product = self.b.binary(Binary::Mul, now[0], share);
                self.b.sum(product, &axes)
            }
            Op::Window { kind: Window::Max, geometry } => {
                let pooled = self.b.add(Op::Window { kind: Window::Max, geometry }, &now);
                let weights = self.noise(pooled);
                let chosen = self.b.add(Op::Window { kind: Window::MaxGrad, geometry }, &[now[0], weights]);
                let weights = self.noise(chosen);
                let product = self.b.binary(Binary::Mul, chosen, weights);
                let mark = self.b.sum_all(product);
                self.marks.push(mark);
                pooled
            }
            _ if now == operands => id,
            op => self.b.add(op, &now),
        };
    }

    /// Random numbers of the shape of a node.
    fn noise(&mut self, like: NodeId) -> NodeId {
        let shape = self.b.graph().shape(like).clone();
        let name = format!("noise for node {}", like.0);
        self.b.named_input(&name, shape, DType::Real)
    }

    /// A number that stays as it is when the `Step` phase runs.
    fn written_down(&mut self, value: NodeId) -> NodeId {
        if let Some(&known) = self.written.get(&value) {
            return known;
        }
        let shape: Shape = self.b.graph().shape(value).clone();
        let path = format!("decision of node {}", value.0);
        let state = State {
            path,
            shape,
            dtype: DType::Real,
            init: 0.0,
            role: StateRole::Running,
            never_negative: false,
            origin: OriginId::default(),
        };
        let id = self.b.tables().add_state(state);
        let effect = self.b.add(Op::Update(Target::State(id)), &[value]);
        self.b.tables().effects.entry(Phase::Step).or_default().push(effect);
        let read = self.b.add(Op::State(id), &[]);
        self.written.insert(value, read);
        read
    }

    fn map(&mut self, body: &ScalarFn, operands: &[NodeId], now: &[NodeId]) -> NodeId {
        // The same expression twice: as it is, to decide, and with decisions as further arguments.
        let (mut plain, mut frozen) = (Pool::new(), Pool::new());
        let (mut was, mut is): (Vec<Scalar>, Vec<Scalar>) = (Vec::new(), Vec::new());
        let mut all = now.to_vec();
        for node in &*body.nodes {
            let value = copied(&mut plain, &was, node);
            was.push(value);
            let Some(decision) = decision(&mut plain, &was, node) else {
                is.push(copied(&mut frozen, &is, node));
                continue;
            };
            let decision = self.b.map(plain.finish(body.arity, &[decision]), operands);
            let written = self.written_down(decision);
            let decided = frozen.input(all.len() as u32);
            all.push(written);
            let at = |it: Scalar| is[it.0 as usize];
            let value = match *node {
                ExprNode::Unary(Unary::Abs, a) => frozen.mul(decided, at(a)),
                ExprNode::Binary(Binary::Min | Binary::Max, a, b) | ExprNode::Select(_, a, b) => {
                    frozen.select(decided, at(a), at(b))
                }
                _ => decided,
            };
            is.push(value);
        }
        let root = is[body.root().0 as usize];
        self.b.map(frozen.finish(all.len() as u32, &[root]), &all)
    }
}

fn decides(node: &ExprNode) -> bool {
    match node {
        ExprNode::Const(_) | ExprNode::Input(_) => false,
        ExprNode::Select(..) => true,
        ExprNode::Unary(op, _) => match op {
            Unary::Abs | Unary::Sign | Unary::Floor | Unary::Stop => true,
            Unary::Neg
            | Unary::Sqrt
            | Unary::Rsqrt
            | Unary::Exp
            | Unary::Expm1
            | Unary::Log
            | Unary::Log1p
            | Unary::Sin
            | Unary::Cos
            | Unary::Tanh
            | Unary::Logistic
            | Unary::Erf
            | Unary::Asin
            | Unary::Acos
            | Unary::AsinSlope
            | Unary::Atan => false,
        },
        ExprNode::Binary(op, ..) => match op {
            Binary::Min | Binary::Max | Binary::Lt | Binary::Le | Binary::Eq => true,
            Binary::Add | Binary::Sub | Binary::Mul | Binary::Div | Binary::Pow => false,
        },
    }
}

/// What is written down of a node: which way it goes, a sign, or its value. `was` has its own value last.
fn decision(pool: &mut Pool, was: &[Scalar], node: &ExprNode) -> Option<Scalar> {
    let at = |it: Scalar| was[it.0 as usize];
    match *node {
        _ if !decides(node) => None,
        ExprNode::Unary(Unary::Abs, a) => Some(pool.unary(Unary::Sign, at(a))),
        ExprNode::Binary(Binary::Min, a, b) => Some(pool.binary(Binary::Lt, at(a), at(b))),
        ExprNode::Binary(Binary::Max, a, b) => Some(pool.binary(Binary::Lt, at(b), at(a))),
        ExprNode::Select(c, ..) => Some(at(c)),
        _ => was.last().copied(),
    }
}

/// A node in another pool, where its operands are `here`.
fn copied(pool: &mut Pool, here: &[Scalar], node: &ExprNode) -> Scalar {
    let at = |it: Scalar| here[it.0 as usize];
    pool.node(match *node {
        ExprNode::Const(_) | ExprNode::Input(_) => *node,
        ExprNode::Unary(op, a) => ExprNode::Unary(op, at(a)),
        ExprNode::Binary(op, a, b) => ExprNode::Binary(op, at(a), at(b)),
        ExprNode::Select(c, a, b) => ExprNode::Select(at(c), at(a), at(b)),
    })
}
