//! From a path on the command line to a checked model or a plan.

use super::args::{self, RecipeArgs, SetArgs, Split};
use super::failure::Failure;
use super::say;
use sphc::data::{self, Dataset};
use sphc::diag::{self, FileId, Sources};
use sphc::ir::{ImageStep, Precision};
use sphc::lower::{DataInfo, Settings};
use sphc::pipeline::{self, Checked, Compiled};
use sphc::plan::{self, Plan};
use sphc::train::weights::{Need, Weights};
use sphc::train::{self, Meaning, TrainError};
use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock};

/// The longest text of a model, in bytes; 10 000 layers line by line take a tenth of it.
const LONGEST_MODEL: u64 = 4 << 20;

/// The longest of any other text, a plan above all.
const LONGEST_TEXT: u64 = 1 << 30;

/// Reads a text, or says why not and what to do.
pub(super) fn read_text(path: &Path) -> Result<String, Failure> {
    bounded(path, LONGEST_TEXT)
}

fn bounded(path: &Path, limit: u64) -> Result<String, Failure> {
    let shown = path.display();
    // A named pipe would be waited for without end; one that the shell hands over has its writer.
    let handed = ["/dev/", "/proc/"].iter().any(|it| path.starts_with(it));
    if !handed && std::fs::metadata(path).is_ok_and(|it| !it.is_file() && !it.is_dir()) {
        let cause = format!("cannot read `{shown}`: it is a pipe, a socket or a device");
        return Err(Failure::new(cause, "give a file, or `/dev/stdin` for what is piped in"));
    }
    if path.is_dir() {
        let plan = path.join("plan.yaml");
        if plan.is_file() {
            let remedy = format!("it holds a plan: give `{}`", plan.display());
            return Err(Failure::new(format!("cannot read `{shown}`: it is a directory"), remedy));
        }
        return Err(Failure::new(format!("cannot read `{shown}`: it is a directory"), "give a file in it"));
    }
    let text = std::fs::File::open(path).and_then(|it| whole(it, limit)).map_err(|it| match it.kind() {
        io::ErrorKind::NotFound => {
            let library = path.starts_with(sphc::lower::library::FOLDER);
            let remedy = if library { sphc::lower::library::listed() } else { "check the path".to_owned() };
            Failure::new(format!("cannot read `{shown}`: there is no such file"), remedy)
        }
        io::ErrorKind::FileTooLarge => {
            Failure::new(format!("cannot read `{shown}`: {it}"), "check that it is the file you mean")
        }
        io::ErrorKind::InvalidData => Failure::new(format!("cannot read `{shown}`: {it}"), "save it as UTF-8"),
        _ => Failure::new(format!("cannot read `{shown}`: {it}"), "check that the file may be read"),
    })?;
    Ok(text)
}

/// The text of an open file, if it is one and not too long. A device may have no end.
fn whole(file: std::fs::File, limit: u64) -> io::Result<String> {
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes)?;
    text_of(bytes, limit)
}

fn text_of(bytes: Vec<u8>, limit: u64) -> io::Result<String> {
    if limit < bytes.len() as u64 {
        let cause = format!("it is longer than {} MiB", limit >> 20);
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, cause));
    }
    String::from_utf8(bytes).map_err(|it| {
        let cause = format!("it is not UTF-8 text (byte {})", it.utf8_error().valid_up_to());
        io::Error::new(io::ErrorKind::InvalidData, cause)
    })
}

/// Whether standard input is meant.
pub(super) fn is_stdin(path: &Path) -> bool {
    path == Path::new("-")
}

/// What a text is called in messages.
pub(super) fn shown(path: &Path) -> String {
    if is_stdin(path) { "stdin".to_owned() } else { path.display().to_string() }
}

/// The text of standard input, which can be read once, and is wanted as often as a command checks its model.
fn stdin() -> Result<String, Failure> {
    static TEXT: OnceLock<Result<String, String>> = OnceLock::new();
    let read = || {
        let mut bytes = Vec::new();
        io::stdin().take(LONGEST_MODEL + 1).read_to_end(&mut bytes).and_then(|_| text_of(bytes, LONGEST_MODEL))
    };
    TEXT.get_or_init(|| read().map_err(|it| it.to_string()))
        .clone()
        .map_err(|it| Failure::new(format!("cannot read standard input: {it}"), "pipe the text of a model into it"))
}

/// Reads the text of a model.
pub(super) fn read_model(path: &Path) -> Result<String, Failure> {
    if is_stdin(path) {
        return stdin();
    }
    if is_plan(path) && path.is_file() {
        let cause = format!("`{}` is a plan, or some other YAML file, and no model", path.display());
        return Err(Failure::new(cause, "give the `.sph` file; `train`, `eval` and `predict` take plans, too"));
    }
    bounded(path, LONGEST_MODEL)
}

/// Parses and checks a file; its mistakes are in the result.
pub(super) fn check(path: &Path, settings: &Settings) -> Result<Checked, Failure> {
    Ok(check_text(path, &read_model(path)?, settings))
}

/// The same of a text that is to be in the file.
pub(super) fn check_text(path: &Path, text: &str, settings: &Settings) -> Checked {
    let mut load = |path: &str| import(Path::new(path)).map_err(|it| why_not(Path::new(path), &it));
    pipeline::check(&shown(path), text, &mut load, settings)
}

/// The text of an imported file. Only a file is opened: opening a pipe may take for ever, reading a device, too.
fn import(path: &Path) -> io::Result<String> {
    let kind = std::fs::metadata(path)?;
    if kind.is_dir() {
        return Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a directory"));
    }
    if !kind.is_file() {
        return Err(io::Error::other("it is a pipe, a socket or a device, not a file"));
    }
    whole(std::fs::File::open(path)?, LONGEST_MODEL)
}

/// Why an import cannot be read; a file of a similar name beside it is told.
fn why_not(path: &Path, error: &io::Error) -> String {
    if error.kind() != io::ErrorKind::NotFound {
        return error.to_string();
    }
    let folder = path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let Ok(entries) = std::fs::read_dir(folder) else {
        return format!("there is no folder `{}`", folder.display());
    };
    let mut names: Vec<String> = entries.flatten().filter_map(|it| it.file_name().into_string().ok()).collect();
    names.retain(|it| it.ends_with(".sph"));
    let wanted = path.file_name().and_then(|it| it.to_str()).unwrap_or("");
    match diag::did_you_mean(wanted, names.iter().map(String::as_str)) {
        Some(near) => format!("there is no such file; did you mean `{near}`?"),
        None => "there is no such file".to_owned(),
    }
}

/// Shows diagnostics of a file that is to be worked on; fails when there are errors.
pub(super) fn demand(checked: &Checked) -> Result<(), Failure> {
    let text = diag::render::render(&checked.diagnostics, &checked.sources, say::colour());
    // Warnings are said once, however often a command compiles the file.
    static SAID: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    if SAID.lock().is_ok_and(|mut it| it.insert(text.clone())) {
        let _ = io::stderr().write_all(text.as_bytes());
    }
    if checked.typed.is_some() {
        return Ok(());
    }
    if checked.diagnostics.iter().all(|it| it.severity() != diag::Severity::Error) {
        return Err(Failure::new(
            format!("`{}` has no model: it is a library to be imported", checked.sources.get(FileId(0)).name),
            "name a file with a `model`",
        ));
    }
    let _ = writeln!(say::err(), "error: {} in the model", diag::render::count(&checked.diagnostics));
    Err(Failure::Reported)
}

/// A model with everything a command may want of it.
pub(super) struct Model {
    /// What `check` found.
    pub(super) checked: Checked,
    /// What the compiler made.
    pub(super) compiled: Compiled,
}

/// Compiles a file for the data set that `data` tells, or for what is usual for the one it names.
pub(super) fn compile(path: &Path, settings: Settings, precision: Option<Precision>) -> Result<Model, Failure> {
    let checked = check(path, &settings)?;
    demand(&checked)?;
    finish(checked, &settings, precision)
}

fn finish(checked: Checked, settings: &Settings, flag: Option<Precision>) -> Result<Model, Failure> {
    let typed = checked.typed.clone().ok_or(Failure::Reported)?;
    let precision = args::decide(flag, typed.recipe.as_ref())?;
    let identity = pipeline::identity(&checked.sources, settings, precision);
    let compiled = pipeline::compile(typed, &checked.sources, precision, identity);
    Ok(Model { checked, compiled })
}

/// What the recipe does to the images of its data set.
fn image_steps(checked: &Checked) -> Vec<ImageStep> {
    checked.graph().map_or_else(Vec::new, |it| it.images.clone())
}

/// What the compiler must know of the data set that `--data` names, with the steps of the recipe done to it.
pub(super) fn data_info(path: &Path, settings: &Settings, wanted: &str) -> Result<DataInfo, Failure> {
    let steps = image_steps(&check(path, settings)?);
    Ok(args::info(&args::read_data(wanted, &steps, false)?.0))
}

/// What the weights in a file were trained on, as far as they say. Other classes than those at hand are an error.
pub(super) fn meaning(path: &Path, weights: &Weights, classes: Option<&[String]>) -> Result<Option<Meaning>, Failure> {
    let fail = |cause: String, remedy: &str| {
        Failure::from_error(TrainError::Weights { path: path.into(), cause, remedy: remedy.into() })
    };
    let found = Meaning::read(weights).map_err(|it| fail(it, "give a file that `sphc train` wrote"))?;
    if let (Some(meaning), Some(classes)) = (&found, classes)
        && let Some(cause) = meaning.conflict(classes)
    {
        return Err(fail(cause, "give the data set that the weights were trained on, or one with the same classes"));
    }
    Ok(found)
}

/// Weights to evaluate a plan with. Those of another text fit where only their names and extents are the same: that is
/// said, for their results may mean nothing, but a comment that was changed is not a reason to refuse them.
pub(super) fn fitting(weights: Weights, path: &Path, plan: &Plan) -> Result<Weights, Failure> {
    let weights = train::fit(weights, path, plan, Need::Inference)?;
    if weights.strange_to(plan) {
        let _ = writeln!(
            say::err(),
            "warning: `{}` was trained with another text or other `--set` values than given now; its results mean \
             something only if the network is the same (the run's config.yaml tells what it was)",
            path.display()
        );
    }
    Ok(weights)
}

/// Compiles a file again with another batch, without a word.
pub(super) struct Again {
    path: PathBuf,
    settings: Settings,
    precision: Option<Precision>,
}

impl Again {
    pub(super) fn new(path: &Path, settings: &Settings, precision: Option<Precision>) -> Again {
        Again { path: path.into(), settings: settings.clone(), precision }
    }

    /// The plan of a batch.
    pub(super) fn plan(&self, batch: usize) -> Option<Plan> {
        let settings = Settings { batch: Some(batch), ..self.settings.clone() };
        let checked = check(&self.path, &settings).ok()?;
        checked.typed.as_ref()?;
        Some(finish(checked, &settings, self.precision).ok()?.compiled.plan)
    }
}

/// A plan with the data set it is for.
pub(super) struct Ready {
    pub(super) plan: Plan,
    pub(super) data: Dataset,
    /// Where the data set was.
    pub(super) place: String,
    /// Empty when the plan was made before.
    pub(super) sources: Sources,
    /// Where the plan comes from; nothing when it was made before.
    pub(super) again: Option<Again>,
}

/// Whether a path names a plan rather than a model.
pub(super) fn is_plan(path: &Path) -> bool {
    path.extension().is_some_and(|it| it == "yaml" || it == "yml")
}

/// Reads or makes the plan of `path` and reads its data set, whose sizes go into the plan; with `fetch`, fetches it
/// where it is not there.
pub(super) fn ready(
    path: &Path,
    set: &SetArgs,
    recipe: &RecipeArgs,
    flag: Option<Precision>,
    fetch: bool,
) -> Result<Ready, Failure> {
    if is_plan(path) {
        return ready_plan(path, set, recipe, flag, fetch);
    }
    let mut settings = args::settings(set, recipe);
    // Mistakes in the file come before a data set that is missing; with `--data` they need its sizes.
    let first = check(path, &settings)?;
    let named = first.typed.as_ref().and_then(|it| it.recipe.as_ref()).map(|it| it.data.clone());
    let wanted = match (&recipe.data, named.clone()) {
        (Some(it), _) => it.clone(),
        (None, Some(it)) => it,
        (None, None) => {
            demand(&first)?;
            let name = path.display();
            return Err(Failure::new(
                format!("`{name}` has no recipe, so there is nothing to train"),
                "add a `train { ... }` section to the file",
            ));
        }
    };
    let steps = image_steps(&first);
    let (data, place) = args::read_data(&wanted, &steps, fetch)?;
    let kept = first.typed.as_ref().and_then(|it| it.recipe.as_ref()).and_then(|it| Some((it.validate?, it.seed)));
    let mut data = chosen(data, recipe.split, kept)?;
    settings.ranges.extend(args::range(&data));
    settings.data = Some(args::info(&data));
    settings.data_replaced = recipe.data.is_some();
    settings.data_path = named.filter(|it| recipe.data.is_none() && data::find(it).is_none());
    let again = Some(Again::new(path, &settings, flag));
    let Model { checked, compiled } = compile(path, settings, flag)?;
    if let Some(share) = compiled.plan.training.as_ref().and_then(|it| it.validate) {
        data = data::parted(data, share, compiled.plan.seed, recipe.evaluates)?;
    }
    Ok(Ready { plan: compiled.plan, data, place, sources: checked.sources, again })
}

/// A data set with the images of a split in the place of its test set.
fn chosen(data: Dataset, split: Split, validate: Option<(f64, u64)>) -> Result<Dataset, Failure> {
    let test = match (split, validate) {
        (Split::Test, _) => return Ok(data),
        (Split::Train, None) => data.train.clone(),
        (Split::Train, Some((share, seed))) => data::parted(data.clone(), share, seed, false)?.train,
        (Split::Validation, Some((share, seed))) => data::parted(data.clone(), share, seed, false)?.test,
        (Split::Validation, None) => {
            return Err(Failure::new(
                "the recipe keeps no images for validation",
                "add `validate 0.1` to the recipe, or give `--split train` or `--split test`",
            ));
        }
    };
    Ok(Dataset { test, ..data })
}

fn ready_plan(
    path: &Path,
    set: &SetArgs,
    recipe: &RecipeArgs,
    flag: Option<Precision>,
    fetch: bool,
) -> Result<Ready, Failure> {
    let fixed = [
        ("--set", !set.set.is_empty()),
        ("--batch", recipe.batch.is_some()),
        ("--seed", recipe.seed.is_some()),
        ("--no-shuffle", recipe.no_shuffle),
        ("--no-augment", recipe.no_augment),
    ];
    if let Some((flag, _)) = fixed.iter().find(|it| it.1) {
        return Err(Failure::new(
            format!("`{flag}` cannot change a plan, which is compiled already"),
            "give it to `sphc compile`, or train the `.sph` file",
        ));
    }
    if recipe.split != Split::Test {
        return Err(Failure::new(
            format!("the plan `{}` is made for its own test set, not for other images", path.display()),
            "give the `.sph` file",
        ));
    }
    let text = read_text(path)?;
    let mut plan = plan::from_yaml(&path.display().to_string(), &text).map_err(Failure::from_error)?;
    if flag.is_some_and(|it| it != plan.precision) {
        return Err(Failure::new(
            format!("the plan `{}` is compiled for another precision", path.display()),
            "give `--precision` to `sphc compile`",
        ));
    }
    let name = plan.name.clone();
    let Some(training) = &mut plan.training else {
        return Err(Failure::from_error(sphc::train::TrainError::NoRecipe { model: name }));
    };
    training.iterations = recipe.iterations.unwrap_or(training.iterations);
    if let Some(all) = training.schedule_iterations.filter(|it| *it != training.iterations) {
        return Err(Failure::new(
            format!("the training of the plan follows a schedule over {all} iterations, which are compiled into it"),
            "give `--iterations` to `sphc compile`, or train the `.sph` file",
        ));
    }
    training.evaluate_every = recipe.evaluate_every.unwrap_or(training.evaluate_every);
    training.patience = recipe.patience.unwrap_or(training.patience);
    training.checkpoint_every = recipe.checkpoint_every.unwrap_or(training.checkpoint_every);
    let wanted = recipe.data.clone().unwrap_or_else(|| training.data.clone());
    let (mut data, place) = args::read_data(&wanted, &training.images, fetch)?;
    if let Some(share) = training.validate {
        if recipe.evaluates {
            return Err(Failure::new(
                format!("the plan `{}` is made for a validation set, not for the test set", path.display()),
                "give the `.sph` file",
            ));
        }
        data = data::parted(data, share, plan.seed, false)?;
    }
    Ok(Ready { plan, data, place, sources: Sources::new(), again: None })
}
