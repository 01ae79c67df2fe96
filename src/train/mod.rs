//! (Unstable.) Trains: runs a plan's phases over a data set, and keeps metrics, checkpoints and curves in a run
//! directory from which a killed training goes on bit for bit.

mod ahead;
pub mod curves;
mod error;
mod evaluate;
mod events;
mod follow;
mod init;
mod keep;
mod meaning;
pub mod metrics;
mod non_finite;
mod record;
mod run_dir;
mod runs;
mod trainer;
pub mod weights;

pub use error::TrainError;
pub use evaluate::{Evaluation, evaluate, features, predict};
pub use events::{Board, Seen, graph, show};
pub use follow::follow;
pub use init::Init;
pub use meaning::Meaning;
pub use non_finite::{NonFinite, Operand, first_non_finite, replay};
pub use record::Record;
pub use run_dir::{Manifest, SourceText, Started, checkpoints, fill_atomically, write_atomically};
pub use runs::{Run, State, find_runs, look_at_run};
pub use trainer::{fit, fitting, read_weights, train};

use crate::data::{DataError, Dataset, Targets};
use crate::ir::{DType, Extern, Shape, TargetKind};
use crate::plan::{Plan, Training};
use crate::runtime::Session;
use metrics::{Losses, Tested};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use weights::Taken;

/// How to train.
pub struct TrainConfig<'a> {
    /// The run directory.
    pub run: PathBuf,
    /// Whether to go on with what is in it, and from which checkpoint.
    pub resume: Option<Resume>,
    /// Weights to start from.
    pub init: Option<Init>,
    /// Shards of a batch that are this process's.
    pub shards: usize,
    /// Log the losses of every so many iterations.
    pub log_every: u64,
    /// What TensorBoard is shown beside the log.
    pub board: Board,
    /// Asked after every step: whether to write a checkpoint and return.
    pub stop: &'a dyn Fn() -> bool,
    /// What `config.yaml` will say.
    pub manifest: Manifest,
}

/// From which checkpoint a run goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resume {
    /// The newest.
    Last,
    /// That of the best evaluation; newer ones are removed.
    Best,
}

/// How a training came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// All iterations were done.
    Done,
    /// Too many evaluations in a row were no better than the best.
    Early,
    /// It was stopped.
    Interrupted,
}

/// What happens during a training, for whoever shows it.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// A device was opened.
    Device {
        /// What it is, in a few words, and why it was chosen where that was left open.
        name: &'a str,
    },
    /// Weights to start from were read.
    Init {
        /// The file.
        path: &'a Path,
        /// What became of its tensors.
        taken: &'a Taken,
        /// What makes it doubtful that they mean the same here: a sentence each.
        doubts: &'a [String],
    },
    /// All was found well; the first step comes next.
    Started {
        /// Updates done before (of a resumed run).
        step: u64,
        /// The recipe's numbers.
        training: &'a Training,
    },
    /// The run to go on with had no checkpoint yet: it starts anew.
    Anew,
    /// The run goes on from its best evaluation; so many newer checkpoints were removed.
    Back {
        /// The iteration of that evaluation.
        step: u64,
        /// Checkpoints.
        removed: usize,
    },
    /// Lines of `metrics.jsonl` are missing, from the first iteration to the last.
    Hole {
        /// The first of them.
        from: u64,
        /// The last of them.
        to: u64,
    },
    /// A step was done.
    Step {
        /// Its losses.
        losses: &'a Losses,
        /// Whether they were written to `metrics.jsonl`.
        logged: bool,
    },
    /// The test set was evaluated.
    Tested(&'a Tested),
    /// A number was none: iterations are repeated to find out where it arose.
    Searching {
        /// The first of them.
        from: u64,
        /// The last of them.
        to: u64,
    },
    /// A checkpoint was written.
    Checkpoint {
        /// Updates done.
        step: u64,
        /// Its file.
        path: &'a Path,
    },
    /// It is over, at its end or because it was told to stop.
    Ended(&'a Report),
}

/// Where the time of this process went, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Times {
    /// From the first step to the end.
    pub total: f64,
    /// Steps, until their losses were known. A batch is gathered from memory by the step itself.
    pub steps: f64,
    /// Before steps, until their examples were in memory, where they lie in a file.
    pub data: f64,
    /// Evaluations.
    pub tests: f64,
    /// Writing checkpoints.
    pub checkpoints: f64,
}

impl Times {
    /// Between steps, when nothing of the above went on: time that the device waits for this program.
    pub fn waiting(&self) -> f64 {
        (self.total - self.steps - self.data - self.tests - self.checkpoints).max(0.0)
    }
}

/// What a training came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// Updates done.
    pub step: u64,
    /// Why it did no more.
    pub end: End,
    /// The last evaluation.
    pub last: Option<Tested>,
    /// The evaluation with the highest accuracy, the earliest of equals.
    pub best: Option<Tested>,
    /// Time spent, over all resumed parts.
    pub seconds: f64,
    /// Where the time went, of this process.
    pub times: Times,
    /// The newest checkpoint.
    pub checkpoint: Option<PathBuf>,
    /// That of the best evaluation, where the recipe asks to keep it.
    pub best_checkpoint: Option<PathBuf>,
}

/// The recipe's numbers of a plan that has some.
pub fn recipe_of(plan: &Plan) -> Result<&Training, TrainError> {
    plan.training.as_ref().ok_or_else(|| TrainError::NoRecipe { model: plan.name.clone() })
}

/// Whether a data set is what a plan was made for.
pub fn check_data(plan: &Plan, data: &Dataset) -> Result<(), TrainError> {
    let training = recipe_of(plan)?;
    let mismatch = |found: String, expected: String, remedy: &str| {
        let (name, model, remedy) = (data.name.clone(), plan.name.clone(), remedy.to_owned());
        TrainError::Data(DataError::Mismatch { name, model, found, expected, remedy })
    };
    let size = |image: &Shape, dtype: DType| match dtype {
        DType::U8 => format!("{}s of {}", image.noun(dtype), image.told()),
        _ => format!("examples `{}{:?}`", dtype.word(), image.0),
    };
    if !data.image.fits(&training.image) || data.dtype != training.dtype {
        let remedy = "change the model's `input` or give another data set with `--data`";
        return Err(mismatch(size(&data.image, data.dtype), size(&training.image, training.dtype), remedy));
    }
    if data.target != training.target {
        let remedy = "give the data set that the plan was made for, or compile it for this one: `sphc compile FILE --data DIR -o DIR`";
        let told = |it: &TargetKind, classes| format!("targets that are {}", it.describe(classes));
        let found = told(&data.target, data.classes.len());
        return Err(mismatch(found, told(&training.target, training.classes), remedy));
    }
    let classes = |it: usize| format!("{it} classes");
    if data.classes.len() != training.classes {
        let remedy = "make the model's output as wide as the data set has classes, or give another with `--data`";
        return Err(mismatch(classes(data.classes.len()), classes(training.classes), remedy));
    }
    let counts = |train: usize, test: usize| format!("{train} training and {test} test examples");
    if (data.train.len(), data.test.len()) != (training.train_examples, training.test_examples) {
        let remedy = "compile the plan for this data set: `sphc compile FILE --data DIR -o DIR`";
        let found = counts(data.train.len(), data.test.len());
        return Err(mismatch(found, counts(training.train_examples, training.test_examples), remedy));
    }
    Ok(())
}

/// Gives a data set to the device, so that it is in memory once where the device can read it in place.
pub fn bind(session: &mut Session, data: Dataset) -> Result<(), TrainError> {
    let element = data.element();
    let Dataset { train, test, dtype, double, .. } = data;
    for (images, labels, split) in
        [(Extern::TrainImages, Extern::TrainLabels, train), (Extern::TestImages, Extern::TestLabels, test)]
    {
        // Reals are in the plan's precision, unless another was asked for after they were read.
        if dtype == DType::Real && double != session.plan.precision.is_double() {
            let mut numbers = Vec::new();
            element.each(&split.images, |it| numbers.push(it));
            session.share(images, Arc::new(session.encoded(DType::Real, &numbers)))?;
        } else {
            session.share(images, Arc::new(split.images))?;
        }
        match &split.targets {
            Targets::Classes(all) => session.bind(labels, bytemuck::cast_slice(all))?,
            Targets::Bytes { bytes, .. } => session.bind(labels, bytes)?,
            Targets::Numbers { numbers, .. } => {
                let bytes = session.encoded(DType::Real, numbers);
                session.bind(labels, &bytes)?;
            }
        }
    }
    Ok(())
}
