//! What steps of augmentation read besides pixels, worked out once for all images: in whole numbers, as kernels want them.

use crate::ir::augment::{CHOICES, INTERVALS};

/// Cosine and sine of each angle that a rotation can take, in 1/65536.
pub(crate) fn turns(degrees: f64) -> Vec<[i32; 2]> {
    let angle = |choice: usize| (degrees * ((2 * choice + 1) as f64 / CHOICES as f64 - 1.0)).to_radians();
    (0..CHOICES)
        .map(|it| angle(it).sin_cos())
        .map(|(sin, cos)| [cos, sin].map(|it| (it * 65536.0).round() as i32))
        .collect()
}

/// Height and width of each part that a resized crop can take.
pub(crate) fn parts([height, width]: [usize; 2], areas: [f64; 2], ratios: [f64; 2]) -> Vec<[usize; 2]> {
    let within = |low: f64, high: f64, at: usize| low + (high - low) * ((at as f64 + 0.5) / INTERVALS as f64);
    let pixels = height as f64 * width as f64;
    let part = |choice: usize| {
        let area = pixels * within(areas[0], areas[1], choice / INTERVALS);
        let ratio = within(ratios[0].ln(), ratios[1].ln(), choice % INTERVALS).exp();
        let fit = |it: f64, most: usize| (it.sqrt().round() as usize).clamp(1, most);
        [fit(area / ratio, height), fit(area * ratio, width)]
    };
    (0..CHOICES).map(part).collect()
}

/// Height and width of the largest part whose shape is that of `size`.
pub(crate) fn middle([height, width]: [usize; 2], size: [usize; 2]) -> [usize; 2] {
    // The share of an extent that the other leaves, rounded.
    let share = |n: usize, by: usize, of: usize| ((2 * n * by + of) / (2 * of)).max(1);
    if height * size[1] <= width * size[0] {
        [height, share(height, size[1], size[0]).min(width)]
    } else {
        [share(width, size[0], size[1]).min(height), width]
    }
}

/// How far a factor can move, in 1/65536.
pub(crate) fn reach(factor: f64) -> i64 {
    (factor * 65536.0).round() as i64
}
