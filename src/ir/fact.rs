//! What is known of a tensor before anything runs.

use super::size;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Element types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DType {
    /// Bytes of images.
    U8,
    /// Images of 16 bits.
    U16,
    /// 64-bit integers: labels, indices, counters.
    Int,
    /// The precision that the plan is made for: f32 or f64.
    Real,
    /// A real in 16 bits of memory (bfloat16). No tensor of a graph has this type: a plan says which buffers do.
    Bf16,
}

impl DType {
    /// The types that a model's input can have, in the order in which each has all numbers of those before it.
    pub const INPUTS: [DType; 4] = [DType::U8, DType::U16, DType::Int, DType::Real];

    /// Its word in `input x: float[20]`.
    pub fn word(self) -> &'static str {
        match self {
            DType::U8 => "u8",
            DType::U16 => "u16",
            DType::Int => "int",
            DType::Real | DType::Bf16 => "float",
        }
    }

    /// The type of an input by its word.
    pub fn of_input(word: &str) -> Option<DType> {
        DType::INPUTS.into_iter().find(|it| it.word() == word)
    }

    /// The least and the largest of its whole numbers that any device has; nothing of reals.
    pub fn bounds(self) -> Option<[f64; 2]> {
        match self {
            DType::U8 => Some([0.0, 255.0]),
            DType::U16 => Some([0.0, 65535.0]),
            DType::Int => Some([i64::MIN as f64, i64::MAX as f64]),
            DType::Real | DType::Bf16 => None,
        }
    }
}

/// Extents, outermost first. A scalar has none. Activations are `[n, h, w, c]`, filters
/// `[kh, kw, cin, cout]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Shape(pub Vec<usize>);

impl Shape {
    /// `[]`.
    pub fn scalar() -> Self {
        Self(Vec::new())
    }

    /// Number of elements; of tensors in a graph it fits (`infer`), else `usize::MAX` stands for more.
    pub fn len(&self) -> usize {
        size::product(&self.0)
    }

    /// Number of elements; `None` where it does not fit.
    pub fn checked_len(&self) -> Option<usize> {
        Some(self.len()).filter(|it| *it != usize::MAX)
    }

    /// Whether some extent is zero.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of axes.
    pub fn rank(&self) -> usize {
        self.0.len()
    }

    /// Extents.
    pub fn dims(&self) -> &[usize] {
        &self.0
    }

    /// Height, width and channels, where these are the extents of an image or of a plane of numbers, as one channel is.
    pub fn image(&self) -> Option<[usize; 3]> {
        match self.0[..] {
            [height, width] => Some([height, width, 1]),
            [height, width, channels] => Some([height, width, channels]),
            _ => None,
        }
    }

    /// Whether an example of these extents has the same places as one of those: one channel may be told or not.
    pub fn fits(&self, other: &Shape) -> bool {
        self == other || self.image().is_some() && self.image() == other.image()
    }

    /// What an example of these extents is called: an image, or else an example.
    pub fn noun(&self, dtype: DType) -> &'static str {
        if matches!(dtype, DType::U8 | DType::U16) && self.rank() == 3 { "image" } else { "example" }
    }

    /// `28x28x1`, as extents of an image are told; of what is none `[20]`.
    pub fn told(&self) -> String {
        match self.0[..] {
            [height, width, channels] => format!("{height}x{width}x{channels}"),
            _ => format!("{:?}", self.0),
        }
    }

    /// The common shape of two operands, aligned at the last axis; extents of 1 stretch.
    pub fn broadcast(&self, other: &Shape) -> Option<Shape> {
        let rank = self.rank().max(other.rank());
        let at = |shape: &Shape, axis: usize| {
            let missing = rank - shape.rank();
            if axis < missing { 1 } else { shape.0[axis - missing] }
        };
        (0..rank)
            .map(|axis| match (at(self, axis), at(other, axis)) {
                (a, b) if a == b => Some(a),
                (1, b) => Some(b),
                (a, 1) => Some(a),
                _ => None,
            })
            .collect::<Option<Vec<_>>>()
            .map(Shape)
    }
}

impl<const N: usize> From<[usize; N]> for Shape {
    fn from(dims: [usize; N]) -> Self {
        Self(dims.to_vec())
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[")?;
        for (at, extent) in self.0.iter().enumerate() {
            write!(f, "{}{extent}", if at == 0 { "" } else { "," })?;
        }
        write!(f, "]")
    }
}

/// Shape and dtype of a tensor. `Unknown` follows a mistake, so that one mistake is one report.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Fact {
    /// All is known.
    Known {
        /// Extents.
        shape: Shape,
        /// Element type.
        dtype: DType,
    },
    /// An operand was wrong; already reported.
    Unknown,
}

impl Fact {
    /// A known fact of reals.
    pub fn real(shape: impl Into<Shape>) -> Self {
        Self::Known { shape: shape.into(), dtype: DType::Real }
    }

    /// A known fact of integers.
    pub fn int(shape: impl Into<Shape>) -> Self {
        Self::Known { shape: shape.into(), dtype: DType::Int }
    }

    /// The shape, if known.
    pub fn shape(&self) -> Option<&Shape> {
        match self {
            Fact::Known { shape, .. } => Some(shape),
            Fact::Unknown => None,
        }
    }

    /// The dtype, if known.
    pub fn dtype(&self) -> Option<DType> {
        match self {
            Fact::Known { dtype, .. } => Some(*dtype),
            Fact::Unknown => None,
        }
    }
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fact::Known { shape, dtype: DType::Real } => write!(f, "real{shape}"),
            Fact::Known { shape, dtype: DType::Int } => write!(f, "int{shape}"),
            Fact::Known { shape, dtype: DType::U8 } => write!(f, "u8{shape}"),
            Fact::Known { shape, dtype: DType::U16 } => write!(f, "u16{shape}"),
            Fact::Known { shape, dtype: DType::Bf16 } => write!(f, "bf16{shape}"),
            Fact::Unknown => write!(f, "unknown"),
        }
    }
}
