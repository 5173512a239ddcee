//! The running service: what `serve` puts together and keeps going. `demo` and `replay` use its [`cycle`] too.

pub(crate) mod cycle;
pub(crate) mod event_log;
pub(crate) mod metrics;
mod replicas;
mod retraining;
pub(crate) mod service;
