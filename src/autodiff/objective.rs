//! What is minimised: the loss of the data, and the penalties (numerics page, "Losses").
//!
//! Penalties on how filters lie to each other (orthogonality, energy) count in `orth`, those that are text in the column that
//! they say, `reg` by default.

use crate::ir::expr::Pool;
use crate::ir::recipe::{ACCURACY, metric_result};
use crate::ir::{
    Binary, Column, Fill, Mode, NodeId, Op, Penalty, PenaltyKind, Recipe, Scalar, ScalarFn, Shape, Term, Unary,
};
use crate::shape::Builder;

/// Added to the sum of squares of a filter inside the root.
const NORM_EPSILON: f64 = 1e-4;

/// What the squared distance of two directions counts at least in their energy, which is a pole where they
/// are equal: rounding in f32 leaves a tenth of it.
const LEAST_SQUARED_DISTANCE: f64 = 1e-6;

/// The scalars that a step reports.
pub(super) struct Objective {
    pub(super) fit: NodeId,
    pub(super) reg: NodeId,
    pub(super) orth: NodeId,
    /// The sum of the two.
    pub(super) penalties: NodeId,
    pub(super) loss: NodeId,
    /// Results by name: of the metrics.
    pub(super) metrics: Vec<(String, NodeId)>,
}

/// Builds loss and penalties on the model's training output.
pub(super) fn objective(b: &mut Builder, recipe: &Recipe) -> Objective {
    let losses = b.graph().losses[&Mode::Train];
    let fit = mean(b, losses);
    let metrics = b.graph().metrics.clone();
    let metrics = metrics.iter().map(|it| (step_result(&it.name), mean(b, it.nodes[&Mode::Train]))).collect();
    with_penalties(b, recipe, fit, metrics)
}

/// The same, of a loss of the data and metrics that are there.
pub(super) fn with_penalties(
    b: &mut Builder,
    recipe: &Recipe,
    fit: NodeId,
    metrics: Vec<(String, NodeId)>,
) -> Objective {
    let reg = penalties(b, recipe, Column::Reg);
    let orth = penalties(b, recipe, Column::Orth);
    let penalties = b.binary(Binary::Add, reg, orth);
    let loss = b.binary(Binary::Add, fit, penalties);
    Objective { fit, reg, orth, penalties, loss, metrics }
}

/// The name of a metric among the results of a step.
pub(super) fn step_result(name: &str) -> String {
    if name == ACCURACY { ACCURACY.to_owned() } else { metric_result(name) }
}

pub(super) fn mean(b: &mut Builder, x: NodeId) -> NodeId {
    let count = b.graph().shape(x).len();
    let sum = b.sum_all(x);
    b.scale(sum, 1.0 / count as f64)
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
    let weight = penalty.weight.unwrap_or(1.0);
    let parts = penalty
        .params
        .iter()
        .enumerate()
        .map(|(at, &id)| {
            b.origin = b.graph().param(id).origin;
            let param = b.add(Op::Param(id), &[]);
            let residual = match &penalty.kind {
                PenaltyKind::Text(terms) => return made(b, &terms[at]),
                PenaltyKind::Orthogonality => {
                    let columns = columns(b, param);
                    gram_residual(b, columns)
                }
                PenaltyKind::NormalizedOrthogonality => {
                    let columns = directions(b, param);
                    gram_residual(b, columns)
                }
                PenaltyKind::Energy { power, half_space } => {
                    let energy = energy(b, param, *power, *half_space);
                    return b.scale(energy, weight);
                }
            };
            let squares = b.map(ScalarFn::build(1, |pool, i| pool.mul(i[0], i[0])), &[residual]);
            let sum = b.sum_all(squares);
            b.scale(sum, weight / 2.0)
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

/// The filter as `[kh*kw*cin, cout]`: one column per filter.
fn columns(b: &mut Builder, filter: NodeId) -> NodeId {
    let shape = b.graph().shape(filter).clone();
    let columns = shape.dims().last().copied().unwrap_or(1);
    b.reshape(filter, Shape::from([shape.len() / columns, columns]))
}

/// The same with each column divided by its norm, which is that of operators: `sqrt(sum w^2 + 1e-4)`.
fn directions(b: &mut Builder, filter: NodeId) -> NodeId {
    let columns = columns(b, filter);
    let squares = b.map(ScalarFn::build(1, |pool, i| pool.mul(i[0], i[0])), &[columns]);
    let sums = b.sum(squares, &[0]);
    let normalize = ScalarFn::build(2, |pool, i| {
        let epsilon = pool.constant(NORM_EPSILON);
        let inside = pool.add(i[1], epsilon);
        let root = pool.unary(Unary::Rsqrt, inside);
        pool.mul(i[0], root)
    });
    b.map(normalize, &[columns, sums])
}

/// The columns' products with each other, and the unit matrix beside them.
fn gram(b: &mut Builder, matrix: NodeId) -> [NodeId; 2] {
    let columns = b.graph().shape(matrix).0[1];
    let gram = b.add(Op::MatMul { transpose_a: true, transpose_b: false }, &[matrix, matrix]);
    let eye = b.add(Op::Const { fill: Fill::Eye, shape: Shape::from([columns, columns]) }, &[]);
    [gram, eye]
}

/// `W^T W - I`.
fn gram_residual(b: &mut Builder, matrix: NodeId) -> NodeId {
    let [gram, eye] = gram(b, matrix);
    b.binary(Binary::Sub, gram, eye)
}

/// Mean over ordered pairs of different filters of the energy of their distance.
fn energy(b: &mut Builder, filter: NodeId, power: f64, half_space: bool) -> NodeId {
    let matrix = directions(b, filter);
    let [gram, eye] = gram(b, matrix);
    let n = b.graph().shape(gram).0[0] as f64;
    let energies = ScalarFn::build(2, |pool, i| {
        let one = pool.constant(1.0);
        let pairs = if half_space {
            // Of the four pairs of `+-a` with `+-b` two are as `a` with `b`, two as `a` with `-b`. On the
            // diagonal two are left, `a` with `-a`, whose distance is 2 for a whole norm of 1.
            let minus = pool.unary(Unary::Neg, i[0]);
            let (near, far) = (pair(pool, i[0], power), pair(pool, minus, power));
            let both = pool.add(near, far);
            let minus_one = pool.constant(-1.0);
            let own = pair(pool, minus_one, power);
            let two = pool.constant(2.0);
            (pool.mul(both, two), pool.mul(own, two))
        } else {
            (pair(pool, i[0], power), pool.constant(0.0))
        };
        let diagonal = pool.binary(Binary::Eq, i[1], one);
        pool.select(diagonal, pairs.1, pairs.0)
    });
    let energies = b.map(energies, &[gram, eye]);
    let sum = b.sum_all(energies);
    let count = if half_space { 2.0 * n * (2.0 * n - 1.0) } else { n * (n - 1.0) };
    b.scale(sum, 1.0 / count.max(1.0))
}

/// Energy of two directions with this cosine.
fn pair(pool: &mut Pool, cosine: Scalar, power: f64) -> Scalar {
    let (two, least) = (pool.constant(2.0), pool.constant(LEAST_SQUARED_DISTANCE));
    let double = pool.mul(cosine, two);
    let square = pool.sub(two, double);
    let square = pool.binary(Binary::Max, square, least);
    if power == 0.0 {
        let log = pool.unary(Unary::Log, square);
        let half = pool.constant(-0.5);
        return pool.mul(log, half);
    }
    let exponent = pool.constant(-power / 2.0);
    pool.binary(Binary::Pow, square, exponent)
}
