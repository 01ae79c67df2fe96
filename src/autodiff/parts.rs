//! `accumulate N`: a step takes its batch in equal parts, one after the other, so that its memory is that of a part.
//!
//! The graph of the model is that of the first part. Each other one is a copy of it with other leaves: random numbers, among
//! them which examples a batch holds, go on where those of the part before ended, since their positions count in the whole
//! batch; running statistics begin as the part before left them. The gradients of a part are added to those so far before
//! the next part begins.

use super::average::replaced;
use super::objective::{Objective, with_penalties};
use super::optimizer::Trained;
use super::rules::plus;
use super::shards::mean;
use crate::ir::{Mode, NodeId, Op, Phase, Random, Recipe, ResultKey, Shape, StateId, Target};
use crate::shape::Builder;
use std::collections::BTreeMap;

/// What one part comes to.
#[derive(Clone)]
struct Part {
    losses: NodeId,
    metrics: Vec<NodeId>,
    /// What running statistics become.
    moved: BTreeMap<StateId, NodeId>,
}

/// The objective of a step, with the mean of the parts' gradients; penalties count once.
pub(super) fn parts(b: &mut Builder, recipe: &Recipe) -> (Objective, Trained) {
    let mut trained = Trained::none(b, recipe);
    let share = b.constant(1.0 / recipe.accumulate as f64, Shape::scalar());
    let first = first(b);
    let mut moved = BTreeMap::new();
    let mut told: Vec<NodeId> = Vec::new();
    for at in 0..recipe.accumulate {
        let part = if at == 0 { first.clone() } else { another(b, &first, at, &moved) };
        let fit = mean(b, part.losses);
        let gradients = super::gradients(b, fit, share, &trained.params);
        let metrics: Vec<NodeId> = part.metrics.iter().map(|it| mean(b, *it)).collect();
        trained.gradients = added(b, &trained.gradients, gradients);
        told = added(b, &told, [vec![fit], metrics].concat());
        let end = NodeId(b.graph().len() as u32);
        b.tables().fences.push(end);
        moved = part.moved;
    }
    let told: Vec<NodeId> = told.into_iter().map(|it| b.scale(it, 1.0 / recipe.accumulate as f64)).collect();
    let (fit, metrics) = told.split_first().expect("there is a loss");
    let keys = b.graph().metrics.iter().map(|it| ResultKey::metric(&it.name, Mode::Train));
    let metrics = keys.zip(metrics.iter().copied()).collect();
    let objective = with_penalties(b, recipe, *fit, metrics);
    if !recipe.penalties.is_empty() {
        let one = b.constant(1.0, Shape::scalar());
        let gradients = super::gradients(b, objective.penalties, one, &trained.params);
        trained.gradients = added(b, &trained.gradients, gradients);
    }
    // The last part leaves the statistics as they stay.
    let updates = moved.into_iter().map(|(id, value)| b.add(Op::Update(Target::State(id)), &[value])).collect();
    b.tables().effects.insert(Phase::Step, updates);
    (objective, trained)
}

/// Sums, number by number; `so_far` is empty at first.
fn added(b: &mut Builder, so_far: &[NodeId], more: Vec<NodeId>) -> Vec<NodeId> {
    if so_far.is_empty() {
        return more;
    }
    so_far.iter().zip(more).map(|(so_far, it)| plus(b, *so_far, it)).collect()
}

/// The part that the model's graph is of.
fn first(b: &Builder) -> Part {
    let graph = b.graph();
    let effects = graph.effects.get(&Phase::Step).into_iter().flatten();
    let moves = |it: &NodeId| match graph.op(*it) {
        Op::Update(Target::State(id)) => Some((*id, graph.operands(*it)[0])),
        other => unreachable!("a forward pass does not {other:?}"),
    };
    Part {
        losses: graph.losses[&Mode::Train],
        metrics: graph.metrics.iter().map(|it| it.nodes[&Mode::Train]).collect(),
        // Of several uses of a statistic the last counts.
        moved: effects.filter_map(moves).collect(),
    }
}

/// How many numbers of a kind a whole part has, where one shard of it has so many.
fn of_all(b: &Builder, kind: Random, own: usize) -> usize {
    let shard = b.graph().recipe.as_ref().and_then(|it| it.shard);
    match kind {
        // A shard takes its share of the order of all.
        Random::Shuffle { .. } => own,
        Random::Uniform | Random::Sequence { .. } => shard.map_or(own, |it| it.of_all(own)),
    }
}

/// Part `at`, which comes after one that left statistics as they are in `moved`.
fn another(b: &mut Builder, first: &Part, at: usize, moved: &BTreeMap<StateId, NodeId>) -> Part {
    let roots: Vec<NodeId> = [&[first.losses], &first.metrics[..]].concat();
    let roots: Vec<NodeId> = roots.into_iter().chain(first.moved.values().copied()).collect();
    let mut to = BTreeMap::new();
    for id in b.graph().needed(roots.iter().copied()) {
        let other = match b.graph().op(id).clone() {
            Op::State(state) => moved.get(&state).copied(),
            Op::Random { kind, shape, stream, first } if !b.graph().common_draws.contains(&stream) => {
                let operands = b.graph().operands(id);
                let first = first + at * of_all(b, kind, shape.len());
                b.origin = b.graph().origin_id(id);
                Some(b.add(Op::Random { kind, shape, stream, first }, &operands))
            }
            _ => None,
        };
        to.extend(other.map(|it| (id, it)));
    }
    let to = replaced(b, roots, to);
    let place = |it: &NodeId| to.get(it).copied().unwrap_or(*it);
    Part {
        losses: place(&first.losses),
        metrics: first.metrics.iter().map(place).collect(),
        moved: first.moved.iter().map(|(id, it)| (*id, place(it))).collect(),
    }
}
