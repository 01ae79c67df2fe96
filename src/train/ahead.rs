//! What the next steps take of images that lie in a file is read while this one is computed.

use crate::data::Pixels;
use crate::ir::random;
use crate::plan::{Plan, Training};

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

    /// Asks for the images of the steps after so many. Batches in the order of the files need no more than the system does by
    /// itself, and are not harmed by this.
    pub(super) fn ask(&mut self, step: u64) {
        let until = step.saturating_add(STEPS);
        for position in self.next.max(step) * self.batch..until * self.batch {
            let at = random::shuffled(self.seed, self.stream, position, self.examples) as usize * self.each;
            self.pixels.want(at..at + self.each);
        }
        self.next = self.next.max(until);
    }
}
