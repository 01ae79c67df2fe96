//! Classification losses, in the form that is easiest to believe: every class against every other one.

use super::Tensor;
use crate::ir::Loss;

/// Every kind.
pub(super) fn loss(kind: Loss, given: &[&Tensor]) -> Tensor {
    let [n, classes] = given[0].dims::<2>();
    let examples = (0..n).map(|at| (&given[0].data[at * classes..][..classes], given[1].data[at] as usize));
    match kind {
        Loss::CrossEntropy { smoothing, floor } => {
            let loss = |(logits, label): (&[f64], usize)| {
                let y = target(classes, label, smoothing.0);
                let terms = (0..classes).filter(|it| y[*it] != 0.0).map(|it| y[it] * surprise(logits, it, floor.0));
                broken(logits).unwrap_or_else(|| terms.sum())
            };
            Tensor::new([n], examples.map(loss).collect())
        }
        Loss::CrossEntropyGrad { smoothing, floor } => {
            let mut data = Vec::with_capacity(n * classes);
            for ((logits, label), g) in examples.zip(&given[2].data) {
                let y = target(classes, label, smoothing.0);
                let q: Vec<f64> = (0..classes).map(|it| chance(logits, it)).collect();
                // Of its surprise, what each class feels.
                let t: Vec<f64> = (0..classes)
                    .map(|it| if floor.0 == 0.0 { y[it] } else { y[it] * (q[it] / (q[it] + floor.0)) })
                    .collect();
                // What one class gains another loses, so that no part is a difference of large numbers.
                let pull = |j: usize| (0..classes).map(|k| q[j] * t[k] - q[k] * t[j]).sum::<f64>();
                data.extend((0..classes).map(|j| g * broken(logits).unwrap_or_else(|| pull(j))));
            }
            Tensor::new([n, classes], data)
        }
        Loss::Correct => {
            // The first of the largest is the answer; there is none where a score is NaN.
            let correct = |(logits, label): (&[f64], usize)| {
                if classes <= label {
                    return 0.0;
                }
                let beats = |(at, it): (usize, &f64)| *it < logits[label] || at >= label && *it == logits[label];
                f64::from(u8::from(logits.iter().enumerate().all(beats)))
            };
            Tensor::new([n], examples.map(correct).collect())
        }
    }
}

/// NaN where scores have no softmax: one is NaN or infinite, or all are minus infinity.
fn broken(logits: &[f64]) -> Option<f64> {
    let fine = |it: &f64| *it < f64::INFINITY;
    let none = logits.iter().all(|it| *it == f64::NEG_INFINITY);
    (none || !logits.iter().all(fine)).then_some(f64::NAN)
}

/// The softmax of one class.
fn chance(logits: &[f64], class: usize) -> f64 {
    if logits[class] == f64::NEG_INFINITY {
        return 0.0;
    }
    1.0 / logits.iter().map(|it| (it - logits[class]).exp()).sum::<f64>()
}

/// `-log(softmax + floor)` of one class, by adding the classes one after the other in the logarithm.
fn surprise(logits: &[f64], class: usize, floor: f64) -> f64 {
    let others = logits.iter().enumerate().filter(|it| it.0 != class);
    let rest = match logits[class] {
        f64::NEG_INFINITY => f64::INFINITY,
        own => others.fold(0.0, |sum, (_, it)| log_add(sum, it - own)),
    };
    if floor == 0.0 { rest } else { -log_add(-rest, floor.ln()) }
}

/// `log(e^a + e^b)`.
fn log_add(a: f64, b: f64) -> f64 {
    let (low, high) = if a < b { (a, b) } else { (b, a) };
    if low == f64::NEG_INFINITY { high } else { high + (low - high).exp().ln_1p() }
}

/// `(1 - smoothing) onehot + smoothing / classes`.
fn target(classes: usize, label: usize, smoothing: f64) -> Vec<f64> {
    let spread = smoothing / classes as f64;
    (0..classes).map(|c| if c == label { 1.0 - smoothing + spread } else { spread }).collect()
}
