//! TensorBoard event files: the numbers of `metrics.jsonl` where TensorBoard looks for them.
//!
//! A file is a row of records: the length of an event, the checksum of that length, the event as a
//! protobuf message, and its checksum.

use super::metrics::Line;
use super::run_dir::write_atomically;
use crc::{CRC_32_ISCSI, Crc};
use prost::Message;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

#[derive(Clone, PartialEq, Message)]
struct Event {
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    /// Of the first event only.
    #[prost(string, optional, tag = "3")]
    file_version: Option<String>,
    #[prost(message, optional, tag = "5")]
    summary: Option<Summary>,
}

#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    value: Vec<Scalar>,
}

#[derive(Clone, PartialEq, Message)]
struct Scalar {
    #[prost(string, tag = "1")]
    tag: String,
    /// Part of a `oneof`, so that 0 is written too.
    #[prost(float, optional, tag = "2")]
    simple_value: Option<f32>,
}

const PREFIX: &str = "events.out.tfevents.";

/// Appends to the event file of a run.
#[derive(Debug)]
pub(super) struct Events {
    file: File,
    /// When the run would have begun, had it never been stopped.
    begun: f64,
    /// Seconds of the last line that tells them.
    seconds: f64,
}

impl Events {
    /// Starts a file with these lines, in place of those that were there: a resumed run has each step
    /// once, like its `metrics.jsonl`. The new file has a new name, by which a TensorBoard that is
    /// watching takes notice.
    pub(super) fn start(directory: &Path, lines: &[Line]) -> io::Result<Events> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |it| it.as_secs_f64());
        let seconds = lines.iter().rev().find_map(seconds_of).unwrap_or(0.0);
        let first = lines.iter().find_map(seconds_of).unwrap_or(0.0);
        let begun = now - seconds;
        let version = Event { wall_time: begun, file_version: Some("brain.Event:2".into()), ..Event::default() };
        let mut bytes = record(&version);
        let mut last = first;
        for line in lines {
            last = seconds_of(line).unwrap_or(last);
            bytes.extend(record(&event(line, begun + last)));
        }
        let earlier = files(directory)?;
        // Names are read in their order; this one comes after those that it replaces.
        let number = earlier.iter().filter_map(|it| number_of(it)).fold(now as u64, |at, it| at.max(it + 1));
        let path = directory.join(format!("{PREFIX}{number:010}.sphc"));
        write_atomically(&path, &bytes)?;
        for it in earlier {
            fs::remove_file(directory.join(it))?;
        }
        Ok(Events { file: OpenOptions::new().append(true).open(path)?, begun, seconds })
    }

    /// Appends a line; it is in the operating system's hands when this returns.
    pub(super) fn push(&mut self, line: &Line) -> io::Result<()> {
        self.seconds = seconds_of(line).unwrap_or(self.seconds);
        self.file.write_all(&record(&event(line, self.begun + self.seconds)))
    }
}

/// Names of event files in a directory.
fn files(directory: &Path) -> io::Result<Vec<String>> {
    let mut res = Vec::new();
    for file in fs::read_dir(directory)? {
        let name = file?.file_name().to_string_lossy().into_owned();
        if name.starts_with(PREFIX) {
            res.push(name);
        }
    }
    res.sort();
    Ok(res)
}

fn number_of(name: &str) -> Option<u64> {
    name.strip_prefix(PREFIX)?.split('.').next()?.parse().ok()
}

fn seconds_of(line: &Line) -> Option<f64> {
    if let Line::Losses(it) = line { Some(it.seconds) } else { None }
}

fn event(line: &Line, wall_time: f64) -> Event {
    let named = |tag: &str, value: f64| (tag.to_owned(), value);
    let (step, values) = match line {
        Line::Losses(it) => {
            let mut values = vec![
                named("train/loss", it.loss),
                named("train/fit", it.fit),
                named("train/reg", it.reg),
                named("train/orth", it.orth),
            ];
            values.extend(it.accuracy.map(|it| named("train/accuracy", it)));
            values.push(named("train/rate", it.rate));
            values.extend(it.metrics.iter().map(|(name, value)| (format!("train/{name}"), *value)));
            (it.iteration, values)
        }
        Line::Tested(it) => {
            let mut values = vec![named("test/loss", it.test_loss)];
            values.extend(it.test_accuracy.map(|it| named("test/accuracy", it)));
            let metrics = it.metrics.iter();
            values.extend(metrics.map(|(name, value)| (format!("test/{}", name.trim_start_matches("test_")), *value)));
            (it.iteration, values)
        }
    };
    let scalar = |(tag, value): (String, f64)| Scalar { tag, simple_value: Some(value as f32) };
    let summary = Summary { value: values.into_iter().map(scalar).collect() };
    Event { wall_time, step: step as i64, file_version: None, summary: Some(summary) }
}

fn record(event: &Event) -> Vec<u8> {
    let data = event.encode_to_vec();
    let length = (data.len() as u64).to_le_bytes();
    [&length[..], &masked(&length).to_le_bytes(), &data, &masked(&data).to_le_bytes()].concat()
}

/// The checksum of records: CRC-32C, rotated and shifted so that a checksum of checksums is sound.
fn masked(bytes: &[u8]) -> u32 {
    const CASTAGNOLI: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);
    CASTAGNOLI.checksum(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::metrics::{Losses, Tested};

    fn losses(iteration: u64) -> Line {
        let (fit, loss) = (0.25, 0.5);
        Line::Losses(Losses {
            iteration,
            fit,
            reg: 0.0,
            orth: 0.25,
            loss,
            accuracy: Some(0.5),
            rate: 1e-3,
            seconds: 1.5,
            metrics: Default::default(),
        })
    }

    fn tested(iteration: u64) -> Line {
        Line::Tested(Tested { iteration, test_loss: 0.125, test_accuracy: Some(0.75), metrics: Default::default() })
    }

    /// The events of the only file in a directory; every checksum is checked.
    fn read(directory: &Path) -> Vec<Event> {
        let names = files(directory).unwrap();
        assert_eq!(names.len(), 1, "{names:?}");
        let bytes = fs::read(directory.join(&names[0])).unwrap();
        let mut rest = &bytes[..];
        let mut res = Vec::new();
        while !rest.is_empty() {
            let length = u64::from_le_bytes(rest[..8].try_into().unwrap()) as usize;
            assert_eq!(rest[8..12], masked(&rest[..8]).to_le_bytes());
            let data = &rest[12..12 + length];
            assert_eq!(rest[12 + length..16 + length], masked(data).to_le_bytes());
            res.push(Event::decode(data).unwrap());
            rest = &rest[16 + length..];
        }
        res
    }

    #[test]
    fn the_first_bytes_are_those_of_every_event_file() {
        let version = Event { wall_time: 1.0, file_version: Some("brain.Event:2".into()), ..Event::default() };
        let bytes = record(&version);
        assert_eq!(bytes[..12], *b"\x18\0\0\0\0\0\0\0\xa3\x7fK\"", "as TensorFlow writes them");
        assert_eq!(bytes[12..36], *b"\x09\0\0\0\0\0\0\xf0\x3f\x1a\x0dbrain.Event:2");
    }

    #[test]
    fn a_scalar_of_zero_is_written() {
        let bytes = event(&losses(0), 0.0).encode_to_vec();
        let at = bytes.windows(9).position(|it| it == b"train/reg").unwrap();
        assert_eq!(bytes[at + 9..at + 14], *b"\x15\0\0\0\0");
    }

    #[test]
    fn starting_again_keeps_the_given_lines_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let mut events = Events::start(directory.path(), &[]).unwrap();
        for line in [losses(0), losses(1), tested(2), losses(2)] {
            events.push(&line).unwrap();
        }
        let first = files(directory.path()).unwrap();
        let mut events = Events::start(directory.path(), &[losses(0), losses(1), tested(2)]).unwrap();
        assert!(first < files(directory.path()).unwrap(), "a later name");
        events.push(&losses(2)).unwrap();
        let found = read(directory.path());
        let steps: Vec<i64> = found.iter().map(|it| it.step).collect();
        assert_eq!(steps, [0, 0, 1, 2, 2]);
        assert!(found.windows(2).all(|it| it[0].wall_time <= it[1].wall_time));
        let scalars = &found[3].summary.as_ref().unwrap().value;
        let found: Vec<(&str, Option<f32>)> = scalars.iter().map(|it| (it.tag.as_str(), it.simple_value)).collect();
        assert_eq!(found, [("test/loss", Some(0.125)), ("test/accuracy", Some(0.75))]);
    }
}
