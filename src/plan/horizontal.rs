//! Maps and matrix products of parameters, and others that are small, wait for company and share a launch.
//!
//! What the passes over the images need waits until it is needed; then all that is ready, and that they will need at some
//! time, goes with it. What only updates need comes at the end, level by level: matrix products of filters, the updates.

use super::schedule::{Schedule, Step, VirtualBuffer, target};
use crate::ir::{Graph, NodeId};
use crate::kernel::KernelSpec;
use crate::target;
use std::collections::{BTreeMap, BTreeSet};

/// Elements of a tensor that may wait although it is not a parameter and has not the shape of one.
const SMALL: usize = 1 << 16;
/// Operands of a launch, at most.
const MOST_OPERANDS: usize = target::COMMON.launch_operands;

/// Joins launches of a phase.
pub(super) fn join(schedule: &mut Schedule, graph: &Graph) {
    let steps = std::mem::take(&mut schedule.steps);
    let before = dependencies(&steps, graph);
    let parameters = graph.params.iter().flat_map(|it| [it.shape.dims().to_vec(), matrix(it.shape.dims())]).collect();
    let waits: Vec<bool> = steps.iter().map(|it| may_wait(it, graph, &parameters)).collect();
    let mut queue = Queue::new(steps, before, waits);
    for at in 0..queue.waits.len() {
        if queue.waits[at] {
            continue;
        }
        while 0 < queue.missing[at] {
            queue.release(false);
        }
        if let Some(step) = queue.take(at) {
            queue.order.push(step);
        }
    }
    while 0 < queue.waiting {
        queue.release(true);
    }
    schedule.steps = queue.order;
}

struct Queue {
    /// Those that are not in order yet.
    steps: Vec<Option<Step>>,
    waits: Vec<bool>,
    /// By step: whether one that does not wait needs it, directly or not.
    wanted: Vec<bool>,
    /// By step: how many of those that must come before are not in order yet.
    missing: Vec<usize>,
    /// By step: those that must come after.
    after: Vec<Vec<usize>>,
    /// Those that wait for nothing but company: what the passes over the images need, and the rest.
    ready: BTreeSet<usize>,
    ready_late: BTreeSet<usize>,
    /// How many that wait are not in order yet.
    waiting: usize,
    order: Vec<Step>,
}

impl Queue {
    fn new(steps: Vec<Step>, before: Vec<BTreeSet<usize>>, waits: Vec<bool>) -> Queue {
        let mut after = vec![Vec::new(); steps.len()];
        for (at, before) in before.iter().enumerate() {
            before.iter().for_each(|it| after[*it].push(at));
        }
        let mut queue = Queue {
            wanted: wanted(&waits, &before),
            missing: before.iter().map(BTreeSet::len).collect(),
            waiting: waits.iter().filter(|it| **it).count(),
            order: Vec::with_capacity(steps.len()),
            steps: steps.into_iter().map(Some).collect(),
            waits,
            after,
            ready: BTreeSet::new(),
            ready_late: BTreeSet::new(),
        };
        (0..queue.waits.len()).for_each(|it| queue.may_go(it));
        queue
    }

    /// Notes one that waits, when nothing must come before it any more.
    fn may_go(&mut self, at: usize) {
        if self.waits[at] && self.missing[at] == 0 {
            if self.wanted[at] { &mut self.ready } else { &mut self.ready_late }.insert(at);
        }
    }

    /// Takes a step that comes next in the order.
    fn take(&mut self, at: usize) -> Option<Step> {
        for next in std::mem::take(&mut self.after[at]) {
            self.missing[next] -= 1;
            self.may_go(next);
        }
        self.steps[at].take()
    }

    /// Orders all that wait and are ready; those that nothing needs only at the end.
    fn release(&mut self, at_the_end: bool) {
        let mut ready = std::mem::take(&mut self.ready);
        if at_the_end {
            ready.append(&mut self.ready_late);
        }
        assert!(!ready.is_empty(), "launches wait for each other");
        // Products before maps: those of the next level wait for them.
        let (mut maps, mut products) = (Company::default(), Company::default());
        for at in ready {
            self.waiting -= 1;
            let Some(step) = self.take(at) else { continue };
            match step.spec {
                KernelSpec::MatMul(_) => products.add(step, &mut self.order),
                _ => maps.add(step, &mut self.order),
            }
        }
        products.leave(&mut self.order);
        maps.leave(&mut self.order);
    }
}

/// Steps that are to share a launch.
#[derive(Default)]
struct Company {
    steps: Vec<Step>,
    operands: usize,
}

impl Company {
    /// Takes one more; those before it leave where there is no room.
    fn add(&mut self, step: Step, order: &mut Vec<Step>) {
        let own = step.inputs.len() + step.outputs.len();
        if MOST_OPERANDS < self.operands + own {
            self.leave(order);
        }
        self.operands += own;
        self.steps.push(step);
    }

    /// One step that does what all do.
    fn leave(&mut self, order: &mut Vec<Step>) {
        self.operands = 0;
        let mut steps = std::mem::take(&mut self.steps);
        if steps.len() <= 1 {
            return order.extend(steps.pop());
        }
        let (mut maps, mut products) = (Vec::new(), Vec::new());
        let mut all = Step { spec: KernelSpec::Maps(Vec::new()), inputs: vec![], outputs: vec![], nodes: vec![] };
        for step in steps {
            match step.spec {
                KernelSpec::Map(map) => maps.push(map),
                KernelSpec::MatMul(product) => products.push(product),
                other => unreachable!("only maps and matrix products wait, and not {other}"),
            }
            all.inputs.extend(step.inputs);
            all.outputs.extend(step.outputs);
            all.nodes.extend(step.nodes);
        }
        assert!(maps.is_empty() || products.is_empty(), "maps share launches with maps");
        all.spec = if maps.is_empty() { KernelSpec::MatMuls(products) } else { KernelSpec::Maps(maps) };
        order.push(all);
    }
}

/// A filter as the matrix that penalties see.
fn matrix(dims: &[usize]) -> Vec<usize> {
    dims.split_last().map_or_else(Vec::new, |(&last, others)| vec![others.iter().product(), last])
}

/// Whether a step is a map or a matrix product whose operands are parameters, like them, or small.
fn may_wait(step: &Step, graph: &Graph, parameters: &BTreeSet<Vec<usize>>) -> bool {
    let fits = |place: &VirtualBuffer| match *place {
        VirtualBuffer::Target(_) => true,
        VirtualBuffer::Leaf(id)
        | VirtualBuffer::Value(id)
        | VirtualBuffer::Before(id)
        | VirtualBuffer::Bf16Copy(id) => {
            let shape = graph.shape(id);
            shape.len() <= SMALL || parameters.contains(shape.dims())
        }
    };
    // Nothing waits beyond the part of a step that it belongs to.
    let last = |it: &NodeId| graph.part(*it) == graph.fences.len();
    matches!(step.spec, KernelSpec::Map(_) | KernelSpec::MatMul(_))
        && step.nodes.iter().all(last)
        && step.inputs.iter().chain(&step.outputs).all(fits)
}

/// By step: those before it that write what it reads or writes, or read what it writes.
fn dependencies(steps: &[Step], graph: &Graph) -> Vec<BTreeSet<usize>> {
    // A parameter is the same memory under both its names.
    let memory = |place: &VirtualBuffer| match *place {
        VirtualBuffer::Leaf(id) => target(graph, id).map_or(*place, VirtualBuffer::Target),
        place => place,
    };
    let mut writer: BTreeMap<VirtualBuffer, usize> = BTreeMap::new();
    let mut readers: BTreeMap<VirtualBuffer, Vec<usize>> = BTreeMap::new();
    let mut all = Vec::with_capacity(steps.len());
    for (at, step) in steps.iter().enumerate() {
        let mut before = BTreeSet::new();
        for place in step.inputs.iter().chain(&step.outputs).map(memory) {
            before.extend(writer.get(&place));
        }
        for place in step.outputs.iter().map(memory) {
            before.extend(readers.remove(&place).unwrap_or_default());
            writer.insert(place, at);
        }
        for place in step.inputs.iter().map(memory) {
            readers.entry(place).or_default().push(at);
        }
        before.remove(&at);
        all.push(before);
    }
    all
}

/// By step: whether one that does not wait comes after it of necessity.
fn wanted(waits: &[bool], before: &[BTreeSet<usize>]) -> Vec<bool> {
    let mut wanted: Vec<bool> = waits.iter().map(|it| !it).collect();
    for at in (0..before.len()).rev() {
        if wanted[at] {
            before[at].iter().for_each(|it| wanted[*it] = true);
        }
    }
    wanted
}
