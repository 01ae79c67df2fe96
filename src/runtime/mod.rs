//! (Unstable.) Runs plans. A runtime knows no ops, only launches.

pub mod cpu;
#[cfg(feature = "cuda")]
pub mod cuda;
mod free;
mod nodes;
pub mod ranks;
mod session;
mod setup;

pub use free::{Free, free_memory};
pub use nodes::cuda_nodes;
pub(crate) use nodes::cuda_units;
pub use session::{Session, Summary};
pub use setup::CudaSetup;

use crate::ir::Phase;
use crate::plan::BufferId;
use std::sync::Arc;

/// What keeps a plan from running: the environment, never the model.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// A device that this build or machine does not have.
    #[error("{device} is not available: {cause}\n  {remedy}")]
    Device {
        /// As the user named it.
        device: String,
        /// Why.
        cause: String,
        /// What to do.
        remedy: String,
    },
    /// Not enough memory.
    #[error("cannot allocate {bytes} bytes for {what}: {cause}\n  use a smaller `--batch`")]
    Memory {
        /// How many.
        bytes: usize,
        /// What for.
        what: String,
        /// Why.
        cause: String,
    },
    /// More memory than is free. Nothing was allocated.
    #[error("{what} needs {} of memory, and {} are {bound}\n  {remedy}", size(*needed), size(*free))]
    TooLarge {
        /// What needs it: `a step of 64 images`.
        what: String,
        /// Bytes.
        needed: usize,
        /// Bytes.
        free: usize,
        /// What sets the bound: `free on this machine`.
        bound: String,
        /// What to do.
        remedy: String,
    },
    /// Data of another size than the plan was made for.
    #[error("`{name}` has {found} bytes, but the plan was made for {expected}")]
    Size {
        /// Which buffer.
        name: String,
        /// Bytes the plan wants.
        expected: usize,
        /// Bytes given.
        found: usize,
    },
    /// Another rank of a training in several processes.
    #[error("{cause}\n  {remedy}")]
    Ranks {
        /// What is wrong.
        cause: String,
        /// What to do.
        remedy: String,
    },
    /// A plan that contradicts itself: written by hand, or by another version.
    #[error("the plan cannot be run: {cause}\n  compile the model again")]
    Plan {
        /// What is wrong with it.
        cause: String,
    },
}

/// `12.3 GB`, for people.
pub(crate) fn size(bytes: usize) -> String {
    let units = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];
    let mut value = bytes as f64;
    let mut at = 0;
    while 999.5 <= value && at + 1 < units.len() {
        value /= 1000.0;
        at += 1;
    }
    let digits = if at == 0 || 99.95 <= value { 0 } else { 1 };
    format!("{value:.digits$} {}", units[at])
}

/// What a device can do at best: units times clock, as on its data sheet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Peaks {
    /// Operations per second of contractions, in the arithmetic that was asked for.
    pub contraction: f64,
    /// Operations per second of everything else.
    pub scalar: f64,
    /// Bytes per second from and to memory.
    pub bytes: f64,
}

/// Bytes of somebody else's, in memory or in a file that is mapped.
pub type Lent = Arc<dyn AsRef<[u8]> + Send + Sync>;

/// A device that holds a plan's buffers and runs its phases. Bytes are in the plan's layout: reals in
/// its precision, integers as i64, native endian.
pub trait Backend {
    /// Copies bytes into a buffer.
    fn write(&mut self, buffer: BufferId, bytes: &[u8]) -> Result<(), RuntimeError>;
    /// Binds bytes to a buffer that comes from outside, without a copy where the device can.
    fn share(&mut self, buffer: BufferId, bytes: Lent) -> Result<(), RuntimeError> {
        self.write(buffer, (*bytes).as_ref())
    }
    /// Copies a buffer's bytes out.
    fn read(&self, buffer: BufferId) -> Result<Vec<u8>, RuntimeError>;
    /// Shows a buffer's bytes, without a copy where the device can.
    fn look(&self, buffer: BufferId, see: &mut dyn FnMut(&[u8])) -> Result<(), RuntimeError> {
        see(&self.read(buffer)?);
        Ok(())
    }
    /// Does what another process asks for, if one drives this device; `before_step` is told the number of each step.
    fn follow(&mut self, _before_step: &mut dyn FnMut(u64)) -> Result<(), RuntimeError> {
        Ok(())
    }
    /// Batches that it evaluates at once, each from where the one before ends.
    fn lanes(&self) -> usize {
        1
    }
    /// A result of one of the batches that were evaluated at once.
    fn read_lane(&self, _lane: usize, buffer: BufferId) -> Result<Vec<u8>, RuntimeError> {
        self.read(buffer)
    }
    /// Runs one launch of a phase, by its number; tells whether the device can. One that records whole phases cannot.
    fn run_one(&mut self, _phase: Phase, _launch: usize) -> Result<bool, RuntimeError> {
        Ok(false)
    }
    /// Runs one phase. A device of its own may still be at work on return; reads wait for it.
    fn run(&mut self, phase: Phase) -> Result<(), RuntimeError>;
    /// Nodes of the graph that a phase is on the device, where it is one.
    fn nodes(&self, _phase: Phase) -> Option<usize> {
        None
    }
    /// Waits until the device has done all that it was asked for.
    fn wait(&self) -> Result<(), RuntimeError> {
        Ok(())
    }
    /// Starts copying buffers out, behind all that was asked for so far. A device that has done it already gives their
    /// bytes, one after the other; others give nothing, and the bytes with [`Backend::arrived`], in order of the requests.
    fn request(&mut self, buffers: &[BufferId]) -> Result<Option<Vec<u8>>, RuntimeError> {
        let all = buffers.iter().map(|&it| self.read(it)).collect::<Result<Vec<_>, _>>()?;
        Ok(Some(all.concat()))
    }
    /// The bytes of the oldest request that were not given yet; nothing while they are on their way, unless `wait`.
    fn arrived(&mut self, _wait: bool) -> Result<Option<Vec<u8>>, RuntimeError> {
        Ok(None)
    }
    /// Runs one phase launch by launch and tells how many seconds each took, alone: for `bench`, slower than `run`. One that
    /// is part of the one before takes none.
    /// A device that cannot tell runs the phase and says nothing.
    fn measure(&mut self, phase: Phase) -> Result<Vec<f64>, RuntimeError> {
        self.run(phase)?;
        Ok(Vec::new())
    }
    /// What the device can do at best, if that is known.
    fn peaks(&self) -> Option<Peaks> {
        None
    }
    /// What it is, in a few words: `CPU, 2 threads, avx512`.
    fn describe(&self) -> String;
}
