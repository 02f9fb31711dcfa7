//! An allocator that counts, for tests of who may not allocate.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

/// The system's allocator, which counts what the threads under watch ask of it. A test makes it its own:
///
/// ```
/// use ports::contract::Allocations;
/// #[global_allocator]
/// static ALLOCATIONS: Allocations = Allocations::new();
/// ALLOCATIONS.watch();
/// let before = ALLOCATIONS.seen();
/// drop(Box::new(1));
/// assert_eq!(ALLOCATIONS.seen(), before + 2, "one to have, one to give back");
/// ```
#[derive(Debug)]
pub struct Allocations {
    seen: AtomicU64,
}

thread_local! {
    /// Whether this thread is under watch: the test harness has others.
    static WATCHED: Cell<bool> = const { Cell::new(false) };
}

impl Allocations {
    /// One that has seen nothing.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "for a static, which takes no default")]
    pub const fn new() -> Self {
        Self { seen: AtomicU64::new(0) }
    }

    /// Counts what the calling thread does, from now on.
    pub fn watch(&self) {
        WATCHED.set(true);
    }

    /// Pieces of memory that threads under watch had or gave back, so far.
    pub fn seen(&self) -> u64 {
        self.seen.load(Ordering::SeqCst)
    }

    fn see(&self) {
        if WATCHED.get() {
            self.seen.fetch_add(1, Ordering::SeqCst);
        }
    }
}

// SAFETY: hands everything to the system's allocator as it is; counting allocates nothing.
unsafe impl GlobalAlloc for Allocations {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.see();
        // SAFETY: the caller's promises are the system allocator's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        self.see();
        // SAFETY: as above.
        unsafe { System.dealloc(at, layout) }
    }
}
