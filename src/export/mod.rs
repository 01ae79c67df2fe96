//! (Unstable.) Trained networks for other programs: what a model makes of images in evaluation, with its weights, in their language.
//!
//! - `network`: the part of a graph that scores are made by, with the batch left open;
//! - `fold`: what follows from the weights alone is computed once, and normalisations go into the filters before them;
//! - `onnx`: the network as an ONNX file;
//! - `torch`: the network as a module of PyTorch.
//!
//! The set of ops is closed, and each way out matches it without wildcards: an op is written, or refused by name.

mod assemble;
mod fold;
mod images;
mod network;
mod onnx;
mod torch;

pub use network::{Extent, Network, Node};
pub use onnx::{Facts, OPSET, onnx};
pub use torch::torch;

use crate::ir::OriginId;
use images::{mirrored, stretches};

/// Why a network cannot be written for another program.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExportError {
    /// Something in it has no counterpart there.
    #[error("{} {cause}", place(layer))]
    Unsaid {
        /// The layer; empty outside of layers.
        layer: String,
        /// Where it was written.
        origin: OriginId,
        /// What it does.
        cause: String,
    },
    /// What is computed depends on how many images there are at once.
    #[error("{} is not the same for batches of other sizes: {cause}", place(layer))]
    Batch {
        /// The layer; empty outside of layers.
        layer: String,
        /// Where it was written.
        origin: OriginId,
        /// What differs.
        cause: String,
    },
    /// A file of protobuf messages has less than 2 GiB.
    #[error("the weights take {bytes} bytes, and an ONNX file has less than 2^31")]
    TooLarge {
        /// All weights.
        bytes: u64,
    },
}

impl ExportError {
    /// Where in the text it lies.
    pub fn origin(&self) -> Option<OriginId> {
        match self {
            ExportError::Unsaid { origin, .. } | ExportError::Batch { origin, .. } => Some(*origin),
            ExportError::TooLarge { .. } => None,
        }
    }
}

fn place(layer: &str) -> String {
    if layer.is_empty() { "an expression outside of layers".to_owned() } else { format!("`{layer}`") }
}
