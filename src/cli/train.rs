//! `sphc train`.

use super::args::{self, DeviceArgs, Format, RecipeArgs, SetArgs, positive, renames};
use super::failure::{Failure, Outcome};
use super::progress::{Among, Progress};
use super::say::quoted;
use super::{load, ranks, say, stop, sweep};
use clap::ValueEnum;
use serde_json::json;
use sphc::plan::Training;
use sphc::runtime::ranks::Together;
use sphc::train::{End, TrainError};
use sphc::{Fetch, Init, Model, Options, Ready, Report, Shown, TrainOptions};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Once;
use std::time::{SystemTime, UNIX_EPOCH};

#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    /// A model (.sph), or a plan that `sphc compile` wrote (.yaml)
    pub(super) file: PathBuf,
    #[command(flatten)]
    pub(super) set: SetArgs,
    #[command(flatten)]
    pub(super) device: DeviceArgs,
    #[command(flatten)]
    pub(super) recipe: RecipeArgs,
    /// Train once with each of N seeds, and with every combination of `--set` values parted by commas
    /// (--set norm=none,cosine); prints and draws means with intervals
    #[arg(long, value_name = "N", value_parser = positive)]
    pub(super) seeds: Option<u64>,
    /// Train nothing: write the trainings of `--seeds` and `--set` as an array job for Slurm, or as a shell script, into a
    /// directory; each task is one run, which goes on where it was stopped
    #[arg(long, num_args = 2, value_names = ["slurm|shell", "DIR"], conflicts_with_all = ["run", "resume"])]
    pub(super) emit_jobs: Vec<String>,
    /// Weights to start from: what fits by name and extents is taken, and what was is told
    #[arg(long, value_name = "FILE", conflicts_with = "resume")]
    init: Option<PathBuf>,
    /// Refuse weights to start from that lack anything, or hold anything else
    #[arg(long, requires = "init")]
    init_strict: bool,
    /// What tensors of `--init` are called here: a pattern such as 'backbone.*=*', a map that comes with sphc
    /// (torchvision/resnet18), or a file with one; may come again, the first that matches counts
    #[arg(long, value_name = "FROM=TO|MAP", requires = "init", value_parser = renames)]
    init_map: Vec<String>,
    /// Run directory; `runs/<model>-<time>` unless given
    #[arg(long, value_name = "DIR", value_parser = args::directory())]
    pub(super) run: Option<PathBuf>,
    /// Go on with the run in `--run`, from its newest checkpoint, or from that of its best evaluation: newer ones are removed then
    #[arg(long, requires = "run", value_name = "CHECKPOINT", value_enum)]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "last")]
    pub(super) resume: Option<Resume>,
    /// Log the losses of every N-th iteration
    #[arg(long, value_name = "N", default_value = "10", value_parser = positive)]
    log_every: u64,
    /// Show TensorBoard more than the log's numbers; may be several, parted by commas
    #[arg(long, value_name = "WHAT", value_enum, value_delimiter = ',')]
    tensorboard: Vec<Board>,
    /// Progress on standard error for people, or events on standard output as JSON
    #[arg(long, value_enum, default_value_t)]
    pub(super) format: Format,
    /// Use no network: a data set that is not there is an error instead of being fetched
    #[arg(long)]
    offline: bool,
}

impl Args {
    /// A training of a file with nothing asked for besides.
    pub(super) fn of(file: PathBuf, set: SetArgs, device: DeviceArgs) -> Args {
        Args {
            file,
            set,
            device,
            recipe: RecipeArgs::default(),
            seeds: None,
            emit_jobs: Vec::new(),
            init: None,
            init_strict: false,
            init_map: Vec::new(),
            run: None,
            resume: None,
            log_every: 10,
            tensorboard: Vec::new(),
            format: Format::default(),
            offline: false,
        }
    }

    /// The same with its progress told in this form, and with or without the network.
    pub(super) fn saying(self, format: Format, offline: bool) -> Args {
        Args { format, offline, ..self }
    }
}

/// What TensorBoard is shown beside numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Board {
    /// The network, layer by layer
    Graph,
    /// How weights, their gradients, and what the optimizer keeps of them are spread
    Histograms,
    /// Filters of the first layer that sees the image, as a picture
    Filters,
    /// What was asked for, in a table of runs
    Hparams,
    /// All of these
    All,
}

impl Board {
    fn shown(self) -> &'static [Shown] {
        match self {
            Board::Graph => &[Shown::Graph],
            Board::Histograms => &[Shown::Histograms],
            Board::Filters => &[Shown::Filters],
            Board::Hparams => &[Shown::Settings],
            Board::All => &[Shown::Graph, Shown::Histograms, Shown::Filters, Shown::Settings],
        }
    }
}

/// From where a run goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Resume {
    /// The newest checkpoint
    Last,
    /// That of the best evaluation
    Best,
}

pub(super) fn run(args: &Args) -> Outcome {
    let ranks = ranks::joined()?;
    if let Some(it) = ranks.as_ref().filter(|_| load::is_stdin(&args.file)) {
        return Err(match it.rank() {
            0 => Failure::new("several processes cannot read one standard input", "give a file that all can read"),
            _ => Failure::Reported,
        });
    }
    if sweep::is_wanted(args) {
        return match ranks {
            None => sweep::run(args),
            Some(it) if it.rank() == 0 => Err(Failure::new(
                "several processes train one network, and `--seeds` and lists of `--set` values ask for several",
                "give one value each",
            )),
            Some(_) => Err(Failure::Reported),
        };
    }
    match &ranks {
        Some(it) if it.rank() != 0 => return ranks::follow(args, it),
        Some(_) | None => {}
    }
    let (done, report) = one(args, args.run.as_deref(), None, ranks)?;
    finish(args, &done, &report?)
}

/// A training that came to an end, whichever.
pub(super) struct Done {
    run: PathBuf,
    /// `--set`, as it was given.
    set: Vec<(String, String)>,
    training: Training,
    /// What is told of the batches before the last evaluation.
    trained: Option<String>,
}

/// What is asked for.
pub(super) fn options(args: &Args) -> Options {
    let fetch: Option<Fetch> = if args.offline { None } else { Some(super::data::fetch) };
    Options { fetch, ..args::options(&args.set, &args.recipe, args.device.precision) }
}

/// One training, in its run directory or in a new one.
pub(super) fn one(
    args: &Args,
    run: Option<&Path>,
    among: Option<&Among<'_>>,
    ranks: Option<Together>,
) -> Result<(Done, Result<Report, TrainError>), Failure> {
    let device = match &ranks {
        Some(_) => args.device.of_ranks(ranks.clone()),
        None => args.device.checked()?,
    };
    let tensorboard: BTreeSet<Shown> = args.tensorboard.iter().flat_map(|it| it.shown()).copied().collect();
    let told = Options { gradients: tensorboard.contains(&Shown::Histograms), ..options(args) };
    // Before other processes wait for this one.
    let claimed = match run {
        Some(_) => None,
        None => Some(ranks::or_end(ranks.as_ref(), Claimed::new(&args.file))?),
    };
    let ready = match &ranks {
        Some(it) => {
            let own = || load::telling(Model::open(&args.file)?.with(Options { ranks: it.size(), ..told })).ready();
            Ready::among(&**it, own)?
        }
        None => load::model(&args.file, told)?.ready()?,
    };
    let training = ready.training()?.clone();
    if args.format == Format::Human && among.is_none_or(|it| it.first) {
        let noun = training.noun();
        let what = format!(
            "{}: {} {} iterations of {} {noun}s, {} ({} training and {} {} {noun}s)",
            ready.plan().name,
            if args.resume.is_some() { "resuming" } else { "training" },
            training.iterations,
            training.batch,
            training.data,
            training.train_examples,
            training.test_examples,
            training.tested(),
        );
        let _ = writeln!(say::err(), "{what}");
    }
    static LISTENING: Once = Once::new();
    LISTENING.call_once(stop::listen);
    let run = run.or(claimed.as_ref().map(|it| it.path.as_path())).unwrap_or(Path::new("")).to_path_buf();
    let init = args.init.as_ref().map(|path| Init {
        path: path.clone(),
        strict: args.init_strict,
        map: args.init_map.clone(),
    });
    let how = TrainOptions {
        resume: args.resume.map(|it| match it {
            Resume::Last => sphc::Resume::Last,
            Resume::Best => sphc::Resume::Best,
        }),
        init,
        log_every: args.log_every,
        tensorboard,
        stop: &stop::asked,
        command: std::env::args_os().map(|it| it.to_string_lossy().into_owned()).collect(),
        ..TrainOptions::new(&run)
    };
    let mut progress = Progress::new(args.format, among);
    let report = ready.train(&how, &device, &mut |event| progress.see(event));
    let trained = progress.finish();
    let report = match report {
        Ok(it) => Ok(it),
        Err(sphc::Error::Train(it)) => Err(*it),
        Err(it) => return Err(it.into()),
    };
    Ok((Done { run, set: args.set.set.clone(), training, trained }, report))
}

fn finish(args: &Args, done: &Done, report: &Report) -> Outcome {
    let interrupted = report.end == End::Interrupted;
    if args.format == Format::Json {
        let mut object = json!({
            "event": if interrupted { "interrupted" } else { "finished" },
            "early": report.end == End::Early,
            "iteration": report.step,
            "last": report.last,
            "best": report.best,
            "seconds": report.seconds,
            "times": report.times,
            "waiting": report.times.waiting(),
            "run": done.run.to_string_lossy(),
            "checkpoint": report.checkpoint.as_ref().map(|it| it.to_string_lossy()),
        });
        if let Some(best) = &report.best_checkpoint {
            object["best_checkpoint"] = json!(best.to_string_lossy());
        }
        writeln!(say::out(), "{object}")?;
    } else if interrupted {
        let _ = writeln!(
            say::err(),
            "stopped after iteration {} of {}; go on with\n  {}",
            report.step,
            done.training.iterations,
            resume_command(&done.run)
        );
    } else {
        writeln!(say::out(), "{}", summary(args, done, report))?;
    }
    Ok(if interrupted { stop::status() } else { ExitCode::SUCCESS })
}

impl Done {
    /// What its tests came to, if there was one, and beside it the last batches.
    pub(super) fn found(&self, report: &Report) -> Option<String> {
        let (last, best) = report.last.as_ref().zip(report.best.as_ref())?;
        let (what, best) = match (last.test_accuracy, best.test_accuracy) {
            (Some(last), Some(accuracy)) => {
                let better = format!(" (best {:.2} % at {})", 100.0 * accuracy, best.iteration);
                (format!("accuracy {:.2} %", 100.0 * last), if last < accuracy { better } else { String::new() })
            }
            _ => {
                let better = format!(" (best {:.4} at {})", best.test_loss, best.iteration);
                (format!("loss {:.4}", last.test_loss), if best.is_better(last) { better } else { String::new() })
            }
        };
        let trained = self.trained.as_ref().map_or(String::new(), |it| format!(", {it},"));
        Some(format!(
            "{} {what}{best} on {}{trained} after {} in {:.1} s",
            self.training.tested(),
            say::counted(self.training.test_examples, self.training.noun(), "s"),
            say::counted(report.step as usize, "iteration", "s"),
            report.seconds
        ))
    }
}

fn summary(args: &Args, done: &Done, report: &Report) -> String {
    let Done { run, set, training, .. } = done;
    let mut lines: Vec<String> = done.found(report).into_iter().collect();
    if let (End::Early, Some(best)) = (report.end, &report.best) {
        let patience = say::counted(training.patience as usize, "evaluation", "s");
        lines.push(format!(
            "ended early   of {} iterations, as {patience} in a row gave nothing better than that of iteration {}",
            training.iterations, best.iteration
        ));
    }
    let times = &report.times;
    let share = |part: f64| format!("{:.1} %", 100.0 * part / times.total.max(1e-9));
    lines.push(format!(
        "time          {} in steps, {}{} in tests, {} in checkpoints, {} waiting",
        share(times.steps),
        if times.data == 0.0 { String::new() } else { format!("{} waiting for data, ", share(times.data)) },
        share(times.tests),
        share(times.checkpoints),
        share(times.waiting())
    ));
    let curves = if cfg!(feature = "plots") { "curves.svg, " } else { "" };
    lines.push(format!(
        "run           {}: metrics.jsonl, TensorBoard events, {curves}config.yaml, checkpoints",
        run.display()
    ));
    if let Some(best) = &report.best_checkpoint {
        lines.push(format!("best          {}", best.display()));
    }
    if let Some(checkpoint) = report.best_checkpoint.as_ref().or(report.checkpoint.as_ref()) {
        let mut command: Vec<OsString> = vec![say::program(), "eval".into(), args.file.clone().into()];
        for (name, value) in set {
            command.extend(["--set".into(), format!("{name}={value}").into()]);
        }
        if let Some(data) = &args.recipe.data {
            command.extend(["--data".into(), data.into()]);
        }
        command.extend(["--weights".into(), checkpoint.clone().into()]);
        // What is told of each class, is told of what has one.
        let classes = report.last.as_ref().is_some_and(|it| it.test_accuracy.is_some());
        if classes && training.target.is_class() {
            command.push("--per-class".into());
        }
        lines.push(format!("try next      {}", quoted(&command)));
    }
    lines.join("\n")
}

/// The command that was typed, with what resumes its run.
pub(super) fn resume_command(run: &Path) -> String {
    let mut words: Vec<OsString> = Vec::new();
    let mut typed = std::env::args_os();
    while let Some(word) = typed.next() {
        let starts = |it: &str| word.as_encoded_bytes().starts_with(it.as_bytes());
        if word == "--run" || word == "--init" || word == "--init-map" {
            typed.next();
        } else if !["--resume", "--init-strict"].iter().any(|it| word == *it)
            && !["--run=", "--init=", "--init-map=", "--resume="].iter().any(|it| starts(it))
        {
            words.push(word);
        }
    }
    words.extend(["--run".into(), run.into(), "--resume".into()]);
    quoted(&words)
}

/// A directory for a new run, made for it alone, and removed again if nothing comes into it.
pub(super) struct Claimed {
    pub(super) path: PathBuf,
}

impl Claimed {
    /// `runs/digits-20260102-030405`, in UTC; with a number when that is taken.
    pub(super) fn new(file: &Path) -> Result<Claimed, Failure> {
        let stem = file.file_stem().map_or_else(|| "run".into(), |it| it.to_string_lossy());
        let stem: String = stem.chars().map(|it| if it.is_control() { '_' } else { it }).collect();
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |it| it.as_secs());
        let (year, month, day) = civil(seconds / 86_400);
        let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
        let name = format!("runs/{stem}-{year}{month:02}{day:02}-{hour:02}{minute:02}{second:02}");
        let fail = |path: &Path, cause: io::Error| {
            let cause = format!("cannot make the run directory `{}`: {cause}", path.display());
            Failure::new(cause, "give a directory that can be written to with `--run DIR`")
        };
        let mut number = 1;
        loop {
            let path = PathBuf::from(if number == 1 { name.clone() } else { format!("{name}-{number}") });
            fs::create_dir_all("runs").map_err(|it| fail(Path::new("runs"), it))?;
            match fs::create_dir(&path) {
                Ok(()) => return Ok(Claimed { path }),
                // Whoever makes it has it.
                Err(it) if it.kind() == ErrorKind::AlreadyExists => number += 1,
                // Another one has just removed `runs`.
                Err(it) if it.kind() == ErrorKind::NotFound => {}
                Err(it) => return Err(fail(&path, it)),
            }
        }
    }
}

impl Drop for Claimed {
    fn drop(&mut self) {
        // Neither goes if there is something in it.
        if fs::remove_dir(&self.path).is_ok() {
            let _ = fs::remove_dir("runs");
        }
    }
}

/// Year, month and day of a day counted from 1970-01-01 (Hinnant's algorithm, for days after it).
fn civil(day: u64) -> (u64, u64, u64) {
    let shifted = day + 719_468;
    let era = shifted / 146_097;
    let of_era = shifted % 146_097;
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_become_dates() {
        assert_eq!(civil(0), (1970, 1, 1));
        assert_eq!(civil(11_016), (2000, 2, 29));
        assert_eq!(civil(20_781), (2026, 11, 24));
    }
}
