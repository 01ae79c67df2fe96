//! Results: what a phase gives back, each under a key. In plans, dumps and the log a key is a word.

use super::Mode;
use super::words::words;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;

words! {
    /// Results that the compiler makes and a training reads.
    pub enum Figure {
        /// Of a step: the loss of the data.
        Fit: "fit",
        /// Of a step: penalties on numbers.
        Reg: "reg",
        /// Of a step: penalties on how filters lie to each other.
        Orth: "orth",
        /// Of a step: the sum of the three.
        Loss: "loss",
        /// Of a step: the rate of the first optimizer.
        Rate: "rate",
        /// Of a step: the share classified right.
        Accuracy: "accuracy",
        /// Of an evaluation: the loss of each example.
        Losses: "losses",
        /// Of an evaluation: 1 for each example classified right, else 0.
        Correct: "correct",
        /// Of an evaluation: what the model makes of each example.
        Scores: "scores",
    }
}

impl Figure {
    /// Those of every step.
    pub const STEP: [Figure; 5] = [Figure::Fit, Figure::Reg, Figure::Orth, Figure::Loss, Figure::Rate];
}

/// The key of a result.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum ResultKey {
    /// What the compiler makes.
    Figure(Figure),
    /// A metric of the recipe: its mean over the batch of a step, or for each example of an evaluation.
    Metric(String),
    /// What `verify` or a test wants to see.
    Named(String),
}

/// The metric that is told where outputs are numbers of classes and nothing else is said.
pub const ACCURACY: &str = "accuracy";

/// Starts the words of metrics.
const METRIC: &str = "metric/";

/// The key under which an evaluation tells a layer or a named tensor.
pub fn feature(name: &str) -> ResultKey {
    ResultKey::Named(format!("feature/{name}"))
}

/// The gradient in the parameter of a path.
pub fn gradient(path: &str) -> ResultKey {
    ResultKey::Named(format!("gradient/{path}"))
}

words! {
    /// What an evaluation can tell of a layer's filters and patches, beside what the layer gives.
    pub enum Geometric {
        /// The layer's filters, the last axis being theirs.
        Filters: "filters",
        /// The sum of squares of each patch, of each group of channels.
        PatchSquares: "patch_squares",
        /// The angle between each patch and each filter, in radians.
        Angles: "angles",
    }
}

impl Geometric {
    /// The name under which that of a layer is told, which is no name of a tensor.
    pub fn under(self, layer: &str) -> String {
        format!("{layer}:{}", self.word())
    }
}

/// Names in the log beside results.
const BESIDE: [&str; 2] = ["iteration", "seconds"];

impl ResultKey {
    /// The key of a metric in the phase of a mode.
    pub fn metric(name: &str, mode: Mode) -> ResultKey {
        match (name, mode) {
            (ACCURACY, Mode::Train) => Figure::Accuracy.into(),
            (ACCURACY, Mode::Evaluate) => Figure::Correct.into(),
            (name, _) => ResultKey::Metric(name.to_owned()),
        }
    }

    /// Its word.
    pub fn word(&self) -> Cow<'_, str> {
        match self {
            ResultKey::Figure(it) => it.word().into(),
            ResultKey::Metric(name) => format!("{METRIC}{name}").into(),
            ResultKey::Named(name) => name.into(),
        }
    }
}

/// Whether the log has something that is no metric by a name.
pub fn is_logged(name: &str) -> bool {
    BESIDE.contains(&name) || Figure::STEP.iter().any(|it| it.word() == name)
}

impl fmt::Display for ResultKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.word())
    }
}

impl From<Figure> for ResultKey {
    fn from(it: Figure) -> ResultKey {
        ResultKey::Figure(it)
    }
}

impl From<&ResultKey> for ResultKey {
    fn from(it: &ResultKey) -> ResultKey {
        it.clone()
    }
}

impl<T: AsRef<str> + ?Sized> From<&T> for ResultKey {
    fn from(word: &T) -> ResultKey {
        let word = word.as_ref();
        match (Figure::of(word), word.strip_prefix(METRIC)) {
            (Some(it), _) => ResultKey::Figure(it),
            (None, Some(name)) => ResultKey::Metric(name.to_owned()),
            (None, None) => ResultKey::Named(word.to_owned()),
        }
    }
}

impl From<String> for ResultKey {
    fn from(word: String) -> ResultKey {
        word.as_str().into()
    }
}

impl From<ResultKey> for String {
    fn from(it: ResultKey) -> String {
        it.word().into_owned()
    }
}

/// As their words: what is made of results is made in this order.
impl Ord for ResultKey {
    fn cmp(&self, other: &ResultKey) -> Ordering {
        self.word().cmp(&other.word())
    }
}

impl PartialOrd for ResultKey {
    fn partial_cmp(&self, other: &ResultKey) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_its_word_and_comes_before_others_as_that() {
        let words = ["accuracy", "fit", "grad/x", "loss", "losses", "metric/fit", "metric/top", "scores"];
        let keys: Vec<ResultKey> = words.iter().map(|it| ResultKey::from(*it)).collect();
        assert!(keys.is_sorted() && keys.iter().zip(words).all(|(key, word)| key.to_string() == word));
        assert_eq!(keys[1], Figure::Fit.into());
        assert_eq!(keys[2], ResultKey::Named("grad/x".into()));
        assert_eq!(keys[5], ResultKey::Metric("fit".into()));
        assert_eq!(ResultKey::metric(ACCURACY, Mode::Evaluate), Figure::Correct.into());
        assert_eq!(ACCURACY, Figure::Accuracy.word());
        assert!(is_logged("rate") && is_logged("seconds") && !is_logged("accuracy") && !is_logged("losses"));
    }
}
