//! Arithmetic on tensors costs nothing for being written with infix signs, or on several lines: maps that only lead to one
//! other map become part of it, in the written order, also where they are repeated along axes. So a function and its text
//! written out give one graph, before anything is differentiated.
//!
//! Results of layers stay what they are: messages, `show` and the memory of a training step speak of them.

use crate::ir::{Fact, Graph, Mode, NodeId, Op, Phase, ScalarFn, work};
use foldhash::fast::FixedState;
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Most operations and most operands of what is put together here. What follows puts more together, by its own measure.
const MOST_NODES: usize = 192;

const MOST_OPERANDS: usize = 12;

/// The graph with maps put together; unchanged where something in it is unknown, which is reported as it was written.
pub(super) fn compose(graph: Graph) -> Graph {
    if graph.ids().any(|it| *graph.fact(it) == Fact::Unknown) {
        return graph;
    }
    let parts = parts(&graph);
    if !parts.contains(&true) {
        return graph;
    }
    let mut composer = Composer {
        old: &graph,
        new: graph.without_nodes(),
        parts,
        moved: vec![None; graph.len()],
        open: vec![None; graph.len()],
        done: HashMap::default(),
    };
    for id in graph.ids() {
        composer.take(id);
    }
    composer.finish()
}

/// Maps that become part of what reads them: all that reads one ends, in each mode, in one map, its home. Results of
/// layers and of the model are of interest for themselves.
fn parts(graph: &Graph) -> Vec<bool> {
    let mut fixed: BTreeSet<NodeId> = graph.layers.iter().map(|it| it.output).collect();
    for table in [&graph.inputs, &graph.labels, &graph.outputs, &graph.losses] {
        fixed.extend(table.values());
    }
    fixed.extend(graph.metrics.iter().flat_map(|it| it.nodes.values()));
    fixed.extend(graph.effects.values().flatten());
    fixed.extend(graph.results.values().flat_map(|it| it.values()));
    let mut parts = vec![false; graph.len()];
    // By node and mode.
    let mut homes: [Vec<NodeId>; 2] = std::array::from_fn(|_| graph.ids().collect());
    let modes = [(Mode::Train, Phase::Step), (Mode::Evaluate, Phase::Evaluate)];
    let needed = modes.map(|(mode, phase)| {
        let results = [&graph.outputs, &graph.losses].into_iter().filter_map(|it| it.get(&mode).copied());
        let metrics = graph.metrics.iter().filter_map(|it| it.nodes.get(&mode).copied());
        let roots = results.chain(metrics).chain(graph.phase_roots(phase));
        let mut needed = vec![false; graph.len()];
        graph.needed(roots).into_iter().for_each(|it| needed[it.0 as usize] = true);
        needed
    });
    for id in graph.ids().rev() {
        if map(graph, id).is_none() || fixed.contains(&id) {
            continue;
        }
        let users = graph.users(id);
        if users.is_empty() || !users.iter().all(|it| map(graph, *it).is_some()) {
            continue;
        }
        let own = [0, 1].map(|mode| {
            let mut own: Vec<NodeId> =
                users.iter().filter(|it| needed[mode][it.0 as usize]).map(|it| homes[mode][it.0 as usize]).collect();
            own.dedup();
            own
        });
        if own.iter().all(|it| it.len() <= 1) && own.iter().flatten().all(|home| fits(graph, id, *home)) {
            parts[id.0 as usize] = true;
            for (homes, own) in homes.iter_mut().zip(own) {
                if let [home] = own[..] {
                    homes[id.0 as usize] = home;
                }
            }
        }
    }
    parts
}

/// The body of a map of reals.
fn map(graph: &Graph, id: NodeId) -> Option<&ScalarFn> {
    match graph.op(id) {
        Op::Map { body, int: false } => Some(body),
        _ => None,
    }
}

/// What a node weighs that is not to be computed again: an exponential.
const DEAR: u32 = 20;

/// Whether a map may be computed in `home`: a dear one is not computed again for each element of a larger tensor.
fn fits(graph: &Graph, id: NodeId, home: NodeId) -> bool {
    let repeated = graph.shape(id).len() < graph.shape(home).len();
    !repeated || map(graph, id).is_some_and(|it| it.nodes.iter().all(|it| work::of_node(it) < DEAR))
}

/// A map that is not a node yet, over nodes of the new graph.
#[derive(Clone, Debug)]
struct Open {
    body: ScalarFn,
    operands: Vec<NodeId>,
}

struct Composer<'a> {
    old: &'a Graph,
    new: Graph,
    parts: Vec<bool>,
    /// From the old graph to the new one.
    moved: Vec<Option<NodeId>>,
    /// Maps by their old node.
    open: Vec<Option<Open>>,
    /// What was put together before: layers repeat.
    done: HashMap<Parts, ScalarFn, FixedState>,
}

/// A body, and what is put in place of its arguments: bodies with their own arguments' places among all.
type Parts = (ScalarFn, Vec<(ScalarFn, Vec<usize>)>);

impl Composer<'_> {
    fn take(&mut self, id: NodeId) {
        let operands = self.old.operands(id);
        let Some(body) = map(self.old, id) else {
            let operands: Vec<NodeId> = operands.iter().map(|it| self.node(*it)).collect();
            let (node, _) = self.new.add(self.old.op(id).clone(), &operands, self.old.origin_id(id));
            self.moved[id.0 as usize] = Some(node);
            return;
        };
        let operands: Vec<NodeId> = operands.iter().map(|it| self.bare(*it, id)).collect();
        let open = self.put_together(body, &operands);
        self.open[id.0 as usize] = Some(open);
        if !self.parts[id.0 as usize] {
            self.node(id);
        }
    }

    /// The node of the new graph; a part that was not one becomes one.
    fn node(&mut self, id: NodeId) -> NodeId {
        if let Some(it) = self.moved[id.0 as usize] {
            return it;
        }
        let Open { body, operands } = self.open[id.0 as usize].clone().expect("operands come first");
        let (node, _) = self.new.add(Op::Map { body, int: false }, &operands, self.old.origin_id(id));
        self.moved[id.0 as usize] = Some(node);
        node
    }

    /// Leading axes of 1 that a reshape puts before an operand add nothing where the map has as many axes without it.
    fn bare(&self, operand: NodeId, user: NodeId) -> NodeId {
        if !matches!(self.old.op(operand), Op::Reshape(_)) {
            return operand;
        }
        let from = self.old.operands(operand)[0];
        let (dims, inner, rank) =
            (self.old.shape(operand).dims(), self.old.shape(from).dims(), self.old.shape(user).rank());
        let ones = dims.len().saturating_sub(inner.len());
        let leads =
            dims.len() == ones + inner.len() && dims[..ones].iter().all(|it| *it == 1) && dims[ones..] == *inner;
        let full = |it: &NodeId| *it != operand && self.old.shape(*it).rank() == rank;
        if leads && self.old.operands(user).iter().any(full) { from } else { operand }
    }

    fn is_part(&self, id: NodeId) -> bool {
        self.parts[id.0 as usize] && self.moved[id.0 as usize].is_none()
    }

    /// The body with those of its operands that are parts put in their places.
    fn put_together(&mut self, body: &ScalarFn, operands: &[NodeId]) -> Open {
        if !operands.iter().any(|it| self.is_part(*it)) {
            let operands = operands.iter().map(|it| self.node(*it)).collect();
            return Open { body: body.clone(), operands };
        }
        let mut distinct: Vec<NodeId> = Vec::new();
        let mut size = body.nodes.len();
        let mut inside: Vec<(ScalarFn, Vec<usize>)> = Vec::new();
        for (at, &operand) in operands.iter().enumerate() {
            let part = if self.is_part(operand) { self.open[operand.0 as usize].clone() } else { None };
            let left = operands.len() - at - 1;
            let part = part.filter(|it| {
                let fresh = it.operands.iter().filter(|it| !distinct.contains(it)).count();
                size + it.body.nodes.len() <= MOST_NODES && distinct.len() + fresh + left <= MOST_OPERANDS
            });
            let part = match part {
                Some(it) => it,
                None => Open { body: ScalarFn::build(1, |_, it| it[0]), operands: vec![self.node(operand)] },
            };
            size += part.body.nodes.len();
            let place = |it: NodeId| {
                distinct.iter().position(|known| *known == it).unwrap_or_else(|| {
                    distinct.push(it);
                    distinct.len() - 1
                })
            };
            let places = part.operands.into_iter().map(place).collect();
            inside.push((part.body, places));
        }
        let build = |(body, inside): &Parts| {
            let whole = ScalarFn::build(distinct.len() as u32, |pool, inputs| {
                let mut arguments = Vec::new();
                for (part, places) in inside {
                    let own: Vec<_> = places.iter().map(|it| inputs[*it]).collect();
                    arguments.push(pool.inline(part, &own)[0]);
                }
                pool.inline(body, &arguments)[0]
            });
            whole.simplify()
        };
        let whole = match self.done.entry((body.clone(), inside)) {
            Entry::Occupied(known) => known.get().clone(),
            Entry::Vacant(new) => {
                let whole = build(new.key());
                new.insert(whole).clone()
            }
        };
        // An operand that fell away still decides the shape.
        Open { body: whole, operands: distinct }
    }

    fn finish(mut self) -> Graph {
        let old = self.old;
        let all =
            |this: &mut Self, table: &BTreeMap<Mode, NodeId>| table.iter().map(|(k, v)| (*k, this.node(*v))).collect();
        self.new.inputs = all(&mut self, &old.inputs);
        self.new.labels = all(&mut self, &old.labels);
        self.new.outputs = all(&mut self, &old.outputs);
        self.new.losses = all(&mut self, &old.losses);
        for metric in &old.metrics {
            let nodes = all(&mut self, &metric.nodes);
            self.new.metrics.push(crate::ir::Metric { name: metric.name.clone(), nodes });
        }
        for (phase, nodes) in &old.effects {
            let nodes = nodes.iter().map(|it| self.node(*it)).collect();
            self.new.effects.insert(*phase, nodes);
        }
        for (phase, table) in &old.results {
            let table = table.iter().map(|(name, it)| (name.clone(), self.node(*it))).collect();
            self.new.results.insert(*phase, table);
        }
        for layer in &old.layers {
            let output = self.node(layer.output);
            self.new.layers.push(crate::ir::Layer { output, ..layer.clone() });
        }
        self.new.blocks.clone_from(&old.blocks);
        for it in &old.applied {
            let output = it.output.and_then(|it| self.moved[it.0 as usize]);
            self.new.applied.push(crate::ir::Applied { output, ..it.clone() });
        }
        self.new
    }
}
