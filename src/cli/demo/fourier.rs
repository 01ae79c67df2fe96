//! The two-dimensional Fourier transform, by its definition, and what an image becomes with the phase or the magnitude of another.

use std::f64::consts::TAU;

/// Numbers of a plane, row by row.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Plane<T> {
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) values: Vec<T>,
}

/// A complex number: real part, imaginary part.
type Complex = [f64; 2];

fn times(a: Complex, b: Complex) -> Complex {
    [a[0] * b[0] - a[1] * b[1], a[0] * b[1] + a[1] * b[0]]
}

fn magnitude(it: Complex) -> f64 {
    it[0].hypot(it[1])
}

/// Its direction: a number of magnitude 1, and 1 for zero, which has none.
fn direction(it: Complex) -> Complex {
    let length = magnitude(it);
    if length == 0.0 { [1.0, 0.0] } else { [it[0] / length, it[1] / length] }
}

/// Transforms a line: `sum over x of line[x] exp(sign 2 pi i k x / n)` for each `k`.
fn line(values: &[Complex], sign: f64) -> Vec<Complex> {
    let n = values.len();
    // The factors of all products are these, since `k x` counts modulo `n`.
    let turns: Vec<Complex> = (0..n)
        .map(|it| {
            let angle = sign * TAU * it as f64 / n as f64;
            [angle.cos(), angle.sin()]
        })
        .collect();
    let one = |k: usize| {
        values.iter().enumerate().fold([0.0, 0.0], |sum: Complex, (x, value)| {
            let it = times(*value, turns[k * x % n]);
            [sum[0] + it[0], sum[1] + it[1]]
        })
    };
    (0..n).map(one).collect()
}

impl<T: Copy> Plane<T> {
    fn map<U>(&self, of: impl FnMut(T) -> U) -> Plane<U> {
        Plane { height: self.height, width: self.width, values: self.values.iter().copied().map(of).collect() }
    }

    fn with<U: Copy, V>(&self, other: &Plane<U>, of: impl Fn(T, U) -> V) -> Plane<V> {
        let values = self.values.iter().zip(&other.values).map(|(a, b)| of(*a, *b)).collect();
        Plane { height: self.height, width: self.width, values }
    }

    fn transposed(&self) -> Plane<T> {
        let values =
            (0..self.width).flat_map(|x| (0..self.height).map(move |y| self.values[y * self.width + x])).collect();
        Plane { height: self.width, width: self.height, values }
    }
}

impl Plane<Complex> {
    fn rows(&self, sign: f64) -> Plane<Complex> {
        let values = self.values.chunks(self.width).flat_map(|it| line(it, sign)).collect();
        Plane { values, ..*self }
    }

    /// Along both axes.
    fn both(&self, sign: f64) -> Plane<Complex> {
        self.rows(sign).transposed().rows(sign).transposed()
    }

    /// Backwards; the imaginary parts of what came of a real image are rounding.
    fn inverse(&self) -> Plane<f64> {
        let count = self.values.len() as f64;
        self.both(1.0).map(|it| it[0] / count)
    }
}

/// The transform of an image.
fn transform(image: &Plane<f64>) -> Plane<Complex> {
    image.map(|it| [it, 0.0]).both(-1.0)
}

/// What is made of two images of one size.
pub(super) struct Made {
    /// What it is.
    pub(super) name: &'static str,
    pub(super) image: Plane<f64>,
}

/// The four exchanges of phases and magnitudes.
pub(super) fn exchanged(a: &Plane<f64>, b: &Plane<f64>) -> [Made; 4] {
    let (a, b) = (transform(a), transform(b));
    let of = |phase: &Plane<Complex>, size: &Plane<Complex>| {
        phase.with(size, |phase, size| direction(phase).map(|it| it * magnitude(size))).inverse()
    };
    let made = |name, image| Made { name, image };
    [
        made("phase of A, magnitude of B", of(&a, &b)),
        made("phase of B, magnitude of A", of(&b, &a)),
        made("phase of A alone", a.map(direction).inverse()),
        made("magnitude of A alone", a.map(|it| [magnitude(it), 0.0]).inverse()),
    ]
}

/// Pearson's correlation of the numbers of two planes; 0 where one of them is the same everywhere.
pub(super) fn correlation(a: &Plane<f64>, b: &Plane<f64>) -> f64 {
    // Their distances from the mean would be rounding.
    if [a, b].iter().any(|it| it.values.windows(2).all(|pair| pair[0] == pair[1])) {
        return 0.0;
    }
    let mean = |it: &Plane<f64>| it.values.iter().sum::<f64>() / it.values.len() as f64;
    let (mean_a, mean_b) = (mean(a), mean(b));
    let sum = |of: &dyn Fn(f64, f64) -> f64| -> f64 {
        a.values.iter().zip(&b.values).map(|(a, b)| of(a - mean_a, b - mean_b)).sum()
    };
    sum(&|a, b| a * b) / (sum(&|a, _| a * a) * sum(&|_, b| b * b)).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::PI;

    fn plane(height: usize, width: usize, of: impl Fn(f64, f64) -> f64) -> Plane<f64> {
        let values = (0..height).flat_map(|y| (0..width).map(move |x| (y, x))).map(|(y, x)| of(y as f64, x as f64));
        Plane { height, width, values: values.collect() }
    }

    fn near(a: &Plane<f64>, b: &Plane<f64>) -> bool {
        (a.height, a.width) == (b.height, b.width) && a.values.iter().zip(&b.values).all(|(a, b)| (a - b).abs() < 1e-12)
    }

    /// A wave has two numbers, `n m / 2 exp(+-i phase)`, at its frequency and at the opposite one.
    #[test]
    fn the_transform_of_a_wave_is_known() {
        let (height, width, phase) = (6, 10, 0.7);
        let wave = plane(height, width, |y, x| (TAU * (2.0 * y / 6.0 + 3.0 * x / 10.0) + phase).cos());
        let found = transform(&wave);
        for (at, value) in found.values.iter().enumerate() {
            let expected = match (at / width, at % width) {
                (2, 3) => [30.0 * phase.cos(), 30.0 * phase.sin()],
                (4, 7) => [30.0 * phase.cos(), -30.0 * phase.sin()],
                _ => [0.0, 0.0],
            };
            assert!((0..2).all(|it| (value[it] - expected[it]).abs() < 1e-12), "{at}: {value:?}");
        }
    }

    #[test]
    fn an_image_comes_back_and_keeps_its_energy() {
        let image = plane(5, 8, |y, x| (1.3 * y * y - x * y + 0.1 * x).sin() + x / 3.0);
        let found = transform(&image);
        assert!(near(&found.inverse(), &image));
        let (energy, of_found): (f64, f64) =
            (image.values.iter().map(|it| it * it).sum(), found.values.iter().map(|it| magnitude(*it).powi(2)).sum());
        assert!((of_found - 40.0 * energy).abs() < 1e-9 * of_found, "Parseval");
    }

    #[test]
    fn phase_is_where_something_is_and_magnitude_is_not() {
        let spot = |at: (f64, f64)| plane(8, 8, move |y, x| if (y, x) == at { 1.0 } else { 0.0 });
        let (a, b) = (spot((1.0, 2.0)), spot((5.0, 6.0)));
        let [phase_a, phase_b, alone, magnitude] = exchanged(&a, &b);
        // A spot has the same magnitude wherever it is, so the phases are the images.
        assert!(near(&phase_a.image, &a) && near(&phase_b.image, &b) && near(&alone.image, &a));
        // Without a phase it is where everything begins.
        assert!(near(&magnitude.image, &spot((0.0, 0.0))));
    }

    #[test]
    fn brightness_and_contrast_change_no_correlation() {
        let a = plane(4, 4, |y, x| (y + 2.0 * x).sin());
        let b = plane(4, 4, |y, x| 3.0 - 2.0 * (y + 2.0 * x).sin());
        assert!((correlation(&a, &a) - 1.0).abs() < 1e-12 && (correlation(&a, &b) + 1.0).abs() < 1e-12);
        assert_eq!(correlation(&a, &plane(4, 4, |_, _| PI)), 0.0);
    }
}
