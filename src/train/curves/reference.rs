//! Published results to compare with: the files in `models/reference`, which say where they are from.

use super::{Curve, Estimate, Point};
use serde::Deserialize;

/// Best and last accuracy of every published network.
const PUBLISHED: &str = include_str!("../../../models/reference/published.csv");
/// Whole curves, where there are any.
const LOGS: [(&str, &str); 3] = [
    ("spherenet9-none", include_str!("../../../models/reference/spherenet9-none.csv")),
    ("spherenet9-linear", include_str!("../../../models/reference/spherenet9-linear.csv")),
    ("spherenet9-sigmoid", include_str!("../../../models/reference/spherenet9-sigmoid.csv")),
];

#[derive(Deserialize)]
struct Result_ {
    name: String,
    best: f64,
    last: f64,
}

#[derive(Deserialize)]
struct Row {
    iteration: u64,
    test_accuracy: f64,
}

fn rows<T: for<'a> Deserialize<'a>>(text: &str) -> Result<Vec<T>, String> {
    let mut reader = csv::ReaderBuilder::new().comment(Some(b'#')).from_reader(text.as_bytes());
    reader.deserialize().collect::<Result<_, _>>().map_err(|it| it.to_string())
}

fn published() -> Vec<Result_> {
    rows(PUBLISHED).expect("the published results are a table")
}

/// Names of the published results.
pub fn names() -> Vec<String> {
    published().into_iter().map(|it| it.name).collect()
}

/// A published result by name: its curve where the log is there, else its best and last.
pub fn find(name: &str) -> Option<Curve> {
    let title = format!("published {name}");
    if let Some((_, text)) = LOGS.iter().find(|it| it.0 == name) {
        return Some(parse(&title, text).expect("a log is a table"));
    }
    let found = published().into_iter().find(|it| it.name == name)?;
    Some(Curve {
        name: title,
        data: String::new(),
        validates: false,
        runs: 0,
        tested: Vec::new(),
        best: Some((None, Estimate::of(&[found.best]))),
        last: Some(Estimate::of(&[found.last])),
        losses: Vec::new(),
    })
}

/// A table with the columns `iteration` and `test_accuracy` (0 to 1); lines that open with `#` are remarks.
pub fn parse(name: &str, text: &str) -> Result<Curve, String> {
    let rows: Vec<Row> = rows(text)?;
    let point =
        |it: &Row| Point { iteration: it.iteration, accuracy: Estimate { mean: it.test_accuracy, half_width: None } };
    let tested: Vec<Point> = rows.iter().map(point).collect();
    let best = tested.iter().reduce(|a, b| if b.accuracy.mean > a.accuracy.mean { b } else { a });
    Ok(Curve {
        name: name.into(),
        data: String::new(),
        validates: false,
        runs: 0,
        best: best.map(|it| (Some(it.iteration), it.accuracy)),
        last: tested.last().map(|it| it.accuracy),
        losses: Vec::new(),
        tested,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logs_agree_with_the_published_best_and_last() {
        for (name, _) in LOGS {
            let curve = find(name).unwrap();
            let expected = published().into_iter().find(|it| it.name == name).unwrap();
            assert_eq!(curve.tested.len(), 128, "every 500 of 64000 iterations");
            assert_eq!(curve.best.unwrap().1.mean, expected.best, "{name}");
            assert_eq!(curve.last.unwrap().mean, expected.last, "{name}");
        }
        assert!(names().iter().all(|it| find(it).is_some()));
        assert!(find("spherenet10").is_none());
    }
}
