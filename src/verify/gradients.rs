//! Gradients against finite differences of the loss, in f64.

use super::kernels::bind_noise;
use crate::autodiff;
use crate::fuse::fuse;
use crate::ir::{ExprNode, Op, ParamId, Phase, Shape, Unary};
use crate::plan::{Config, Precision, plan};
use crate::runtime::cpu::CpuBackend;
use crate::runtime::{RuntimeError, Session};
use crate::shape::{Builder, Typed};
use std::sync::Arc;

/// What the gradient in one parameter came to.
#[derive(Clone, Debug, PartialEq)]
pub struct GradientCheck {
    /// The parameter's path.
    pub parameter: String,
    /// How many numbers it has.
    pub len: usize,
    /// The slope of the loss along a direction, by the gradient.
    pub slope: f64,
    /// How far the difference quotient is from it.
    pub error: f64,
    /// How far it may be.
    pub bound: f64,
}

impl GradientCheck {
    /// Whether the gradient is right.
    pub fn passed(&self) -> bool {
        self.error <= self.bound
    }
}

/// How far parameters are moved before, as a share of their size.
const NUDGE: f64 = 0.05;

/// Of the size that a slope along a random direction has.
const TOLERANCE: f64 = 1e-5;

/// Steps, the best one first. Large ones cross the kinks of `relu` and `max`, small ones drown in rounding: the one that
/// fits best counts.
const STEPS: [f64; 4] = [1e-5, 1e-6, 1e-4, 1e-7];

/// What became of the comparison.
#[derive(Clone, Debug, PartialEq)]
pub enum Gradients {
    /// One check for each parameter.
    Compared(Vec<GradientCheck>),
    /// There is no recipe, hence no loss.
    NoLoss,
    /// The loss depends on a `stop`: its gradient is not its slope, on purpose.
    Stopped,
}

impl Gradients {
    /// The checks, if there are any.
    pub fn checks(&self) -> &[GradientCheck] {
        match self {
            Gradients::Compared(checks) => checks,
            Gradients::NoLoss | Gradients::Stopped => &[],
        }
    }
}

/// Compares the gradient of the loss in every parameter of a completed model (see [`autodiff::training`]) with central
/// differences along a random direction.
pub fn gradients(typed: &Typed, threads: Option<usize>) -> Result<Gradients, RuntimeError> {
    let Some(&loss) = typed.results.get(&Phase::Step).and_then(|it| it.get("loss")) else {
        return Ok(Gradients::NoLoss);
    };
    let stops = |op: &Op| matches!(op, Op::Map { body, .. } if body.nodes.iter().any(is_stop));
    if typed.needed([loss]).into_iter().any(|it| stops(typed.op(it))) {
        return Ok(Gradients::Stopped);
    }
    let mut b = Builder::new(typed.clone());
    let ids: Vec<_> = (0..typed.params.len() as u32).map(|it| b.add(Op::Param(ParamId(it)), &[])).collect();
    let one = b.constant(1.0, Shape::scalar());
    let found = autodiff::gradients(&mut b, loss, one, &ids);
    // One phase for the gradients, one for the loss alone, and nothing that changes anything.
    let tables = b.tables();
    tables.effects.clear();
    tables.results.clear();
    tables.results.entry(Phase::Evaluate).or_default().insert("loss".to_owned(), loss);
    let named = found.into_iter().enumerate().map(|(at, it)| (at.to_string(), it));
    tables.results.entry(Phase::Step).or_default().extend(named);
    let graph = b.finish();
    let config =
        Config { precision: Precision::F64, hash: String::new(), source: String::new(), line: &|_| String::new() };
    let plan = Arc::new(plan(&fuse(graph), &config));
    let backend = CpuBackend::new(plan.clone(), threads)?;
    let mut session = Session::new(plan, Box::new(backend))?;
    bind_noise(&mut session)?;
    for param in &typed.params {
        leave_kinks(&mut session, &param.path)?;
    }
    session.run(Phase::Step)?;
    let gradients: Vec<Vec<f64>> =
        (0..typed.params.len()).map(|it| session.result(Phase::Step, &it.to_string())).collect();
    let checks = typed.params.iter().zip(&gradients).map(|(it, gradient)| check(&mut session, &it.path, gradient));
    Ok(Gradients::Compared(checks.collect::<Result<_, _>>()?))
}

/// Moves a parameter a little: initial values may lie where a slope jumps, such as a shift of 0 in front of a ReLU whose
/// patch is empty, and a central difference would see half of both slopes.
fn leave_kinks(session: &mut Session, path: &str) -> Result<(), RuntimeError> {
    let values = session.read(path).unwrap_or_default();
    let scale = NUDGE * scale_of(&values);
    let stream = crate::ir::random::stream(path);
    let moved = values.iter().enumerate().map(|(at, it)| it + scale * crate::ir::random::normal(2, stream, at));
    session.write(path, &moved.collect::<Vec<f64>>())
}

/// Root of the mean square; 1 for zeros.
fn scale_of(values: &[f64]) -> f64 {
    let mean = values.iter().map(|it| it * it).sum::<f64>() / values.len().max(1) as f64;
    if mean == 0.0 { 1.0 } else { mean.sqrt() }
}

fn is_stop(node: &ExprNode) -> bool {
    matches!(node, ExprNode::Unary(Unary::Stop, _))
}

fn check(session: &mut Session, path: &str, gradient: &[f64]) -> Result<GradientCheck, RuntimeError> {
    let values = session.read(path).unwrap_or_default();
    let scale = scale_of(&values);
    let stream = crate::ir::random::stream(path);
    let direction: Vec<f64> =
        (0..values.len()).map(|at| scale * crate::ir::random::normal(1, stream, at).signum()).collect();
    let products = || gradient.iter().zip(&direction).map(|(g, v)| g * v);
    let slope: f64 = products().sum();
    let size = products().map(|it| it * it).sum::<f64>().sqrt();
    let mut best: Option<(f64, f64)> = None;
    for step in STEPS {
        let mut loss = |sign: f64| -> Result<f64, RuntimeError> {
            let moved: Vec<f64> = values.iter().zip(&direction).map(|(p, v)| p + sign * step * v).collect();
            session.write(path, &moved)?;
            session.run(Phase::Evaluate)?;
            Ok(session.result(Phase::Evaluate, "loss")[0])
        };
        let (above, below) = (loss(1.0)?, loss(-1.0)?);
        let error = ((above - below) / (2.0 * step) - slope).abs();
        // Both losses are rounded, after sums over everything.
        let bound = TOLERANCE * size + 64.0 * f64::EPSILON * above.abs() / step;
        if best.is_none_or(|it| error / bound < it.0 / it.1) {
            best = Some((error, bound));
        }
        if error <= bound {
            break;
        }
    }
    session.write(path, &values)?;
    let (error, bound) = best.unwrap_or((f64::INFINITY, 0.0));
    let error = if error.is_nan() { f64::INFINITY } else { error };
    Ok(GradientCheck { parameter: path.to_owned(), len: values.len(), slope, error, bound })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::op::Scalar64;
    use crate::ir::{Init, OriginId, Param, ParamRole, ScalarFn};

    /// The sum of `p^3`, or of `stop(p) p^2`.
    fn cubes(stop: bool) -> Typed {
        let mut b = Builder::empty("cubes");
        let (shape, init) = (Shape::from([5]), Init::Normal(Scalar64(1.0)));
        let (role, origin) = (ParamRole::Filter, OriginId::default());
        let (layer, operator) = (String::new(), String::new());
        b.tables().params.push(Param { path: "p".into(), shape, init, role, layer, operator, origin });
        let p = b.add(Op::Param(ParamId(0)), &[]);
        let body = ScalarFn::build(1, |pool, i| {
            let first = if stop { pool.unary(Unary::Stop, i[0]) } else { i[0] };
            let square = pool.mul(i[0], i[0]);
            pool.mul(first, square)
        });
        let cube = b.map(body, &[p]);
        let loss = b.sum_all(cube);
        b.tables().results.entry(Phase::Step).or_default().insert("loss".into(), loss);
        b.finish()
    }

    #[test]
    fn right_gradients_pass_and_wrong_ones_do_not() {
        let found = gradients(&cubes(false), Some(1)).unwrap();
        assert!(matches!(found.checks(), [only] if only.passed()), "{found:?}");

        let graph = cubes(false);
        let config =
            Config { precision: Precision::F64, hash: String::new(), source: String::new(), line: &|_| String::new() };
        let mut b = Builder::new(graph);
        let loss = b.graph().results[&Phase::Step]["loss"];
        b.tables().results.entry(Phase::Evaluate).or_default().insert("loss".into(), loss);
        let plan = Arc::new(plan(&fuse(b.finish()), &config));
        let backend = CpuBackend::new(plan.clone(), Some(1)).unwrap();
        let mut session = Session::new(plan, Box::new(backend)).unwrap();
        let right: Vec<f64> = session.read("p").unwrap().iter().map(|it| 3.0 * it * it).collect();
        assert!(check(&mut session, "p", &right).unwrap().passed());
        let mut wrong = right.clone();
        wrong[3] *= 1.001;
        assert!(!check(&mut session, "p", &wrong).unwrap().passed());
    }

    #[test]
    fn what_stops_gradients_is_not_compared() {
        assert_eq!(gradients(&cubes(true), Some(1)).unwrap(), Gradients::Stopped);
    }
}
