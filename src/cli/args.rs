//! Flags that several commands share.

use super::failure::Failure;
use super::say;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum};
use sphc::data::{self, Answer, DataError, Dataset, Manifest, Place};
use sphc::ir::{ImageStep, Precision, Recipe, TargetKind};
use sphc::lower::{DataInfo, Settings};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::sync::Mutex;

/// How results are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people
    #[default]
    Human,
    /// For programs: JSON, one object per line
    Json,
}

/// `--set`.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct SetArgs {
    /// Set a `param` of the file, such as norm=linear or widths=[16,24,32]
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = parse_set)]
    pub(super) set: Vec<(String, String)>,
}

pub(super) fn parse_set(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() => Ok((name.trim().to_owned(), value.trim().to_owned())),
        _ => Err("expected NAME=VALUE".into()),
    }
}

/// What replaces the recipe's own words.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct RecipeArgs {
    /// Data set: a name, a directory (CIFAR, MNIST or images by class), an .npz file, or a manifest (.yaml)
    #[arg(long, value_name = "NAME|PATH")]
    pub(super) data: Option<String>,
    /// Examples per step
    #[arg(long, value_name = "N", value_parser = positive)]
    pub(super) batch: Option<u64>,
    /// Number of steps
    #[arg(long, value_name = "N", value_parser = positive)]
    pub(super) iterations: Option<u64>,
    /// Seed of initial values, shuffling and augmentation
    #[arg(long, value_name = "N", value_parser = whole)]
    pub(super) seed: Option<u64>,
    /// Take batches in the order of the files
    #[arg(long)]
    pub(super) no_shuffle: bool,
    /// Take images as they are
    #[arg(long)]
    pub(super) no_augment: bool,
    /// Evaluate on the test set every N steps; 0 is only at the end
    #[arg(long, value_name = "N", value_parser = whole)]
    pub(super) evaluate_every: Option<u64>,
    /// Write a checkpoint every N steps; 0 is only at the end
    #[arg(long, value_name = "N", value_parser = whole)]
    pub(super) checkpoint_every: Option<u64>,
    /// End after N evaluations in a row that are no better than the best before; 0 is never
    #[arg(long, value_name = "N", value_parser = whole)]
    pub(super) patience: Option<u64>,
    /// Whether nothing is trained.
    #[arg(skip)]
    pub(super) evaluates: bool,
    /// Which images take the place of the test set.
    #[arg(skip)]
    pub(super) split: Split,
    /// Names of what an evaluation is to tell besides.
    #[arg(skip)]
    pub(super) features: Vec<String>,
}

/// Images of a data set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Split {
    /// Those it has for tests
    #[default]
    Test,
    /// Those that are trained with, without what `validate` keeps
    Train,
    /// Those that the recipe's `validate` keeps
    Validation,
}

impl Split {
    /// What its images are called.
    pub(super) fn word(self) -> &'static str {
        match self {
            Split::Test => "test",
            Split::Train => "training",
            Split::Validation => "validation",
        }
    }
}

pub(super) fn whole(text: &str) -> Result<u64, String> {
    text.replace('_', "").parse().map_err(|_| "expected a whole number, 0 or more".into())
}

/// A number of threads. More than any machine has would only take forever to start.
pub(super) fn threads(text: &str) -> Result<u64, String> {
    positive(text).and_then(|it| if it <= 1024 { Ok(it) } else { Err("must be at most 1024".into()) })
}

pub(super) fn positive(text: &str) -> Result<u64, String> {
    match text.replace('_', "").parse() {
        Ok(0) => Err("must be at least 1".into()),
        Ok(it) => Ok(it),
        Err(_) => Err("expected a whole number, 1 or more".into()),
    }
}

/// Settings of a compilation that needs no data set to be there.
pub(super) fn settings(set: &SetArgs, recipe: &RecipeArgs) -> Settings {
    Settings {
        set: set.set.clone(),
        batch: recipe.batch.map(|it| it as usize),
        iterations: recipe.iterations,
        seed: recipe.seed,
        evaluate_every: recipe.evaluate_every,
        checkpoint_every: recipe.checkpoint_every,
        patience: recipe.patience,
        no_shuffle: recipe.no_shuffle,
        no_augment: recipe.no_augment,
        evaluates: recipe.evaluates,
        features: recipe.features.clone(),
        ranges: data::catalog().iter().filter_map(|it| Some((it.name.clone(), it.range?))).collect(),
        known_data: data::catalog().iter().filter_map(usual).collect(),
        data: None,
        data_replaced: false,
        data_path: None,
        look: Some(look),
    }
}

/// What is known of a data set that a file names by its path: what its manifest says, if that is enough, or else what is in
/// it, which is read once for a command.
pub(super) fn look(path: &str, steps: &[ImageStep]) -> Result<(DataInfo, Option<[u8; 2]>), String> {
    let manifest = data::describe(path).map_err(|it| it.to_string())?;
    if let (Some(info), true) = (usual(&manifest), is_told(&manifest)) {
        let image = steps.iter().try_fold(info.image, |image, step| step.shape(image))?;
        return Ok((DataInfo { image, ..info }, manifest.range));
    }
    type Seen = BTreeMap<(String, String), (DataInfo, Option<[u8; 2]>)>;
    static SEEN: Mutex<Seen> = Mutex::new(BTreeMap::new());
    let key = (path.to_owned(), format!("{steps:?}"));
    if let Some(known) = SEEN.lock().ok().and_then(|it| it.get(&key).cloned()) {
        return Ok(known);
    }
    let place = data::place_of(&manifest, path).map_err(|it| it.to_string())?;
    let dataset = data::read(&manifest, &place, steps).map_err(|it| it.to_string())?;
    let found = (info(&dataset), range(&dataset).map(|it| it.1).or(manifest.range));
    if let Ok(mut seen) = SEEN.lock() {
        seen.insert(key, found.clone());
    }
    Ok(found)
}

/// Whether a manifest says all that the compiler must know.
fn is_told(manifest: &Manifest) -> bool {
    let target = manifest.format != data::Format::Npz || manifest.target.is_some();
    target && 0 < manifest.known_classes() && 0 < manifest.train_examples && 0 < manifest.test_examples
}

/// What is usual for a data set of the catalog.
fn usual(manifest: &Manifest) -> Option<DataInfo> {
    let [height, width, _] = manifest.image?;
    let target = match manifest.target {
        Some(Answer::Pixels) => TargetKind::Map([height, width]),
        Some(Answer::Labels) => TargetKind::Labels,
        Some(Answer::Class) | None => TargetKind::Class,
        Some(Answer::Numbers) => return None,
    };
    Some(DataInfo {
        name: manifest.name.clone(),
        image: manifest.image?,
        classes: manifest.known_classes(),
        target,
        train_examples: manifest.train_examples,
        test_examples: manifest.test_examples,
    })
}

/// As many images do not tell which bytes a data set uses.
const FEW: usize = 100;

/// What the compiler must know of a data set that was read.
pub(super) fn info(data: &Dataset) -> DataInfo {
    DataInfo {
        name: data.name.clone(),
        image: data.image,
        classes: data.classes.len(),
        target: data.target.clone(),
        train_examples: data.train.len(),
        test_examples: data.test.len(),
    }
}

/// The bytes that a data set's images use. A handful of images tells little, and what is known of a name goes first.
pub(super) fn range(data: &Dataset) -> Option<(String, [u8; 2])> {
    let named = data::find(&data.name).is_some();
    let highest = data.train.images.iter().copied().max().filter(|it| *it != 0)?;
    (!named && FEW < data.train.len()).then(|| (data.name.clone(), [0, highest]))
}

/// Warnings on standard error, each once, however often a command reads what they are about.
pub(super) fn warn(warnings: &[String]) {
    static SAID: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    for it in warnings {
        if SAID.lock().is_ok_and(|mut said| said.insert(it.clone())) {
            let _ = writeln!(say::err(), "warning: {it}");
        }
    }
}

/// Reads the data set that `--data` or a model names, does the recipe's steps to its images, and says where it was, and
/// on standard error what a user should know of it.
/// With `fetch` one that is not there is fetched.
pub(super) fn read_data(wanted: &str, steps: &[ImageStep], fetch: bool) -> Result<(Dataset, String), Failure> {
    let manifest = data::describe(wanted)?;
    let place = match data::place_of(&manifest, wanted) {
        Err(DataError::Missing { .. }) if fetch && !manifest.files.is_empty() => {
            super::data::fetch(&manifest, wanted)?;
            data::place_of(&manifest, wanted)?
        }
        it => it?,
    };
    let dataset = data::read(&manifest, &place, steps)?;
    let known: Vec<String> = dataset.warnings.iter().map(|it| format!("data set `{}`: {it}", dataset.name)).collect();
    warn(&known);
    let place = match place {
        Place::Embedded => "embedded".into(),
        Place::At(it) => it.display().to_string(),
    };
    Ok((dataset, place))
}

/// `--precision`: one of the compiler's words.
pub(super) fn precision() -> impl TypedValueParser<Value = Precision> {
    let words = Precision::ALL.map(|it| PossibleValue::new(it.word()).help(it.about()));
    PossibleValuesParser::new(words).try_map(|it| Precision::of(&it).ok_or("an unknown precision"))
}

/// The precision of the flag, or else what the file's recipe says, or else f32; where this build has it.
pub(super) fn decide(flag: Option<Precision>, recipe: Option<&Recipe>) -> Result<Precision, Failure> {
    let precision = flag.or_else(|| recipe?.precision).unwrap_or_default();
    if precision.needs_gpu() && !cfg!(feature = "cuda") {
        return Err(Failure::new(
            "the precisions tf32 and bf16 need a GPU, and this build has no CUDA backend",
            "use `--precision f32`",
        ));
    }
    Ok(precision)
}
