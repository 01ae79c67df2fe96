//! What is decided about a compilation outside of the text.

use crate::ir::{DType, Extremes, ImageStep, Shape, TargetKind};
use std::fmt;
use std::sync::Arc;

/// What the compiler must know of a data set.
#[derive(Clone, Debug, PartialEq)]
pub struct DataInfo {
    /// `cifar10`.
    pub name: String,
    /// Extents of an example: height, width, channels of an image.
    pub image: Shape,
    /// What an example is made of.
    pub dtype: DType,
    /// The least and the largest number of its examples, where they tell something.
    pub range: Option<Extremes>,
    /// Classes; 0 where targets are numbers.
    pub classes: usize,
    /// What examples are to be answered with.
    pub target: TargetKind,
    /// Training examples.
    pub train_examples: usize,
    /// Test examples.
    pub test_examples: usize,
}

impl DataInfo {
    /// Images of bytes of these extents in so many classes, with examples for training and for tests.
    pub fn images(name: &str, image: [usize; 3], classes: usize, examples: [usize; 2]) -> DataInfo {
        let [train_examples, test_examples] = examples;
        DataInfo {
            name: name.to_owned(),
            image: image.into(),
            dtype: DType::U8,
            range: None,
            classes,
            target: TargetKind::Class,
            train_examples,
            test_examples,
        }
    }

    /// The same for a model whose input has this type, where that has all numbers of the examples.
    #[must_use]
    pub fn into_input(self, input: Option<DType>) -> DataInfo {
        let place = |it: DType| DType::INPUTS.iter().position(|other| *other == it);
        match input {
            Some(dtype) if place(self.dtype) < place(dtype) => DataInfo { dtype, ..self },
            Some(_) | None => self,
        }
    }

    /// The type of an input that takes its examples: `u8[32, 32, 3]`.
    pub(super) fn input(&self) -> String {
        format!("{}{:?}", self.dtype.word(), self.image.0)
    }

    /// What its examples are called.
    pub(super) fn noun(&self) -> &'static str {
        self.image.noun(self.dtype)
    }
}

/// Looks at a data set that a file names by its path, given the steps that are done to its images and the type of the model's
/// input: what is known of it then; or why it cannot be used.
#[derive(Clone)]
pub struct Look(Arc<Looks>);

type Looks = dyn Fn(&str, &[ImageStep], Option<DType>) -> Result<DataInfo, String> + Send + Sync;

impl Look {
    /// Looks as a function does.
    pub fn new(
        look: impl Fn(&str, &[ImageStep], Option<DType>) -> Result<DataInfo, String> + Send + Sync + 'static,
    ) -> Look {
        Look(Arc::new(look))
    }

    pub(super) fn at(&self, path: &str, steps: &[ImageStep], input: Option<DType>) -> Result<DataInfo, String> {
        (self.0)(path, steps, input)
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
    /// `--shards`.
    pub shards: Option<usize>,
    /// Which shard of a batch is compiled, where the recipe has shards; else all of it.
    pub shard: Option<usize>,
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
    /// Whether the gradients of a step can be asked for by themselves.
    pub gradients: bool,
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
