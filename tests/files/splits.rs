//! Which images a data set is trained, chosen and tested with.

use crate::runs::cli::{MODEL, Place, errors};
use image::{GrayImage, Luma};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;

fn evaluated(place: &Place, words: &str) -> Value {
    serde_json::from_str(&place.succeeds(&format!("eval tiny.sph {words} --format json"))).unwrap()
}

#[test]
fn an_evaluation_looks_at_the_images_that_it_is_told_to() {
    let place = Place::new();
    let text = MODEL.replace("batch      16", "validate   0.25\n    batch      16");
    fs::write(place.path("tiny.sph"), &text).unwrap();
    place.succeeds("train tiny.sph --run r");
    let weights = "--weights r/checkpoints/step-00000012.safetensors";
    // What the training said at its end was of the validation images.
    let log = fs::read_to_string(place.path("r/metrics.jsonl")).unwrap();
    let told: Value = serde_json::from_str(log.lines().rfind(|it| it.contains("test_loss")).unwrap()).unwrap();
    let found = evaluated(&place, &format!("{weights} --split validation"));
    assert_eq!((&found["test_loss"], &found["test_accuracy"]), (&told["test_loss"], &told["test_accuracy"]));
    assert_eq!((&found["examples"], &found["split"]), (&359.into(), &"validation".into()));
    let found = evaluated(&place, &format!("{weights} --split train"));
    assert_eq!((&found["examples"], &found["split"]), (&1078.into(), &"training".into()));
    let found = evaluated(&place, weights);
    assert_eq!((&found["examples"], &found["split"]), (&360.into(), &Value::Null));
    let said = place.succeeds(&format!("eval tiny.sph {weights} --split validation"));
    assert!(said.starts_with("validation accuracy ") && said.contains("on 359 images"), "{said}");

    let output = place.sphc(&format!("eval tiny.sph {weights} --split val"));
    assert_eq!(output.status.code(), Some(2));
    assert!(errors(&output).contains("validation"), "{}", errors(&output));
    fs::write(place.path("plain.sph"), MODEL).unwrap();
    let output = place.sphc(&format!("eval plain.sph {weights} --split validation"));
    assert_eq!(output.status.code(), Some(1));
    assert!(errors(&output).contains("the recipe keeps no images for validation"), "{}", errors(&output));
}

/// Classes that lie in `train` are parted as those that lie by themselves are.
#[test]
fn a_folder_for_training_alone_is_parted() {
    let place = Place::new();
    for (class, brightness) in [("cat", 10), ("dog", 200)] {
        for at in 0..10 {
            let folder = place.path("pets/train").join(class);
            fs::create_dir_all(&folder).unwrap();
            GrayImage::from_pixel(8, 8, Luma([brightness + at])).save(folder.join(format!("{at}.png"))).unwrap();
        }
    }
    let output = place.sphc("train tiny.sph --data pets --run r");
    let said = errors(&output);
    assert!(said.contains("pets` has no folder `test`") && said.contains("`split: 0.2`"), "{said}");
    let manifest = |path: &str| {
        fs::write(place.path("m.yaml"), format!("name: m\nformat: images\npath: {path}\nsplit: 0.2\n")).unwrap();
        place.succeeds("train tiny.sph --data m.yaml --run r");
        let log = fs::read(place.path("r/checkpoints/step-00000012.safetensors")).unwrap();
        fs::remove_dir_all(place.path("r")).unwrap();
        log
    };
    let of_train = manifest("pets");
    assert_eq!(of_train, manifest("pets/train"));
    // What lies beside is told; with another part there, nothing is to be parted.
    fs::create_dir_all(place.path("pets/more")).unwrap();
    let output = place.sphc("train tiny.sph --data m.yaml --run r");
    assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
    fs::write(place.path("m.yaml"), "name: m\nformat: images\npath: pets\nsplit: 0.2\n").unwrap();
    let told = errors(&place.sphc("data verify m.yaml"));
    assert!(told.contains("`more`"), "{told}");
    fs::create_dir_all(place.path("pets/test/cat")).unwrap();
    let output = place.sphc("data verify m.yaml");
    assert!(errors(&output).contains("and the manifest says `split`"), "{}", errors(&output));
}

/// A training looks at the data set's own images for validation, and leaves those for tests to `eval`.
#[test]
fn a_folder_of_images_for_validation_is_looked_at_while_training() {
    let place = Place::new();
    for (part, count) in [("train", 8), ("test", 5), ("val", 3)] {
        for class in ["cat", "dog"] {
            let folder = place.path("pets").join(part).join(class);
            fs::create_dir_all(&folder).unwrap();
            for at in 0..count {
                GrayImage::from_pixel(8, 8, Luma([20 * at + count])).save(folder.join(format!("{at}.png"))).unwrap();
            }
        }
    }
    let output = place.sphc("train tiny.sph --data pets --run r");
    assert!(errors(&output).contains("(16 training and 6 validation images)"), "{}", errors(&output));
    let weights = "--data pets --weights r/checkpoints/step-00000012.safetensors";
    let log = fs::read_to_string(place.path("r/metrics.jsonl")).unwrap();
    let told: Value = serde_json::from_str(log.lines().rfind(|it| it.contains("test_loss")).unwrap()).unwrap();
    let found = evaluated(&place, &format!("{weights} --split validation"));
    assert_eq!((&found["examples"], &found["test_loss"]), (&6.into(), &told["test_loss"]));
    assert_eq!(evaluated(&place, weights)["examples"], 10);
    assert_eq!(evaluated(&place, &format!("{weights} --split train"))["examples"], 16);

    // A plan is made for what a training looks at.
    place.succeeds("compile tiny.sph --data pets -o plan");
    place.succeeds("train plan/plan.yaml --data pets --run p");
    assert_eq!(place.final_checkpoint("p"), place.final_checkpoint("r"));
    let output = place.sphc(&format!("eval plan/plan.yaml {weights}"));
    assert!(errors(&output).contains("made for a validation set"), "{}", errors(&output));

    // Two kinds of validation are one too many.
    fs::write(place.path("both.sph"), MODEL.replace("batch      16", "validate   0.25\n    batch      16")).unwrap();
    let output = place.sphc("train both.sph --data pets --run b");
    assert_eq!(output.status.code(), Some(1));
    assert!(errors(&output).contains("`pets` has its own") && errors(&output).contains("remove its folder `val`"));
}

/// Classes with so many 8x8 pictures each, every one of another value.
fn classes(place: &Place, counts: &[(&str, u8)]) {
    for (class, count) in counts {
        let folder = place.path(&format!("pets/{class}"));
        fs::create_dir_all(&folder).unwrap();
        for at in 0..*count {
            GrayImage::from_pixel(8, 8, Luma([at + 1])).save(folder.join(format!("{at:03}.png"))).unwrap();
        }
    }
}

#[test]
fn a_folder_of_classes_is_parted_by_the_seed() {
    let place = Place::new();
    classes(&place, &[("cat", 20), ("cow", 1), ("dog", 11)]);
    let manifest = |more: &str| {
        fs::write(place.path("pets.yaml"), format!("name: pets\nformat: images\npath: pets\n{more}")).unwrap();
        let (found, at) = sphc::data::locate(place.path("pets.yaml").to_str().unwrap(), None).unwrap();
        sphc::data::read(&found, &at, &[]).unwrap()
    };
    let data = manifest("split: 0.25\n");
    assert_eq!(data.classes, ["cat", "cow", "dog"]);
    let of = |it: &sphc::data::Split, class: i64| {
        let labels = it.targets.labels().iter();
        let pixels = it.images.chunks_exact(64).map(|it| it[0]);
        labels.zip(pixels).filter(|it| *it.0 == class).map(|it| it.1).collect::<BTreeSet<u8>>()
    };
    for (class, all, tests) in [(0, 20, 5), (1, 1, 0), (2, 11, 3)] {
        let (train, test) = (of(&data.train, class), of(&data.test, class));
        assert_eq!(test.len(), tests, "class {class}");
        assert!(train.is_disjoint(&test));
        assert_eq!(train.union(&test).copied().collect::<BTreeSet<u8>>(), (1..=all).collect());
    }
    assert!(data.warnings.iter().any(|it| it.contains("no test images: `cow`")), "{:?}", data.warnings);
    let again = manifest("split: 0.25\nsplit_seed: 0\n");
    assert_eq!(again, data);
    assert_ne!(of(&manifest("split: 0.25\nsplit_seed: 1\n").test, 0), of(&data.test, 0));

    // A model takes it, and every command that looks at the data.
    let text = MODEL.replace("digits", "\"pets.yaml\"").replace("/ 8", "/ 20");
    fs::write(place.path("tiny.sph"), text).unwrap();
    place.succeeds("check tiny.sph");
    place.succeeds("train tiny.sph --run r");
    let found = evaluated(&place, "--weights r/checkpoints/step-00000012.safetensors --split train");
    assert_eq!(found["examples"], 15 + 1 + 8);
}

#[test]
fn what_cannot_be_parted_is_told() {
    let place = Place::new();
    classes(&place, &[("cat", 4), ("dog", 4)]);
    let fails = |text: &str, expected: &[&str]| {
        fs::write(place.path("pets.yaml"), text).unwrap();
        place.fails("data verify pets.yaml", expected);
    };
    let images = "name: pets\nformat: images\npath: pets\n";
    fails(
        images,
        &["`pets` does not hold `train/<class>` and `test/<class>`, or with `split` the folders of the classes"],
    );
    fails(&format!("{images}split: 1.5\n"), &["above 0 and below 1"]);
    fails(&format!("{images}split: .nan\n"), &["above 0 and below 1"]);
    fails(&format!("{images}split_seed: 3\n"), &["`split_seed` has no effect without `split`"]);
    fails("name: pets\nformat: idx\npath: pets\nsplit: 0.2\n", &["`split` has no effect but for images by class"]);
    // Without a manifest what helps is told.
    place.fails("data verify ./pets", &["no `train/<class>/`", "a manifest with `split: 0.2`"]);
    classes(&place, &[("train", 2)]);
    fails(&format!("{images}split: 0.5\n"), &["it has a folder `train`", "leave `split` out"]);
}
