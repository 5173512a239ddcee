//! Metrics of what is watched in the cluster.

use std::collections::BTreeMap;

use homeostat_core::{ClusterFact, FactKind};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// A watched resource by its plural.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(crate) struct ResourceLabel {
    resource: &'static str,
}

/// A kind of fact.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(crate) struct FactLabel {
    fact: &'static str,
}

/// Each is there only while a cluster is watched.
#[derive(Default)]
pub(crate) struct ClusterMetrics {
    objects: Gauge,
    objects_left_out: Gauge,
    facts: Family<FactLabel, Gauge>,
    watch_up: Family<ResourceLabel, Gauge>,
}

impl ClusterMetrics {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let all = Self::default();
        registry.register("cluster_objects", "Kubernetes objects kept for facts", all.objects.clone());
        let help = "Kubernetes objects that there was no room for since the start";
        registry.register("cluster_objects_left_out", help, all.objects_left_out.clone());
        registry.register("cluster_facts", "Facts that the cluster itself tells now, by kind", all.facts.clone());
        let help = "1 while the objects of a resource are watched, 0 while they can't be";
        registry.register("cluster_watch_up", help, all.watch_up.clone());
        all
    }

    /// What was seen.
    pub(crate) fn looked(&self, facts: &[ClusterFact], n_objects: usize, n_left_out: u64) {
        self.objects.set(n_objects as i64);
        self.objects_left_out.set(n_left_out as i64);
        let mut counts: BTreeMap<FactKind, i64> = FactKind::ALL.iter().map(|kind| (*kind, 0)).collect();
        facts.iter().for_each(|fact| *counts.entry(fact.kind).or_default() += 1);
        for (kind, n) in counts {
            self.facts.get_or_create(&FactLabel { fact: kind.name() }).set(n);
        }
    }

    /// How a resource's watches do.
    pub(crate) fn watch_is_up(&self, resource: &'static str, is_up: bool) {
        self.watch_up.get_or_create(&ResourceLabel { resource }).set(i64::from(is_up));
    }
}
