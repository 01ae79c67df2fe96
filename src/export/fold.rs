//! What follows from the weights alone, computed once.
//!
//! Filters that are divided by their norms, the factors of a batch normalisation, all that no image has a part in becomes
//! numbers. Then what is done to a convolution's answers goes into its filters as far as it multiplies and adds: a batch
//! normalisation, a bias, a scale.

use super::network::{Network, Node, listed};
use crate::interp::{Env, Tensor, evaluate};
use crate::ir::expr::Pool;
use crate::ir::op::Fill;
use crate::ir::{Binary, ExprNode, Graph, Op, OriginId, Scalar, ScalarFn, Shape, Unary};
use std::collections::BTreeMap;

impl Network {
    /// The same network with as little to compute as its weights allow.
    pub fn folded(mut self) -> Network {
        let fixed = fixed(&self);
        self.compute(&fixed);
        let merges = merges(&self);
        self.merge(merges);
        self.hoist();
        self.folded = true;
        self.pruned()
    }

    /// Replaces nodes that no image has a part in by their numbers, where others read them.
    fn compute(&mut self, fixed: &[bool]) {
        let mut wanted = vec![false; self.nodes.len()];
        for (at, node) in self.nodes.iter().enumerate() {
            if !fixed[at] {
                node.operands.iter().for_each(|it| wanted[*it] |= fixed[*it]);
            }
        }
        wanted[self.result] |= fixed[self.result];
        let places: Vec<usize> =
            (0..self.nodes.len()).filter(|it| wanted[*it] && !self.nodes[*it].operands.is_empty()).collect();
        let env = environment(&self.graph, &self.tensors);
        let roots: Vec<_> = places.iter().map(|it| self.nodes[*it].id).collect();
        for (at, value) in places.into_iter().zip(evaluate(&self.graph, &env, &roots)) {
            let node = &mut self.nodes[at];
            node.op = listed(value.data, value.shape.0);
            node.operands.clear();
        }
    }

    /// The numbers of a weight or constant, for one position of the last axis: nothing of what has other axes, or is none.
    fn column(&self, at: usize) -> Option<Vec<f64>> {
        let node = &self.nodes[at];
        let dims = node.fixed()?;
        let (_, others) = dims.split_last().unwrap_or((&1, &[]));
        if others.iter().any(|it| *it != 1) {
            return None;
        }
        self.numbers(at)
    }

    /// The numbers of a weight, or of a constant that is a number or lists them.
    fn numbers(&self, at: usize) -> Option<Vec<f64>> {
        let node = &self.nodes[at];
        match &node.op {
            Op::Const { fill: Fill::List(numbers), .. } => Some(numbers.iter().map(|it| it.0).collect()),
            Op::Const { fill: Fill::Value(value), .. } => Some(vec![value.0; node.fixed()?.iter().product()]),
            op => self.tensors.get(self.path(op)?).cloned(),
        }
    }

    /// Takes out of the maps what they compute of weights and constants.
    fn hoist(&mut self) {
        let mut place = vec![0; self.nodes.len()];
        let mut nodes: Vec<Node> = Vec::new();
        for at in 0..self.nodes.len() {
            let mut node = self.nodes[at].clone();
            let found = if let Op::Map { body, int: false } = &node.op { self.known(&node, body) } else { Vec::new() };
            node.operands.iter_mut().for_each(|it| *it = place[*it]);
            if let (Op::Map { body, .. }, false) = (&node.op, found.is_empty()) {
                let arity = body.arity;
                let places: BTreeMap<usize, u32> =
                    found.iter().enumerate().map(|(more, it)| (it.0, arity + more as u32)).collect();
                let (body, used) = replaced(body, arity + found.len() as u32, &places).prune();
                for (_, value) in found {
                    node.operands.push(nodes.len());
                    nodes.push(Node {
                        dims: value.shape.dims().iter().map(|it| super::Extent::Fixed(*it)).collect(),
                        op: listed(value.data, value.shape.0),
                        operands: Vec::new(),
                        ..node.clone()
                    });
                }
                node.operands = used.iter().map(|it| node.operands[*it as usize]).collect();
                node.op = Op::Map { body, int: false };
            }
            place[at] = nodes.len();
            nodes.push(node);
        }
        self.nodes = nodes;
        self.result = place[self.result];
    }

    /// The largest parts of a map's expression that weights and constants decide, by their nodes, with their values; parts
    /// that would take more numbers than what they are made of are left as they are.
    fn known(&self, node: &Node, body: &ScalarFn) -> Vec<(usize, Tensor)> {
        let numbers: Vec<Option<Vec<f64>>> = node.operands.iter().map(|it| self.numbers(*it)).collect();
        let mut known: Vec<bool> = Vec::new();
        for it in &*body.nodes {
            let given = |it: &ExprNode| !matches!(it, ExprNode::Input(at) if numbers[*at as usize].is_none());
            known.push(given(it) && it.operands().all(|it| known[it.0 as usize]));
        }
        let mut read = vec![false; known.len()];
        for (_, it) in body.nodes.iter().enumerate().filter(|it| !known[it.0]) {
            it.operands().for_each(|it| read[it.0 as usize] = true);
        }
        let leaf = |at: usize| matches!(body.nodes[at], ExprNode::Const(_) | ExprNode::Input(_));
        let parts = (0..known.len()).filter(|it| known[*it] && read[*it] && !leaf(*it));
        let value = |at: usize| {
            let mut graph = Graph::new("");
            let part = ScalarFn { roots: [Scalar(at as u32)].into(), ..body.clone() };
            let (part, used) = replaced(&part, body.arity, &BTreeMap::new()).prune();
            let mut operands = Vec::new();
            let mut most = 0;
            for it in used {
                let of = node.operands[it as usize];
                let (values, dims) = (numbers[it as usize].clone()?, self.nodes[of].fixed()?);
                most = most.max(values.len());
                operands.push(graph.add(listed(values, dims), &[], OriginId::default()).0);
            }
            let map = graph.add(Op::Map { body: part, int: false }, &operands, OriginId::default()).0;
            let value = evaluate(&graph, &Env::default(), &[map]).pop()?;
            (value.data.len() <= most).then_some((at, value))
        };
        parts.filter_map(value).collect()
    }

    fn merge(&mut self, mut merges: BTreeMap<usize, Merge>) {
        let into: BTreeMap<usize, usize> = merges.iter().map(|(map, it)| (it.conv, *map)).collect();
        let mut place = vec![0; self.nodes.len()];
        let mut nodes: Vec<Node> = Vec::new();
        for (at, mut node) in std::mem::take(&mut self.nodes).into_iter().enumerate() {
            node.operands.iter_mut().for_each(|it| *it = place[*it]);
            if let Some(merge) = into.get(&at).and_then(|it| merges.get_mut(it)) {
                let filter = nodes[node.operands[1]].clone();
                let Some(shape) = filter.fixed() else { continue };
                let name = self.path(&filter.op).map(str::to_owned);
                let channels = shape.last().copied().unwrap_or(1);
                let filter = Node {
                    op: listed(std::mem::take(&mut merge.filter), shape),
                    operands: Vec::new(),
                    name: name.unwrap_or_else(|| format!("{}/filter", node.layer)),
                    layer: node.layer.clone(),
                    ..filter
                };
                let bias = Node {
                    op: listed(std::mem::take(&mut merge.bias), vec![channels]),
                    dims: vec![super::Extent::Fixed(channels)],
                    name: format!("{}/bias", node.layer),
                    ..filter.clone()
                };
                nodes.extend([filter, bias]);
                node.operands = vec![node.operands[0], nodes.len() - 2, nodes.len() - 1];
            }
            if let Some(Merge { rest, .. }) = merges.get(&at) {
                let (rest, used) = rest.prune();
                node.operands = used.iter().map(|it| node.operands[*it as usize]).collect();
                if rest.is_identity() {
                    place[at] = node.operands[0];
                    continue;
                }
                node.op = Op::Map { body: rest, int: false };
            }
            place[at] = nodes.len();
            nodes.push(node);
        }
        self.nodes = nodes;
        self.result = place[self.result];
    }
}

/// For each node, whether the weights alone decide it, for every batch.
fn fixed(network: &Network) -> Vec<bool> {
    let mut res: Vec<bool> = Vec::new();
    for node in &network.nodes {
        let by_itself = match &node.op {
            Op::Input { .. } | Op::Random { .. } | Op::AllReduce(_) | Op::Update(_) => false,
            Op::Param(_)
            | Op::State(_)
            | Op::Const { .. }
            | Op::Conv(_)
            | Op::ConvInputGrad { .. }
            | Op::ConvFilterGrad(_)
            | Op::MatMul { .. }
            | Op::Map { .. }
            | Op::Reduce { .. }
            | Op::Broadcast(_)
            | Op::Reshape(_)
            | Op::Transpose(_)
            | Op::Assemble { .. }
            | Op::Window { .. }
            | Op::Gather
            | Op::Augment { .. }
            | Op::Scatter { .. }
            | Op::Loss(_) => true,
        };
        res.push(by_itself && node.fixed().is_some() && node.operands.iter().all(|it| res[*it]));
    }
    res
}

/// What the leaves of a graph hold; those that the network does not need hold nothing.
fn environment(graph: &Graph, tensors: &BTreeMap<String, Vec<f64>>) -> Env {
    let tensor = |path: &String, shape: &Shape| match tensors.get(path) {
        Some(it) => Tensor::new(shape.clone(), it.clone()),
        None => Tensor::filled([0], 0.0),
    };
    Env {
        params: graph.params.iter().map(|it| tensor(&it.path, &it.shape)).collect(),
        states: graph.states.iter().map(|it| tensor(&it.path, &it.shape)).collect(),
        ..Env::default()
    }
}

/// What becomes of a convolution and of the map that reads it.
struct Merge {
    conv: usize,
    filter: Vec<f64>,
    bias: Vec<f64>,
    /// What is left of the map: the convolution is its operand where it was.
    rest: ScalarFn,
}

/// By maps.
fn merges(network: &Network) -> BTreeMap<usize, Merge> {
    let readers = network.readers();
    let mut res: BTreeMap<usize, Merge> = BTreeMap::new();
    for (at, node) in network.nodes.iter().enumerate() {
        let Op::Map { body, int: false } = &node.op else { continue };
        let found = (0..node.operands.len()).find_map(|input| {
            let conv = node.operands[input];
            let of = &network.nodes[conv];
            let alone = readers[conv] == 1 && of.dims == node.dims && of.operands.len() == 2;
            if !(alone && matches!(of.op, Op::Conv(_))) {
                return None;
            }
            let (line, rest) = line(body, input as u32)?;
            let filters = network.numbers(of.operands[1])?;
            let count = of.dims.last()?.fixed()?;
            let mut columns = vec![vec![0.0]; node.operands.len()];
            for it in line.used_inputs() {
                let column = network.column(node.operands[it as usize])?;
                columns[it as usize] = column;
            }
            let at = |column: &Vec<f64>, channel: usize| column[if column.len() == 1 { 0 } else { channel }];
            let each: Vec<Vec<f64>> = (0..count)
                .map(|channel| line.eval(&columns.iter().map(|it| at(it, channel)).collect::<Vec<_>>()))
                .collect();
            let filter = filters.iter().enumerate().map(|(at, it)| it * each[at % count][0]).collect();
            Some(Merge { conv, filter, bias: each.iter().map(|it| it[1]).collect(), rest })
        });
        if let Some(merge) = found {
            res.insert(at, merge);
        }
    }
    res
}

/// The part of an expression that is `a * x + b` of one of its inputs, with `a` and `b` of others, as large as it can be, and
/// what is done to it: two results of the others, and the expression with that part as the input.
fn line(body: &ScalarFn, input: u32) -> Option<(ScalarFn, ScalarFn)> {
    let mut pool = Pool::new();
    // What each node is without the input, or else its factor and what is added, where it is that.
    let mut plain: Vec<Option<Scalar>> = Vec::new();
    let mut lines: Vec<Option<(Scalar, Scalar)>> = Vec::new();
    for node in &*body.nodes {
        let (value, line) = traced(&mut pool, node, input, &plain, &lines);
        plain.push(value);
        lines.push(line);
    }
    let at = (0..body.nodes.len()).rev().find(|at| lines[*at].is_some() && passes(body, input, *at))?;
    if body.nodes[at] == ExprNode::Input(input) {
        return None;
    }
    let (factor, more) = lines[at]?;
    let line = pool.finish(body.arity, &[factor, more]);
    Some((line, replaced(body, body.arity, &BTreeMap::from([(at, input)]))))
}

/// An expression with inputs in place of some nodes.
fn replaced(body: &ScalarFn, arity: u32, inputs: &BTreeMap<usize, u32>) -> ScalarFn {
    let mut pool = Pool::new();
    let mut place: Vec<Scalar> = Vec::new();
    for (at, node) in body.nodes.iter().enumerate() {
        let to = |it: Scalar| place[it.0 as usize];
        let node = match (inputs.get(&at), *node) {
            (Some(input), _) => ExprNode::Input(*input),
            (None, ExprNode::Const(_) | ExprNode::Input(_)) => *node,
            (None, ExprNode::Unary(op, a)) => ExprNode::Unary(op, to(a)),
            (None, ExprNode::Binary(op, a, b)) => ExprNode::Binary(op, to(a), to(b)),
            (None, ExprNode::Select(c, a, b)) => ExprNode::Select(to(c), to(a), to(b)),
        };
        place.push(pool.node(node));
    }
    let root = place[body.root().0 as usize];
    pool.finish(arity, &[root])
}

type Traced = (Option<Scalar>, Option<(Scalar, Scalar)>);

fn traced(
    pool: &mut Pool,
    node: &ExprNode,
    input: u32,
    plain: &[Option<Scalar>],
    lines: &[Option<(Scalar, Scalar)>],
) -> Traced {
    let of = |it: Scalar| (plain[it.0 as usize], lines[it.0 as usize]);
    match *node {
        ExprNode::Input(it) if it == input => {
            let (one, zero) = (pool.constant(1.0), pool.constant(0.0));
            (None, Some((one, zero)))
        }
        ExprNode::Const(_) | ExprNode::Input(_) => (Some(pool.node(*node)), None),
        ExprNode::Unary(op, a) => match (of(a), op) {
            ((Some(a), _), _) => (Some(pool.unary(op, a)), None),
            ((None, Some((factor, more))), Unary::Neg) => {
                (None, Some((pool.unary(Unary::Neg, factor), pool.unary(Unary::Neg, more))))
            }
            ((None, line), Unary::Stop) => (None, line),
            ((None, _), _) => (None, None),
        },
        ExprNode::Binary(op, a, b) => match (of(a), of(b), op) {
            ((Some(a), _), (Some(b), _), _) => (Some(pool.binary(op, a, b)), None),
            ((_, Some(a)), (_, Some(b)), Binary::Add | Binary::Sub) => {
                (None, Some((pool.binary(op, a.0, b.0), pool.binary(op, a.1, b.1))))
            }
            ((_, Some(a)), (Some(b), _), Binary::Add | Binary::Sub) => (None, Some((a.0, pool.binary(op, a.1, b)))),
            ((Some(a), _), (_, Some(b)), Binary::Add) => (None, Some((b.0, pool.add(a, b.1)))),
            ((Some(a), _), (_, Some(b)), Binary::Sub) => (None, Some((pool.unary(Unary::Neg, b.0), pool.sub(a, b.1)))),
            ((_, Some(a)), (Some(b), _), Binary::Mul | Binary::Div) => {
                (None, Some((pool.binary(op, a.0, b), pool.binary(op, a.1, b))))
            }
            ((Some(a), _), (_, Some(b)), Binary::Mul) => (None, Some((pool.mul(a, b.0), pool.mul(a, b.1)))),
            _ => (None, None),
        },
        ExprNode::Select(c, a, b) => match (plain[c.0 as usize], plain[a.0 as usize], plain[b.0 as usize]) {
            (Some(c), Some(a), Some(b)) => (Some(pool.select(c, a, b)), None),
            _ => (None, None),
        },
    }
}

/// Whether all that the result takes from an input goes through one node.
fn passes(body: &ScalarFn, input: u32, through: usize) -> bool {
    let mut around: Vec<bool> = Vec::new();
    for (at, node) in body.nodes.iter().enumerate() {
        let of = |it: &Scalar| around[it.0 as usize];
        around.push(match node {
            _ if at == through => false,
            ExprNode::Const(_) => false,
            ExprNode::Input(it) => *it == input,
            ExprNode::Unary(_, a) => of(a),
            ExprNode::Binary(_, a, b) => of(a) || of(b),
            ExprNode::Select(c, a, b) => of(c) || of(a) || of(b),
        });
    }
    !around[body.root().0 as usize]
}
