//! `shards 8`: a graph is of one shard of a batch, and what is made of all examples is made of all shards.
//!
//! Every tensor is the same in all shards, has an entry for each example of its own along one axis, or is a part of a sum over all
//! examples. A reduction over the batch makes such a part, and so does the gradient of what is the same for all examples:
//! those are where the shards meet ([`Op::AllReduce`]), and what comes after is the same in all again. Means and
//! variances are those of all examples, as without shards.

use crate::ir::{Across, Mode, NodeId, Op, Phase, Random, Reduction, ScalarFn, Shape, Shard};
use crate::shape::Builder;
use std::collections::BTreeMap;

/// How a tensor lies in the shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spread {
    /// The same in all.
    Whole,
    /// Along this axis each shard has what is of its examples.
    Split(usize),
    /// Each shard has its part of a sum.
    Partial,
}

/// The shard that a graph is of.
fn shard(b: &Builder) -> Option<Shard> {
    b.graph().recipe.as_ref().and_then(|it| it.shard)
}

/// How each node lies in the shards; nothing for a graph of all examples.
pub(super) fn spread(b: &Builder) -> Vec<Spread> {
    let Some(shard) = shard(b) else { return Vec::new() };
    let mut all: Vec<Spread> = Vec::with_capacity(b.graph().len());
    for id in b.graph().ids() {
        let it = of(b, id, &all, shard);
        all.push(it);
    }
    all
}

/// Whether the adjoint that `node` gives of its operand is a part of a sum over all examples.
pub(super) fn is_partial(spread: &[Spread], node: NodeId, operand: NodeId) -> bool {
    let at = |it: NodeId| spread.get(it.0 as usize).copied().unwrap_or(Spread::Whole);
    at(operand) == Spread::Whole && at(node) != Spread::Whole
}

/// The sum of a tensor's numbers in all shards.
pub(super) fn sum(b: &mut Builder, part: NodeId) -> NodeId {
    b.add(Op::AllReduce(Across::Sum), &[part])
}

/// The mean over all examples of what each has, `[n]`.
pub(super) fn mean(b: &mut Builder, x: NodeId) -> NodeId {
    let own = b.graph().shape(x).len();
    let total = b.sum_all(x);
    match shard(b) {
        Some(shard) => {
            let total = sum(b, total);
            b.scale(total, 1.0 / shard.of_all(own) as f64)
        }
        None => b.scale(total, 1.0 / own as f64),
    }
}

/// Lets reductions over the batch, which is what statistics are made of, be of all shards.
pub(super) fn statistics(b: &mut Builder) {
    let Some(shard) = shard(b) else { return };
    let spread = spread(b);
    let graph = b.graph();
    let metrics = graph.metrics.iter().filter_map(|it| it.nodes.get(&Mode::Train).copied());
    let effects = graph.effects.get(&Phase::Step).into_iter().flatten().copied();
    let roots: Vec<NodeId> = metrics.chain(effects).chain(graph.losses.get(&Mode::Train).copied()).collect();
    let mut to: BTreeMap<NodeId, NodeId> = BTreeMap::new();
    for id in b.graph().needed(roots) {
        let before = b.graph().operands(id);
        let operands: Vec<NodeId> = before.iter().map(|it| to.get(it).copied().unwrap_or(*it)).collect();
        b.origin = b.graph().origin_id(id);
        let op = b.graph().op(id).clone();
        let lies = before.first().map(|it| spread[it.0 as usize]);
        let copy = match (&op, lies) {
            (Op::Reduce { kind, axes }, Some(Spread::Split(axis))) if axes.contains(&axis) => {
                reduced(b, *kind, axes, operands[0], shard)
            }
            _ if operands != before => b.add(op, &operands),
            _ => continue,
        };
        to.insert(id, copy);
    }
    b.origin = Default::default();
    let place = |it: &mut NodeId| *it = to.get(it).copied().unwrap_or(*it);
    let tables = b.tables();
    tables.losses.get_mut(&Mode::Train).into_iter().for_each(place);
    tables.metrics.iter_mut().filter_map(|it| it.nodes.get_mut(&Mode::Train)).for_each(place);
    tables.effects.get_mut(&Phase::Step).into_iter().flatten().for_each(place);
}

/// A reduction of `x` over axes of which one is the batch.
fn reduced(b: &mut Builder, kind: Reduction, axes: &[usize], x: NodeId, shard: Shard) -> NodeId {
    let reduce = |b: &mut Builder, kind| b.add(Op::Reduce { kind, axes: axes.to_vec() }, &[x]);
    match kind {
        Reduction::Sum => {
            let part = reduce(b, Reduction::Sum);
            sum(b, part)
        }
        Reduction::Max => {
            let part = reduce(b, Reduction::Max);
            b.add(Op::AllReduce(Across::Max), &[part])
        }
        Reduction::Mean => {
            let part = reduce(b, Reduction::Sum);
            let total = sum(b, part);
            let own = b.graph().shape(x).len() / b.graph().shape(total).len().max(1);
            b.scale(total, 1.0 / shard.of_all(own) as f64)
        }
        // The mean of the shards' own variances and of the squared distances of their means from that of all, each as often
        // as it has examples (Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm", 1979).
        Reduction::Variance => {
            let mean = reduced(b, Reduction::Mean, axes, x, shard);
            let (own, variance) = (reduce(b, Reduction::Mean), reduce(b, Reduction::Variance));
            let weight = shard.examples as f64 / shard.whole as f64;
            let part = ScalarFn::build(3, |pool, i| {
                let weight = pool.constant(weight);
                let gap = pool.sub(i[1], i[2]);
                let square = pool.mul(gap, gap);
                let both = pool.add(i[0], square);
                pool.mul(both, weight)
            });
            let part = b.map(part, &[variance, own, mean]);
            sum(b, part)
        }
    }
}

/// How a node lies in the shards, by how its operands do.
fn of(b: &Builder, id: NodeId, known: &[Spread], shard: Shard) -> Spread {
    let graph = b.graph();
    let operands = graph.operands(id);
    let lies = |at: usize| known[operands[at].0 as usize];
    let rank = graph.shape(id).rank();
    // Operands are aligned at the last axis.
    let aligned = || {
        let axes = operands.iter().map(|it| match known[it.0 as usize] {
            Spread::Split(axis) => Spread::Split(rank - graph.shape(*it).rank() + axis),
            other => other,
        });
        axes.reduce(|one, other| match (one, other) {
            (Spread::Whole, it) | (it, Spread::Whole) => it,
            (Spread::Partial, it) | (it, Spread::Partial) => it,
            (Spread::Split(one), Spread::Split(other)) if one == other => Spread::Split(one),
            (Spread::Split(_), Spread::Split(_)) => {
                panic!("%{} has examples along two axes\n{graph}", id.0)
            }
        })
    };
    let any_split = || operands.iter().any(|it| matches!(known[it.0 as usize], Spread::Split(_)));
    let examples = || if any_split() { Spread::Split(0) } else { Spread::Whole };
    match graph.op(id) {
        Op::Input { .. } | Op::Param(_) | Op::State(_) | Op::Const { .. } | Op::AllReduce(_) => Spread::Whole,
        Op::Random { kind, stream, .. } => match kind {
            Random::Uniform if graph.common_draws.contains(stream) => Spread::Whole,
            Random::Uniform | Random::Shuffle { .. } | Random::Sequence { .. } => Spread::Split(0),
        },
        Op::Map { .. } => aligned().unwrap_or(Spread::Whole),
        Op::Update(_) => lies(0),
        Op::Reduce { axes, .. } => match lies(0) {
            Spread::Split(axis) if axes.contains(&axis) => Spread::Partial,
            other => other,
        },
        Op::Broadcast(to) => match lies(0) {
            // What is the same for all examples, for each of them: nothing else gets an axis in front.
            Spread::Whole if is_for_each(graph.shape(operands[0]), to, shard) => Spread::Split(0),
            Spread::Whole => Spread::Whole,
            Spread::Partial => Spread::Partial,
            Spread::Split(axis) => Spread::Split(rank - graph.shape(operands[0]).rank() + axis),
        },
        Op::Reshape(to) => match lies(0) {
            Spread::Split(axis) => Spread::Split(moved(graph.shape(operands[0]), to, axis)),
            other => other,
        },
        Op::Transpose(perm) => match lies(0) {
            Spread::Split(axis) => Spread::Split(perm.iter().position(|it| *it == axis).expect("a permutation")),
            other => other,
        },
        Op::Assemble { .. } => aligned().unwrap_or(Spread::Whole),
        Op::MatMul { transpose_a, transpose_b } => {
            let side = |at: usize, transposed: bool| match lies(at) {
                Spread::Split(axis) => {
                    let stack = graph.shape(operands[at]).rank() - 2;
                    // Rows of `a` and columns of `b` are those of the product; the others are summed over.
                    let kept = stack + usize::from(transposed != (at == 1));
                    match axis {
                        _ if axis < stack => Spread::Split(axis),
                        _ if axis == kept => Spread::Split(stack + at),
                        _ => Spread::Partial,
                    }
                }
                other => other,
            };
            match (side(0, *transpose_a), side(1, *transpose_b)) {
                (Spread::Whole, it) | (it, Spread::Whole) => it,
                (one, other) if one == other => one,
                _ => panic!("%{} has examples along two axes\n{graph}", id.0),
            }
        }
        Op::ConvFilterGrad(_) | Op::Scatter { .. } if any_split() => Spread::Partial,
        Op::Conv(_)
        | Op::ConvInputGrad { .. }
        | Op::ConvFilterGrad(_)
        | Op::Window { .. }
        | Op::Gather
        | Op::Augment { .. }
        | Op::Scatter { .. }
        | Op::Loss(_) => examples(),
    }
}

/// Whether a repetition is one for each example.
fn is_for_each(from: &Shape, to: &Shape, shard: Shard) -> bool {
    to.dims().split_first() == Some((&shard.examples, from.dims()))
}

/// Where an axis is under another shape of the same numbers.
fn moved(from: &Shape, to: &Shape, axis: usize) -> usize {
    let before: usize = from.dims()[..axis].iter().product();
    let mut so_far = 1;
    for (at, extent) in to.dims().iter().enumerate() {
        // Of axes of extent 1 at one place, the last is the one that can be longer.
        if so_far == before && (*extent != 1 || from.dims()[axis] == 1) {
            return at;
        }
        so_far *= extent;
    }
    to.rank().saturating_sub(1)
}
