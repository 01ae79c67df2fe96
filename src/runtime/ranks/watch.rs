//! Whether all ranks live: each says so to the next one every second, and ends all when the one before it falls silent.
//!
//! A rank that is dead its launcher notices; one that was stopped, or whose machine is gone, leaves the others waiting.

use mpi::topology::SimpleCommunicator;
use mpi::traits::{Communicator, Destination, Source};
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, sleep};
use std::time::{Duration, Instant};

/// Between two signs of life.
const BEAT: Duration = Duration::from_secs(1);
/// After this without one, a rank is given up.
const SILENCE: Duration = Duration::from_secs(20);
/// Between two looks for one.
const LOOK: Duration = Duration::from_millis(100);

const ALIVE: u8 = 1;
const LEAVES: u8 = 0;

/// A thread that watches.
pub(super) struct Watch {
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// A communicator of this thread's own.
struct Own(SimpleCommunicator);

// SAFETY: it is a handle, MPI may be called by several threads at once, and after this move one thread has it.
unsafe impl Send for Own {}

impl Watch {
    /// Begins to watch; all ranks do so at once.
    pub(super) fn new(world: &SimpleCommunicator) -> Watch {
        let ends = Arc::new(AtomicBool::new(false));
        let (own, told) = (Own(world.duplicate()), ends.clone());
        let watch = move || {
            let own = own;
            watch(&own.0, &told);
        };
        // Without the thread, nobody is watched.
        let thread = std::thread::Builder::new().name("ranks".into()).spawn(watch).ok();
        Watch { ends, thread }
    }

    /// Leaves, once the rank before has left, too.
    pub(super) fn end(mut self) {
        self.ends.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            _ = thread.join();
        }
    }
}

#[allow(clippy::disallowed_methods, reason = "silence is measured in time; no number depends on it")]
fn watch(world: &SimpleCommunicator, ends: &AtomicBool) {
    let (rank, size) = (world.rank(), world.size());
    let (before, next) = ((rank + size - 1) % size, (rank + 1) % size);
    let (before_it, next_it) = (world.process_at_rank(before), world.process_at_rank(next));
    let (mut heard, mut said) = (Instant::now(), None::<Instant>);
    let (mut left, mut has_left) = (false, false);
    while !(left && has_left) {
        if !left && ends.load(Ordering::SeqCst) {
            next_it.send(&LEAVES);
            left = true;
        } else if !left && said.is_none_or(|it| BEAT <= it.elapsed()) {
            next_it.send(&ALIVE);
            said = Some(Instant::now());
        }
        while !has_left && before_it.immediate_probe().is_some() {
            let (sign, _) = before_it.receive::<u8>();
            has_left = sign == LEAVES;
            heard = Instant::now();
        }
        if !has_left && SILENCE < heard.elapsed() {
            let silence = SILENCE.as_secs();
            let _ = writeln!(
                std::io::stderr(),
                "error: rank {before} has given no sign of life for {silence} s, so all ranks end (told by rank {rank})\n  \
                 go on from the last checkpoint with `--resume`, once its machine is well"
            );
            world.abort(1);
        }
        sleep(LOOK);
    }
}
