//! The running service: what `serve` puts together and keeps going. `demo` and `replay` use its [`cycle`] too.

mod announce_metrics;
mod archiving;
pub(crate) mod cycle;
pub(crate) mod event_log;
pub(crate) mod metrics;
mod publishing;
mod recording;
mod replicas;
mod retraining;
pub(crate) mod service;
