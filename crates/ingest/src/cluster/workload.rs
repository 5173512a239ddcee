//! Deployments, StatefulSets and DaemonSets, and the ReplicaSets between a Deployment and its pods.

use homeostat_core::{Subject, Timestamp, WorkloadKind};

use super::json::Json;
use super::meta::{Condition, Meta, condition, conditions};

/// The annotation that numbers a Deployment's ReplicaSets.
const REVISION: &str = "deployment.kubernetes.io/revision";

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Workload {
    pub(super) meta: Meta,
    pub(super) kind: WorkloadKind,
    /// Pods that there should be.
    pub(super) wanted: u32,
    pub(super) ready: u32,
    pub(super) is_paused: bool,
    pub(super) conditions: Vec<Condition>,
    pub(super) template_labels: Vec<(String, String)>,
    pub(super) revision: String,
    /// The revision that is rolled out, and the one before, where it is a StatefulSet in the middle of it.
    pub(super) update_revision: String,
    pub(super) current_revision: String,
}

impl Workload {
    pub(super) fn read(kind: WorkloadKind, object: Json<'_>) -> Self {
        let (spec, status) = (object.at("spec"), object.at("status"));
        let wanted = match kind {
            WorkloadKind::DaemonSet => status.count("desiredNumberScheduled").unwrap_or(0),
            // Without a number it is one.
            WorkloadKind::Deployment | WorkloadKind::StatefulSet | WorkloadKind::External => {
                spec.count("replicas").unwrap_or(1)
            }
        };
        let ready = status.count("readyReplicas").or_else(|| status.count("numberReady")).unwrap_or(0);
        Self {
            meta: Meta::read(object),
            kind,
            wanted,
            ready,
            is_paused: spec.flag("paused"),
            conditions: conditions(object),
            template_labels: spec.at("template").at("metadata").texts("labels"),
            revision: object.at("metadata").at("annotations").text(REVISION),
            update_revision: status.text("updateRevision"),
            current_revision: status.text("currentRevision"),
        }
    }

    pub(super) fn subject(&self) -> Subject {
        Subject { namespace: self.meta.namespace.clone(), kind: self.kind, name: self.meta.name.clone() }
    }

    pub(super) fn condition(&self, name: &str) -> Option<&Condition> {
        condition(&self.conditions, name)
    }

    /// As manifests write its kind.
    pub(super) fn kind_name(&self) -> &'static str {
        kind_name(self.kind)
    }
}

pub(super) fn kind_name(kind: WorkloadKind) -> &'static str {
    match kind {
        WorkloadKind::Deployment => "Deployment",
        WorkloadKind::StatefulSet => "StatefulSet",
        WorkloadKind::DaemonSet => "DaemonSet",
        WorkloadKind::External => "External",
    }
}

/// One revision of a Deployment.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ReplicaSet {
    pub(super) meta: Meta,
    /// Higher for a later one; 0 if nobody numbered it.
    pub(super) revision: u64,
    pub(super) wanted: u32,
    pub(super) ready: u32,
    pub(super) conditions: Vec<Condition>,
}

impl ReplicaSet {
    pub(super) fn read(object: Json<'_>) -> Self {
        Self {
            meta: Meta::read(object),
            revision: object.at("metadata").at("annotations").text(REVISION).parse().unwrap_or(0),
            wanted: object.at("spec").count("replicas").unwrap_or(1),
            ready: object.at("status").count("readyReplicas").unwrap_or(0),
            conditions: conditions(object),
        }
    }

    pub(super) fn created(&self) -> Timestamp {
        self.meta.created.unwrap_or(Timestamp::from_secs(0))
    }
}
