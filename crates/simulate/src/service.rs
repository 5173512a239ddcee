//! One service's state and how it gets from one step to the next.

use std::collections::VecDeque;
use std::time::Duration;

use homeostat_core::{Seed, Subject, Timestamp, WorkloadKind, sha256_hex};

use crate::ailment::{ActiveFault, ailment};
use crate::deployment::Deployment;
use crate::edge::Edge;
use crate::features::Row;
use crate::load::{Load, PodLoad};
use crate::pod::{Obstacle, Pod};
use crate::random::{Drift, Noise};
use crate::replicas::ReplicaRows;
use crate::spec::ServiceSpec;

/// What `restarts` and `oom-kills` look back, as the shipped queries do (`increase(…[10m])`).
const EVENTS_LOOK_BACK: Duration = Duration::from_secs(600);

/// Memory follows load slowly: buffers and caches fill and drain over minutes.
const MEMORY_FOLLOWS_S: f64 = 600.0;

/// One step's random numbers. Always the same count is drawn, whatever happens: two shops of one seed, one with a
/// fault and one without, differ only in what the fault reaches.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Draws {
    pub(crate) traffic: f64,
    cpu: f64,
    latency: f64,
    errors: f64,
    memory: f64,
    scrape: f64,
}

#[derive(Clone, Debug)]
struct Scatter {
    noise: Noise,
    traffic: Drift,
    latency: Drift,
    memory: Drift,
}

#[derive(Clone, Debug)]
pub(crate) struct Service {
    pub(crate) spec: ServiceSpec,
    pub(crate) subject: Subject,
    pub(crate) edges: Vec<Edge>,
    /// `None` for an external service.
    pub(crate) deployment: Option<Deployment>,
    pub(crate) pods: Vec<Pod>,
    pub(crate) faults: Vec<ActiveFault>,
    pub(crate) load: Load,
    /// Share of the pods killed in the step before.
    pub(crate) killed_share: f64,
    /// Oldest first; forgotten once rows are older than the shop's `history_steps`.
    pub(crate) history: VecDeque<Row>,
    /// What the pods did in the latest step.
    pub(crate) pod_loads: Vec<PodLoad>,
    /// What a scrape saw of the pods, oldest first.
    pub(crate) replicas: ReplicaRows,
    scatter: Scatter,
    utilisation_slow: f64,
    /// When, restarts, OOM kills; bounded by what `EVENTS_LOOK_BACK` holds: at most 41 steps.
    events: VecDeque<(Timestamp, u32, u32)>,
    n_ready_before: usize,
}

impl Service {
    /// Another noise from here on; everything else stays.
    pub(crate) fn reseed(&mut self, seed: Seed) {
        let own = seed.fork(&self.subject.to_string());
        self.scatter.noise = Noise::new(own.fork("noise"));
        self.replicas.reseed(own.fork("replicas"));
    }

    pub(crate) fn new(spec: ServiceSpec, subject: Subject, edges: Vec<Edge>, seed: Seed, start: Timestamp) -> Self {
        let own = seed.fork(&subject.to_string());
        let deployment = match subject.kind {
            WorkloadKind::External => None,
            WorkloadKind::Deployment | WorkloadKind::StatefulSet | WorkloadKind::DaemonSet => {
                Some(Deployment::new(uid(own, &subject)))
            }
        };
        let pods: Vec<Pod> = (0..spec.replicas).map(|_| Pod::settled(start, 1, 1)).collect();
        let scatter = Scatter {
            noise: Noise::new(own.fork("noise")),
            traffic: Drift::new(0.03, 900.0),
            latency: Drift::new(0.04, 600.0),
            memory: Drift::new(0.008, 3600.0),
        };
        Self {
            n_ready_before: pods.len(),
            spec,
            subject,
            edges,
            deployment,
            pods,
            faults: Vec::new(),
            load: Load::default(),
            killed_share: 0.0,
            history: VecDeque::new(),
            pod_loads: Vec::new(),
            replicas: ReplicaRows::new(own.fork("replicas")),
            scatter,
            utilisation_slow: 0.25,
            events: VecDeque::new(),
        }
    }

    pub(crate) fn draw(&mut self, step_s: f64) -> Draws {
        let Scatter { noise, traffic, latency, memory } = &mut self.scatter;
        let traffic_now = traffic.next(step_s, noise) + 0.01 * noise.normal() + 0.004 * noise.heavy();
        let latency_now = latency.next(step_s, noise) + 0.02 * noise.normal() + 0.02 * noise.heavy();
        Draws {
            traffic: (1.0 + traffic_now).max(0.1),
            cpu: (1.0 + 0.03 * noise.normal()).max(0.1),
            latency: (1.0 + latency_now).max(0.3),
            errors: noise.normal() + 0.3 * noise.heavy(),
            memory: memory.next(step_s, noise) + 0.003 * noise.normal(),
            scrape: noise.unit(),
        }
    }

    /// What traffic faults multiply its traffic by.
    pub(crate) fn traffic_factor(&self) -> f64 {
        self.faults.iter().map(ActiveFault::traffic_factor).product()
    }

    /// Pods start, die and are replaced until `now`.
    pub(crate) fn live(&mut self, now: Timestamp) {
        let startup = self.startup();
        let n_slots = self.pods.len();
        let faults = &self.faults;
        let obstacle = |slot: usize, pod: &Pod| -> Obstacle { ailment(faults, slot, n_slots, pod).obstacle };
        let mut n_restarts = 0;
        for (slot, pod) in self.pods.iter_mut().enumerate() {
            n_restarts += pod.advance(now, startup, obstacle(slot, pod));
        }
        if let Some(deployment) = &mut self.deployment {
            n_restarts += deployment.roll(&mut self.pods, now, startup, obstacle);
        }
        self.events.retain(|(at, ..)| now.since(*at) < EVENTS_LOOK_BACK);
        self.events.push_back((now, n_restarts, 0));
    }

    /// A new process that can't reach what it waits for takes twice as long until it's ready.
    pub(crate) fn startup(&self) -> Duration {
        let factor = if self.load.dependencies_fail { 2.0 } else { 1.0 };
        Duration::from_secs_f64(self.spec.startup_s * factor)
    }

    /// Memory until `now`; what reaches its limit is killed. Returns the highest pod's memory before any kill, if any
    /// pod runs, and the number of kills.
    pub(crate) fn remember(&mut self, now: Timestamp, step: Duration, draws: &Draws) -> (Option<f64>, u32) {
        let step_s = step.as_secs_f64();
        let startup = self.startup();
        let share = (step_s / MEMORY_FOLLOWS_S).min(1.0);
        self.utilisation_slow += share * (self.load.utilisation.min(1.0) - self.utilisation_slow);
        let usual = self.spec.memory_base + self.spec.memory_load * self.utilisation_slow + draws.memory;
        let free = 1.0 - self.spec.memory_base - self.spec.memory_load * 0.4;
        let (n_slots, mut highest, mut n_kills) = (self.pods.len(), None::<f64>, 0);
        for (slot, pod) in self.pods.iter_mut().enumerate() {
            if !pod.is_ready() {
                continue;
            }
            // Pods get unequal shares of the work, so they don't all die in the same minute.
            let uneven = 1.0 - 0.12 * (slot % 5) as f64;
            let leak_per_s = ailment(&self.faults, slot, n_slots, pod).leak_per_s * free * uneven;
            pod.leaked += leak_per_s * step_s * pod.share_ready(now, step);
            let memory = usual.max(0.0) * pod.memory_fill(now) + pod.leaked;
            highest = Some(highest.unwrap_or(0.0).max(memory));
            if memory >= 1.0 {
                pod.kill(now, startup);
                n_kills += 1;
            }
        }
        self.killed_share = f64::from(n_kills) / n_slots as f64;
        self.load.memory = highest.unwrap_or(0.0).min(1.0);
        if let Some((_, restarts, kills)) = self.events.back_mut() {
            *restarts += n_kills;
            *kills += n_kills;
        }
        (highest.map(|memory| memory.min(1.0)), n_kills)
    }

    /// Replicas that don't serve now. An external service that is silent counts as down, as its exporter's `up` does.
    pub(crate) fn n_unavailable(&self) -> usize {
        let is_silent = self.deployment.is_none() && self.load.silence >= 0.9;
        if is_silent { self.pods.len() } else { self.pods.iter().filter(|pod| !pod.is_ready()).count() }
    }

    /// The row that a scrape sees now.
    pub(crate) fn measure(&mut self, step_s: f64, memory: Option<f64>, draws: &Draws, scrape_loss: f64) -> Row {
        let n_ready = self.pods.len() - self.n_unavailable();
        if let Some(deployment) = &mut self.deployment
            && n_ready != self.n_ready_before
        {
            deployment.resource_version += 1;
        }
        self.n_ready_before = n_ready;
        let is_lost = draws.scrape < scrape_loss;
        self.replicas.measure(step_s, &self.pods, if is_lost { &[] } else { &self.pod_loads });
        if is_lost {
            return [f64::NAN; crate::features::N_FEATURES];
        }
        let load = &self.load;
        let n_requests = (load.offered_rps * step_s).max(1.0);
        // Standard deviation of a binomial share.
        let scatter = (load.errors * (1.0 - load.errors) / n_requests).sqrt();
        let count = |of: fn(&(Timestamp, u32, u32)) -> u32| f64::from(self.events.iter().map(of).sum::<u32>());
        [
            memory.unwrap_or(f64::NAN),
            load.cpu_cores * draws.cpu,
            count(|event| event.1),
            count(|event| event.2),
            (load.errors + scatter * draws.errors).clamp(0.0, 1.0),
            load.latency_s * draws.latency,
            load.offered_rps,
            (self.pods.len() - n_ready) as f64,
        ]
    }
}

/// A UID in the usual form, the same for the same shop.
fn uid(seed: Seed, subject: &Subject) -> String {
    let hex = sha256_hex(&[b"uid", &seed.value().to_be_bytes(), subject.to_string().as_bytes()]);
    format!("{}-{}-4{}-8{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..32])
}
