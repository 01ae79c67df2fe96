//! Batch normalisation, in primitives: biased variance over all axes but the channels; running mean and
//! variance start at zero and move by `1 - decay` towards those of each batch, without bias correction.

use crate::ir::{Init, Op, ParamRole, Phase, Reduction, ScalarFn, Shape, Target, Unary, op::Scalar64};
use crate::lower::Lowering;
use crate::lower::call::Args;
use crate::lower::value::{Tensor, Value};

fn map(body: ScalarFn) -> Op {
    Op::Map { body, int: false }
}

/// `running + rate * (batch - running)`.
pub(in crate::lower) fn towards(rate: f64) -> Op {
    map(ScalarFn::build(2, |pool, it| {
        let batch = pool.unary(Unary::Stop, it[1]);
        let rate = pool.constant(rate);
        let gap = pool.sub(batch, it[0]);
        let step = pool.mul(rate, gap);
        pool.add(it[0], step)
    }))
}

/// The complement of a decay as it was meant: `1 - 0.999` is 0.001, not its neighbour.
pub(in crate::lower) fn rate(decay: f64) -> f64 {
    let rate = 1.0 - decay;
    let rounded = (rate * 1e12).round() / 1e12;
    if (rounded - rate).abs() < 1e-15 { rounded } else { rate }
}

/// `(x - mean) / sqrt(variance + epsilon) * gamma + beta`.
fn normalise(epsilon: f64) -> Op {
    map(ScalarFn::build(5, |pool, it| {
        let epsilon = pool.constant(epsilon);
        let centred = pool.sub(it[0], it[1]);
        let variance = pool.add(it[2], epsilon);
        let inverse = pool.unary(Unary::Rsqrt, variance);
        let unit = pool.mul(centred, inverse);
        let scaled = pool.mul(unit, it[3]);
        pool.add(scaled, it[4])
    }))
}

impl Lowering<'_> {
    pub(super) fn batch_norm(&mut self, args: &Args) -> Value {
        let span = args.span;
        let owner = match args.get("x") {
            Some((Value::Tensor(it), _)) => it.owner.clone(),
            _ => None,
        };
        let (path, report) = self.names.beside("batch_norm", "bn", owner.as_deref(), span);
        self.report_all(report);
        let decay = self.float(args, "decay", 0.999, |it| (0.0..=1.0).contains(&it), "between 0 and 1");
        let epsilon = self.float(args, "epsilon", 1e-3, |it| 0.0 < it, "above 0");
        let (Some(x), Some(decay), Some(epsilon)) = (self.tensor(args), decay, epsilon) else { return self.lost(span) };
        let dims = self.dims(&x);
        let Some((&channels, positions)) = dims.split_last() else { return self.lost(span) };
        if args.wrong() {
            return self.lost(span);
        }
        self.normalised(&path, args, decay, positions.iter().product());
        let outer = self.enter_layer(&path);
        let shape = Shape::from([channels]);
        let one = Init::Constant(Scalar64(1.0));
        let zero = Init::Constant(Scalar64(0.0));
        let gamma = self.param(&path, "gamma", shape.clone(), one, ParamRole::Gamma, "", span);
        let beta = self.param(&path, "beta", shape.clone(), zero, ParamRole::Beta, "", span);
        let (mean_state, running_mean) = self.state(&path, "ema_mean", shape.clone(), 0.0, span);
        let (variance_state, running_variance) = self.state(&path, "ema_var", shape.clone(), 0.0, span);
        self.graph.states[variance_state.0 as usize].never_negative = true;

        let axes: Vec<usize> = (0..positions.len()).collect();
        let mean = self.node(Op::Reduce { kind: Reduction::Mean, axes: axes.clone() }, &[&x], span);
        let variance = self.node(Op::Reduce { kind: Reduction::Variance, axes }, &[&x], span);

        for (id, state, batch) in [(mean_state, &running_mean, &mean), (variance_state, &running_variance, &variance)] {
            let batch = self.node(Op::Reshape(shape.clone()), &[batch], span);
            let next = self.node(towards(rate(decay)), &[state, &batch], span);
            let update = self.node(Op::Update(Target::State(id)), &[&next], span);
            self.effect(Phase::Step, update.train);
        }
        let trained = self.node(normalise(epsilon), &[&x, &mean, &variance, &gamma, &beta], span);
        let running = [&x, &running_mean, &running_variance, &gamma, &beta];
        let evaluated = self.node(normalise(epsilon), &running, span);
        self.leave_layer(outer);
        let result = Tensor { train: trained.train, evaluate: evaluated.evaluate, owner: None };
        self.list(&path, "batch_norm".to_owned(), &result, span);
        Value::Tensor(result)
    }
}
