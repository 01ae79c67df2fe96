//! What can stop a training: the environment or the numbers, always with what to do about it.

use crate::data::DataError;
use crate::runtime::RuntimeError;
use std::path::{Path, PathBuf};

/// A training that could not start or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The data set.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The device.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// A plan without a recipe.
    #[error("`{model}` has no recipe, so there is nothing to train\n  add a `train {{ ... }}` section to the file")]
    NoRecipe {
        /// The model.
        model: String,
    },
    /// Weights that do not belong to this model, or are no weights at all.
    #[error("cannot use the weights in `{}`: {cause}\n  {remedy}", path.display())]
    Weights {
        /// The file.
        path: PathBuf,
        /// What is wrong; tensors by name.
        cause: String,
        /// What to do.
        remedy: String,
    },
    /// The run directory cannot be used.
    #[error("cannot use the run directory `{}`: {cause}\n  {remedy}", path.display())]
    RunDirectory {
        /// Which.
        path: PathBuf,
        /// Why.
        cause: String,
        /// What to do.
        remedy: String,
    },
    /// A file could not be written, in the middle of it all.
    #[error(
        "cannot write `{}`: {cause}\n  free some space or repair the directory, then go on with `--resume --run {}`",
        path.display(), run.display()
    )]
    Write {
        /// Which.
        path: PathBuf,
        /// Of which run.
        run: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// A loss that is no number.
    #[error("the loss of iteration {iteration} is {loss} ({parts})\n  {remedy}")]
    NonFinite {
        /// Counted from 0.
        iteration: u64,
        /// NaN or an infinity.
        loss: f64,
        /// Its parts: `fit nan, reg 0.1, orth 0.2`.
        parts: String,
        /// What to do.
        remedy: String,
    },
}

impl TrainError {
    pub(super) fn write(run: &Path, path: &Path, cause: std::io::Error) -> Self {
        TrainError::Write { path: path.into(), run: run.into(), cause }
    }
}
