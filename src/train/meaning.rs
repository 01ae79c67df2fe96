//! What weights mean: the classes and images that they were trained on. It travels in their file's metadata, for numbers
//! alone do not say which output is the cat.

use super::weights::Weights;
use crate::data::{Dataset, few};
use crate::ir::{ImageStep, TargetKind};
use crate::plan::Training;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The key of a file's metadata that holds it, as JSON.
pub(super) const KEY: &str = "trained_on";

/// What a model was trained on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meaning {
    /// Names of the classes, in the order of the outputs.
    pub classes: Vec<String>,
    /// What an example was answered with, if not with a class.
    #[serde(default, skip_serializing_if = "TargetKind::is_class")]
    pub target: TargetKind,
    /// Height, width, channels of an image, after the steps.
    pub image: [usize; 3],
    /// What was done to each image before.
    pub steps: Vec<ImageStep>,
    /// The darkest and the brightest value of the training images.
    pub range: [u8; 2],
}

impl Meaning {
    /// Of a training on this data set.
    pub fn of(data: &Dataset, training: &Training) -> Meaning {
        Meaning {
            classes: data.classes.clone(),
            target: data.target.clone(),
            image: training.image,
            steps: training.images.clone(),
            range: data.range(),
        }
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
        let size = |it: &Meaning| format!("{}x{}x{}", it.image[0], it.image[1], it.image[2]);
        if self.image != now.image {
            res.push(format!("the weights were trained on images of {}, not of {}", size(self), size(now)));
        }
        if self.steps != now.steps {
            let text = |it: &Meaning| match it.steps.is_empty() {
                true => "no steps".to_owned(),
                false => it.steps.iter().map(ToString::to_string).collect::<Vec<_>>().join(" |> "),
            };
            res.push(format!("the weights were trained on images after {}, not after {}", text(self), text(now)));
        }
        let (ours, theirs) = (u32::from(self.range[1]), u32::from(now.range[1]));
        if 2 * ours < theirs || 2 * theirs < ours {
            res.push(format!(
                "the brightest pixel is {theirs} here and was {ours} in the training: is the scale the same?"
            ));
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
        Meaning { classes, target: TargetKind::Class, image: [8, 8, 1], steps: vec![ImageStep::Pad(2)], range: [0, 16] }
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
        let theirs = Meaning { image: [9, 9, 1], steps: Vec::new(), range: [0, 255], ..meaning(&["0", "1"]) };
        let found = ours.doubts(&theirs);
        assert_eq!(found.len(), 4, "{found:?}");
        assert!(found[3].contains("255 here and was 16"), "{found:?}");
        assert!(found[2].contains("after pad(2), not after no steps"), "{found:?}");
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
