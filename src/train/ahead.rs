//! What the next steps take of examples that lie in a file is read while this one is computed; and how long a step waits for its
//! own is measured.

use crate::data::Pixels;
use crate::ir::random;
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
    examples: u64,
    batch: u64,
    /// The first step whose images were not asked for yet.
    next: u64,
}

impl Ahead {
    /// For the training images of a run that goes on after so many steps. Nothing is to be read of what is in memory.
    pub(super) fn of(pixels: &Pixels, plan: &Plan, training: &Training, step: u64) -> Option<Ahead> {
        let examples = training.train_examples;
        if pixels.mapped() == 0 || examples == 0 {
            return None;
        }
        Some(Ahead {
            pixels: pixels.clone(),
            each: pixels.len() / examples,
            seed: plan.seed,
            stream: random::stream("shuffle"),
            examples: examples as u64,
            batch: training.batch as u64,
            next: step,
        })
    }

    /// Asks for the examples of the steps after so many, and waits for those of the next one; says for how many seconds.
    /// Batches in the order of the files need no more than the system does by itself, and are not harmed by this.
    pub(super) fn ask(&mut self, step: u64) -> f64 {
        let until = step.saturating_add(STEPS);
        for position in self.next.max(step) * self.batch..until * self.batch {
            self.pixels.want(self.place(position));
        }
        self.next = self.next.max(until);
        let begun = Instant::now();
        for position in step * self.batch..(step + 1) * self.batch {
            self.pixels.fetch(self.place(position));
        }
        begun.elapsed().as_secs_f64()
    }

    /// Where the example of a position in the order of the training lies.
    fn place(&self, position: u64) -> Range<usize> {
        let at = random::shuffled(self.seed, self.stream, position, self.examples) as usize * self.each;
        at..at + self.each
    }
}
