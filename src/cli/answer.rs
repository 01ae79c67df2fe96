//! How a model's answer about an image is shown: a class, several, those of pixels, or numbers.

use serde_json::{Value, json};
use sphc::Answer;
use sphc::ir::TargetKind;

/// Numbers of a row for people.
const FEW: usize = 8;

/// What is said of an image.
pub(super) struct Shown {
    pub(super) json: Value,
    /// Columns behind the image's name.
    pub(super) rows: Vec<Vec<String>>,
}

/// Titles of the columns.
pub(super) fn header(target: &TargetKind) -> &'static [&'static str] {
    match target {
        TargetKind::Class | TargetKind::Labels => &["image", "class", ">probability"],
        TargetKind::Map(_) => &["image", "class", ">pixels"],
        TargetKind::Numbers(_) => &["image", "numbers"],
    }
}

/// An answer about an image, with the names of the classes; of one class, the `top` likeliest.
pub(super) fn shown(image: &str, answer: &Answer, names: &[String], top: usize) -> Shown {
    match answer {
        Answer::Class(all) => {
            let (classes, rows) = listed(&all[..top.min(all.len())], names);
            let (first, probability) = all[0];
            let json = json!({ "image": image, "class": names[first], "probability": probability, "classes": classes });
            Shown { json, rows }
        }
        Answer::Labels(all) => labels(image, all, names),
        Answer::Pixels { classes, size } => pixels(image, classes, *size, names),
        Answer::Numbers { values, shape } => numbers(image, values, shape),
    }
}

fn listed(chances: &[(usize, f64)], names: &[String]) -> (Vec<Value>, Vec<Vec<String>>) {
    let json = chances.iter().map(|it| json!({ "class": names[it.0], "probability": it.1 })).collect();
    let row = |it: &(usize, f64)| vec![names[it.0].clone(), format!("{:.2} %", 100.0 * it.1)];
    (json, chances.iter().map(row).collect())
}

/// Those that are likelier than not.
fn labels(image: &str, all: &[(usize, f64)], names: &[String]) -> Shown {
    let likely: Vec<(usize, f64)> = all.iter().copied().filter(|it| 0.5 < it.1).collect();
    let labels: Vec<&String> = likely.iter().map(|it| &names[it.0]).collect();
    let json = json!({ "image": image, "labels": labels, "classes": listed(all, names).0 });
    let mut rows = listed(&likely, names).1;
    if rows.is_empty() {
        rows.push(vec!["-".to_owned(), String::new()]);
    }
    Shown { json, rows }
}

fn pixels(image: &str, classes: &[usize], [_, width]: [usize; 2], names: &[String]) -> Shown {
    let rows: Vec<&[usize]> = classes.chunks(width.max(1)).collect();
    let mut counts = vec![0usize; names.len()];
    classes.iter().for_each(|it| counts[*it] += 1);
    let mut order: Vec<usize> = (0..counts.len()).filter(|it| counts[*it] != 0).collect();
    order.sort_by_key(|it| std::cmp::Reverse(counts[*it]));
    let share = |it: &usize| counts[*it] as f64 / classes.len().max(1) as f64;
    let shares: Vec<Value> = order.iter().map(|it| json!({ "class": names[*it], "share": share(it) })).collect();
    let json = json!({ "image": image, "pixels": rows, "classes": shares, "names": names });
    let rows = order.iter().map(|it| vec![names[*it].clone(), format!("{:.2} %", 100.0 * share(it))]).collect();
    Shown { json, rows }
}

fn numbers(image: &str, values: &[f64], shape: &[usize]) -> Shown {
    let mut shown: Vec<String> = values.iter().take(FEW).map(|it| format!("{it:.5}")).collect();
    if FEW < values.len() {
        shown.push(format!("... ({} in all)", values.len()));
    }
    let json = json!({ "image": image, "numbers": nested(values, shape) });
    Shown { json, rows: vec![vec![shown.join(", ")]] }
}

/// Numbers as lists in lists.
fn nested(numbers: &[f64], shape: &[usize]) -> Value {
    match shape {
        [] | [_] => json!(numbers),
        [_, rest @ ..] => {
            let each = rest.iter().product::<usize>().max(1);
            numbers.chunks(each).map(|it| nested(it, rest)).collect()
        }
    }
}
