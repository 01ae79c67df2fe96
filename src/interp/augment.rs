//! Augmentation as it is defined: each pixel of the result, asked for step by step from the last to the first.

use super::Tensor;
use crate::ir::augment::{self, CHOICES, INTERVALS};
use crate::ir::{Augment, Border};

/// Images by their indices, through the steps; `whole` says whether what lies between pixels is rounded to a whole number.
pub(super) fn augment(
    source: &Tensor,
    whole: bool,
    index: &Tensor,
    uniform: Option<&Tensor>,
    steps: &[Augment],
) -> Tensor {
    let [_, height, width, channels] = source.dims::<4>();
    let mut sizes = vec![[height, width, channels]];
    for step in steps {
        let last = sizes[sizes.len() - 1];
        sizes.push(step.shape(last).expect("the shape rule of the op held"));
    }
    let (columns, draws) = (augment::columns(steps), augment::draws(steps));
    let n = index.data.len();
    let [rows, wide, _] = sizes[steps.len()];
    let mut result = Tensor::filled([n, rows, wide, channels], 0.0);
    for image in 0..n {
        let picture = Picture {
            pixels: &source.data[index.data[image] as usize * height * width * channels..],
            sizes: &sizes,
            steps,
            columns: &columns,
            whole,
            uniform: uniform.map_or(&[], |it| &it.data[image * draws..][..draws]),
        };
        for y in 0..rows {
            for x in 0..wide {
                for c in 0..channels {
                    result.data[((image * rows + y) * wide + x) * channels + c] =
                        picture.at(steps.len(), y as i64, x as i64, c);
                }
            }
        }
    }
    result
}

struct Picture<'a> {
    pixels: &'a [f64],
    /// Before the first step, and after each.
    sizes: &'a [[usize; 3]],
    steps: &'a [Augment],
    columns: &'a [usize],
    /// Whether what lies between pixels is rounded to a whole number.
    whole: bool,
    uniform: &'a [f64],
}

impl Picture<'_> {
    /// One of `n` choices by the random number `which` of a step.
    fn choice(&self, step: usize, which: usize, n: usize) -> usize {
        (self.uniform[self.columns[step] + which] * n as f64).floor().clamp(0.0, n as f64 - 1.0) as usize
    }

    /// A pixel after so many steps, of a position inside.
    fn at(&self, after: usize, y: i64, x: i64, c: usize) -> f64 {
        let [height, width, channels] = self.sizes[after.saturating_sub(1)];
        let Some(step) = after.checked_sub(1) else {
            return self.pixels[(y as usize * width + x as usize) * channels + c];
        };
        let below = |y: i64, x: i64| self.at(step, y, x, c);
        match self.steps[step] {
            Augment::FlipHorizontal if self.choice(step, 0, 2) == 0 => below(y, width as i64 - 1 - x),
            Augment::FlipVertical if self.choice(step, 0, 2) == 0 => below(height as i64 - 1 - y, x),
            Augment::FlipHorizontal | Augment::FlipVertical => below(y, x),
            Augment::Crop { size, pad, border, centre } => {
                let places = [height + 2 * pad - size[0] + 1, width + 2 * pad - size[1] + 1];
                let offset = |axis: usize| match centre {
                    true => (places[axis] - 1) / 2,
                    false => self.choice(step, axis, places[axis]),
                };
                let from = |at: i64, axis: usize, n: usize| mirrored(at + offset(axis) as i64 - pad as i64, n, border);
                match (from(y, 0, height), from(x, 1, width)) {
                    (Some(y), Some(x)) => below(y as i64, x as i64),
                    _ => 0.0,
                }
            }
            Augment::Cutout { size, value } => {
                let hit = |at: i64, which: usize, n: usize| {
                    let first = self.choice(step, which, n) as i64 - (size / 2) as i64;
                    (first..first + size as i64).contains(&at)
                };
                if hit(y, 0, height) && hit(x, 1, width) { f64::from(value) } else { below(y, x) }
            }
            Augment::Rotate { degrees } => {
                let middle = (2 * self.choice(step, 0, CHOICES) + 1) as f64 / CHOICES as f64 - 1.0;
                let angle = (degrees.0 * middle).to_radians();
                let [cos, sin] = [angle.cos(), angle.sin()].map(|it| (it * 65536.0).round() / 65536.0);
                let [mid_y, mid_x] = [height, width].map(|it| (it as f64 - 1.0) / 2.0);
                let (dy, dx) = (y as f64 - mid_y, x as f64 - mid_x);
                let place = [cos * dy - sin * dx + mid_y, sin * dy + cos * dx + mid_x];
                self.between(place, |y, x| {
                    let inside = 0 <= y && y < height as i64 && 0 <= x && x < width as i64;
                    if inside { below(y, x) } else { 0.0 }
                })
            }
            Augment::ResizedCrop { size, areas, ratios, centre } => {
                let image = [height as f64, width as f64];
                let (part, offset) = if centre {
                    let ratio = size[1] as f64 / size[0] as f64;
                    let fit = [image[0].min(image[1] / ratio), image[1].min(image[0] * ratio)];
                    let part = [0, 1].map(|it| (fit[it].round() as usize).clamp(1, [height, width][it]));
                    (part, [(height - part[0]) / 2, (width - part[1]) / 2])
                } else {
                    let choice = self.choice(step, 0, CHOICES);
                    let middle = |it: usize| (it as f64 + 0.5) / INTERVALS as f64;
                    let area = areas[0].0 + (areas[1].0 - areas[0].0) * middle(choice / INTERVALS);
                    let [low, high] = ratios.map(|it| it.0.ln());
                    let ratio = (low + (high - low) * middle(choice % INTERVALS)).exp();
                    let fit =
                        [(image[0] * image[1] * area / ratio).sqrt(), (image[0] * image[1] * area * ratio).sqrt()];
                    let part = [0, 1].map(|it| (fit[it].round() as usize).clamp(1, [height, width][it]));
                    (part, [self.choice(step, 1, height - part[0] + 1), self.choice(step, 2, width - part[1] + 1)])
                };
                let along = |at: i64, axis: usize| {
                    let place = (at as f64 + 0.5) * part[axis] as f64 / size[axis] as f64 - 0.5;
                    place.clamp(0.0, part[axis] as f64 - 1.0)
                };
                self.between([along(y, 0), along(x, 1)], |y, x| {
                    let [y, x] = [(y, 0), (x, 1)].map(|(at, axis)| at.min(part[axis] as i64 - 1) + offset[axis] as i64);
                    below(y, x)
                })
            }
            Augment::ColorJitter { brightness, contrast, saturation } => {
                let factor = |which: usize, most: f64| {
                    let drawn = self.choice(step, which, 1 << 24) as f64 / 8_388_608.0 - 1.0;
                    1.0 + ((most * 65536.0).round() * drawn).floor() / 65536.0
                };
                let around = |value: f64, middle: f64, factor: f64| {
                    (middle + (value - middle) * factor + 0.5).floor().clamp(0.0, 255.0)
                };
                let [bright, contrasted] = [factor(0, brightness.0), factor(1, contrast.0)];
                let toned = |c: usize| around(around(self.at(step, y, x, c), 0.0, bright), 128.0, contrasted);
                if channels != 3 {
                    return toned(c);
                }
                let grey = ((299.0 * toned(0) + 587.0 * toned(1) + 114.0 * toned(2)) / 1000.0 + 0.5).floor();
                around(toned(c), grey, factor(2, saturation.0))
            }
        }
    }

    /// Linear between four pixels: weights of 1/256, the sum of whole numbers rounded.
    fn between(&self, place: [f64; 2], pixel: impl Fn(i64, i64) -> f64) -> f64 {
        let place = place.map(|it| (it * 256.0).floor() / 256.0);
        let first = place.map(f64::floor);
        let [y, x] = first.map(|it| it as i64);
        let [b, a] = [place[0] - first[0], place[1] - first[1]];
        let top = (1.0 - a) * pixel(y, x) + a * pixel(y, x + 1);
        let bottom = (1.0 - a) * pixel(y + 1, x) + a * pixel(y + 1, x + 1);
        let found = (1.0 - b) * top + b * bottom;
        if self.whole { (found + 0.5).floor() } else { found }
    }
}

/// The pixel that a position shows; none in a border of zeros.
fn mirrored(at: i64, n: usize, border: Border) -> Option<usize> {
    let n = n as i64;
    let inside = 0 <= at && at < n;
    let found = match border {
        _ if inside => at,
        Border::Zero => return None,
        Border::Reflect if n == 1 => 0,
        Border::Reflect => {
            let at = at.rem_euclid(2 * n - 2);
            at.min(2 * n - 2 - at)
        }
        Border::Symmetric => {
            let at = at.rem_euclid(2 * n);
            at.min(2 * n - 1 - at)
        }
    };
    Some(found as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn borders_mirror_with_and_without_the_edge() {
        let all = |border| (-4..8).map(|at| mirrored(at, 4, border)).collect::<Vec<_>>();
        assert_eq!(all(Border::Symmetric), [3, 2, 1, 0, 0, 1, 2, 3, 3, 2, 1, 0].map(Some));
        assert_eq!(all(Border::Reflect), [2, 3, 2, 1, 0, 1, 2, 3, 2, 1, 0, 1].map(Some));
        let inside = |at: i64| (0..4).contains(&at).then_some(at as usize);
        assert_eq!(all(Border::Zero), (-4..8).map(inside).collect::<Vec<_>>());
        for border in [Border::Symmetric, Border::Reflect] {
            assert_eq!([-1, 0, 5].map(|it| mirrored(it, 1, border)), [Some(0); 3]);
        }
    }
}
