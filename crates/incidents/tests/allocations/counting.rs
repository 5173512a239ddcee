//! An allocator that counts, by thread: other tests of this program don't disturb.

#![expect(unsafe_code, reason = "counting allocations takes an allocator of our own")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Counting;

thread_local! {
    static N_ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
    static BYTES_HELD: Cell<isize> = const { Cell::new(0) };
}

fn count(n_allocations: usize, bytes: isize) {
    N_ALLOCATIONS.with(|count| count.set(count.get() + n_allocations));
    BYTES_HELD.with(|held| held.set(held.get().wrapping_add(bytes)));
}

// SAFETY: every call is passed on unchanged to the system's allocator; counting touches only a thread's own cells, which
// need no allocation and no destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(1, layout.size() as isize);
        // SAFETY: the caller keeps `alloc`'s contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        count(0, -(layout.size() as isize));
        // SAFETY: the caller keeps `dealloc`'s contract, and the block came from `System`.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(1, size as isize - layout.size() as isize);
        // SAFETY: the caller keeps `realloc`'s contract, and the block came from `System`.
        unsafe { System.realloc(block, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How often this thread allocated meanwhile.
pub(crate) fn counted(work: impl FnOnce()) -> usize {
    let before = N_ALLOCATIONS.with(Cell::get);
    work();
    N_ALLOCATIONS.with(Cell::get) - before
}

/// Bytes this thread allocated and nobody freed.
pub(crate) fn bytes_held() -> isize {
    BYTES_HELD.with(Cell::get)
}

#[test]
fn the_counter_counts() {
    assert_eq!(counted(|| drop(vec![0_u8; 8])), 1);
    let before = bytes_held();
    let held = vec![0_u8; 1000];
    assert_eq!(bytes_held() - before, 1000);
    drop(held);
    assert_eq!(bytes_held(), before);
}
