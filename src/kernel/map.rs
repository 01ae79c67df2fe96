//! Map groups become one multi-result expression over an iteration space.
//!
//! Every operand is a tensor read with one stride per axis of the space. Strides of the innermost axis
//! are 0 or 1, because fusion permutes no axes.

use super::select::dtype;
use super::{Draws, MapInput, MapKernel, MapOutput, Store};
use crate::fuse::{Fused, Group, GroupKind, reduced, squeeze};
use crate::ir::expr::Pool;
use crate::ir::{Graph, NodeId, Op, Reduction, Scalar, Shape};
use std::collections::{BTreeSet, HashMap};

/// For each axis of a node: the axis of the space it runs along; `None` where its extent is 1.
type Axes = Vec<Option<usize>>;

/// The kernel of a map group, or of the map that follows a convolution; and the nodes to read for its operands. What
/// follows a convolution has that as operand 0, which is not among the nodes.
pub(super) fn build(fused: &Fused, group: &Group) -> (MapKernel, Vec<NodeId>) {
    let graph = fused.typed.graph();
    let dims = squeeze(&group.space(graph));
    let core = (group.kind == GroupKind::Contraction).then(|| group.nodes[0]);
    let mut body = Body {
        fused,
        graph,
        inside: group.nodes.iter().copied().filter(|it| Some(*it) != core).collect(),
        rank: dims.len(),
        pool: Pool::new(),
        operands: Vec::new(),
        known: HashMap::new(),
    };
    if let Some(core) = core {
        body.read(core, &whole(graph.shape(core)));
    }
    let mut roots = Vec::new();
    let mut outputs = Vec::new();
    for &id in &group.outputs {
        let (root, store) = body.output(id);
        roots.push(root);
        outputs.push(MapOutput { store, dtype: dtype(graph, id) });
    }
    let operands = std::mem::take(&mut body.operands);
    let all = body.pool.finish(operands.len() as u32, &roots).simplify();
    let (mut whole, mut used) = all.prune();
    if core.is_some() && used.first() != Some(&0) {
        // A map that forgets the convolution: its operand keeps its place.
        (whole, used) = (all, (0..operands.len() as u32).collect());
    }
    let mut inputs = Vec::with_capacity(used.len());
    let mut nodes = Vec::with_capacity(used.len());
    for (id, strides, draws) in used.iter().map(|&it| &operands[it as usize]) {
        inputs.push(match draws {
            Some(draws) => MapInput::drawn(strides.clone(), *draws),
            None => MapInput::new(strides.clone(), dtype(graph, *id)),
        });
        nodes.push(*id);
    }
    if let Some(core) = core {
        assert_eq!(nodes.first(), Some(&core), "what follows a convolution reads it\n{graph}");
        nodes.remove(0);
    }
    (merge_axes(MapKernel { dims, inputs, body: whole, outputs }, core.is_some()), nodes)
}

struct Body<'a> {
    fused: &'a Fused,
    graph: &'a Graph,
    inside: BTreeSet<NodeId>,
    rank: usize,
    pool: Pool,
    operands: Vec<(NodeId, Vec<usize>, Option<Draws>)>,
    known: HashMap<(NodeId, Axes), Scalar>,
}

impl Body<'_> {
    fn output(&mut self, id: NodeId) -> (Scalar, Store) {
        match self.graph.op(id) {
            Op::Reduce { kind, axes } => {
                let operand = self.graph.operands(id)[0];
                let along = whole(self.graph.shape(operand));
                let over = reduced(self.graph.shape(operand), axes);
                if *kind == Reduction::Variance && !over.contains(&true) {
                    // Of one number each: 0, unless there is no distance from it.
                    let value = self.read(operand, &along);
                    return (self.pool.sub(value, value), Store::Full);
                }
                (self.read(operand, &along), Store::Reduce { kind: *kind, over })
            }
            _ => {
                let along = whole(self.graph.shape(id));
                (self.read(id, &along), Store::Full)
            }
        }
    }

    /// An operand: from memory, or the value of a node that this group evaluates.
    fn read(&mut self, id: NodeId, along: &Axes) -> Scalar {
        if let Some(number) = self.fused.storage.number(id) {
            return self.pool.constant(number);
        }
        let base = self.fused.storage.of(id);
        if self.inside.contains(&base) && !matches!(self.graph.op(base), Op::Reduce { .. }) {
            let along = realign(along, self.graph.shape(base));
            return self.value(base, &along);
        }
        let strides = self.strides(id, along);
        self.operand(base, strides, None)
    }

    fn strides(&self, id: NodeId, along: &Axes) -> Vec<usize> {
        let mut strides = vec![0; self.rank];
        let mut step = 1;
        for (&extent, &axis) in self.graph.shape(id).dims().iter().zip(along).rev() {
            if let Some(axis) = axis {
                strides[axis] = step;
            }
            step *= extent;
        }
        strides
    }

    fn operand(&mut self, id: NodeId, strides: Vec<usize>, draws: Option<Draws>) -> Scalar {
        let key = (id, strides, draws);
        let at = self.operands.iter().position(|it| *it == key).unwrap_or_else(|| {
            self.operands.push(key);
            self.operands.len() - 1
        });
        self.pool.input(at as u32)
    }

    /// The value of a node of this group, where its axes run along those of the space.
    fn value(&mut self, id: NodeId, along: &Axes) -> Scalar {
        let key = (id, along.clone());
        if let Some(&found) = self.known.get(&key) {
            return found;
        }
        let graph = self.graph;
        let operands = graph.operands(id);
        if let Op::Random { stream, first, .. } = *graph.op(id) {
            let strides = self.strides(id, along);
            let step = self.fused.storage.of(operands[0]);
            return self.operand(step, strides, Some(Draws { stream, first }));
        }
        let args: Vec<Scalar> = operands.iter().map(|&it| self.read(it, &aligned(along, graph.shape(it)))).collect();
        let value = match graph.op(id) {
            Op::Map { body, .. } => self.pool.inline(body, &args)[0],
            Op::Broadcast(_) => args[0],
            op => panic!("{op:?} is not part of a map kernel\n{graph}"),
        };
        self.known.insert(key, value);
        value
    }
}

/// A tensor that spans the space.
fn whole(shape: &Shape) -> Axes {
    let mut next = 0;
    let mut axis = |extent: usize| {
        (extent != 1).then(|| {
            next += 1;
            next - 1
        })
    };
    shape.dims().iter().map(|&it| axis(it)).collect()
}

/// An operand of shape `shape` under broadcasting: aligned at the last axis, extents of 1 repeat.
fn aligned(along: &Axes, shape: &Shape) -> Axes {
    let missing = along.len() - shape.rank();
    shape.dims().iter().enumerate().map(|(at, &extent)| if extent == 1 { None } else { along[missing + at] }).collect()
}

/// The same axes for the same elements under a shape that differs in extents of 1 only.
fn realign(along: &Axes, shape: &Shape) -> Axes {
    let mut left = along.iter().flatten();
    shape.dims().iter().map(|&extent| if extent == 1 { None } else { left.next().copied() }).collect()
}

/// Merges adjacent axes that every operand steps through as one and every result treats alike; but for the last, if
/// that is to stay.
fn merge_axes(kernel: MapKernel, keep_last: bool) -> MapKernel {
    let MapKernel { dims, mut inputs, body, mut outputs } = kernel;
    let mut kept: Vec<usize> = Vec::new();
    let mut merged: Vec<usize> = Vec::new();
    for axis in 0..dims.len() {
        let stays = keep_last && axis + 1 == dims.len();
        let joins = !stays
            && kept.last().is_some_and(|&last| {
                inputs.iter().all(|it| it.strides[last] == it.strides[axis] * dims[axis])
                    && outputs.iter().all(|it| match &it.store {
                        Store::Full => true,
                        Store::Reduce { over, .. } => over[last] == over[axis],
                    })
            });
        match (joins, kept.last_mut(), merged.last_mut()) {
            (true, Some(last), Some(extent)) => {
                *last = axis;
                *extent *= dims[axis];
            }
            _ => {
                kept.push(axis);
                merged.push(dims[axis]);
            }
        }
    }
    for input in &mut inputs {
        input.strides = kept.iter().map(|&it| input.strides[it]).collect();
    }
    for output in &mut outputs {
        if let Store::Reduce { over, .. } = &mut output.store {
            *over = kept.iter().map(|&it| over[it]).collect();
        }
    }
    // A scalar is a space of one element.
    if merged.is_empty() {
        merged.push(1);
        inputs.iter_mut().for_each(|it| it.strides.push(0));
        for output in &mut outputs {
            if let Store::Reduce { over, .. } = &mut output.store {
                over.push(true);
            }
        }
    }
    MapKernel { dims: merged, inputs, body, outputs }
}
