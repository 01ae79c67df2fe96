//! `sphc verify FILE --replay RUN`: the step after a run's newest checkpoint once more, launch by launch.

use super::args::{self, DeviceArgs, Format, RecipeArgs, SetArgs};
use super::failure::Outcome;
use super::{load, say};
use serde_json::json;
use sphc::DeviceOptions;
use sphc::train::{Started, replay};
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

/// Repeats the step with what the run was started with; fails when a number is NaN or infinite.
pub(super) fn run(file: &Path, run: &Path, (args, device): (&DeviceArgs, &DeviceOptions), format: Format) -> Outcome {
    let started = Started::read(run)?;
    let set = started.set.iter().filter_map(|it| it.split_once('='));
    let set = SetArgs { set: set.map(|(name, value)| (name.to_owned(), value.to_owned())).collect() };
    let embedded = started.data == "embedded";
    let recipe = RecipeArgs {
        data: Some(if embedded { started.training.data.clone() } else { started.data.clone() }),
        batch: Some(started.training.batch as u64),
        // A schedule may depend on it.
        iterations: Some(started.training.iterations),
        seed: Some(started.seed),
        no_shuffle: started.no_shuffle,
        no_augment: started.no_augment,
        ..RecipeArgs::default()
    };
    let precision = args.precision.unwrap_or(started.precision);
    let model = load::model(file, args::options(&set, &recipe, Some(precision)))?;
    let (mut session, _) = model.ready()?.open(device)?;
    let (step, found) = replay(&mut session, run)?;
    if format == Format::Json {
        let cause = found.as_ref().map(ToString::to_string);
        writeln!(
            say::out(),
            "{}",
            json!({ "check": "replay", "iteration": step, "passed": found.is_none(), "cause": cause })
        )?;
    } else {
        match &found {
            Some(it) => writeln!(say::out(), "iteration {step}: {it}")?,
            None => writeln!(say::out(), "iteration {step}: all numbers are finite")?,
        }
    }
    Ok(if found.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
