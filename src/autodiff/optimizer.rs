//! The step: gradients of the loss, the scheduled rate, and how parameters move.

use super::objective::Objective;
use crate::ir::expr::Pool;
use crate::ir::{
    Binary, DType, NodeId, Op, Optimizer, ParamId, Phase, Recipe, Scalar, ScalarFn, Schedule, Shape, State, Target,
    Unary,
};
use crate::shape::Builder;

/// Adds gradients and updates of every parameter, and the step counter's.
pub(super) fn optimizer(b: &mut Builder, recipe: &Recipe, objective: &Objective) {
    let ids: Vec<ParamId> = (0..b.graph().params.len()).map(|it| ParamId(it as u32)).collect();
    let params: Vec<NodeId> = ids.iter().map(|&it| b.add(Op::Param(it), &[])).collect();
    let one = b.constant(1.0, Shape::scalar());
    let gradients = super::gradients(b, objective.loss, one, &params);

    let step_id = b.graph().find_state("step").expect("a model with a recipe counts its steps");
    let step = b.add(Op::State(step_id), &[]);
    let rate = rate(b, recipe, step);
    let mut effects = Vec::new();
    match recipe.optimizer {
        Optimizer::Adam { beta1, beta2, epsilon, .. } => {
            let corrected = bias_corrected(b, rate, step, beta1, beta2);
            for ((&id, &param), &gradient) in ids.iter().zip(&params).zip(&gradients) {
                b.origin = b.graph().param(id).origin;
                effects.extend(adam(b, id, param, gradient, corrected, [beta1, beta2, epsilon]));
            }
        }
        Optimizer::Sgd { momentum, .. } => {
            for ((&id, &param), &gradient) in ids.iter().zip(&params).zip(&gradients) {
                b.origin = b.graph().param(id).origin;
                effects.extend(sgd(b, id, param, gradient, rate, momentum));
            }
        }
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
    let Objective { fit, reg, orth, loss, accuracy } = *objective;
    for (name, id) in
        [("fit", fit), ("reg", reg), ("orth", orth), ("loss", loss), ("accuracy", accuracy), ("rate", rate)]
    {
        results.insert(name.to_owned(), id);
    }
}

/// The scheduled rate of the update of iteration `step`, counted from 0.
fn rate(b: &mut Builder, recipe: &Recipe, step: NodeId) -> NodeId {
    let (Optimizer::Adam { rate, .. } | Optimizer::Sgd { rate, .. }) = recipe.optimizer;
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

/// `rate * sqrt(1 - beta2^t) / (1 - beta1^t)` with `t = step + 1`. The powers are taken as
/// `-expm1(t ln beta)`: `1 - beta^t` would lose most of its digits in f32 for small `t`.
fn bias_corrected(b: &mut Builder, rate: NodeId, step: NodeId, beta1: f64, beta2: f64) -> NodeId {
    let body = ScalarFn::build(2, |pool, inputs| {
        let one = pool.constant(1.0);
        let t = pool.add(inputs[1], one);
        let first = one_minus_power(pool, t, beta1);
        let second = one_minus_power(pool, t, beta2);
        let root = pool.unary(Unary::Sqrt, second);
        let scaled = pool.mul(inputs[0], root);
        pool.div(scaled, first)
    });
    b.map(body, &[rate, step])
}

fn one_minus_power(pool: &mut Pool, t: Scalar, beta: f64) -> Scalar {
    if beta == 0.0 {
        return pool.constant(1.0);
    }
    let log = pool.constant(beta.ln());
    let exponent = pool.mul(t, log);
    let power = pool.unary(Unary::Expm1, exponent);
    pool.unary(Unary::Neg, power)
}

/// Adam as TensorFlow 1: `m += (1 - b1)(g - m)`, `v += (1 - b2)(g^2 - v)`, `p -= rate m / (sqrt(v) + e)`.
fn adam(
    b: &mut Builder,
    id: ParamId,
    param: NodeId,
    gradient: NodeId,
    rate: NodeId,
    [beta1, beta2, epsilon]: [f64; 3],
) -> [NodeId; 3] {
    let (m_target, m) = moment(b, id, "adam_m");
    let (v_target, v) = moment(b, id, "adam_v");
    let m = b.map(
        ScalarFn::build(2, |pool, i| {
            let rest = pool.sub(i[1], i[0]);
            let share = pool.constant(1.0 - beta1);
            let change = pool.mul(share, rest);
            pool.add(i[0], change)
        }),
        &[m, gradient],
    );
    let v = b.map(
        ScalarFn::build(2, |pool, i| {
            let square = pool.mul(i[1], i[1]);
            let rest = pool.sub(square, i[0]);
            let share = pool.constant(1.0 - beta2);
            let change = pool.mul(share, rest);
            pool.add(i[0], change)
        }),
        &[v, gradient],
    );
    let moved = b.map(
        ScalarFn::build(4, |pool, i| {
            let root = pool.unary(Unary::Sqrt, i[2]);
            let epsilon = pool.constant(epsilon);
            let below = pool.add(root, epsilon);
            let above = pool.mul(i[3], i[1]);
            let change = pool.div(above, below);
            pool.sub(i[0], change)
        }),
        &[param, m, v, rate],
    );
    [(m_target, m), (v_target, v), (Target::Param(id), moved)].map(|(to, value)| b.add(Op::Update(to), &[value]))
}

/// `v = momentum v + g`, `p -= rate v`.
fn sgd(b: &mut Builder, id: ParamId, param: NodeId, gradient: NodeId, rate: NodeId, momentum: f64) -> Vec<NodeId> {
    let mut effects = Vec::new();
    let mut direction = gradient;
    if momentum != 0.0 {
        let (target, velocity) = moment(b, id, "velocity");
        direction = b.map(
            ScalarFn::build(2, |pool, i| {
                let momentum = pool.constant(momentum);
                let kept = pool.mul(momentum, i[0]);
                pool.add(kept, i[1])
            }),
            &[velocity, gradient],
        );
        effects.push(b.add(Op::Update(target), &[direction]));
    }
    let moved = b.map(
        ScalarFn::build(3, |pool, i| {
            let change = pool.mul(i[2], i[1]);
            pool.sub(i[0], change)
        }),
        &[param, direction, rate],
    );
    effects.push(b.add(Op::Update(Target::Param(id)), &[moved]));
    effects
}

/// A state of a parameter's shape that starts at zero.
fn moment(b: &mut Builder, id: ParamId, name: &str) -> (Target, NodeId) {
    let param = b.graph().param(id);
    let state = State {
        path: format!("{}/{name}", param.path),
        shape: param.shape.clone(),
        dtype: DType::Real,
        init: 0.0,
        origin: param.origin,
    };
    let state = b.tables().add_state(state);
    (Target::State(state), b.add(Op::State(state), &[]))
}
