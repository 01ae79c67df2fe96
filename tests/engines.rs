//! What runs a graph in the tests: the interpreter, and plans on the CPU in both precisions.

use crate::machine::Machine as Slow;
use sphc::diag::{Sink, Sources};
use sphc::fuse::fuse;
use sphc::interp::{Env, Tensor, run};
use sphc::ir::{Extern, Graph, Phase};
use sphc::lower::Settings;
use sphc::plan::{Config, Precision, plan};
use sphc::shape::{Typed, check};
use std::collections::BTreeMap;

/// Compiles a text up to its checked graph; panics with the diagnostics of a text that has mistakes.
pub(crate) fn typed(name: &str, text: &str, settings: &Settings) -> Typed {
    let mut sources = Sources::default();
    let main = sources.add(name, text);
    let mut sink = Sink::new();
    let file = sphc::syntax::parse(main, text, &mut sink);
    let mut load = |path: &str| std::fs::read_to_string(path).map_err(|error| error.to_string());
    let graph = sphc::lower::lower(&file, main, &mut sources, &mut load, settings, &mut sink);
    let typed = graph.filter(|_| !sink.has_errors()).and_then(|it| check(it, &mut sink));
    match typed {
        Some(typed) if !sink.has_errors() => typed,
        _ => panic!("{name} does not compile: {:#?}\n{text}", sink.finish()),
    }
}

/// What runs a graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Engine {
    /// The definition.
    Interpreter,
    /// A plan in f64, on the slow machine of the tests.
    SlowPlan,
}

impl Engine {
    /// All of them.
    pub(crate) const ALL: [Engine; 2] = [Engine::Interpreter, Engine::SlowPlan];

    /// How close ops come to golden f64, relative to the tensor's largest entry.
    pub(crate) fn tolerance(self) -> f64 {
        match self {
            Engine::Interpreter | Engine::SlowPlan => 1e-10,
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
    Slow { machine: Slow, results: Answers },
}

impl Machine {
    /// Readies a graph with its initial values.
    pub(crate) fn new(engine: Engine, graph: Typed) -> Machine {
        match engine {
            Engine::Interpreter => {
                let env = Env::new(&graph, graph.recipe.as_ref().map_or(0, |it| it.seed));
                Machine::Interpreter { graph: Box::new(graph), env, results: BTreeMap::new() }
            }
            Engine::SlowPlan => {
                let config = Config { precision: Precision::F64, hash: String::new(), line: &|_| String::new() };
                let plan = plan(&fuse(graph), &config);
                Machine::Slow { machine: Slow::new(plan), results: BTreeMap::new() }
            }
        }
    }

    /// Binds a buffer from outside.
    pub(crate) fn bind(&mut self, source: Extern, value: &Tensor) {
        match self {
            Machine::Interpreter { env, .. } => {
                env.externs.insert(source, value.clone());
            }
            Machine::Slow { machine, .. } => machine.bind(&source, &value.data),
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
        }
    }

    /// The numbers of a parameter or state.
    pub(crate) fn read(&mut self, path: &str) -> Vec<f64> {
        match self {
            Machine::Interpreter { graph, env, .. } => slot(graph, env, path).data.clone(),
            Machine::Slow { machine, .. } => machine.read(path),
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
        }
    }

    /// A result of the phase that ran last.
    pub(crate) fn result(&self, phase: Phase, name: &str) -> Vec<f64> {
        match self {
            Machine::Interpreter { results, .. } | Machine::Slow { results, .. } => {
                let found = results.get(&phase).and_then(|it| it.get(name));
                found.unwrap_or_else(|| panic!("{phase:?} has no result `{name}`")).clone()
            }
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
