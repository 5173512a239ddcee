//! Tests of the harness itself: each part starts, and does what the harness promises.

mod control_plane;
mod workload;
