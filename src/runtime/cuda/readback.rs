//! Results that come back while the device goes on: a ring of pinned memory.

use cudarc::driver::sys::CUdeviceptr;
use cudarc::driver::{CudaContext, CudaEvent, CudaStream, DriverError, result};
use std::collections::VecDeque;
use std::ffi::c_void;
use std::sync::Arc;

/// Requests that can be on their way at once.
const SLOTS: usize = 16;

/// Bytes of a request; larger ones are not taken.
const BYTES: usize = 1024;

/// The ring.
pub(super) struct ReadBack {
    /// Pinned, and not write-combined: the host reads it.
    memory: *mut c_void,
    events: Vec<CudaEvent>,
    /// Slot and bytes of each request that is on its way, the oldest first.
    waiting: VecDeque<(usize, usize)>,
    next: usize,
    context: Arc<CudaContext>,
}

// SAFETY: the memory belongs to this value alone.
unsafe impl Send for ReadBack {}

impl ReadBack {
    pub(super) fn new(context: &Arc<CudaContext>) -> Result<Self, DriverError> {
        let events = (0..SLOTS).map(|_| context.new_event(None)).collect::<Result<Vec<_>, _>>()?;
        context.bind_to_thread()?;
        // SAFETY: freed once, when this is dropped.
        let memory = unsafe { result::malloc_host(SLOTS * BYTES, 0) }?;
        Ok(Self { memory, events, waiting: VecDeque::new(), next: 0, context: context.clone() })
    }

    /// Queues copies of these places of the device; false when there is no room for them.
    pub(super) fn request(&mut self, stream: &CudaStream, parts: &[(CUdeviceptr, usize)]) -> Result<bool, DriverError> {
        let bytes: usize = parts.iter().map(|it| it.1).sum();
        if BYTES < bytes || self.waiting.len() == SLOTS {
            return Ok(false);
        }
        let mut end = 0;
        for &(from, len) in parts {
            // SAFETY: the slot is not waited for by another request, and `end + len` stays within it.
            unsafe {
                let to = self.memory.cast::<u8>().add(self.next * BYTES + end);
                let to = std::slice::from_raw_parts_mut(to, len);
                result::memcpy_dtoh_async(to, from, stream.cu_stream())?;
            }
            end += len;
        }
        self.events[self.next].record(stream)?;
        self.waiting.push_back((self.next, bytes));
        self.next = (self.next + 1) % SLOTS;
        Ok(true)
    }

    /// The bytes of the oldest request; nothing while they are on their way, unless `wait`.
    pub(super) fn arrived(&mut self, wait: bool) -> Result<Option<Vec<u8>>, DriverError> {
        let Some(&(slot, bytes)) = self.waiting.front() else { return Ok(None) };
        if wait {
            self.events[slot].synchronize()?;
        } else if !self.events[slot].is_complete() {
            return Ok(None);
        }
        self.waiting.pop_front();
        // SAFETY: the copies to this slot have arrived, and no other is queued.
        let arrived = unsafe { std::slice::from_raw_parts(self.memory.cast::<u8>().add(slot * BYTES), bytes) };
        Ok(Some(arrived.to_vec()))
    }
}

impl Drop for ReadBack {
    fn drop(&mut self) {
        // What is on its way must not arrive in memory that is gone.
        let _ = self.context.synchronize();
        // SAFETY: allocated by `new`, and not used after this.
        let _ = unsafe { result::free_host(self.memory) };
    }
}
