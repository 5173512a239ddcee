//! What services and their pods did in a step, and what they pass on to each other.

use crate::edge::Edge;

/// Callers give up after this long.
pub(crate) const CALL_TIMEOUT_S: f64 = 2.0;

/// Share of requests that fail when nothing is wrong.
pub(crate) const ERRORS_BASE: f64 = 0.0008;

/// Failed calls are tried again half the time.
const RETRIES: f64 = 0.5;

/// What a service did in a step.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Load {
    pub(crate) offered_rps: f64,
    /// Share of requests that failed, whatever the reason.
    pub(crate) errors: f64,
    /// Share that failed before calling anything.
    pub(crate) errors_own: f64,
    /// 99th percentile.
    pub(crate) latency_s: f64,
    pub(crate) cpu_cores: f64,
    /// Of the pods that served; may exceed 1 when more is asked than they can do.
    pub(crate) utilisation: f64,
    /// Highest pod's, share of its limit.
    pub(crate) memory: f64,
    pub(crate) silence: f64,
    pub(crate) dependencies_fail: bool,
}

/// What comes back from everything a service waits for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Dependencies {
    pub(crate) errors: f64,
    pub(crate) latency_s: f64,
}

impl Dependencies {
    /// From the callees' loads in this step.
    pub(crate) fn of(edges: &[Edge], loads: &[Load]) -> Self {
        let (mut success, mut latency_s) = (1.0, 0.0);
        for edge in edges.iter().filter(|edge| edge.waits) {
            let callee = &loads[edge.to];
            success *= 1.0 - callee.errors * edge.criticality * edge.per_request.min(1.0);
            // A call made by two requests in a hundred shows in the 99th percentile.
            let shows = (edge.per_request / 0.02).min(1.0);
            latency_s += 0.8 * shows * callee.latency_s.min(CALL_TIMEOUT_S);
        }
        Self { errors: 1.0 - success, latency_s }
    }
}

/// Calls a second that arrive at the callee, from the caller's step and the callee's errors in the step before.
pub(crate) fn calls_rps(caller_rps: f64, caller: &Load, edge: &Edge, callee: &Load) -> f64 {
    let retries = if edge.waits { 1.0 + RETRIES * (callee.errors - ERRORS_BASE).max(0.0) } else { 1.0 };
    caller_rps * (1.0 - caller.errors_own) * edge.per_request * retries
}

/// What one pod did in a step.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PodLoad {
    pub(crate) slot: usize,
    pub(crate) rps: f64,
    /// Share of its requests that failed, those that fail behind it included.
    pub(crate) errors: f64,
    pub(crate) latency_s: f64,
    pub(crate) cpu_cores: f64,
}
