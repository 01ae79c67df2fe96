//! Gradients against finite differences of the loss, in f64.

use super::frozen::{Frozen, freeze};
use super::kernels::bind_noise;
use crate::autodiff;
use crate::fuse::fuse;
use crate::ir::{Figure, NodeId, Op, ParamId, Phase, Precision, ResultKey, Shape};
use crate::plan::{Config, plan};
use crate::runtime::cpu::{self, CpuBackend};
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
    /// Whether they could be compared: not where the maximum of a pool changes hands within the smallest step.
    pub compared: bool,
}

impl GradientCheck {
    /// Whether the gradient was not found to be wrong.
    pub fn passed(&self) -> bool {
        !self.compared || self.error <= self.bound
    }
}

/// How far parameters are moved before, as a share of their size.
const NUDGE: f64 = 0.05;

/// Of the size that a slope along a random direction has.
const TOLERANCE: f64 = 1e-5;

/// Steps, the best one first. Large ones bend, small ones drown in rounding: the one that fits best counts.
const STEPS: [f64; 4] = [1e-5, 1e-6, 1e-4, 1e-7];

/// Where the maximum of a pool changes hands within each of those.
const SMALLER_STEPS: [f64; 2] = [1e-8, 1e-9];

/// Products below this are lost, and so are sums of them.
const LOST: f64 = 1e-300;

/// What became of the comparison.
#[derive(Clone, Debug, PartialEq)]
pub enum Gradients {
    /// One check for each parameter.
    Compared(Vec<GradientCheck>),
    /// There is no recipe, hence no loss.
    NoLoss,
}

impl Gradients {
    /// The checks, if there are any.
    pub fn checks(&self) -> &[GradientCheck] {
        match self {
            Gradients::Compared(checks) => checks,
            Gradients::NoLoss => &[],
        }
    }
}

/// Compares the gradient of the loss in every parameter of a completed model (see [`autodiff::training`]) with central
/// differences along a random direction, of the loss with its decisions as they are where the gradient is taken. With
/// `check_memory` more memory than is free is refused.
pub fn gradients(typed: &Typed, threads: Option<usize>, check_memory: bool) -> Result<Gradients, RuntimeError> {
    compare(typed, threads, check_memory, &autodiff::gradients)
}

/// Gives the gradients of the loss, times a node, in some nodes.
type Rules = dyn Fn(&mut Builder, NodeId, NodeId, &[NodeId]) -> Vec<NodeId>;

fn compare(
    typed: &Typed,
    threads: Option<usize>,
    check_memory: bool,
    rules: &Rules,
) -> Result<Gradients, RuntimeError> {
    let Some(&loss) = typed.results.get(&Phase::Step).and_then(|it| it.get(&Figure::Loss.into())) else {
        return Ok(Gradients::NoLoss);
    };
    let mut b = Builder::new(typed.clone());
    let ids: Vec<_> = (0..typed.params.len() as u32).map(|it| b.add(Op::Param(ParamId(it)), &[])).collect();
    let one = b.constant(1.0, Shape::scalar());
    let found = rules(&mut b, loss, one, &ids);
    // One phase for the gradients and the decisions, one for the loss alone, and nothing that changes anything.
    let tables = b.tables();
    tables.effects.clear();
    tables.results.clear();
    let Frozen { loss, marks } = freeze(&mut b, loss);
    let tables = b.tables();
    let named = marks.iter().enumerate().map(|(at, it)| (mark(at), *it)).chain([(Figure::Loss.into(), loss)]);
    tables.results.entry(Phase::Evaluate).or_default().extend(named);
    let named = found.into_iter().enumerate().map(|(at, it)| (gradient(at), it));
    tables.results.entry(Phase::Step).or_default().extend(named);
    let graph = b.finish();
    let config =
        Config { precision: Precision::F64, hash: String::new(), source: String::new(), line: &|_| String::new() };
    let plan = Arc::new(plan(&fuse(graph), &config));
    if check_memory {
        cpu::check_memory(&plan, threads, "comparing gradients in f64")?;
    }
    let backend = CpuBackend::new(plan.clone(), threads)?;
    let mut session = Session::new(plan, Box::new(backend))?;
    bind_noise(&mut session)?;
    for param in &typed.params {
        leave_kinks(&mut session, &param.path)?;
    }
    session.run(Phase::Step)?;
    let gradients: Vec<Vec<f64>> =
        (0..typed.params.len()).map(|it| session.result(Phase::Step, gradient(it))).collect::<Result<_, _>>()?;
    let mut losses = Losses { session, marks: marks.len() };
    let here = losses.look()?.1;
    let checks =
        typed.params.iter().zip(&gradients).map(|(it, gradient)| check(&mut losses, &here, &it.path, gradient));
    Ok(Gradients::Compared(checks.collect::<Result<_, _>>()?))
}

/// A gradient among the results.
fn gradient(at: usize) -> ResultKey {
    ResultKey::Named(at.to_string())
}

/// A mark among them.
fn mark(at: usize) -> ResultKey {
    ResultKey::Named(format!("mark {at}"))
}

/// The loss with its decisions, to be looked at from anywhere.
struct Losses {
    session: Session,
    marks: usize,
}

impl Losses {
    /// The loss, and the marks.
    fn look(&mut self) -> Result<(f64, Vec<u64>), RuntimeError> {
        self.session.run(Phase::Evaluate)?;
        let number = |key: ResultKey| Ok::<f64, RuntimeError>(self.session.result(Phase::Evaluate, key)?[0]);
        let marks = (0..self.marks).map(|it| Ok(number(mark(it))?.to_bits())).collect::<Result<_, RuntimeError>>()?;
        Ok((number(Figure::Loss.into())?, marks))
    }
}

/// Moves a parameter a little: initial values may lie where a slope jumps, such as a shift of 0 in front of a ReLU whose
/// patch is empty, and most of a network would not show.
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

/// `here` are the marks where the gradient was taken.
fn check(losses: &mut Losses, here: &[u64], path: &str, gradient: &[f64]) -> Result<GradientCheck, RuntimeError> {
    let values = losses.session.read(path).unwrap_or_default();
    let scale = scale_of(&values);
    let stream = crate::ir::random::stream(path);
    let direction: Vec<f64> =
        (0..values.len()).map(|at| scale * crate::ir::random::normal(1, stream, at).signum()).collect();
    let products = || gradient.iter().zip(&direction).map(|(g, v)| g * v);
    let slope: f64 = products().sum();
    let size = products().map(|it| it * it).sum::<f64>().sqrt();
    let mut best: Option<(f64, f64)> = None;
    for (number, step) in STEPS.into_iter().chain(SMALLER_STEPS).enumerate() {
        if STEPS.len() <= number && best.is_some() {
            break;
        }
        let mut look = |sign: f64| -> Result<(f64, Vec<u64>), RuntimeError> {
            let moved: Vec<f64> = values.iter().zip(&direction).map(|(p, v)| p + sign * step * v).collect();
            losses.session.write(path, &moved)?;
            losses.look()
        };
        let ((above, marks_above), (below, marks_below)) = (look(1.0)?, look(-1.0)?);
        if marks_above != here || marks_below != here {
            continue;
        }
        let error = ((above - below) / (2.0 * step) - slope).abs();
        // Both losses are rounded, after sums over everything.
        let bound = TOLERANCE * size + 64.0 * f64::EPSILON * above.abs() / step + LOST;
        if best.is_none_or(|it| error / bound < it.0 / it.1) {
            best = Some((error, bound));
        }
        if error <= bound {
            break;
        }
    }
    losses.session.write(path, &values)?;
    let compared = best.is_some();
    let (error, bound) = best.unwrap_or((0.0, 0.0));
    let error = if error.is_nan() { f64::INFINITY } else { error };
    Ok(GradientCheck { parameter: path.to_owned(), len: values.len(), slope, error, bound, compared })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::op::Scalar64;
    use crate::ir::{Binary, DType, Geometry, Init, OriginId, Param, ParamRole, Reduction, ScalarFn, Unary, Window};

    /// A graph with a parameter `p` of this shape.
    fn with_parameter(name: &str, shape: impl Into<Shape>) -> (Builder, NodeId) {
        let mut b = Builder::empty(name);
        let (shape, init) = (shape.into(), Init::Normal(Scalar64(1.0)));
        let (role, origin) = (ParamRole::Filter, OriginId::default());
        let (layer, operator) = (String::new(), String::new());
        b.tables().params.push(Param { path: "p".into(), shape, init, role, layer, operator, origin });
        let p = b.add(Op::Param(ParamId(0)), &[]);
        (b, p)
    }

    /// The sum of `p^3`, or of `stop(p) p^2`.
    fn cubes(stop: bool) -> Typed {
        let (mut b, p) = with_parameter("cubes", [5]);
        let body = ScalarFn::build(1, |pool, i| {
            let first = if stop { pool.unary(Unary::Stop, i[0]) } else { i[0] };
            let square = pool.mul(i[0], i[0]);
            pool.mul(first, square)
        });
        let cube = b.map(body, &[p]);
        let loss = b.sum_all(cube);
        b.tables().results.entry(Phase::Step).or_default().insert(Figure::Loss.into(), loss);
        b.finish()
    }

    /// The sum over many kinks or jumps along `p`, some within any step.
    fn kinks(kind: usize) -> Typed {
        let (mut b, p) = with_parameter(&format!("kinks {kind}"), [1, 6, 6, 1]);
        let loss = kinked(&mut b, p, kind);
        b.tables().results.entry(Phase::Step).or_default().insert(Figure::Loss.into(), loss);
        b.finish()
    }

    /// ReLU, a jump, the absolute value, a maximum over all, max pools; from 5 on the same with branches changed over.
    fn kinked(b: &mut Builder, p: NodeId, kind: usize) -> NodeId {
        let many = b.named_input("many", [400, 1, 1, 1], DType::Real);
        let sum = b.binary(Binary::Add, p, many);
        let swap = 5 <= kind;
        let body = ScalarFn::build(1, |pool, i| {
            let (zero, three) = (pool.constant(0.0), pool.constant(3.0));
            let square = pool.mul(i[0], i[0]);
            match kind {
                0 => pool.binary(Binary::Max, i[0], zero),
                1 | 6 => {
                    let below = pool.binary(Binary::Lt, i[0], zero);
                    let jump = pool.add(i[0], three);
                    if swap { pool.select(below, jump, square) } else { pool.select(below, square, jump) }
                }
                2 => pool.unary(Unary::Abs, i[0]),
                5 => pool.binary(Binary::Min, i[0], zero),
                7 => pool.unary(Unary::Neg, i[0]),
                _ => square,
            }
        });
        let bent = b.map(body, &[sum]);
        match kind {
            3 => {
                let most = b.add(Op::Reduce { kind: Reduction::Max, axes: vec![1, 2] }, &[bent]);
                b.sum_all(most)
            }
            4 => {
                let geometry = Geometry::same([6, 6], [3, 3], [2, 2]);
                let most = b.add(Op::Window { kind: Window::Max, geometry }, &[bent]);
                b.sum_all(most)
            }
            _ => b.sum_all(bent),
        }
    }

    /// The gradients of the rules, each number of the first parameter as `wrong` makes it.
    fn with(typed: &Typed, wrong: fn(&mut Builder, NodeId) -> NodeId) -> GradientCheck {
        let rules = move |b: &mut Builder, loss: NodeId, one: NodeId, ids: &[NodeId]| {
            let mut found = autodiff::gradients(b, loss, one, ids);
            found[0] = wrong(b, found[0]);
            found
        };
        compare(typed, Some(1), false, &rules).unwrap().checks()[0].clone()
    }

    #[test]
    fn right_gradients_pass_and_wrong_ones_do_not() {
        for graph in [cubes(false), cubes(true), kinks(0), kinks(1), kinks(2), kinks(3), kinks(4)] {
            let right = with(&graph, |_, it| it);
            assert!(right.passed() && right.compared && right.slope != 0.0, "{} {right:?}", graph.name);
            let larger = with(&graph, |b, it| b.scale(it, 1.001));
            assert!(!larger.passed(), "{} {larger:?}", graph.name);
            let none = with(&graph, |b, it| b.scale(it, 0.0));
            assert!(!none.passed(), "{} {none:?}", graph.name);
            let uneven = with(&graph, |b, it| {
                let noise = b.named_input("noise", b.graph().shape(it).clone(), DType::Real);
                let part = b.binary(Binary::Mul, it, noise);
                let part = b.scale(part, 1e-2);
                b.binary(Binary::Add, it, part)
            });
            assert!(!uneven.passed(), "{} {uneven:?}", graph.name);
        }
    }

    #[test]
    fn a_wrong_rule_for_a_decision_is_found() {
        // As if the slope of each were that of the other branch.
        for (kind, other) in [(0, 5), (1, 6), (2, 7)] {
            let rules = move |b: &mut Builder, _: NodeId, one: NodeId, ids: &[NodeId]| {
                let loss = kinked(b, ids[0], other);
                autodiff::gradients(b, loss, one, ids)
            };
            let found = compare(&kinks(kind), Some(1), false, &rules).unwrap();
            assert!(!found.checks()[0].passed(), "{found:?}");
        }
    }

    /// A product that underflows, and a loss of 0.
    #[test]
    fn numbers_below_the_smallest_are_no_mistakes() {
        let mut b = Builder::new(cubes(false));
        let loss = b.graph().results[&Phase::Step][&Figure::Loss.into()];
        let tiny = b.scale(loss, 1e-323);
        b.tables().results.entry(Phase::Step).or_default().insert(Figure::Loss.into(), tiny);
        let found = gradients(&b.finish(), Some(1), false).unwrap();
        assert!(found.checks()[0].passed(), "{found:?}");
    }
}
