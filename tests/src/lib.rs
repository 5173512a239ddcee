//! The harness of the end-to-end tests: real parts, each started in a directory of its own, on loopback only,
//! and gone when the test lets go of it.
//!
//! A test reads like this:
//!
//! ```no_run
//! # async fn test() -> anyhow::Result<()> {
//! use homeostat_tests::{control_plane::ControlPlane, workload, parts::Parts};
//!
//! let parts = Parts::find()?; // or `need_parts!("name of the test")`, which skips the test
//! let plane = ControlPlane::start(&parts).await?;
//! let client = plane.client().await?;
//! workload::create_namespace(&client, "shop").await?;
//! let deployment = workload::deploy(&client, "shop", "payment-api", 3).await?;
//! # Ok(()) }
//! ```
//!
//! Nothing here waits by sleeping for a while and hoping: [`wait::until`] polls a condition up to a deadline and
//! fails with what it saw last. `HOMEOSTAT_TESTS_KEEP=1` keeps every directory and its logs for looking at.

// The harness talks to whoever runs the tests: skipped tests and kept directories are told on standard error.
#![allow(clippy::print_stderr)]

pub mod audit;
pub mod browser;
pub mod certificates;
pub mod control_plane;
pub mod exporter;
pub mod faults;
pub mod homeostat;
pub mod http;
pub mod identity;
pub mod kube_metrics;
pub mod kube_state;
pub mod manifest;
pub mod parts;
pub mod ports;
pub mod process;
pub mod prometheus;
pub mod receiver;
pub mod rights;
pub mod scratch;
pub mod shop;
pub mod shop_feed;
pub mod shop_history;
pub mod wait;
pub mod workload;
