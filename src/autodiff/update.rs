//! An optimizer's body as nodes. What depends on the step and the rate alone is computed once a step, for all parameters;
//! what is kept is a value of its own, which the rest reads; so is a sum over all numbers of a parameter.

use crate::ir::expr::Pool;
use crate::ir::{
    DType, ExprNode, NodeId, Op, Optimizer, ParamId, Scalar, ScalarFn, Shape, State, StateRole, Taken, Target,
};
use crate::shape::Builder;
use std::collections::BTreeMap;

/// Arguments of an optimizer's body; what is kept follows.
const VALUE: u32 = 0;
const GRADIENT: u32 = 1;
const RATE: u32 = 2;
const STEP: u32 = 3;
const KEPT: u32 = 4;

/// The body, cut into maps.
pub(super) struct Update<'a> {
    optimizer: &'a Optimizer,
    /// Nodes of what is the same for all parameters.
    shared: Vec<NodeId>,
    /// New values of what is kept and what is summed, in an order in which they can be computed.
    parts: Vec<(Part, Vec<ScalarFn>)>,
    value: ScalarFn,
}

/// What is computed before the new value.
#[derive(Clone, Copy)]
enum Part {
    Keep(usize),
    Taken(usize),
}

/// Operands of the maps: the parameter, what is kept before and after, the gradient, what is taken of whole tensors, what is shared.
struct Places {
    keeps: usize,
    taken: usize,
}

impl Places {
    fn kept(&self, at: usize) -> usize {
        1 + at
    }

    fn moved(&self, at: usize) -> usize {
        1 + self.keeps + at
    }

    fn gradient(&self) -> usize {
        1 + 2 * self.keeps
    }

    fn taken(&self, at: usize) -> usize {
        2 + 2 * self.keeps + at
    }

    fn shared(&self, at: usize) -> usize {
        2 + 2 * self.keeps + self.taken + at
    }
}

impl<'a> Update<'a> {
    pub(super) fn new(b: &mut Builder, optimizer: &'a Optimizer, rate: NodeId, step: NodeId) -> Self {
        let body = &optimizer.body;
        let places = Places { keeps: optimizer.keeps.len(), taken: optimizer.taken.len() };
        let own = own(body);
        let mut cuts: BTreeMap<u32, usize> = BTreeMap::new();
        let mut shared = Vec::new();
        for at in common(body, &own) {
            let function = body_of(body, at, &BTreeMap::new(), |input| if input == RATE { 0 } else { 1 }, 2);
            let (function, used) = function.prune();
            let operands: Vec<NodeId> = used.iter().map(|it| [rate, step][*it as usize]).collect();
            let node = b.apply(function, &operands);
            cuts.insert(at.0, places.shared(shared.len()));
            shared.push(node);
        }
        let argument = |input: u32| match input {
            VALUE => 0,
            GRADIENT => places.gradient(),
            // The rate and the step are shared, hence cut.
            RATE | STEP => unreachable!("argument {input} is the same for all parameters"),
            other => match (other - KEPT) as usize {
                at if at < places.keeps => places.kept(at),
                at => places.taken(at - places.keeps),
            },
        };
        let arity = places.shared(shared.len());
        // Operands come before what they are used in: a kept value may be made of another one's new value, or of a sum.
        let mut order: Vec<(Vec<Scalar>, Part)> =
            (0..places.keeps).map(|it| (vec![body.roots[1 + it]], Part::Keep(it))).collect();
        let mut first = 1 + places.keeps;
        for (at, taken) in optimizer.taken.iter().enumerate() {
            let roots = body.roots[first..first + taken.operands()].to_vec();
            first += roots.len();
            order.push((roots, Part::Taken(at)));
        }
        order.sort_by_key(|it| it.0.iter().copied().max());
        let mut parts = Vec::new();
        for (roots, part) in order {
            parts.push((part, roots.iter().map(|it| body_of(body, *it, &cuts, argument, arity)).collect()));
            let root = roots[0];
            if let Part::Keep(at) = part
                && own[root.0 as usize]
                && !matches!(body.nodes[root.0 as usize], ExprNode::Input(_))
            {
                cuts.entry(root.0).or_insert(places.moved(at));
            }
        }
        let value = body_of(body, body.roots[0], &cuts, argument, arity);
        Self { optimizer, shared, parts, value }
    }

    /// The updates of one parameter.
    pub(super) fn apply(&self, b: &mut Builder, id: ParamId, param: NodeId, gradient: NodeId) -> Vec<NodeId> {
        let places = Places { keeps: self.optimizer.keeps.len(), taken: self.optimizer.taken.len() };
        let kept: Vec<(Target, NodeId)> =
            (0..self.optimizer.keeps.len()).map(|at| state(b, id, self.optimizer, at)).collect();
        let mut operands = vec![param; places.shared(0)];
        for (at, (_, node)) in kept.iter().enumerate() {
            operands[places.kept(at)] = *node;
        }
        operands[places.gradient()] = gradient;
        operands.extend(&self.shared);
        let shape = b.graph().shape(param).clone();
        let mut moved = Vec::new();
        for (part, functions) in &self.parts {
            let nodes: Vec<NodeId> = functions.iter().map(|it| apply(b, it, &operands, &shape)).collect();
            match *part {
                Part::Keep(at) => {
                    operands[places.moved(at)] = nodes[0];
                    moved.push((at, nodes[0]));
                }
                Part::Taken(at) => {
                    operands[places.taken(at)] = match self.optimizer.taken[at] {
                        Taken::Sum => b.sum_all(nodes[0]),
                        Taken::Product { transpose } => product(b, [nodes[0], nodes[1]], transpose, &shape),
                    }
                }
            }
        }
        moved.sort_unstable();
        let mut updates: Vec<NodeId> =
            moved.into_iter().map(|(at, node)| b.add(Op::Update(kept[at].0), &[node])).collect();
        let node = apply(b, &self.value, &operands, &shape);
        updates.push(b.add(Op::Update(Target::Param(id)), &[node]));
        updates
    }
}

/// The product of two matrices; one of as many rows and columns as the parameter has its shape again.
fn product(b: &mut Builder, of: [NodeId; 2], transpose: bool, shape: &Shape) -> NodeId {
    let columns = shape.dims().last().copied().unwrap_or(1);
    let matrix = Shape::from([shape.len() / columns, columns]);
    let of = of.map(|it| if b.graph().shape(it) == shape { b.reshape(it, matrix.clone()) } else { it });
    let product = b.add(Op::MatMul { transpose_a: transpose, transpose_b: false }, &of);
    if *b.graph().shape(product) == matrix { b.reshape(product, shape.clone()) } else { product }
}

/// Which nodes depend on a number of a parameter, and not on step and rate alone.
fn own(body: &ScalarFn) -> Vec<bool> {
    let mut own: Vec<bool> = Vec::with_capacity(body.nodes.len());
    for node in &*body.nodes {
        let given = matches!(node, ExprNode::Input(it) if !matches!(*it, RATE | STEP));
        own.push(given || node.operands().any(|it| own[it.0 as usize]));
    }
    own
}

/// The largest parts that depend on step or rate, and on nothing else.
fn common(body: &ScalarFn, own: &[bool]) -> Vec<Scalar> {
    let mut varies = Vec::with_capacity(body.nodes.len());
    let mut found: Vec<Scalar> = Vec::new();
    for (at, node) in body.nodes.iter().enumerate() {
        let mut operands = node.operands();
        let moves = matches!(node, ExprNode::Input(RATE | STEP)) || operands.any(|it| varies[it.0 as usize]);
        varies.push(moves);
        if own[at] {
            found.extend(node.operands().filter(|it| !own[it.0 as usize] && varies[it.0 as usize]));
        }
    }
    found.extend(body.roots.iter().filter(|it| !own[it.0 as usize] && varies[it.0 as usize]));
    found.sort_unstable();
    found.dedup();
    found
}

/// The function that computes one node, over `arity` arguments: an argument of the body goes where `argument` says, a cut
/// node is an argument itself.
fn body_of(
    body: &ScalarFn,
    root: Scalar,
    cuts: &BTreeMap<u32, usize>,
    argument: impl Fn(u32) -> usize,
    arity: usize,
) -> ScalarFn {
    let mut needed = vec![false; body.nodes.len()];
    needed[root.0 as usize] = true;
    for at in (0..body.nodes.len()).rev() {
        if !needed[at] || cuts.contains_key(&(at as u32)) {
            continue;
        }
        body.nodes[at].operands().for_each(|it| needed[it.0 as usize] = true);
    }
    let mut pool = Pool::new();
    let mut to: BTreeMap<u32, Scalar> = BTreeMap::new();
    for (at, node) in body.nodes.iter().enumerate().filter(|it| needed[it.0]) {
        let at = at as u32;
        let here = |it: Scalar| to[&it.0];
        let copy = match (cuts.get(&at), *node) {
            (Some(place), _) => pool.input(*place as u32),
            (None, ExprNode::Const(_)) => pool.node(*node),
            (None, ExprNode::Input(it)) => pool.input(argument(it) as u32),
            (None, ExprNode::Unary(op, a)) => pool.unary(op, here(a)),
            (None, ExprNode::Binary(op, a, b)) => pool.binary(op, here(a), here(b)),
            (None, ExprNode::Select(c, a, b)) => pool.select(here(c), here(a), here(b)),
        };
        to.insert(at, copy);
    }
    pool.finish(arity as u32, &[to[&root.0]])
}

/// The map of a function over those operands that it needs.
fn apply(b: &mut Builder, function: &ScalarFn, operands: &[NodeId], shape: &Shape) -> NodeId {
    let (function, used) = function.prune();
    if let Some(value) = function.as_constant() {
        return b.constant(value, shape.clone());
    }
    let operands: Vec<NodeId> = used.iter().map(|it| operands[*it as usize]).collect();
    let node = b.apply(function, &operands);
    // A matrix of another size stays what it is.
    if b.graph().shape(node).rank() == 0 { b.broadcast(node, shape.clone()) } else { node }
}

/// What is kept beside a parameter.
fn state(b: &mut Builder, id: ParamId, optimizer: &Optimizer, at: usize) -> (Target, NodeId) {
    let (name, start) = &optimizer.keeps[at];
    let param = b.graph().param(id);
    let state = State {
        path: Optimizer::path(&param.path, name),
        shape: param.shape.clone(),
        dtype: DType::Real,
        init: *start,
        role: StateRole::Optimizer,
        never_negative: 0.0 <= *start && optimizer.keeps_squares(at),
        origin: param.origin,
    };
    let state = b.tables().add_state(state);
    (Target::State(state), b.add(Op::State(state), &[]))
}
