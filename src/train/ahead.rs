//! What the next steps take of examples that lie in a file is read while this one is computed; and how long a step waits for its
//! own is measured.

use crate::data::Pixels;
use crate::ir::{Shard, random};
use crate::plan::{Plan, Training};
use std::ops::Range;
use std::time::Instant;

/// So many steps ahead.
const STEPS: u64 = 4;

/// Reads ahead.
pub(super) struct Ahead {
    pixels: Pixels,
    /// Bytes of an image.
    each: usize,
    seed: u64,
    stream: u64,
    /// Whether batches are in no order.
    shuffled: bool,
    examples: u64,
    batch: u64,
    /// Which examples of a batch are taken here.
    own: Vec<Range<u64>>,
    /// The first step whose images were not asked for yet.
    next: u64,
}

impl Ahead {
    /// For the training images of a run that goes on after so many steps. Nothing is to be read of what is in memory.
    pub(super) fn of(pixels: &Pixels, plan: &Plan, training: &Training, shards: usize, step: u64) -> Option<Ahead> {
        let examples = training.train_examples;
        if pixels.mapped() == 0 || examples == 0 {
            return None;
        }
        Some(Ahead {
            pixels: pixels.clone(),
            each: pixels.len() / examples,
            seed: plan.seed,
            stream: random::stream("shuffle"),
            shuffled: plan.shuffles(),
            examples: examples as u64,
            batch: training.batch as u64,
            own: own(training, shards),
            next: step,
        })
    }

    /// Tells the system how the examples will be looked at, once all that looks at them in their order is done. A device that
    /// has taken a copy of them looks at them no more: then there is nothing to read.
    pub(super) fn begin(self) -> Option<Ahead> {
        if !self.pixels.is_shared() {
            return None;
        }
        if self.shuffled {
            self.pixels.scatter();
        }
        Some(self)
    }

    /// Asks for the examples of the steps after so many, and waits for those of the next one; says for how many seconds.
    pub(super) fn ask(&mut self, step: u64) -> f64 {
        let begun = Instant::now();
        let until = step.saturating_add(STEPS);
        for step in self.next.max(step)..until {
            self.positions(step).for_each(|it| self.pixels.want(self.place(it)));
        }
        self.next = self.next.max(until);
        self.positions(step).for_each(|it| self.pixels.fetch(self.place(it)));
        begun.elapsed().as_secs_f64()
    }

    /// The positions in the order of the training of what a step takes here.
    fn positions(&self, step: u64) -> impl Iterator<Item = u64> {
        self.own.iter().cloned().flatten().map(move |it| step * self.batch + it)
    }

    /// Where the example of a position in the order of the training lies.
    fn place(&self, position: u64) -> Range<usize> {
        let at = match self.shuffled {
            true => random::shuffled(self.seed, self.stream, position, self.examples),
            false => position % self.examples,
        };
        let at = at as usize * self.each;
        at..at + self.each
    }
}

/// Which examples of a batch so many shards take, from that of the plan on; all of them where there are no shards.
fn own(training: &Training, shards: usize) -> Vec<Range<u64>> {
    let part = training.batch / training.accumulate.max(1);
    let of_part = match training.shard {
        Some(first) => {
            let last = Shard::new(first.at + shards.max(1) - 1, first.of, first.whole);
            first.first..last.first + last.examples
        }
        None => 0..part,
    };
    let moved = |at: usize| (at * part + of_part.start) as u64..(at * part + of_part.end) as u64;
    (0..training.accumulate.max(1)).map(moved).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_ahead_is_what_the_steps_take() {
        let of = |shuffled: bool| Ahead {
            pixels: Pixels::default(),
            each: 10,
            seed: 7,
            stream: random::stream("shuffle"),
            shuffled,
            examples: 50,
            batch: 2,
            own: std::iter::once(0..2).collect(),
            next: 0,
        };
        let places = |ahead: &Ahead| (0..50).map(|it| ahead.place(it).start).collect::<Vec<_>>();
        let in_order: Vec<usize> = (0..50).map(|it| 10 * it).collect();
        assert_eq!(places(&of(false)), in_order);
        assert_eq!(of(false).place(51), 10..20);
        let mut found = places(&of(true));
        assert_ne!(found, in_order);
        found.sort_unstable();
        assert_eq!(found, in_order, "each once");
        assert!(of(true).begin().is_none(), "nobody looks at what no device holds");
    }
}
