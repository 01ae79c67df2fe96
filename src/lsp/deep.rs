//! Whole checks, which unfold the model, on a thread of their own: a large model takes longer than an editor waits.

use super::Event;
use crate::api::Model;
use crate::diag::{Diagnostic, FileId, Sources, Span};
use crate::ir::Graph;
use crate::lower::Noted;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Condvar, Mutex};

/// What a check found.
pub(super) struct Deep {
    /// Of the text that was checked.
    pub(super) stamp: u64,
    pub(super) sources: Sources,
    pub(super) diagnostics: Vec<Diagnostic>,
    /// What stands at the places of names and calls.
    pub(super) values: BTreeMap<Span, Vec<Noted>>,
    /// How many numbers are learned in what starts at a place.
    learned: BTreeMap<(FileId, u32), usize>,
    /// And in the whole model.
    pub(super) all_learned: Option<usize>,
    /// Names of the layers that learn, and of those around them, repetitions unfolded.
    pub(super) layers: BTreeSet<String>,
    /// Whether these are all: nothing in the text is wrong.
    pub(super) sound: bool,
    /// Whether there is nothing, since the check panicked.
    pub(super) failed: bool,
}

impl Deep {
    fn of(model: &Model, stamp: u64) -> Option<Deep> {
        let checked = model.indexed().ok()?;
        let learned = checked.graph().map(learned).unwrap_or_default();
        let all_learned = checked.graph().map(|it| it.params.iter().map(|it| it.shape.len()).sum());
        Some(Deep {
            stamp,
            learned,
            all_learned,
            layers: checked.graph().map(layers).unwrap_or_default(),
            sound: checked.typed.is_some(),
            failed: false,
            values: checked.index.values,
            sources: checked.sources,
            diagnostics: checked.diagnostics,
        })
    }

    /// Of a text whose check failed.
    pub(super) fn nothing(stamp: u64) -> Deep {
        let (sources, diagnostics, values) = (Sources::new(), Vec::new(), BTreeMap::new());
        let (learned, layers) = (BTreeMap::new(), BTreeSet::new());
        Deep { stamp, sources, diagnostics, values, learned, all_learned: None, layers, sound: false, failed: true }
    }

    /// How many numbers a call learns, wherever it is repeated.
    pub(super) fn learned(&self, call: Span) -> usize {
        self.learned.get(&(call.file, call.start)).copied().unwrap_or(0)
    }
}

/// Numbers by the calls that they are made in, and the calls around those.
fn learned(graph: &Graph) -> BTreeMap<(FileId, u32), usize> {
    let mut found: BTreeMap<(FileId, u32), usize> = BTreeMap::new();
    for param in &graph.params {
        let origin = graph.origin_of(param.origin);
        let frames = origin.frames.iter().map(|it| it.span);
        let places: BTreeSet<(FileId, u32)> = frames.chain([origin.span]).map(|it| (it.file, it.start)).collect();
        for place in places {
            let count = found.entry(place).or_default();
            *count = count.saturating_add(param.shape.len());
        }
    }
    found
}

/// `a/b` and `a` for what is learned in `a/b`.
fn layers(graph: &Graph) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for param in &graph.params {
        let ends = param.layer.match_indices('/').map(|it| it.0).chain([param.layer.len()]);
        found.extend(ends.map(|end| param.layer[..end].to_owned()));
    }
    found.remove("");
    found
}

/// What is to be checked, the newest of each document.
#[derive(Default)]
struct Jobs {
    waiting: BTreeMap<String, (u64, Model)>,
    /// Taken and not done yet.
    running: Option<(String, u64)>,
    over: bool,
}

/// The thread.
pub(super) struct Worker {
    jobs: Arc<(Mutex<Jobs>, Condvar)>,
}

impl Worker {
    pub(super) fn start(events: Sender<Event>) -> std::io::Result<Worker> {
        let jobs: Arc<(Mutex<Jobs>, Condvar)> = Arc::default();
        let own = jobs.clone();
        std::thread::Builder::new().name("check".to_owned()).spawn(move || work(&own, &events))?;
        Ok(Worker { jobs })
    }

    pub(super) fn submit(&self, name: &str, stamp: u64, model: &Model) {
        let Ok(mut jobs) = self.jobs.0.lock() else { return };
        if jobs.running.as_ref().is_some_and(|it| it.0 == name && it.1 == stamp) {
            return;
        }
        jobs.waiting.insert(name.to_owned(), (stamp, model.clone()));
        self.jobs.1.notify_one();
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if let Ok(mut jobs) = self.jobs.0.lock() {
            jobs.over = true;
            self.jobs.1.notify_one();
        }
    }
}

fn work((jobs, more): &(Mutex<Jobs>, Condvar), events: &Sender<Event>) {
    loop {
        let (name, stamp, model) = {
            let Ok(guard) = jobs.lock() else { return };
            let Ok(mut guard) = more.wait_while(guard, |it| !it.over && it.waiting.is_empty()) else { return };
            let Some((name, (stamp, model))) = guard.waiting.pop_first().filter(|_| !guard.over) else { return };
            guard.running = Some((name.clone(), stamp));
            (name, stamp, model)
        };
        let found = catch_unwind(AssertUnwindSafe(|| Deep::of(&model, stamp)));
        if let Ok(mut jobs) = jobs.lock() {
            jobs.running = None;
        }
        let event = match found {
            Ok(found) => Event::Checked(name, found.map(Arc::new)),
            Err(panic) => Event::Failed(name, stamp, super::said(panic.as_ref())),
        };
        if events.send(event).is_err() {
            return;
        }
    }
}
