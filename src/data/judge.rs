//! What a data set that was read without an error is to be judged by all the same: what its manifest promises, and whether
//! every class can be learned and tested.

use super::answers::VOID;
use super::error::{count, extents, few};
use super::manifest::Manifest;
use super::{DataError, Dataset, Split};
use crate::ir::TargetKind;

/// Compares a data set with what its manifest says, apart from the size of images that steps have `changed`; warnings are
/// added to it.
pub(super) fn judge(data: &mut Dataset, manifest: &Manifest, changed: bool) -> Result<(), DataError> {
    if let Some(image) = manifest.image.filter(|it| !changed && *it != data.image) {
        return Err(DataError::Promised {
            name: data.name.clone(),
            found: format!("images of {}", extents(data.image)),
            expected: format!("images of {}", extents(image)),
            remedy: "correct `image` in the manifest, or give the data set it is for".into(),
        });
    }
    for (part, split, said) in
        [("training", &data.train, manifest.train_examples), ("test", &data.test, manifest.test_examples)]
    {
        if said != 0 && said != split.len() {
            let found = count(split.len(), &format!("{part} image"));
            data.warnings.push(format!("there are {found}, while `{}` usually has {said}", manifest.name));
        }
    }
    if data.target.is_class() {
        data.warnings.extend(classes(data));
    }
    data.warnings.extend(void(data));
    data.warnings.extend(pixels(data));
    Ok(())
}

/// How many examples each class has. Labels are below the number of classes.
fn counts(split: &Split, classes: usize) -> Vec<usize> {
    let mut res = vec![0; classes];
    for label in split.targets.labels() {
        if let Some(it) = usize::try_from(*label).ok().and_then(|it| res.get_mut(it)) {
            *it += 1;
        }
    }
    res
}

fn classes(data: &Dataset) -> Vec<String> {
    let all = data.classes.len();
    let (train, test) = (counts(&data.train, all), counts(&data.test, all));
    let named = |wanted: &dyn Fn(usize) -> bool| -> Vec<&String> {
        (0..all).filter(|it| wanted(*it)).map(|it| &data.classes[it]).collect()
    };
    let mut res = Vec::new();
    let mut say = |names: Vec<&String>, what: &str| {
        if !names.is_empty() {
            let has = if names.len() == 1 { "has" } else { "have" };
            res.push(format!("{} of {all} classes {has} {what}: {}", names.len(), few(&names)));
        }
    };
    say(named(&|it| train[it] == 0 && test[it] == 0), "no images");
    say(named(&|it| train[it] == 0 && test[it] != 0), "test images but none to train on");
    say(named(&|it| train[it] != 0 && test[it] == 0), "no test images");
    let counted = data.classes.iter().enumerate().all(|(at, it)| *it == at.to_string());
    let unused = |at: usize| train[at] == 0 && test[at] == 0;
    if counted && 1 < all && unused(0) && !(1..all).any(unused) {
        res.push(format!(
            "class 0 has no images, and labels are 1 to {}: if they count from 1, subtract 1 from each of them",
            all - 1
        ));
    }
    res
}

/// What is to be known of pixels without a class.
fn void(data: &Dataset) -> Option<String> {
    if !matches!(data.target, TargetKind::Map(_)) {
        return None;
    }
    let all = || [&data.train, &data.test].into_iter().flat_map(|it| it.targets.bytes());
    if usize::from(VOID) < data.classes.len() {
        let two = all().any(|it| *it == VOID) && all().all(|it| [0, VOID].contains(it));
        return two.then(|| "all pixels are 0 or 255: two classes are stored as 0 and 1, `labels // 255`".to_owned());
    }
    let (found, all) = (all().filter(|it| **it == VOID).count(), all().count());
    let share = 100.0 * found as f64 / all.max(1) as f64;
    (0 < found).then(|| {
        format!(
            "{share:.1} % of the pixels are {VOID}, which is no class: they do not count where a loss or a metric says `ignore: {VOID}`"
        )
    })
}

fn pixels(data: &Dataset) -> Vec<String> {
    let mut res = Vec::new();
    for (part, split) in [("training", &data.train), ("test", &data.test)] {
        let (least, most) = range(&split.images);
        if least == most {
            res.push(format!("every pixel of the {part} images is {least}"));
        } else if most == 1 {
            res.push(format!(
                "no pixel of the {part} images is above 1: were values from 0 to 1 made whole without `* 255`?"
            ));
        }
    }
    res
}

/// The darkest and the brightest byte.
pub(super) fn range(bytes: &[u8]) -> (u8, u8) {
    bytes.iter().fold((u8::MAX, u8::MIN), |(least, most), it| (least.min(*it), most.max(*it)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Format, Targets};

    fn set(train: &[i64], test: &[i64], classes: &[&str]) -> Dataset {
        let split = |labels: &[i64]| Split {
            images: (0..labels.len() as u8).map(|it| 9 * it).collect::<Vec<u8>>().into(),
            targets: Targets::Classes(labels.into()),
        };
        Dataset {
            name: "set".into(),
            image: [1, 1, 1],
            target: TargetKind::Class,
            classes: classes.iter().map(|it| (*it).into()).collect(),
            train: split(train),
            test: split(test),
            validation: None,
            warnings: Vec::new(),
        }
    }

    fn said(mut data: Dataset) -> String {
        judge(&mut data, &Manifest::bare("set".into(), Format::Npz), false).unwrap();
        data.warnings.join("\n")
    }

    #[test]
    fn classes_that_cannot_be_learned_or_tested_are_told() {
        assert_eq!(said(set(&[0, 1], &[1, 0], &["a", "b"])), "");
        assert_eq!(said(set(&[0, 1, 1], &[0, 0], &["a", "b"])), "1 of 2 classes has no test images: `b`");
        assert!(said(set(&[0, 0], &[0, 1], &["a", "b"])).contains("has test images but none to train on: `b`"));
        let found = said(set(&[0, 0], &[0, 0], &["a", "b", "c"]));
        assert_eq!(found, "2 of 3 classes have no images: `b`, `c`");
    }

    #[test]
    fn labels_that_count_from_1_are_told() {
        let found = said(set(&[1, 2, 3], &[3, 2, 1], &["0", "1", "2", "3"]));
        assert!(found.contains("class 0 has no images, and labels are 1 to 3"), "{found}");
        assert!(!said(set(&[1, 3], &[3, 1], &["0", "1", "2", "3"])).contains("labels are"));
    }

    #[test]
    fn what_a_manifest_promises_is_compared() {
        let manifest =
            Manifest { image: Some([2, 2, 1]), train_examples: 3, ..Manifest::bare("set".into(), Format::Npz) };
        let mut data = set(&[0, 1], &[1, 0], &["a", "b"]);
        let message = judge(&mut data, &manifest, false).unwrap_err().to_string();
        assert!(message.contains("images of 1x1 with 1 channel") && message.contains("2x2"), "{message}");
        judge(&mut data, &Manifest { image: Some([1, 1, 1]), ..manifest }, false).unwrap();
        assert_eq!(data.warnings, ["there are 2 training images, while `set` usually has 3"]);
    }

    #[test]
    fn images_without_contrast_are_told() {
        let mut data = set(&[0, 1], &[1, 0], &["a", "b"]);
        data.test.images = vec![7, 7].into();
        data.train.images = vec![1, 0].into();
        let found = said(data);
        assert!(found.contains("every pixel of the test images is 7"), "{found}");
        assert!(found.contains("no pixel of the training images is above 1"), "{found}");
    }
}
