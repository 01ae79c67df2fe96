//! Tensors that are put together of parts: what of each part shows, and where.

use super::ExportError;
use super::network::{Extent, Network, Node};
use crate::ir::Along;

/// What is taken of a part along an axis: from its position `first` to `last`, both counted; backwards where it is turned.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cut {
    pub(super) axis: usize,
    pub(super) first: i64,
    pub(super) last: i64,
    pub(super) turned: bool,
    /// Of the part.
    pub(super) extent: usize,
}

/// A part that shows.
#[derive(Clone, Debug)]
pub(super) struct Part {
    /// Its node.
    pub(super) operand: usize,
    /// What is taken of it, where that is not all of it as it is.
    pub(super) cuts: Vec<Cut>,
    /// For each axis where it begins, where it ends, and how long the whole is; nothing for the batch, which is whole.
    pub(super) covered: Vec<Option<(usize, usize, usize)>>,
}

/// The parts that show.
pub(super) fn shown(network: &Network, node: &Node, places: &[Vec<Along>]) -> Result<Vec<Part>, ExportError> {
    let mut parts = Vec::new();
    for (operand, place) in node.operands.iter().zip(places) {
        let from = &network.nodes[*operand].dims;
        let (mut covered, mut cuts) = (Vec::new(), Vec::new());
        for (axis, along) in place.iter().enumerate() {
            let (Extent::Fixed(extent), Extent::Fixed(limit)) = (from[axis], node.dims[axis]) else {
                if *along != Along::START || from[axis] != node.dims[axis] {
                    return Err(node.unsaid("moves images within their batch, which may be of any size"));
                }
                covered.push(None);
                continue;
            };
            let shown = along.covered(extent, limit);
            let [first, last] = [shown.start, shown.end.saturating_sub(1)].map(|it| along.source(it));
            if along.turned || (first, last + 1) != (0, extent as i64) {
                cuts.push(Cut { axis, first, last, turned: along.turned, extent });
            }
            covered.push(Some((shown.start, shown.end, limit)));
        }
        if covered.iter().flatten().all(|it| it.0 < it.1) {
            parts.push(Part { operand: *operand, cuts, covered });
        }
    }
    Ok(parts)
}

/// The axis along which parts follow each other without gaps and fill the whole, and their order.
pub(super) fn joined(parts: &[Part]) -> Option<(usize, Vec<usize>)> {
    let first = &parts.first()?.covered;
    let whole = |it: &Option<(usize, usize, usize)>| it.is_none_or(|(start, end, limit)| start == 0 && end == limit);
    let axis = first.iter().position(|it| !whole(it)).unwrap_or(0);
    if parts.iter().any(|part| part.covered.iter().enumerate().any(|(at, it)| at != axis && !whole(it))) {
        return None;
    }
    let mut order: Vec<usize> = (0..parts.len()).collect();
    if first.get(axis).copied().flatten().is_none() {
        return (parts.len() == 1).then_some((axis, order));
    }
    let place = |at: usize| parts[at].covered[axis].unwrap_or_default();
    order.sort_by_key(|it| place(*it).0);
    let mut next = 0;
    for at in &order {
        let (start, end, _) = place(*at);
        if start != next {
            return None;
        }
        next = end;
    }
    (next == place(0).2).then_some((axis, order))
}
