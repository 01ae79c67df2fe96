//! The closed set of ops. Matched without wildcards: adding one is a list of compile errors.

use super::{Along, Augment, DType, ParamId, ScalarFn, Shape, StateId};
use serde::{Deserialize, Serialize};

/// How a window slides over an image: kernel, stride and padding in (height, width).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Geometry {
    /// Extent of the window.
    pub kernel: [usize; 2],
    /// Step between windows.
    pub stride: [usize; 2],
    /// Zeros before the first row and column.
    pub before: [usize; 2],
    /// Zeros after the last row and column.
    pub after: [usize; 2],
    /// Step between the taps of a window.
    #[serde(default = "once", skip_serializing_if = "is_once")]
    pub dilation: [usize; 2],
    /// Of a convolution: so many of its own, side by side, each over its share of the channels. A window has each channel
    /// for itself, and 1 here.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub groups: usize,
}

fn once() -> [usize; 2] {
    [1; 2]
}

fn is_once(it: &[usize; 2]) -> bool {
    *it == [1; 2]
}

fn one() -> usize {
    1
}

fn is_one(it: &usize) -> bool {
    *it == 1
}

impl Geometry {
    /// No padding.
    pub fn valid(kernel: [usize; 2], stride: [usize; 2]) -> Self {
        Self { kernel, stride, before: [0; 2], after: [0; 2], dilation: [1; 2], groups: 1 }
    }

    /// With other steps between taps.
    pub fn dilated(self, dilation: [usize; 2]) -> Self {
        Self { dilation, ..self }
    }

    /// In groups.
    pub fn grouped(self, groups: usize) -> Self {
        Self { groups, ..self }
    }

    /// Output `ceil(n / stride)`; the smaller half of the padding comes before (as in TensorFlow).
    pub fn same(size: [usize; 2], kernel: [usize; 2], stride: [usize; 2]) -> Self {
        Self::valid(kernel, stride).padded(size)
    }

    /// With the padding of [`Geometry::same`].
    pub fn padded(mut self, size: [usize; 2]) -> Self {
        let extent = self.extent();
        for axis in 0..2 {
            let out = size[axis].div_ceil(self.stride[axis]);
            let reach = (out.max(1) - 1).saturating_mul(self.stride[axis]).saturating_add(extent[axis]);
            let total = reach.saturating_sub(size[axis]);
            self.before[axis] = total / 2;
            self.after[axis] = total - total / 2;
        }
        self
    }

    /// From the first tap of a window to the last, both counted.
    pub fn extent(&self) -> [usize; 2] {
        [0, 1].map(|axis| self.kernel[axis].saturating_sub(1).saturating_mul(self.dilation[axis]).saturating_add(1))
    }

    /// Positions in one window.
    pub fn taps(&self) -> usize {
        super::size::product(&self.kernel)
    }

    /// Where tap `tap` of the window at `output` lies along an axis of `size`; `None` in the padding.
    pub fn position(&self, axis: usize, output: usize, tap: usize, size: usize) -> Option<usize> {
        let at = output * self.stride[axis] + tap * self.dilation[axis];
        at.checked_sub(self.before[axis]).filter(|it| *it < size)
    }

    /// Extents of the output for an input of `size`; `None` when no window fits.
    pub fn output(&self, size: [usize; 2]) -> Option<[usize; 2]> {
        let along = |axis: usize| {
            let padded = size[axis].checked_add(self.before[axis])?.checked_add(self.after[axis])?;
            padded.checked_sub(self.extent()[axis]).map(|it| it / self.stride[axis] + 1)
        };
        Some([along(0)?, along(1)?])
    }
}

/// Buffers that are bound from outside before a run.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Extern {
    /// All training examples, such as the images `u8[examples, h, w, c]`.
    TrainImages,
    /// All training labels, `int[examples]`.
    TrainLabels,
    /// All test examples.
    TestImages,
    /// All test labels.
    TestLabels,
    /// A tensor that a test, `predict` or `verify` supplies.
    Named(String),
}

/// Constant tensors.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fill {
    /// The same number everywhere.
    Value(Scalar64),
    /// The identity matrix of `[n, n]`.
    Eye,
    /// 0, 1, ... in row-major order.
    Range,
    /// These numbers, in row-major order.
    List(Vec<Scalar64>),
}

/// An `f64` compared and hashed by its bits.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Scalar64(pub f64);

impl PartialEq for Scalar64 {
    fn eq(&self, other: &Self) -> bool {
        self.0.to_bits() == other.0.to_bits()
    }
}
impl Eq for Scalar64 {}
impl std::hash::Hash for Scalar64 {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.to_bits().hash(state);
    }
}

/// Reductions. A mean and a variance of the same numbers come out of one pass over them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reduction {
    /// Sum.
    Sum,
    /// Maximum.
    Max,
    /// Sum, over the count.
    Mean,
    /// Mean of the squared distances from the mean: the biased variance.
    Variance,
}

/// Sliding windows over each channel of `[n, h, w, c]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Window {
    /// `(x) -> y`: sum over the window; positions outside count as zero.
    Sum,
    /// `(dy) -> dx`: adjoint of `Sum` for an input of `size`.
    SumGrad {
        /// Height and width of the input of the forward window.
        size: [usize; 2],
    },
    /// `(x) -> y`: maximum over the positions inside the image.
    Max,
    /// `(x, dy) -> dx`: to the first maximum in row-major order of the window.
    MaxGrad,
}

/// Classification losses over `logits: real[n, classes]`, `labels: int[n]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Loss {
    /// `(logits, labels) -> real[n]`: `-sum_c y_c log(softmax(logits)_c + floor)` per example, with
    /// `y = (1 - smoothing) onehot + smoothing / classes`.
    CrossEntropy {
        /// Share of the label spread over all classes.
        smoothing: Scalar64,
        /// Added to each probability before the logarithm.
        floor: Scalar64,
    },
    /// `(logits, labels, g: real[n]) -> real[n, classes]`: adjoint of `CrossEntropy` in the logits.
    CrossEntropyGrad {
        /// As above.
        smoothing: Scalar64,
        /// As above.
        floor: Scalar64,
    },
    /// `(logits, labels) -> real[n]`: 1 where the largest logit (the first of equals) is the label's.
    Correct,
}

/// Numbers made by a counter: a function of seed, stream, step and position only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Random {
    /// `(step: int[]) -> real[shape]`: uniform in [0, 1), Philox4x32-10, `(word >> 8) * 2^-24`.
    Uniform,
    /// `(step: int[]) -> int[n]`: which examples batch `step` holds; every epoch visits each of
    /// `examples` once, in an order of its own.
    Shuffle {
        /// Size of the data set.
        examples: usize,
    },
    /// `(start: int[]) -> int[n]`: `start, start + 1, ...` wrapped at `examples`.
    Sequence {
        /// Size of the data set.
        examples: usize,
    },
}

/// What is made of the numbers of all shards of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Across {
    /// Their sum, by halves: the first half's and the second half's are added, and so on within each.
    Sum,
    /// The largest.
    Max,
}

/// What an `Update` writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// A parameter.
    Param(ParamId),
    /// A state.
    State(StateId),
}

/// A primitive operation. Operands are the node's inputs, in order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    /// Leaf: bound from outside.
    Input {
        /// Which buffer.
        source: Extern,
        /// Its shape.
        shape: Shape,
        /// Its dtype.
        dtype: DType,
    },
    /// Leaf: a trained tensor.
    Param(ParamId),
    /// Leaf: what a step keeps besides parameters: moments, running statistics, counters.
    State(StateId),
    /// Leaf: a constant tensor.
    Const {
        /// Its numbers.
        fill: Fill,
        /// Its shape.
        shape: Shape,
    },
    /// `(x: [n,h,w,cin], w: [kh,kw,cin/groups,cout]) -> [n,oh,ow,cout]`; group `g` makes share `g` of the result's channels
    /// of share `g` of the input's.
    Conv(Geometry),
    /// `(dy, w) -> dx` for an input of `size`.
    ConvInputGrad {
        /// Of the forward convolution.
        geometry: Geometry,
        /// Height and width of its input.
        size: [usize; 2],
    },
    /// `(x, dy) -> dw`.
    ConvFilterGrad(Geometry),
    /// `(a, b) -> a b` of matrices, either transposed; of two stacks of as many matrices, one by one.
    MatMul {
        /// Use `a` transposed.
        transpose_a: bool,
        /// Use `b` transposed.
        transpose_b: bool,
    },
    /// One scalar expression over inputs that broadcast (aligned at the last axis). The result is
    /// real, or int when `int` is set (rounded; evaluated in f64).
    Map {
        /// The expression; input `i` is operand `i`.
        body: ScalarFn,
        /// Whether the result is an integer (counters).
        int: bool,
    },
    /// A reduction over `axes`, which stay as extents of 1.
    Reduce {
        /// How.
        kind: Reduction,
        /// Sorted axes.
        axes: Vec<usize>,
    },
    /// Repeats along missing axes and axes of extent 1.
    Broadcast(Shape),
    /// The same elements in row-major order under another shape.
    Reshape(Shape),
    /// Axes permuted: output axis `i` is input axis `perm[i]`.
    Transpose(Vec<usize>),
    /// `(parts...) -> real[shape]`: each part at its place and 0 elsewhere; no two overlap. It is its own adjoint, from a
    /// place to its inverse, and so joins, cuts, pads and mirrors.
    Assemble {
        /// Its shape.
        shape: Shape,
        /// For each part, one entry per axis.
        places: Vec<Vec<Along>>,
    },
    /// Sliding windows.
    Window {
        /// Which.
        kind: Window,
        /// Of the forward window.
        geometry: Geometry,
    },
    /// `(source: [examples, ...], index: int[n]) -> [n, ...]`: picks along the first axis.
    Gather,
    /// `(images: u8[examples,h,w,c], index: int[n], uniform: real[n, draws]) -> u8[n,h',w',c]`: picks images and takes them
    /// through steps, one at least; without `uniform` where no step takes random numbers.
    Augment {
        /// In order.
        steps: Vec<Augment>,
    },
    /// `(index: int[n], dy: real[n, ...]) -> real[rows, ...]`: adjoint of picks; each row is the sum, in order, of what was
    /// picked from it.
    Scatter {
        /// Rows that were picked from.
        rows: usize,
    },
    /// `(x) -> x` in all shards of a batch, of the numbers of each: a step whose recipe says `shards` is one graph for each
    /// shard of its examples, and these are where they meet.
    AllReduce(Across),
    /// Losses.
    Loss(Loss),
    /// Random numbers.
    Random {
        /// Which.
        kind: Random,
        /// Result shape.
        shape: Shape,
        /// Distinguishes uses under one seed.
        stream: u64,
        /// The position of the first number: not 0 where a tensor is a later part of a batch.
        first: usize,
    },
    /// `(value) -> value`, also written to the target when the phase ends.
    Update(Target),
}

impl Op {
    /// Picks, through these steps if there are any.
    pub fn picks(steps: &[Augment]) -> Op {
        if steps.is_empty() { Op::Gather } else { Op::Augment { steps: steps.to_vec() } }
    }
}
