//! What is minimised: the loss of the data, and the penalties (numerics page, "Losses").

use crate::ir::op::Scalar64;
use crate::ir::{Binary, Fill, Loss, Mode, NodeId, Op, Penalty, PenaltyKind, Recipe, ScalarFn, Shape};
use crate::shape::Builder;

/// The scalars that a step reports.
pub(super) struct Objective {
    pub(super) fit: NodeId,
    pub(super) reg: NodeId,
    pub(super) orth: NodeId,
    pub(super) loss: NodeId,
    pub(super) accuracy: NodeId,
}

/// Builds loss and penalties on the model's training output.
pub(super) fn objective(b: &mut Builder, recipe: &Recipe) -> Objective {
    let (logits, labels) = (b.graph().outputs[&Mode::Train], b.graph().labels[&Mode::Train]);
    let losses = cross_entropy(b, recipe, logits, labels);
    let fit = mean(b, losses);
    let correct = b.add(Op::Loss(Loss::Correct), &[logits, labels]);
    let accuracy = mean(b, correct);
    let reg = penalties(b, recipe, |it| *it == PenaltyKind::L2);
    let orth = penalties(b, recipe, |it| *it == PenaltyKind::Orthogonality);
    let penalties = b.binary(Binary::Add, reg, orth);
    let loss = b.binary(Binary::Add, fit, penalties);
    Objective { fit, reg, orth, loss, accuracy }
}

/// The loss of each example, `[n]`.
pub(super) fn cross_entropy(b: &mut Builder, recipe: &Recipe, logits: NodeId, labels: NodeId) -> NodeId {
    let kind = Loss::CrossEntropy { smoothing: Scalar64(recipe.smoothing), floor: Scalar64(recipe.floor) };
    b.add(Op::Loss(kind), &[logits, labels])
}

fn mean(b: &mut Builder, x: NodeId) -> NodeId {
    let count = b.graph().shape(x).len();
    let sum = b.sum_all(x);
    b.scale(sum, 1.0 / count as f64)
}

/// The sum of the penalties that `which` picks, in order of the text.
fn penalties(b: &mut Builder, recipe: &Recipe, which: impl Fn(&PenaltyKind) -> bool) -> NodeId {
    let mut sum = None;
    for penalty in recipe.penalties.iter().filter(|it| which(&it.kind)) {
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
    let parts = penalty
        .params
        .iter()
        .map(|&id| {
            b.origin = b.graph().param(id).origin;
            let param = b.add(Op::Param(id), &[]);
            let residual = match penalty.kind {
                PenaltyKind::L2 => param,
                PenaltyKind::Orthogonality => gram_residual(b, param),
            };
            let squares = b.map(ScalarFn::build(1, |pool, i| pool.mul(i[0], i[0])), &[residual]);
            let sum = b.sum_all(squares);
            b.scale(sum, penalty.coefficient / 2.0)
        })
        .collect();
    b.origin = outer;
    parts
}

/// `W^T W - I` with `W` the filter as `[kh*kw*cin, cout]`.
fn gram_residual(b: &mut Builder, filter: NodeId) -> NodeId {
    let shape = b.graph().shape(filter).clone();
    let columns = shape.dims().last().copied().unwrap_or(1);
    let matrix = b.reshape(filter, Shape::from([shape.len() / columns, columns]));
    let gram = b.add(Op::MatMul { transpose_a: true, transpose_b: false }, &[matrix, matrix]);
    let eye = b.add(Op::Const { fill: Fill::Eye, shape: Shape::from([columns, columns]) }, &[]);
    b.binary(Binary::Sub, gram, eye)
}
