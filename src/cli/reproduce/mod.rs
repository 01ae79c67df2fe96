//! `sphc reproduce`: trains a list of experiments, the paper's unless another is given, and writes what came of them beside what was
//! published.

mod list;
mod report;

use super::args::{self, DeviceArgs, Format, SetArgs, positive, whole};
use super::failure::{Failure, Outcome};
use super::many::{self, Came, Wanted};
use super::{load, points, say, table, train};
use list::{Experiment, List};
use report::{Report, Row};
use serde_json::json;
use sphc::train::{Started, State, look_at_run};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Experiments by name, or all whose names begin as far as a star: 'spherenet9-*'; all of the list unless given
    #[arg(value_name = "ROW")]
    rows: Vec<String>,
    /// Tell what the list has, and train nothing
    #[arg(long)]
    list: bool,
    /// A list of experiments (.yaml) in place of the paper's
    #[arg(long, value_name = "LIST")]
    from: Option<PathBuf>,
    /// Directory of the runs and the report; what is finished in it stays, what was begun is gone on with
    #[arg(long, value_name = "DIR", value_parser = args::directory(), default_value = "runs/reproduce")]
    run: PathBuf,
    /// Train each experiment with N seeds
    #[arg(long, value_name = "N", default_value = "1", value_parser = positive)]
    seeds: u64,
    /// The first seed
    #[arg(long, value_name = "N", default_value = "0", value_parser = whole)]
    seed: u64,
    /// Train for N iterations, the schedule stretched to them; what each model says unless given
    #[arg(long, value_name = "N", value_parser = positive)]
    iterations: Option<u64>,
    /// Data set in place of that of each experiment: a name, a directory, an .npz file, or a manifest (.yaml)
    #[arg(long, value_name = "NAME|PATH")]
    data: Option<String>,
    #[command(flatten)]
    set: SetArgs,
    #[command(flatten)]
    device: DeviceArgs,
    /// Use no network: a data set that is not there is an error instead of being fetched
    #[arg(long)]
    offline: bool,
    /// Progress on standard error for people, or events on standard output as JSON
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) fn run(args: &Args) -> Outcome {
    let (list, path) = match &args.from {
        Some(path) => (List::read(path)?, path.clone()),
        None => List::paper(&args.run)?,
    };
    let chosen = list.chosen(&args.rows)?;
    if args.list {
        return listed(args, &chosen);
    }
    let fresh = !args.run.exists();
    if args.from.is_none() {
        list::write_models(&args.run)?;
    }
    let folder = path.parent().unwrap_or(Path::new("")).to_path_buf();
    let each = chosen.iter().map(|it| training(args, &list, &folder, it)).collect::<Result<Vec<_>, _>>();
    let each = match each.and_then(|it| mistakes(&chosen, &it).map(|()| it)) {
        Ok(it) => it,
        Err(it) => {
            // Nothing was trained, so nothing is left. What cannot be removed is told by whatever comes next.
            if fresh && args.from.is_none() {
                let _ = std::fs::remove_dir_all(&args.run);
            }
            return Err(it);
        }
    };
    let seeds = seeds(args)?;
    let mut wanted = Vec::new();
    for (experiment, one) in chosen.iter().zip(&each) {
        for seed in &seeds {
            let directory = args.run.join(&experiment.name).join(format!("seed-{seed}"));
            same(&directory, &one.set)?;
            let mut one = one.clone();
            one.recipe.seed = Some(*seed);
            one.resume = directory.exists().then_some(train::Resume::Last);
            wanted.push(Wanted { name: experiment.name.clone(), args: one, directory });
        }
    }
    let mut rows: Vec<Row> = list.experiments.iter().cloned().map(Row::new).collect();
    for row in &mut rows {
        for (one, came) in finished(args, &list, &folder, &row.experiment, &wanted)? {
            row.add(&one, &came)?;
        }
    }
    let report = Report { list: &list, args };
    let came = many::train(&wanted, &mut |at, came: &Came| {
        if let Some(row) = rows.iter_mut().find(|it| it.experiment.name == wanted[at].name) {
            row.add(&wanted[at], came)?;
        }
        // What is finished is told, whatever becomes of the rest.
        if (at + 1).is_multiple_of(seeds.len()) { report.write(&rows) } else { Ok(()) }
    })?;
    rows.retain(Row::is_begun);
    if came.len() < wanted.len() {
        return Ok(many::stopped(came.len(), wanted.len(), &say::quoted(&std::env::args_os().collect::<Vec<_>>())));
    }
    finish(args, &rows)
}

/// What is asked for of an experiment, but for its seed.
fn training(args: &Args, list: &List, folder: &Path, it: &Experiment) -> Result<train::Args, Failure> {
    let mut set: Vec<(String, String)> = it.set.iter().map(|(name, value)| (name.clone(), value.text())).collect();
    if let Some(both) = args.set.set.iter().find(|(name, _)| it.set.contains_key(name)) {
        let cause = format!("`--set {}={}` is about what `{}` sets itself", both.0, both.1, it.name);
        return Err(Failure::new(cause, "leave it out, or name the experiments that do not set it"));
    }
    set.extend(args.set.set.iter().cloned());
    if let Some(iterations) = args.iterations {
        let Some(length) = &list.length else {
            let cause = "`--iterations` needs a list that says by which param its models are made longer or shorter";
            return Err(Failure::new(cause, "add `length: NAME` to the list, the name of a param of its models"));
        };
        if set.iter().any(|it| it.0 == *length) {
            return Err(Failure::new(format!("`--set {length}` and `--iterations` are the same"), "give one of them"));
        }
        set.push((length.clone(), iterations.to_string()));
    }
    let mut res = train::Args::of(folder.join(&it.model), SetArgs { set }, args.device.clone());
    res.recipe.data = args.data.clone().or_else(|| it.data.clone());
    Ok(res.saying(args.format, args.offline))
}

/// Runs of an experiment that were finished before, with these settings, and are not asked for now: the report has them, too.
fn finished(
    args: &Args,
    list: &List,
    folder: &Path,
    it: &Experiment,
    wanted: &[Wanted],
) -> Result<Vec<(Wanted, Came)>, Failure> {
    // An experiment that `--set` says nothing about cannot have been made like this.
    let Ok(one) = training(args, list, folder, it) else { return Ok(Vec::new()) };
    let names = std::fs::read_dir(args.run.join(&it.name)).into_iter().flatten().flatten().map(|it| it.file_name());
    let seed = |name: OsString| name.to_str()?.strip_prefix("seed-")?.parse::<u64>().ok();
    let seeds: BTreeSet<u64> = names.filter_map(seed).collect();
    let mut found = Vec::new();
    for seed in seeds {
        let directory = args.run.join(&it.name).join(format!("seed-{seed}"));
        if wanted.iter().any(|it| it.directory == directory) || same(&directory, &one.set).is_err() {
            continue;
        }
        let Ok(run) = look_at_run(&directory) else { continue };
        if run.state == State::Finished {
            let mut args = one.clone();
            args.recipe.seed = Some(seed);
            let came = Came::Finished(many::read(&directory)?);
            found.push((Wanted { name: it.name.clone(), args, directory }, came));
        }
    }
    Ok(found)
}

/// Mistakes in any model, and data sets that are nowhere, are told before the first training.
fn mistakes(chosen: &[Experiment], each: &[train::Args]) -> Result<(), Failure> {
    let mut places = BTreeSet::new();
    for (experiment, it) in chosen.iter().zip(each) {
        let model = load::model(&it.file, train::options(it))?;
        let checked = model.check()?;
        if it.recipe.data.is_none() {
            model.demand(&checked)?;
        }
        if let Some(layer) = &experiment.features {
            points::judge(&model, layer)?;
        }
        let named = checked.graph().and_then(|it| Some(it.recipe.as_ref()?.data.clone()));
        places.extend(it.recipe.data.clone().or(named));
    }
    let Some(first) = each.first() else { return Ok(()) };
    for wanted in places {
        sphc::find_data(&wanted, args::data_folder().as_deref(), train::options(first).fetch)?;
    }
    Ok(())
}

/// That a run that is there was asked for with these settings.
fn same(directory: &Path, set: &SetArgs) -> Result<(), Failure> {
    let wanted: Vec<String> = set.set.iter().map(|(name, value)| format!("{name}={value}")).collect();
    // What holds no run that can be read is told by the training.
    match Started::read(directory) {
        Ok(it) if it.set != wanted => {
            let shown = |set: &[String]| match set {
                [] => "none".to_owned(),
                all => all.iter().map(|it| format!("`{it}`")).collect::<Vec<_>>().join(", "),
            };
            let (then, now) = (shown(&it.set), shown(&wanted));
            let cause = format!("`{}` is a run with other settings: {then}, and now {now}", directory.display());
            Err(Failure::new(
                cause,
                "give the command that made it to go on with it, or another directory with `--run DIR`",
            ))
        }
        Ok(_) | Err(_) => Ok(()),
    }
}

fn seeds(args: &Args) -> Result<Vec<u64>, Failure> {
    match args.seed.checked_add(args.seeds - 1) {
        Some(last) => Ok((args.seed..=last).collect()),
        None => {
            let cause = format!("{} seeds from {} on go beyond the largest, {}", args.seeds, args.seed, u64::MAX);
            Err(Failure::new(cause, "give a smaller `--seed`"))
        }
    }
}

fn listed(args: &Args, chosen: &[Experiment]) -> Outcome {
    let mut out = say::out();
    let mut rows = Vec::new();
    for it in chosen {
        let published = it.published();
        let best = published.as_ref().and_then(|it| Some(it.best?.1.mean));
        let last = published.as_ref().and_then(|it| Some(it.last?.mean));
        let model = it.model.display().to_string();
        if args.format == Format::Json {
            let set: serde_json::Map<_, _> =
                it.set.iter().map(|(name, value)| (name.clone(), json!(value.text()))).collect();
            writeln!(
                out,
                "{}",
                json!({ "name": it.name, "about": it.about, "model": model, "set": set, "best": best, "last": last })
            )?;
        }
        let share = |it: Option<f64>| it.map_or_else(|| "-".to_owned(), |it| format!("{:.2} %", 100.0 * it));
        rows.push(vec![it.name.clone(), model, share(best), share(last), it.about.clone()]);
    }
    if args.format == Format::Human {
        let header = ["experiment", "model", ">published best", ">last", "what it is"];
        write!(out, "{}", table::render(&header, &rows))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn finish(args: &Args, rows: &[Row]) -> Outcome {
    let diverged = rows.iter().any(|it| it.diverged != 0);
    let place = args.run.join(report::NAME);
    if args.format == Format::Json {
        let rows: Vec<_> = rows.iter().map(Row::as_json).collect();
        writeln!(say::out(), "{}", json!({ "event": "reproduced", "report": place.to_string_lossy(), "rows": rows }))?;
    } else {
        let cells: Vec<Vec<String>> = rows.iter().map(Row::cells).collect();
        write!(say::out(), "{}", table::render(&report::HEADER, &cells))?;
        writeln!(say::out(), "report        {}", place.display())?;
    }
    Ok(if diverged { ExitCode::from(1) } else { ExitCode::SUCCESS })
}
