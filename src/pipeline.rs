//! (Unstable.) Every pass, once, in order.
//!
//! [`check`] goes as far as a user's mistakes can show; [`compile`] cannot fail. In debug builds the
//! verifier runs after every pass and names the one that broke an invariant.

mod cascade;
mod deep;
mod identity;

use crate::diag::{Diagnostic, FileId, Severity, Sink, Sources};
use crate::fuse::{Fused, fuse};
use crate::ir::{Graph, OriginId, Precision, Response, verify};
use crate::lower::{self, Index, Lowered, Settings, lower};
use crate::plan::{Config, Plan, plan};
use crate::shape::Typed;
use crate::syntax::{ast, parse};
use crate::{autodiff, shape};
use cascade::{Told, once};
use deep::{Load, on_a_deep_stack};
use std::time::{Duration, Instant};

pub use identity::{Identity, identity};

/// How long a pass took.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// Its name.
    pub pass: &'static str,
    /// From its start to its end.
    pub time: Duration,
}

/// A text with everything that was found in it.
pub struct Checked {
    /// The text, what it imports, and the prelude.
    pub sources: Sources,
    /// In order of place.
    pub diagnostics: Vec<Diagnostic>,
    /// The tree; parts that could not be read are missing from it.
    pub ast: ast::File,
    /// The checked graph, when there were no errors.
    pub typed: Option<Typed>,
    /// The graph of a text with errors, as far as there is one.
    unsound: Option<Graph>,
    /// What editors are told; empty unless the settings ask for it.
    pub index: Index,
    /// What it took.
    pub timings: Vec<Timing>,
}

impl Checked {
    /// The graph, checked or not, when there is one.
    pub fn graph(&self) -> Option<&Graph> {
        self.typed.as_ref().map(Typed::graph).or(self.unsound.as_ref())
    }
}

/// What the compiler makes of a checked graph.
pub struct Compiled {
    /// With loss, gradients and updates.
    pub training: Typed,
    /// Grouped into kernels.
    pub fused: Fused,
    /// To be run.
    pub plan: Plan,
    /// What it took.
    pub timings: Vec<Timing>,
}

/// Parses, lowers and checks `text`. `load` reads imports, given a path that is already joined to
/// the importing file's.
pub fn check(
    path: &str,
    text: &str,
    load: &mut dyn FnMut(&str) -> Result<String, String>,
    settings: &Settings,
) -> Checked {
    on_a_deep_stack(load, |load| check_here(path, text, load, settings))
}

fn check_here(path: &str, text: &str, load: Load<'_>, settings: &Settings) -> Checked {
    let mut sources = Sources::new();
    let main = sources.add(path, text);
    let mut sink = Sink::new();
    let mut timings = Vec::new();

    let ast = timed("syntax", &mut timings, || parse(main, text, &mut sink));
    let mut found = Sink::new();
    let Lowered { graph, index } =
        timed("lower", &mut timings, || lower(&ast, main, &mut sources, load, settings, &mut found));
    let told = Told::of(&ast, found.finish(), &sink.errors().collect::<Vec<_>>(), &sources);
    let graph = graph.filter(|_| !told.broken);
    for it in told.reports {
        sink.push(it);
    }
    let shaped = graph.map(|it| {
        verified(&it, "lower");
        let mut follows = Sink::new();
        let shapes = if told.other_input { &mut follows } else { &mut sink };
        timed("shape", &mut timings, || shape::check(it, shapes))
    });
    let (typed, unsound) = match shaped {
        Some(Ok(it)) if sink.has_errors() => (None, Some(it.into_graph())),
        Some(Ok(it)) => (Some(it), None),
        Some(Err(it)) => (None, Some(*it)),
        None => (None, None),
    };
    if let Some(it) = &typed {
        verified(it, "shape");
    }
    let diagnostics = once(sink.finish(), &sources);
    Checked { sources, diagnostics, ast, typed, unsound, index, timings }
}

/// A text whose names are known, before anything is unfolded: what an editor asks for first after each change.
pub struct Named {
    /// The text, what it imports, and the prelude.
    pub sources: Sources,
    /// What is wrong in its words and names, in order of place. More may be found by [`check`].
    pub diagnostics: Vec<Diagnostic>,
    /// The tree; parts that could not be read are missing from it.
    pub ast: ast::File,
    /// What names stand for.
    pub index: Index,
}

/// Parses `text` and resolves its names.
pub fn names(
    path: &str,
    text: &str,
    load: &mut dyn FnMut(&str) -> Result<String, String>,
    settings: &Settings,
) -> Named {
    on_a_deep_stack(load, |load| {
        let (mut sources, mut sink, mut found) = (Sources::new(), Sink::new(), Sink::new());
        let main = sources.add(path, text);
        let ast = parse(main, text, &mut sink);
        let index = lower::names(&ast, main, &mut sources, load, settings, &mut found);
        let told = Told::of(&ast, found.finish(), &sink.errors().collect::<Vec<_>>(), &sources);
        told.reports.into_iter().for_each(|it| sink.push(it));
        let diagnostics = once(sink.finish(), &sources);
        Named { sources, diagnostics, ast, index }
    })
}

/// What an operator, written as in a call, makes of the angle; or the mistakes, with the texts that they are in. It may name
/// what the text, its imports and the prelude define.
pub fn response(
    path: &str,
    text: &str,
    load: &mut dyn FnMut(&str) -> Result<String, String>,
    operator: &str,
) -> Result<Response, (Vec<Diagnostic>, Sources)> {
    on_a_deep_stack(load, |load| {
        let (mut sources, mut sink) = (Sources::new(), Sink::new());
        let main = sources.add(path, text);
        let ast = parse(main, text, &mut sink);
        let found = lower::response(&ast, main, &mut sources, load, operator, &mut sink);
        let wrong = sink.has_errors();
        let told = once(sink.finish(), &sources).into_iter().filter(|it| it.severity() == Severity::Error).collect();
        found.filter(|_| !wrong).ok_or((told, sources))
    })
}

/// Differentiates, fuses and plans. `identity` is of what the graph was made from.
pub fn compile(typed: Typed, sources: &Sources, precision: Precision, identity: Identity) -> Compiled {
    let Identity { hash, source } = identity;
    let mut timings = Vec::new();
    let training = timed("autodiff", &mut timings, || autodiff::training(typed));
    verified(&training, "autodiff");
    let fused = timed("fuse", &mut timings, || fuse(training.clone()));
    verified(&fused.typed, "fuse");
    let plan = timed("plan", &mut timings, || {
        let line = |origin: OriginId| line_of(training.graph(), sources, origin);
        plan(&fused, &Config { precision, hash, source, line: &line })
    });
    Compiled { training, fused, plan, timings }
}

/// The files that a text imports, directly or not: what was read besides it, but for the prelude and what flags say.
pub fn imported(sources: &Sources) -> impl Iterator<Item = FileId> {
    sources.iter().skip(1).filter(|it| it.1.name != "<prelude>" && !it.1.name.starts_with("--")).map(|it| it.0)
}

/// `models/spherenet9.sph:20`, the line of the user's file that an origin leads to; empty for what
/// the compiler made of itself.
pub fn line_of(graph: &Graph, sources: &Sources, origin: OriginId) -> String {
    let span = graph.origin_of(origin).span;
    if origin == OriginId::default() || sources.iter().count() <= span.file.0 as usize {
        return String::new();
    }
    sources.line_of(span)
}

#[allow(clippy::disallowed_methods, reason = "`compile --timings` shows how long a pass takes; nothing depends on it")]
fn timed<T>(pass: &'static str, timings: &mut Vec<Timing>, run: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let res = run();
    timings.push(Timing { pass, time: start.elapsed() });
    res
}

fn verified(graph: &Graph, pass: &str) {
    if cfg!(debug_assertions) {
        verify::verify(graph, pass);
    }
}
