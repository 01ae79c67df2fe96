//! What a picture of a model shows: its input, its layers, and where ways through it come together.

use super::{Row, shape};
use crate::cli::table;
use sphc::ir::{Binary, ExprNode, Graph, Mode, NodeId, Op};
use std::collections::{BTreeMap, BTreeSet};

/// A box of a picture.
pub(super) struct Block {
    pub(super) title: String,
    pub(super) facts: Vec<String>,
    /// The boxes before it whose results it reads.
    pub(super) sources: BTreeSet<usize>,
}

/// The boxes, sources first.
pub(super) fn boxes(graph: &Graph, rows: &[Row]) -> Vec<Block> {
    let Some(&output) = graph.outputs.get(&Mode::Train) else { return Vec::new() };
    let input = graph.inputs.get(&Mode::Train).copied();
    let mut layers: BTreeMap<NodeId, Vec<&Row>> = BTreeMap::new();
    for (layer, row) in graph.layers.iter().zip(rows) {
        layers.entry(layer.output).or_default().push(row);
    }
    // By node: the boxes that its value comes from directly.
    let mut heads: BTreeMap<NodeId, BTreeSet<usize>> = BTreeMap::new();
    let mut boxes: Vec<Block> = Vec::new();
    for id in needed(graph, output, input) {
        let mut here: BTreeSet<usize> = BTreeSet::new();
        let of: Vec<NodeId> = if Some(id) == input { Vec::new() } else { graph.operands(id) };
        of.iter().filter_map(|it| heads.get(it)).for_each(|it| here.extend(it));
        if Some(id) == input {
            let facts = vec![shape(&graph.shape(id).dims()[1..])];
            boxes.push(Block { title: "input".to_owned(), facts, sources: BTreeSet::new() });
            here = BTreeSet::from([boxes.len() - 1]);
        }
        let differ = of.iter().filter_map(|it| heads.get(it)).filter(|it| !it.is_empty()).any(|it| *it != here);
        if differ {
            boxes.push(Block { title: join_label(graph, id).to_owned(), facts: Vec::new(), sources: here });
            here = BTreeSet::from([boxes.len() - 1]);
        }
        // A layer whose result another layer only passes on ends at the same node.
        for row in layers.get(&id).into_iter().flatten() {
            boxes.push(Block { title: row.path.clone(), facts: facts(row), sources: here });
            here = BTreeSet::from([boxes.len() - 1]);
        }
        heads.insert(id, here);
    }
    boxes
}

/// What the output is made from, operands first.
fn needed(graph: &Graph, output: NodeId, input: Option<NodeId>) -> BTreeSet<NodeId> {
    let mut todo = vec![output];
    let mut res = BTreeSet::new();
    while let Some(id) = todo.pop() {
        if res.insert(id) && Some(id) != input {
            todo.extend(graph.operands(id));
        }
    }
    res
}

/// How several values become one.
fn join_label(graph: &Graph, id: NodeId) -> &'static str {
    let Op::Map { body, .. } = graph.op(id) else { return "join" };
    let sums = |it: &ExprNode| matches!(it, ExprNode::Binary(Binary::Add | Binary::Sub, ..));
    let products = |it: &ExprNode| matches!(it, ExprNode::Binary(Binary::Mul, ..));
    if body.nodes.iter().any(sums) {
        "+"
    } else if body.nodes.iter().any(products) {
        "*"
    } else {
        "join"
    }
}

fn facts(row: &Row) -> Vec<String> {
    let mut res = vec![row.kind.clone(), shape(&row.shape)];
    if row.parameters != 0 {
        res.push(format!("{} parameters", table::grouped(row.parameters as u64)));
    }
    res
}
