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
    /// 64-bit integers: labels, indices, counters.
    Int,
    /// The precision that the plan is made for: f32 or f64.
    Real,
    /// A real in 16 bits of memory (bfloat16). No tensor of a graph has this type: a plan says which buffers do.
    Bf16,
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
            Fact::Known { shape, dtype: DType::Bf16 } => write!(f, "bf16{shape}"),
            Fact::Unknown => write!(f, "unknown"),
        }
    }
}
