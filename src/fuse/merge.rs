//! Puts the stored values of a phase into groups.
//!
//! A value joins a group only when everything it needs from memory lies on a lower level (the longest
//! path of groups below), so the graph of groups stays acyclic and the test costs nothing.

use super::analysis::{Analysis, Class};
use super::materialize::Materialized;
use super::policy;
use super::{Group, GroupKind, epilogue};
use crate::ir::{NodeId, Shape, work};
use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

/// How many of the latest readers of a tensor are looked at for company.
const LOOK_BACK: usize = 8;

/// A group in the making.
struct Draft {
    kind: GroupKind,
    /// Iteration space, whether it is of integers, and the part of a step; of map groups.
    key: (u32, bool, usize),
    level: u32,
    outputs: Vec<NodeId>,
    reads: BTreeSet<NodeId>,
}

/// What a value needs.
#[derive(Default)]
struct Closure {
    /// Nodes evaluated on the way, itself included.
    nodes: BTreeSet<NodeId>,
    /// Stored values of the same space, used element by element: a group that makes them passes them on
    /// in registers.
    elementwise: BTreeSet<NodeId>,
    /// What must be read from memory.
    memory: BTreeSet<NodeId>,
}

impl Closure {
    /// Follows `id` to memory, to the values of `group` and through those of `inlined`.
    fn extend(&mut self, analysis: &Analysis<'_>, stored: &[bool], inlined: &BTreeSet<NodeId>, id: NodeId) {
        let space = analysis.space(id);
        let mut todo = vec![id];
        while let Some(at) = todo.pop() {
            if !self.nodes.insert(at) {
                continue;
            }
            for &operand in analysis.operands(at) {
                let base = analysis.base(operand);
                if analysis.storage.number(base).is_some() {
                    continue;
                }
                let elementwise = matches!(analysis.class(base), Class::Real | Class::Drawn | Class::Int)
                    && analysis.plain(operand)
                    && analysis.space(base) == space;
                if !stored[base.0 as usize] || (elementwise && inlined.contains(&base)) {
                    todo.push(base);
                } else if elementwise {
                    self.elementwise.insert(base);
                } else {
                    self.memory.insert(base);
                }
            }
        }
    }
}

/// Groups of one phase in an order of execution; `needed` ascending, `roots` what the phase must leave in memory.
pub(super) fn merge(
    analysis: &Analysis<'_>,
    materialized: &Materialized,
    needed: &[NodeId],
    roots: &[NodeId],
) -> Vec<Group> {
    let mut merger = Merger {
        analysis,
        materialized,
        drafts: Vec::new(),
        home: vec![None; analysis.class.len()],
        readers: vec![Vec::new(); analysis.class.len()],
    };
    for &id in needed {
        match analysis.class(id) {
            Class::Leaf | Class::Alias => {}
            Class::Opaque(kind) => merger.single(id, kind),
            Class::Drawn => {
                if materialized.stored[id.0 as usize] {
                    merger.single(id, GroupKind::Single);
                }
            }
            Class::Real | Class::Int | Class::Reduce => {
                if materialized.stored[id.0 as usize] {
                    merger.place(id);
                }
            }
        }
    }
    let groups = merger.drafts.iter().map(|it| finish(analysis, materialized, it)).collect();
    let mut order: Vec<usize> = (0..merger.drafts.len()).collect();
    order.sort_by_key(|&it| merger.drafts[it].level);
    let roots = roots.iter().map(|&it| analysis.base(it)).collect();
    in_order(analysis, epilogue::fold(analysis, groups, &order, &roots))
}

struct Merger<'a, 'g> {
    analysis: &'a Analysis<'g>,
    materialized: &'a Materialized,
    drafts: Vec<Draft>,
    /// By node: the draft that stores it.
    home: Vec<Option<usize>>,
    /// By node: map drafts that read or write it.
    readers: Vec<Vec<usize>>,
}

impl Merger<'_, '_> {
    fn level_of(&self, base: NodeId) -> u32 {
        self.home[base.0 as usize].map_or(0, |it| self.drafts[it].level)
    }

    fn single(&mut self, id: NodeId, kind: GroupKind) {
        let reads: BTreeSet<NodeId> = self.analysis.operands(id).iter().map(|&it| self.analysis.base(it)).collect();
        let level = 1 + reads.iter().map(|&it| self.level_of(it)).max().unwrap_or(0);
        self.home[id.0 as usize] = Some(self.drafts.len());
        self.drafts.push(Draft { kind, key: (u32::MAX, false, 0), level, outputs: vec![id], reads });
    }

    fn place(&mut self, id: NodeId) {
        let analysis = self.analysis;
        let key = (analysis.space(id), analysis.class(id) == Class::Int, analysis.graph.part(id));
        let mut needs = Closure::default();
        needs.extend(analysis, &self.materialized.stored, &BTreeSet::new(), id);
        let at = match self.company(key, &needs) {
            Some(at) => at,
            None => {
                let all = needs.elementwise.iter().chain(&needs.memory);
                let level = 1 + all.map(|&it| self.level_of(it)).max().unwrap_or(0);
                let kind = GroupKind::Map;
                self.drafts.push(Draft { kind, key, level, outputs: Vec::new(), reads: BTreeSet::new() });
                self.drafts.len() - 1
            }
        };
        let from: Vec<NodeId> = needs.memory.iter().chain(&needs.elementwise).copied().collect();
        let draft = &mut self.drafts[at];
        draft.outputs.push(id);
        for base in from.into_iter().filter(|&it| self.home[it.0 as usize] != Some(at)) {
            if draft.reads.insert(base) {
                self.readers[base.0 as usize].push(at);
            }
        }
        self.home[id.0 as usize] = Some(at);
        self.readers[id.0 as usize].push(at);
    }

    /// The legal group that saves most traffic.
    fn company(&self, key: (u32, bool, usize), needs: &Closure) -> Option<usize> {
        let analysis = self.analysis;
        let len = analysis.space_len[key.0 as usize];
        let mut saved: Vec<(usize, u64)> = Vec::new();
        let mut consider = |at: usize, bytes: u64| match saved.iter_mut().find(|it| it.0 == at) {
            Some(it) => it.1 += bytes,
            None => saved.push((at, bytes)),
        };
        for &base in needs.elementwise.iter().chain(&needs.memory) {
            if len <= 2 * analysis.len(base) {
                let recent = self.readers[base.0 as usize].iter().rev().take(LOOK_BACK);
                recent.for_each(|&at| consider(at, analysis.bytes(base)));
            }
        }
        saved.retain(|it| self.may_join(it.0, key, needs));
        saved.into_iter().max_by_key(|it| (it.1, Reverse(it.0))).map(|it| it.0)
    }

    fn may_join(&self, at: usize, key: (u32, bool, usize), needs: &Closure) -> bool {
        let draft = &self.drafts[at];
        let below = |base: &NodeId| self.level_of(*base) < draft.level;
        let inside = |base: &NodeId| self.home[base.0 as usize] == Some(at);
        let new = needs.memory.iter().chain(&needs.elementwise);
        let new = new.filter(|it| !inside(it) && !draft.reads.contains(it)).count();
        draft.kind == GroupKind::Map
            && draft.key == key
            && draft.outputs.len() < policy::MAX_OUTPUTS
            && draft.reads.len() + new <= policy::MAX_INPUTS
            && needs.memory.iter().all(below)
            && needs.elementwise.iter().all(|it| inside(it) || below(it))
    }
}

/// What a draft evaluates and reads in the end.
fn finish(analysis: &Analysis<'_>, materialized: &Materialized, draft: &Draft) -> Group {
    let outputs = draft.outputs.clone();
    let (nodes, inputs) = match draft.kind {
        GroupKind::Map => {
            let needs = with_rematerialised(analysis, materialized, &outputs);
            let made: BTreeSet<NodeId> = outputs.iter().copied().collect();
            let reads: BTreeSet<NodeId> = needs.memory.union(&needs.elementwise).copied().collect();
            (needs.nodes.into_iter().collect(), reads.difference(&made).copied().collect::<Vec<_>>())
        }
        GroupKind::Contraction | GroupKind::Window | GroupKind::Single => {
            (outputs.clone(), analysis.operands(outputs[0]).iter().map(|&it| analysis.base(it)).collect())
        }
    };
    let mut distinct = inputs.clone();
    distinct.sort_unstable();
    distinct.dedup();
    Group {
        kind: draft.kind,
        flops: flops(analysis, draft.kind, &nodes, outputs[0]),
        bytes_read: distinct.iter().map(|&it| analysis.bytes(it)).sum(),
        bytes_written: outputs.iter().map(|&it| analysis.bytes(it)).sum(),
        nodes,
        inputs,
        outputs,
    }
}

/// Arithmetic operations of a group. All of a map's are done for each element of its space.
fn flops(analysis: &Analysis<'_>, kind: GroupKind, nodes: &[NodeId], output: NodeId) -> u64 {
    let graph = analysis.graph;
    match kind {
        GroupKind::Map => {
            let elements = analysis.space_len[analysis.space(output) as usize] as u64;
            elements * nodes.iter().map(|&it| work::each(graph.op(it))).sum::<u64>()
        }
        GroupKind::Contraction | GroupKind::Window | GroupKind::Single => {
            let operands: Vec<&Shape> = analysis.operands(output).iter().map(|&it| graph.shape(it)).collect();
            work::flops(graph.op(output), &operands, graph.shape(output))
        }
    }
}

/// The closure of all outputs; what other groups store is computed again where this reads all it is
/// made of anyway.
fn with_rematerialised(analysis: &Analysis<'_>, materialized: &Materialized, outputs: &[NodeId]) -> Closure {
    let mut inlined: BTreeSet<NodeId> = outputs.iter().copied().collect();
    loop {
        let mut needs = Closure::default();
        for &id in outputs {
            needs.extend(analysis, &materialized.stored, &inlined, id);
        }
        let at_hand = |from: &NodeId, bytes: u64| {
            needs.memory.contains(from) || needs.elementwise.contains(from) || 8 * analysis.bytes(*from) <= bytes
        };
        let again = |&id: &NodeId| {
            if analysis.class(id) != Class::Real
                || needs.memory.contains(&id)
                || !policy::rematerialise(materialized.cost[id.0 as usize])
            {
                return false;
            }
            let mut own = Closure::default();
            own.extend(analysis, &materialized.stored, &inlined, id);
            own.memory.iter().chain(&own.elementwise).all(|it| at_hand(it, analysis.bytes(id)))
        };
        let found: Vec<NodeId> = needs.elementwise.iter().copied().filter(again).collect();
        if found.is_empty() {
            return needs;
        }
        inlined.extend(found);
    }
}

/// Groups sorted so that each comes after those it reads from, otherwise by their first result.
fn in_order(analysis: &Analysis<'_>, groups: Vec<Group>) -> Vec<Group> {
    let mut home: Vec<Option<usize>> = vec![None; analysis.class.len()];
    for (at, group) in groups.iter().enumerate() {
        for output in &group.outputs {
            home[output.0 as usize] = Some(at);
        }
    }
    let mut after: Vec<Vec<usize>> = vec![Vec::new(); groups.len()];
    let mut missing = vec![0usize; groups.len()];
    for (at, group) in groups.iter().enumerate() {
        let from: BTreeSet<usize> = group.inputs.iter().filter_map(|it| home[it.0 as usize]).collect();
        missing[at] = from.len();
        from.into_iter().for_each(|it| after[it].push(at));
    }
    let key = |at: usize| Reverse((groups[at].outputs[0], at));
    let mut ready: BinaryHeap<Reverse<(NodeId, usize)>> =
        (0..groups.len()).filter(|&it| missing[it] == 0).map(key).collect();
    let mut order = Vec::with_capacity(groups.len());
    while let Some(Reverse((_, at))) = ready.pop() {
        order.push(at);
        for &next in &after[at] {
            missing[next] -= 1;
            if missing[next] == 0 {
                ready.push(key(next));
            }
        }
    }
    assert_eq!(order.len(), groups.len(), "the groups form a cycle\n{}", analysis.graph);
    let mut groups: Vec<Option<Group>> = groups.into_iter().map(Some).collect();
    order.into_iter().filter_map(|at| groups[at].take()).collect()
}
