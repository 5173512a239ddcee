//! Requests in, CPU, latency and errors out: one step of one service.

use std::time::Duration;

use homeostat_core::Timestamp;

use crate::ailment::ailment;
use crate::load::{CALL_TIMEOUT_S, Dependencies, ERRORS_BASE, Load, PodLoad};
use crate::service::Service;

/// How much queueing adds. A queue with one server and random arrivals waits `ρ/(1−ρ)` service times on average
/// (M/M/1; Kleinrock, Queueing Systems I, 1975, §3.2). A pod has several workers, so short queues are rarer:
/// `ρ²/(1−ρ)`, and this share of it.
const QUEUE_SHARE: f64 = 0.35;
/// Above this utilisation, requests are shed instead of queued.
const UTILISATION_MAX: f64 = 0.97;

/// Dependencies fail so often that a new process can't get ready at its usual speed.
const DEPENDENCIES_FAIL: f64 = 0.2;

impl Service {
    /// Serves one step's requests.
    pub(crate) fn serve(&mut self, offered_rps: f64, dependencies: &Dependencies, now: Timestamp, step: Duration) {
        let mut pods = std::mem::take(&mut self.pod_loads);
        self.load = serve(self, offered_rps, dependencies, (now, step), &mut pods);
        self.pod_loads = pods;
    }
}

/// The sums over pods that a step needs.
#[derive(Default)]
struct Sums {
    errors: f64,
    silence: f64,
    latency_s: f64,
    latency_s_max: f64,
    cpu_cores: f64,
    utilisation: f64,
}

/// One step: requests spread evenly over the pods that are ready. What each of them did goes into `pods`, which is replaced.
fn serve(
    service: &Service,
    offered_rps: f64,
    deps: &Dependencies,
    (now, step): (Timestamp, Duration),
    pods: &mut Vec<PodLoad>,
) -> Load {
    pods.clear();
    let n_ready: f64 = service.pods.iter().map(|pod| pod.share_ready(now, step)).sum();
    let dependencies_fail = deps.errors > DEPENDENCIES_FAIL;
    if n_ready <= 0.0 {
        return Load {
            offered_rps,
            errors: 1.0,
            errors_own: 1.0,
            latency_s: CALL_TIMEOUT_S,
            dependencies_fail,
            ..Load::default()
        };
    }
    let sums = over_pods(service, offered_rps / n_ready, n_ready, dependencies_fail, (now, step), pods);
    for pod in pods {
        pod.errors = 1.0 - (1.0 - ERRORS_BASE) * (1.0 - pod.errors) * (1.0 - deps.errors);
        pod.latency_s += deps.latency_s;
    }
    // The requests a killed container had in hand.
    let lost = 0.05 * service.killed_share;
    let errors_own = 1.0 - (1.0 - ERRORS_BASE) * (1.0 - sums.errors) * (1.0 - lost);
    // One slow pod of several shows in the 99th percentile nearly as if all were slow.
    let latency_own_s = sums.latency_s + 0.7 * (sums.latency_s_max - sums.latency_s);
    Load {
        offered_rps,
        errors: (1.0 - (1.0 - errors_own) * (1.0 - deps.errors)).clamp(0.0, 1.0),
        errors_own: errors_own.clamp(0.0, 1.0),
        latency_s: latency_own_s + deps.latency_s,
        cpu_cores: sums.cpu_cores,
        utilisation: sums.utilisation,
        memory: service.load.memory,
        silence: sums.silence,
        dependencies_fail,
    }
}

fn over_pods(
    service: &Service,
    pod_rps: f64,
    n_ready: f64,
    deps_fail: bool,
    (now, step): (Timestamp, Duration),
    pods: &mut Vec<PodLoad>,
) -> Sums {
    let spec = &service.spec;
    let mut sums = Sums::default();
    for (slot, pod) in service.pods.iter().enumerate() {
        let share_ready = pod.share_ready(now, step);
        if share_ready <= 0.0 {
            continue;
        }
        let weight = share_ready / n_ready;
        let ails = ailment(&service.faults, slot, service.pods.len(), pod);
        let cold = pod.coldness(now);
        // Idle work, requests (of which silent ones cost little), a warming process, and what a fault burns.
        let busy = pod_rps * spec.cpu_s_per_request * (1.0 - 0.7 * ails.silence) / spec.cpu_limit_cores;
        let asked = 0.02 + busy + 0.15 * cold + ails.cpu_burnt;
        let rho = asked.min(UTILISATION_MAX);
        let shed = if asked > UTILISATION_MAX { 1.0 - UTILISATION_MAX / asked } else { 0.0 };
        // A fresh process hasn't learnt yet which dependency is down: its circuit breakers are closed, it waits
        // and fails where a warm one falls back.
        let naive = if deps_fail { cold } else { 0.0 };
        // A collector that runs all the time: above nine tenths of the limit, memory costs latency.
        let collecting = ((service.load.memory - 0.9) / 0.1).clamp(0.0, 1.0);
        let queueing = 1.0 + QUEUE_SHARE * rho * rho / (1.0 - rho);
        let slow = (1.0 + ails.slowness) * (1.0 + 0.5 * cold) * (1.0 + 2.0 * collecting);
        let latency_s = spec.latency_base_s * queueing * slow + CALL_TIMEOUT_S * (ails.silence + 0.3 * naive);
        let errors = 1.0 - (1.0 - ails.errors) * (1.0 - ails.silence) * (1.0 - shed) * (1.0 - 0.15 * naive);
        let cpu_cores = share_ready * asked.min(1.0) * spec.cpu_limit_cores;
        pods.push(PodLoad { slot, rps: pod_rps * share_ready, errors, latency_s, cpu_cores });
        sums.errors += weight * errors;
        sums.silence += weight * ails.silence;
        sums.latency_s += weight * latency_s;
        sums.latency_s_max = sums.latency_s_max.max(latency_s);
        sums.cpu_cores += cpu_cores;
        sums.utilisation += weight * asked;
    }
    sums
}
