//! How a training is watched: a bar, plain lines, or JSON events.

use super::args::{self, Format};
use super::say;
use indicatif::ProgressBar;
use serde_json::json;
use sphc::train::metrics::Tested;
use sphc::train::weights::Taken;
use sphc::{Event, data};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

/// Plain lines are this far apart at least.
const PAUSE: Duration = Duration::from_secs(5);

/// Shows events as they come.
pub(super) struct Progress<'a> {
    view: View<'a>,
    batch: u64,
    iterations: u64,
    first: u64,
    begun: Instant,
    /// Mean of the last losses and accuracies, so that the numbers can be read.
    loss: f64,
    /// Where the model tells classes apart.
    accuracy: Option<f64>,
    tested: Option<f64>,
    /// What it is tested with.
    split: &'static str,
    /// Of the batches since the last evaluation.
    since: Since,
    /// What was told of those before it.
    trained: Option<String>,
}

/// Sums over batches.
#[derive(Default)]
struct Since {
    count: u64,
    loss: f64,
    /// Where the model tells classes apart.
    accuracy: Option<f64>,
}

impl Since {
    /// The mean of what is told of batches: the accuracy, or else the loss.
    fn told(&self) -> Option<String> {
        let mean = |it: f64| it / self.count as f64;
        (self.count != 0).then(|| match self.accuracy {
            Some(it) => format!("train accuracy {:.2} %", 100.0 * mean(it)),
            None => format!("train loss {:.4}", mean(self.loss)),
        })
    }
}

/// A training among others, on a terminal: its evaluations go by, and the line when it is over is not its own.
pub(super) struct Among<'a> {
    /// The bar of all.
    pub(super) overall: &'a ProgressBar,
    pub(super) first: bool,
}

enum View<'a> {
    Bar { bar: Option<ProgressBar>, among: Option<&'a Among<'a>> },
    Lines { last: Option<Instant> },
    Json,
}

impl<'a> Progress<'a> {
    pub(super) fn new(format: Format, among: Option<&'a Among<'a>>) -> Progress<'a> {
        let view = match format {
            Format::Json => View::Json,
            Format::Human if say::is_capable() => View::Bar { bar: None, among },
            Format::Human => View::Lines { last: None },
        };
        let (begun, since) = (Instant::now(), Since::default());
        Progress {
            view,
            batch: 0,
            iterations: 0,
            first: 0,
            begun,
            loss: 0.0,
            accuracy: None,
            tested: None,
            split: "test",
            since,
            trained: None,
        }
    }

    /// Takes an event. What cannot be shown is dropped: a training does not stop for its audience.
    pub(super) fn see(&mut self, event: Event) {
        if let Event::Init { doubts, .. } = event {
            args::warn(doubts);
        }
        match event {
            Event::Started { step, training } => {
                self.batch = training.batch as u64;
                self.iterations = training.iterations;
                self.split = training.tested();
                self.first = step;
                self.begun = Instant::now();
                if let View::Bar { bar, among } = &mut self.view {
                    let template = "{pos}/{len} {wide_bar} {msg}  {eta} left";
                    let new = say::bar(training.iterations, template, among.map(|it| it.overall));
                    new.set_position(step);
                    // The time left is that of the steps of this process.
                    new.reset_eta();
                    *bar = Some(new);
                }
            }
            Event::Step { losses, .. } => {
                let share = if losses.iteration == self.first { 1.0 } else { 0.05 };
                self.loss += share * (losses.loss - self.loss);
                self.accuracy = losses.accuracy.map(|it| {
                    let before = self.accuracy.unwrap_or(it);
                    before + share * (it - before)
                });
                self.since.count += 1;
                self.since.loss += losses.loss;
                self.since.accuracy = losses.accuracy.map(|it| self.since.accuracy.unwrap_or(0.0) + it);
            }
            Event::Tested(it) => {
                self.tested = it.test_accuracy;
                self.trained = std::mem::take(&mut self.since).told();
            }
            Event::Device { .. }
            | Event::Init { .. }
            | Event::Anew
            | Event::Back { .. }
            | Event::Hole { .. }
            | Event::Searching { .. }
            | Event::Checkpoint { .. }
            | Event::Ended(_) => {}
        }
        self.show(event);
    }

    fn show(&mut self, event: Event) {
        let status = self.status(event);
        let tested = |it: &Tested| {
            let tested = say::tested(self.split, it.test_accuracy, it.test_loss, &it.metrics, "test_");
            let parts: Vec<&str> = self.trained.as_deref().into_iter().chain([tested.as_str()]).collect();
            format!("iteration {:>6}/{}  {}", it.iteration, self.iterations, parts.join(", "))
        };
        if let Some(lines) = before(event)
            && !matches!(self.view, View::Json)
        {
            // Trainings among others have the same device, and start from the same.
            if !matches!(self.view, View::Bar { among: Some(Among { first: false, .. }), .. }) {
                let _ = write!(say::err(), "{lines}");
            }
            return;
        }
        match &mut self.view {
            View::Json => {
                if let Some(text) = as_json(event) {
                    let _ = writeln!(say::out(), "{text}");
                }
            }
            View::Bar { bar, among } => {
                let line = match event {
                    Event::Step { losses, .. } => {
                        if let Some(bar) = bar {
                            bar.set_position(losses.iteration + 1);
                            bar.set_message(status);
                        }
                        return;
                    }
                    Event::Tested(it) => {
                        if let Some(bar) = bar {
                            bar.set_message(status);
                        }
                        if among.is_some() {
                            return;
                        }
                        tested(it)
                    }
                    Event::Anew => ANEW.to_owned(),
                    Event::Back { step, removed } => back(step, removed),
                    Event::Hole { from, to } => hole(from, to),
                    Event::Searching { from, to } => searching(from, to),
                    Event::Device { .. }
                    | Event::Init { .. }
                    | Event::Started { .. }
                    | Event::Checkpoint { .. }
                    | Event::Ended(_) => return,
                };
                let _ = writeln!(say::err(), "{line}");
            }
            View::Lines { last } => {
                let line = match event {
                    Event::Device { .. } | Event::Init { .. } | Event::Started { .. } | Event::Ended(_) => return,
                    Event::Step { losses, logged } => {
                        let due = last.is_none_or(|it| it.elapsed() >= PAUSE);
                        if !logged || !due {
                            return;
                        }
                        format!("iteration {:>6}/{}  {status}", losses.iteration, self.iterations)
                    }
                    Event::Tested(it) => tested(it),
                    Event::Anew => ANEW.to_owned(),
                    Event::Back { step, removed } => back(step, removed),
                    Event::Hole { from, to } => hole(from, to),
                    Event::Searching { from, to } => searching(from, to),
                    Event::Checkpoint { step, path } => {
                        format!("iteration {step:>6}/{}  checkpoint {}", self.iterations, path.display())
                    }
                };
                *last = Some(Instant::now());
                let _ = writeln!(say::err(), "{line}");
            }
        }
    }

    fn status(&self, event: Event) -> String {
        let done = if let Event::Step { losses, .. } = event { losses.iteration + 1 - self.first } else { 0 };
        let speed = (done * self.batch) as f64 / self.begun.elapsed().as_secs_f64().max(1e-9);
        let mut res = format!("loss {:.4}", self.loss);
        if let Some(it) = self.accuracy {
            res += &format!("  accuracy {:.1} %", 100.0 * it);
        }
        if done != 0 {
            res += &format!("  {speed:.0} images/s");
        }
        if let Some(it) = self.tested {
            res += &format!("  {} {:.2} %", self.split, 100.0 * it);
        }
        res
    }

    /// Leaves the terminal as it should be. What is told of the batches before the last evaluation.
    pub(super) fn finish(self) -> Option<String> {
        if let View::Bar { bar: Some(bar), .. } = &self.view {
            bar.finish_and_clear();
        }
        self.trained
    }
}

/// What is said of what comes before the first step.
fn before(event: Event) -> Option<String> {
    match event {
        Event::Device { name } => Some(format!("device: {name}\n")),
        Event::Init { path, taken, .. } => Some(started_from(path, taken)),
        Event::Started { .. }
        | Event::Step { .. }
        | Event::Tested(_)
        | Event::Anew
        | Event::Back { .. }
        | Event::Hole { .. }
        | Event::Searching { .. }
        | Event::Checkpoint { .. }
        | Event::Ended(_) => None,
    }
}

/// What became of the weights to start from.
fn started_from(path: &Path, taken: &Taken) -> String {
    let Taken { taken: fits, missed, other, left } = taken;
    let of = fits.len() + missed.len() + other.len();
    let mut text = format!("init: {} of {of} tensors from {}\n", fits.len(), path.display());
    for (what, list) in [("not in the file, so started anew", missed), ("in the file only, so left", left)] {
        if !list.is_empty() {
            text += &format!("  {what}: {}\n", data::few(list));
        }
    }
    for it in other {
        text += &format!("  started anew: {it}\n");
    }
    text
}

const ANEW: &str = "the run has no checkpoint to go on from, so it starts anew";

fn back(step: u64, removed: usize) -> String {
    let newer = say::counted(removed, "newer checkpoint", "s");
    format!("going on from iteration {step}, the best evaluation so far; {newer} removed")
}

fn hole(from: u64, to: u64) -> String {
    format!("warning: `metrics.jsonl` has lost its lines of iterations {from} to {to}; the curves have a hole there")
}

fn searching(from: u64, to: u64) -> String {
    format!("a number is no longer finite: repeating iterations {from} to {to} to find out where that began")
}

fn as_json(event: Event) -> Option<String> {
    let (name, body) = match event {
        Event::Started { step, training } => ("started", json!({ "iteration": step, "training": training })),
        Event::Step { logged: false, .. } => return None,
        Event::Step { losses, logged: true } => ("step", json!(losses)),
        Event::Tested(it) => ("tested", json!(it)),
        Event::Init { taken: Taken { taken, missed, other, left }, .. } => {
            ("init", json!({ "taken": taken, "missed": missed, "other": other, "left": left }))
        }
        Event::Device { .. } | Event::Ended(_) => return None,
        Event::Anew => ("anew", json!({})),
        Event::Back { step, removed } => ("back", json!({ "iteration": step, "removed": removed })),
        Event::Hole { from, to } => ("metrics_lost", json!({ "from": from, "to": to })),
        Event::Searching { from, to } => ("searching", json!({ "from": from, "to": to })),
        Event::Checkpoint { step, path } => {
            ("checkpoint", json!({ "iteration": step, "path": path.to_string_lossy() }))
        }
    };
    let mut object = json!({ "event": name });
    if let (Some(object), serde_json::Value::Object(body)) = (object.as_object_mut(), body) {
        object.extend(body);
    }
    Some(object.to_string())
}
