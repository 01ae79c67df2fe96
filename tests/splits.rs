//! Which images a data set is trained, chosen and tested with.

use crate::cli::{MODEL, Place, errors};
use serde_json::Value;
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
    assert!(said.contains("on 359 validation images"), "{said}");

    let output = place.sphc(&format!("eval tiny.sph {weights} --split val"));
    assert_eq!(output.status.code(), Some(2));
    assert!(errors(&output).contains("validation"), "{}", errors(&output));
    fs::write(place.path("plain.sph"), MODEL).unwrap();
    let output = place.sphc(&format!("eval plain.sph {weights} --split validation"));
    assert_eq!(output.status.code(), Some(1));
    assert!(errors(&output).contains("the recipe keeps no images for validation"), "{}", errors(&output));
}
