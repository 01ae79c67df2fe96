//! (Unstable.) What a kernel is, apart from where its buffers lie: family, sizes, scalar expression.
//!
//! Buffers are passed at launch: inputs in the order of the operands, then outputs.

pub(crate) mod augment;
pub mod cuda;
mod join;
mod map;
mod operands;
mod print;
mod rows;
mod select;
mod work;

pub use join::Join;
pub use operands::{Operand, Operands};
pub(crate) use operands::{product, shares, windows};
pub use print::dump;
pub(crate) use select::dtype;
pub use select::{Bound, bind, select};

use crate::ir::{
    Across, Along, Augment, DType, ExprNode, Geometry, Loss, Random, Reduction, Scalar, ScalarFn, Shape, Window,
};
use serde::{Deserialize, Serialize};

/// Which of a convolution's three products.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConvKind {
    /// `(x, w) -> y`.
    Forward,
    /// `(dy, w) -> dx`.
    InputGrad,
    /// `(x, dy) -> dw`.
    FilterGrad,
}

/// Sizes of a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ConvKernel {
    /// Which product.
    pub kind: ConvKind,
    /// Of the forward convolution.
    pub geometry: Geometry,
    /// Images.
    pub n: usize,
    /// Height, width, channels of `x`.
    pub input: [usize; 3],
    /// Height, width, channels of `y`.
    pub output: [usize; 3],
    /// Element type of both operands in memory: `Real` or `Bf16`.
    #[serde(default = "real", skip_serializing_if = "is_real")]
    pub reads: DType,
    /// Element type of the result, likewise.
    #[serde(default = "real", skip_serializing_if = "is_real")]
    pub writes: DType,
}

impl ConvKernel {
    /// Whether a GPU takes it number by number: groups share too little, and pixels of an input gradient that strides and
    /// gaps between taps both leave out fall into too many classes. Factors are then never rounded.
    pub fn is_apart(&self) -> bool {
        let Geometry { stride, dilation, groups, .. } = self.geometry;
        1 < groups || self.kind == ConvKind::InputGrad && stride != [1, 1] && dilation != [1, 1]
    }
}

fn real() -> DType {
    DType::Real
}

fn is_real(it: &DType) -> bool {
    *it == DType::Real
}

/// An operand of a [`MapKernel`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct MapInput {
    /// Elements to step per axis of the iteration space; 0 repeats. The innermost is 0 or 1.
    pub strides: Vec<usize>,
    /// Element type in memory.
    pub dtype: DType,
    /// Nothing for what is read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub draws: Option<Draws>,
}

/// Uniform random numbers in [0, 1) that are drawn where they are used, and lie nowhere. The operand is the number of the step; strides
/// tell which number of the step an element has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Draws {
    /// Which stream of random numbers.
    pub stream: u64,
    /// The position of the first.
    #[serde(default, skip_serializing_if = "is_first")]
    pub first: usize,
}

/// Random numbers of a batch, at most.
const MOST_NUMBERS: usize = 1 << 60;

impl MapInput {
    /// What is read.
    pub fn new(strides: Vec<usize>, dtype: DType) -> Self {
        Self { strides, dtype, draws: None }
    }

    /// What is drawn.
    pub fn drawn(strides: Vec<usize>, draws: Draws) -> Self {
        Self { strides, dtype: DType::Int, draws: Some(draws) }
    }

    /// What is wrong with how it is drawn, if it is.
    pub(crate) fn check_draws(&self) -> Result<(), String> {
        match self.draws {
            Some(Draws { first, .. }) if MOST_NUMBERS < first => Err(format!("no batch has a random number {first}")),
            Some(_) if self.dtype != DType::Int => {
                Err("random numbers are drawn by the number of the step, which is an integer".to_owned())
            }
            Some(_) | None => Ok(()),
        }
    }
}

/// What happens to a result of a [`MapKernel`]'s expression.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Store {
    /// Every element is written, row-major in the iteration space.
    Full,
    /// Reduced over the axes marked `true`; what is left is written row-major.
    Reduce {
        /// How.
        kind: Reduction,
        /// One mark per axis of the iteration space.
        over: Vec<bool>,
    },
}

/// A result of a [`MapKernel`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct MapOutput {
    /// How it is stored.
    pub store: Store,
    /// Element type in memory.
    pub dtype: DType,
}

/// One pass over an iteration space: reads inputs, evaluates a multi-result scalar function, and
/// stores or reduces each result. An output may be the same buffer as an input that is read with
/// the same strides (updates in place).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct MapKernel {
    /// Extents, outermost first, never none; adjacent axes that every operand treats alike are merged.
    pub dims: Vec<usize>,
    /// Operands; operand `i` is input `i` of `body`.
    pub inputs: Vec<MapInput>,
    /// The expressions; root `i` is output `i`.
    pub body: ScalarFn,
    /// Results.
    pub outputs: Vec<MapOutput>,
}

/// `c[m,n] = a b`, row-major; `a` is `[m,k]` (or `[k,m]` when transposed), `b` `[k,n]` (or `[n,k]`); `batch` of each, one after
/// the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct MatMulKernel {
    /// How many products.
    #[serde(default = "alone", skip_serializing_if = "is_alone")]
    pub batch: usize,
    /// Rows of the result.
    pub m: usize,
    /// Columns of the result.
    pub n: usize,
    /// Summed extent.
    pub k: usize,
    /// `a` is stored transposed.
    pub transpose_a: bool,
    /// `b` is stored transposed.
    pub transpose_b: bool,
}

/// What one pass keeps for a mean, a variance or both of the same numbers.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Moments {
    /// The numbers.
    pub(crate) root: Scalar,
    /// Marks of the axes they are taken over.
    pub(crate) over: Vec<bool>,
    /// Which result is the mean.
    pub(crate) mean: Option<usize>,
    /// Which result is the variance.
    pub(crate) variance: Option<usize>,
}

impl MapKernel {
    /// The means and variances among the results, each in one of these.
    pub(crate) fn moments(&self) -> Vec<Moments> {
        let mut all: Vec<Moments> = Vec::new();
        for (at, (output, &root)) in self.outputs.iter().zip(&*self.body.roots).enumerate() {
            let Store::Reduce { kind, over } = &output.store else { continue };
            let (mean, variance) = match kind {
                Reduction::Sum | Reduction::Max => continue,
                Reduction::Mean => (Some(at), None),
                Reduction::Variance => (None, Some(at)),
            };
            let open = |it: &&mut Moments| if mean.is_some() { it.mean.is_none() } else { it.variance.is_none() };
            match all.iter_mut().filter(|it| it.root == root && it.over == *over).find(open) {
                Some(it) => (it.mean, it.variance) = (it.mean.or(mean), it.variance.or(variance)),
                None => all.push(Moments { root, over: over.clone(), mean, variance }),
            }
        }
        all
    }

    /// The same numbers at another place, perhaps in another type.
    pub fn copy(len: usize, from: DType, to: DType) -> Self {
        Self {
            dims: vec![len],
            inputs: vec![MapInput::new(vec![usize::from(len != 1)], from)],
            body: ScalarFn { arity: 1, nodes: [ExprNode::Input(0)].into(), roots: [Scalar(0)].into() },
            outputs: vec![MapOutput { store: Store::Full, dtype: to }],
        }
    }

    /// The result that is operand 0 as it is, if one is.
    pub fn passes_on(&self) -> Option<usize> {
        let same = |at: &usize| {
            let root = |it: &Scalar| self.body.nodes.get(it.0 as usize);
            self.outputs[*at].store == Store::Full
                && self.body.roots.get(*at).and_then(root) == Some(&ExprNode::Input(0))
        };
        (0..self.outputs.len()).find(same)
    }

    /// By node: whether it is stored in 16 bits, and so rounded where it is evaluated. All that is made of it is made of
    /// the number as it is stored.
    pub fn rounded(&self) -> Vec<bool> {
        let mut rounded = vec![false; self.body.nodes.len()];
        for (output, root) in self.outputs.iter().zip(&*self.body.roots) {
            if output.store == Store::Full && output.dtype == DType::Bf16 {
                rounded[root.0 as usize] = true;
            }
        }
        rounded
    }

    /// The same without one result.
    pub fn without(mut self, output: usize) -> Self {
        self.outputs.remove(output);
        let left = self.body.roots.iter().enumerate().filter(|it| it.0 != output);
        self.body.roots = left.map(|it| *it.1).collect();
        self
    }
}

/// A part of [`KernelSpec::Assemble`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Part {
    /// Its extents.
    pub dims: Vec<usize>,
    /// Where it lies, along each axis.
    pub place: Vec<Along>,
}

/// Each map of [`KernelSpec::Maps`] with its own of the launch's operands; `count` says how many those are.
pub(crate) fn each_with<'a, T>(
    maps: &'a [MapKernel],
    mut operands: &'a [T],
    count: impl Fn(&MapKernel) -> usize + 'a,
) -> impl Iterator<Item = (&'a MapKernel, &'a [T])> {
    maps.iter().map(move |map| {
        let (own, rest) = operands.split_at(count(map));
        operands = rest;
        (map, own)
    })
}

fn alone() -> usize {
    1
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde gives it so")]
fn is_alone(batch: &usize) -> bool {
    *batch == 1
}

/// A kernel.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KernelSpec {
    /// Convolution family.
    Conv(ConvKernel),
    /// A convolution or its input gradient whose results go through a map before anything is written. The map runs over
    /// pixels (outer axes) and channels (the last); its input 0 is the convolution's result, and its reductions are sums
    /// over pixels. Operands: those of the convolution, then the map's others.
    ConvMap {
        /// The convolution.
        conv: ConvKernel,
        /// The map.
        map: MapKernel,
    },
    /// A matrix product.
    MatMul(MatMulKernel),
    /// Many matrix products in one launch, none of which reads what another writes. Operands: those of each in turn.
    MatMuls(Vec<MatMulKernel>),
    /// Elementwise family, with reductions.
    Map(MapKernel),
    /// Many maps in one launch, none of which touches what another writes. Operands: the inputs of each in turn; likewise
    /// the results.
    Maps(Vec<MapKernel>),
    /// Sliding windows; `input` is the forward window's input, for gradients too.
    Window {
        /// Which.
        kind: Window,
        /// Of the forward window.
        geometry: Geometry,
        /// Images.
        n: usize,
        /// Height, width, channels of the forward input.
        input: [usize; 3],
        /// Height and width of the forward output.
        output: [usize; 2],
        /// Element type of the operands in memory: `Real` or `Bf16`.
        #[serde(default = "real", skip_serializing_if = "is_real")]
        reads: DType,
        /// Element type of the result, likewise.
        #[serde(default = "real", skip_serializing_if = "is_real")]
        writes: DType,
    },
    /// Axes permuted.
    Transpose {
        /// Input shape.
        shape: Shape,
        /// Output axis `i` is input axis `perm[i]`.
        perm: Vec<usize>,
        /// Element type in memory: `Real` or `Bf16`.
        #[serde(default = "real", skip_serializing_if = "is_real")]
        dtype: DType,
    },
    /// Zeros with parts in them (see `ir::Op::Assemble`), each an operand.
    Assemble {
        /// Extents of the result; axes that every part fills are merged with the one before.
        dims: Vec<usize>,
        /// The parts, none of which meets another.
        parts: Vec<Part>,
        /// Element type in memory: `Real` or `Bf16`.
        #[serde(default = "real", skip_serializing_if = "is_real")]
        dtype: DType,
    },
    /// Picks examples (see `ir::Op::Gather`).
    Gather {
        /// Element type.
        dtype: DType,
        /// Picks.
        n: usize,
        /// Shape of one example: `[h, w, c]` or `[]`.
        item: Shape,
    },
    /// Picks images and changes them (see `ir::Op::Augment`).
    Augment {
        /// Element type.
        dtype: DType,
        /// Picks.
        n: usize,
        /// Shape of an image before the first step: `[h, w, c]`.
        item: Shape,
        /// In order.
        steps: Vec<Augment>,
    },
    /// Adds up what was picked (see `ir::Op::Scatter`): `(index: int[n], dy: [n, item]) -> [rows, item]`.
    Scatter {
        /// Rows of the result.
        rows: usize,
        /// Picks.
        n: usize,
        /// Numbers of a row.
        item: usize,
    },
    /// Of the numbers of all shards (see `ir::Op::AllReduce`).
    AllReduce {
        /// How.
        kind: Across,
        /// Numbers of each shard.
        len: usize,
    },
    /// Losses over `[n, classes]`.
    Loss {
        /// Which.
        kind: Loss,
        /// Examples.
        n: usize,
        /// Classes.
        classes: usize,
    },
    /// Random numbers.
    Random {
        /// Which.
        kind: Random,
        /// Elements.
        len: usize,
        /// Stream under the plan's seed.
        stream: u64,
        /// The position of the first number.
        #[serde(default, skip_serializing_if = "is_first")]
        first: usize,
    },
}

fn is_first(it: &usize) -> bool {
    *it == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_drawn_has_a_step_and_a_place() {
        let map = |input: MapInput| {
            let body = ScalarFn { arity: 1, nodes: [ExprNode::Input(0)].into(), roots: [Scalar(0)].into() };
            let outputs = vec![MapOutput { store: Store::Full, dtype: DType::Real }];
            KernelSpec::Map(MapKernel { dims: vec![6], inputs: vec![input], body, outputs }).operands()
        };
        let drawn = |first| MapInput::drawn(vec![1], Draws { stream: 7, first });
        assert_eq!(map(drawn(3)).unwrap().inputs, [Operand { dtype: DType::Int, len: 1 }]);
        assert_eq!(map(drawn(usize::MAX)).unwrap_err(), format!("no batch has a random number {}", usize::MAX));
        let wrong = map(MapInput { dtype: DType::Real, ..drawn(3) }).unwrap_err();
        assert!(wrong.contains("an integer"), "{wrong}");
    }
}
