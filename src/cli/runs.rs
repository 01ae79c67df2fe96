//! `sphc runs`.

use super::failure::{Failure, Outcome};
use super::{args, say, table};
use serde_json::json;
use sphc::train::metrics::Tested;
use sphc::train::{self, Run, State};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A directory with runs in it, or below; or a run
    #[arg(value_name = "DIR", default_value = "runs")]
    directory: PathBuf,
    /// How results are printed
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// How runs are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people
    #[default]
    Human,
    /// For programs: JSON, one object per line
    Json,
    /// For spreadsheets: a line of names, and one for each run
    Csv,
}

pub(super) fn run(args: &Args) -> Outcome {
    let root = &args.directory;
    let shown = root.display();
    let remedy = "give the directory that holds runs: `sphc train` makes them in `runs`, or as `--run DIR` says";
    let paths = train::find_runs(root)
        .map_err(|it| Failure::new(format!("cannot look for runs in `{shown}`: {it}"), remedy))?;
    let mut runs = Vec::new();
    for path in &paths {
        match train::look_at_run(path) {
            Ok(it) => runs.push(it),
            // One that is broken hides no other.
            Err(it) => args::warn(&[it.to_string()]),
        }
    }
    if runs.is_empty() {
        return Err(Failure::new(format!("there is no run in `{shown}`"), remedy));
    }
    match args.format {
        Format::Human => write!(say::out(), "{}", as_table(root, &runs))?,
        Format::Json => {
            for it in &runs {
                writeln!(say::out(), "{}", as_json(it))?;
            }
        }
        Format::Csv => as_csv(&runs)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn word(it: &Run) -> &'static str {
    match (it.state, it.early) {
        (State::Running, _) => "running",
        (State::Finished, false) => "finished",
        (State::Finished, true) => "finished early",
        (State::Stopped, _) => "stopped",
    }
}

/// What a run was asked for beside its text.
fn settings(it: &Run) -> String {
    let mut words = it.started.set.clone();
    words.push(format!("batch {}", it.started.training.batch));
    words.push(format!("seed {}", it.started.seed));
    let file = |it: &PathBuf| it.file_name().map_or_else(|| it.display().to_string(), |it| it.display().to_string());
    words.extend(it.started.init.as_ref().map(|it| format!("from {}", file(it))));
    words.extend(it.started.no_shuffle.then(|| "no shuffle".to_owned()));
    words.extend(it.started.no_augment.then(|| "no augment".to_owned()));
    words.join(", ")
}

/// Its data set, by its own name.
fn data(it: &Run) -> String {
    let data = &it.started.training.data;
    Path::new(data).file_name().map_or_else(|| data.clone(), |it| it.display().to_string())
}

fn as_table(root: &Path, runs: &[Run]) -> String {
    let name = |it: &Run| match it.path.strip_prefix(root) {
        Ok(below) if !below.as_os_str().is_empty() => below.display().to_string(),
        Ok(_) | Err(_) => it.path.display().to_string(),
    };
    let result = |it: &Option<Tested>| match it {
        Some(Tested { test_accuracy: Some(accuracy), iteration, .. }) => {
            format!("{:.2} % at {iteration}", 100.0 * accuracy)
        }
        Some(it) => format!("loss {:.4} at {}", it.test_loss, it.iteration),
        None => "-".to_owned(),
    };
    let row = |it: &Run| {
        vec![
            name(it),
            it.started.model.clone(),
            data(it),
            settings(it),
            word(it).to_owned(),
            format!("{}/{}", it.step, it.started.training.iterations),
            result(&it.best),
            result(&it.last),
            time(it.seconds),
        ]
    };
    let rows: Vec<Vec<String>> = runs.iter().map(row).collect();
    table::render(&["run", "model", "data", "settings", "state", ">iteration", ">best", ">last", ">time"], &rows)
}

/// `12.3 s`, `4 min 05 s`, `2 h 03 min`.
fn time(seconds: f64) -> String {
    if seconds < 60.0 {
        return format!("{seconds:.1} s");
    }
    let whole = seconds.round() as u64;
    let (hours, minutes, seconds) = (whole / 3600, whole / 60 % 60, whole % 60);
    if hours == 0 { format!("{minutes} min {seconds:02} s") } else { format!("{hours} h {minutes:02} min") }
}

fn as_json(it: &Run) -> serde_json::Value {
    let path = |it: &Option<PathBuf>| it.as_ref().map(|it| it.to_string_lossy().into_owned());
    let Run { started, .. } = it;
    json!({
        "run": it.path.to_string_lossy(),
        "model": started.model,
        "set": started.set,
        "seed": started.seed,
        "no_shuffle": started.no_shuffle,
        "no_augment": started.no_augment,
        "data": started.data,
        "precision": started.precision,
        "device": started.device,
        "state": it.state,
        "early": it.early,
        "iteration": it.step,
        "training": started.training,
        "best": it.best,
        "last": it.last,
        "seconds": it.seconds,
        "checkpoint": path(&it.checkpoint),
        "best_checkpoint": path(&it.best_checkpoint),
    })
}

fn as_csv(runs: &[Run]) -> io::Result<()> {
    let mut out = csv::Writer::from_writer(io::stdout());
    out.write_record([
        "run",
        "model",
        "data",
        "batch",
        "set",
        "seed",
        "state",
        "early",
        "iteration",
        "iterations",
        "best_iteration",
        "best_accuracy",
        "best_loss",
        "last_iteration",
        "last_accuracy",
        "last_loss",
        "seconds",
    ])?;
    let result = |it: &Option<Tested>| match it {
        Some(it) => [
            it.iteration.to_string(),
            it.test_accuracy.map_or_else(String::new, |it| it.to_string()),
            it.test_loss.to_string(),
        ],
        None => Default::default(),
    };
    for it in runs {
        let state = match it.state {
            State::Running => "running",
            State::Finished => "finished",
            State::Stopped => "stopped",
        };
        let mut row = vec![
            it.path.to_string_lossy().into_owned(),
            it.started.model.clone(),
            it.started.training.data.clone(),
            it.started.training.batch.to_string(),
            it.started.set.join(" "),
            it.started.seed.to_string(),
            state.to_owned(),
            it.early.to_string(),
            it.step.to_string(),
            it.started.training.iterations.to_string(),
        ];
        row.extend(result(&it.best));
        row.extend(result(&it.last));
        row.push(it.seconds.to_string());
        out.write_record(&row)?;
    }
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_two_units_at_most() {
        assert_eq!(time(12.34), "12.3 s");
        assert_eq!(time(245.2), "4 min 05 s");
        assert_eq!(time(7399.0), "2 h 03 min");
    }
}
