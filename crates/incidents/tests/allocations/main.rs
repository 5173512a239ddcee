//! What a tick allocates, counted by an allocator.

#![allow(clippy::expect_used, reason = "a test program")]

#[path = "../../../detect/tests/allocations/counting.rs"]
mod counting;
mod monitor;
#[path = "../../../detect/tests/allocations/window.rs"]
mod window;
