//! What is minimised: the loss of the data, and the penalties (numerics page, "Losses").
//!
//! A penalty counts in the column that it says, `orth` or, by default, `reg`.

use super::shards::mean;
use crate::ir::{Binary, Column, Mode, NodeId, Penalty, Recipe, ResultKey, Shape, Term};
use crate::shape::Builder;

/// The scalars that a step reports.
pub(super) struct Objective {
    pub(super) fit: NodeId,
    pub(super) reg: NodeId,
    pub(super) orth: NodeId,
    /// The sum of the two.
    pub(super) penalties: NodeId,
    pub(super) loss: NodeId,
    /// Results of the metrics.
    pub(super) metrics: Vec<(ResultKey, NodeId)>,
}

/// Builds loss and penalties on the model's training output.
pub(super) fn objective(b: &mut Builder, recipe: &Recipe) -> Objective {
    let losses = b.graph().losses[&Mode::Train];
    let fit = mean(b, losses);
    let metrics = b.graph().metrics.clone();
    let metrics =
        metrics.iter().map(|it| (ResultKey::metric(&it.name, Mode::Train), mean(b, it.nodes[&Mode::Train]))).collect();
    with_penalties(b, recipe, fit, metrics)
}

/// The same, of a loss of the data and metrics that are there.
pub(super) fn with_penalties(
    b: &mut Builder,
    recipe: &Recipe,
    fit: NodeId,
    metrics: Vec<(ResultKey, NodeId)>,
) -> Objective {
    let reg = penalties(b, recipe, Column::Reg);
    let orth = penalties(b, recipe, Column::Orth);
    let penalties = b.binary(Binary::Add, reg, orth);
    let loss = b.binary(Binary::Add, fit, penalties);
    Objective { fit, reg, orth, penalties, loss, metrics }
}

/// The sum of the penalties of a column, in order of the text.
fn penalties(b: &mut Builder, recipe: &Recipe, column: Column) -> NodeId {
    let mut sum = None;
    for penalty in recipe.penalties.iter().filter(|it| it.column == column) {
        for part in parts(b, penalty) {
            sum = Some(match sum {
                Some(sum) => b.binary(Binary::Add, sum, part),
                None => part,
            });
        }
    }
    sum.unwrap_or_else(|| b.constant(0.0, Shape::scalar()))
}

/// One scalar per parameter of a penalty.
fn parts(b: &mut Builder, penalty: &Penalty) -> Vec<NodeId> {
    let outer = b.origin;
    let parts = (penalty.params.iter().zip(&penalty.terms))
        .map(|(&id, term)| {
            b.origin = b.graph().param(id).origin;
            made(b, term)
        })
        .collect();
    b.origin = outer;
    parts
}

/// The nodes of a term.
fn made(b: &mut Builder, term: &Term) -> NodeId {
    let mut nodes: Vec<NodeId> = Vec::with_capacity(term.nodes.len());
    for (op, operands) in &term.nodes {
        let operands: Vec<NodeId> = operands.iter().map(|it| nodes[*it]).collect();
        nodes.push(b.add(op.clone(), &operands));
    }
    *nodes.last().expect("a term has a result")
}
