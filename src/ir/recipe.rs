//! The recipe of an experiment, resolved: selectors are lists of parameters.

use super::words::words;
use super::{Augment, Binary, Border, DType, ExprNode, Op, ParamId, Precision, ScalarFn, TargetKind, Unary, size};
use crate::diag::Span;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;

/// A step that makes the images of a data set fit a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImageStep {
    /// Scales to another size.
    Resize {
        /// Rows.
        height: usize,
        /// Columns.
        width: usize,
    },
    /// Puts as many black pixels around.
    Pad(usize),
    /// Grey from colours, or colours from grey.
    Channels(usize),
}

impl fmt::Display for ImageStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ImageStep::Resize { height, width } => write!(f, "resize({height}, {width})"),
            ImageStep::Pad(by) => write!(f, "pad({by})"),
            ImageStep::Channels(count) => write!(f, "channels({count})"),
        }
    }
}

impl ImageStep {
    /// Height, width and channels after the step; or why it cannot be done.
    pub fn shape(self, [height, width, channels]: [usize; 3]) -> Result<[usize; 3], String> {
        let shape = self.stepped([height, width, channels])?;
        let [height, width, channels] = shape;
        if shape.iter().any(|it| size::MOST_EXTENT < *it) || size::MOST_ELEMENTS < size::product(&shape) {
            return Err(format!("images of {height}x{width}x{channels} are too large"));
        }
        Ok(shape)
    }

    /// Whether it can be done to images of this type: what makes numbers between others, to those that stand for quantities.
    pub fn takes(self, dtype: DType) -> bool {
        match self {
            ImageStep::Pad(_) => true,
            ImageStep::Channels(count) => count != 1 || dtype != DType::Int,
            ImageStep::Resize { .. } => dtype != DType::Int,
        }
    }

    fn stepped(self, [height, width, channels]: [usize; 3]) -> Result<[usize; 3], String> {
        match self {
            ImageStep::Pad(by) => {
                let padded = |extent: usize| extent.saturating_add(by.saturating_mul(2));
                Ok([padded(height), padded(width), channels])
            }
            ImageStep::Resize { height, width } if matches!(channels, 1 | 3) => Ok([height, width, channels]),
            ImageStep::Resize { .. } => Err(format!("images of {channels} channels cannot be scaled; 1 or 3 can")),
            ImageStep::Channels(it) if it == channels || matches!((channels, it), (1, 3) | (3, 1)) => {
                Ok([height, width, it])
            }
            ImageStep::Channels(it) => {
                Err(format!("{channels} channels cannot become {it}: 1 becomes 3, and 3 become 1"))
            }
        }
    }
}

/// A part of a graph over parameters, to be made where it is wanted.
#[derive(Clone, Debug, PartialEq)]
pub struct Term {
    /// Ops with the places of their operands before them; the last one is the result, a single number.
    pub nodes: Vec<(Op, Vec<usize>)>,
}

words! {
    /// The column of the log that a penalty counts in.
    pub enum Column {
        /// Penalties on numbers.
        Reg: "reg",
        /// Penalties on how filters lie to each other.
        Orth: "orth",
    }
}

/// A penalty on parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct Penalty {
    /// One for each parameter.
    pub terms: Vec<Term>,
    /// The column of the log.
    pub column: Column,
    /// Its weight in the loss, if it has one that is a number.
    pub weight: Option<f64>,
    /// On what.
    pub params: Vec<ParamId>,
    /// Where it was written.
    pub span: Span,
}

/// A projection applied to parameters now and then.
#[derive(Clone, Debug, PartialEq)]
pub struct Projection {
    /// Divides each filter by its norm; the only kind so far.
    pub params: Vec<ParamId>,
    /// After every so many steps.
    pub every: u64,
    /// Where it was written.
    pub span: Span,
}

/// How parameters move: the definition in use, as a function of single numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Optimizer {
    /// As it would be written with all its numbers: `sgd(rate: 0.1, momentum: 0.9)`.
    pub text: String,
    /// Its rate after the updates done, the only argument.
    pub rate: ScalarFn,
    /// What is kept beside each number of a parameter: name and start.
    pub keeps: Vec<(String, f64)>,
    /// Arguments: the number, its gradient, the scheduled rate, the updates done, what is kept, and what is taken of whole
    /// tensors. Results: the new number, what is kept of it, and the operands of what is taken.
    pub body: ScalarFn,
    /// What is taken of whole tensors, in order of the text.
    pub taken: Vec<Taken>,
    /// What it moves.
    pub params: Vec<ParamId>,
}

/// What an optimizer takes of whole tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// The sum of all numbers of one operand.
    Sum,
    /// The product of two operands as matrices of one column for each filter.
    Product {
        /// Whether the first one is transposed.
        transpose: bool,
    },
}

impl Taken {
    /// How many operands there are.
    pub fn operands(self) -> usize {
        match self {
            Taken::Sum => 1,
            Taken::Product { .. } => 2,
        }
    }
}

/// A bound on gradients, penalties included.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Clip {
    /// On the norm of all of them together: they are scaled down to it.
    Norm(f64),
    /// On each number.
    Value(f64),
}

/// An average over the steps, of each number of parameters and statistics.
#[derive(Clone, Debug, PartialEq)]
pub struct Average {
    /// As it would be written with all its numbers: `ema(decay: 0.999)`.
    pub text: String,
    /// Arguments: the number, its average so far, the updates done with this one. Result: the new average.
    pub body: ScalarFn,
}

impl Average {
    /// The path of the average of a parameter or statistic: its key in checkpoints.
    pub fn path(of: &str) -> String {
        format!("{of}/average")
    }
}

impl Optimizer {
    /// The path of what is kept of the parameter `param` under a name: its key in checkpoints.
    pub fn path(param: &str, name: &str) -> String {
        format!("{param}/{name}")
    }

    /// Whether the number that is kept in place `at` can never be negative: a root is taken of it, perhaps scaled.
    pub fn keeps_squares(&self, at: usize) -> bool {
        let Some(kept) = self.body.roots.get(1 + at) else { return false };
        let mut todo = Vec::new();
        for node in &*self.body.nodes {
            if let ExprNode::Unary(Unary::Sqrt | Unary::Rsqrt, of) = node {
                todo.push(*of);
            }
        }
        let mut seen = BTreeSet::new();
        while let Some(it) = todo.pop() {
            if it == *kept {
                return true;
            }
            if let (true, Some(ExprNode::Binary(Binary::Mul | Binary::Div, a, b))) =
                (seen.insert(it), self.body.nodes.get(it.0 as usize))
            {
                todo.extend([*a, *b]);
            }
        }
        false
    }
}

/// How images of a batch are mixed, two by two; by shares from Beta(alpha, alpha).
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mix {
    /// Each number is a mean of two.
    Images {
        /// Of the distribution.
        alpha: f64,
    },
    /// A box of one comes from the other.
    Boxes {
        /// Of the distribution.
        alpha: f64,
    },
}

impl Mix {
    /// Its word in the language.
    pub fn word(self) -> &'static str {
        match self {
            Mix::Images { .. } => "mixup",
            Mix::Boxes { .. } => "cutmix",
        }
    }

    /// Of the distribution of shares.
    pub fn alpha(self) -> f64 {
        match self {
            Mix::Images { alpha } | Mix::Boxes { alpha } => alpha,
        }
    }
}

impl fmt::Display for Mix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({})", self.word(), self.alpha())
    }
}

/// Of which views of an image an evaluation takes the mean of the scores.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Views {
    /// Also of the mirrored image.
    pub mirror: bool,
    /// Half of the image as it is, and a quarter each moved by so many pixels up and left, down and right; and what is
    /// beyond the edge.
    pub shift: Option<(usize, Border)>,
}

impl fmt::Display for Views {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mirror = self.mirror.then(|| "flip_horizontal".to_owned());
        let shift = self.shift.map(|(pixels, border)| format!("shift({pixels}, mode: {})", border.word()));
        write!(f, "{}", mirror.into_iter().chain(shift).collect::<Vec<_>>().join(", "))
    }
}

/// Which checkpoints are kept besides the newest. Where nothing is said, all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keep {
    /// Of those that are written at intervals, so many of the newest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<u64>,
    /// That of the best evaluation, which is written when it was made.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub best: bool,
}

impl Keep {
    /// Whether none is ever removed.
    pub fn is_all(&self) -> bool {
        *self == Keep::default()
    }
}

/// The recipe.
#[derive(Clone, Debug, PartialEq)]
pub struct Recipe {
    /// Name of the data set: `cifar10`, `digits`; or its path.
    pub data: String,
    /// Where it was written.
    pub data_span: Span,
    /// The share of the training images that are kept for validation.
    pub validate: Option<f64>,
    /// What is done to training images at random, in order.
    pub augment: Vec<Augment>,
    /// Whether left and right take turns: an image that is mirrored in one epoch is not in the next.
    pub alternate: bool,
    /// How they are mixed after that.
    pub mix: Option<Mix>,
    /// What evaluation looks at.
    pub views: Views,
    /// Examples per step.
    pub batch: usize,
    /// Equal parts that a step takes the batch in.
    pub accumulate: usize,
    /// Shards of each part: what is made of all examples is made of what is made of theirs. 1 where there are none.
    pub shards: usize,
    /// The one that the graph is of, where it is not of all.
    pub shard: Option<Shard>,
    /// Steps.
    pub iterations: u64,
    /// The losses as they would be written with all their numbers: `softmax_cross_entropy(smoothing: 0.1, floor: 0)`.
    pub loss: String,
    /// Penalties in order of the text.
    pub penalties: Vec<Penalty>,
    /// Projections in order of the text.
    pub projections: Vec<Projection>,
    /// Optimizers in order of the text.
    pub optimizers: Vec<Optimizer>,
    /// What none of them moves.
    pub frozen: Vec<ParamId>,
    /// The bound on gradients.
    pub clip: Option<Clip>,
    /// What evaluation uses.
    pub average: Option<Average>,
    /// What multiplies rates, as it is written.
    pub schedule: String,
    /// Whether an update depends on how many iterations there will be.
    pub length_matters: bool,
    /// Evaluate on the test set every so many steps; 0 is only at the end.
    pub evaluate_every: u64,
    /// Write a checkpoint every so many steps; 0 is only at the end.
    pub checkpoint_every: u64,
    /// Which of them are kept.
    pub keep: Keep,
    /// The run ends after so many evaluations in a row that are no better than the best before; 0 is never.
    pub patience: u64,
    /// When the file says one.
    pub precision: Option<Precision>,
    /// Of initial values, shuffling and augmentation.
    pub seed: u64,
    /// Whether batches are drawn in a shuffled order (`--no-shuffle` takes file order).
    pub shuffle: bool,
    /// Whether gradients can be asked for by themselves.
    pub tells_gradients: bool,
    /// Examples in the training set.
    pub train_examples: usize,
    /// Examples in the test set.
    pub test_examples: usize,
    /// Classes of the data set.
    pub classes: usize,
    /// What its examples are to be answered with.
    pub target: TargetKind,
}

/// A share of the examples that a step takes at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shard {
    /// Its number, from 0.
    pub at: usize,
    /// How many there are.
    pub of: usize,
    /// Its first example.
    pub first: usize,
    /// Its examples.
    pub examples: usize,
    /// Those of all.
    pub whole: usize,
}

impl Shard {
    /// One of so many shares of `whole` examples; where they cannot be equal, the first have one more.
    pub fn new(at: usize, of: usize, whole: usize) -> Shard {
        let (each, more) = (whole / of, whole % of);
        Shard { at, of, first: at * each + at.min(more), examples: each + usize::from(at < more), whole }
    }

    /// How many numbers there are for all examples, where there are so many for its own.
    pub fn of_all(&self, own: usize) -> usize {
        own / self.examples.max(1) * self.whole
    }

    /// Where its first number is among those of all examples, where there are so many for its own.
    pub fn place(&self, own: usize) -> usize {
        own / self.examples.max(1) * self.first
    }
}

/// How many of so many examples are kept for validation: a share, but neither none nor all.
pub fn kept(examples: usize, share: f64) -> usize {
    ((examples as f64 * share).round() as usize).clamp(1, examples.saturating_sub(1).max(1)).min(examples)
}

impl Recipe {
    /// Examples that are worked on at once: of a part of the batch or a shard of it, and of an evaluation.
    pub fn part(&self) -> usize {
        self.shard.map_or(self.batch / self.accumulate, |it| it.examples)
    }

    /// After how many steps the projections run: the longest interval at which none is missed, 0 without any.
    pub fn project_every(&self) -> u64 {
        let gcd = |mut a: u64, mut b: u64| {
            while b != 0 {
                (a, b) = (b, a % b);
            }
            a
        };
        self.projections.iter().map(|it| it.every).fold(0, gcd)
    }
}
