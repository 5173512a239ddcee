//! The features every service shows: names, signals, and what deviation is too small to matter.

use std::sync::Arc;

use homeostat_core::{Direction, Feature, Schema, SchemaError, Signal};

/// Number of features.
pub(crate) const N_FEATURES: usize = 8;

/// One service's measurements at one moment, in the schema's order; NaN where there is none.
pub(crate) type Row = [f64; N_FEATURES];

/// Name, signal, direction and `deviation_min`, in the feature's own unit. The last keeps constants from alarming at
/// their first twitch: half a restart, half a percent of errors, 20 ms.
const FEATURES: [(&str, Signal, Direction, f64); N_FEATURES] = [
    ("memory", Signal::Memory, Direction::Up, 0.05),
    ("cpu", Signal::Cpu, Direction::Up, 0.1),
    ("restarts", Signal::Restarts, Direction::Up, 0.5),
    ("oom-kills", Signal::OomKills, Direction::Up, 0.5),
    ("error-ratio", Signal::ErrorRatio, Direction::Up, 0.01),
    ("latency", Signal::Latency, Direction::Up, 0.02),
    ("traffic", Signal::Traffic, Direction::Both, 2.0),
    ("replicas-unavailable", Signal::ReplicasUnavailable, Direction::Up, 0.5),
];

/// The schema of every window of a shop: memory (highest pod, share of its limit), CPU (cores, all pods), container
/// restarts and OOM kills (last 10 minutes), share of requests failed, 99th percentile of latency (s), requests a
/// second, and replicas wanted but not available.
pub(crate) fn schema() -> Result<Arc<Schema>, SchemaError> {
    let feature = |&(name, signal, direction, deviation_min): &(&str, Signal, Direction, f64)| Feature {
        name: name.to_owned(),
        signal,
        direction,
        deviation_min,
    };
    Schema::new(FEATURES.iter().map(feature).collect()).map(Arc::new)
}
