//! Numbers made by a counter.

use super::Tensor;
use crate::ir::random::{shuffled, uniform};
use crate::ir::{Random, Shape};

/// Every kind, from position `first` on; `counter` is the step, or for a sequence its start.
pub(super) fn random(kind: Random, shape: &Shape, seed: u64, stream: u64, first: usize, counter: &Tensor) -> Tensor {
    let counter = counter.item() as u64;
    let n = shape.len();
    let data = (first..first + n)
        .map(|at| match kind {
            Random::Uniform => f64::from(uniform(seed, stream, counter, at)),
            Random::Shuffle { examples } => {
                shuffled(seed, stream, counter * n as u64 + at as u64, examples as u64) as f64
            }
            Random::Sequence { examples } => ((counter + at as u64) % examples as u64) as f64,
        })
        .collect();
    Tensor::new(shape.clone(), data)
}
