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

/// Titles of the columns of a table for programs: of one class the likeliest ones, each with its probability; of any number of
/// classes the probability of each, of classes of pixels the share of each, of numbers all of them.
pub(super) fn columns(answer: &Answer, names: &[String], top: usize) -> Vec<String> {
    match answer {
        Answer::Class(all) => (1..=top.min(all.len()))
            .flat_map(|it| {
                let end = if it == 1 { String::new() } else { format!("_{it}") };
                [format!("class{end}"), format!("probability{end}")]
            })
            .collect(),
        Answer::Labels(_) | Answer::Pixels { .. } => names.to_vec(),
        Answer::Numbers { values, .. } => (0..values.len()).map(|it| format!("number_{it}")).collect(),
    }
}

/// What stands in these columns.
pub(super) fn cells(answer: &Answer, names: &[String], top: usize) -> Vec<String> {
    match answer {
        Answer::Class(all) => {
            let likeliest = &all[..top.min(all.len())];
            likeliest.iter().flat_map(|it| [names[it.0].clone(), it.1.to_string()]).collect()
        }
        Answer::Labels(all) => {
            let mut chances = vec![0.0; names.len()];
            all.iter().for_each(|it| chances[it.0] = it.1);
            chances.iter().map(f64::to_string).collect()
        }
        Answer::Pixels { classes, .. } => {
            let mut counts = vec![0usize; names.len()];
            classes.iter().for_each(|it| counts[*it] += 1);
            counts.iter().map(|it| (*it as f64 / classes.len().max(1) as f64).to_string()).collect()
        }
        Answer::Numbers { values, .. } => values.iter().map(f64::to_string).collect(),
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
