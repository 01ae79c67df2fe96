//! Where the pixels of an evaluated image come from, as `ir::augment` defines it.

/// The pixel that a position shows, mirrored at the outermost pixels or at the edge beyond them.
pub(super) fn mirrored(at: i64, n: i64, inner: bool) -> i64 {
    match (inner, n) {
        (true, 1) => 0,
        (true, _) => {
            let at = at.rem_euclid(2 * n - 2);
            at.min(2 * n - 2 - at)
        }
        (false, _) => {
            let at = at.rem_euclid(2 * n);
            at.min(2 * n - 1 - at)
        }
    }
}

/// Along an axis: for each position of the result two of the image, and the share of the second.
pub(super) struct Stretch {
    pub(super) low: Vec<usize>,
    pub(super) high: Vec<usize>,
    pub(super) shares: Vec<f64>,
}

/// The largest part of a shape in the middle of an image, scaled to it: rows, then columns.
pub(super) fn stretches(size: [usize; 2], to: [usize; 2]) -> [Stretch; 2] {
    let ratio = to[1] as f64 / to[0] as f64;
    let image = size.map(|it| it as f64);
    let fit = [image[0].min(image[1] / ratio), image[1].min(image[0] * ratio)];
    [0, 1].map(|axis| {
        let part = (fit[axis].round() as usize).clamp(1, size[axis]);
        let offset = (size[axis] - part) / 2;
        let place = |it: usize| {
            let place = (it as f64 + 0.5) * part as f64 / to[axis] as f64 - 0.5;
            (place.clamp(0.0, part as f64 - 1.0) * 256.0).floor() / 256.0
        };
        let at = |more: usize| (0..to[axis]).map(|it| (place(it) as usize + more).min(part - 1) + offset).collect();
        Stretch { low: at(0), high: at(1), shares: (0..to[axis]).map(|it| place(it).fract()).collect() }
    })
}
