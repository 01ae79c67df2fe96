//! (Unstable.) From a model to its training step: loss, penalties, gradients and optimizer join the forward
//! graph. There is one gradient rule per op, in `rules`.

mod average;
mod objective;
mod optimizer;
mod parts;
mod phases;
mod rules;
mod shards;
mod update;
mod views;

use crate::ir::{DType, NodeId};
use crate::shape::{Builder, Typed};
use std::collections::{BTreeMap, BTreeSet};

/// Vector-Jacobian products: for each of `wrt` the tensor `sum_i seed_i d output_i / d wrt`, of its
/// shape; zeros where `output` does not depend on it. `seed` has the shape of `output`.
pub fn gradients(b: &mut Builder, output: NodeId, seed: NodeId, wrt: &[NodeId]) -> Vec<NodeId> {
    let needed = b.graph().needed([output]);
    let matters = dependent(b, &needed, wrt);
    let origin = b.origin;
    let spread = shards::spread(b);
    let mut adjoints: BTreeMap<NodeId, NodeId> = BTreeMap::from([(output, seed)]);
    // Of what is the same for all examples: the sums of what a shard's own examples give.
    let mut of_shard: BTreeMap<NodeId, NodeId> = BTreeMap::new();
    for &id in needed.iter().rev().filter(|it| matters.contains(it)) {
        if let Some(part) = of_shard.remove(&id) {
            b.origin = b.graph().origin_id(id);
            let sum = shards::sum(b, part);
            add(b, &mut adjoints, id, sum);
        }
        let Some(&g) = adjoints.get(&id) else { continue };
        let operands = b.graph().operands(id);
        let wanted: Vec<bool> = operands.iter().map(|it| matters.contains(it)).collect();
        if !wanted.contains(&true) {
            continue;
        }
        b.origin = b.graph().origin_id(id);
        let parts = rules::pull_back(b, id, &operands, g, &wanted);
        for (operand, part) in operands.iter().zip(parts) {
            let Some(part) = part else { continue };
            let shape = b.graph().shape(*operand).clone();
            debug_assert_eq!(*b.graph().shape(part), shape, "the gradient of %{} in %{}", id.0, operand.0);
            let to = if shards::is_partial(&spread, id, *operand) { &mut of_shard } else { &mut adjoints };
            add(b, to, *operand, part);
        }
    }
    b.origin = origin;
    wrt.iter()
        .map(|it| match adjoints.get(it) {
            Some(&gradient) => gradient,
            None => {
                let shape = b.graph().shape(*it).clone();
                b.constant(0.0, shape)
            }
        })
        .collect()
}

/// Adds a part of an adjoint to those that are there.
fn add(b: &mut Builder, to: &mut BTreeMap<NodeId, NodeId>, of: NodeId, part: NodeId) {
    let sum = match to.get(&of) {
        Some(&so_far) => rules::plus(b, so_far, part),
        None => part,
    };
    to.insert(of, sum);
}

/// The nodes among `needed` through which `output` depends on one of `wrt`.
fn dependent(b: &Builder, needed: &[NodeId], wrt: &[NodeId]) -> BTreeSet<NodeId> {
    let wrt: BTreeSet<NodeId> = wrt.iter().copied().collect();
    let mut matters = BTreeSet::new();
    for &id in needed {
        let graph = b.graph();
        let real = graph.fact(id).dtype() == Some(DType::Real);
        if real && (wrt.contains(&id) || graph.operands(id).iter().any(|it| matters.contains(it))) {
            matters.insert(id);
        }
    }
    matters
}

/// Completes a model with a recipe to what is trained and evaluated; a model without one can only be
/// evaluated. Results of the step: `fit`, `reg`, `orth`, `loss`, `accuracy`, `rate`; of an evaluation:
/// `losses`, `correct`, `scores`.
pub fn training(typed: Typed) -> Typed {
    let mut b = Builder::new(typed);
    match b.graph().recipe.clone() {
        Some(recipe) => {
            shards::statistics(&mut b);
            let (objective, trained) = match recipe.accumulate {
                1 => {
                    let objective = objective::objective(&mut b, &recipe);
                    let trained = optimizer::Trained::new(&mut b, &recipe, objective.loss);
                    (objective, trained)
                }
                _ => parts::parts(&mut b, &recipe),
            };
            if recipe.tells_gradients {
                phases::gradients(&mut b, &trained);
            }
            optimizer::optimizer(&mut b, &recipe, &objective, trained);
            views::views(&mut b, &recipe);
            phases::evaluation(&mut b, &recipe);
            average::averages(&mut b, &recipe);
            phases::projection(&mut b, &recipe);
        }
        None => phases::scores_only(&mut b),
    }
    b.finish()
}
