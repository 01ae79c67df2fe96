//! Memory: aligned blocks that are allocated once, and views of them.

use crate::runtime::RuntimeError;
use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::ptr::NonNull;

/// Every block and every buffer in the arena starts at a multiple of this.
pub(super) const ALIGN: usize = 64;
/// From this size on, blocks are aligned for huge pages and ask for them.
const HUGE: usize = 2 << 20;

/// Zeroed memory that lives as long as this value.
pub(super) struct Block {
    /// As it was allocated.
    allocated: NonNull<u8>,
    layout: Layout,
    /// The first aligned byte.
    start: NonNull<u8>,
}

// SAFETY: a block owns its memory; who may touch which part when is decided by the launches.
unsafe impl Send for Block {}
// SAFETY: as above; `&Block` only hands out raw pointers.
unsafe impl Sync for Block {}

impl Block {
    /// Allocates `bytes` bytes (at least one) for `what`.
    pub(super) fn new(bytes: usize, what: &str) -> Result<Block, RuntimeError> {
        let failed = |cause: &str| RuntimeError::Memory { bytes, what: what.to_owned(), cause: cause.to_owned() };
        let align = if HUGE <= bytes { HUGE } else { ALIGN };
        // Aligned by hand: an allocator asked for both zeros and a large alignment writes the zeros,
        // which takes the memory before anything needs it.
        let size = bytes.max(1).checked_add(align).ok_or_else(|| failed("the size is out of range"))?;
        let layout = Layout::from_size_align(size, 1).map_err(|_| failed("the size is out of range"))?;
        // SAFETY: the layout's size is not zero.
        let allocated = NonNull::new(unsafe { alloc_zeroed(layout) }).ok_or_else(|| failed("the system refused"))?;
        // SAFETY: at most `align` bytes on, so within the allocation, with `bytes` bytes behind it.
        let start = unsafe { allocated.add(allocated.align_offset(align)) };
        if HUGE <= bytes {
            advise_huge_pages(start, bytes);
        }
        Ok(Block { allocated, layout, start })
    }

    /// The first byte.
    pub(super) fn start(&self) -> *mut u8 {
        self.start.as_ptr()
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with this layout.
        unsafe { dealloc(self.allocated.as_ptr(), self.layout) }
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
    pub(super) unsafe fn part<'a>(self, from: usize, len: usize) -> &'a mut [T] {
        assert!(from <= self.len && len <= self.len - from, "{from} + {len} of {}", self.len);
        // SAFETY: in range as just checked; exclusive by the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(from), len) }
    }

    /// Elements `from .. from + len`, to read.
    ///
    /// # Safety
    /// Nobody writes them while the slice lives.
    pub(super) unsafe fn slice<'a>(self, from: usize, len: usize) -> &'a [T] {
        assert!(from <= self.len && len <= self.len - from, "{from} + {len} of {}", self.len);
        // SAFETY: in range as just checked; unwritten by the caller's promise.
        unsafe { std::slice::from_raw_parts(self.start.add(from), len) }
    }

    /// The address of element `at`; bounds are the caller's business.
    pub(super) fn at(self, at: usize) -> *mut T {
        debug_assert!(at <= self.len);
        self.start.wrapping_add(at)
    }
}
