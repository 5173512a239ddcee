//! Tests of the harness itself: each part starts, and does what the harness promises.

mod control_plane;
mod process;
mod prometheus;
mod shop;
mod workload;
