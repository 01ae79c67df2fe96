//! The step: gradients of the loss, the scheduled rate, and how parameters move.

use super::objective::Objective;
use super::update::Update;
use crate::ir::{
    Binary, Clip, Figure, NodeId, Op, Optimizer, ParamId, Phase, Recipe, ResultKey, ScalarFn, Shape, StateRole, Target,
    Unary,
};
use crate::shape::Builder;
use std::collections::BTreeMap;

/// What is not frozen, with its gradients.
pub(super) struct Trained {
    pub(super) ids: Vec<ParamId>,
    pub(super) params: Vec<NodeId>,
    pub(super) gradients: Vec<NodeId>,
}

impl Trained {
    /// Without gradients so far.
    pub(super) fn none(b: &mut Builder, recipe: &Recipe) -> Self {
        let all = (0..b.graph().params.len()).map(|it| ParamId(it as u32));
        let ids: Vec<ParamId> = all.filter(|it| !recipe.frozen.contains(it)).collect();
        let params = ids.iter().map(|&it| b.add(Op::Param(it), &[])).collect();
        Self { ids, params, gradients: Vec::new() }
    }

    /// With the gradients of a loss.
    pub(super) fn new(b: &mut Builder, recipe: &Recipe, loss: NodeId) -> Self {
        let mut trained = Self::none(b, recipe);
        let one = b.constant(1.0, Shape::scalar());
        trained.gradients = super::gradients(b, loss, one, &trained.params);
        trained
    }
}

/// Adds updates of every parameter that is trained, and the step counter's.
pub(super) fn optimizer(b: &mut Builder, recipe: &Recipe, objective: &Objective, trained: Trained) {
    let Trained { ids, params, gradients } = trained;
    let gradients = clipped(b, recipe.clip, &ids, gradients);

    let step_id = b.graph().state_of(StateRole::Step).expect("a model with a recipe counts its steps");
    let step = b.add(Op::State(step_id), &[]);
    let rates: Vec<NodeId> = recipe.optimizers.iter().map(|it| rate(b, it, step)).collect();
    let updates: Vec<Update> =
        recipe.optimizers.iter().zip(&rates).map(|(it, &rate)| Update::new(b, it, rate, step)).collect();
    let rate = *rates.first().expect("a recipe has an optimizer");
    let moved = |(by, it): (usize, &Optimizer)| it.params.iter().map(|id| (*id, by)).collect::<Vec<_>>();
    let owners: BTreeMap<ParamId, usize> = recipe.optimizers.iter().enumerate().flat_map(moved).collect();
    let mut effects = Vec::new();
    for ((&id, &param), &gradient) in ids.iter().zip(&params).zip(&gradients) {
        let by = owners.get(&id).expect("what is not frozen is moved");
        let update = &updates[*by];
        b.origin = b.graph().param(id).origin;
        effects.extend(update.apply(b, id, param, gradient));
    }
    b.origin = Default::default();
    let next = ScalarFn::build(1, |pool, i| {
        let one = pool.constant(1.0);
        pool.add(i[0], one)
    });
    let next = b.add(Op::Map { body: next, int: true }, &[step]);
    effects.push(b.add(Op::Update(Target::State(step_id)), &[next]));

    let tables = b.tables();
    tables.effects.entry(Phase::Step).or_default().extend(effects);
    let results = tables.results.entry(Phase::Step).or_default();
    let Objective { fit, reg, orth, loss, ref metrics, .. } = *objective;
    results.extend(Figure::STEP.map(ResultKey::from).into_iter().zip([fit, reg, orth, loss, rate]));
    results.extend(metrics.iter().cloned());
}

/// The gradients within their bound.
fn clipped(b: &mut Builder, clip: Option<Clip>, ids: &[ParamId], gradients: Vec<NodeId>) -> Vec<NodeId> {
    let scale = match clip {
        None => return gradients,
        Some(Clip::Value(_)) => None,
        Some(Clip::Norm(most)) => Some(norm_scale(b, most, ids, &gradients)),
    };
    let each = |(id, gradient): (&ParamId, NodeId)| {
        b.origin = b.graph().param(*id).origin;
        match (clip, scale) {
            (Some(Clip::Value(most)), _) => b.map(
                ScalarFn::build(1, |pool, i| {
                    let (most, least) = (pool.constant(most), pool.constant(-most));
                    let above = pool.binary(Binary::Max, i[0], least);
                    pool.binary(Binary::Min, above, most)
                }),
                &[gradient],
            ),
            (_, Some(scale)) => b.binary(Binary::Mul, gradient, scale),
            (_, None) => gradient,
        }
    };
    let bounded = ids.iter().zip(gradients).map(each).collect();
    b.origin = Default::default();
    bounded
}

/// Added to the norm that a bound is divided by.
const NORM_EPSILON: f64 = 1e-6;

/// What gradients are multiplied by, so that the norm of all of them is at most this.
fn norm_scale(b: &mut Builder, most: f64, ids: &[ParamId], gradients: &[NodeId]) -> NodeId {
    let mut sums = Vec::new();
    for (id, &gradient) in ids.iter().zip(gradients) {
        b.origin = b.graph().param(*id).origin;
        let squares = b.map(ScalarFn::build(1, |pool, i| pool.mul(i[0], i[0])), &[gradient]);
        sums.push(b.sum_all(squares));
    }
    b.origin = Default::default();
    let total = sums.into_iter().reduce(|sum, it| b.binary(Binary::Add, sum, it));
    let total = total.unwrap_or_else(|| b.constant(0.0, Shape::scalar()));
    let scale = ScalarFn::build(1, |pool, i| {
        let (most, epsilon, one) = (pool.constant(most), pool.constant(NORM_EPSILON), pool.constant(1.0));
        let norm = pool.unary(Unary::Sqrt, i[0]);
        let norm = pool.add(norm, epsilon);
        let share = pool.div(most, norm);
        pool.binary(Binary::Min, share, one)
    });
    b.map(scale, &[total])
}

/// The rate of the update of iteration `step`, counted from 0.
fn rate(b: &mut Builder, optimizer: &Optimizer, step: NodeId) -> NodeId {
    match optimizer.rate.as_constant() {
        Some(rate) => b.constant(rate, Shape::scalar()),
        None => b.map(optimizer.rate.clone(), &[step]),
    }
}
