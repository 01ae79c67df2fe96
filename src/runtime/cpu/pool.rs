//! Threads, and what a kernel gets besides its buffers.

use super::isa::Isa;
use super::memory::{Block, Shared};
use crate::runtime::RuntimeError;
use rayon::prelude::*;

/// Bytes of working memory a kernel wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Scratch {
    /// Used by all tasks of a launch.
    pub(super) shared: usize,
    /// For each thread.
    pub(super) thread: usize,
}

impl Scratch {
    /// Enough for either.
    pub(super) fn max(self, other: Scratch) -> Scratch {
        Scratch { shared: self.shared.max(other.shared), thread: self.thread.max(other.thread) }
    }
}

/// Threads with their working memory.
pub(super) struct Pool {
    pool: rayon::ThreadPool,
    threads: Vec<Block>,
    shared: Block,
    isa: Isa,
}

impl Pool {
    /// Starts threads.
    pub(super) fn new(threads: usize, isa: Isa, scratch: Scratch) -> Result<Pool, RuntimeError> {
        let pool =
            rayon::ThreadPoolBuilder::new().num_threads(threads).build().map_err(|cause| RuntimeError::Device {
                device: "cpu".to_owned(),
                cause: cause.to_string(),
                remedy: "use fewer `--threads`".to_owned(),
            })?;
        let threads = (0..threads)
            .map(|_| Block::new(scratch.thread, "a thread's working memory"))
            .collect::<Result<Vec<Block>, _>>()?;
        Ok(Pool { pool, threads, shared: Block::new(scratch.shared, "working memory")?, isa })
    }

    /// How many threads.
    pub(super) fn threads(&self) -> usize {
        self.threads.len()
    }

    /// Runs launches on the pool's threads.
    pub(super) fn run(&self, seed: u64, work: impl FnOnce(&Context<'_>) + Send) {
        let context = Context { pool: self, isa: self.isa, seed };
        self.pool.install(|| work(&context));
    }
}

/// What a kernel gets besides its buffers.
pub(super) struct Context<'a> {
    pool: &'a Pool,
    /// Vector instructions.
    pub(super) isa: Isa,
    /// Of the plan.
    pub(super) seed: u64,
}

impl Context<'_> {
    /// Runs tasks `0..count`, in any order, on all threads. A kernel's tasks must be the same for any
    /// number of threads, and so must the order in which their results are combined.
    pub(super) fn tasks(&self, count: usize, task: impl Fn(usize) + Send + Sync) {
        if count == 1 {
            task(0);
        } else {
            (0..count).into_par_iter().with_max_len(1).for_each(task);
        }
    }

    /// Working memory of the launch: `shared` bytes, as the kernel asked for at load.
    pub(super) fn shared<T>(&self, from_byte: usize, len: usize) -> Shared<T> {
        Shared::new(self.pool.shared.start().wrapping_add(from_byte).cast(), len)
    }

    /// Working memory of the running task: `thread` bytes, as the kernel asked for at load. Tasks
    /// start no tasks, so one task at a time uses it.
    pub(super) fn thread<T>(&self, from_byte: usize, len: usize) -> Shared<T> {
        let at = rayon::current_thread_index().expect("kernels run on the pool");
        Shared::new(self.pool.threads[at].start().wrapping_add(from_byte).cast(), len)
    }
}
