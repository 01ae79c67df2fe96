//! What a data set that was read without an error is to be judged by all the same: what its manifest promises, and whether
//! every class can be learned and tested.

use super::answers::VOID;
use super::error::{count, few, figure, plain, sizes};
use super::manifest::Manifest;
use super::{DataError, Dataset, Split};
use crate::ir::{DType, Extremes, ImageStep, TargetKind};

/// As many examples do not tell which numbers a data set uses.
const FEW: usize = 100;

/// Compares a data set with what its manifest says, apart from the size of images that `steps` have changed; warnings and what
/// is known of its numbers are added to it.
pub(super) fn judge(data: &mut Dataset, manifest: &Manifest, steps: &[ImageStep]) -> Result<(), DataError> {
    let promised = |found: String, expected: String, key: &str| DataError::Promised {
        name: data.name.clone(),
        found,
        expected,
        remedy: format!("correct `{key}` in the manifest, or give the data set it is for"),
    };
    let (noun, element) = (data.noun(), data.element());
    if let Some(image) = manifest.image.as_ref().filter(|it| steps.is_empty() && **it != data.image) {
        let told = |it| format!("{noun}s of {}", sizes(it));
        return Err(promised(told(&data.image), told(image), "image"));
    }
    let parts = [Some(&data.train), Some(&data.test), data.validation.as_ref()];
    let found = parts.iter().flatten().fold(Extremes::NONE, |all, it| all.and(it.images.seen(element).range));
    if let Some(said) = manifest.range {
        let border = steps.iter().any(|it| matches!(it, ImageStep::Pad(_)));
        if !found.within(if border { said.with(0.0).0 } else { said.0 }) {
            return Err(promised(format!("numbers from {found}"), format!("{said}"), "range"));
        }
    }
    let of_training = data.extremes();
    data.range = match (manifest.range, data.dtype) {
        (Some(said), _) => Some(said),
        // Ids are looked up whatever their number.
        (None, DType::Int) => Some(found),
        (None, _) if data.train.len() <= FEW => None,
        (None, DType::U8) => Some(of_training.with(0.0)).filter(|it| it.most() != 0.0),
        (None, DType::U16 | DType::Real | DType::Bf16) => Some(of_training),
    };
    for (part, split, said) in
        [("training", &data.train, manifest.train_examples), ("test", &data.test, manifest.test_examples)]
    {
        if said != 0 && said != split.len() {
            let found = count(split.len(), &format!("{part} {noun}"));
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
    if all == 1 {
        return vec![format!("it has one class, `{}`: there is nothing to tell apart", plain(&data.classes[0]))];
    }
    let noun = data.noun();
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
    say(named(&|it| train[it] == 0 && test[it] == 0), &format!("no {noun}s"));
    say(named(&|it| train[it] == 0 && test[it] != 0), &format!("test {noun}s but none to train on"));
    say(named(&|it| train[it] != 0 && test[it] == 0), &format!("no test {noun}s"));
    let counted = data.classes.iter().enumerate().all(|(at, it)| *it == at.to_string());
    let unused = |at: usize| train[at] == 0 && test[at] == 0;
    if counted && 1 < all && unused(0) && !(1..all).any(unused) {
        res.push(format!(
            "class 0 has no {noun}s, and labels are 1 to {}: if they count from 1, subtract 1 from each of them",
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

/// The sum of the squares of some hundred larger numbers is infinite in single precision.
const LARGE: f64 = 1e18;

fn pixels(data: &Dataset) -> Vec<String> {
    let mut res = Vec::new();
    let noun = data.noun();
    let pixel = if noun == "image" { "pixel" } else { "number" };
    for (part, split) in [("training", &data.train), ("test", &data.test)] {
        let Extremes([least, most]) = split.images.seen(data.element()).range;
        let largest = least.abs().max(most.abs());
        if !data.double && LARGE < largest {
            res.push(format!(
                "the {part} {noun}s have numbers up to {largest:.2e}: squares of such, and norms by them, are beyond single precision, where a \
                 response becomes 0; scale them",
            ));
        }
        if least == most {
            res.push(format!("every {pixel} of the {part} {noun}s is {}", figure(least)));
        } else if noun == "image" && most == 1.0 {
            res.push(format!(
                "no pixel of the {part} images is above 1: were values from 0 to 1 made whole without `* 255`?"
            ));
        }
    }
    res
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Format, Targets};
    use crate::ir::Shape;

    fn set(train: &[i64], test: &[i64], classes: &[&str]) -> Dataset {
        let split = |labels: &[i64]| Split {
            images: (0..labels.len() as u8).map(|it| 9 * it).collect::<Vec<u8>>().into(),
            targets: Targets::Classes(labels.into()),
        };
        Dataset {
            name: "set".into(),
            image: Shape::from([1, 1, 1]),
            dtype: DType::U8,
            double: false,
            target: TargetKind::Class,
            classes: classes.iter().map(|it| (*it).into()).collect(),
            train: split(train),
            test: split(test),
            validation: None,
            range: None,
            warnings: Vec::new(),
        }
    }

    fn said(mut data: Dataset) -> String {
        judge(&mut data, &Manifest::bare("set".into(), Format::Npz), &[]).unwrap();
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
            Manifest { image: Some([2, 2, 1].into()), train_examples: 3, ..Manifest::bare("set".into(), Format::Npz) };
        let mut data = set(&[0, 1], &[1, 0], &["a", "b"]);
        let message = judge(&mut data, &manifest, &[]).unwrap_err().to_string();
        assert!(message.contains("images of 1x1 with 1 channel") && message.contains("2x2"), "{message}");
        judge(&mut data, &Manifest { image: Some([1, 1, 1].into()), ..manifest }, &[]).unwrap();
        assert_eq!(data.warnings, ["there are 2 training images, while `set` usually has 3"]);
    }

    #[test]
    fn a_range_that_the_data_contradicts_is_no_range() {
        let of = |range| Manifest { range: Some(Extremes(range)), ..Manifest::bare("digits".into(), Format::Npz) };
        let mut data = set(&[0, 1, 0], &[1, 0], &["a", "b"]);
        let message = judge(&mut data, &of([0.0, 16.0]), &[]).unwrap_err().to_string();
        assert!(message.contains("has numbers from 0 to 18, and its manifest says 0 to 16"), "{message}");
        assert!(message.contains("correct `range` in the manifest"), "{message}");
        judge(&mut data, &of([0.0, 18.0]), &[]).unwrap();
        assert_eq!(data.range, Some(Extremes([0.0, 18.0])));
        // A border is black, whatever else there is.
        data.train.images = vec![0, 20, 21].into();
        assert!(judge(&mut data, &of([0.0, 20.0]), &[ImageStep::Pad(1)]).is_err());
        data.test.images = vec![30, 21].into();
        judge(&mut data, &of([20.0, 30.0]), &[ImageStep::Pad(1)]).unwrap();
        assert!(judge(&mut data, &of([20.0, 30.0]), &[]).is_err());
    }

    #[test]
    fn a_single_class_is_told() {
        assert_eq!(said(set(&[0, 0], &[0, 0], &["cat"])), "it has one class, `cat`: there is nothing to tell apart");
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

    #[test]
    fn numbers_whose_squares_are_too_large_are_told() {
        let of = |largest: f32| {
            let numbers =
                |count: usize| (0..count).flat_map(|it| (it as f32 * -largest).to_ne_bytes()).collect::<Vec<u8>>();
            let mut data = set(&[0, 1, 0], &[1, 0], &["a", "b"]);
            data = Dataset { dtype: DType::Real, image: Shape::from([1]), ..data };
            (data.train.images, data.test.images) = (numbers(3).into(), numbers(2).into());
            data
        };
        let found = said(of(1e20));
        assert!(
            found.contains("training examples have numbers up to 2.00e20") && found.contains("scale them"),
            "{found}"
        );
        assert!(!said(of(1e17)).contains("scale them"));
    }
}
