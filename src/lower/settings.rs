//! What is decided about a compilation outside of the text.

use crate::ir::{ImageStep, TargetKind};
use std::fmt;
use std::sync::Arc;

/// What the compiler must know of a data set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataInfo {
    /// `cifar10`.
    pub name: String,
    /// Height, width, channels.
    pub image: [usize; 3],
    /// Classes; 0 where targets are numbers.
    pub classes: usize,
    /// What examples are to be answered with.
    pub target: TargetKind,
    /// Training examples.
    pub train_examples: usize,
    /// Test examples.
    pub test_examples: usize,
}

/// Looks at a data set that a file names by its path, given the steps that are done to its images: what is known of it
/// then, and the smallest and largest of its bytes where they tell something; or why it cannot be used.
#[derive(Clone)]
pub struct Look(Arc<Looks>);

type Looks = dyn Fn(&str, &[ImageStep]) -> Result<(DataInfo, Option<[u8; 2]>), String> + Send + Sync;

impl Look {
    /// Looks as a function does.
    pub fn new(
        look: impl Fn(&str, &[ImageStep]) -> Result<(DataInfo, Option<[u8; 2]>), String> + Send + Sync + 'static,
    ) -> Look {
        Look(Arc::new(look))
    }

    pub(super) fn at(&self, path: &str, steps: &[ImageStep]) -> Result<(DataInfo, Option<[u8; 2]>), String> {
        (self.0)(path, steps)
    }
}

impl fmt::Debug for Look {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Look")
    }
}

/// Settings; `None` leaves the file's word.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// `--set name=value`, in order.
    pub set: Vec<(String, String)>,
    /// `--batch`.
    pub batch: Option<usize>,
    /// `--iterations`.
    pub iterations: Option<u64>,
    /// `--seed`.
    pub seed: Option<u64>,
    /// `--evaluate-every`.
    pub evaluate_every: Option<u64>,
    /// `--checkpoint-every`.
    pub checkpoint_every: Option<u64>,
    /// `--patience`.
    pub patience: Option<u64>,
    /// `--no-shuffle`.
    pub no_shuffle: bool,
    /// `--no-augment`.
    pub no_augment: bool,
    /// Whether the model is evaluated only, so that nothing is to be said of its training.
    pub evaluates: bool,
    /// Layers and named tensors that an evaluation is to tell.
    pub features: Vec<String>,
    /// Smallest and largest byte of the images of data sets, by name; of others they are 0 and 255.
    pub ranges: Vec<(String, [u8; 2])>,
    /// Data sets that a file can name.
    pub known_data: Vec<DataInfo>,
    /// The data set that is there (`--data`), in place of the one the file names; the steps of the
    /// recipe's `data` entry are done to its images already.
    pub data: Option<DataInfo>,
    /// Whether that is another one than the file names.
    pub data_replaced: bool,
    /// Where that is, when it is the one that the file names by its path.
    pub data_path: Option<String>,
    /// Looks at data sets that a file names by their paths.
    pub look: Option<Look>,
    /// Whether an [`Index`](super::Index) is made.
    pub index: bool,
}
