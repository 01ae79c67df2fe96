//! Numbers that break where training does not see them: in evaluation, and in predictions. And pools that have nothing
//! to pool.

use crate::runs::cli::{MODEL, Place, errors};
use std::fs;

/// The model with so many normalisations, of which evaluation multiplies by 30 each as the running variance stays at 0.
fn overflowing() -> String {
    let more =
        "    for i in 0..30 {\n        x = batch_norm(x, decay: 1, start: 0, epsilon: 1e-3)\n    }\n    x = max_pool";
    MODEL.replace("    x = max_pool", more)
}

#[test]
fn a_test_loss_that_is_no_number_fails_with_its_place() {
    let place = Place::new();
    fs::write(place.path("tiny.sph"), overflowing()).unwrap();
    let output = place.sphc("train tiny.sph --run run --seed 3");
    let said = errors(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    for it in ["the loss of image 0 of the test set is NaN", "arose first in layer `", "(tiny.sph:8)"] {
        assert!(said.contains(it), "no `{it}` in {said}");
    }
    // What was tested is kept, and can be looked at.
    let checkpoint = "run/checkpoints/step-00000005.safetensors";
    assert!(place.path(checkpoint).is_file(), "{said}");
    let output = place.sphc(&format!("eval tiny.sph --weights {checkpoint}"));
    let said = errors(&output);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{said}");
    assert!(said.contains("the loss of image 0 of the test set is NaN"), "{said}");
    image::GrayImage::from_pixel(8, 8, image::Luma([9])).save(place.path("digit.png")).unwrap();
    let output = place.sphc(&format!("predict tiny.sph --weights {checkpoint} digit.png"));
    let said = errors(&output);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{said}");
    assert!(said.contains("the scores of `digit.png` have no probabilities: "), "{said}");
}

#[test]
fn the_padding_of_a_pool_stays_below_its_window() {
    let place = Place::new();
    for (pool, most) in [
        ("max_pool(x, 2, pad: 2)", 1),
        ("avg_pool(x, [3, 2], pad: 7)", 1),
        ("max_pool(x, 3, stride: 1, pad: 3)", 2),
        ("avg_pool(x, 1, pad: 1)", 0),
    ] {
        let text = MODEL.replace("max_pool(x, 4)", pool);
        fs::write(place.path("tiny.sph"), &text).unwrap();
        let output = place.sphc("check tiny.sph");
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &errors(&output);
        assert_eq!(output.status.code(), Some(1), "{pool}: {said}");
        assert!(said.contains("as large as its window or larger"), "{said}");
        // What the help says mends it.
        assert!(said.contains(&format!("write `{most}`")), "{said}");
        let (before, _) = pool.split_once("pad: ").unwrap();
        fs::write(place.path("tiny.sph"), MODEL.replace("max_pool(x, 4)", &format!("{before}pad: {most})"))).unwrap();
        let output = place.sphc("check tiny.sph");
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &errors(&output);
        assert!(!said.contains("window or larger"), "{pool}: {said}");
    }
    // A convolution over the padding alone is 0, and allowed.
    fs::write(place.path("tiny.sph"), MODEL.replace("sphere_conv(4, ", "sphere_conv(4, kernel: 2, pad: 2, ")).unwrap();
    let said = place.sphc("check tiny.sph");
    assert!(!errors(&said).contains("window"), "{}", errors(&said));
}
