//! The series of kube-state-metrics, with its names and labels, from plain facts.
//!
//! Both the mirror of a cluster ([`crate::kube_state`]) and the shop's history write through here: one series must
//! not change its labels between history and now.

use crate::exporter::Page;

/// A pod with one container.
#[derive(Clone, Debug, Default)]
pub struct PodFacts {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// The `ReplicaSet` that made it.
    pub replica_set: String,
    /// The node it's on; empty before it's scheduled.
    pub node: String,
    /// `Pending`, `Running` and so on.
    pub phase: String,
    /// Whether the pod is ready.
    pub ready: bool,
    /// Its container's name.
    pub container: String,
    /// Its container's image.
    pub image: String,
    /// How often the container was started again.
    pub n_restarts: i64,
    /// Why it ended last, such as `OOMKilled`.
    pub last_terminated: Option<String>,
    /// Why it waits, such as `CrashLoopBackOff`.
    pub waiting: Option<String>,
    /// The container's memory limit.
    pub memory_limit_bytes: Option<f64>,
}

impl PodFacts {
    /// Puts the pod's series on the page.
    pub fn write(&self, page: &mut Page) {
        let pod = [("namespace", &*self.namespace), ("pod", &*self.name), ("uid", &*self.uid)];
        let owner = [("owner_kind", "ReplicaSet"), ("owner_name", &*self.replica_set), ("owner_is_controller", "true")];
        page.set("kube_pod_owner", &joined(&pod, &owner), 1.0);
        let info = [("created_by_kind", "ReplicaSet"), ("created_by_name", &*self.replica_set), ("node", &*self.node)];
        page.set("kube_pod_info", &joined(&pod, &info), 1.0);
        for phase in ["Pending", "Running", "Succeeded", "Failed", "Unknown"] {
            page.set("kube_pod_status_phase", &joined(&pod, &[("phase", phase)]), flag(self.phase == phase));
        }
        for (condition, holds) in [("true", self.ready), ("false", !self.ready), ("unknown", false)] {
            page.set("kube_pod_status_ready", &joined(&pod, &[("condition", condition)]), flag(holds));
        }

        let container = joined(&pod, &[("container", &*self.container)]);
        let image = [("image", &*self.image), ("image_spec", &*self.image)];
        page.set("kube_pod_container_info", &joined(&container, &image), 1.0);
        page.set("kube_pod_container_status_ready", &container, flag(self.ready));
        #[allow(clippy::cast_precision_loss, reason = "a count of restarts is small")]
        page.set("kube_pod_container_status_restarts_total", &container, self.n_restarts as f64);
        if let Some(reason) = &self.last_terminated {
            let labels = joined(&container, &[("reason", reason)]);
            page.set("kube_pod_container_status_last_terminated_reason", &labels, 1.0);
        }
        if let Some(reason) = &self.waiting {
            page.set("kube_pod_container_status_waiting_reason", &joined(&container, &[("reason", reason)]), 1.0);
        }
        if let Some(limit) = self.memory_limit_bytes {
            let labels = joined(&container, &[("resource", "memory"), ("unit", "byte"), ("node", &*self.node)]);
            page.set("kube_pod_container_resource_limits", &labels, limit);
        }
    }
}

/// A `ReplicaSet` of a Deployment.
#[derive(Clone, Debug, Default)]
pub struct ReplicaSetFacts {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The Deployment it belongs to.
    pub deployment: String,
    /// When it was made, in seconds since 1970.
    pub created_s: f64,
    /// How many pods it should have.
    pub n_replicas: i32,
}

impl ReplicaSetFacts {
    /// Puts its series on the page.
    pub fn write(&self, page: &mut Page) {
        let set = [("namespace", &*self.namespace), ("replicaset", &*self.name)];
        let owner = [("owner_kind", "Deployment"), ("owner_name", &*self.deployment), ("owner_is_controller", "true")];
        page.set("kube_replicaset_owner", &joined(&set, &owner), 1.0);
        page.set("kube_replicaset_created", &set, self.created_s);
        page.set("kube_replicaset_spec_replicas", &set, f64::from(self.n_replicas));
    }
}

/// A Deployment.
#[derive(Clone, Debug, Default)]
pub struct DeploymentFacts {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// When it was made, in seconds since 1970.
    pub created_s: f64,
    /// How many replicas it should have.
    pub n_wanted: i32,
    /// How many it has.
    pub n_replicas: i32,
    /// How many take traffic.
    pub n_available: i32,
    /// How many are of the latest template.
    pub n_updated: i32,
    /// The generation of its specification.
    pub generation: i64,
    /// The generation that the controller has seen.
    pub observed_generation: i64,
}

impl DeploymentFacts {
    /// Puts its series on the page.
    pub fn write(&self, page: &mut Page) {
        let labels = [("namespace", &*self.namespace), ("deployment", &*self.name)];
        #[allow(clippy::cast_precision_loss, reason = "generations count changes by people and controllers")]
        let generations = [
            ("kube_deployment_metadata_generation", self.generation as f64),
            ("kube_deployment_status_observed_generation", self.observed_generation as f64),
        ];
        let counts = [
            ("kube_deployment_spec_replicas", self.n_wanted),
            ("kube_deployment_status_replicas", self.n_replicas),
            ("kube_deployment_status_replicas_available", self.n_available),
            (
                "kube_deployment_status_replicas_unavailable",
                (self.n_replicas.max(self.n_wanted) - self.n_available).max(0),
            ),
            ("kube_deployment_status_replicas_updated", self.n_updated),
        ];
        page.set("kube_deployment_created", &labels, self.created_s);
        for (name, value) in generations {
            page.set(name, &labels, value);
        }
        for (name, count) in counts {
            page.set(name, &labels, f64::from(count));
        }
    }
}

fn joined<'a>(some: &[(&'a str, &'a str)], more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    [some, more].concat()
}

fn flag(holds: bool) -> f64 {
    if holds { 1.0 } else { 0.0 }
}
