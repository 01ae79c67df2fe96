//! A map's expression taken apart by what its values depend on, so that what is the same along a row or a column is loaded
//! and computed once for it.

use super::expression::{Number, operands};
use crate::ir::{ExprNode, Scalar};
use crate::kernel::MapKernel;

/// What a value depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Along {
    /// Nothing: the same everywhere.
    Nothing,
    /// The row.
    Row,
    /// The column.
    Column,
    /// Both.
    Both,
}

impl Along {
    fn and(self, other: Along) -> Along {
        match (self, other) {
            (Along::Nothing, it) | (it, Along::Nothing) => it,
            (Along::Row, Along::Row) => Along::Row,
            (Along::Column, Along::Column) => Along::Column,
            (Along::Row | Along::Column | Along::Both, Along::Row | Along::Column | Along::Both) => Along::Both,
        }
    }
}

/// A map over rows and columns, taken apart.
pub(super) struct Parted {
    /// By input.
    pub(super) inputs: Vec<Along>,
    /// Nodes that depend on the row alone and are wanted where single numbers are made; on the column alone, or on nothing.
    pub(super) rows: Vec<usize>,
    pub(super) columns: Vec<usize>,
}

impl Parted {
    /// With the axes ahead of `outer` as rows. `roots` are those made for single numbers; `own` inputs are not in memory, or
    /// not to be taken apart.
    pub(super) fn new(map: &MapKernel, outer: usize, roots: &[Scalar], own: impl Fn(usize) -> bool) -> Self {
        let inputs: Vec<Along> = map
            .inputs
            .iter()
            .enumerate()
            .map(|(at, it)| {
                let moves = |axis: usize| it.strides[axis] != 0 && map.dims[axis] != 1;
                match ((0..outer).any(moves) || own(at), (outer..map.dims.len()).any(moves) || own(at)) {
                    (false, false) => Along::Nothing,
                    (true, false) => Along::Row,
                    (false, true) => Along::Column,
                    (true, true) => Along::Both,
                }
            })
            .collect();
        let nodes = &*map.body.nodes;
        let mut along = Vec::with_capacity(nodes.len());
        for node in nodes {
            along.push(match *node {
                ExprNode::Input(i) => inputs[i as usize],
                ExprNode::Const(_) | ExprNode::Unary(..) | ExprNode::Binary(..) | ExprNode::Select(..) => {
                    operands(node).map(|it| along[it]).fold(Along::Nothing, Along::and)
                }
            });
        }
        // Wanted where single numbers are made: roots, and what these numbers are made of.
        let mut reached = vec![false; nodes.len()];
        let mut wanted = vec![false; nodes.len()];
        roots.iter().for_each(|it| wanted[it.0 as usize] = true);
        for at in (0..nodes.len()).rev().filter(|&at| along[at] == Along::Both) {
            reached[at] = reached[at] || wanted[at];
            if reached[at] {
                for it in operands(&nodes[at]) {
                    reached[it] = true;
                    wanted[it] = wanted[it] || along[it] != Along::Both;
                }
            }
        }
        let of = |wish: fn(Along) -> bool| {
            let all = (0..nodes.len()).filter(|&at| wanted[at] && wish(along[at]));
            all.filter(|&at| !matches!(nodes[at], ExprNode::Const(_))).collect()
        };
        Parted {
            rows: of(|it| it == Along::Row),
            columns: of(|it| matches!(it, Along::Column | Along::Nothing)),
            inputs,
        }
    }

    /// Where single numbers are made, the expression in CUDA that holds a node, if it is made for a row or a column.
    pub(super) fn given(&self, node: usize) -> Option<String> {
        let rows = self.rows.contains(&node).then(|| format!("row.v{node}"));
        rows.or_else(|| self.columns.contains(&node).then(|| format!("column.v{node}")))
    }
}

/// `struct NAME { float v1, v2; };`
pub(super) fn structure(name: &str, number: Number, nodes: &[usize]) -> String {
    let names: Vec<String> = nodes.iter().map(|it| format!("v{it}")).collect();
    let fields = if names.is_empty() { String::new() } else { format!(" {} {}; ", number.name(), names.join(", ")) };
    format!("struct {name} {{{fields}}};")
}

/// `return {v1, v2};`
pub(super) fn returned(nodes: &[usize]) -> String {
    let names: Vec<String> = nodes.iter().map(|it| format!("v{it}")).collect();
    format!("    return {{{}}};", names.join(", "))
}

/// Nodes as roots.
pub(super) fn as_roots(nodes: &[usize]) -> Vec<Scalar> {
    nodes.iter().map(|&it| Scalar(it as u32)).collect()
}
