//! What keeps a model from being used, and what is told beside the results.

use crate::data::{DataError, FetchError};
use crate::diag::{Diagnostic, Sources, render};
use crate::plan::PlanError;
use crate::runtime::RuntimeError;
use crate::train::TrainError;

/// What keeps a model from being used. Every error shows as its cause, and on a line of its own what to do about it; that
/// names options as the command line does, and [`Options`](crate::Options) says which field is which.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A text that cannot be read, or is not what it was taken for.
    #[error("{cause}\n  {remedy}")]
    Text {
        /// Why.
        cause: String,
        /// What to do.
        remedy: String,
    },
    /// The model has mistakes, each with its place in the text.
    #[error("{}{} in the model", render::render(&.0.diagnostics, &.0.sources, false), render::count(&.0.diagnostics))]
    Model(Box<Faults>),
    /// What was asked for does not go together, or not with this model or build.
    #[error("{cause}\n  {remedy}")]
    Options {
        /// Why.
        cause: String,
        /// What to do.
        remedy: String,
    },
    /// More memory than is free. Nothing was allocated.
    #[error("{cause}\n  {remedy}")]
    Memory {
        /// Bytes that are needed.
        needed: usize,
        /// Bytes that are free.
        free: usize,
        /// The largest batch that would fit, where that is known; 0 where none does.
        batch: Option<usize>,
        /// Why.
        cause: String,
        /// What to do.
        remedy: String,
    },
    /// An image that the model cannot take, or scores that say nothing.
    #[error("{cause}\n  {remedy}")]
    Image {
        /// Why.
        cause: String,
        /// What to do.
        remedy: String,
    },
    /// The data set.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The data set could not be fetched.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// A plan that cannot be read or run.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The device.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// Another rank of a training in several processes cannot begin, which the first tells.
    #[error("another rank cannot begin\n  see what rank 0 says")]
    Elsewhere,
    /// The training, its run directory, or weights.
    #[error(transparent)]
    Train(Box<TrainError>),
}

impl From<TrainError> for Error {
    fn from(it: TrainError) -> Error {
        Error::Train(Box::new(it))
    }
}

impl Error {
    pub(super) fn text(cause: impl Into<String>, remedy: impl Into<String>) -> Error {
        Error::Text { cause: cause.into(), remedy: remedy.into() }
    }

    pub(super) fn options(cause: impl Into<String>, remedy: impl Into<String>) -> Error {
        Error::Options { cause: cause.into(), remedy: remedy.into() }
    }

    pub(super) fn image(cause: impl Into<String>, remedy: impl Into<String>) -> Error {
        Error::Image { cause: cause.into(), remedy: remedy.into() }
    }
}

/// The mistakes of a model, with the texts that they are in.
#[derive(Clone, Debug)]
pub struct Faults {
    /// The text, what it imports, and the prelude.
    pub sources: Sources,
    /// In order of place; warnings are among them.
    pub diagnostics: Vec<Diagnostic>,
}

/// What is told beside results and errors; see [`Model::telling`](crate::Model::telling).
#[derive(Clone, Copy, Debug)]
pub enum Notice<'a> {
    /// What was found in a text that is worked on: warnings, and before [`Error::Model`] the mistakes, too.
    Found {
        /// In order of place; may be empty.
        diagnostics: &'a [Diagnostic],
        /// The texts that they are in.
        sources: &'a Sources,
    },
    /// A sentence about data, images or weights that a careful reader would look into.
    Warning(&'a str),
}
