//! The phases beside the step: evaluation of a batch, and projections.

use super::optimizer::Trained;
use crate::ir::{
    Binary, Figure, Mode, NodeId, Op, ParamId, Phase, Recipe, Reduction, ResultKey, ScalarFn, StateRole, Target, Unary,
    gradient,
};
use crate::shape::Builder;
use std::collections::{BTreeMap, BTreeSet};

/// Losses, hits and scores of one batch of the test set; the start moves on by a batch.
pub(super) fn evaluation(b: &mut Builder, recipe: &Recipe) {
    let scores = b.graph().outputs[&Mode::Evaluate];
    let losses = b.graph().losses[&Mode::Evaluate];
    let key = |name: &str| ResultKey::metric(name, Mode::Evaluate);
    let metrics: Vec<(ResultKey, NodeId)> =
        b.graph().metrics.iter().map(|it| (key(&it.name), it.nodes[&Mode::Evaluate])).collect();
    let start_id = b.graph().state_of(StateRole::EvaluateStart).expect("a model with a recipe can be evaluated");
    let start = b.add(Op::State(start_id), &[]);
    let body = ScalarFn::build(1, |pool, i| {
        let batch = pool.constant(recipe.part() as f64);
        pool.add(i[0], batch)
    });
    let next = b.add(Op::Map { body, int: true }, &[start]);
    let update = b.add(Op::Update(Target::State(start_id)), &[next]);
    let tables = b.tables();
    tables.effects.entry(Phase::Evaluate).or_default().push(update);
    let results = tables.results.entry(Phase::Evaluate).or_default();
    results.extend(metrics);
    results.extend([(Figure::Losses.into(), losses), (Figure::Scores.into(), scores)]);
}

/// The gradients in all that is trained, before a bound is put to them.
pub(super) fn gradients(b: &mut Builder, trained: &Trained) {
    let told = trained.ids.iter().zip(&trained.gradients);
    let told: Vec<_> = told.map(|(id, it)| (gradient(&b.graph().param(*id).path), *it)).collect();
    b.tables().results.entry(Phase::Gradients).or_default().extend(told);
}

/// A model without a recipe can only be asked for its output.
pub(super) fn scores_only(b: &mut Builder) {
    let Some(&scores) = b.graph().outputs.get(&Mode::Evaluate) else { return };
    b.tables().results.entry(Phase::Evaluate).or_default().insert(Figure::Scores.into(), scores);
}

/// Filters divided by their norms, each after its own intervals: the phase runs where one of them may be due.
pub(super) fn projection(b: &mut Builder, recipe: &Recipe) {
    let mut intervals: BTreeMap<ParamId, BTreeSet<u64>> = BTreeMap::new();
    for projection in &recipe.projections {
        for &id in &projection.params {
            intervals.entry(id).or_default().insert(projection.every);
        }
    }
    let always = recipe.project_every();
    for (id, every) in intervals {
        b.origin = b.graph().param(id).origin;
        let filter = b.add(Op::Param(id), &[]);
        let axes: Vec<usize> = (0..b.graph().shape(filter).rank().saturating_sub(1)).collect();
        // Divided by its largest number first, so that no square leaves the range of numbers.
        let sizes = b.map(ScalarFn::build(1, |pool, i| pool.unary(Unary::Abs, i[0])), &[filter]);
        let largest = b.add(Op::Reduce { kind: Reduction::Max, axes: axes.clone() }, &[sizes]);
        let square = ScalarFn::build(2, |pool, i| {
            let share = pool.div(i[0], i[1]);
            pool.mul(share, share)
        });
        let squares = b.map(square, &[filter, largest]);
        let sum = b.sum(squares, &axes);
        // A filter of zeros stays as it is.
        let body = ScalarFn::build(3, |pool, i| {
            let scale = pool.unary(Unary::Rsqrt, i[2]);
            let share = pool.div(i[0], i[1]);
            let unit = pool.mul(share, scale);
            pool.select(i[1], unit, i[0])
        });
        let mut unit = b.map(body, &[filter, largest, sum]);
        if !every.contains(&always) {
            let due = due(b, &every);
            let body = ScalarFn::build(3, |pool, i| pool.select(i[0], i[1], i[2]));
            unit = b.map(body, &[due, unit, filter]);
        }
        let update = b.add(Op::Update(Target::Param(id)), &[unit]);
        b.tables().effects.entry(Phase::Project).or_default().push(update);
    }
    b.origin = Default::default();
}

/// 1 where the steps done are a multiple of one of `every`, else 0. An int, whose arithmetic is exact.
fn due(b: &mut Builder, every: &BTreeSet<u64>) -> NodeId {
    let step = b.graph().state_of(StateRole::Step).expect("a model with a recipe counts its steps");
    let step = b.add(Op::State(step), &[]);
    let body = ScalarFn::build(1, |pool, i| {
        every.iter().fold(pool.constant(0.0), |any, &every| {
            let every = pool.constant(every as f64);
            let ratio = pool.div(i[0], every);
            let whole = pool.unary(Unary::Floor, ratio);
            let multiple = pool.mul(whole, every);
            let due = pool.binary(Binary::Eq, multiple, i[0]);
            pool.binary(Binary::Max, any, due)
        })
    });
    b.add(Op::Map { body, int: true }, &[step])
}
