//! Targets that are no single class: numbers, several classes, classes and numbers of pixels. Their losses by formulas written
//! down here, what moves them together with the images, how they are read from arrays, and what is said of mistakes.

use crate::backends::engines::{Engine, Machine, typed};
use crate::files::data::{npy, npz};
use crate::networks::operators::close;
use crate::runs::cli::{Place, errors};
use image::{GrayImage, Luma};
use serde_json::Value;
use sphc::autodiff::training;
use sphc::diag::render;
use sphc::interp::Tensor;
use sphc::ir::{Extern, Figure, Phase, TargetKind};
use sphc::lower::{DataInfo, Settings};
use sphc::pipeline;
use std::fs;

/// Examples, of which each has pixels that are 1 at a place of their own, so that scores are rows of a filter.
const EXAMPLES: usize = 3;
const CLASSES: usize = 4;

fn text(image: [usize; 3], statements: &str, recipe: &str) -> String {
    format!(
        "loss dice(scores, target) {{\n    p = softmax(scores)\n    1 - 2 * sum(p * target) / (sum(p) + sum(target))\n}}\n\n\
         model Case {{\n    input image: u8{image:?}\n    x = image * 1\n    {statements}\n}}\n\ntrain {{\n    \
         data digits\n    batch {EXAMPLES}\n    iterations 10\n    {recipe}\n    optimizer sgd(rate: 1)\n}}\n"
    )
}

fn known(image: [usize; 3], target: &TargetKind) -> Settings {
    let classes = if target.has_classes() { CLASSES } else { 0 };
    let data = DataInfo { target: target.clone(), ..DataInfo::images("digits", image, classes, [EXAMPLES, EXAMPLES]) };
    Settings { no_shuffle: true, known_data: vec![data.clone()], data: Some(data), ..Settings::default() }
}

fn filter(at: usize) -> f64 {
    f64::from((at as f64 * 1.7).sin() as f32)
}

/// The loss of a line and its gradient in the scores of one example: `[positions][channels]`.
type Formula = fn(&[Vec<f64>], &[f64]) -> (f64, Vec<Vec<f64>>);

fn squares(scores: &[Vec<f64>], target: &[f64]) -> (f64, Vec<Vec<f64>>) {
    let count = target.len() as f64;
    let gap = |p: usize, c: usize| scores[p][c] - target[p * scores[p].len() + c];
    let each = |p: usize| (0..scores[p].len()).map(move |c| (p, c));
    let loss = (0..scores.len()).flat_map(each).map(|(p, c)| gap(p, c).powi(2)).sum::<f64>() / count;
    (loss, (0..scores.len()).map(|p| each(p).map(|(p, c)| 2.0 * gap(p, c) / count).collect()).collect())
}

/// Half of the squares below `delta` 0.5, and lines beyond.
fn bent(scores: &[Vec<f64>], target: &[f64]) -> (f64, Vec<Vec<f64>>) {
    let (mut loss, count) = (0.0, target.len() as f64);
    let slopes = scores.iter().enumerate().map(|(p, row)| {
        let slope = |(c, score): (usize, &f64)| {
            let gap: f64 = score - target[p * row.len() + c];
            loss += if gap.abs() <= 0.5 { gap * gap / 2.0 } else { 0.5 * (gap.abs() - 0.25) } / count;
            gap.clamp(-0.5, 0.5) / count
        };
        row.iter().enumerate().map(slope).collect()
    });
    let slopes = slopes.collect();
    (loss, slopes)
}

fn yes_or_no(scores: &[Vec<f64>], target: &[f64]) -> (f64, Vec<Vec<f64>>) {
    let count = target.len() as f64;
    let chance = |score: f64| 1.0 / (1.0 + (-score).exp());
    let terms = scores[0].iter().zip(target).map(|(it, y)| {
        let p = chance(*it);
        -(y * p.ln() + (1.0 - y) * (1.0 - p).ln()) / count
    });
    (terms.sum(), vec![scores[0].iter().zip(target).map(|(it, y)| (chance(*it) - y) / count).collect()])
}

/// The mean over pixels of the cross entropy, with so much of the label spread.
fn entropies(scores: &[Vec<f64>], target: &[f64]) -> (f64, Vec<Vec<f64>>) {
    let (smoothing, count) = (0.1, scores.len() as f64);
    let mut loss = 0.0;
    let slopes = scores.iter().zip(target).map(|(row, label)| {
        let all: f64 = row.iter().map(|it| it.exp()).sum();
        let wanted = |c: usize| smoothing / CLASSES as f64 + if c == *label as usize { 1.0 - smoothing } else { 0.0 };
        loss -= row.iter().enumerate().map(|(c, it)| wanted(c) * (it - all.ln())).sum::<f64>() / count;
        row.iter().enumerate().map(|(c, it)| (it.exp() / all - wanted(c)) / count).collect()
    });
    let slopes = slopes.collect();
    (loss, slopes)
}

/// The same over those that have a class.
fn entropies_of_known(scores: &[Vec<f64>], target: &[f64]) -> (f64, Vec<Vec<f64>>) {
    let known: Vec<usize> = (0..target.len()).filter(|it| target[*it] != 255.0).collect();
    let rows: Vec<Vec<f64>> = known.iter().map(|it| scores[*it].clone()).collect();
    let labels: Vec<f64> = known.iter().map(|it| target[*it]).collect();
    let (loss, slopes) = if known.is_empty() { (0.0, Vec::new()) } else { entropies(&rows, &labels) };
    let mut all = vec![vec![0.0; CLASSES]; target.len()];
    known.iter().zip(slopes).for_each(|(at, it)| all[*at] = it);
    (loss, all)
}

/// Overlap of all pixels' probabilities with their classes; its slope by the quotient rule.
fn overlap(scores: &[Vec<f64>], target: &[f64]) -> (f64, Vec<Vec<f64>>) {
    let chances: Vec<Vec<f64>> = scores
        .iter()
        .map(|row| {
            let all: f64 = row.iter().map(|it| it.exp()).sum();
            row.iter().map(|it| it.exp() / all).collect()
        })
        .collect();
    // Probabilities of a pixel sum to 1 whatever the scores, and so do its targets.
    let common: f64 = chances.iter().zip(target).map(|(p, label)| p[*label as usize]).sum();
    let all = 2.0 * target.len() as f64;
    let slope = |p: &Vec<f64>, label: f64, c: usize| {
        let own = if c == label as usize { 1.0 } else { 0.0 };
        -2.0 / all * p[label as usize] * (own - p[c])
    };
    let slopes = chances.iter().zip(target).map(|(p, l)| (0..CLASSES).map(|c| slope(p, *l, c)).collect());
    (1.0 - 2.0 * common / all, slopes.collect())
}

#[test]
fn losses_of_every_target_are_their_formulas_on_every_engine() {
    let vector = TargetKind::Numbers(vec![CLASSES]);
    let numbers_of_pixels = TargetKind::Numbers(vec![2, 1, CLASSES]);
    let map = TargetKind::Map([2, 1]);
    let real = |count: usize| (0..count).map(|it| f64::from((it as f32 * 0.9).cos())).collect::<Vec<f64>>();
    let bits: Vec<f64> = [1, 0, 1, 1, 0, 0, 0, 0, 1, 0, 0, 1].map(f64::from).into();
    let classes: Vec<f64> = [3, 0, 1, 1, 2, 3].map(f64::from).into();
    // An example with both, with one of them, and without any.
    let void: Vec<f64> = [3, 1, 255, 2, 255, 255].map(f64::from).into();
    let cases: [(&TargetKind, Vec<f64>, usize, &str, Formula); 8] = [
        (&vector, real(EXAMPLES * CLASSES), 1, "loss mean_squared_error()", squares),
        (&vector, real(EXAMPLES * CLASSES), 1, "loss huber(delta: 0.5)", bent),
        (&TargetKind::Labels, bits.clone(), 1, "loss binary_cross_entropy()", yes_or_no),
        (&TargetKind::Labels, bits, 1, "loss mean_squared_error()", squares),
        (&map, classes.clone(), 2, "loss softmax_cross_entropy(smoothing: 0.1)", entropies),
        (&map, void, 2, "loss softmax_cross_entropy(smoothing: 0.1, ignore: 255)", entropies_of_known),
        (&map, classes, 2, "loss dice()", overlap),
        (&numbers_of_pixels, real(2 * EXAMPLES * CLASSES), 2, "loss mean_squared_error()", squares),
    ];
    for (target, values, pixels, line, formula) in cases {
        let image = [pixels, 1, EXAMPLES * pixels];
        let statements = format!("output conv(x, {CLASSES}, kernel: 1) as \"score\"");
        let graph = training(typed("case.sph", &text(image, &statements, line), &known(image, target)));
        let places = EXAMPLES * pixels;
        let rows: Vec<Vec<f64>> =
            (0..places).map(|it| (0..CLASSES).map(|c| filter(it * CLASSES + c)).collect()).collect();
        let each = values.len() / EXAMPLES;
        let found: Vec<_> =
            (0..EXAMPLES).map(|it| formula(&rows[it * pixels..][..pixels], &values[it * each..][..each])).collect();
        let expected = found.iter().map(|it| it.0).sum::<f64>() / EXAMPLES as f64;
        let slopes: Vec<f64> =
            found.iter().flat_map(|it| it.1.iter().flatten()).map(|it| it / EXAMPLES as f64).collect();
        for engine in Engine::ALL {
            let tolerance = if engine == Engine::CpuF32 { 2e-5 } else { 1e-12 };
            let what = |of: &str| format!("{line} of {target:?}, {engine:?}: {of}");
            let mut machine = Machine::new(engine, graph.clone());
            let ones = (0..places * places).map(|it| f64::from(u8::from(it / places == it % places)));
            let images = Tensor::new([EXAMPLES, pixels, 1, places], ones.collect());
            let mut extents = vec![EXAMPLES];
            extents.extend(target.stored(CLASSES));
            let targets = Tensor::new(sphc::ir::Shape(extents), values.clone());
            for (source, tensor) in [(Extern::TrainImages, &images), (Extern::TestImages, &images)] {
                machine.bind(source, tensor);
            }
            for source in [Extern::TrainLabels, Extern::TestLabels] {
                machine.bind(source, &targets);
            }
            let start: Vec<f64> = rows.iter().flatten().copied().collect();
            machine.write("score/filter", &start);
            machine.run(Phase::Evaluate);
            let each = machine.result(Phase::Evaluate, "losses");
            close(&what("evaluated"), &each, &found.iter().map(|it| it.0).collect::<Vec<_>>(), tolerance, 1.0);
            if line.contains("ignore") {
                let largest =
                    |row: &[f64]| (1..CLASSES).fold(0, |best, it| if row[best] < row[it] { it } else { best });
                let right = |example: usize| {
                    let places = (example * pixels..(example + 1) * pixels).filter(|it| values[*it] != 255.0);
                    let hits: Vec<bool> = places.map(|it| largest(&rows[it]) == values[it] as usize).collect();
                    let share = hits.iter().filter(|it| **it).count() as f64 / hits.len() as f64;
                    if hits.is_empty() { 1.0 } else { share }
                };
                let right: Vec<f64> = (0..EXAMPLES).map(right).collect();
                close(&what("right"), &machine.result(Phase::Evaluate, Figure::Correct), &right, tolerance, 1.0);
            }
            machine.run(Phase::Step);
            close(&what("value"), &machine.result(Phase::Step, "fit"), &[expected], tolerance, 1.0);
            let after = machine.read("score/filter");
            let moved: Vec<f64> = start.iter().zip(after).map(|(before, after)| before - after).collect();
            close(&what("gradient"), &moved, &slopes, tolerance, 1.0);
        }
    }
}

/// Images whose pixels tell their classes stay right under every step only if the classes go with them.
#[test]
fn classes_of_pixels_move_with_the_images() {
    let augments = [
        "flip_horizontal",
        "flip_vertical",
        "crop(pad: 2)",
        "crop(4, 5, pad: 1, mode: reflect), flip_horizontal",
        "color_jitter(brightness: 0.1, contrast: 0.1), crop(pad: 1, mode: symmetric), flip_horizontal, flip_vertical",
    ];
    let image = [6, 7, 1];
    let noise = |at: usize| (at as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 63;
    let classes: Vec<f64> = (0..EXAMPLES * 42).map(|it| noise(it) as f64).collect();
    for augment in augments {
        let statements = "bright = 9 * (image > 100)\n    \
             output conv(concat(9 - bright, bright), 4, kernel: 1, init: dirac) as \"score\"";
        let cropped = if augment.contains("(4, 5") { [4, 5, 1] } else { image };
        let text = text(cropped, statements, &format!("augment {augment}\n    loss softmax_cross_entropy()"));
        let text = text.replace("rate: 1)", "rate: 1e-9)").replace("    x = image * 1\n", "");
        let graph = training(typed("case.sph", &text, &known(image, &TargetKind::Map([6, 7]))));
        for engine in Engine::ALL {
            let mut machine = Machine::new(engine, graph.clone());
            let pixels = Tensor::new([EXAMPLES, 6, 7, 1], classes.iter().map(|it| 200.0 * it).collect());
            let targets = Tensor::new([EXAMPLES, 6, 7, 1], classes.clone());
            for (images_of, targets_of) in
                [(Extern::TrainImages, Extern::TrainLabels), (Extern::TestImages, Extern::TestLabels)]
            {
                machine.bind(images_of, &pixels);
                machine.bind(targets_of, &targets);
            }
            for step in 0..6 {
                machine.run(Phase::Step);
                let right = machine.result(Phase::Step, "accuracy");
                close(&format!("{augment}, {engine:?}, step {step}"), &right, &[1.0], 1e-6, 1.0);
            }
            machine.run(Phase::Evaluate);
            close(&format!("{augment}, {engine:?}"), &machine.result(Phase::Evaluate, "correct"), &[1.0; 3], 1e-6, 1.0);
        }
    }
}

#[test]
fn mistakes_with_targets_are_told() {
    let image = [8, 8, 1];
    let scores = "output conv(x, 4, kernel: 8, pad: valid)";
    let dense = "output conv(x, classes, kernel: 1)";
    let numbers = TargetKind::Numbers(vec![4]);
    let heights = TargetKind::Numbers(vec![8, 8, 1]);
    let map = TargetKind::Map([8, 8]);
    let half = TargetKind::Map([4, 4]);
    let cases: &[(&TargetKind, &str, &str, &[&str])] = &[
        (
            &numbers,
            scores,
            "loss softmax_cross_entropy()",
            &["the targets of `digits` are numbers of [4], not classes", "`mean_squared_error`", "stored as integers"],
        ),
        (
            &numbers,
            dense,
            "loss mean_squared_error()",
            &["`digits` has no classes", "write how many numbers there are: `4`"],
        ),
        (
            &numbers,
            "output conv(x, 3, kernel: 8, pad: valid)",
            "loss mean_squared_error()",
            &["[3] is compared with a target of [4]: give the output as many numbers as the target has"],
        ),
        (&numbers, scores, "loss mean_squared_error()\n    metric top(k: 2)", &[]),
        (&numbers, scores, "loss mean_squared_error()\n    metric accuracy", &["are numbers of [4], not classes"]),
        (
            &TargetKind::Labels,
            scores,
            "loss softmax_cross_entropy()",
            &["an image of `digits` has any number of 4 classes, not one", "`binary_cross_entropy`"],
        ),
        (&TargetKind::Labels, scores, "augment flip_horizontal\n    loss binary_cross_entropy()", &[]),
        (
            &TargetKind::Labels,
            "output sphere_conv(x, classes, kernel: 8, pad: valid, operator: margin)",
            "loss binary_cross_entropy()",
            &["`margin` sees the label, and there is no single one"],
        ),
        (&map, dense, "loss softmax_cross_entropy()\n    metric errors", &[]),
        (
            &map,
            scores,
            "loss softmax_cross_entropy()",
            &[
                "the output is [4], not a number for each of 4 classes at each of 8x8 pixels",
                "expected [8, 8, 4]",
                "upsample",
            ],
        ),
        (
            &map,
            "output conv(x, 5, kernel: 1)",
            "loss softmax_cross_entropy()",
            &[
                "the output is [8, 8, 5], not a number for each of 4 classes",
                "write `classes` for the number of filters",
            ],
        ),
        (
            &map,
            dense,
            "augment rotate(10)\n    loss softmax_cross_entropy()",
            &["`rotate` would move the images and not their targets", "where there is no class", "`flip_horizontal`"],
        ),
        (&map, dense, "augment cutout(2), flip_horizontal\n    loss softmax_cross_entropy()", &[]),
        (
            &map,
            dense,
            "augment cutout(2), flip_vertical\n    loss softmax_cross_entropy()",
            &["`flip_vertical` would move the images", "leave out this step or `cutout`"],
        ),
        (
            &half,
            "output conv(avg_pool(x, 2), classes, kernel: 1)",
            "augment flip_horizontal\n    loss softmax_cross_entropy()",
            &["the classes are of 4x4 pixels, the images of 8x8"],
        ),
        (&half, "output conv(avg_pool(x, 2), classes, kernel: 1)", "loss softmax_cross_entropy()", &[]),
        (
            &map,
            dense,
            "views flip_horizontal\n    loss softmax_cross_entropy()",
            &["the mean over views would mix scores of different pixels", "leave the line out"],
        ),
        (
            &heights,
            "output conv(x, 1)",
            "augment crop(pad: 1)\n    loss mean_absolute_error()",
            &["`crop` would move the images", "the numbers of pixels are not moved", "numbers of [8, 8, 1]"],
        ),
        (&heights, "output conv(x, 1)", "augment color_jitter(brightness: 0.1)\n    loss mean_absolute_error()", &[]),
    ];
    for (target, statements, recipe, expected) in cases {
        let operator = "operator margin(cos, target) = cos - 0.1 * target\n\n";
        let text = format!("{operator}{}", text(image, statements, recipe));
        let mut none = |path: &str| Err(format!("{path} is not there"));
        let settings = Settings { no_shuffle: false, ..known(image, target) };
        let checked = pipeline::check("case.sph", &text, &mut none, &settings);
        let errors: Vec<_> =
            checked.diagnostics.iter().filter(|it| it.severity() == sphc::diag::Severity::Error).cloned().collect();
        let said = render::render(&errors, &checked.sources, false);
        assert_eq!(expected.is_empty(), said.is_empty(), "{target:?}, {recipe}: {said}");
        for it in *expected {
            assert!(said.contains(it), "{it}: {said}");
        }
    }
}

/// An archive of images of 4x4 and labels, whose bytes follow from their place.
fn archive(count: u64, train: Vec<u8>, test: Vec<u8>) -> Vec<u8> {
    let images = |count: u64| npy::<u8>(&[count, 4, 4], &(0..16 * count).map(|it| (it * 37) as u8).collect::<Vec<_>>());
    let arrays = [("x_train", images(count)), ("y_train", train), ("x_test", images(count)), ("y_test", test)];
    npz(&arrays, false)
}

/// An array of words of one letter, as NumPy's `array(["a", "b"])` is stored.
fn words(words: &[&str]) -> Vec<u8> {
    let letters: Vec<u32> = words.iter().map(|it| it.chars().next().map_or(0, u32::from)).collect();
    let mut bytes = npy::<u32>(&[words.len() as u64], &letters);
    let at = bytes.windows(3).position(|it| it == b"<u4").unwrap();
    bytes[at + 1..at + 3].copy_from_slice(b"U1");
    bytes
}

#[test]
fn arrays_tell_what_their_labels_are() {
    let place = Place::new();
    let both = |it: Vec<u8>| archive(4, it.clone(), it);
    let map: Vec<i64> = (0..64).map(|it| it % 3).collect();
    let void: Vec<i64> = (0..64).map(|it| if it == 7 { 255 } else { it % 3 }).collect();
    let white: Vec<i64> = (0..64).map(|it| it % 2 * 255).collect();
    let depth: Vec<f32> = (0..64).map(|it| it as f32 / 7.0).collect();
    let bits = [1i64, 0, 1, 0, 1, 1, 0, 0, 0, 1, 1, 0];
    let hot = [1i64, 0, 0, 0, 1, 0, 0, 0, 1, 1, 0, 0];
    let cases: &[(&str, Vec<u8>, &str, &str)] = &[
        ("classes", both(npy::<i64>(&[4], &[0, 1, 2, 1])), "", "in 3 classes"),
        ("reals", both(npy::<f32>(&[4], &[0.5, 1.0, 2.0, 3.0])), "", "targets numbers of [1]"),
        ("vectors", both(npy::<f64>(&[4, 2], &[0.5; 8])), "", "targets numbers of [2]"),
        ("depth", both(npy::<f32>(&[4, 4, 4], &depth)), "", "targets numbers of [4, 4, 1]"),
        ("flow", both(npy::<f32>(&[4, 4, 2, 2], &depth)), "", "targets numbers of [4, 2, 2]"),
        ("several", both(npy::<i64>(&[4, 3], &bits)), "", "targets any of 3 classes"),
        ("map", both(npy::<i64>(&[4, 4, 4], &map)), "", "targets one of 3 classes for each of 4x4 pixels"),
        ("column", both(npy::<i64>(&[4, 4, 4, 1], &map)), "", "targets one of 3 classes for each of 4x4 pixels"),
        // One of several 0 and 1 is a class most likely, unless a manifest says otherwise.
        ("hot", both(npy::<i64>(&[4, 3], &hot)), "", "a['y_train'].argmax(1)"),
        ("hot", both(npy::<i64>(&[4, 3], &hot)), "target: labels", "targets any of 3 classes"),
        ("whole", both(npy::<f32>(&[4], &[0.0, 1.0, 2.0, 1.0])), "", "a['y_train'].astype('int64')"),
        ("whole", both(npy::<f32>(&[4], &[0.0, 1.0, 2.0, 1.0])), "target: numbers", "targets numbers of [1]"),
        ("ages", both(npy::<i64>(&[4], &[30, 41, 7, 60])), "target: numbers", "targets numbers of [1]"),
        ("named", both(npy::<i64>(&[4, 3], &bits)), "classes: [a, b, c]", "targets any of 3 classes"),
        ("named", both(npy::<i64>(&[4, 3], &bits)), "classes: [a, b]", "the manifest names 2 classes"),
        (
            "named",
            both(npy::<i64>(&[4, 4, 4], &map)),
            "classes: [a, b]",
            "has 2 for example 0, while the manifest names the classes 0 to 1",
        ),
        ("named", both(npy::<f32>(&[4], &[0.5; 4])), "classes: [a, b]", "leave `classes` out"),
        ("named", both(npy::<f32>(&[4, 4, 4], &depth)), "target: pixels", "store whole numbers, [n, height, width]"),
        ("named", both(npy::<f32>(&[4, 4, 4], &depth)), "target: mask", "mask"),
        (
            "far",
            both(npy::<i64>(&[4, 4, 4], &[256; 64])),
            "",
            "has 256 for example 0, while classes of pixels are 0 to 255",
        ),
        ("minus", both(npy::<i64>(&[4, 4, 4], &[-1; 64])), "", "has -1 for example 0"),
        (
            "nan",
            both(npy::<f32>(&[4, 2], &[0.5, f32::NAN, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5])),
            "",
            "has NaN for example 0, while targets are finite",
        ),
        ("none", both(npy::<f32>(&[4, 0], &[])), "", "has extents [4, 0]"),
        // A part of text is not taken for classes of the other part's kind.
        ("words", archive(4, npy::<f32>(&[4], &[0.5, 1.0, 2.0, 3.0]), words(&["a", "b", "c", "d"])), "", "y_test"),
        ("words", archive(4, words(&["a", "b", "c", "d"]), npy::<f32>(&[4], &[0.5, 1.0, 2.0, 3.0])), "", "y_train"),
        // 255 is of no class, unless all numbers below it are classes; and no two classes are 0 and 255.
        ("void", both(npy::<i64>(&[4, 4, 4], &void)), "", "targets one of 3 classes for each of 4x4 pixels"),
        ("void", both(npy::<i64>(&[4, 4, 4], &void)), "", "1.6 % of the pixels are 255, which is no class"),
        (
            "void",
            both(npy::<i64>(&[4, 4, 4], &void)),
            "classes: [a, b, c, d]",
            "one of 4 classes for each of 4x4 pixels",
        ),
        ("white", both(npy::<i64>(&[4, 4, 4], &white)), "", "two classes are stored as 0 and 1, `labels // 255`"),
        ("hundred", both(npy::<i64>(&[4, 4, 4], &[255; 64])), "", "targets one of 256 classes for each of 4x4 pixels"),
        (
            "two",
            archive(4, npy::<i64>(&[4, 3], &bits), npy::<i64>(&[4, 3], &[2; 12])),
            "target: labels",
            "store numbers that are no classes as floats, in all parts",
        ),
        (
            "sizes",
            archive(4, npy::<f32>(&[4, 2], &[0.5; 8]), npy::<f32>(&[4, 3], &[0.5; 12])),
            "",
            "store all in one size",
        ),
    ];
    for (name, bytes, manifest, expected) in cases {
        fs::write(place.path("set.npz"), bytes).unwrap();
        let file = if manifest.is_empty() { "set.npz" } else { "set.yaml" };
        fs::write(place.path("set.yaml"), format!("name: set\nformat: npz\npath: set.npz\n{manifest}\n")).unwrap();
        let output = place.sphc(&format!("data verify {file}"));
        let said = format!("{}{}", errors(&output), String::from_utf8_lossy(&output.stdout));
        assert!(said.contains(expected) && !said.contains("panicked"), "{name} {manifest}: {said}");
    }
}

fn model(output: &str, recipe: &str) -> String {
    format!(
        "model M {{\n    input image: u8[4, 4, 1]\n    x = image / 255\n    {output}\n}}\n\ntrain {{\n    data       \
         \"set.npz\"\n    batch      2\n    iterations 20\n    {recipe}\n    optimizer  adam(rate: 1e-2)\n}}\n"
    )
}

/// From an archive to what `train`, `eval` and `predict` say.
#[test]
fn every_target_is_trained_evaluated_and_predicted() {
    let place = Place::new();
    GrayImage::from_fn(4, 4, |x, y| Luma([(16 * y + x) as u8])).save(place.path("a.png")).unwrap();
    let both = |it: Vec<u8>| archive(6, it.clone(), it);
    let reals: Vec<f32> = (0..12).map(|it| it as f32 / 12.0).collect();
    let bits: Vec<i64> = [1, 0, 1, 0, 0, 1, 1, 1, 1, 0, 1, 0, 0, 0, 0, 1, 1, 0].into();
    let map: Vec<i64> = (0..96).map(|it| (it / 5) % 3).collect();
    let depth: Vec<f32> = (0..96).map(|it| it as f32 / 96.0).collect();
    let whole = "output dense(x, {n}, bias: true) as \"score\"";
    let pixels = "output conv(x, {n}, bias: true) as \"score\"";
    type Case<'a> = (&'a str, Vec<u8>, String, &'a str, &'a [&'a str]);
    let cases: [Case<'_>; 4] = [
        (
            "numbers",
            both(npy(&[6, 2], &reals)),
            whole.replace("{n}", "2"),
            "loss huber(delta: 0.5)\n    metric mean_absolute_error",
            &["test_loss", "test_mean_absolute_error"],
        ),
        (
            "labels",
            both(npy(&[6, 3], &bits)),
            whole.replace("{n}", "classes"),
            "validate 0.4\n    loss binary_cross_entropy()",
            &["test_loss"],
        ),
        (
            "map",
            both(npy(&[6, 4, 4], &map)),
            pixels.replace("{n}", "classes"),
            "augment flip_horizontal\n    loss softmax_cross_entropy()",
            &["test_loss", "test_accuracy"],
        ),
        (
            "depth",
            both(npy(&[6, 4, 4], &depth)),
            pixels.replace("{n}", "1"),
            "precision f64\n    loss mean_squared_error()",
            &["test_loss"],
        ),
    ];
    for (name, bytes, output, recipe, told) in cases {
        fs::write(place.path("set.npz"), bytes).unwrap();
        fs::write(place.path("m.sph"), model(&output, recipe)).unwrap();
        let run = format!("r_{name}");
        let weights = format!("{run}/checkpoints/step-00000020.safetensors");
        let trained = place.succeeds(&format!("train m.sph --run {run}"));
        assert!(trained.contains("try next") && !trained.contains("--per-class"), "{trained}");
        let found: Value =
            serde_json::from_str(&place.succeeds(&format!("eval m.sph --weights {weights} --format json"))).unwrap();
        let keys: Vec<&String> = found.as_object().unwrap().keys().collect();
        assert!(told.iter().all(|it| found[*it].is_number()), "{name}: {keys:?}");
        assert_eq!(found.get("test_accuracy").is_some(), name == "map", "{name}");
        assert_eq!(found["examples"], 6, "{name}: the test set is evaluated whole");
        let asked = format!("predict m.sph --weights {weights} a.png");
        let said: Value = serde_json::from_str(&place.succeeds(&format!("{asked} --format json"))).unwrap();
        let shape = |it: &Value| {
            (it.as_array().map(Vec::len), it[0].as_array().map(Vec::len), it[0][0].as_array().map(Vec::len))
        };
        let top = "`--top` asks for the likeliest classes";
        place.fails(&format!("{asked} --top 2"), &[top, "leave out `--top`"]);
        match name {
            "numbers" => assert_eq!(shape(&said["numbers"]), (Some(2), None, None), "{said}"),
            "labels" => {
                let likely =
                    said["classes"].as_array().unwrap().iter().filter(|it| 0.5 < it["probability"].as_f64().unwrap());
                let likely: Vec<&Value> = likely.map(|it| &it["class"]).collect();
                assert_eq!(said["labels"].as_array().unwrap().iter().collect::<Vec<_>>(), likely, "{said}");
                assert_eq!(shape(&said["classes"]).0, Some(3), "{said}");
            }
            "map" => {
                assert_eq!(shape(&said["pixels"]), (Some(4), Some(4), None), "{said}");
                let shares = said["classes"].as_array().unwrap().iter().map(|it| it["share"].as_f64().unwrap());
                assert!((shares.sum::<f64>() - 1.0).abs() < 1e-9, "{said}");
            }
            _ => assert_eq!(shape(&said["numbers"]), (Some(4), Some(4), Some(1)), "{said}"),
        }
        let people = place.succeeds(&asked);
        assert!(people.contains("a.png"), "{people}");
        place.fails(&format!("eval m.sph --weights {weights} --per-class"), &["one class"]);
        // Plans tell what they are made for.
        place.succeeds(&format!("compile m.sph -o plan_{name}"));
        place.succeeds(&format!("train plan_{name}/plan.yaml --run p_{name} --iterations 2"));
        fs::write(place.path("set.npz"), both(npy::<i64>(&[6], &[0, 1, 2, 0, 1, 2]))).unwrap();
        place.fails(&format!("train plan_{name}/plan.yaml --run q_{name}"), &["targets that are"]);
        if name == "map" {
            let output = place.sphc("check m.sph");
            let said = errors(&output);
            assert_eq!(output.status.code(), Some(1), "{said}");
            assert!(said.contains("not one number for each class"), "{said}");
        }
    }
}
