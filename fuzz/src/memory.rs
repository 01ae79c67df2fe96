//! Counts what is allocated: an input of some kilobytes that asks for gigabytes is a find, even where the system would only
//! promise them.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicIsize, Ordering::Relaxed};

/// The most that an input may take, at once.
const MOST: isize = 1 << 30;

static WATCHED: AtomicBool = AtomicBool::new(false);
static TAKEN: AtomicIsize = AtomicIsize::new(0);

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn take(bytes: usize) {
    let now = TAKEN.fetch_add(bytes as isize, Relaxed) + bytes as isize;
    // The report allocates as well.
    if MOST < now && WATCHED.swap(false, Relaxed) {
        panic!("an input takes {now} bytes of memory, the last {bytes} at once");
    }
}

// SAFETY: all is done by the system's allocator, with what it is given unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        take(layout.size());
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        take(layout.size());
        // SAFETY: as the caller promises.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        TAKEN.fetch_sub(layout.size() as isize, Relaxed);
        take(size);
        // SAFETY: as the caller promises.
        unsafe { System.realloc(at, layout, size) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        TAKEN.fetch_sub(layout.size() as isize, Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(at, layout) }
    }
}

/// Runs something, and panics where it takes too much.
pub(crate) fn watched<T>(run: impl FnOnce() -> T) -> T {
    TAKEN.store(0, Relaxed);
    WATCHED.store(true, Relaxed);
    let res = run();
    WATCHED.store(false, Relaxed);
    res
}
