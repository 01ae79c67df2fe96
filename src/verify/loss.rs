//! Bounds of losses.

use super::bound::LIBRARY;
use crate::ir::Loss;

/// How far losses and their gradients may be off: a handful of library functions of each chance, whose logarithm is
/// rounded like the scores. No part of this grows where chances cancel: what lacks of 1 is a sum of its own.
pub(super) fn bounds(kind: Loss, classes: usize, inputs: &[Vec<f64>], values: &[f64], unit: f64) -> Vec<f64> {
    // A chance, or a small loss, and what the rounding of its logarithm makes of it.
    let rounded = |it: f64| if it <= 0.0 { 0.0 } else { it * (8.0 * LIBRARY - it.min(1.0).ln()) };
    match kind {
        Loss::Correct => vec![0.0; values.len()],
        Loss::CrossEntropy { floor, .. } if floor.0 == 0.0 => values.iter().map(|it| unit * rounded(*it)).collect(),
        Loss::CrossEntropy { .. } => values.iter().map(|it| unit * 8.0 * LIBRARY * (1.0 + it.abs())).collect(),
        Loss::CrossEntropyGrad { smoothing, .. } => {
            let spread = smoothing.0 / classes as f64;
            let rows = inputs[0].chunks_exact(classes).zip(&inputs[1]).zip(&inputs[2]);
            rows.flat_map(|((scores, label), g)| {
                let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let powers: Vec<f64> = scores.iter().map(|it| (it - most).exp()).collect();
                let all: f64 = powers.iter().sum();
                (0..classes).map(move |it| {
                    let others: f64 = powers.iter().enumerate().filter(|other| other.0 != it).map(|it| it.1).sum();
                    let y = if it as f64 == *label { 1.0 - smoothing.0 + spread } else { spread };
                    unit * g.abs() * (rounded(powers[it] / all) + y * rounded(others / all))
                })
            })
            .collect()
        }
    }
}
