//! What scoring allocates, and what models hold, counted by an allocator.

#![allow(clippy::expect_used, clippy::print_stdout, clippy::print_stderr, reason = "a test program")]

#[cfg(feature = "onnx")]
mod autoencoder;
mod counting;
mod dbscan;
mod memory;
mod window;
