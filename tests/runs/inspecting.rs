//! `sphc inspect`: its numbers against loops over weights and features, and what is said of mistakes.

use crate::runs::cli::{MODEL, Place};
use serde_json::Value;
use sphc::data;
use sphc::train::weights::Weights;
use std::fs;

const WEIGHTS: &str = "--weights r/checkpoints/step-00000012.safetensors";

fn inspected(place: &Place, words: &str) -> Vec<Value> {
    let said = place.succeeds(&format!("inspect {words} --format json"));
    said.lines().map(|it| serde_json::from_str(it).unwrap()).collect()
}

fn near(found: &Value, wanted: f64) {
    let found = found.as_f64().unwrap();
    assert!((found - wanted).abs() < 1e-4 * (1.0 + wanted.abs()), "{found}, not {wanted}");
}

/// The first layer sees the pixels, so that all of its geometry follows from the data set and the filters.
#[test]
fn numbers_are_those_of_loops() {
    judged(MODEL);
}

/// A plain convolution has the angles, too, although it does not answer by them.
#[test]
fn numbers_of_a_plain_convolution_are_those_of_loops() {
    let plain = MODEL.replace("sphere_conv(4", "conv(4").replace(", operator: cosine", "");
    assert!(plain.contains("conv(4") && !plain.contains("sphere") && !plain.contains("operator"), "{plain}");
    judged(&plain);
}

fn judged(model: &str) {
    let place = Place::new();
    fs::write(place.path("m.sph"), model).unwrap();
    place.succeeds("train m.sph --run r");
    let examples = 30;
    let looks = inspected(&place, &format!("m.sph {WEIGHTS} --examples {examples} --batch 16"));
    assert_eq!(looks.iter().map(|it| it["layer"].as_str().unwrap()).collect::<Vec<_>>(), ["first", "score"]);
    let look = &looks[0];
    let weights = Weights::read(&place.path("r/checkpoints/step-00000012.safetensors")).unwrap();
    let filter = weights.values("first/filter").unwrap();
    let column = |at: usize| -> Vec<f64> { (0..9).map(|it| filter[it * 4 + at]).collect() };
    let norm = |it: &[f64]| it.iter().map(|it| it * it).sum::<f64>().sqrt();
    let mut norms: Vec<f64> = (0..4).map(|it| norm(&column(it))).collect();

    let mut energy = 0.0;
    for a in 0..4 {
        for b in 0..4 {
            if a != b {
                let (x, y) = (column(a), column(b));
                let apart =
                    |it: usize| x[it] / (norms[a].powi(2) + 1e-4).sqrt() - y[it] / (norms[b].powi(2) + 1e-4).sqrt();
                let short = |n: f64| n * n / (n * n + 1e-4);
                // Directions are a little shorter than 1; the penalty counts them as 1.
                let square: f64 = (0..9).map(|it| apart(it).powi(2)).sum();
                energy += 1.0 / (square + 2.0 - short(norms[a]) - short(norms[b]));
            }
        }
    }
    near(&look["energy"], energy / 12.0);

    let digits = data::describe("digits").unwrap();
    let digits = data::read(&digits, &data::place_of(&digits, "digits", None).unwrap(), &[]).unwrap();
    let pixels: Vec<f64> = digits.test.images.iter().map(|it| (f64::from(*it) - 8.0) / 8.0).collect();
    let (mut lengths, mut counts, mut borderline) = (Vec::new(), [0i64; 18], 0);
    for image in pixels.chunks(64).take(examples) {
        for row in 0..8i32 {
            for col in 0..8i32 {
                let mut patch = Vec::new();
                for (y, x) in (-1..2).flat_map(|y| (-1..2).map(move |x| (row + y, col + x))) {
                    let inside = (0..8).contains(&y) && (0..8).contains(&x);
                    patch.push(if inside { image[(y * 8 + x) as usize] } else { 0.0 });
                }
                lengths.push(norm(&patch));
                for (at, own) in norms.iter().enumerate() {
                    let product: f64 = patch.iter().zip(column(at)).map(|(a, b)| a * b).sum();
                    let roots = (norm(&patch).powi(2) + 1e-4).sqrt() * (own.powi(2) + 1e-4).sqrt();
                    let angle = (product / roots).acos().to_degrees() / 10.0;
                    borderline += i64::from((angle - angle.round()).abs() < 1e-4);
                    counts[(angle as usize).min(17)] += 1;
                }
            }
        }
    }
    let found: Vec<i64> = look["angles"].as_array().unwrap().iter().map(|it| it.as_i64().unwrap()).collect();
    assert_eq!(found.iter().sum::<i64>(), 30 * 64 * 4);
    let off: i64 = found.iter().zip(counts).map(|(a, b)| (a - b).abs()).sum();
    assert!(off <= 2 * borderline, "{found:?}, not {counts:?}");
    assert!(borderline < 50, "{borderline}");
    lengths.sort_by(f64::total_cmp);
    norms.sort_by(f64::total_cmp);
    for (key, all) in [("patch_norms", &lengths), ("filter_norms", &norms)] {
        near(&look[key]["min"], all[0]);
        near(&look[key]["median"], 0.5 * (all[all.len() / 2 - 1] + all[all.len() / 2]));
        near(&look[key]["max"], all[all.len() - 1]);
    }
}

/// Units are the channels of what the layer's name stands for, over all positions.
#[test]
fn units_that_never_answer_are_counted() {
    let place = Place::new();
    fs::write(place.path("m.sph"), MODEL).unwrap();
    place.succeeds("train m.sph --run r");
    let looks = inspected(&place, &format!("m.sph {WEIGHTS} --examples 4"));
    let mut all_dead = 0;
    for (look, (name, units)) in looks.iter().zip([("first", 4), ("score", 10)]) {
        place.succeeds(&format!("features m.sph {WEIGHTS} --layer {name} -o {name}.csv"));
        let table = fs::read_to_string(place.path(&format!("{name}.csv"))).unwrap();
        let mut alive = vec![false; units];
        for line in table.lines().skip(1).take(4) {
            for (at, it) in line.split(',').skip(3).enumerate() {
                alive[at % units] |= 0.0 < it.parse::<f64>().unwrap();
            }
        }
        let dead = alive.iter().filter(|it| !**it).count();
        near(&look["dead"], dead as f64 / units as f64);
        all_dead += dead;
    }
    assert!(0 < all_dead && all_dead < 14, "{all_dead}");
}

#[test]
fn tables_pictures_and_mistakes() {
    let place = Place::new();
    place.succeeds("train tiny.sph --run r");
    let said = place.succeeds(&format!("inspect tiny.sph {WEIGHTS} --examples 20 --svg a.svg"));
    assert!(
        said.starts_with("over 20 examples\nlayer") && said.contains("angles between patches and filters"),
        "{said}"
    );
    let picture = fs::read_to_string(place.path("a.svg")).unwrap();
    assert!(picture.contains("angle in degrees") && picture.contains("first") && picture.contains("% dead"));
    let fails = |words: &str, expected: &[&str]| place.fails(&format!("inspect tiny.sph {words}"), expected);
    fails(
        &format!("{WEIGHTS} --layer frist"),
        &["no layer of filters `frist`", "did you mean `first`? it has first, score"],
    );
    fails("--weights none.safetensors", &["none.safetensors"]);
    fails(&format!("{WEIGHTS} --data nowhere"), &["nowhere"]);
    fails(&format!("{WEIGHTS} --split validation"), &["keeps no images for validation"]);
    fails("--weights none.safetensors --svg tiny.sph", &["cannot draw `tiny.sph`: only SVG and PNG"]);
    fs::copy(place.path("r/checkpoints/step-00000012.safetensors"), place.path("w.svg")).unwrap();
    fails("--weights w.svg --svg w.svg", &["the command has this file already"]);
    let two = "block two(x) {\n    learn a as filter: [3, 3, channels(x), 2] = he\n    learn b as filter: [3, 3, channels(x), 2] = \
               he\n    convolve(x, a) + convolve(x, b)\n}\n";
    let text = MODEL.replace("x = (image - 8) / 8\n", "x = (image - 8) / 8\n    x = two(x) as \"pair\"\n");
    fs::write(place.path("two.sph"), format!("{two}{text}")).unwrap();
    place.succeeds("train two.sph --run two");
    let weights = "--weights two/checkpoints/step-00000012.safetensors";
    place
        .fails(&format!("inspect two.sph {weights} --layer pair"), &["`pair` has several parameters that are filters"]);
    fs::write(place.path("wide.sph"), MODEL.replace("sphere_conv(4,", "sphere_conv(5,")).unwrap();
    place.fails(&format!("inspect wide.sph {WEIGHTS}"), &["first/filter"]);
    place.succeeds("compile tiny.sph -o plan");
    place.fails(&format!("inspect plan/plan.yaml {WEIGHTS}"), &["is a plan"]);
}
