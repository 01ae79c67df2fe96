//! What `show` tells of layers, of functions beside them, and of what blocks learn themselves.

use sphc::Compilation;
use sphc::ir::op::Scalar64;
use sphc::ir::{Argument, DType, Graph, Init, Param, Phase, StateRole, Whitening};
use sphc::pipeline::line_of;
use sphc::plan::Training;
use std::collections::BTreeMap;

/// What is shown of a layer.
pub(in crate::cli) struct Row {
    pub(in crate::cli) path: String,
    pub(super) of: Of,
    /// What it is, with what it was given that is not its default.
    pub(in crate::cli) kind: String,
    /// What is called.
    pub(super) callee: String,
    /// All that it can be given.
    pub(in crate::cli) arguments: Vec<(String, Argument)>,
    /// Functions of its result.
    pub(in crate::cli) then: Vec<String>,
    pub(in crate::cli) shape: Vec<usize>,
    /// What it learns.
    pub(in crate::cli) learned: Vec<Tensor>,
    /// What it keeps besides: running statistics.
    pub(super) kept: Vec<Tensor>,
    /// Of evaluating one example.
    pub(super) flops: u64,
    /// Of its result in training, for one batch.
    pub(super) bytes: usize,
    pub(super) line: String,
}

/// What a row is of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Of {
    Layer,
    /// A function of what is no layer's result.
    Function,
    /// A block of layers that learns something itself.
    Block,
}

/// A tensor of a layer.
pub(in crate::cli) struct Tensor {
    /// Below its layer's path: `filter`.
    pub(in crate::cli) name: String,
    pub(in crate::cli) dims: Vec<usize>,
    pub(super) role: &'static str,
    /// Whether no training moves it.
    pub(super) frozen: bool,
    /// How it starts.
    pub(super) start: String,
}

impl Tensor {
    /// `3x3x1x8, starts at Normal(0.47), frozen`.
    pub(in crate::cli) fn about(&self) -> String {
        let frozen = if self.frozen { ", frozen" } else { "" };
        format!("{} {}, starts {}{frozen}", self.role, super::shape(&self.dims), self.start)
    }
}

impl Row {
    pub(in crate::cli) fn is_layer(&self) -> bool {
        self.of != Of::Function
    }

    pub(in crate::cli) fn parameters(&self) -> usize {
        count(&self.learned, |_| true)
    }

    pub(super) fn frozen(&self) -> usize {
        count(&self.learned, |it| it.frozen)
    }
}

fn count(tensors: &[Tensor], wanted: impl Fn(&Tensor) -> bool) -> usize {
    tensors.iter().filter(|it| wanted(it)).map(|it| it.dims.iter().product::<usize>()).sum()
}

/// In the order of the text.
pub(in crate::cli) fn rows(model: &Compilation) -> Vec<Row> {
    let graph = model.compiled.training.graph();
    let sources = &model.checked.sources;
    let batch = model.compiled.plan.training.as_ref().map_or(1, Training::part);
    let bytes = |dims: &[usize]| dims.iter().product::<usize>() * model.compiled.plan.precision.bytes(DType::Real);
    let (mut learned, mut kept) = (learned(graph), kept(graph));
    let flops = flops(model);
    let mut rows: Vec<Row> = Vec::new();
    let mut applied = graph.applied.iter().peekable();
    for (at, layer) in graph.layers.iter().enumerate() {
        while let Some(it) = applied.next_if(|it| it.at <= at) {
            rows.push(function(it, bytes(&it.dims), line_of(graph, sources, it.origin)));
        }
        let dims = graph.shape(layer.output).dims();
        rows.push(Row {
            path: layer.path.clone(),
            of: Of::Layer,
            kind: layer.callee.text.clone(),
            callee: layer.callee.name.clone(),
            arguments: layer.callee.arguments.clone(),
            then: layer.then.clone(),
            shape: dims.get(1..).unwrap_or(&[]).to_vec(),
            learned: learned.remove(&layer.path).unwrap_or_default(),
            kept: kept.remove(&layer.path).unwrap_or_default(),
            flops: flops.get(&layer.path).copied().unwrap_or(0) / batch as u64,
            bytes: bytes(dims),
            line: line_of(graph, sources, layer.origin),
        });
    }
    rows.extend(applied.map(|it| function(it, bytes(&it.dims), line_of(graph, sources, it.origin))));
    // What a block of layers learns itself stands before the first of these.
    for param in &graph.params {
        let Some(learned) = learned.remove(&param.layer) else { continue };
        let inside = format!("{}/", param.layer);
        let at = rows.iter().position(|it| it.path.starts_with(&inside)).unwrap_or(rows.len());
        let block = graph.blocks.iter().find(|it| it.path == param.layer).map(|it| &it.callee);
        rows.insert(
            at,
            Row {
                path: param.layer.clone(),
                of: Of::Block,
                kind: block.map_or_else(|| "block".to_owned(), |it| it.text.clone()),
                callee: block.map_or_else(|| "block".to_owned(), |it| it.name.clone()),
                arguments: block.map_or_else(Vec::new, |it| it.arguments.clone()),
                then: Vec::new(),
                shape: Vec::new(),
                learned,
                kept: kept.remove(&param.layer).unwrap_or_default(),
                flops: 0,
                bytes: 0,
                line: line_of(graph, sources, param.origin),
            },
        );
    }
    rows
}

fn function(it: &sphc::ir::Applied, bytes: usize, line: String) -> Row {
    Row {
        path: it.path.clone(),
        of: Of::Function,
        kind: String::new(),
        callee: String::new(),
        arguments: Vec::new(),
        then: it.then.clone(),
        shape: it.dims.get(1..).unwrap_or(&[]).to_vec(),
        learned: Vec::new(),
        kept: Vec::new(),
        flops: 0,
        bytes,
        line,
    }
}

/// By layer. A layer's cost is that of the kernels that begin in it.
fn flops(model: &Compilation) -> BTreeMap<String, u64> {
    let graph = model.compiled.training.graph();
    let mut flops = BTreeMap::new();
    for group in model.compiled.fused.phases.get(&Phase::Evaluate).into_iter().flatten() {
        *flops.entry(group.layer(graph).to_owned()).or_insert(0) += group.flops;
    }
    flops
}

/// Trained tensors by layer.
fn learned(graph: &Graph) -> BTreeMap<String, Vec<Tensor>> {
    let mut frozen = vec![false; graph.params.len()];
    graph.recipe.iter().flat_map(|it| &it.frozen).for_each(|it| frozen[it.0 as usize] = true);
    let mut all: BTreeMap<String, Vec<Tensor>> = BTreeMap::new();
    for (param, frozen) in graph.params.iter().zip(frozen) {
        let Param { path, shape, role, layer, init, .. } = param;
        let name = path.strip_prefix(&format!("{layer}/")).unwrap_or(path).to_owned();
        let tensor = Tensor { name, dims: shape.dims().to_vec(), role: role.word(), frozen, start: start(init) };
        all.entry(layer.clone()).or_default().push(tensor);
    }
    all
}

/// How a parameter starts, in words near the language's.
fn start(init: &Init) -> String {
    let numbers = |it: &[Scalar64; 3]| it.map(|it| it.0.to_string()).join(", ");
    match init {
        Init::Constant(it) => format!("at {}", it.0),
        Init::Normal(it) => format!("normal(std: {})", it.0),
        Init::Uniform(it) => format!("uniform(from {} to {})", -it.0, it.0),
        Init::Orthogonal(it) => format!("orthogonal(gain: {})", it.0),
        Init::Dirac => "dirac".to_owned(),
        Init::Whitening(Whitening { mean, deviation, epsilon, examples }) => format!(
            "whitening(epsilon: {}, examples: {examples}) of ([{}], [{}])",
            epsilon.0,
            numbers(mean),
            numbers(deviation)
        ),
    }
}

/// Running statistics by layer.
fn kept(graph: &Graph) -> BTreeMap<String, Vec<Tensor>> {
    let mut all: BTreeMap<String, Vec<Tensor>> = BTreeMap::new();
    for state in graph.states.iter().filter(|it| it.role == StateRole::Running) {
        let (layer, name) = state.path.rsplit_once('/').unwrap_or(("", &state.path));
        let dims = state.shape.dims().to_vec();
        let tensor = Tensor {
            name: name.to_owned(),
            dims,
            role: state.role.word(),
            frozen: false,
            start: state.init.to_string(),
        };
        all.entry(layer.to_owned()).or_default().push(tensor);
    }
    all
}
