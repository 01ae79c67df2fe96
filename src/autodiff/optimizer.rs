//! The step: gradients of the loss, the scheduled rate, and how parameters move.

use super::objective::Objective;
use super::update::Update;
use crate::ir::{Binary, NodeId, Op, ParamId, Phase, Recipe, ScalarFn, Schedule, Shape, StateRole, Target, Unary};
use crate::shape::Builder;

/// Adds gradients and updates of every parameter, and the step counter's.
pub(super) fn optimizer(b: &mut Builder, recipe: &Recipe, objective: &Objective) {
    let ids: Vec<ParamId> = (0..b.graph().params.len()).map(|it| ParamId(it as u32)).collect();
    let params: Vec<NodeId> = ids.iter().map(|&it| b.add(Op::Param(it), &[])).collect();
    let one = b.constant(1.0, Shape::scalar());
    let gradients = super::gradients(b, objective.loss, one, &params);

    let step_id = b.graph().state_of(StateRole::Step).expect("a model with a recipe counts its steps");
    let step = b.add(Op::State(step_id), &[]);
    let rate = rate(b, recipe, step);
    let update = Update::new(b, &recipe.optimizer, rate, step);
    let mut effects = Vec::new();
    for ((&id, &param), &gradient) in ids.iter().zip(&params).zip(&gradients) {
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
    let Objective { fit, reg, orth, loss, ref metrics } = *objective;
    for (name, id) in [("fit", fit), ("reg", reg), ("orth", orth), ("loss", loss), ("rate", rate)] {
        results.insert(name.to_owned(), id);
    }
    results.extend(metrics.iter().cloned());
}

/// The scheduled rate of the update of iteration `step`, counted from 0.
fn rate(b: &mut Builder, recipe: &Recipe, step: NodeId) -> NodeId {
    let rate = recipe.optimizer.rate;
    let body = ScalarFn::build(1, |pool, inputs| match &recipe.schedule {
        Schedule::Constant => pool.constant(rate),
        Schedule::Step { at, factor } => {
            let mut current = pool.constant(rate);
            for (passed, &milestone) in at.iter().enumerate() {
                let milestone = pool.constant(milestone as f64);
                let reached = pool.binary(Binary::Le, milestone, inputs[0]);
                let lower = pool.constant(rate * factor.powi(passed as i32 + 1));
                current = pool.select(reached, lower, current);
            }
            current
        }
        Schedule::Cosine => {
            // `(1 + cos(pi t / n)) / 2`, as the square of a sine of what is left: near the end the sum would cancel.
            let (iterations, rate) = (recipe.iterations.max(1) as f64, pool.constant(rate));
            let (all, share) = (pool.constant(iterations), pool.constant(std::f64::consts::FRAC_PI_2 / iterations));
            let left = pool.sub(all, inputs[0]);
            let angle = pool.mul(left, share);
            let sin = pool.unary(Unary::Sin, angle);
            let square = pool.mul(sin, sin);
            pool.mul(rate, square)
        }
    });
    if body.used_inputs().is_empty() { b.constant(rate, Shape::scalar()) } else { b.map(body, &[step]) }
}
