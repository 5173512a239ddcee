//! Asks the processor for memory before it is needed.
//!
//! A subject's models are some 80 KiB that were last read a step ago: with more than a few subjects nothing of it is in the
//! processor's cache, and a row would wait for memory most of its time. Whoever knows who is next says so here. It is a hint: it
//! reads nothing that a program sees, and can't fail.

/// Bytes of a line of cache.
const LINE_BYTES: usize = 64;

/// Asks for all of these values.
#[cfg(target_arch = "x86_64")]
#[inline]
#[allow(unsafe_code, reason = "a hint to the processor")]
pub(crate) fn look_ahead<T>(values: &[T]) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    let first = values.as_ptr().cast::<i8>();
    for byte in (0..size_of_val(values)).step_by(LINE_BYTES) {
        // SAFETY: every x86-64 processor has the instruction; it touches no memory, whatever the address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(first.wrapping_add(byte)) };
    }
}

/// Asks for all of these values, where there is a way to.
#[cfg(not(target_arch = "x86_64"))]
#[inline]
pub(crate) fn look_ahead<T>(_values: &[T]) {}
