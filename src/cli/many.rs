//! Trainings one after the other in one process, as grids and lists of experiments have them.

use super::args::Format;
use super::failure::Failure;
use super::progress::Among;
use super::{say, stop, train};
use indicatif::HumanDuration;
use serde_json::json;
use sphc::train::metrics::{self, Line};
use sphc::train::{End, TrainError};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

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
    let begun = Instant::now();
    let bars = wanted.first().is_some_and(|it| it.args.format == Format::Human) && say::is_capable();
    let overall = bars.then(|| say::bar(wanted.len() as u64, "{pos}/{len} runs {wide_bar} {msg}", None));
    for (at, it) in wanted.iter().enumerate() {
        if stop::asked() {
            break;
        }
        let named = named(it, at + 1, wanted.len());
        let among = overall.as_ref().map(|overall| Among { overall, first: at == 0 });
        match &overall {
            Some(bar) => bar.set_message(format!("{named}{}", left(begun.elapsed(), at, wanted.len()))),
            None => announce(it, &named, at + 1, wanted.len()),
        }
        let (done, report) = train::one(&it.args, Some(&it.directory), among.as_ref(), None)?;
        if let Ok(report) = &report
            && report.end != End::Interrupted
            && it.args.format == Format::Human
        {
            if let Some(bar) = &overall {
                bar.inc(1);
            }
            let found = done.found(report).unwrap_or_else(|| "done".to_owned());
            let _ = writeln!(say::err(), "{named}: {found}");
        }
        let came = match report {
            // A setting that does not train is a result as well.
            Err(error @ (TrainError::NonFinite { .. } | TrainError::TestNonFinite { .. })) => {
                report_diverged(&it.args, &error);
                if let Some(bar) = &overall {
                    bar.inc(1);
                }
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

pub(super) fn read(directory: &Path) -> Result<Vec<Line>, Failure> {
    let path = directory.join("metrics.jsonl");
    metrics::read(&path)
        .map_err(|it| Failure::new(format!("cannot read `{}`: {it}", path.display()), "do not remove it meanwhile"))
}

/// `run 2 of 6: norm=linear, seed 1`.
fn named(it: &Wanted, number: usize, all: usize) -> String {
    let name = if it.name.is_empty() { String::new() } else { format!("{}, ", it.name) };
    format!("run {number} of {all}: {name}seed {}", it.args.recipe.seed.unwrap_or(0))
}

/// How long the others will take, if they take as long as those that are done.
fn left(elapsed: Duration, done: usize, all: usize) -> String {
    match u32::try_from(done) {
        Ok(0) | Err(_) => String::new(),
        Ok(count) => format!("  about {} left", HumanDuration(elapsed / count * (all - done) as u32)),
    }
}

fn announce(it: &Wanted, named: &str, number: usize, all: usize) {
    let seed = it.args.recipe.seed.unwrap_or(0);
    if it.args.format == Format::Json {
        let set: serde_json::Map<_, _> =
            it.args.set.set.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
        let object = json!({ "event": "run", "number": number, "of": all, "set": set, "seed": seed, "run": it.directory.to_string_lossy() });
        let _ = writeln!(say::out(), "{object}");
    } else {
        let _ = writeln!(say::err(), "\n{named}");
    }
}

fn report_diverged(args: &train::Args, error: &TrainError) {
    if args.format == Format::Json {
        let _ = writeln!(say::out(), "{}", json!({ "event": "diverged", "error": error.to_string() }));
    } else {
        let _ = writeln!(say::err(), "error: {error}\n  the other runs go on");
    }
}
