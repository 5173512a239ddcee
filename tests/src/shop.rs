//! A small shop's metrics as a function of time: what its services, and the machines under them, would report.
//!
//! One [`Shop`] writes both the history ([`crate::shop_history`]) and the live values ([`crate::shop_feed`]), so that
//! the live values continue the history. It's deterministic: the noise at a moment depends on the seed and on that
//! moment, not on what was asked before. It isn't the program's simulator: real parts scrape it, on the real clock.

use std::time::Duration;

use homeostat_core::{Seed, Timestamp};

use crate::exporter::Page;
use crate::kube_metrics::{DeploymentFacts, PodFacts, ReplicaSetFacts};
use crate::kube_state::Snapshot;
use crate::shop::service::Service;

pub use crate::shop::service::Disturbance;

mod service;

/// The jobs whose pages a shop writes, which are their `instance` too.
pub const JOBS: [&str; 3] = ["shop", "kubelet", "kube-state-metrics"];

/// For how long a rate stays the same: the shortest wave in the data. A scrape sees several times fewer changes.
const TICK: Duration = Duration::from_secs(15);

/// A shop in one namespace, at one moment.
#[derive(Clone, Debug)]
pub struct Shop {
    namespace: String,
    seed: Seed,
    at: Timestamp,
    services: Vec<Service>,
    snapshot: Snapshot,
}

/// A page for each of [`JOBS`], in that order.
pub type Pages = [Page; 3];

impl Shop {
    /// A shop that opened at `start`: `payment-api` and its neighbours `gateway`, `cart` and `catalog`, with three
    /// replicas each, of which kube-state-metrics tells as if they ran in a cluster.
    #[must_use]
    pub fn new(namespace: &str, seed: Seed, start: Timestamp) -> Self {
        // name, requests a second at noon, milliseconds, MiB
        let services = [
            ("payment-api", 40.0, 80.0, 220.0),
            ("gateway", 160.0, 30.0, 140.0),
            ("cart", 60.0, 50.0, 180.0),
            ("catalog", 110.0, 40.0, 260.0),
        ];
        let services: Vec<Service> = services
            .iter()
            .map(|(name, rate, latency_ms, memory_mib)| Service::new(name, *rate, *latency_ms, *memory_mib))
            .collect();
        let names: Vec<&str> = services.iter().map(|service| service.name()).collect();
        let snapshot = synthetic(namespace, &names, start);
        let mut shop =
            Self { namespace: namespace.to_owned(), seed, at: start, services, snapshot: Snapshot::default() };
        shop.follow(&snapshot);
        shop
    }

    /// The namespace.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The moment it's at.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.at
    }

    /// Takes over the pods, `ReplicaSets` and Deployments of a real cluster. New pods start their counters at zero;
    /// pods that are gone take their series with them. A service without pods there reports nothing.
    pub fn follow(&mut self, snapshot: &Snapshot) {
        for service in &mut self.services {
            let sets: Vec<&str> = snapshot
                .replica_sets
                .iter()
                .filter(|set| set.deployment == service.name())
                .map(|set| set.name.as_str())
                .collect();
            let pods = snapshot.pods.iter().filter(|pod| sets.contains(&pod.replica_set.as_str()));
            service.follow(pods.cloned().collect());
        }
        self.snapshot = snapshot.clone();
    }

    /// Lets time pass. Going back in time does nothing.
    pub fn advance(&mut self, to: Timestamp) {
        let tick_ms = i64::try_from(TICK.as_millis()).unwrap_or(i64::MAX);
        while self.at < to {
            let tick = self.at.as_millis().div_euclid(tick_ms);
            let until = Timestamp::from_millis((tick + 1) * tick_ms).min(to);
            for service in &mut self.services {
                service.advance(self.seed, self.at, tick, until.since(self.at));
            }
            self.at = until;
        }
    }

    /// Disturbs a service from now on, in place of how it was disturbed before; `Disturbance::default()` ends it.
    /// An unknown service is ignored, and that shows at once in a test that waits for the effect.
    pub fn disturb(&mut self, service: &str, disturbance: Disturbance) {
        if let Some(service) = self.services.iter_mut().find(|known| known.name() == service) {
            service.disturb(disturbance);
        }
    }

    /// Counts kills for lack of memory as cAdvisor does, in the service's first pod, whose memory starts anew. The
    /// API server's side of it is [`crate::workload::oom_kill`].
    pub fn oom_kill(&mut self, service: &str, times: u32) {
        let Some(service) = self.services.iter_mut().find(|known| known.name() == service) else { return };
        let Some(killed) = service.oom_kill(times) else { return };
        // Where a cluster is followed, its next snapshot says the same or knows better.
        if let Some(pod) = self.snapshot.pods.iter_mut().find(|pod| pod.name == killed) {
            pod.n_restarts += i64::from(times);
            pod.last_terminated = Some("OOMKilled".to_owned());
        }
    }

    /// What the exporters show at this moment.
    #[must_use]
    pub fn pages(&self) -> Pages {
        let [mut application, mut kubelet, mut kube_state] = Pages::default();
        for service in &self.services {
            service.write(self.seed, self.at, &mut application, &mut kubelet);
        }
        self.snapshot.write(&mut kube_state);
        [application, kubelet, kube_state]
    }
}

/// Pods as a cluster without a cluster would name them.
fn synthetic(namespace: &str, services: &[&str], start: Timestamp) -> Snapshot {
    const N_REPLICAS: i32 = 3;
    let mut snapshot = Snapshot::default();
    for service in services {
        let replica_set = format!("{service}-5d8f7c6b49");
        for index in 0..N_REPLICAS {
            snapshot.pods.push(PodFacts {
                namespace: namespace.to_owned(),
                name: format!("{replica_set}-{index:05}"),
                uid: format!("00000000-0000-0000-0000-{service:0>10}{index:02}"),
                replica_set: replica_set.clone(),
                node: format!("node-{index}"),
                phase: "Running".to_owned(),
                ready: true,
                container: (*service).to_owned(),
                image: format!("registry.example/{service}:1.0.0"),
                memory_limit_bytes: Some(512.0 * 1024.0 * 1024.0),
                ..PodFacts::default()
            });
        }
        snapshot.replica_sets.push(ReplicaSetFacts {
            namespace: namespace.to_owned(),
            name: replica_set,
            deployment: (*service).to_owned(),
            created_s: start.as_secs_f64(),
            n_replicas: N_REPLICAS,
        });
        snapshot.deployments.push(DeploymentFacts {
            namespace: namespace.to_owned(),
            name: (*service).to_owned(),
            created_s: start.as_secs_f64(),
            n_wanted: N_REPLICAS,
            n_replicas: N_REPLICAS,
            n_available: N_REPLICAS,
            n_updated: N_REPLICAS,
            generation: 1,
            observed_generation: 1,
        });
    }
    snapshot
}
