//! What was found of a network at one iteration, as TensorBoard shows it.

use super::look::{histogram, picture};
use super::messages::{Event, Histogram, Summary, Value};
use super::{files, next_record, now, replace};
use crate::train::curves::Tile;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What was found.
#[derive(Clone, Debug)]
pub enum Seen {
    /// A number.
    Number(f64),
    /// How numbers are spread.
    Numbers(Vec<f64>),
    /// How many lie in each part of a range, of equal width.
    Counts {
        /// From 0 to this.
        until: f64,
        /// How many in each part.
        counts: Vec<u64>,
    },
    /// Filters beside each other.
    Filters(Vec<Tile>),
}

/// Adds what was found at an iteration, each under its tag, to a directory for TensorBoard, in place of what was shown there for that
/// iteration before. The directory is made if it is not there; says which file holds it.
pub fn show(directory: &Path, step: u64, found: Vec<(String, Seen)>) -> io::Result<PathBuf> {
    fs::create_dir_all(directory)?;
    let now = now();
    let step = i64::try_from(step).unwrap_or(i64::MAX);
    let value: Vec<Value> = found.into_iter().map(|(tag, it)| value(tag, it)).collect();
    let mut events = vec![Event { wall_time: now, step, summary: Some(Summary { value }), ..Event::default() }];
    let earlier = files(directory)?;
    for it in &earlier {
        let bytes = fs::read(directory.join(it))?;
        let mut rest = &bytes[..];
        while let Some((event, behind)) = next_record(rest) {
            rest = behind;
            if event.file_version.is_none() && event.step != step {
                events.push(event);
            }
        }
    }
    let begun = events.iter().map(|it| it.wall_time).fold(now, f64::min);
    replace(directory, &earlier, begun, events)
}

fn value(tag: String, seen: Seen) -> Value {
    let empty = Value { tag, ..Value::default() };
    match seen {
        Seen::Number(it) => Value { simple_value: Some(it as f32), ..empty },
        Seen::Numbers(all) => Value { histogram: Some(histogram(&all)), ..empty },
        Seen::Counts { until, counts } => Value { histogram: Some(counted(until, &counts)), ..empty },
        Seen::Filters(tiles) => Value { image: picture(&tiles), ..empty },
    }
}

/// Counts as a histogram; each of a part is taken for its middle.
fn counted(until: f64, counts: &[u64]) -> Histogram {
    let width = until / counts.len().max(1) as f64;
    let sum_of = |of: &dyn Fn(f64) -> f64| -> f64 {
        counts.iter().enumerate().map(|(at, it)| *it as f64 * of((at as f64 + 0.5) * width)).sum()
    };
    Histogram {
        min: 0.0,
        max: until,
        num: counts.iter().sum::<u64>() as f64,
        sum: sum_of(&|it| it),
        sum_squares: sum_of(&|it| it * it),
        bucket_limit: (1..=counts.len()).map(|it| it as f64 * width).collect(),
        bucket: counts.iter().map(|it| *it as f64).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn iterations_come_in_order_and_each_once() {
        let directory = tempfile::tempdir().unwrap();
        let below = directory.path().join("seen");
        for (step, number) in [(200, 1.0), (100, 2.0), (200, 3.0)] {
            show(&below, step, vec![("energy/a".into(), Seen::Number(number))]).unwrap();
        }
        let names = files(&below).unwrap();
        assert_eq!(names.len(), 1, "{names:?}");
        let bytes = fs::read(below.join(&names[0])).unwrap();
        let (mut rest, mut found) = (&bytes[..], Vec::new());
        while let Some((event, behind)) = next_record(rest) {
            rest = behind;
            found.extend(event.summary.map(|it| (event.step, it.value[0].simple_value)));
        }
        assert!(rest.is_empty());
        assert_eq!(found, [(100, Some(2.0)), (200, Some(3.0))]);
    }

    #[test]
    fn counts_are_parts_of_a_range() {
        let found = counted(180.0, &[1, 0, 3]);
        assert_eq!((found.min, found.max, found.num), (0.0, 180.0, 4.0));
        assert_eq!((found.bucket_limit, found.bucket), (vec![60.0, 120.0, 180.0], vec![1.0, 0.0, 3.0]));
        assert_eq!(found.sum, 30.0 + 3.0 * 150.0);
    }
}
