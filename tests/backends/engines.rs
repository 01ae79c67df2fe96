//! What runs a graph in the tests: the interpreter, and plans on the CPU in both precisions.

use crate::compiler::machine::Machine as Slow;
use sphc::diag::{Sink, Sources};
use sphc::fuse::fuse;
use sphc::interp::{Env, Tensor, run};
use sphc::ir::{DType, Extern, Fact, Graph, Op, Phase, Precision, ResultKey};
use sphc::lower::{DataInfo, Settings};
use sphc::plan::{Config, plan};
use sphc::runtime::Session;
use sphc::runtime::cpu::CpuBackend;
use sphc::shape::{Typed, check};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Compiles a text up to its checked graph; panics with the diagnostics of a text that has mistakes.
pub(crate) fn typed(name: &str, text: &str, settings: &Settings) -> Typed {
    let mut sources = Sources::default();
    let main = sources.add(name, text);
    let mut sink = Sink::new();
    let file = sphc::syntax::parse(main, text, &mut sink);
    let mut load = |path: &str| std::fs::read_to_string(path).map_err(|error| error.to_string());
    let graph = sphc::lower::lower(&file, main, &mut sources, &mut load, settings, &mut sink).graph;
    let typed = graph.filter(|_| !sink.has_errors()).and_then(|it| check(it, &mut sink).ok());
    match typed {
        Some(typed) if !sink.has_errors() => typed,
        _ => panic!("{name} does not compile: {:#?}\n{text}", sink.finish()),
    }
}

/// Settings under which the data set `digits` is one of so many images of these extents and classes.
pub(crate) fn stand_in(image: [usize; 3], classes: usize, examples: usize) -> Settings {
    let data = DataInfo::images("digits", image, classes, [examples, examples]);
    Settings { known_data: vec![data.clone()], data: Some(data), ..Settings::default() }
}

/// What runs a graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Engine {
    /// The definition.
    Interpreter,
    /// A plan in f64, on the slow machine of the tests.
    SlowPlan,
    /// A plan in f64.
    CpuF64,
    /// A plan in f32.
    CpuF32,
}

impl Engine {
    /// All of them.
    pub(crate) const ALL: [Engine; 4] = [Engine::Interpreter, Engine::SlowPlan, Engine::CpuF64, Engine::CpuF32];

    /// How close ops come to golden f64, relative to the tensor's largest entry.
    pub(crate) fn tolerance(self) -> f64 {
        match self {
            Engine::Interpreter | Engine::SlowPlan | Engine::CpuF64 => 1e-10,
            Engine::CpuF32 => 2e-5,
        }
    }
}

/// Results of each phase when it last ran.
type Answers = BTreeMap<Phase, BTreeMap<String, Vec<f64>>>;

/// A graph being run by some engine.
pub(crate) enum Machine {
    /// The interpreter with what the leaves hold.
    Interpreter { graph: Box<Typed>, env: Env, results: Answers },
    /// A plan on the slow machine.
    Slow { machine: Box<Slow>, results: Answers },
    /// A plan on the CPU; the graph says which dtype an input has.
    Cpu { graph: Box<Typed>, session: Session },
}

impl Machine {
    /// Readies a graph with its initial values.
    pub(crate) fn new(engine: Engine, graph: Typed) -> Machine {
        let precision = match engine {
            Engine::Interpreter => {
                let env = Env::new(&graph, graph.recipe.as_ref().map_or(0, |it| it.seed));
                return Machine::Interpreter { graph: Box::new(graph), env, results: BTreeMap::new() };
            }
            Engine::SlowPlan | Engine::CpuF64 => Precision::F64,
            Engine::CpuF32 => Precision::F32,
        };
        let fused = fuse(graph.clone());
        let config = Config { precision, hash: String::new(), source: String::new(), line: &|_| String::new() };
        let plan = plan(&fused, &config);
        if engine == Engine::SlowPlan {
            return Machine::Slow { machine: Box::new(Slow::new(plan)), results: BTreeMap::new() };
        }
        let plan = Arc::new(plan);
        let backend = CpuBackend::new(plan.clone(), Some(2)).expect("the CPU is there");
        let session = Session::new(plan, Box::new(backend)).expect("there is memory");
        Machine::Cpu { graph: Box::new(graph), session }
    }

    /// Binds a buffer from outside.
    pub(crate) fn bind(&mut self, source: Extern, value: &Tensor) {
        match self {
            Machine::Interpreter { env, .. } => {
                env.externs.insert(source, value.clone());
            }
            Machine::Slow { machine, .. } => machine.bind(&source, &value.data),
            Machine::Cpu { graph, session } => {
                let Some(dtype) = input_dtype(graph, &source) else { return };
                let bytes: Vec<u8> = match (dtype, session.plan.precision) {
                    (DType::U8, _) => value.data.iter().map(|it| *it as u8).collect(),
                    (DType::U16, _) => value.data.iter().flat_map(|it| (*it as u16).to_ne_bytes()).collect(),
                    (DType::Int, _) => value.data.iter().flat_map(|it| (*it as i64).to_ne_bytes()).collect(),
                    (DType::Bf16, _) => panic!("no tensor of a graph has 16 bits"),
                    (DType::Real, Precision::F64) => value.data.iter().flat_map(|it| it.to_ne_bytes()).collect(),
                    (DType::Real, _) => value.data.iter().flat_map(|it| (*it as f32).to_ne_bytes()).collect(),
                };
                session.bind(source, &bytes).expect("the sizes agree");
            }
        }
    }

    /// Binds a named input.
    pub(crate) fn bind_named(&mut self, name: &str, value: &Tensor) {
        self.bind(Extern::Named(name.to_owned()), value);
    }

    /// Replaces a parameter or state.
    pub(crate) fn write(&mut self, path: &str, values: &[f64]) {
        match self {
            Machine::Interpreter { graph, env, .. } => slot(graph, env, path).data.copy_from_slice(values),
            Machine::Slow { machine, .. } => machine.write(path, values),
            Machine::Cpu { session, .. } => session.write(path, values).unwrap_or_else(|error| panic!("{error}")),
        }
    }

    /// The numbers of a parameter or state.
    pub(crate) fn read(&mut self, path: &str) -> Vec<f64> {
        match self {
            Machine::Interpreter { graph, env, .. } => slot(graph, env, path).data.clone(),
            Machine::Slow { machine, .. } => machine.read(path),
            Machine::Cpu { session, .. } => session.read(path).unwrap_or_else(|| panic!("there is no `{path}`")),
        }
    }

    /// Runs a phase.
    pub(crate) fn run(&mut self, phase: Phase) {
        match self {
            Machine::Interpreter { graph, env, results } => {
                let found = run(graph, env, phase).into_iter().map(|(name, it)| (name, it.data)).collect();
                results.insert(phase, found);
            }
            Machine::Slow { machine, results } => {
                results.insert(phase, machine.run(phase));
            }
            Machine::Cpu { session, .. } => session.run(phase).unwrap_or_else(|error| panic!("{error}")),
        }
    }

    /// A result of the phase that ran last.
    pub(crate) fn result(&self, phase: Phase, key: impl Into<ResultKey>) -> Vec<f64> {
        let key = key.into();
        match self {
            Machine::Interpreter { results, .. } | Machine::Slow { results, .. } => {
                let found = results.get(&phase).and_then(|it| it.get(&*key.word()));
                found.unwrap_or_else(|| panic!("{phase:?} has no result `{key}`")).clone()
            }
            Machine::Cpu { session, .. } => session.result(phase, key).unwrap(),
        }
    }
}

fn slot<'a>(graph: &Graph, env: &'a mut Env, path: &str) -> &'a mut Tensor {
    match (graph.find_param(path), graph.find_state(path)) {
        (Some(id), _) => &mut env.params[id.0 as usize],
        (_, Some(id)) => &mut env.states[id.0 as usize],
        _ => panic!("there is no `{path}`"),
    }
}

fn input_dtype(graph: &Graph, wanted: &Extern) -> Option<DType> {
    graph.ids().find_map(|id| match (graph.op(id), graph.fact(id)) {
        (Op::Input { source, .. }, Fact::Known { dtype, .. }) if source == wanted => Some(*dtype),
        _ => None,
    })
}
