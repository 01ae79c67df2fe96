//! Graphs with weights, what the interpreter makes of them, and what programs for ONNX do.

use sphc::export::{ExportError, Facts, Network, onnx, torch};
use sphc::interp::{Env, Tensor, evaluate};
use sphc::ir::augment::Augment;
use sphc::ir::{
    DType, Extern, Figure, Graph, Init, NodeId, Op, OriginId, Param, ParamRole, Phase, ResultKey, Shape, State,
    StateRole, random,
};
use sphc::shape::Builder;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Numbers that look like noise, in [-2, 2), each exact in f32.
fn noise(stream: &str, count: usize) -> Vec<f64> {
    let stream = random::stream(stream);
    (0..count).map(|at| 4.0 * f64::from(random::uniform(5, stream, 0, at)) - 2.0).collect()
}

pub(crate) fn param<const R: usize>(b: &mut Builder, name: &str, shape: [usize; R]) -> NodeId {
    let count = b.graph().params.len();
    let id = b.tables().add_param(Param {
        path: format!("layer/{name}_{count}"),
        shape: Shape::from(shape),
        init: Init::Normal(sphc::ir::op::Scalar64(0.5)),
        role: ParamRole::Learned,
        layer: "layer".into(),
        operator: String::new(),
        origin: OriginId::default(),
    });
    b.add(Op::Param(id), &[])
}

pub(crate) fn state<const R: usize>(b: &mut Builder, name: &str, shape: [usize; R], dtype: DType) -> NodeId {
    let id = b.tables().add_state(State {
        path: format!("layer/{name}"),
        shape: Shape::from(shape),
        dtype,
        init: 3.0,
        role: StateRole::Running,
        never_negative: false,
        origin: OriginId::default(),
    });
    b.add(Op::State(id), &[])
}

fn finished(mut b: Builder, result: NodeId) -> Graph {
    b.tables().results.entry(Phase::Evaluate).or_default().insert(Figure::Scores.into(), result);
    b.finish().graph().clone()
}

/// A graph of one input `x`, with a batch of `n`.
pub(crate) fn of_graph(
    n: usize,
    each: [usize; 3],
    dtype: DType,
    make: impl Fn(&mut Builder, NodeId) -> NodeId,
) -> Graph {
    let mut b = Builder::empty("case");
    let x = b.named_input("x", [n, each[0], each[1], each[2]], dtype);
    let result = make(&mut b, x);
    finished(b, result)
}

/// A batch of `n` of a data set's images, after steps, doubled.
pub(crate) fn of_images(n: usize, image: [usize; 3], steps: &[Augment]) -> Graph {
    let mut b = Builder::empty("case");
    let shape = Shape([&[n], &image[..]].concat());
    let all = b.add(Op::Input { source: Extern::TestImages, shape, dtype: DType::U8 }, &[]);
    let index = b.named_input("index", [n], DType::Int);
    let images = b.add(Op::picks(steps), &[all, index]);
    let result = b.scale(images, 2.0);
    finished(b, result)
}

/// How numbers must agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Relative to the largest.
    Scaled,
    /// Each relative to itself.
    Each,
}

/// What the leaves of a graph hold: noise around what they start with, the images as well. All of it is exact in f32.
fn leaves(graph: &Graph) -> Env {
    let mut env = Env::new(graph, 1);
    let near = |it: &mut Tensor, path: &str, least: f64| {
        for (value, noise) in it.data.iter_mut().zip(noise(path, it.shape.len())) {
            *value = f64::from((*value + 0.05 * noise).max(least) as f32);
        }
    };
    for (value, param) in env.params.iter_mut().zip(&graph.params) {
        near(value, &param.path, f64::NEG_INFINITY);
    }
    for (value, state) in env.states.iter_mut().zip(&graph.states) {
        if state.dtype == DType::Real {
            near(value, &state.path, if state.never_negative { 0.01 } else { f64::NEG_INFINITY });
        }
    }
    for id in graph.ids() {
        let Op::Input { source, shape, dtype } = graph.op(id) else { continue };
        let data = noise("given", shape.len());
        let data = match dtype {
            DType::U8 => data.into_iter().map(|it| ((it + 2.0) * 64.0).floor()).collect(),
            DType::U16 => data.into_iter().map(|it| ((it + 2.0) * 16384.0).floor()).collect(),
            DType::Int => (0..shape.len()).map(|it| it as f64).collect(),
            DType::Real | DType::Bf16 => data,
        };
        env.externs.insert(source.clone(), Tensor::new(shape.clone(), data));
    }
    env
}

/// The network of a graph with the weights of an environment.
pub(crate) fn network(make: &dyn Fn(usize) -> Graph, env: &Env, of: &Graph) -> Result<Network, ExportError> {
    let mut read = |path: &str| {
        let param = of.find_param(path).map(|it| env.params[it.0 as usize].data.clone());
        Ok(param.or_else(|| of.find_state(path).map(|it| env.states[it.0 as usize].data.clone())).unwrap())
    };
    Network::new(&mut |n| Ok(make(n)), &mut read)
}

/// Cases for programs that read ONNX, run together.
pub(crate) struct Judge {
    python: String,
    /// A Python that has PyTorch.
    torch: Option<String>,
    folder: tempfile::TempDir,
    /// Cases, what is compared of each, and how far it may be off.
    wanted: Vec<(String, Wanted, f64)>,
}

/// Images at once: not one of the sizes that a network is read from.
const BATCH: usize = 2;

/// A Python that has ONNX and its runtime, if they can be installed here. CI sets `SPHC_REQUIRE_ONNX`, so that nothing is
/// skipped there.
pub(crate) fn python() -> Option<String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/onnx/setup.sh");
    let output = Command::new("sh").arg(script).output().unwrap();
    if output.status.success() {
        return Some(String::from_utf8(output.stdout).unwrap().trim().to_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(std::env::var_os("SPHC_REQUIRE_ONNX").is_none(), "tests/onnx/setup.sh failed:\n{said}");
    eprintln!("skipped: tests/onnx/setup.sh cannot install ONNX here:\n{said}");
    None
}

/// A Python that has PyTorch: that of `SPHC_PYTORCH`, or what `tests/peer` installed. Too much to install for each run.
pub(crate) fn pytorch() -> Option<String> {
    let found = std::env::var("SPHC_PYTORCH").ok().filter(|it| !it.is_empty());
    let peer = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/torch/bin/python");
    let found = found.or_else(|| peer.exists().then(|| peer.display().to_string()));
    if found.is_none() {
        eprintln!("PyTorch is not asked: `SPHC_PYTORCH` names no Python that has it");
    }
    found
}

/// A safetensors file in 64 bits.
fn write_weights(path: &Path, network: &Network) {
    let (mut header, mut data) = (serde_json::Map::new(), Vec::new());
    let mut nodes: Vec<_> = network.nodes.iter().filter_map(|it| Some((network.path(&it.op)?, it))).collect();
    nodes.sort_by_key(|it| it.0);
    for (name, node) in nodes {
        let start = data.len();
        let whole = node.dtype == DType::Int;
        for it in &network.tensors[name] {
            data.extend(if whole { (*it as i64).to_le_bytes() } else { it.to_le_bytes() });
        }
        let dtype = if whole { "I64" } else { "F64" };
        let shape = node.fixed().unwrap();
        let entry = serde_json::json!({ "dtype": dtype, "shape": shape, "data_offsets": [start, data.len()] });
        header.insert(name.to_owned(), entry);
    }
    let header = serde_json::Value::Object(header).to_string();
    fs::write(path, [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &data].concat()).unwrap();
}

impl Judge {
    pub(crate) fn new() -> Option<Judge> {
        Some(Judge { python: python()?, torch: pytorch(), folder: tempfile::tempdir().unwrap(), wanted: Vec::new() })
    }

    /// Adds a graph that is made for a batch, in 32 and 64 bits, folded and not.
    pub(crate) fn add(&mut self, name: &str, make: &dyn Fn(usize) -> Graph, wanted: Wanted) {
        let graph = make(BATCH);
        let env = leaves(&graph);
        let scores = graph.results[&Phase::Evaluate][&ResultKey::from(Figure::Scores)];
        let expected = evaluate(&graph, &env, &[scores]).remove(0);
        let network = network(make, &env, &graph).unwrap_or_else(|it| panic!("{name}: {it}"));
        let inputs: Vec<&Tensor> = network
            .nodes
            .iter()
            .filter_map(|it| if let Op::Input { source, .. } = &it.op { Some(&env.externs[source]) } else { None })
            .collect();
        let byte = network.nodes.iter().any(|it| matches!(it.op, Op::Input { dtype: DType::U8, .. }));
        if self.torch.is_some() {
            let stored = network.tensors.keys().cloned().collect();
            let facts = Facts { about: name.into(), ..Facts::default() };
            let text = torch(&network, &facts, &stored).unwrap_or_else(|it| panic!("{name}: {it}"));
            fs::write(self.folder.path().join(format!("{name}.py")), text).unwrap();
            write_weights(&self.folder.path().join(format!("{name}.safetensors")), &network);
        }
        for (double, network) in [(false, network.clone()), (true, network.clone()), (false, network.folded())] {
            let facts = Facts { double, about: name.into(), ..Facts::default() };
            let bytes = onnx(&network, &facts).unwrap_or_else(|it| panic!("{name}: {it}"));
            let form = if double {
                "64"
            } else if network.folded {
                "folded"
            } else {
                "32"
            };
            let stem = self.folder.path().join(format!("{name}.{form}.x"));
            fs::write(stem.with_extension("onnx"), bytes).unwrap();
            let mut told = Vec::new();
            for (at, input) in inputs.iter().enumerate() {
                let (dtype, bytes): (&str, Vec<u8>) = match (byte, double) {
                    (true, _) => ("uint8", input.data.iter().map(|it| *it as u8).collect()),
                    (false, true) => ("float64", input.data.iter().flat_map(|it| it.to_le_bytes()).collect()),
                    (false, false) => {
                        ("float32", input.data.iter().flat_map(|it| (*it as f32).to_le_bytes()).collect())
                    }
                };
                fs::write(stem.with_extension(at.to_string()), bytes).unwrap();
                told.push(serde_json::json!({ "dtype": dtype, "shape": input.shape.dims() }));
            }
            let numbers: Vec<u8> = expected.data.iter().flat_map(|it| it.to_le_bytes()).collect();
            fs::write(stem.with_extension("wanted"), numbers).unwrap();
            let facts = serde_json::json!({ "inputs": told, "shape": expected.shape.dims() });
            fs::write(stem.with_extension("json"), facts.to_string()).unwrap();
            let bound = if double { 1e-12 } else { 1e-5 };
            self.wanted.push((format!("{name}.{form}"), wanted, bound));
        }
    }

    /// What a script says of the cases.
    fn said(&self, python: &str, script: &str) -> Vec<String> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/onnx").join(script);
        let output = Command::new(python).arg(script).arg(self.folder.path()).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
        said.lines().map(str::to_owned).collect()
    }

    /// Runs all cases.
    pub(crate) fn finish(self) {
        let mut problems = Vec::new();
        let mut count = 0;
        for line in self.said(&self.python, "judge.py") {
            let (name, scaled, each): (String, f64, f64) = serde_json::from_str(&line).unwrap();
            let (_, wanted, bound) = self.wanted.iter().find(|it| it.0 == name).expect("a case of ours");
            let off = if *wanted == Wanted::Each { each } else { scaled };
            println!("{name}: {off:.1e}");
            if *bound < off || off.is_nan() {
                problems.push(format!("{name}: off by {off:e}, and {bound:e} is allowed"));
            }
            count += 1;
        }
        assert_eq!(count, self.wanted.len());
        for line in self.torch.iter().flat_map(|it| self.said(it, "run_torch.py")) {
            let (name, scaled, each): (String, f64, f64) = serde_json::from_str(&line).unwrap();
            let (_, wanted, bound) = self.wanted.iter().find(|it| it.0 == name).expect("a case of ours");
            let off = if *wanted == Wanted::Each { each } else { scaled };
            println!("{name} in PyTorch: {off:.1e}");
            if *bound < off || off.is_nan() {
                problems.push(format!("{name} in PyTorch: off by {off:e}, and {bound:e} is allowed"));
            }
            count += 1;
        }
        // In 32 and in 64 bits; folded networks are for ONNX.
        let torch = if self.torch.is_some() { self.wanted.len() / 3 * 2 } else { 0 };
        assert_eq!(count, self.wanted.len() + torch);
        assert!(problems.is_empty(), "{}", problems.join("\n"));
    }
}
