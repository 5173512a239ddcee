//! One service of the shop: its load over the day, its pods' counters, and how a test disturbs it.

use std::time::Duration;

use homeostat_core::{Seed, Timestamp};

use crate::exporter::Page;
use crate::kube_metrics::PodFacts;

/// The upper bounds of the latency histogram, in seconds.
const BOUNDS_S: [f64; 8] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5];

/// The spread of latency: the standard deviation of its logarithm.
const LATENCY_SIGMA: f64 = 0.5;

/// The share of requests that fail when nothing is wrong.
const ERROR_RATIO: f64 = 0.002;

const MIB: f64 = 1024.0 * 1024.0;
const DAY_S: f64 = 86_400.0;

/// What goes wrong in a service. The default is nothing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Disturbance {
    /// Times the usual traffic.
    pub traffic: f64,
    /// The share of requests that fail besides the usual ones.
    pub errors: f64,
    /// Times the usual latency.
    pub latency: f64,
    /// Times the usual CPU time per request.
    pub cpu: f64,
    /// What each pod's memory grows by, in bytes a second; up to the container's limit.
    pub leak_bytes_per_s: f64,
    /// Whether it ends once every pod the service had has been replaced, as after a restart that helps.
    pub ends_with_its_pods: bool,
}

impl Default for Disturbance {
    fn default() -> Self {
        Self { traffic: 1.0, errors: 0.0, latency: 1.0, cpu: 1.0, leak_bytes_per_s: 0.0, ends_with_its_pods: false }
    }
}

#[derive(Clone, Debug)]
struct PodState {
    facts: PodFacts,
    /// Whether it was there when the current disturbance began.
    disturbed: bool,
    n_served: f64,
    n_failed: f64,
    n_by_bound: [f64; BOUNDS_S.len()],
    latency_sum_s: f64,
    cpu_s: f64,
    leaked_bytes: f64,
    n_oom_kills: f64,
}

/// A service and its pods.
#[derive(Clone, Debug)]
pub(super) struct Service {
    name: String,
    rate_per_s: f64,
    latency_s: f64,
    memory_bytes: f64,
    pods: Vec<PodState>,
    disturbance: Disturbance,
}

impl Service {
    pub(super) fn new(name: &str, rate_per_s: f64, latency_ms: f64, memory_mib: f64) -> Self {
        Self {
            name: name.to_owned(),
            rate_per_s,
            latency_s: latency_ms / 1000.0,
            memory_bytes: memory_mib * MIB,
            pods: Vec::new(),
            disturbance: Disturbance::default(),
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn disturb(&mut self, disturbance: Disturbance) {
        self.disturbance = disturbance;
        self.pods.iter_mut().for_each(|pod| pod.disturbed = true);
    }

    pub(super) fn follow(&mut self, pods: Vec<PodFacts>) {
        let mut known = std::mem::take(&mut self.pods);
        for facts in pods {
            match known.iter().position(|pod| pod.facts.uid == facts.uid) {
                Some(index) => self.pods.push(PodState { facts, ..known.swap_remove(index) }),
                None => self.pods.push(PodState::new(facts)),
            }
        }
        let replaced = !self.pods.is_empty() && self.pods.iter().all(|pod| !pod.disturbed);
        if self.disturbance.ends_with_its_pods && replaced {
            self.disturbance = Disturbance::default();
        }
    }

    pub(super) fn oom_kill(&mut self, times: u32) -> Option<String> {
        let pod = self.pods.first_mut()?;
        pod.n_oom_kills += f64::from(times);
        pod.leaked_bytes = 0.0;
        Some(pod.facts.name.clone())
    }

    pub(super) fn advance(&mut self, seed: Seed, at: Timestamp, tick: i64, passed: Duration) {
        let noise = |what: &str| noise(seed, &self.name, what, tick);
        let rate = self.rate_per_s * daily(at) * (1.0 + 0.06 * noise("rate")) * self.disturbance.traffic;
        let errors = (ERROR_RATIO * (1.0 + 0.5 * noise("errors")) + self.disturbance.errors).clamp(0.0, 1.0);
        let latency_s = self.latency_s * (1.0 + 0.08 * noise("latency")) * self.disturbance.latency;
        // A request costs about a fifth of its undisturbed latency in CPU time.
        let cpu_s = self.latency_s / 5.0 * (1.0 + 0.05 * noise("cpu")) * self.disturbance.cpu;
        let ready = self.pods.iter().filter(|pod| pod.facts.ready).count();
        for pod in self.pods.iter_mut().filter(|pod| pod.facts.ready) {
            #[allow(clippy::cast_precision_loss, reason = "a handful of pods")]
            let n_requests = rate / ready as f64 * passed.as_secs_f64();
            pod.n_served += n_requests * (1.0 - errors);
            pod.n_failed += n_requests * errors;
            for (count, bound_s) in pod.n_by_bound.iter_mut().zip(BOUNDS_S) {
                *count += n_requests * share_below(bound_s, latency_s);
            }
            pod.latency_sum_s += n_requests * latency_s * (LATENCY_SIGMA * LATENCY_SIGMA / 2.0).exp();
            pod.cpu_s += n_requests * cpu_s;
            // New pods of a disturbance that restarts cure don't leak.
            if pod.disturbed || !self.disturbance.ends_with_its_pods {
                pod.leaked_bytes += self.disturbance.leak_bytes_per_s * passed.as_secs_f64();
            }
        }
    }

    pub(super) fn write(&self, seed: Seed, at: Timestamp, application: &mut Page, kubelet: &mut Page) {
        for pod in &self.pods {
            let facts = &pod.facts;
            let of_pod = [("namespace", &*facts.namespace), ("service", &*self.name), ("pod", &*facts.name)];
            let with = |label: (&'static str, &'static str)| [of_pod.as_slice(), &[label]].concat();
            application.set("http_requests_total", &with(("code", "200")), pod.n_served.floor());
            application.set("http_requests_total", &with(("code", "500")), pod.n_failed.floor());
            let n_requests = pod.n_served.floor() + pod.n_failed.floor();
            for (count, bound_s) in pod.n_by_bound.iter().zip(BOUNDS_S) {
                let bound = bound_s.to_string();
                let labels = [of_pod.as_slice(), &[("le", bound.as_str())]].concat();
                application.set("http_request_duration_seconds_bucket", &labels, count.floor().min(n_requests));
            }
            application.set("http_request_duration_seconds_bucket", &with(("le", "+Inf")), n_requests);
            application.set("http_request_duration_seconds_count", &of_pod, n_requests);
            application.set("http_request_duration_seconds_sum", &of_pod, pod.latency_sum_s);

            let container = [
                ("namespace", &*facts.namespace),
                ("pod", &*facts.name),
                ("container", &*facts.container),
                ("image", &*facts.image),
                ("node", &*facts.node),
            ];
            let memory = self.memory_of(pod, seed, at);
            kubelet.set("container_cpu_usage_seconds_total", &container, pod.cpu_s);
            kubelet.set("container_memory_working_set_bytes", &container, memory);
            kubelet.set("container_memory_rss", &container, memory * 0.9);
            kubelet.set("container_oom_events_total", &container, pod.n_oom_kills);
        }
    }

    fn memory_of(&self, pod: &PodState, seed: Seed, at: Timestamp) -> f64 {
        // Noise by the minute, since memory moves slowly; each pod has its own.
        let minute = at.as_millis().div_euclid(60_000);
        let used =
            self.memory_bytes * (0.9 + 0.1 * daily(at)) * (1.0 + 0.02 * noise(seed, &pod.facts.name, "memory", minute));
        (used + pod.leaked_bytes).min(pod.facts.memory_limit_bytes.unwrap_or(f64::INFINITY)).floor()
    }
}

impl PodState {
    fn new(facts: PodFacts) -> Self {
        Self {
            facts,
            disturbed: false,
            n_served: 0.0,
            n_failed: 0.0,
            n_by_bound: [0.0; BOUNDS_S.len()],
            latency_sum_s: 0.0,
            cpu_s: 0.0,
            leaked_bytes: 0.0,
            n_oom_kills: 0.0,
        }
    }
}

/// The load's daily curve: 1 at noon, 0.4 at midnight (UTC).
fn daily(at: Timestamp) -> f64 {
    0.7 - 0.3 * (at.as_secs_f64() / DAY_S * std::f64::consts::TAU).cos()
}

/// Noise in -1..1, more often near 0 (the mean of two uniform draws), the same for the same arguments.
fn noise(seed: Seed, who: &str, what: &str, tick: i64) -> f64 {
    let drawn = seed.fork(who).fork(what).fork(&tick.to_string()).value();
    let uniform = |bits: u64| {
        let low = u32::try_from(bits & u64::from(u32::MAX)).unwrap_or(u32::MAX);
        f64::from(low) / f64::from(u32::MAX) * 2.0 - 1.0
    };
    f64::midpoint(uniform(drawn), uniform(drawn >> 32))
}

/// The share of requests faster than `bound_s` when the median is `median_s`: a log-normal distribution, its normal
/// integral by the logistic curve (within 0.01), which is enough for made-up data.
fn share_below(bound_s: f64, median_s: f64) -> f64 {
    let z = (bound_s / median_s).ln() / LATENCY_SIGMA;
    1.0 / (1.0 + (-1.702 * z).exp())
}
