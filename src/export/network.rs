//! The part of a graph that scores are made by.
//!
//! A graph is made for a batch of one size. Made for two sizes, it tells which extents are the batch: those that grow with
//! it. Whatever else differs between the two cannot be written for any batch, and is refused.

use super::ExportError;
use crate::ir::op::Fill;
use crate::ir::{DType, Extern, Figure, Graph, NodeId, Op, OriginId, Phase, ResultKey, Shape};
use std::collections::BTreeMap;

/// An extent, for any batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// The same for every batch.
    Fixed(usize),
    /// So many for each image of a batch.
    PerImage(usize),
}

impl Extent {
    /// The number of a fixed one.
    pub fn fixed(self) -> Option<usize> {
        match self {
            Extent::Fixed(it) => Some(it),
            Extent::PerImage(_) => None,
        }
    }
}

/// An op of a network.
#[derive(Clone, Debug)]
pub struct Node {
    /// What it does; shapes in it are those for one size of a batch. What picks images of a batch has the images as its only
    /// operand: they are given.
    pub op: Op,
    /// Positions of nodes before it.
    pub operands: Vec<usize>,
    /// Extents of the result.
    pub dims: Vec<Extent>,
    /// Its element type.
    pub dtype: DType,
    /// The layer it belongs to; empty outside of layers.
    pub layer: String,
    /// Where it was written.
    pub origin: OriginId,
    /// What a constant is called that takes the place of something with a name; empty for all others.
    pub name: String,
    /// The node of the graph that it was made of.
    pub(super) id: NodeId,
}

impl Node {
    /// Extents that do not depend on the batch, if all are such.
    pub fn fixed(&self) -> Option<Vec<usize>> {
        self.dims.iter().map(|it| it.fixed()).collect()
    }

    /// An error that names the layer.
    pub(super) fn unsaid(&self, cause: impl Into<String>) -> ExportError {
        ExportError::Unsaid { layer: self.layer.clone(), origin: self.origin, cause: cause.into() }
    }
}

/// What scores are made by, operands first.
#[derive(Clone, Debug)]
pub struct Network {
    /// The graph it is of, with its tables.
    pub graph: Graph,
    /// In order.
    pub nodes: Vec<Node>,
    /// Of them, what the model gives.
    pub result: usize,
    /// Numbers of parameters and states, by their paths.
    pub tensors: BTreeMap<String, Vec<f64>>,
    /// Whether what follows from the weights alone is computed already.
    pub folded: bool,
}

/// The sizes of batches that are tried, two at a time. An extent of the model that is one of them by chance could make two
/// nodes one in one graph only, and then the next two are tried.
const SIZES: [[usize; 2]; 3] = [[11, 13], [17, 19], [29, 31]];

impl Network {
    /// The network of a model that `make` compiles for a batch, completed for evaluation; `read` gives the numbers of a
    /// parameter or state.
    pub fn new<E: From<ExportError>>(
        make: &mut dyn FnMut(usize) -> Result<Graph, E>,
        read: &mut dyn FnMut(&str) -> Result<Vec<f64>, E>,
    ) -> Result<Network, E> {
        let mut last = None;
        for sizes in SIZES {
            let graphs = [make(sizes[0])?, make(sizes[1])?];
            match nodes(&graphs, sizes) {
                Ok(nodes) => {
                    let [graph, _] = graphs;
                    let mut tensors = BTreeMap::new();
                    for it in &nodes {
                        if let Some(path) = path(&graph, &it.op) {
                            tensors.insert(path.to_owned(), read(path)?);
                        }
                    }
                    let result = nodes.len() - 1;
                    return Ok(Network { graph, nodes, result, tensors, folded: false });
                }
                Err(error @ ExportError::Batch { .. }) => last = Some(error),
                Err(error) => return Err(error.into()),
            }
        }
        Err(last.expect("some sizes were tried").into())
    }

    /// The path of a parameter or state.
    pub fn path(&self, op: &Op) -> Option<&str> {
        path(&self.graph, op)
    }

    /// For each node, how many others read it; the result is read once more.
    pub(super) fn readers(&self) -> Vec<usize> {
        let mut res = vec![0; self.nodes.len()];
        self.nodes.iter().flat_map(|it| &it.operands).for_each(|it| res[*it] += 1);
        res[self.result] += 1;
        res
    }

    /// Without the nodes that nothing reads.
    pub(super) fn pruned(mut self) -> Network {
        let mut used = vec![false; self.nodes.len()];
        used[self.result] = true;
        for at in (0..self.nodes.len()).rev() {
            if used[at] {
                self.nodes[at].operands.iter().for_each(|it| used[*it] = true);
            }
        }
        let mut place = vec![0; used.len()];
        let mut kept = Vec::new();
        for (at, mut node) in self.nodes.into_iter().enumerate() {
            if used[at] {
                node.operands.iter_mut().for_each(|it| *it = place[*it]);
                place[at] = kept.len();
                kept.push(node);
            }
        }
        self.nodes = kept;
        self.result = place[self.result];
        self
    }
}

fn path<'a>(graph: &'a Graph, op: &Op) -> Option<&'a str> {
    match op {
        Op::Param(id) => Some(&graph.param(*id).path),
        Op::State(id) => Some(&graph.state(*id).path),
        _ => None,
    }
}

/// Whether a node is all images of the test set, in whose place a batch is given.
fn is_images(graph: &Graph, id: NodeId) -> bool {
    matches!(graph.op(id), Op::Input { source: Extern::TestImages, .. })
}

/// A node's operands; of what picks images, the images alone.
fn operands(graph: &Graph, id: NodeId) -> Vec<NodeId> {
    let mut res = graph.operands(id);
    if let Op::Gather | Op::Augment { .. } = graph.op(id)
        && res.first().is_some_and(|it| is_images(graph, *it))
    {
        res.truncate(1);
    }
    res
}

/// The nodes that scores need, ascending.
fn needed(graph: &Graph) -> Vec<NodeId> {
    let scores = graph.results.get(&Phase::Evaluate).and_then(|it| it.get(&ResultKey::from(Figure::Scores)));
    let mut seen = vec![false; graph.len()];
    let mut todo: Vec<NodeId> = scores.copied().into_iter().collect();
    while let Some(id) = todo.pop() {
        if !std::mem::replace(&mut seen[id.0 as usize], true) {
            todo.extend(operands(graph, id));
        }
    }
    // Operands exist before what is made of them, so the last is what is asked for.
    graph.ids().filter(|it| seen[it.0 as usize]).collect()
}

fn nodes(graphs: &[Graph; 2], sizes: [usize; 2]) -> Result<Vec<Node>, ExportError> {
    let [a, b] = [needed(&graphs[0]), needed(&graphs[1])];
    let batch = |at: NodeId, cause: String| {
        let (layer, origin) = (graphs[0].origin_of(graphs[0].origin_id(at)).layer.clone(), graphs[0].origin_id(at));
        ExportError::Batch { layer, origin, cause }
    };
    if let (true, Some(last)) = (a.len() != b.len(), a.last()) {
        return Err(batch(*last, format!("{} steps lead to it, or {}", a.len(), b.len())));
    }
    let place = |list: &[NodeId], id: &NodeId| list.binary_search(id).expect("operands are needed");
    let mut res = Vec::new();
    for (left, right) in a.iter().zip(&b) {
        let [op, other] = [graphs[0].op(*left), graphs[1].op(*right)];
        let [from, others] = [operands(&graphs[0], *left), operands(&graphs[1], *right)];
        let from: Vec<usize> = from.iter().map(|it| place(&a, it)).collect();
        let others: Vec<usize> = others.iter().map(|it| place(&b, it)).collect();
        if bare(op) != bare(other) || from != others {
            return Err(batch(*left, "what it computes with depends on the batch".to_owned()));
        }
        let [shape, grown] = [graphs[0].shape(*left).dims(), graphs[1].shape(*right).dims()];
        let images = is_images(&graphs[0], *left);
        let each = shape.iter().zip(grown).enumerate();
        let dims = each.map(|(axis, (a, b))| match (images && axis == 0, a == b) {
            (true, _) => Ok(Extent::PerImage(1)),
            (false, true) => Ok(Extent::Fixed(*a)),
            (false, false) if a % sizes[0] == 0 && a / sizes[0] * sizes[1] == *b => Ok(Extent::PerImage(a / sizes[0])),
            (false, false) => {
                let of = format!("an extent is {a} for {} images and {b} for {}", sizes[0], sizes[1]);
                Err(batch(*left, of))
            }
        });
        let origin = graphs[0].origin_id(*left);
        res.push(Node {
            op: op.clone(),
            operands: from,
            dims: dims.collect::<Result<_, _>>()?,
            dtype: graphs[0].fact(*left).dtype().expect("a checked graph knows its types"),
            layer: graphs[0].origin_of(origin).layer.clone(),
            origin,
            name: String::new(),
            id: *left,
        });
    }
    Ok(res)
}

/// An op without its shapes, which may differ with the batch.
fn bare(op: &Op) -> Op {
    let none = Shape::scalar;
    match op {
        Op::Input { source, dtype, .. } => Op::Input { source: source.clone(), shape: none(), dtype: *dtype },
        Op::Const { fill, .. } => Op::Const { fill: fill.clone(), shape: none() },
        Op::Broadcast(_) => Op::Broadcast(none()),
        Op::Reshape(_) => Op::Reshape(none()),
        Op::Assemble { places, .. } => Op::Assemble { shape: none(), places: places.clone() },
        Op::Random { kind, stream, first, .. } => {
            Op::Random { kind: *kind, shape: none(), stream: *stream, first: *first }
        }
        Op::Scatter { .. } => Op::Scatter { rows: 0 },
        Op::Param(_)
        | Op::State(_)
        | Op::Conv(_)
        | Op::ConvInputGrad { .. }
        | Op::ConvFilterGrad(_)
        | Op::MatMul { .. }
        | Op::Map { .. }
        | Op::Reduce { .. }
        | Op::Transpose(_)
        | Op::Window { .. }
        | Op::Gather
        | Op::Augment { .. }
        | Op::AllReduce(_)
        | Op::Loss(_)
        | Op::Update(_) => op.clone(),
    }
}

/// Numbers as a constant.
pub(super) fn listed(numbers: Vec<f64>, shape: Vec<usize>) -> Op {
    let numbers = numbers.into_iter().map(crate::ir::op::Scalar64).collect();
    Op::Const { fill: Fill::List(numbers), shape: Shape(shape) }
}

/// The common extents of two tensors that fit.
pub(super) fn broadcast(a: &[Extent], b: &[Extent]) -> Vec<Extent> {
    let rank = a.len().max(b.len());
    let at = |dims: &[Extent], axis: usize| match (axis + dims.len()).checked_sub(rank) {
        Some(it) => dims[it],
        None => Extent::Fixed(1),
    };
    let wider = |axis: usize| if at(a, axis) == Extent::Fixed(1) { at(b, axis) } else { at(a, axis) };
    (0..rank).map(wider).collect()
}
