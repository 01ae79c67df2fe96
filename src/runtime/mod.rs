//! Runs plans. A runtime knows no ops, only launches.

pub mod cpu;
#[cfg(feature = "cuda")]
pub mod cuda;
mod session;

pub use session::Session;

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
    /// A plan that contradicts itself: written by hand, or by another version.
    #[error("the plan cannot be run: {cause}\n  compile the model again")]
    Plan {
        /// What is wrong with it.
        cause: String,
    },
}

/// A device that holds a plan's buffers and runs its phases. Bytes are in the plan's layout: reals in
/// its precision, integers as i64, native endian.
pub trait Backend {
    /// Copies bytes into a buffer.
    fn write(&mut self, buffer: BufferId, bytes: &[u8]) -> Result<(), RuntimeError>;
    /// Binds bytes to a buffer that comes from outside, without a copy where the device can.
    fn share(&mut self, buffer: BufferId, bytes: Arc<Vec<u8>>) -> Result<(), RuntimeError> {
        self.write(buffer, &bytes)
    }
    /// Copies a buffer's bytes out.
    fn read(&self, buffer: BufferId) -> Result<Vec<u8>, RuntimeError>;
    /// Runs one phase. A device of its own may still be at work on return; reads wait for it.
    fn run(&mut self, phase: Phase) -> Result<(), RuntimeError>;
    /// Waits until the device has done all that it was asked for.
    fn wait(&self) -> Result<(), RuntimeError> {
        Ok(())
    }
    /// What it is, in a few words: `CPU, 2 threads, avx512`.
    fn describe(&self) -> String;
}
