//! TensorBoard event files: the numbers of `metrics.jsonl` where TensorBoard looks for them, and what else it is asked to show.
//!
//! A file is a row of records: the length of an event, the checksum of that length, the event as a
//! protobuf message, and its checksum.

mod graph;
mod look;
mod messages;
mod seen;
mod settings;

pub use graph::graph;
pub use seen::{Seen, show};

use super::Manifest;
use super::metrics::Line;
use super::run_dir::write_atomically;
use super::weights::kept;
use crate::ir::{DType, Phase, StateRole, gradient};
use crate::plan::BufferKind;
use crate::runtime::{RuntimeError, Session};
use crate::train::curves::Tile;
use crc::{CRC_32_ISCSI, Crc};
use messages::{Event, Summary, Value};
use prost::Message;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// What TensorBoard is shown beside numbers.
#[derive(Clone, Debug, Default)]
pub struct Board {
    /// The network, as [`graph`] writes it.
    pub graph: Option<Vec<u8>>,
    /// How the numbers of parameters, of what the optimizer keeps of them, and of gradients are spread, at each evaluation.
    pub histograms: bool,
    /// The filters of the first layer that sees an image, at each evaluation.
    pub filters: bool,
    /// What the run was asked for.
    pub settings: bool,
}

impl Board {
    /// What is told of the tensors of a session, and of the gradients that move them next.
    fn values(&self, session: &mut Session) -> Result<Vec<Value>, RuntimeError> {
        let mut res = Vec::new();
        let mut drawn = !self.filters;
        let plan = session.plan.clone();
        for buffer in kept(&plan) {
            let group = match &buffer.kind {
                BufferKind::Param(_) => "weights",
                BufferKind::State(it) if it.role == StateRole::Optimizer && buffer.dtype != DType::Int => "optimizer",
                BufferKind::State(_) | BufferKind::Extern(_) | BufferKind::Const(_) | BufferKind::Arena { .. } => {
                    continue;
                }
            };
            let dims = buffer.shape.dims();
            let draw = !drawn && group == "weights" && Tile::is_filter(dims);
            if !draw && !self.histograms {
                continue;
            }
            let Some(numbers) = session.read(&buffer.name) else { continue };
            if self.histograms {
                let histogram = Some(look::histogram(&numbers));
                res.push(Value { tag: format!("{group}/{}", buffer.name), histogram, ..Value::default() });
            }
            if draw {
                drawn = true;
                let image = Tile::filters(dims, &numbers).and_then(|it| look::picture(&it));
                res.push(Value { tag: format!("filters/{}", buffer.name), image, ..Value::default() });
            }
        }
        if self.histograms && plan.phases.contains_key(&Phase::Gradients) {
            session.run(Phase::Gradients)?;
            for param in plan.buffers.iter().filter(|it| matches!(it.kind, BufferKind::Param(_))) {
                let key = gradient(&param.name);
                // What is frozen has none.
                if plan.result(Phase::Gradients, &key).is_none() {
                    continue;
                }
                let histogram = Some(look::histogram(&session.result(Phase::Gradients, key)?));
                res.push(Value { tag: format!("gradients/{}", param.name), histogram, ..Value::default() });
            }
        }
        Ok(res)
    }
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
    /// What evaluations are called.
    tested: &'static str,
}

impl Events {
    /// Starts a file with these lines, in place of those that were there: a resumed run has each step
    /// once, like its `metrics.jsonl`. The new file has a new name, by which a TensorBoard that is
    /// watching takes notice. What else was shown before iteration `step` stays.
    pub(super) fn start(directory: &Path, lines: &[Line], step: u64, tested: &'static str) -> io::Result<Events> {
        let seconds = lines.iter().rev().find_map(seconds_of).unwrap_or(0.0);
        let first = lines.iter().find_map(seconds_of).unwrap_or(0.0);
        let begun = now() - seconds;
        let earlier = files(directory)?;
        let mut events = Vec::new();
        for it in &earlier {
            events.extend(shown_before(&fs::read(directory.join(it))?, step));
        }
        let mut last = first;
        for line in lines {
            last = seconds_of(line).unwrap_or(last);
            events.push(event(line, begun + last, tested));
        }
        let path = replace(directory, &earlier, begun, events)?;
        Ok(Events { file: OpenOptions::new().append(true).open(path)?, begun, seconds, tested })
    }

    /// Appends a line; it is in the operating system's hands when this returns.
    pub(super) fn push(&mut self, line: &Line) -> io::Result<()> {
        self.seconds = seconds_of(line).unwrap_or(self.seconds);
        self.file.write_all(&record(&event(line, self.begun + self.seconds, self.tested)))
    }

    /// Appends what a run is shown with at its start.
    pub(super) fn open(&mut self, board: &Board, manifest: &Manifest, classes: bool, step: u64) -> io::Result<()> {
        if let Some(graph) = &board.graph {
            self.append(Event { graph: Some(graph.clone()), ..self.at(step) })?;
        }
        if board.settings {
            let summary = settings::start(manifest, classes, now());
            self.append(Event { summary: Some(summary), ..self.at(step) })?;
        }
        Ok(())
    }

    /// Appends what the tensors of a model look like.
    pub(super) fn look(
        &mut self,
        board: &Board,
        session: &mut Session,
        step: u64,
    ) -> Result<io::Result<()>, RuntimeError> {
        let value = board.values(session)?;
        if value.is_empty() {
            return Ok(Ok(()));
        }
        Ok(self.append(Event { summary: Some(Summary { value }), ..self.at(step) }))
    }

    /// Appends that the run came to its end.
    pub(super) fn close(&mut self, board: &Board, step: u64) -> io::Result<()> {
        if !board.settings {
            return Ok(());
        }
        self.append(Event { summary: Some(settings::end(now())), ..self.at(step) })
    }

    fn at(&self, step: u64) -> Event {
        Event { wall_time: self.begun + self.seconds, step: step as i64, ..Event::default() }
    }

    fn append(&mut self, event: Event) -> io::Result<()> {
        self.file.write_all(&record(&event))
    }
}

/// Writes a file of these events in place of earlier ones.
fn replace(directory: &Path, earlier: &[String], begun: f64, mut events: Vec<Event>) -> io::Result<PathBuf> {
    // A step that comes after later ones would make TensorBoard forget those.
    events.sort_by_key(|it| it.step);
    let version = Event { wall_time: begun, file_version: Some("brain.Event:2".into()), ..Event::default() };
    let bytes: Vec<u8> = [version].iter().chain(&events).flat_map(record).collect();
    // Names are read in their order; this one comes after those that it replaces.
    let number = earlier.iter().filter_map(|it| number_of(it)?.checked_add(1)).fold(now() as u64, u64::max);
    let path = directory.join(format!("{PREFIX}{number:010}.sphc"));
    write_atomically(&path, &bytes)?;
    for it in earlier {
        fs::remove_file(directory.join(it))?;
    }
    Ok(path)
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |it| it.as_secs_f64())
}

/// Histograms and pictures of iterations before this one, in the bytes of a file; what is behind a damaged record is left out.
/// Anything else of a file is written anew.
fn shown_before(bytes: &[u8], step: u64) -> Vec<Event> {
    let mut res = Vec::new();
    let mut rest = bytes;
    while let Some((event, behind)) = next_record(rest) {
        rest = behind;
        let shown = |it: &Value| it.histogram.is_some() || it.image.is_some();
        let is_shown = event.summary.as_ref().is_some_and(|it| it.value.iter().any(shown));
        if is_shown && u64::try_from(event.step).is_ok_and(|it| it < step) {
            res.push(event);
        }
    }
    res
}

/// The first event of some records, and what is behind it.
fn next_record(bytes: &[u8]) -> Option<(Event, &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<8>()?;
    let (sum, rest) = rest.split_first_chunk::<4>()?;
    let (data, rest) = rest.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
    let (data_sum, rest) = rest.split_first_chunk::<4>()?;
    let sound = *sum == masked(length).to_le_bytes() && *data_sum == masked(data).to_le_bytes();
    Some((sound.then(|| Event::decode(data).ok()).flatten()?, rest))
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

fn event(line: &Line, wall_time: f64, tested: &str) -> Event {
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
            let named = |what: &str, value: f64| (format!("{tested}/{what}"), value);
            let mut values = vec![named("loss", it.test_loss)];
            values.extend(it.test_accuracy.map(|it| named("accuracy", it)));
            let metrics = it.metrics.iter();
            values.extend(metrics.map(|(name, value)| named(name.trim_start_matches("test_"), *value)));
            (it.iteration, values)
        }
    };
    let scalar = |(tag, value): (String, f64)| Value { tag, simple_value: Some(value as f32), ..Value::default() };
    let summary = Summary { value: values.into_iter().map(scalar).collect() };
    Event { wall_time, step: step as i64, summary: Some(summary), ..Event::default() }
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
            data_wait: None,
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
            let (event, behind) = next_record(rest).expect("a sound record");
            res.push(event);
            rest = behind;
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
        let bytes = event(&losses(0), 0.0, "test").encode_to_vec();
        let at = bytes.windows(9).position(|it| it == b"train/reg").unwrap();
        assert_eq!(bytes[at + 9..at + 14], *b"\x15\0\0\0\0");
    }

    #[test]
    fn a_file_whose_name_has_no_next_number_is_replaced() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join(format!("{PREFIX}{}.other", u64::MAX)), "").unwrap();
        Events::start(directory.path(), &[losses(0)], 1, "test").unwrap();
        assert_eq!(read(directory.path()).last().unwrap().step, 0);
    }

    #[test]
    fn starting_again_keeps_the_given_lines_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let mut events = Events::start(directory.path(), &[], 0, "test").unwrap();
        for line in [losses(0), losses(1), tested(2), losses(2)] {
            events.push(&line).unwrap();
        }
        let first = files(directory.path()).unwrap();
        let mut events = Events::start(directory.path(), &[losses(0), losses(1), tested(2)], 2, "test").unwrap();
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

    #[test]
    fn what_was_shown_before_the_checkpoint_stays_and_what_came_after_goes() {
        let directory = tempfile::tempdir().unwrap();
        let mut events = Events::start(directory.path(), &[], 0, "test").unwrap();
        let shown = |events: &mut Events, step| {
            let value = vec![Value { histogram: Some(look::histogram(&[1.0, 2.0])), ..Value::default() }];
            let event = Event { summary: Some(Summary { value }), ..events.at(step) };
            events.append(event).unwrap();
        };
        for line in [losses(0), losses(1)] {
            events.push(&line).unwrap();
        }
        [0, 2, 4].into_iter().for_each(|it| shown(&mut events, it));
        events.close(&Board { settings: true, ..Board::default() }, 4).unwrap();
        // A record that a crash cut short.
        events.file.write_all(&[9; 11]).unwrap();
        Events::start(directory.path(), &[losses(0), losses(1), losses(2)], 4, "test").unwrap();
        let steps: Vec<i64> = read(directory.path()).iter().map(|it| it.step).collect();
        assert_eq!(steps, [0, 0, 0, 1, 2, 2]);
    }
}
