//! The order of launches of one phase, and where results of updates go.
//!
//! A new value is written straight over the old one when every other reader of the old value runs
//! before and its own kernel reads the old value, if at all, element by element. Otherwise it goes to
//! the arena and is copied when all else is done.

use crate::fuse::{Fused, Storage};
use crate::ir::{Graph, NodeId, Op, Phase, ResultKey, Target};
use crate::kernel::{Bound, KernelSpec, MapKernel, Store, bind};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

/// What a launch works on, before buffers have numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum VirtualBuffer {
    /// Memory of a node that lies outside the arena: an input, a constant, or the target's own.
    Leaf(NodeId),
    /// A parameter or state, as a phase leaves it.
    Target(Target),
    /// The result of a group, in the arena.
    Value(NodeId),
    /// A copy of what a parameter or state held before the phase.
    Before(NodeId),
    /// A copy of a filter in 16 bits.
    Bf16Copy(NodeId),
}

/// One launch.
pub(super) struct Step {
    pub(super) spec: KernelSpec,
    pub(super) inputs: Vec<VirtualBuffer>,
    pub(super) outputs: Vec<VirtualBuffer>,
    /// The nodes it is named after: one for each map.
    pub(super) nodes: Vec<NodeId>,
}

/// One phase in order.
pub(super) struct Schedule {
    pub(super) steps: Vec<Step>,
    pub(super) results: BTreeMap<ResultKey, VirtualBuffer>,
}

pub(super) fn schedule(fused: &Fused, phase: Phase) -> Schedule {
    let graph = fused.typed.graph();
    let groups = fused.phases.get(&phase).map(Vec::as_slice).unwrap_or_default();
    let bound: Vec<Bound> = groups.iter().map(|it| bind(fused, it)).collect();
    let flow = Flow::new(&bound, graph.len());
    let updates = updates(graph, &fused.storage, phase);
    let written = InPlace::choose(graph, &fused.storage, &bound, &flow, &updates);

    let mut old: BTreeSet<NodeId> = BTreeSet::new();
    let mut after = |id: NodeId| {
        // What is read when the phase is over, or nearly.
        let base = fused.storage.of(id);
        if target(graph, base).is_some_and(|it| updates.contains_key(&it)) {
            old.insert(base);
            return VirtualBuffer::Before(base);
        }
        match (flow.home(base), written.of.get(&base)) {
            (None, _) => {
                VirtualBuffer::Leaf(if fused.storage.number(id).is_some() { number_node(fused, id) } else { base })
            }
            (Some(_), Some(&target)) => VirtualBuffer::Target(target),
            (Some(_), None) => VirtualBuffer::Value(base),
        }
    };
    let results = graph.results.get(&phase).into_iter().flatten();
    let results: BTreeMap<ResultKey, VirtualBuffer> = results.map(|(key, &id)| (key.clone(), after(id))).collect();
    let mut copies = Vec::new();
    for (&to, &(update, value)) in &updates {
        if written.of.get(&fused.storage.of(value)) != Some(&to) {
            copies.push(copy(graph, after(value), VirtualBuffer::Target(to), update));
        }
    }

    let mut steps: Vec<Step> =
        old.iter().map(|&it| copy(graph, VirtualBuffer::Leaf(it), VirtualBuffer::Before(it), it)).collect();
    for at in order(graph, &bound, &flow, &written) {
        let Bound { spec, inputs, outputs } = &bound[at];
        let read = |&id: &NodeId| match (flow.home(id), written.of.get(&id)) {
            (None, _) => VirtualBuffer::Leaf(id),
            (Some(_), Some(&target)) => VirtualBuffer::Target(target),
            (Some(_), None) => VirtualBuffer::Value(id),
        };
        let inputs = inputs.iter().map(read).collect();
        let places: Vec<VirtualBuffer> = outputs.iter().map(read).collect();
        steps.push(Step { spec: spec.clone(), inputs, outputs: places, nodes: vec![named_after(graph, outputs)] });
    }
    steps.extend(copies);
    Schedule { steps, results }
}

/// The node to speak of: the first result that belongs to a layer.
fn named_after(graph: &Graph, outputs: &[NodeId]) -> NodeId {
    let in_layer = |id: &&NodeId| !graph.origin_of(graph.origin_id(**id)).layer.is_empty();
    *outputs.iter().find(in_layer).unwrap_or(&outputs[0])
}

/// A node of the same number whose buffer has this shape.
fn number_node(fused: &Fused, id: NodeId) -> NodeId {
    let base = fused.storage.of(id);
    if fused.typed.shape(base).len() == fused.typed.shape(id).len() { base } else { id }
}

fn copy(graph: &Graph, from: VirtualBuffer, to: VirtualBuffer, node: NodeId) -> Step {
    let dtype = crate::kernel::dtype(graph, node);
    let spec = KernelSpec::Map(MapKernel::copy(graph.shape(node).len(), dtype, dtype));
    Step { spec, inputs: vec![from], outputs: vec![to], nodes: vec![node] }
}

pub(super) fn target(graph: &Graph, leaf: NodeId) -> Option<Target> {
    match graph.op(leaf) {
        Op::Param(id) => Some(Target::Param(*id)),
        Op::State(id) => Some(Target::State(*id)),
        _ => None,
    }
}

/// By target: the `Update` and the node it writes. The last of several counts.
type Updates = BTreeMap<Target, (NodeId, NodeId)>;

fn updates(graph: &Graph, storage: &Storage, phase: Phase) -> Updates {
    let mut all = Updates::new();
    for &id in graph.effects.get(&phase).into_iter().flatten() {
        if let Op::Update(target) = graph.op(id) {
            let value = graph.operands(id)[0];
            let unchanged = self::target(graph, storage.of(value)) == Some(*target);
            if unchanged {
                all.remove(target);
            } else {
                all.insert(*target, (id, value));
            }
        }
    }
    all
}

/// Who makes and who reads each node.
struct Flow {
    home: Vec<Option<usize>>,
    readers: Vec<Vec<usize>>,
}

impl Flow {
    fn new(bound: &[Bound], nodes: usize) -> Flow {
        let mut res = Flow { home: vec![None; nodes], readers: vec![Vec::new(); nodes] };
        for (at, it) in bound.iter().enumerate() {
            it.outputs.iter().for_each(|id| res.home[id.0 as usize] = Some(at));
            for id in &it.inputs {
                let readers = &mut res.readers[id.0 as usize];
                if readers.last() != Some(&at) {
                    readers.push(at);
                }
            }
        }
        res
    }

    fn home(&self, id: NodeId) -> Option<usize> {
        self.home[id.0 as usize]
    }

    fn readers(&self, id: NodeId) -> &[usize] {
        &self.readers[id.0 as usize]
    }
}

/// Leaves whose memory the phase overwrites, with the target.
fn overwritten_leaves(bound: &[Bound], graph: &Graph, updates: &Updates) -> BTreeMap<NodeId, Target> {
    let read = bound.iter().flat_map(|it| it.inputs.iter().copied());
    read.filter_map(|id| target(graph, id).filter(|it| updates.contains_key(it)).map(|it| (id, it))).collect()
}

/// Which values are written over their targets.
struct InPlace {
    of: BTreeMap<NodeId, Target>,
    /// Launches that must come before others, because they read what those overwrite, or shards meet there first.
    before: Vec<(usize, usize)>,
}

impl InPlace {
    fn choose(graph: &Graph, storage: &Storage, bound: &[Bound], flow: &Flow, updates: &Updates) -> InPlace {
        let storage = |id: NodeId| storage.of(id);
        let leaf_of: BTreeMap<Target, NodeId> =
            overwritten_leaves(bound, graph, updates).into_iter().map(|(id, to)| (to, id)).collect();
        // One order in which writers come as late as they can: what holds in it can be demanded.
        let writers: BTreeSet<usize> = updates.values().filter_map(|it| flow.home(storage(it.1))).collect();
        let meetings = meetings(bound);
        let witness = topological(bound, flow, &meetings, |at| (u8::from(writers.contains(&at)), at));
        let mut position = vec![0; bound.len()];
        witness.iter().enumerate().for_each(|(it, &at)| position[at] = it);

        let mut res = InPlace { of: BTreeMap::new(), before: meetings };
        for (&to, &(_, value)) in updates {
            let value = storage(value);
            let Some(writer) = flow.home(value) else { continue };
            if res.of.contains_key(&value) {
                continue;
            }
            let readers: &[usize] = leaf_of.get(&to).map(|&it| flow.readers(it)).unwrap_or_default();
            let others = readers.iter().copied().filter(|&it| it != writer);
            let early = others.clone().all(|it| position[it] < position[writer]);
            let alike = leaf_of.get(&to).is_none_or(|&leaf| elementwise(&bound[writer], leaf, value));
            if early && alike {
                res.before.extend(others.map(|it| (it, writer)));
                res.of.insert(value, to);
            }
        }
        res
    }
}

/// Where shards of a batch meet, one after the other as the groups come: in the plans of all shards alike, whatever frees memory
/// in one of them.
fn meetings(bound: &[Bound]) -> Vec<(usize, usize)> {
    let all: Vec<usize> =
        (0..bound.len()).filter(|it| matches!(bound[*it].spec, KernelSpec::AllReduce { .. })).collect();
    all.windows(2).map(|it| (it[0], it[1])).collect()
}

/// Whether the kernel reads `input` (if it does) exactly where it writes `output`.
pub(super) fn elementwise(bound: &Bound, input: NodeId, output: NodeId) -> bool {
    if !bound.inputs.contains(&input) {
        return true;
    }
    let KernelSpec::Map(kernel) = &bound.spec else { return false };
    let full = bound.outputs.iter().zip(&kernel.outputs).any(|(&id, it)| id == output && it.store == Store::Full);
    let dense = dense(&kernel.dims);
    full && bound.inputs.iter().zip(&kernel.inputs).all(|(&id, it)| id != input || it.strides == dense)
}

/// Strides of a row-major tensor that spans the space. An axis of extent 1 is stepped over by 0.
pub(super) fn dense(dims: &[usize]) -> Vec<usize> {
    let mut strides = vec![0; dims.len()];
    let mut step = 1;
    for (stride, &extent) in strides.iter_mut().zip(dims).rev() {
        if extent != 1 {
            *stride = step;
        }
        step *= extent;
    }
    strides
}

/// All launches, producers first, otherwise by `key`.
fn topological<K: Ord>(
    bound: &[Bound],
    flow: &Flow,
    before: &[(usize, usize)],
    key: impl Fn(usize) -> K,
) -> Vec<usize> {
    let mut after: Vec<Vec<usize>> = vec![Vec::new(); bound.len()];
    let mut missing = vec![0usize; bound.len()];
    for (at, it) in bound.iter().enumerate() {
        let from: BTreeSet<usize> = it.inputs.iter().filter_map(|it| flow.home(*it)).collect();
        missing[at] += from.len();
        from.into_iter().for_each(|it| after[it].push(at));
    }
    for &(first, second) in before {
        after[first].push(second);
        missing[second] += 1;
    }
    let mut ready: BinaryHeap<Reverse<(K, usize)>> =
        (0..bound.len()).filter(|&it| missing[it] == 0).map(|it| Reverse((key(it), it))).collect();
    let mut order = Vec::with_capacity(bound.len());
    while let Some(Reverse((_, at))) = ready.pop() {
        order.push(at);
        for &next in &after[at] {
            missing[next] -= 1;
            if missing[next] == 0 {
                ready.push(Reverse((key(next), next)));
            }
        }
    }
    assert_eq!(order.len(), bound.len(), "launches wait for each other");
    order
}

/// The order of execution: what frees at least as much of the arena as it takes runs as soon as it
/// can, the rest in the order of the graph.
fn order(graph: &Graph, bound: &[Bound], flow: &Flow, written: &InPlace) -> Vec<usize> {
    let len = |id: &NodeId| graph.shape(*id).len();
    let in_arena = |id: &&NodeId| flow.home(**id).is_some() && !written.of.contains_key(id);
    let frees = |at: usize| {
        let takes: usize = bound[at].outputs.iter().filter(in_arena).map(len).sum();
        let only: BTreeSet<NodeId> =
            bound[at].inputs.iter().copied().filter(|&it| flow.readers(it).len() == 1).collect();
        let gives: usize = only.iter().filter(in_arena).map(len).sum();
        takes <= gives
    };
    let class: Vec<u8> = (0..bound.len()).map(|it| u8::from(!frees(it))).collect();
    topological(bound, flow, &written.before, |at| (class[at], at))
}
