//! What a run knows of its evaluations at intervals. It is part of checkpoints, so that a run goes on to the same end whatever
//! became of its log.

use super::keep;
use super::metrics::{Line, Tested};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The key of a checkpoint's metadata that holds it, as JSON.
pub(super) const KEY: &str = "evaluations";

/// The best of the evaluations at intervals, and how many came since.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The best one, the earliest of equals; without metrics of the recipe.
    pub best: Option<Tested>,
    /// So many came after it.
    pub since: u64,
    /// The iteration of the last one.
    last: Option<u64>,
}

impl Record {
    /// Of what was logged by a run that is evaluated every so many steps.
    pub(super) fn of(lines: &[Line], every: u64) -> Record {
        let mut res = Record::default();
        for line in lines {
            if let Line::Tested(tested) = line
                && keep::is_due(tested.iteration, every)
            {
                res.see(tested);
            }
        }
        res
    }

    /// What the metadata of a checkpoint say, if anything.
    pub(super) fn said(metadata: &BTreeMap<String, String>) -> Result<Option<Record>, String> {
        let Some(text) = metadata.get(KEY) else { return Ok(None) };
        serde_json::from_str(text).map(Some).map_err(|it| format!("its metadata `{KEY}` cannot be understood: {it}"))
    }

    pub(super) fn text(&self) -> String {
        serde_json::to_string(self).expect("a record is plain data")
    }

    /// Counts an evaluation at an interval; one that is counted already is not counted twice.
    pub(super) fn see(&mut self, tested: &Tested) {
        if self.last.is_some_and(|it| tested.iteration <= it) {
            return;
        }
        self.last = Some(tested.iteration);
        if self.best.as_ref().is_none_or(|it| tested.is_better(it)) {
            self.best = Some(Tested { metrics: BTreeMap::new(), ..tested.clone() });
            self.since = 0;
        } else {
            // A checkpoint may say any number.
            self.since = self.since.saturating_add(1);
        }
    }

    /// Whether a run of such a patience ends here.
    pub fn is_over(&self, patience: u64) -> bool {
        patience != 0 && patience <= self.since
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tested(iteration: u64, accuracy: f64) -> Tested {
        Tested { iteration, test_loss: 1.0, test_accuracy: Some(accuracy), metrics: BTreeMap::new() }
    }

    #[test]
    fn evaluations_at_intervals_are_counted_once_and_equals_are_no_better() {
        let all = [(10, 0.5), (20, 0.6), (30, 0.6), (35, 0.9), (40, 0.1)].map(|(at, it)| tested(at, it));
        let lines: Vec<Line> = all.iter().cloned().map(Line::Tested).collect();
        let mut record = Record::of(&lines, 10);
        assert_eq!((record.best.as_ref().unwrap().iteration, record.since), (20, 2));
        record.see(&all[4]);
        assert_eq!(record.since, 2);
        assert!(record.is_over(2) && !record.is_over(3) && !record.is_over(0));
        let metadata = BTreeMap::from([(KEY.to_owned(), record.text())]);
        assert_eq!(Record::said(&metadata), Ok(Some(record)));
        assert!(Record::said(&BTreeMap::from([(KEY.to_owned(), "{".to_owned())])).is_err());
        let text =
            r#"{"best":{"iteration":1,"test_loss":1.0,"test_accuracy":0.9},"since":18446744073709551615,"last":1}"#;
        let mut full = Record::said(&BTreeMap::from([(KEY.to_owned(), text.to_owned())])).unwrap().unwrap();
        full.see(&all[0]);
        assert!(full.is_over(u64::MAX));
    }
}
