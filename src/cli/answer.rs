//! What is shown of the scores that a model gives an image: a class, several, those of pixels, or numbers.

use super::failure::Failure;
use serde_json::{Value, json};
use sphc::ir::{Figure, Phase, TargetKind};
use sphc::plan::{Plan, Training};

/// Numbers of a row for people.
const FEW: usize = 8;

/// What a model is asked for, and the shape of its answer.
pub(super) struct Asked<'a> {
    target: &'a TargetKind,
    names: &'a [String],
    /// Of an image's scores.
    shape: Vec<usize>,
    /// How many classes are shown.
    top: usize,
}

/// What is said of an image.
pub(super) struct Answer {
    pub(super) json: Value,
    /// Columns behind the image's name.
    pub(super) rows: Vec<Vec<String>>,
}

impl<'a> Asked<'a> {
    /// Fails where scores and classes do not fit.
    pub(super) fn new(plan: &Plan, training: &'a Training, names: &'a [String], top: usize) -> Result<Self, Failure> {
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
            TargetKind::Class | TargetKind::Labels => found == names.len(),
            TargetKind::Map(_) => shape.len() == 3 && shape[2] == names.len(),
            TargetKind::Numbers(_) => true,
        };
        if !fits {
            let cause = format!("the model gives {found} numbers for an image, and there are {} classes", names.len());
            return Err(Failure::new(cause, "only what tells classes apart can be asked for the class of an image"));
        }
        Ok(Asked { target: &training.target, names, shape, top })
    }

    /// Titles of the columns.
    pub(super) fn header(&self) -> &'static [&'static str] {
        match self.target {
            TargetKind::Class | TargetKind::Labels => &["image", "class", ">probability"],
            TargetKind::Map(_) => &["image", "class", ">pixels"],
            TargetKind::Numbers(_) => &["image", "numbers"],
        }
    }

    /// What the scores of an image say.
    pub(super) fn answer(&self, image: &str, scores: &[f64]) -> Result<Answer, Failure> {
        if !self.target.is_class() && !scores.iter().all(|it| it.is_finite()) {
            let cause = format!("the scores of `{image}` are not finite");
            return Err(Failure::new(cause, "`sphc eval` with these weights says where NaN or infinite numbers arise"));
        }
        match self.target {
            TargetKind::Class => self.class(image, scores),
            TargetKind::Labels => Ok(self.labels(image, scores)),
            TargetKind::Map(_) => Ok(self.pixels(image, scores)),
            TargetKind::Numbers(_) => Ok(self.numbers(image, scores)),
        }
    }

    /// Classes by their probability, the likeliest first.
    fn ordered(chances: &[f64]) -> Vec<usize> {
        let mut order: Vec<usize> = (0..chances.len()).collect();
        order.sort_by(|a, b| chances[*b].total_cmp(&chances[*a]));
        order
    }

    fn listed(&self, order: &[usize], chances: &[f64]) -> (Vec<Value>, Vec<Vec<String>>) {
        let json = order.iter().map(|it| json!({ "class": self.names[*it], "probability": chances[*it] })).collect();
        let row = |it: &usize| vec![self.names[*it].clone(), format!("{:.2} %", 100.0 * chances[*it])];
        (json, order.iter().map(row).collect())
    }

    fn class(&self, image: &str, scores: &[f64]) -> Result<Answer, Failure> {
        let chances = softmax(scores);
        if !chances.iter().all(|it| it.is_finite()) {
            let numbers: Vec<String> = scores.iter().map(f64::to_string).collect();
            let cause = format!("the scores of `{image}` have no probabilities: {}", numbers.join(", "));
            return Err(Failure::new(cause, "`sphc eval` with these weights says where NaN or infinite numbers arise"));
        }
        let mut order = Self::ordered(&chances);
        order.truncate(self.top);
        let (classes, rows) = self.listed(&order, &chances);
        let first = order[0];
        let json = json!({
            "image": image,
            "class": self.names[first],
            "probability": chances[first],
            "classes": classes,
        });
        Ok(Answer { json, rows })
    }

    /// Those that are likelier than not, by a logistic function of each score.
    fn labels(&self, image: &str, scores: &[f64]) -> Answer {
        let chances: Vec<f64> = scores.iter().map(|it| 1.0 / (1.0 + (-it).exp())).collect();
        let order = Self::ordered(&chances);
        let likely: Vec<usize> = order.iter().copied().filter(|it| 0.5 < chances[*it]).collect();
        let labels: Vec<&String> = likely.iter().map(|it| &self.names[*it]).collect();
        let json = json!({ "image": image, "labels": labels, "classes": self.listed(&order, &chances).0 });
        let mut rows = self.listed(&likely, &chances).1;
        if rows.is_empty() {
            rows.push(vec!["-".to_owned(), String::new()]);
        }
        Answer { json, rows }
    }

    /// The class of each pixel, the first of the largest scores.
    fn pixels(&self, image: &str, scores: &[f64]) -> Answer {
        let classes: Vec<usize> = scores.chunks_exact(self.names.len().max(1)).map(largest).collect();
        let rows: Vec<&[usize]> = classes.chunks(self.shape[1].max(1)).collect();
        let mut counts = vec![0usize; self.names.len()];
        classes.iter().for_each(|it| counts[*it] += 1);
        let mut order: Vec<usize> = (0..counts.len()).filter(|it| counts[*it] != 0).collect();
        order.sort_by_key(|it| std::cmp::Reverse(counts[*it]));
        let share = |it: &usize| counts[*it] as f64 / classes.len().max(1) as f64;
        let shares: Vec<Value> =
            order.iter().map(|it| json!({ "class": self.names[*it], "share": share(it) })).collect();
        let json = json!({ "image": image, "pixels": rows, "classes": shares, "names": self.names });
        let rows =
            order.iter().map(|it| vec![self.names[*it].clone(), format!("{:.2} %", 100.0 * share(it))]).collect();
        Answer { json, rows }
    }

    fn numbers(&self, image: &str, scores: &[f64]) -> Answer {
        let mut shown: Vec<String> = scores.iter().take(FEW).map(|it| format!("{it:.5}")).collect();
        if FEW < scores.len() {
            shown.push(format!("... ({} in all)", scores.len()));
        }
        let json = json!({ "image": image, "numbers": nested(scores, &self.shape) });
        Answer { json, rows: vec![vec![shown.join(", ")]] }
    }
}

/// Numbers as lists in lists.
fn nested(numbers: &[f64], shape: &[usize]) -> Value {
    match shape {
        [] | [_] => json!(numbers),
        [_, rest @ ..] => {
            let each = rest.iter().product::<usize>().max(1);
            numbers.chunks(each).map(|it| nested(it, rest)).collect()
        }
    }
}

fn largest(scores: &[f64]) -> usize {
    (1..scores.len()).fold(0, |best, it| if scores[it] > scores[best] { it } else { best })
}

fn softmax(scores: &[f64]) -> Vec<f64> {
    let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let powers: Vec<f64> = scores.iter().map(|it| (it - most).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.into_iter().map(|it| it / sum).collect()
}
