//! Flags that several commands share.

use super::failure::Failure;
use super::{decoding, say};
use clap::builder::{PathBufValueParser, PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum};
use sphc::runtime::CudaSetup;
use sphc::runtime::ranks::Together;
use sphc::train::weights::Renames;
use sphc::{Device, DeviceOptions, Options, Precision, Split};
use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::str::FromStr;
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
    /// Compute a batch in shards: 1, 2, 4, 8, ... up to 64; any number of processes that share them out
    /// (`mpirun -n N sphc train`) makes the same bits
    #[arg(long, value_name = "N", value_parser = positive)]
    pub(super) shards: Option<u64>,
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
}

/// `--weights`.
#[derive(Clone, Debug, Args)]
pub(super) struct WeightsArgs {
    /// A checkpoint, or any safetensors file with the model's parameters and running statistics
    #[arg(long = "weights", value_name = "FILE")]
    pub(super) weights: PathBuf,
    /// What tensors of `--weights` are called here: a pattern such as 'backbone.*=*', a map that comes with sphc
    /// (torchvision/resnet18), or a file with one; may come again, the first that matches counts
    #[arg(long, value_name = "FROM=TO|MAP", value_parser = renames)]
    pub(super) weights_map: Vec<String>,
}

/// Patterns and maps are judged before any work; the library reads them again.
pub(super) fn renames(text: &str) -> Result<String, String> {
    Renames::parse(text).map(|_| text.to_owned())
}

/// `--split`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum SplitArg {
    /// Those it has for tests
    #[default]
    Test,
    /// Those that are trained with, without what `validate` keeps
    Train,
    /// Those that the recipe's `validate` keeps, or the data set's own (`val/`)
    Validation,
}

impl From<SplitArg> for Split {
    fn from(it: SplitArg) -> Split {
        match it {
            SplitArg::Test => Split::Test,
            SplitArg::Train => Split::Train,
            SplitArg::Validation => Split::Validation,
        }
    }
}

/// `--device`, `--precision`, `--threads`.
#[derive(Clone, Debug, Args)]
pub(super) struct DeviceArgs {
    /// auto, cpu, or cuda[:N]
    #[arg(long, value_name = "DEVICE", default_value = "auto", value_parser = Device::from_str)]
    device: Device,
    /// Arithmetic and storage; what the recipe says unless given, else f32
    #[arg(long, value_parser = precision())]
    pub(super) precision: Option<Precision>,
    /// CPU threads; as many as there are cores unless given
    #[arg(long, value_name = "N", value_parser = threads)]
    pub(super) threads: Option<u64>,
    /// Start although it needs more memory than seems to be free
    #[arg(long)]
    pub(super) ignore_memory: bool,
}

impl DeviceArgs {
    /// The device, unless this build or machine lacks it.
    pub(super) fn checked(&self) -> Result<DeviceOptions, Failure> {
        let options = self.of_ranks(None);
        options.check(self.precision)?;
        Ok(options)
    }

    /// The device of processes that share a training, which is judged once they have agreed to begin.
    pub(super) fn of_ranks(&self, ranks: Option<Together>) -> DeviceOptions {
        let threads = self.threads.map(|it| it as usize);
        let Self { device, ignore_memory, .. } = *self;
        DeviceOptions { device, threads, ignore_memory, ranks, cuda: cuda() }
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

/// The folder of the user's data sets: `$SPHC_DATA`.
pub(super) fn data_folder() -> Option<PathBuf> {
    std::env::var_os("SPHC_DATA").filter(|it| !it.is_empty()).map(PathBuf::from)
}

/// What images may take of memory: `$SPHC_DATA_MEMORY`.
pub(super) fn data_memory() -> Result<Option<u64>, Failure> {
    let Some(said) = std::env::var_os("SPHC_DATA_MEMORY").filter(|it| !it.is_empty()) else { return Ok(None) };
    let found = said.to_str().and_then(bytes);
    found.map(Some).ok_or_else(|| {
        Failure::new(
            format!("`SPHC_DATA_MEMORY={}` is not understood", said.display()),
            "give bytes, or `500M` or `4G`: the most that images may take of memory",
        )
    })
}

/// `4G` as a number of bytes.
fn bytes(text: &str) -> Option<u64> {
    let units = [("K", 1_000), ("M", 1_000_000), ("G", 1_000_000_000)];
    let unit = units.iter().find_map(|(sign, unit)| Some((text.strip_suffix(sign)?, *unit)));
    let (digits, unit) = unit.unwrap_or((text, 1));
    digits.trim().parse::<u64>().ok()?.checked_mul(unit)
}

/// What the environment says of CUDA.
pub(super) fn cuda() -> CudaSetup {
    CudaSetup::of(&|name| std::env::var_os(name))
}

/// What is asked for, of the model of a command.
pub(super) fn options(set: &SetArgs, recipe: &RecipeArgs, precision: Option<Precision>) -> Options {
    let RecipeArgs { data, batch, shards, iterations, seed, no_shuffle, no_augment, .. } = recipe;
    let RecipeArgs { evaluate_every, checkpoint_every, patience, .. } = recipe;
    Options {
        set: set.set.clone(),
        data: data.clone(),
        batch: batch.map(|it| it as usize),
        shards: shards.map(|it| it as usize),
        iterations: *iterations,
        seed: *seed,
        no_shuffle: *no_shuffle,
        no_augment: *no_augment,
        evaluate_every: *evaluate_every,
        checkpoint_every: *checkpoint_every,
        patience: *patience,
        precision,
        data_folder: data_folder(),
        // A mistake in it was told before any command.
        data_memory: data_memory().ok().flatten(),
        watch: Some(decoding::seen),
        ..Options::default()
    }
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

/// A directory, which `-` for standard output is not.
pub(super) fn directory() -> impl TypedValueParser<Value = PathBuf> {
    let judge =
        |it: PathBuf| if it == Path::new("-") { Err("a directory, which standard output is not") } else { Ok(it) };
    PathBufValueParser::new().try_map(judge)
}

/// `--precision`: one of the compiler's words.
pub(super) fn precision() -> impl TypedValueParser<Value = Precision> {
    let words = Precision::ALL.map(|it| PossibleValue::new(it.word()).help(it.about()));
    PossibleValuesParser::new(words).try_map(|it| Precision::of(&it).ok_or("an unknown precision"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allowance_is_bytes_or_has_a_unit() {
        assert_eq!(["12", "500M", "4G", "3 K"].map(bytes), [12, 500_000_000, 4_000_000_000, 3_000].map(Some));
        assert_eq!(["", "M", "-1", "1.5G", "4GB", "99999999999999999999", "99999999999G"].map(bytes), [None; 7]);
    }
}
