//! The runs below a directory: what each was asked for, what came of it, and whether it goes on.

use super::TrainError;
use super::curves;
use super::metrics::{self, Line, Tested};
use super::record::Record;
use super::run_dir::{Started, checkpoint_name, checkpoints, is_locked};
use super::weights::Weights;
use serde::Serialize;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A grid has runs two folders below its own: `runs/norms/norm=cosine/seed-0`.
const DEEPEST: usize = 4;

/// Whether a run goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// A training uses it now.
    Running,
    /// It came to the end of its recipe, or of its patience.
    Finished,
    /// It was stopped, or died, before.
    Stopped,
}

/// What is known of a run.
#[derive(Clone, Debug)]
pub struct Run {
    /// Its directory.
    pub path: PathBuf,
    /// What it was started with.
    pub started: Started,
    /// Whether it goes on.
    pub state: State,
    /// Whether it finished before its last iteration, for want of a better evaluation.
    pub early: bool,
    /// Updates done, as far as they are kept or logged.
    pub step: u64,
    /// The best evaluation, the earliest of equals.
    pub best: Option<Tested>,
    /// The last evaluation.
    pub last: Option<Tested>,
    /// Time spent, over all parts.
    pub seconds: f64,
    /// The newest checkpoint.
    pub checkpoint: Option<PathBuf>,
    /// That of the best evaluation, where it is kept.
    pub best_checkpoint: Option<PathBuf>,
}

/// The directories of runs in `root` and below, in order of their names; `root` itself if it is one.
pub fn find_runs(root: &Path) -> io::Result<Vec<PathBuf>> {
    let mut res = Vec::new();
    find(root, DEEPEST, &mut res)?;
    Ok(res)
}

fn find(at: &Path, deep: usize, res: &mut Vec<PathBuf>) -> io::Result<()> {
    if at.join("config.yaml").is_file() {
        res.push(at.into());
        return Ok(());
    }
    let mut folders: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(at)? {
        folders.push(entry?.path());
    }
    folders.retain(|it| it.is_dir());
    folders.sort();
    for folder in folders.iter().filter(|_| 0 < deep) {
        match find(folder, deep - 1, res) {
            // What nobody may look into, or was removed meanwhile, is no run of theirs.
            Err(it) if matches!(it.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::NotFound) => {}
            found => found?,
        }
    }
    Ok(())
}

/// Reads what is known of a run.
pub fn look_at_run(path: &Path) -> Result<Run, TrainError> {
    let started = Started::read(path)?;
    let training = &started.training;
    // A run of which nothing is logged yet has no metrics.
    let lines = metrics::read(&path.join("metrics.jsonl")).unwrap_or_default();
    let newest = checkpoints(path).into_iter().next();
    let record = newest.as_ref().and_then(|it| Record::said(&Weights::read(&it.1).ok()?.metadata).ok()?);
    let record = record.unwrap_or_else(|| Record::of(&lines, training.evaluate_every));
    let kept = newest.as_ref().map_or(0, |it| it.0);
    let logged = lines.iter().rev().find_map(|it| if let Line::Losses(it) = it { Some(it) } else { None });
    let early = kept < training.iterations && record.is_over(training.patience);
    let state = match is_locked(path) {
        true => State::Running,
        false if training.iterations <= kept || early => State::Finished,
        false => State::Stopped,
    };
    let best = curves::best_of(&lines);
    let best_checkpoint = best.as_ref().map(|it| path.join("checkpoints").join(checkpoint_name(it.iteration)));
    Ok(Run {
        path: path.into(),
        state,
        early: early && state == State::Finished,
        step: match state {
            State::Running => kept.max(logged.map_or(0, |it| it.iteration.saturating_add(1))),
            State::Finished | State::Stopped => kept,
        },
        best,
        last: curves::tested(&lines).next_back(),
        seconds: logged.map_or(0.0, |it| it.seconds),
        checkpoint: newest.map(|it| it.1),
        best_checkpoint: best_checkpoint.filter(|it| it.is_file()),
        started,
    })
}
