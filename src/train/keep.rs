//! Which checkpoints of a run stay.

use super::metrics::{Line, Tested};
use crate::ir::recipe::Keep;

/// The iteration of the best evaluation among those that count, the earliest of equals.
pub(super) fn best(lines: &[Line], counts: impl Fn(u64) -> bool) -> Option<u64> {
    let tested = lines.iter().filter_map(|it| if let Line::Tested(it) = it { Some(it) } else { None });
    let best = |a, b: _| if Tested::is_better(b, a) { b } else { a };
    tested.filter(|it| counts(it.iteration)).reduce(best).map(|it| it.iteration)
}

/// Whether something that happens every so many steps does after this one; 0 is never.
pub(super) fn is_due(step: u64, every: u64) -> bool {
    0 < step && every != 0 && step.is_multiple_of(every)
}

/// Those of `steps` that stay when the checkpoint of `newest` was written. One that is neither written at an interval
/// nor the best, as a stop leaves it, stays until the next one.
pub(super) fn wanted(steps: &[u64], keep: Keep, every: u64, newest: u64, best: &[Option<u64>]) -> Vec<u64> {
    if keep.is_all() {
        return steps.to_vec();
    }
    let regular = |it: &u64| *it == newest || every != 0 && it.is_multiple_of(every);
    let mut wanted: Vec<u64> = steps.iter().copied().filter(regular).collect();
    wanted.sort_unstable_by(|a, b| b.cmp(a));
    let last = keep.last.map_or(usize::MAX, |it| usize::try_from(it).unwrap_or(usize::MAX));
    wanted.truncate(last);
    if keep.best {
        wanted.extend(best.iter().flatten());
    }
    wanted
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn tested(iteration: u64, test_loss: f64, test_accuracy: Option<f64>) -> Line {
        Line::Tested(Tested { iteration, test_loss, test_accuracy, metrics: BTreeMap::new() })
    }

    #[test]
    fn the_best_is_the_earliest_of_equals() {
        let lines = [tested(5, 2.0, Some(0.5)), tested(10, 1.0, Some(0.6)), tested(15, 0.5, Some(0.6))];
        assert_eq!(best(&lines, |_| true), Some(10));
        assert_eq!(best(&lines, |it| it < 10), Some(5));
        assert_eq!(best(&[tested(5, 2.0, None), tested(10, 1.0, None)], |_| true), Some(10));
        assert_eq!(best(&[], |_| true), None);
    }

    #[test]
    fn what_is_asked_for_stays_and_the_rest_goes() {
        let sorted = |mut it: Vec<u64>| {
            it.sort_unstable();
            it.dedup();
            it
        };
        let of = |keep: Keep, newest: u64, best: Option<u64>| {
            sorted(wanted(&[10, 20, 25, 30, 33], keep, 10, newest, &[best]))
        };
        assert_eq!(of(Keep::default(), 33, None), [10, 20, 25, 30, 33]);
        assert_eq!(of(Keep { last: Some(2), best: false }, 33, Some(10)), [30, 33]);
        assert_eq!(of(Keep { last: Some(2), best: true }, 33, Some(10)), [10, 30, 33]);
        assert_eq!(of(Keep { last: None, best: true }, 33, Some(25)), [10, 20, 25, 30, 33]);
        assert_eq!(of(Keep { last: Some(9), best: true }, 40, Some(10)), [10, 20, 30]);
        assert_eq!(of(Keep { last: Some(u64::MAX), best: false }, 33, None), [10, 20, 30, 33]);
        assert_eq!(sorted(wanted(&[4, 7], Keep { last: None, best: true }, 0, 7, &[Some(4)])), [4, 7]);
    }
}
