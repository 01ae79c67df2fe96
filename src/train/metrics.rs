//! `metrics.jsonl`: one object per logged iteration and per evaluation, in full precision; and beside it
//! the same for TensorBoard.

use super::events::Events;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;

/// The losses of a batch, before the update that it causes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Losses {
    /// Counted from 0.
    pub iteration: u64,
    /// Loss of the data.
    pub fit: f64,
    /// Sum of the l2 penalties.
    pub reg: f64,
    /// Sum of the penalties on how filters lie to each other: orthogonality and energy.
    pub orth: f64,
    /// Sum of the three.
    pub loss: f64,
    /// Share of the batch classified right, where the model tells classes apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accuracy: Option<f64>,
    /// Learning rate of the update.
    pub rate: f64,
    /// Since the start, over all resumed parts.
    pub seconds: f64,
    /// Of the seconds of this part, those that steps waited for examples that lie in a file; absent where they are in memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_wait: Option<f64>,
    /// Other metrics, by their names.
    #[serde(flatten)]
    pub metrics: BTreeMap<String, f64>,
}

/// An evaluation on the test set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tested {
    /// Updates done.
    pub iteration: u64,
    /// Mean loss of the data.
    pub test_loss: f64,
    /// Share classified right, where the model tells classes apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_accuracy: Option<f64>,
    /// Other metrics, by their names with `test_` before them.
    #[serde(flatten)]
    pub metrics: BTreeMap<String, f64>,
}

impl Tested {
    /// Whether it is better than another one: by the accuracy, else by the loss.
    pub fn is_better(&self, other: &Tested) -> bool {
        match (self.test_accuracy, other.test_accuracy) {
            (Some(own), Some(other)) => other < own,
            (Some(_), None) => true,
            (None, Some(_)) => false,
            (None, None) => self.test_loss < other.test_loss,
        }
    }
}

/// A line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Line {
    /// Of training.
    Losses(Losses),
    /// Of evaluation.
    Tested(Tested),
}

/// Appends to the file; every line is in the operating system's hands when `push` returns.
#[derive(Debug)]
pub struct Log {
    file: File,
    events: Events,
}

impl Log {
    /// Starts a file with these lines, in place of what was there. The new file is complete before
    /// it takes the old one's name. `step` is the iteration that comes next; `tested` is what TensorBoard calls evaluations.
    pub fn start(path: &Path, lines: &[Line], step: u64, tested: &'static str) -> io::Result<Log> {
        let mut text = Vec::new();
        for line in lines {
            serde_json::to_writer(&mut text, line)?;
            text.push(b'\n');
        }
        super::run_dir::write_atomically(path, &text)?;
        let directory = path.parent().unwrap_or(Path::new("."));
        let events = Events::start(directory, lines, step, tested)?;
        Ok(Log { file: OpenOptions::new().append(true).open(path)?, events })
    }

    /// Appends a line.
    pub fn push(&mut self, line: &Line) -> io::Result<()> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        self.file.write_all(&text)?;
        self.events.push(line)
    }

    /// What TensorBoard is shown beside the lines.
    pub(super) fn board(&mut self) -> &mut Events {
        &mut self.events
    }

    /// Waits until all lines are on the disk.
    pub fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }
}

/// The lines of a file. Those that cannot be read, such as a last one that was cut short by a crash, are left out.
pub fn read(path: &Path) -> io::Result<Vec<Line>> {
    let mut res = Vec::new();
    for line in BufReader::new(File::open(path)?).split(b'\n') {
        res.extend(serde_json::from_slice::<Line>(&line?));
    }
    Ok(res)
}

/// The first iterations that a run of `step` updates logged every `log_every` should have lines of, but has none.
pub fn hole(lines: &[Line], step: u64, log_every: u64) -> Option<(u64, u64)> {
    let logged = lines.iter().filter_map(|it| if let Line::Losses(it) = it { Some(it.iteration) } else { None });
    let mut next = 0;
    for at in logged.filter(|it| *it < step).chain([step]) {
        // Up to here there need be none.
        if next < at {
            return Some((next, at - 1));
        }
        next = next.max(at.saturating_add(log_every));
    }
    None
}

/// The lines that a run which is continued after `step` updates keeps: those that an undisturbed
/// run would have written by then.
pub fn kept(lines: Vec<Line>, step: u64, log_every: u64, evaluate_every: u64) -> Vec<Line> {
    let mut res = lines;
    res.retain(|line| match line {
        // The last iteration and the end are logged off schedule; now they are neither.
        Line::Losses(it) => it.iteration < step && (it.iteration != step - 1 || it.iteration.is_multiple_of(log_every)),
        Line::Tested(it) => {
            it.iteration < step || it.iteration == step && evaluate_every != 0 && step.is_multiple_of(evaluate_every)
        }
    });
    res
}

#[cfg(test)]
mod tests {
    use super::*;

    fn losses(iteration: u64) -> Line {
        let third = 1.0 / 3.0;
        Line::Losses(Losses {
            iteration,
            fit: third,
            reg: 1e-300,
            orth: 0.0,
            loss: third,
            accuracy: Some(0.5),
            rate: 1e-3,
            seconds: 1.5,
            data_wait: None,
            metrics: BTreeMap::new(),
        })
    }

    fn tested(iteration: u64) -> Line {
        Line::Tested(Tested { iteration, test_loss: 0.1, test_accuracy: Some(0.9), metrics: BTreeMap::new() })
    }

    #[test]
    fn lines_keep_every_digit_and_the_agreed_keys() {
        let text = serde_json::to_string(&losses(0)).unwrap();
        assert_eq!(
            text,
            r#"{"iteration":0,"fit":0.3333333333333333,"reg":1e-300,"orth":0.0,"loss":0.3333333333333333,"accuracy":0.5,"rate":0.001,"seconds":1.5}"#
        );
        assert_eq!(serde_json::from_str::<Line>(&text).unwrap(), losses(0));
        let text = serde_json::to_string(&tested(5)).unwrap();
        assert_eq!(text, r#"{"iteration":5,"test_loss":0.1,"test_accuracy":0.9}"#);
        assert_eq!(serde_json::from_str::<Line>(&text).unwrap(), tested(5));
    }

    #[test]
    fn metrics_stand_beside_the_rest_and_what_is_not_told_is_left_out() {
        let metrics = BTreeMap::from([("test_top".to_owned(), 0.75)]);
        let line = Line::Tested(Tested { iteration: 5, test_loss: 0.1, test_accuracy: None, metrics });
        let text = serde_json::to_string(&line).unwrap();
        assert_eq!(text, r#"{"iteration":5,"test_loss":0.1,"test_top":0.75}"#);
        assert_eq!(serde_json::from_str::<Line>(&text).unwrap(), line);
    }

    #[test]
    fn continuing_keeps_what_an_undisturbed_run_would_have_written() {
        let lines = vec![losses(0), losses(10), tested(15), losses(20), losses(24), tested(25), losses(30), tested(30)];
        assert_eq!(kept(lines.clone(), 25, 10, 15), lines[..4]);
        assert_eq!(kept(lines.clone(), 31, 10, 15).len(), 8);
        assert_eq!(kept(lines.clone(), 30, 10, 15).len(), 7);
        // A file may hold any number.
        assert_eq!(kept(vec![losses(0), losses(u64::MAX)], 25, 10, 15), [losses(0)]);
    }

    #[test]
    fn holes_are_found() {
        let all = [losses(0), losses(10), tested(15), losses(20)];
        assert_eq!(hole(&all, 25, 10), None);
        assert_eq!(hole(&all, 30, 10), None);
        assert_eq!(hole(&all, 31, 10), Some((30, 30)));
        assert_eq!(hole(&all[1..], 25, 10), Some((0, 9)));
        assert_eq!(hole(&[losses(0), losses(20)], 25, 10), Some((10, 19)));
        assert_eq!(hole(&[], 1, 10), Some((0, 0)));
        assert_eq!(hole(&[], 0, 10), None);
        assert_eq!(hole(&[losses(0), losses(5), losses(10)], 15, 10), None, "logged more often at first");
    }

    #[test]
    fn a_line_cut_short_is_left_out() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("metrics.jsonl");
        let mut log = Log::start(&path, &[losses(0)], 1, "test").unwrap();
        log.push(&tested(1)).unwrap();
        log.file.write_all(b"{\"iteration\":2,\"fi").unwrap();
        assert_eq!(read(&path).unwrap(), [losses(0), tested(1)]);
    }
}
