//! Curves as a picture: test accuracy and training loss over iterations, of one run, of many, or of a
//! group of runs as their mean with an interval; and operators over the angle.

#[cfg(feature = "plots")]
mod draw;
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
