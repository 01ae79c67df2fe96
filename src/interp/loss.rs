//! Classification losses.

use super::Tensor;
use crate::ir::Loss;

/// Every kind.
pub(super) fn loss(kind: Loss, given: &[&Tensor]) -> Tensor {
    let [n, classes] = given[0].dims::<2>();
    let examples = (0..n).map(|at| (&given[0].data[at * classes..][..classes], given[1].data[at] as usize));
    match kind {
        Loss::CrossEntropy { smoothing, floor } => {
            let loss = |(logits, label): (&[f64], usize)| {
                let (q, y) = (softmax(logits), target(classes, label, smoothing.0));
                -y.iter().zip(&q).map(|(y, q)| y * (q + floor.0).ln()).sum::<f64>()
            };
            Tensor::new([n], examples.map(loss).collect())
        }
        Loss::CrossEntropyGrad { smoothing, floor } => {
            let mut data = Vec::with_capacity(n * classes);
            for ((logits, label), g) in examples.zip(&given[2].data) {
                let (q, y) = (softmax(logits), target(classes, label, smoothing.0));
                let ratio = |c: usize| y[c] / (q[c] + floor.0);
                let mean: f64 = (0..classes).map(|c| q[c] * ratio(c)).sum();
                data.extend((0..classes).map(|j| g * q[j] * (mean - ratio(j))));
            }
            Tensor::new([n, classes], data)
        }
        Loss::Correct => {
            let correct = |(logits, label): (&[f64], usize)| {
                let mut best = 0;
                for c in 1..classes {
                    if logits[best] < logits[c] {
                        best = c;
                    }
                }
                if best == label { 1.0 } else { 0.0 }
            };
            Tensor::new([n], examples.map(correct).collect())
        }
    }
}

fn softmax(logits: &[f64]) -> Vec<f64> {
    let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let powers: Vec<f64> = logits.iter().map(|it| (it - largest).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.iter().map(|it| it / sum).collect()
}

/// `(1 - smoothing) onehot + smoothing / classes`.
fn target(classes: usize, label: usize, smoothing: f64) -> Vec<f64> {
    let spread = smoothing / classes as f64;
    (0..classes).map(|c| if c == label { 1.0 - smoothing + spread } else { spread }).collect()
}
