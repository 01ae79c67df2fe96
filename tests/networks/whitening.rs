//! Filters that whiten the training images: where they come from in a training, and what is said of mistakes. Their formula is
//! tested beside it.

use crate::files::data::{npy, npz};
use crate::networks::losses::said;
use crate::runs::cli::Place;
use sphc::train::weights::Weights;
use std::fs;

const MODEL: &str = "
model M {
    input image: u8[5, 6, 3]
    mean = [120, 110, 100]
    x = (image - mean) / 60
    x = conv(x, 10, kernel: [1, 2], pad: 0, bias: true, init: whitening(mean: mean, deviation: 60, epsilon: 1e-3)) as \"whiten\"
    output dense(relu(x), classes) as \"score\"
}

train {
    data       \"set.npz\"
    batch      2
    iterations 2
    freeze     on filters where layer == \"whiten\"
    loss       softmax_cross_entropy()
    optimizer  adam(rate: 1e-2)
}
";

#[test]
fn a_training_starts_with_filters_of_its_images() {
    let place = Place::new();
    let noise = |at: usize| (at as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 57;
    let bytes: Vec<u8> = (0..6 * 90).map(|at| (noise(at) + noise(at / 3)) as u8).collect();
    let images = npy(&[6, 5, 6, 3], &bytes);
    let labels = npy::<i64>(&[6], &[0, 1, 2, 0, 1, 2]);
    let arrays = [("x_train", images.clone()), ("y_train", labels.clone()), ("x_test", images), ("y_test", labels)];
    fs::write(place.path("set.npz"), npz(&arrays, false)).unwrap();
    fs::write(place.path("m.sph"), MODEL).unwrap();
    let filter = |run: &str| {
        let weights = Weights::read(&place.path(&format!("{run}/checkpoints/step-00000002.safetensors"))).unwrap();
        weights.values("whiten/filter").unwrap()
    };
    place.succeeds("train m.sph --run a");
    // Every answer has the variance that its eigenvalue leaves: products of answers are 0 beside the diagonal.
    let found = filter("a");
    let number = |at: usize| (f64::from(bytes[at]) - [120.0, 110.0, 100.0][at % 3]) / 60.0;
    let mut answers: Vec<Vec<f64>> = Vec::new();
    for row in 0..30 {
        for column in 0..5 {
            let from = (row * 6 + column) * 3;
            answers.push((0..10).map(|f| (0..6).map(|at| found[at * 10 + f] * number(from + at)).sum()).collect());
        }
    }
    for a in 0..10 {
        for b in 0..10 {
            let product = answers.iter().map(|it| it[a] * it[b]).sum::<f64>() / answers.len() as f64;
            if a % 5 == b % 5 {
                let wanted = if a == b { 1.0 } else { -1.0 };
                assert!((product / wanted - 0.97).abs() < 0.0301, "{a} {b}: {product}");
            } else {
                assert!(product.abs() < 1e-4, "{a} {b}: {product}");
            }
        }
    }
    // The same again; and what is gone on with or started from keeps its own.
    place.succeeds("train m.sph --run b");
    assert_eq!(filter("b"), found);
    let first = fs::read(place.path("a/checkpoints/step-00000002.safetensors")).unwrap();
    let other = MODEL.replace("init: whitening(mean: mean, deviation: 60, epsilon: 1e-3)", "init: 0.5");
    fs::write(place.path("o.sph"), &other).unwrap();
    place.succeeds("train o.sph --run o");
    place.succeeds("train m.sph --run c --init o/checkpoints/step-00000002.safetensors");
    assert_eq!(filter("c"), vec![0.5; 60]);
    place.succeeds("train m.sph --run a --resume --iterations 3");
    assert_eq!(first, fs::read(place.path("a/checkpoints/step-00000002.safetensors")).unwrap());
    let last = Weights::read(&place.path("a/checkpoints/step-00000003.safetensors")).unwrap();
    assert_eq!(last.values("whiten/filter").unwrap(), found);
}

#[test]
fn mistakes_with_whitening_are_told() {
    let layer = |start: &str| format!("output conv(x, 10, kernel: 8, pad: 0, init: {start})");
    let line = "loss softmax_cross_entropy()";
    let cases = [
        (layer("whitening(mean: 8)"), "missing"),
        (layer("whitening"), "the start `whitening` needs"),
        (layer("whitening(mean: [1, 2], deviation: 8)"), "`mean` of `whitening`"),
        (layer("whitening(mean: [8, \"a\"], deviation: 8)"), "a list has values of one type, found the string \"a\""),
        (layer("whitening(mean: 8, deviation: [8, x, 8])"), "a list has values of one type, found a tensor"),
        (layer("whitening(mean: [8, 100, 3], deviation: 8)"), "one number, as the images have one channel"),
        (layer("whitening(mean: 8, deviation: 0)"), "one or three numbers above 0"),
        (layer("whitening(mean: 8, deviation: 8, epsilon: -1)"), "`epsilon`"),
        ("y = conv(x, 4) as \"a\"\n    output conv(y, 10, kernel: 8, pad: 0, init: whitening(mean: 8, deviation: 8))".to_owned(), "1 or 3 channels and not 4"),
        ("y = conv(x, 3) as \"a\"\n    output conv(y, 10, kernel: 8, pad: 0, init: whitening(mean: 8, deviation: 8))".to_owned(), "which have 1 channels and not 3"),
        ("y = conv(x, 9, kernel: 2, pad: 0, init: whitening(mean: 8, deviation: 8))\n    output dense(y, classes)".to_owned(), "a patch of 4 numbers has 8 filters at most"),
    ];
    for (statements, expected) in cases {
        let found = said("", &statements, line);
        assert!(found.contains(expected), "{statements}: {found}");
    }
    assert_eq!(said("", &layer("whitening(mean: 8, deviation: 8)"), line), "");
}
