//! Starts of parameters that are made as a whole: every other is one number after the other.

use super::{Shape, random, size};

/// Most multiplications that an orthogonal start may take.
pub const MOST_ORTHOGONAL_WORK: usize = 1 << 34;

/// The matrix of a tensor, its last axis against all before, as vectors: how many of which length. They are its columns,
/// or its rows where those are fewer.
fn vectors(shape: &Shape) -> (usize, usize, bool) {
    let columns = shape.dims().last().copied().unwrap_or(1);
    let rows = size::product(&shape.dims()[..shape.rank().saturating_sub(1)]);
    if columns <= rows { (columns, rows, true) } else { (rows, columns, false) }
}

/// Multiplications of an orthogonal start; `usize::MAX` for more.
pub fn orthogonal_work(shape: &Shape) -> usize {
    let (count, len, _) = vectors(shape);
    count.saturating_mul(count).saturating_mul(len)
}

/// `gain` times orthonormal columns, or rows where those are fewer: normal numbers, each vector made orthogonal to those
/// before it, twice, so that nothing of them is left.
pub fn orthogonal(shape: &Shape, gain: f64, seed: u64, stream: u64) -> Vec<f64> {
    let (count, len, columns) = vectors(shape);
    let dot = |a: &[f64], b: &[f64]| -> f64 { a.iter().zip(b).map(|(a, b)| a * b).sum() };
    let mut made: Vec<Vec<f64>> = Vec::with_capacity(count);
    for at in 0..count {
        let mut next: Vec<f64> = (0..len).map(|it| random::normal(seed, stream, at * len + it)).collect();
        for _ in 0..2 {
            for before in &made {
                let share = dot(before, &next);
                next.iter_mut().zip(before).for_each(|(value, it)| *value -= share * it);
            }
        }
        let norm = dot(&next, &next).sqrt();
        next.iter_mut().for_each(|it| *it /= norm);
        made.push(next);
    }
    let place = |at: usize| if columns { (at % count, at / count) } else { (at / len, at % len) };
    (0..count * len).map(place).map(|(vector, entry)| gain * made[vector][entry]).collect()
}

/// 1 where a filter meets its own channel at the middle of the window, else 0: what comes in goes on as it is.
pub fn dirac(shape: &Shape) -> Vec<f64> {
    let mut values = vec![0.0; shape.len()];
    if let [window @ .., inputs, outputs] = shape.dims() {
        let middle = window.iter().fold(0, |at, extent| at * extent + extent / 2);
        for channel in 0..*inputs.min(outputs) {
            values[(middle * inputs + channel) * outputs + channel] = 1.0;
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_of_either_kind_are_orthonormal() {
        for dims in [vec![3, 3, 4, 8], vec![5, 5], vec![2, 9], vec![7, 1], vec![1, 1]] {
            let shape = Shape(dims);
            let (count, len, columns) = vectors(&shape);
            let values = orthogonal(&shape, 2.0, 5, 6);
            let entry = |vector: usize, at: usize| {
                if columns { values[at * count + vector] } else { values[vector * len + at] }
            };
            for a in 0..count {
                for b in 0..count {
                    let product: f64 = (0..len).map(|at| entry(a, at) * entry(b, at)).sum();
                    let wanted = if a == b { 4.0 } else { 0.0 };
                    assert!((product - wanted).abs() < 1e-13, "{shape}: {a} {b} {product}");
                }
            }
            // A single number is the one or the other sign of the gain.
            assert!(shape.len() == 1 || values != orthogonal(&shape, 2.0, 6, 6), "{shape}: another seed");
        }
    }

    #[test]
    fn a_dirac_start_passes_channels_on() {
        let values = dirac(&Shape::from([3, 2, 2, 3]));
        let ones: Vec<usize> = (0..36).filter(|at| values[*at] == 1.0).collect();
        // Row 1, column 1 of the window: channel 0 to filter 0, and 1 to 1.
        assert_eq!(ones, [(3 * 2) * 3, (3 * 2 + 1) * 3 + 1]);
        assert_eq!(values.iter().sum::<f64>(), 2.0);
        assert_eq!(dirac(&Shape::from([2, 2])), [1.0, 0.0, 0.0, 1.0]);
    }
}
