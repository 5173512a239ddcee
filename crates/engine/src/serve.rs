//! The running service: what `serve` puts together and keeps going. `demo` and `replay` use its [`cycle`] too.

mod announce_metrics;
mod approving;
mod archiving;
mod cluster_metrics;
pub(crate) mod cycle;
pub(crate) mod event_log;
pub(crate) mod facts;
pub(crate) mod incident_list;
mod labelling;
pub(crate) mod live;
pub(crate) mod metrics;
mod outage;
mod policy_files;
mod publishing;
pub(crate) mod puller;
pub(crate) mod readiness;
mod recording;
pub(crate) mod replica;
pub(crate) mod retraining;
mod rollouts;
mod sample_ages;
pub(crate) mod service;
pub(crate) mod snapshot;
mod source_log;
pub(crate) mod timeline;
pub(crate) mod window_rows;
