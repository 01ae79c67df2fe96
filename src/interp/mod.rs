//! (Unstable.) A slow, obvious f64 interpreter of graphs: the definition of every op.
//!
//! It shares no fusion, selection or memory planning with the backends it judges. Each family of ops
//! is one file of plain loops. Integers are kept as f64, exact below 2^53.

mod augment;
mod conv;
mod expr;
mod loss;
mod map;
mod matmul;
mod movement;
mod random;
mod reduce;
mod window;

use crate::ir::{Across, DType, Extern, Fill, Graph, Init, NodeId, Op, Phase, Shape, Target, Window};
use std::collections::BTreeMap;

/// Numbers with extents, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Extents.
    pub shape: Shape,
    /// Elements in row-major order.
    pub data: Vec<f64>,
}

impl Tensor {
    /// A tensor of these elements.
    pub fn new(shape: impl Into<Shape>, data: Vec<f64>) -> Self {
        let shape = shape.into();
        assert_eq!(shape.len(), data.len(), "{shape} wants {} elements, not {}", shape.len(), data.len());
        Self { shape, data }
    }

    /// The same number everywhere.
    pub fn filled(shape: impl Into<Shape>, value: f64) -> Self {
        let shape = shape.into();
        Self { data: vec![value; shape.len()], shape }
    }

    /// A tensor of rank 0.
    pub fn scalar(value: f64) -> Self {
        Self { shape: Shape::scalar(), data: vec![value] }
    }

    /// The only element.
    pub fn item(&self) -> f64 {
        assert_eq!(self.data.len(), 1, "{} is not a single number", self.shape);
        self.data[0]
    }

    /// Extents of a tensor of rank `N`.
    fn dims<const N: usize>(&self) -> [usize; N] {
        assert_eq!(self.shape.rank(), N, "{} is not of rank {N}", self.shape);
        std::array::from_fn(|axis| self.shape.0[axis])
    }
}

/// What a graph's leaves hold.
#[derive(Clone, Debug, Default)]
pub struct Env {
    /// Of everything random.
    pub seed: u64,
    /// Buffers bound from outside.
    pub externs: BTreeMap<Extern, Tensor>,
    /// Parameters, by `ParamId`.
    pub params: Vec<Tensor>,
    /// States, by `StateId`.
    pub states: Vec<Tensor>,
}

impl Env {
    /// Initial values as the runtimes make them: computed in f64 and rounded to f32 once, so that
    /// runs in either precision start from the same numbers.
    pub fn new(graph: &Graph, seed: u64) -> Env {
        let params = graph
            .params
            .iter()
            .map(|param| {
                let stream = crate::ir::random::stream(&param.path);
                let each = |number: &dyn Fn(usize) -> f64| (0..param.shape.len()).map(number).collect();
                let data: Vec<f64> = match param.init {
                    Init::Constant(value) => each(&|_| value.0),
                    Init::Normal(deviation) => each(&|at| crate::ir::random::normal(seed, stream, at) * deviation.0),
                    Init::Uniform(bound) => each(&|at| crate::ir::random::uniform_start(seed, stream, at) * bound.0),
                    Init::Orthogonal(gain) => crate::ir::start::orthogonal(&param.shape, gain.0, seed, stream),
                    Init::Dirac => crate::ir::start::dirac(&param.shape),
                    // As before any image was seen.
                    Init::Whitening(it) => it.filters(&param.shape, &mut std::iter::empty(), [0; 3]),
                };
                let data = data.into_iter().map(|value| f64::from(value as f32)).collect();
                Tensor::new(param.shape.clone(), data)
            })
            .collect();
        let states = graph.states.iter().map(|it| Tensor::filled(it.shape.clone(), it.init)).collect();
        Env { seed, externs: BTreeMap::new(), params, states }
    }

    /// Binds a named input.
    pub fn bind(&mut self, name: &str, tensor: Tensor) {
        self.externs.insert(Extern::Named(name.to_owned()), tensor);
    }
}

/// The values of `roots`. Only what they need is evaluated, in ascending order of the nodes.
pub fn evaluate(graph: &Graph, env: &Env, roots: &[NodeId]) -> Vec<Tensor> {
    let Some(last) = roots.iter().max() else { return Vec::new() };
    let count = last.0 as usize + 1;
    // How many needed nodes read a node; a root is read once more at the end.
    let mut readers = vec![0usize; count];
    for root in roots {
        readers[root.0 as usize] += 1;
    }
    let operands: Vec<Vec<NodeId>> = (0..count)
        .rev()
        .map(|at| {
            let mut operands = Vec::new();
            if 0 < readers[at] {
                operands = graph.operands(NodeId(at as u32));
                for it in &operands {
                    readers[it.0 as usize] += 1;
                }
            }
            operands
        })
        .collect();

    let mut values: Vec<Option<Tensor>> = vec![None; count];
    for at in (0..count).filter(|&at| 0 < readers[at]).collect::<Vec<_>>() {
        let id = NodeId(at as u32);
        let operands = &operands[count - 1 - at];
        let given: Vec<&Tensor> =
            operands.iter().map(|it| values[it.0 as usize].as_ref().expect("operands come first")).collect();
        let value = apply(graph, env, id, &given);
        debug_assert_eq!(graph.fact(id).shape(), Some(&value.shape), "%{at} has another shape\n{graph}");
        values[at] = Some(value);
        for it in operands {
            let readers = &mut readers[it.0 as usize];
            *readers -= 1;
            if *readers == 0 {
                values[it.0 as usize] = None;
            }
        }
    }
    roots.iter().map(|it| values[it.0 as usize].clone().expect("roots are kept")).collect()
}

/// Runs a phase: its results by their words; its effects are applied at the end, all at once.
pub fn run(graph: &Graph, env: &mut Env, phase: Phase) -> BTreeMap<String, Tensor> {
    let effects = graph.effects.get(&phase).cloned().unwrap_or_default();
    let results = graph.results.get(&phase).cloned().unwrap_or_default();
    let roots: Vec<NodeId> = effects.iter().chain(results.values()).copied().collect();
    let mut values = evaluate(graph, env, &roots);
    let read = values.split_off(effects.len());
    for (effect, value) in effects.iter().zip(values) {
        match graph.op(*effect) {
            Op::Update(Target::Param(id)) => env.params[id.0 as usize] = value,
            Op::Update(Target::State(id)) => env.states[id.0 as usize] = value,
            other => panic!("effect %{} is not an update but {other:?}", effect.0),
        }
    }
    results.into_keys().map(String::from).zip(read).collect()
}

/// The definition of an op.
fn apply(graph: &Graph, env: &Env, id: NodeId, given: &[&Tensor]) -> Tensor {
    match graph.op(id) {
        Op::Input { source, shape, .. } => {
            let bound = env.externs.get(source).unwrap_or_else(|| panic!("{source:?} is not bound"));
            assert_eq!(bound.shape, *shape, "{source:?} is bound to another shape");
            bound.clone()
        }
        Op::Param(id) => {
            let (param, value) = (graph.param(*id), &env.params[id.0 as usize]);
            assert_eq!(param.shape, value.shape, "`{}` has another shape", param.path);
            value.clone()
        }
        Op::State(id) => {
            let (state, value) = (graph.state(*id), &env.states[id.0 as usize]);
            assert_eq!(state.shape, value.shape, "`{}` has another shape", state.path);
            value.clone()
        }
        Op::Const { fill: Fill::Value(value), shape } => Tensor::filled(shape.clone(), value.0),
        Op::Const { fill: Fill::Range, shape } => {
            Tensor::new(shape.clone(), (0..shape.len()).map(|it| it as f64).collect())
        }
        Op::Const { fill: Fill::List(numbers), shape } => {
            Tensor::new(shape.clone(), numbers.iter().map(|it| it.0).collect())
        }
        Op::Const { fill: Fill::Eye, shape } => {
            let mut eye = Tensor::filled(shape.clone(), 0.0);
            let [n, _] = eye.dims::<2>();
            (0..n).for_each(|at| eye.data[at * n + at] = 1.0);
            eye
        }
        Op::Conv(geometry) => conv::forward(given[0], given[1], geometry),
        Op::ConvInputGrad { geometry, size } => conv::input_grad(given[0], given[1], geometry, *size),
        Op::ConvFilterGrad(geometry) => conv::filter_grad(given[0], given[1], geometry),
        Op::MatMul { transpose_a, transpose_b } => matmul::matmul(given[0], given[1], *transpose_a, *transpose_b),
        Op::Map { body, int } => map::map(body, *int, given),
        Op::Reduce { kind, axes } => reduce::reduce(*kind, axes, given[0]),
        Op::Broadcast(to) => map::broadcast(given[0], to),
        Op::Reshape(to) => Tensor::new(to.clone(), given[0].data.clone()),
        Op::Transpose(perm) => movement::transpose(given[0], perm),
        Op::Assemble { shape, places } => movement::assemble(shape, places, given),
        Op::Window { kind, geometry } => match kind {
            Window::Sum => window::sum(given[0], geometry),
            Window::SumGrad { size } => window::sum_grad(given[0], geometry, *size),
            Window::Max => window::max(given[0], geometry),
            Window::MaxGrad => window::max_grad(given[0], given[1], geometry),
        },
        Op::Gather => movement::pick(given[0], given[1]),
        Op::Augment { steps } => {
            let whole = graph.fact(id).dtype() != Some(DType::Real);
            augment::augment(given[0], whole, given[1], given.get(2).copied(), steps)
        }
        Op::Scatter { rows } => movement::scatter(*rows, given[0], given[1]),
        // Of a batch in one shard.
        Op::AllReduce(Across::Sum | Across::Max) => given[0].clone(),
        Op::Loss(kind) => loss::loss(*kind, given),
        Op::Random { kind, shape, stream, first } => random::random(*kind, shape, env.seed, *stream, *first, given[0]),
        Op::Update(_) => given[0].clone(),
    }
}

#[cfg(test)]
mod tests;
