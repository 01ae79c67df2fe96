//! What the next steps take of examples that lie in a file is read while this one is computed; and how long a step waits for its
//! own is measured.

use crate::data::Pixels;
use crate::ir::{Shard, random};
use crate::plan::{Plan, Training};
use std::ops::Range;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::Instant;

/// Bytes that are read ahead: the shorter a step is, the more of them pass while a disk hesitates.
const BYTES: u64 = 32 << 20;
/// The fewest steps ahead, and the most.
const STEPS: [u64; 2] = [4, 64];

/// Reads ahead, in a thread of its own: that the system finds memory, starts reading and maps what was read is work, and much of it
/// where memory is short.
pub(super) struct Ahead {
    /// Steps that are about to be done.
    asked: Sender<u64>,
    /// Steps whose examples were in memory, in their order.
    done: Receiver<u64>,
    /// All steps before this one are among them.
    ready: u64,
    /// How many steps ahead is read, and up to which.
    ahead: u64,
    until: u64,
}

/// Which examples the steps take, and where they lie.
pub(super) struct Order {
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
    /// The first step that will ask.
    first: u64,
}

impl Order {
    /// That of the training images, for a run that goes on after so many steps. Nothing is to be read of what is in memory.
    pub(super) fn of(pixels: &Pixels, plan: &Plan, training: &Training, shards: usize, step: u64) -> Option<Order> {
        let examples = training.train_examples;
        if pixels.mapped() == 0 || examples == 0 {
            return None;
        }
        Some(Order {
            pixels: pixels.clone(),
            each: pixels.len() / examples,
            seed: plan.seed,
            stream: random::stream("shuffle"),
            shuffled: plan.shuffles(),
            examples: examples as u64,
            batch: training.batch as u64,
            own: own(training, shards),
            first: step,
        })
    }

    /// Tells the system how the examples will be looked at, once all that looks at them in their order is done, and begins to
    /// read. A device that has taken a copy of them looks at them no more: then there is nothing to read. Where the system has no
    /// thread left, examples are read when they are looked at.
    pub(super) fn begin(self) -> Option<Ahead> {
        if !self.pixels.is_shared() {
            return None;
        }
        if self.shuffled {
            self.pixels.scatter();
        }
        let (ready, ahead) = (self.first, self.ahead());
        let (asked, goals) = mpsc::channel();
        let (tell, done) = mpsc::channel();
        thread::Builder::new().name("examples".to_owned()).spawn(move || self.read(&goals, &tell)).ok()?;
        Some(Ahead { asked, done, ready, ahead, until: ready })
    }

    /// Reads for the steps before those that come, until nobody asks any more.
    fn read(&self, goals: &Receiver<u64>, tell: &Sender<u64>) {
        let mut next = self.first;
        let ahead = self.ahead();
        while let Ok(step) = goals.recv() {
            // Of steps that somebody else did, as of a run that goes on, nothing is wanted.
            let steps = next.max(step)..step.saturating_add(ahead);
            next = next.max(steps.end);
            for step in steps.clone() {
                // The system reads for one step more than is waited for.
                let wanted = if step == steps.start { step..step + 2 } else { step + 1..step + 2 };
                let wanted = wanted.take_while(|it| *it < steps.end).flat_map(|it| self.places(it));
                wanted.for_each(|it| self.pixels.want(it));
                self.places(step).for_each(|it| self.pixels.fetch(it));
                if tell.send(step).is_err() {
                    return;
                }
            }
        }
    }

    /// How many steps ahead is read.
    fn ahead(&self) -> u64 {
        let of_step = self.own.iter().map(|it| it.end - it.start).sum::<u64>().saturating_mul(self.each as u64);
        (BYTES / of_step.max(1)).clamp(STEPS[0], STEPS[1])
    }

    /// Where the examples of a step lie.
    fn places(&self, step: u64) -> impl Iterator<Item = Range<usize>> {
        self.positions(step).map(|it| self.place(it))
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

impl Ahead {
    /// Asks for the examples of the steps after so many, and waits for those of the next one; says for how many seconds.
    pub(super) fn ask(&mut self, step: u64) -> f64 {
        let begun = Instant::now();
        // Where the thread is gone, examples are read when they are looked at.
        let mut goes_on = true;
        // To wake it costs more than to look whether it is done.
        if self.until <= step + self.ahead / 2 {
            self.until = step + self.ahead;
            goes_on = self.asked.send(step).is_ok();
        }
        while goes_on && self.ready <= step {
            match self.done.recv() {
                Ok(done) => self.ready = done + 1,
                Err(mpsc::RecvError) => goes_on = false,
            }
        }
        begun.elapsed().as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_ahead_is_what_the_steps_take() {
        let of = |shuffled: bool| Order {
            pixels: Pixels::default(),
            each: 10,
            seed: 7,
            stream: random::stream("shuffle"),
            shuffled,
            examples: 50,
            batch: 2,
            own: std::iter::once(0..2).collect(),
            first: 0,
        };
        let places = |order: &Order| (0..50).map(|it| order.place(it).start).collect::<Vec<_>>();
        let in_order: Vec<usize> = (0..50).map(|it| 10 * it).collect();
        assert_eq!(places(&of(false)), in_order);
        assert_eq!(of(false).place(51), 10..20);
        assert_eq!(of(false).places(25).collect::<Vec<_>>(), [0..10, 10..20]);
        let mut found = places(&of(true));
        assert_ne!(found, in_order);
        found.sort_unstable();
        assert_eq!(found, in_order, "each once");
        assert!(of(true).begin().is_none(), "nobody looks at what no device holds");
    }

    #[test]
    fn a_step_waits_for_its_own_examples_and_no_thread_stays() {
        let order = Order {
            pixels: Pixels::default(),
            each: 10,
            seed: 7,
            stream: random::stream("shuffle"),
            shuffled: true,
            examples: 50,
            batch: 2,
            own: std::iter::once(0..2).collect(),
            first: 3,
        };
        let most = order.ahead();
        let (asked, goals) = mpsc::channel();
        let (tell, done) = mpsc::channel();
        let reader = thread::spawn(move || order.read(&goals, &tell));
        let mut ahead = Ahead { asked, done, ready: 3, ahead: most, until: 3 };
        // A run that goes on asks for a later one first.
        for step in 1_000_000_000..1_000_000_040 {
            assert!(0.0 <= ahead.ask(step));
            assert!(step < ahead.ready && ahead.ready <= step + most, "{step}: {}", ahead.ready);
        }
        drop(ahead);
        reader.join().unwrap();
        // Without a thread nobody waits.
        let (asked, _) = mpsc::channel();
        let (_, done) = mpsc::channel();
        assert!((Ahead { asked, done, ready: 0, ahead: 4, until: 0 }).ask(0) < 60.0);
    }
}
