//! What the scores of an image say: a class, several, those of pixels, or numbers.

use super::Error;
use crate::ir::{Figure, Phase, TargetKind};
use crate::plan::{Plan, Training};

/// What the scores of an image say. Classes are numbers into the list of their names.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// One class: all of them with their probabilities, the likeliest first.
    Class(Vec<(usize, f64)>),
    /// Several classes, or none: all of them with their probabilities, the likeliest first. Those above one half hold.
    Labels(Vec<(usize, f64)>),
    /// A class for each pixel.
    Pixels {
        /// Row by row.
        classes: Vec<usize>,
        /// Height and width.
        size: [usize; 2],
    },
    /// Numbers.
    Numbers {
        /// In the order of the shape, the last extent fastest.
        values: Vec<f64>,
        /// Their extents.
        shape: Vec<usize>,
    },
}

/// The form of a model's answers.
#[derive(Clone, Debug)]
pub struct Form {
    target: TargetKind,
    /// Of an image's scores.
    shape: Vec<usize>,
    classes: usize,
}

impl Form {
    /// That of a plan, given the number of its classes. Fails where scores and classes do not fit.
    pub fn new(plan: &Plan, training: &Training, classes: usize) -> Result<Form, Error> {
        let buffer = plan.result(Phase::Evaluate, &Figure::Scores.into());
        let mut shape: Vec<usize> =
            buffer.map_or_else(Vec::new, |it| it.shape.dims().iter().skip(1).copied().collect());
        // Of one position it is a row.
        if let [1, 1, found] = shape[..]
            && !matches!(training.target, TargetKind::Map(_))
        {
            shape = vec![found];
        }
        let found: usize = shape.iter().product();
        let fits = match training.target {
            TargetKind::Class | TargetKind::Labels => found == classes,
            TargetKind::Map(_) => shape.len() == 3 && shape[2] == classes,
            TargetKind::Numbers(_) => true,
        };
        if !fits {
            let cause = format!("the model gives {found} numbers for an image, and there are {classes} classes");
            let remedy = "only what tells classes apart can be asked for the class of an image";
            return Err(Error::options(cause, remedy));
        }
        Ok(Form { target: training.target.clone(), shape, classes })
    }

    /// What the scores of an image say; `image` is what it is called in messages. Scores that are not finite say nothing.
    pub fn answer(&self, image: &str, scores: &[f64]) -> Result<Answer, Error> {
        let remedy = "`sphc eval` with these weights says where NaN or infinite numbers arise";
        if !self.target.is_class() && !scores.iter().all(|it| it.is_finite()) {
            return Err(Error::image(format!("the scores of `{image}` are not finite"), remedy));
        }
        match self.target {
            TargetKind::Class => {
                let chances = softmax(scores);
                if !chances.iter().all(|it| it.is_finite()) {
                    let numbers: Vec<String> = scores.iter().map(f64::to_string).collect();
                    let cause = format!("the scores of `{image}` have no probabilities: {}", numbers.join(", "));
                    return Err(Error::image(cause, remedy));
                }
                Ok(Answer::Class(ordered(chances)))
            }
            // A logistic function of each score.
            TargetKind::Labels => {
                Ok(Answer::Labels(ordered(scores.iter().map(|it| 1.0 / (1.0 + (-it).exp())).collect())))
            }
            TargetKind::Map(_) => Ok(Answer::Pixels {
                classes: scores.chunks_exact(self.classes.max(1)).map(largest).collect(),
                size: [self.shape[0], self.shape[1]],
            }),
            TargetKind::Numbers(_) => Ok(Answer::Numbers { values: scores.to_vec(), shape: self.shape.clone() }),
        }
    }
}

/// Classes by their probability, the likeliest first.
fn ordered(chances: Vec<f64>) -> Vec<(usize, f64)> {
    let mut res: Vec<(usize, f64)> = chances.into_iter().enumerate().collect();
    res.sort_by(|a, b| b.1.total_cmp(&a.1));
    res
}

/// The first of the largest scores.
fn largest(scores: &[f64]) -> usize {
    (1..scores.len()).fold(0, |best, it| if scores[it] > scores[best] { it } else { best })
}

fn softmax(scores: &[f64]) -> Vec<f64> {
    let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let powers: Vec<f64> = scores.iter().map(|it| (it - most).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.into_iter().map(|it| it / sum).collect()
}
