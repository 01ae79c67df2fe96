//! Precisions: what reals are computed and kept in.

use super::DType;
use super::words::words;

words! {
    /// Arithmetic and storage of reals.
    #[derive(Default)]
    pub enum Precision {
        /// 32-bit floats.
        #[default]
        F32: "f32",
        /// 32-bit floats; products of contractions in TensorFloat-32 (GPU).
        Tf32: "tf32",
        /// Activations, their gradients and filters in bfloat16, sums and all that is kept in 32-bit floats (GPU).
        Bf16: "bf16",
        /// 64-bit floats (CPU).
        F64: "f64",
    }
}

impl Precision {
    /// What it is, in the help of a flag.
    pub fn about(self) -> &'static str {
        match self {
            Precision::F32 => "32-bit floats",
            Precision::Tf32 => "32-bit floats, products in TensorFloat-32 (GPU)",
            Precision::Bf16 => "Activations, their gradients and filters in bfloat16, all else in 32-bit floats (GPU)",
            Precision::F64 => "64-bit floats (CPU)",
        }
    }

    /// Bytes of an element.
    pub fn bytes(self, dtype: DType) -> usize {
        match (dtype, self) {
            (DType::U8, _) => 1,
            (DType::U16, _) => 2,
            (DType::Int, _) => 8,
            (DType::Bf16, _) => 2,
            (DType::Real, Precision::F32 | Precision::Tf32 | Precision::Bf16) => 4,
            (DType::Real, Precision::F64) => 8,
        }
    }

    /// Whether reals are 64-bit floats, which a GPU does not compute with.
    pub fn is_double(self) -> bool {
        match self {
            Precision::F64 => true,
            Precision::F32 | Precision::Tf32 | Precision::Bf16 => false,
        }
    }
}
