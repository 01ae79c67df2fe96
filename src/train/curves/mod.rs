//! Curves as a picture: test accuracy and training loss over iterations, of one run, of many, or of a
//! group of runs as their mean with an interval; and operators over the angle.

#[cfg(feature = "plots")]
mod draw;
pub mod found;
pub mod operators;
pub mod reference;
mod statistics;

#[cfg(feature = "plots")]
pub use draw::{Images, Layers, Operators, Picture, Runs, Scatter};
pub use statistics::Estimate;

use super::metrics::{Line, Tested};

/// A point of a curve: one number, or what is known of it from several runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Updates done.
    pub iteration: u64,
    /// Test accuracy, 0 to 1.
    pub accuracy: Estimate,
}

/// What is drawn in one colour.
#[derive(Clone, Debug)]
pub struct Curve {
    /// For the legend.
    pub name: String,
    /// Its data set, where it is known.
    pub data: String,
    /// Whether it was tested with images for validation.
    pub validates: bool,
    /// Runs that it stands for; 0 for a published result.
    pub runs: usize,
    /// Evaluations in order.
    pub tested: Vec<Point>,
    /// The best evaluation: of a group, the mean of each run's best, without an iteration.
    pub best: Option<(Option<u64>, Estimate)>,
    /// The last evaluation.
    pub last: Option<Estimate>,
    /// Iteration and loss of logged batches: of a group, of its first run.
    pub losses: Vec<(f64, f64)>,
}

/// The angles between the patches and the filters of a layer.
#[derive(Clone, Debug)]
pub struct LayerAngles {
    /// The layer.
    pub name: String,
    /// What is said beside.
    pub facts: String,
    /// How many angles are in each part of 0 to 180 degrees, all parts being as wide.
    pub counts: Vec<u64>,
}

/// An image with a line below.
#[derive(Clone, Debug)]
pub struct Tile {
    /// The line.
    pub caption: String,
    /// Pixels of a row, at least one.
    pub width: usize,
    /// Red, green and blue, row by row.
    pub pixels: Vec<[u8; 3]>,
}

impl Tile {
    /// Whether a tensor is filters that can be seen, `[height, width, channels, filters]`: of one channel in grey, of three in their
    /// colours, and of more than one pixel.
    pub fn is_filter(extents: &[usize]) -> bool {
        matches!(extents, [height, width, 1 | 3, _] if 2 <= height * width)
    }

    /// The filters of such a tensor, in row-major order. Zero is the middle grey, and what is farthest from it in a filter black or
    /// white. Nothing of any other.
    pub fn filters(extents: &[usize], numbers: &[f64]) -> Option<Vec<Tile>> {
        let &[_, width, channels, count] = extents else { return None };
        if !Tile::is_filter(extents) {
            return None;
        }
        let one = |filter: usize| {
            let values: Vec<f64> = numbers.iter().skip(filter).step_by(count).copied().collect();
            let most = values.iter().fold(0.0, |most: f64, it| most.max(it.abs()));
            let byte = |it: f64| (127.5 + 127.5 * if most == 0.0 { 0.0 } else { it / most }).round() as u8;
            let pixel = |it: &[f64]| match it {
                [red, green, blue] => [*red, *green, *blue].map(byte),
                other => [byte(other.first().copied().unwrap_or(0.0)); 3],
            };
            Tile { caption: filter.to_string(), width, pixels: values.chunks_exact(channels).map(pixel).collect() }
        };
        Some((0..count).map(one).collect())
    }

    /// Rows of pixels.
    pub fn height(&self) -> usize {
        self.pixels.len() / self.width
    }
}

/// Examples in the plane.
#[derive(Clone, Debug)]
pub struct Points {
    /// What they are.
    pub title: String,
    /// Names of the classes.
    pub classes: Vec<String>,
    /// Where each is.
    pub places: Vec<PlacedAt>,
}

/// An example in the plane.
#[derive(Clone, Copy, Debug)]
pub struct PlacedAt {
    /// Its two numbers.
    pub at: [f64; 2],
    /// Its class.
    pub class: usize,
}

/// The best evaluation of a run, the earliest of equals.
pub fn best_of(lines: &[Line]) -> Option<Tested> {
    tested(lines).reduce(|a, b| if b.is_better(&a) { b } else { a })
}

/// The evaluations of a run.
pub fn tested(lines: &[Line]) -> impl DoubleEndedIterator<Item = Tested> {
    lines.iter().filter_map(|it| if let Line::Tested(it) = it { Some(it.clone()) } else { None })
}

impl Curve {
    /// Of one run.
    pub fn of_run(name: &str, lines: &[Line]) -> Curve {
        let point = |it: Tested| Some(Point { iteration: it.iteration, accuracy: Estimate::of(&[it.test_accuracy?]) });
        Curve {
            name: name.into(),
            data: String::new(),
            validates: false,
            runs: 1,
            tested: tested(lines).filter_map(point).collect(),
            best: best_of(lines).and_then(|it| Some((Some(it.iteration), Estimate::of(&[it.test_accuracy?])))),
            last: tested(lines).next_back().and_then(|it| Some(Estimate::of(&[it.test_accuracy?]))),
            losses: losses(lines),
        }
    }

    /// Of runs that differ in their seeds: the mean at every iteration that all of them evaluated at.
    pub fn of_group(name: &str, runs: &[Vec<Line>]) -> Curve {
        let Some((first, rest)) = runs.split_first() else {
            return Curve { runs: 0, ..Curve::of_run(name, &[]) };
        };
        if rest.is_empty() {
            return Curve::of_run(name, first);
        }
        let at = |iteration: u64| -> Option<Vec<f64>> {
            let one = |lines: &Vec<Line>| tested(lines).find(|it| it.iteration == iteration);
            runs.iter().map(|it| one(it).and_then(|it| it.test_accuracy)).collect()
        };
        let point = |it: Tested| Some(Point { iteration: it.iteration, accuracy: Estimate::of(&at(it.iteration)?) });
        let all = |one: &dyn Fn(&[Line]) -> Option<Tested>| -> Option<Estimate> {
            let values: Option<Vec<f64>> = runs.iter().map(|it| one(it).and_then(|it| it.test_accuracy)).collect();
            values.map(|it| Estimate::of(&it))
        };
        Curve {
            name: name.into(),
            data: String::new(),
            validates: false,
            runs: runs.len(),
            tested: tested(first).filter_map(point).collect(),
            best: all(&best_of).map(|it| (None, it)),
            last: all(&|it| tested(it).next_back()),
            losses: losses(first),
        }
    }

    /// Whether there is nothing to be seen.
    pub fn is_empty(&self) -> bool {
        self.tested.is_empty() && self.losses.len() < 2 && self.best.is_none()
    }
}

fn losses(lines: &[Line]) -> Vec<(f64, f64)> {
    let finite = |it: &Line| match it {
        Line::Losses(it) if it.loss.is_finite() => Some((it.iteration as f64, it.loss)),
        Line::Losses(_) | Line::Tested(_) => None,
    };
    lines.iter().filter_map(finite).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_is_grey_and_the_farthest_black_or_white() {
        // Two filters of two pixels, interleaved: 0 and -2, 1 and 0.5.
        let found = Tile::filters(&[1, 2, 1, 2], &[0.0, 1.0, -2.0, 0.5]).unwrap();
        assert_eq!(found[0].pixels, [[128; 3], [0; 3]]);
        assert_eq!(found[1].pixels, [[255; 3], [191; 3]]);
        let coloured = Tile::filters(&[1, 2, 3, 1], &[4.0, 0.0, -4.0, 0.0, 0.0, 0.0]).unwrap();
        assert_eq!(coloured[0].pixels, [[255, 128, 0], [128; 3]]);
        assert!(
            Tile::filters(&[3, 3, 16, 8], &[0.0; 1152]).is_none() && Tile::filters(&[1, 1, 3, 8], &[0.0; 24]).is_none()
        );
        assert_eq!(Tile::filters(&[2, 1, 1, 1], &[0.0, 0.0]).unwrap()[0].pixels, [[128; 3]; 2]);
    }
}
