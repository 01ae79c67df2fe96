//! Memory: aligned blocks that are allocated once, and views of them.

use crate::runtime::RuntimeError;
use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::ptr::NonNull;

/// Every block and every buffer in the arena starts at a multiple of this.
pub(super) const ALIGN: usize = 64;
/// From this size on, blocks are aligned for huge pages and ask for them.
const HUGE: usize = 2 << 20;

/// Bytes on either side of a block that nobody may touch, in debug builds; large blocks have none, whose pages nothing
/// should take before it needs them. The address sanitizer watches them by itself.
const FENCE: usize = if cfg!(debug_assertions) && !cfg!(sanitized) { ALIGN } else { 0 };
const FENCED: u8 = 0xa5;

/// Zeroed memory that lives as long as this value.
pub(super) struct Block {
    /// As it was allocated.
    allocated: NonNull<u8>,
    layout: Layout,
    /// The first aligned byte.
    start: NonNull<u8>,
    bytes: usize,
    /// Of what lies on either side.
    fence: usize,
}

// SAFETY: a block owns its memory; who may touch which part when is decided by the launches.
unsafe impl Send for Block {}
// SAFETY: as above; `&Block` only hands out raw pointers.
unsafe impl Sync for Block {}

impl Block {
    /// Allocates `bytes` bytes (at least one) for `what`.
    pub(super) fn new(bytes: usize, what: &str) -> Result<Block, RuntimeError> {
        let failed = |cause: &str| RuntimeError::Memory { bytes, what: what.to_owned(), cause: cause.to_owned() };
        let (align, fence) = if HUGE <= bytes && !cfg!(sanitized) { (HUGE, 0) } else { (ALIGN, FENCE) };
        // Aligned by hand: an allocator asked for both zeros and a large alignment writes the zeros,
        // which takes the memory before anything needs it. A sanitizer watches what is around a block, not what is left of it.
        let (spare, aligned) = if cfg!(sanitized) { (0, align) } else { (align + 2 * fence, 1) };
        let size = bytes.max(1).checked_add(spare).ok_or_else(|| failed("the size is out of range"))?;
        let layout = Layout::from_size_align(size, aligned).map_err(|_| failed("the size is out of range"))?;
        // SAFETY: the layout's size is not zero.
        let allocated = NonNull::new(unsafe { alloc_zeroed(layout) }).ok_or_else(|| failed("the system refused"))?;
        // SAFETY: at most `align + fence` bytes on, so within the allocation, with `bytes + fence` bytes behind it.
        let start = unsafe {
            let body = allocated.add(fence);
            body.add(body.align_offset(align))
        };
        if align == HUGE {
            advise_huge_pages(start, bytes);
        }
        let block = Block { allocated, layout, start, bytes, fence };
        for side in block.fences() {
            // SAFETY: a fence is part of the allocation, and of no buffer.
            unsafe { side.write_bytes(FENCED, fence) };
        }
        Ok(block)
    }

    /// Where the fences start.
    fn fences(&self) -> [*mut u8; 2] {
        [self.start().wrapping_sub(self.fence), self.start().wrapping_add(self.bytes)]
    }

    fn is_intact(&self) -> bool {
        // SAFETY: as in `new`; nobody else uses the block any more.
        let fence = |at: *mut u8| unsafe { std::slice::from_raw_parts(at, self.fence) };
        self.fences().into_iter().all(|it| fence(it).iter().all(|it| *it == FENCED))
    }

    /// The first byte.
    pub(super) fn start(&self) -> *mut u8 {
        self.start.as_ptr()
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        let intact = self.is_intact();
        // SAFETY: allocated in `new` with this layout.
        unsafe { dealloc(self.allocated.as_ptr(), self.layout) }
        assert!(intact || std::thread::panicking(), "a kernel wrote beside a block of {} bytes", self.bytes);
    }
}

/// Fewer, larger pages: first touches of an arena otherwise cost more than any pass over it.
#[cfg(target_os = "linux")]
fn advise_huge_pages(start: NonNull<u8>, bytes: usize) {
    unsafe extern "C" {
        fn madvise(start: *mut std::ffi::c_void, bytes: usize, advice: i32) -> i32;
    }
    const MADV_HUGEPAGE: i32 = 14;
    // SAFETY: the range is our own and page-aligned; this advice changes no content. A kernel that
    // does not know it refuses, which does no harm.
    unsafe { madvise(start.as_ptr().cast(), bytes, MADV_HUGEPAGE) };
}

#[cfg(not(target_os = "linux"))]
fn advise_huge_pages(_start: NonNull<u8>, _bytes: usize) {}

/// Element types of buffers: any bits are a value.
pub(super) trait Element: Copy + Send + Sync + 'static {}
impl Element for u8 {}
impl Element for u16 {}
impl Element for i64 {}
impl Element for f32 {}
impl Element for f64 {}

/// The bytes of a buffer during a launch.
#[derive(Clone, Copy, Debug)]
pub(super) struct View {
    /// First byte, aligned for the buffer's element type.
    pub(super) start: *mut u8,
    /// How many.
    pub(super) bytes: usize,
}

// SAFETY: a view is an address; every use of it states why it may be read or written.
unsafe impl Send for View {}
// SAFETY: as above.
unsafe impl Sync for View {}

impl View {
    /// The elements.
    ///
    /// # Safety
    /// The buffer holds `T`, and nobody writes it while the slice lives.
    pub(super) unsafe fn slice<'a, T: Element>(self) -> &'a [T] {
        // SAFETY: the buffer is aligned, initialised (zeroed or bound) and lives as long as the launch;
        // the rest is the caller's promise.
        unsafe { std::slice::from_raw_parts(self.start.cast::<T>(), self.bytes / size_of::<T>()) }
    }

    /// Where to write elements from several tasks.
    #[inline]
    pub(super) fn shared<T: Element>(self) -> Shared<T> {
        Shared { start: self.start.cast(), len: self.bytes / size_of::<T>() }
    }
}

/// A buffer that tasks write side by side, each its own part.
pub(super) struct Shared<T> {
    start: *mut T,
    len: usize,
}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Shared<T> {}

// SAFETY: `part` leaves it to its callers that parts of different tasks are disjoint.
unsafe impl<T: Send> Send for Shared<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Shared<T> {}

impl<T> Shared<T> {
    /// Memory for `len` elements at `start`.
    pub(super) fn new(start: *mut T, len: usize) -> Self {
        Self { start, len }
    }

    /// Elements `from .. from + len`.
    ///
    /// # Safety
    /// Nobody else reads or writes them while the slice lives.
    #[inline]
    pub(super) unsafe fn part<'a>(self, from: usize, len: usize) -> &'a mut [T] {
        assert!(from <= self.len && len <= self.len - from, "{from} + {len} of {}", self.len);
        // SAFETY: in range as just checked; exclusive by the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(from), len) }
    }

    /// Elements `from .. from + len`, to read.
    ///
    /// # Safety
    /// Nobody writes them while the slice lives.
    #[inline]
    pub(super) unsafe fn slice<'a>(self, from: usize, len: usize) -> &'a [T] {
        assert!(from <= self.len && len <= self.len - from, "{from} + {len} of {}", self.len);
        // SAFETY: in range as just checked; unwritten by the caller's promise.
        unsafe { std::slice::from_raw_parts(self.start.add(from), len) }
    }

    /// The address of element `at`; bounds are the caller's business.
    #[inline]
    pub(super) fn at(self, at: usize) -> *mut T {
        debug_assert!(at <= self.len);
        self.start.wrapping_add(at)
    }
}

#[cfg(all(test, debug_assertions))]
mod tests {
    use super::*;

    /// By the address sanitizer, which ends the program (`tests/sanitize.sh`).
    #[cfg(sanitized)]
    #[test]
    #[ignore = "ends the program"]
    fn a_write_beside_a_block_is_the_end() {
        let block = Block::new(100, "a test").unwrap();
        // SAFETY: none, which is to be seen.
        unsafe { *block.start().wrapping_offset(100) = 0 };
    }

    #[cfg(not(sanitized))]
    #[test]
    fn a_write_beside_a_block_is_found() {
        for (bytes, at) in [(0, 0isize), (1, 1), (100, 100), (100, 163), (100, -1), (64, -64)] {
            let block = Block::new(bytes, "a test").unwrap();
            assert!(block.is_intact() && block.start().align_offset(ALIGN) == 0);
            // SAFETY: within the allocation: a block's fence.
            unsafe { *block.start().wrapping_offset(at) = 0 };
            assert!(!block.is_intact(), "{bytes} {at}");
            // SAFETY: as above.
            unsafe { *block.start().wrapping_offset(at) = FENCED };
            assert!(block.is_intact());
        }
    }
}
