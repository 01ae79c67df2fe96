//! Trainings one after the other in one process, as grids and lists of experiments have them.

use super::args::Format;
use super::failure::Failure;
use super::{say, stop, train};
use serde_json::json;
use sphc::train::metrics::{self, Line};
use sphc::train::{End, TrainError};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// One of the trainings.
pub(super) struct Wanted {
    /// What it is called among the others; may be empty.
    pub(super) name: String,
    /// All that is asked for, its seed among it.
    pub(super) args: train::Args,
    pub(super) directory: PathBuf,
}

/// What came of a training.
#[derive(Clone)]
pub(super) enum Came {
    /// It came to its end; what it logged.
    Finished(Vec<Line>),
    /// Its loss became NaN or infinite.
    Diverged,
}

/// Trains all, and tells what came of each as soon as it did. What comes back is shorter where a signal stopped one.
pub(super) fn train(
    wanted: &[Wanted],
    see: &mut dyn FnMut(usize, &Came) -> Result<(), Failure>,
) -> Result<Vec<Came>, Failure> {
    let mut res = Vec::new();
    for (at, it) in wanted.iter().enumerate() {
        if stop::asked() {
            break;
        }
        announce(it, at + 1, wanted.len());
        let came = match train::one(&it.args, Some(&it.directory))?.report {
            // A setting that does not train is a result as well.
            Err(error @ (TrainError::NonFinite { .. } | TrainError::TestNonFinite { .. })) => {
                report_diverged(&it.args, &error);
                Came::Diverged
            }
            Err(error) => return Err(error.into()),
            Ok(report) if report.end == End::Interrupted => break,
            Ok(_) => Came::Finished(read(&it.directory)?),
        };
        see(at, &came)?;
        res.push(came);
    }
    Ok(res)
}

/// Says where a signal stopped, and what goes on.
pub(super) fn stopped(done: usize, all: usize, command: &str) -> ExitCode {
    let _ = writeln!(say::err(), "stopped in run {} of {all}; go on with\n  {command}", done + 1);
    stop::status()
}

/// What the finished ones logged, and how many are not finished.
pub(super) fn parted(came: &[Came]) -> (Vec<Vec<Line>>, usize) {
    let lines = |it: &Came| if let Came::Finished(lines) = it { Some(lines.clone()) } else { None };
    let runs: Vec<Vec<Line>> = came.iter().filter_map(lines).collect();
    let diverged = came.len() - runs.len();
    (runs, diverged)
}

fn read(directory: &Path) -> Result<Vec<Line>, Failure> {
    let path = directory.join("metrics.jsonl");
    metrics::read(&path)
        .map_err(|it| Failure::new(format!("cannot read `{}`: {it}", path.display()), "do not remove it meanwhile"))
}

fn announce(it: &Wanted, number: usize, all: usize) {
    let seed = it.args.recipe.seed.unwrap_or(0);
    if it.args.format == Format::Json {
        let set: serde_json::Map<_, _> =
            it.args.set.set.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
        let object = json!({ "event": "run", "number": number, "of": all, "set": set, "seed": seed, "run": it.directory.to_string_lossy() });
        let _ = writeln!(say::out(), "{object}");
    } else {
        let name = if it.name.is_empty() { String::new() } else { format!("{}, ", it.name) };
        let _ = writeln!(say::err(), "\nrun {number} of {all}: {name}seed {seed}");
    }
}

fn report_diverged(args: &train::Args, error: &TrainError) {
    if args.format == Format::Json {
        let _ = writeln!(say::out(), "{}", json!({ "event": "diverged", "error": error.to_string() }));
    } else {
        let _ = writeln!(say::err(), "error: {error}\n  the other runs go on");
    }
}
