//! What weights mean: the classes and images that they were trained on. It travels in their file's metadata, for numbers
//! alone do not say which output is the cat.

use super::weights::Weights;
use crate::data::{Dataset, few};
use crate::ir::{DType, Extremes, ImageStep, Shape, TargetKind};
use crate::plan::Training;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The key of a file's metadata that holds it, as JSON.
pub(super) const KEY: &str = "trained_on";

/// What a model was trained on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Meaning {
    /// Names of the classes, in the order of the outputs.
    pub classes: Vec<String>,
    /// What an example was answered with, if not with a class.
    #[serde(default, skip_serializing_if = "TargetKind::is_class")]
    pub target: TargetKind,
    /// Extents of an example after the steps: height, width, channels of an image.
    pub image: Shape,
    /// What an example is made of, if not of bytes.
    #[serde(default = "bytes", skip_serializing_if = "is_bytes")]
    pub dtype: DType,
    /// What was done to each image before.
    pub steps: Vec<ImageStep>,
    /// The least and the largest number of the training examples, such as the darkest and the brightest of images.
    pub range: Extremes,
    /// What the training examples are known by, and those that they were looked at with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprints: Option<[String; 2]>,
    /// How many they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counts: Option<[usize; 2]>,
}

fn bytes() -> DType {
    DType::U8
}

fn is_bytes(it: &DType) -> bool {
    *it == DType::U8
}

impl Meaning {
    /// Of a training on this data set.
    pub fn of(data: &Dataset, training: &Training) -> Meaning {
        Meaning {
            classes: data.classes.clone(),
            target: data.target.clone(),
            image: training.image.clone(),
            dtype: training.dtype,
            steps: training.images.clone(),
            range: data.extremes(),
            fingerprints: Some(data.fingerprints()),
            counts: Some([data.train.len(), data.test.len()]),
        }
    }

    /// Why a training cannot go on with these examples: they are others than those it began with, whatever they are called.
    pub fn replaced(&self, now: &Meaning) -> Option<String> {
        let ([train, tested], [now_train, now_tested]) = (self.fingerprints.as_ref()?, now.fingerprints.as_ref()?);
        let what = match (train == now_train, tested == now_tested) {
            (true, true) => return None,
            (false, true) => "the training examples are",
            (true, false) => "the examples that it is evaluated on are",
            (false, false) => "its examples are",
        };
        Some(format!("{what} not those that the run was started with, though as many"))
    }

    /// Why a training cannot go on with these examples: they are another number than those it began with.
    pub fn resized(&self, now: &Meaning) -> Option<String> {
        let ([train, tested], [now_train, now_tested]) = (self.counts?, now.counts?);
        let told = |of: &str, then: usize, now: usize| {
            format!("it has {now} examples {of}, and had {then} when the run was started")
        };
        match (train == now_train, tested == now_tested) {
            (true, true) => None,
            (false, true) => Some(told("to train on", train, now_train)),
            (true, false) => Some(told("to look at meanwhile", tested, now_tested)),
            (false, false) => Some(format!(
                "it has {now_train} examples to train on and {now_tested} to look at meanwhile, and had {train} and {tested} when \
                 the run was started"
            )),
        }
        .map(|it| format!("the data set was changed: {it}"))
    }

    /// What the metadata of a file say; nothing in files of other programs and of versions before this was told.
    pub fn read(weights: &Weights) -> Result<Option<Meaning>, String> {
        Meaning::said(&weights.metadata)
    }

    fn said(metadata: &BTreeMap<String, String>) -> Result<Option<Meaning>, String> {
        let Some(text) = metadata.get(KEY) else { return Ok(None) };
        serde_json::from_str(text).map(Some).map_err(|it| format!("its metadata `{KEY}` cannot be understood: {it}"))
    }

    pub(super) fn text(&self) -> String {
        serde_json::to_string(self).expect("a meaning is plain data")
    }

    /// Why outputs of these weights are not those of a data set with other classes.
    pub fn conflict(&self, classes: &[String]) -> Option<String> {
        let same_numbers = self.classes.len() == classes.len() && (counted(&self.classes) || counted(classes));
        if self.classes == classes || same_numbers {
            return None;
        }
        let missing = |from: &[String], of: &[String]| -> Vec<String> {
            from.iter().filter(|it| !of.contains(it)).cloned().collect()
        };
        let (gone, new) = (missing(&self.classes, classes), missing(classes, &self.classes));
        let mut said = Vec::new();
        if !gone.is_empty() {
            said.push(format!("the data set lacks {}", few(&gone)));
        }
        if !new.is_empty() {
            said.push(format!("the weights know no {}", few(&new)));
        }
        let first = self.classes.iter().zip(classes).enumerate().find(|(_, (ours, theirs))| ours != theirs);
        if let Some((at, (ours, theirs))) = first {
            said.push(format!("class {at} is `{ours}` in the weights and `{theirs}` in the data set"));
        }
        let what = if gone.is_empty() && new.is_empty() { "the classes in another order" } else { "other classes" };
        Some(format!("it was trained on {what}: {}", said.join(", ")))
    }

    /// What makes results doubtful though the classes fit: a sentence each.
    pub fn doubts(&self, now: &Meaning) -> Vec<String> {
        let mut res = Vec::new();
        if self.classes != now.classes && counted(&self.classes) != counted(&now.classes) {
            res.push("the classes have names on one side only, so that their order cannot be compared".to_owned());
        }
        if self.target != now.target {
            let told = |it: &Meaning| it.target.describe(it.classes.len());
            res.push(format!("the weights were trained for targets that are {}, not {}", told(self), told(now)));
        }
        let size = |it: &Meaning| match it.dtype {
            DType::U8 => it.image.told(),
            dtype => format!("`{}{:?}`", dtype.word(), it.image.0),
        };
        if !self.image.fits(&now.image) || self.dtype != now.dtype {
            let noun = self.image.noun(self.dtype);
            res.push(format!("the weights were trained on {noun}s of {}, not of {}", size(self), size(now)));
        }
        if self.steps != now.steps {
            let text = |it: &Meaning| match it.steps.is_empty() {
                true => "no steps".to_owned(),
                false => it.steps.iter().map(ToString::to_string).collect::<Vec<_>>().join(" |> "),
            };
            res.push(format!("the weights were trained on images after {}, not after {}", text(self), text(now)));
        }
        let ids = DType::Int == self.dtype;
        let size = |it: &Meaning| if ids { 0.0 } else { it.range.least().abs().max(it.range.most().abs()) };
        let (ours, theirs) = (size(self), size(now));
        if 2.0 * ours < theirs || 2.0 * theirs < ours {
            let what = match self.image.noun(self.dtype) {
                "image" => "the brightest pixel is",
                _ => "the largest number is",
            };
            res.push(format!("{what} {theirs} here and was {ours} in the training: is the scale the same?"));
        }
        res
    }
}

/// Whether classes have no names but numbers.
fn counted(classes: &[String]) -> bool {
    classes.iter().enumerate().all(|(at, it)| *it == at.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meaning(classes: &[&str]) -> Meaning {
        let classes = classes.iter().map(|it| (*it).to_owned()).collect();
        Meaning {
            classes,
            target: TargetKind::Class,
            image: [8, 8, 1].into(),
            dtype: DType::U8,
            steps: vec![ImageStep::Pad(2)],
            range: Extremes([0.0, 16.0]),
            fingerprints: None,
            counts: None,
        }
    }

    #[test]
    fn what_differs_between_classes_is_told() {
        let said =
            |ours: &[&str], theirs: &[&str]| meaning(ours).conflict(&meaning(theirs).classes).unwrap_or_default();
        assert_eq!(said(&["cat", "dog"], &["cat", "dog"]), "");
        let found = said(&["cat", "dog"], &["dog", "cat"]);
        assert_eq!(
            found,
            "it was trained on the classes in another order: class 0 is `cat` in the weights and `dog` in the data set"
        );
        let found = said(&["cat", "cow", "dog"], &["cat", "dog", "fox"]);
        for it in ["lacks `cow`", "know no `fox`", "class 1 is `cow` in the weights and `dog` in the data set"] {
            assert!(found.contains(it), "{found}");
        }
        assert!(said(&["a", "b"], &["a", "b", "c"]).contains("know no `c`"));
        // Numbers are no names, but as many.
        assert_eq!(said(&["a", "b"], &["0", "1"]), "");
        assert!(!said(&["a", "b"], &["0", "1", "2"]).is_empty());
    }

    #[test]
    fn another_scale_or_form_is_doubtful() {
        let ours = meaning(&["a", "b"]);
        assert!(ours.doubts(&ours).is_empty());
        let image = Shape::from([9, 9, 1]);
        let theirs = Meaning { image, steps: Vec::new(), range: Extremes::BYTES, ..meaning(&["0", "1"]) };
        let found = ours.doubts(&theirs);
        assert_eq!(found.len(), 4, "{found:?}");
        assert!(found[3].contains("255 here and was 16"), "{found:?}");
        assert!(found[2].contains("after pad(2), not after no steps"), "{found:?}");
        let theirs = Meaning { dtype: DType::Real, range: Extremes([-90.0, 3.0]), ..ours.clone() };
        let found = ours.doubts(&theirs);
        assert!(found[0].contains("on images of 8x8x1, not of `float[8, 8, 1]`"), "{found:?}");
        assert!(theirs.doubts(&ours)[1].contains("the largest number is 16 here and was 90"), "{found:?}");
    }

    #[test]
    fn other_examples_of_the_same_names_are_told() {
        let of = |train: &str, tested: &str| Meaning {
            fingerprints: Some([train.to_owned(), tested.to_owned()]),
            ..meaning(&["a", "b"])
        };
        let said = |now: &Meaning| of("a", "b").replaced(now).unwrap_or_default();
        assert_eq!((said(&of("a", "b")), said(&meaning(&["a", "b"]))), (String::new(), String::new()));
        assert!(said(&of("x", "b")).starts_with("the training examples are not those"));
        assert!(said(&of("a", "x")).starts_with("the examples that it is evaluated on are not"));
        assert!(said(&of("x", "y")).starts_with("its examples are not"));
    }

    #[test]
    fn another_number_of_examples_is_told() {
        let of = |counts: [usize; 2]| Meaning { counts: Some(counts), ..meaning(&["a", "b"]) };
        let said = |now: &Meaning| of([9, 3]).resized(now).unwrap_or_default();
        assert_eq!((said(&of([9, 3])), said(&meaning(&["a", "b"]))), (String::new(), String::new()));
        assert!(said(&of([8, 3])).contains("it has 8 examples to train on, and had 9"));
        assert!(said(&of([9, 4])).contains("it has 4 examples to look at meanwhile, and had 3"));
        assert!(said(&of([8, 4])).contains("8 examples to train on and 4 to look at meanwhile, and had 9 and 3"));
    }

    #[test]
    fn it_is_read_as_it_was_written() {
        let mut metadata = BTreeMap::new();
        assert_eq!(Meaning::said(&metadata), Ok(None));
        let ours = meaning(&["naïve", "\u{1b}[31m\"x\""]);
        metadata.insert(KEY.into(), ours.text());
        assert_eq!(Meaning::said(&metadata), Ok(Some(ours)));
        metadata.insert(KEY.into(), "[]".into());
        assert!(Meaning::said(&metadata).is_err());
    }
}
