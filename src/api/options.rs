//! What is asked for in place of what a file says, and how a training goes.

use crate::data::{FetchError, Manifest, Watch};
use crate::ir::Precision;
use crate::train::{Init, Resume};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Fetches a data set that is not there, given what it was called and [`Options::data_folder`], and says where it is now. [`data::fetch::quietly`]
/// is one.
///
/// [`data::fetch::quietly`]: crate::data::fetch::quietly
pub type Fetch = fn(manifest: &Manifest, wanted: &str, root: Option<&Path>) -> Result<PathBuf, FetchError>;

/// What is asked for; `None`, `false` and empty lists leave the file's word. In parentheses is what the command line calls
/// it, as messages do.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Values of the file's `param`s by name, as the language writes them: `("norm", "linear")` (`--set`).
    pub set: Vec<(String, String)>,
    /// Data set in place of the file's: a name, a directory, an .npz file, or a manifest (`--data`).
    pub data: Option<String>,
    /// Examples per step (`--batch`).
    pub batch: Option<usize>,
    /// Shards of a batch (`--shards`).
    pub shards: Option<usize>,
    /// Processes that share a training, if more than one: then a batch has 8 shards where nothing says otherwise.
    pub ranks: usize,
    /// Steps of the training (`--iterations`).
    pub iterations: Option<u64>,
    /// Seed of initial values, shuffling and augmentation (`--seed`).
    pub seed: Option<u64>,
    /// Take batches in the order of the files (`--no-shuffle`).
    pub no_shuffle: bool,
    /// Take images as they are (`--no-augment`).
    pub no_augment: bool,
    /// Evaluate on the test set every so many steps; 0 is only at the end (`--evaluate-every`).
    pub evaluate_every: Option<u64>,
    /// Write a checkpoint every so many steps; 0 is only at the end (`--checkpoint-every`).
    pub checkpoint_every: Option<u64>,
    /// End after so many evaluations in a row that are no better than the best before; 0 is never (`--patience`).
    pub patience: Option<u64>,
    /// Arithmetic and storage (`--precision`).
    pub precision: Option<Precision>,
    /// Whether nothing is trained, so that nothing is told of the recipe's training. Evaluations set it themselves.
    pub evaluates: bool,
    /// Which images take the place of the test set (`--split`).
    pub split: Split,
    /// Layers and named tensors that an evaluation tells besides (`--layer`).
    pub features: Vec<String>,
    /// Whether a training can tell the gradients of its steps, which a training that shows [`Shown::Histograms`] does.
    pub gradients: bool,
    /// What the tensors of weights to evaluate are called here: patterns and maps (`--weights-map`).
    pub weights_map: Vec<String>,
    /// The folder of the user's data sets, looked into before `data` and fetched to (`SPHC_DATA`).
    pub data_folder: Option<PathBuf>,
    /// The most bytes that images may take of memory: more lie in a file of the folder for temporary files (`SPHC_DATA_MEMORY`).
    pub data_memory: Option<u64>,
    /// Fetches a data set that is not there; without, that is an error.
    pub fetch: Option<Fetch>,
    /// Told how many pictures of a data set are decoded, as they are.
    pub watch: Option<Watch>,
}

/// Images of a data set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Split {
    /// Those it has for tests.
    #[default]
    Test,
    /// Those that are trained with, without what the recipe's `validate` keeps.
    Train,
    /// Those that the recipe's `validate` keeps.
    Validation,
}

impl Split {
    /// What its images are called.
    pub fn word(self) -> &'static str {
        match self {
            Split::Test => "test",
            Split::Train => "training",
            Split::Validation => "validation",
        }
    }
}

/// What TensorBoard can be shown beside the numbers of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shown {
    /// The network, layer by layer.
    Graph,
    /// How the numbers of parameters are spread, and those of what the optimizer keeps of them, at each evaluation; of gradients as
    /// well where [`Options::gradients`] has them told.
    Histograms,
    /// The filters of the first layer that sees an image, at each evaluation.
    Filters,
    /// What the run was asked for, beside what came of it.
    Settings,
}

/// How a training goes, and where it is kept.
#[derive(Clone)]
pub struct TrainOptions<'a> {
    /// The run directory; made if it is not there. Metrics, checkpoints, curves and `config.yaml` come into it (`--run`).
    pub run: PathBuf,
    /// Go on with the run that is there, bit for bit, and from which checkpoint (`--resume`).
    pub resume: Option<Resume>,
    /// Weights to start from (`--init`).
    pub init: Option<Init>,
    /// Log the losses of every so many iterations; 1 or more (`--log-every`).
    pub log_every: u64,
    /// What TensorBoard is shown beside the log (`--tensorboard`).
    pub tensorboard: BTreeSet<Shown>,
    /// Asked after every step and during evaluations: whether to write a checkpoint and return.
    pub stop: &'a dyn Fn() -> bool,
    /// What `config.yaml` says that the training was started with.
    pub command: Vec<String>,
}

impl TrainOptions<'_> {
    /// A new training in this directory, to its end, every tenth iteration logged.
    pub fn new(run: impl Into<PathBuf>) -> Self {
        let (resume, init, log_every, stop, command) = (None, None, 10, &|| false, Vec::new());
        TrainOptions { run: run.into(), resume, init, log_every, tensorboard: BTreeSet::new(), stop, command }
    }
}
