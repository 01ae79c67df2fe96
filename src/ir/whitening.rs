//! Filters that whiten patches of images: eigenvectors of the patches' products, each divided by the root of its eigenvalue, and
//! then the opposite of each.

use super::Shape;
use super::op::Scalar64;
use serde::{Deserialize, Serialize};

/// Most numbers of a patch.
pub const MOST_PATCH: usize = 256;

/// Rounds of rotations after which what is left beside the diagonal is rounding.
const ROUNDS: usize = 64;

/// How filters whiten.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Whitening {
    /// Of bytes, for each colour: what filters see is `(byte - mean) / deviation`.
    pub mean: [Scalar64; 3],
    /// For each colour.
    pub deviation: [Scalar64; 3],
    /// Added to eigenvalues.
    pub epsilon: Scalar64,
    /// At most so many images are looked at, the first ones.
    pub examples: usize,
}

impl Whitening {
    /// Whether filters of this shape can whiten, and numbers are such; or why not.
    pub fn check(&self, shape: &Shape) -> Result<(), String> {
        let &[height, width, channels, filters] = shape.dims() else {
            return Err(format!("it starts filters of [height, width, channels, filters], not {shape}"));
        };
        let patch = height.saturating_mul(width).saturating_mul(channels);
        if channels != 1 && channels != 3 {
            return Err(format!("it is for patches of images, of 1 or 3 channels and not {channels}"));
        }
        if MOST_PATCH < patch {
            return Err(format!(
                "a patch of {height}x{width}x{channels} has {patch} numbers; {MOST_PATCH} are the most"
            ));
        }
        if 2 * patch < filters {
            return Err(format!("a patch of {patch} numbers has {} filters at most, not {filters}", 2 * patch));
        }
        let numbers = self.mean.iter().chain(&self.deviation).chain([&self.epsilon]);
        if numbers.into_iter().any(|it| !it.0.is_finite()) || self.deviation.iter().any(|it| it.0 <= 0.0) {
            return Err("its deviations are above 0, and all of its numbers finite".to_owned());
        }
        if self.epsilon.0 < 0.0 || self.examples == 0 {
            return Err("it needs an image at least, and an `epsilon` of at least 0".to_owned());
        }
        Ok(())
    }

    /// The filters for images of some extents, whose numbers come image by image. Where there are none, their numbers are taken
    /// for independent, of variance 1.
    pub fn filters(&self, shape: &Shape, images: &mut dyn Iterator<Item = Vec<f64>>, extents: [usize; 3]) -> Vec<f64> {
        let &[height, width, channels, filters] = shape.dims() else { return vec![0.0; shape.len()] };
        let size = height * width * channels;
        let products = self.products([height, width, channels], images, extents);
        let (values, vectors) = eigen(products, size);
        let mut order: Vec<usize> = (0..size).collect();
        order.sort_by(|a, b| values[*b].total_cmp(&values[*a]));
        let half = filters.div_ceil(2);
        let mut res = vec![0.0; size * filters];
        for filter in 0..filters {
            let at = order[filter % half.max(1)];
            let sign = if filter < half { 1.0 } else { -1.0 };
            let scale = sign / (values[at].max(0.0) + self.epsilon.0).sqrt();
            let scale = if scale.is_finite() { scale } else { 0.0 };
            // The entry of the largest size is positive, so that the sign is not left to rounding.
            let entry = |it: usize| vectors[it * size + at];
            let most = (1..size).fold(0, |most, it| if entry(it).abs() > entry(most).abs() { it } else { most });
            let turn = if entry(most) < 0.0 { -1.0 } else { 1.0 };
            (0..size).for_each(|it| res[it * filters + filter] = turn * scale * entry(it));
        }
        res
    }

    /// The mean of the products of each two numbers of a patch, over all places of the images.
    fn products(
        &self,
        [height, width, channels]: [usize; 3],
        images: &mut dyn Iterator<Item = Vec<f64>>,
        extents: [usize; 3],
    ) -> Vec<f64> {
        let size = height * width * channels;
        let [rows, columns, colours] = extents;
        let each = rows * columns * colours;
        let mut sums = vec![0.0; size * size];
        let mut count = 0u64;
        let mut patch = vec![0.0; size];
        if each != 0 && colours == channels && height <= rows && width <= columns {
            for image in images.filter(|it| it.len() == each).take(self.examples) {
                let numbers: Vec<f64> = (image.iter().enumerate())
                    .map(|(at, it)| (it - self.mean[at % colours].0) / self.deviation[at % colours].0)
                    .collect();
                for row in 0..=rows - height {
                    for column in 0..=columns - width {
                        for y in 0..height {
                            let from = ((row + y) * columns + column) * colours;
                            let line = width * colours;
                            patch[y * line..][..line].copy_from_slice(&numbers[from..][..line]);
                        }
                        for (a, sums) in sums.chunks_exact_mut(size).enumerate() {
                            let factor = patch[a];
                            sums[..=a].iter_mut().zip(&patch).for_each(|(sum, it)| *sum += factor * it);
                        }
                        count += 1;
                    }
                }
            }
        }
        for a in 0..size {
            for b in 0..=a {
                let mean = match count {
                    0 => f64::from(u8::from(a == b)),
                    count => sums[a * size + b] / count as f64,
                };
                sums[a * size + b] = mean;
                sums[b * size + a] = mean;
            }
        }
        sums
    }
}

/// Eigenvalues of a symmetric matrix, and its eigenvectors as columns, by Jacobi's rotations.
fn eigen(mut matrix: Vec<f64>, size: usize) -> (Vec<f64>, Vec<f64>) {
    let mut vectors = vec![0.0; size * size];
    (0..size).for_each(|it| vectors[it * size + it] = 1.0);
    let whole: f64 = matrix.iter().map(|it| it * it).sum();
    for _ in 0..ROUNDS {
        let beside = (0..size).flat_map(|a| (0..a).map(move |b| a * size + b));
        if beside.map(|it| matrix[it] * matrix[it]).sum::<f64>() <= 1e-32 * whole {
            break;
        }
        for p in 0..size {
            for q in p + 1..size {
                let between = matrix[p * size + q];
                if between == 0.0 {
                    continue;
                }
                let ratio = (matrix[q * size + q] - matrix[p * size + p]) / (2.0 * between);
                let tangent = ratio.signum() / (ratio.abs() + (ratio * ratio + 1.0).sqrt());
                let cosine = 1.0 / (tangent * tangent + 1.0).sqrt();
                let sine = tangent * cosine;
                let turn = |values: &mut [f64], a: usize, b: usize| {
                    let (x, y) = (values[a], values[b]);
                    values[a] = cosine * x - sine * y;
                    values[b] = sine * x + cosine * y;
                };
                for it in 0..size {
                    turn(&mut matrix, it * size + p, it * size + q);
                }
                for it in 0..size {
                    turn(&mut matrix, p * size + it, q * size + it);
                }
                for it in 0..size {
                    turn(&mut vectors, it * size + p, it * size + q);
                }
            }
        }
    }
    ((0..size).map(|it| matrix[it * size + it]).collect(), vectors)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whitening(epsilon: f64) -> Whitening {
        let (mean, deviation) = ([120.0, 110.0, 90.0].map(Scalar64), [60.0, 70.0, 50.0].map(Scalar64));
        Whitening { mean, deviation, epsilon: Scalar64(epsilon), examples: 7 }
    }

    /// Bytes whose neighbours are alike.
    fn images(count: usize, extents: [usize; 3]) -> Vec<u8> {
        let len = count * extents.iter().product::<usize>();
        let noise = |at: usize| (at as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 57;
        (0..len).map(|at| (noise(at) + noise(at / 3) / 2) as u8).collect()
    }

    #[test]
    fn answers_of_whitened_patches_are_independent_and_of_variance_1() {
        let shape = Shape::from([2, 2, 3, 24]);
        let (rows, columns) = (5, 6);
        let bytes = images(9, [rows, columns, 3]);
        let each = rows * columns * 3;
        let mut all = bytes.chunks_exact(each).map(|it| it.iter().map(|it| f64::from(*it)).collect());
        let filters = whitening(0.0).filters(&shape, &mut all, [rows, columns, 3]);
        // Answers by their definition, of the first seven images.
        let number = |image: usize, row: usize, column: usize, c: usize| {
            let it = f64::from(bytes[((image * rows + row) * columns + column) * 3 + c]);
            (it - [120.0, 110.0, 90.0][c]) / [60.0, 70.0, 50.0][c]
        };
        let mut answers = Vec::new();
        for image in 0..7 {
            for row in 0..rows - 1 {
                for column in 0..columns - 1 {
                    answers.push(
                        (0..24)
                            .map(|f| {
                                let taps = (0..12).map(|at| (at / 6, at / 3 % 2, at % 3));
                                taps.enumerate()
                                    .map(|(at, (y, x, c))| filters[at * 24 + f] * number(image, row + y, column + x, c))
                                    .sum()
                            })
                            .collect::<Vec<f64>>(),
                    );
                }
            }
        }
        for a in 0..24 {
            for b in 0..24 {
                let product = answers.iter().map(|it| it[a] * it[b]).sum::<f64>() / answers.len() as f64;
                let wanted = if a == b {
                    1.0
                } else if a % 12 == b % 12 {
                    -1.0
                } else {
                    0.0
                };
                assert!((product - wanted).abs() < 1e-10, "{a} {b}: {product}");
            }
        }
    }

    #[test]
    fn without_images_filters_are_single_numbers_of_the_patch() {
        let shape = Shape::from([1, 2, 1, 4]);
        let found = whitening(0.0).filters(&shape, &mut std::iter::empty(), [4, 4, 1]);
        assert_eq!(found, [1.0, 0.0, -1.0, 0.0, 0.0, 1.0, 0.0, -1.0].map(|it: f64| it + 0.0));
        let mut other = std::iter::once(vec![0.0; 48]);
        assert_eq!(found, whitening(0.0).filters(&shape, &mut other, [4, 4, 3]), "of another depth");
    }

    #[test]
    fn what_cannot_whiten_is_told() {
        let said = |dims: &[usize], epsilon: f64| whitening(epsilon).check(&Shape(dims.to_vec())).unwrap_err();
        assert!(said(&[2, 2, 3, 25], 0.0).contains("24 filters at most, not 25"));
        assert!(said(&[3, 4], 0.0).contains("[height, width, channels, filters]"));
        assert!(said(&[3, 3, 64, 8], 0.0).contains("1 or 3 channels and not 64"));
        assert!(said(&[20, 20, 3, 8], 0.0).contains("has 1200 numbers"));
        assert!(said(&[2, 2, 3, 24], -1.0).contains("`epsilon` of at least 0"));
        whitening(0.0).check(&Shape::from([2, 2, 3, 24])).unwrap();
    }
}
