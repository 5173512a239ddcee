//! A workload as the API server sent it: typed, and beside it every field, also those that our types don't know. A template that
//! is compared or put back is compared and put back whole.

use homeostat_core::WorkloadKind;
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, StatefulSet};
use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use serde_json::Value;

/// A Deployment, a StatefulSet or a DaemonSet.
#[derive(Clone, Debug)]
pub(super) struct Workload {
    pub(super) metadata: ObjectMeta,
    pub(super) typed: Typed,
    object: Value,
}

/// What differs between the kinds.
#[derive(Clone, Debug)]
pub(super) enum Typed {
    Deployment(Box<Deployment>),
    StatefulSet(Box<StatefulSet>),
    DaemonSet(Box<DaemonSet>),
}

/// The API server's JSON isn't a workload.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct NotAWorkload(String);

impl Workload {
    /// Reads the API server's JSON of an object of this kind.
    pub(super) fn read(kind: WorkloadKind, object: Value) -> Result<Self, NotAWorkload> {
        let wrong = |error: serde_json::Error| NotAWorkload(error.to_string());
        let typed = match kind {
            WorkloadKind::Deployment => Typed::Deployment(serde_json::from_value(object.clone()).map_err(wrong)?),
            WorkloadKind::StatefulSet => Typed::StatefulSet(serde_json::from_value(object.clone()).map_err(wrong)?),
            WorkloadKind::DaemonSet => Typed::DaemonSet(serde_json::from_value(object.clone()).map_err(wrong)?),
            WorkloadKind::External => return Err(NotAWorkload("it is outside the cluster".to_owned())),
        };
        let metadata = match &typed {
            Typed::Deployment(of) => of.metadata.clone(),
            Typed::StatefulSet(of) => of.metadata.clone(),
            Typed::DaemonSet(of) => of.metadata.clone(),
        };
        Ok(Self { metadata, typed, object })
    }

    /// The whole object.
    pub(super) fn object(&self) -> &Value {
        &self.object
    }

    /// The pod template, with every field.
    pub(super) fn template(&self) -> &Value {
        &self.object["spec"]["template"]
    }

    /// The pod template, with the fields that are known.
    pub(super) fn pods(&self) -> &PodTemplateSpec {
        // The API server lets in no workload without one; k8s-openapi reads a missing one as an empty one.
        match &self.typed {
            Typed::Deployment(of) => &of.spec.template,
            Typed::StatefulSet(of) => &of.spec.template,
            Typed::DaemonSet(of) => &of.spec.template,
        }
    }

    /// Which pods are its own.
    pub(super) fn selector(&self) -> LabelSelector {
        match &self.typed {
            Typed::Deployment(of) => of.spec.selector.clone(),
            Typed::StatefulSet(of) => of.spec.selector.clone(),
            Typed::DaemonSet(of) => of.spec.selector.clone(),
        }
    }

    /// Whether its rollouts are paused; only a Deployment's can be.
    pub(super) fn is_paused(&self) -> bool {
        match &self.typed {
            Typed::Deployment(of) => of.spec.paused.unwrap_or(false),
            Typed::StatefulSet(_) | Typed::DaemonSet(_) => false,
        }
    }
}
