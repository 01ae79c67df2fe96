//! What can stop a training: the environment or the numbers, always with what to do about it.

use crate::data::{self, DataError};
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
    /// Weights that do not belong to this model, or are not weights at all.
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
    #[error("cannot write `{}`: {cause}\n  {}", path.display(), after_failure(run, cause))]
    Write {
        /// Which.
        path: PathBuf,
        /// Of which run.
        run: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// The run directory was removed while the training ran. All that a run holds was written anew.
    #[error(
        "the run directory `{}` vanished at iteration {step}; it was made again with a checkpoint\n  \
         find out what removed it, then go on with `--resume --run {0}`",
        run.display()
    )]
    Vanished {
        /// Where it was.
        run: PathBuf,
        /// Updates done.
        step: u64,
    },
    /// A loss of the test set that is not a number.
    #[error(
        "the loss of image {example} of the test set is {loss}\n  {cause}\n  bound that value in the model, or use weights \
         of an earlier iteration"
    )]
    TestNonFinite {
        /// The first of them, counted from 0.
        example: usize,
        /// Infinite or NaN.
        loss: f64,
        /// Where it arose.
        cause: String,
    },
    /// A loss or a parameter that is NaN or infinite.
    #[error(
        "{what}\n  {cause}\n  lower the optimizer's rate or bound that value in the model; \
         `{}` holds the state before iteration {step}, which `sphc verify FILE --replay {}` repeats",
        run.join("checkpoints").join(super::run_dir::checkpoint_name(*step)).display(), run.display()
    )]
    NonFinite {
        /// In which it was noticed, counted from 0.
        iteration: u64,
        /// What was noticed.
        what: String,
        /// Where it arose.
        cause: String,
        /// The run directory.
        run: PathBuf,
        /// In which it arose; there is a checkpoint of the state before.
        step: u64,
    },
}

/// What to do when a file of a run could not be written: it depends on what is kept.
fn after_failure(run: &Path, cause: &std::io::Error) -> String {
    let repair = data::make_room(cause).unwrap_or("free some space or repair the directory");
    match super::checkpoints(run).first() {
        Some((step, _)) => {
            format!("{repair}, then go on from iteration {step} with `--resume --run {}`", run.display())
        }
        None => format!(
            "{repair}, then start anew: no checkpoint was kept (remove `{}`, or give another directory with `--run DIR`)",
            run.display()
        ),
    }
}

impl TrainError {
    pub(super) fn write(run: &Path, path: &Path, cause: std::io::Error) -> Self {
        TrainError::Write { path: path.into(), run: run.into(), cause }
    }
}
