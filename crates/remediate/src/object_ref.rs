//! An object that an action writes beside its workload: which one, and the state that was decided on. Plain data in a step's
//! arguments, so that what is approved and journaled names it.

use homeostat_core::{WorkloadKind, sha256_hex};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::payload_error::PayloadError;
use crate::step::Step;

/// The argument in which a step names the object that it writes.
pub const OBJECT: &str = "object";

/// The kinds of objects that actions write. Closed: for each, somebody has thought about what may be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ObjectKind {
    /// `apps/v1` Deployment.
    Deployment,
    /// `apps/v1` StatefulSet.
    StatefulSet,
    /// `apps/v1` DaemonSet.
    DaemonSet,
    /// `autoscaling/v2` HorizontalPodAutoscaler.
    HorizontalPodAutoscaler,
    /// KEDA's `keda.sh/v1alpha1` ScaledObject.
    ScaledObject,
    /// ConfigMap.
    ConfigMap,
    /// Pod.
    Pod,
    /// Node.
    Node,
    /// NetworkPolicy.
    NetworkPolicy,
    /// Gateway API's `gateway.networking.k8s.io/v1` HTTPRoute.
    #[serde(rename = "HTTPRoute")]
    HttpRoute,
    /// Istio's `networking.istio.io/v1` VirtualService.
    VirtualService,
}

impl ObjectKind {
    /// The kind of a workload's object, if it is one of the cluster.
    pub const fn of(kind: WorkloadKind) -> Option<Self> {
        match kind {
            WorkloadKind::Deployment => Some(Self::Deployment),
            WorkloadKind::StatefulSet => Some(Self::StatefulSet),
            WorkloadKind::DaemonSet => Some(Self::DaemonSet),
            WorkloadKind::External => None,
        }
    }

    /// As manifests write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Deployment => "Deployment",
            Self::StatefulSet => "StatefulSet",
            Self::DaemonSet => "DaemonSet",
            Self::HorizontalPodAutoscaler => "HorizontalPodAutoscaler",
            Self::ScaledObject => "ScaledObject",
            Self::ConfigMap => "ConfigMap",
            Self::Pod => "Pod",
            Self::Node => "Node",
            Self::NetworkPolicy => "NetworkPolicy",
            Self::HttpRoute => "HTTPRoute",
            Self::VirtualService => "VirtualService",
        }
    }

    /// Group (empty for the core group), version and plural.
    pub const fn resource(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Deployment => ("apps", "v1", "deployments"),
            Self::StatefulSet => ("apps", "v1", "statefulsets"),
            Self::DaemonSet => ("apps", "v1", "daemonsets"),
            Self::HorizontalPodAutoscaler => ("autoscaling", "v2", "horizontalpodautoscalers"),
            Self::ScaledObject => ("keda.sh", "v1alpha1", "scaledobjects"),
            Self::ConfigMap => ("", "v1", "configmaps"),
            Self::Pod => ("", "v1", "pods"),
            Self::Node => ("", "v1", "nodes"),
            Self::NetworkPolicy => ("networking.k8s.io", "v1", "networkpolicies"),
            Self::HttpRoute => ("gateway.networking.k8s.io", "v1", "httproutes"),
            Self::VirtualService => ("networking.istio.io", "v1", "virtualservices"),
        }
    }

    /// Whether its objects are in a namespace.
    pub const fn is_namespaced(self) -> bool {
        match self {
            Self::Node => false,
            Self::Deployment
            | Self::StatefulSet
            | Self::DaemonSet
            | Self::HorizontalPodAutoscaler
            | Self::ScaledObject
            | Self::ConfigMap
            | Self::Pod
            | Self::NetworkPolicy
            | Self::HttpRoute
            | Self::VirtualService => true,
        }
    }
}

/// An object that is written beside the workload. It has no namespace of its own: what has one is in the workload's (I10).
///
/// ```
/// use homeostat_remediate::{ActionName, Args, ObjectKind, ObjectRef, Step};
/// use serde_json::json;
///
/// let flags = json!({ "metadata": { "name": "flags", "uid": "9c1f", "resourceVersion": "41" }, "data": { "a": "on" } });
/// let flags = ObjectRef::of(ObjectKind::ConfigMap, &flags).unwrap();
/// let step = Step { action: ActionName::new("configmap-flag"), args: flags.in_args(Args::default()) };
/// assert_eq!(ObjectRef::in_step(&step)?, Some(flags));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectRef {
    /// What it is.
    pub kind: ObjectKind,
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// The version that was looked at.
    pub resource_version: String,
    /// A digest of what somebody wants it to be, without its status: unlike the version it stays when a controller reports.
    pub state: String,
}

impl ObjectRef {
    /// The object that the API server sent; nothing if it has no name, UID or version.
    pub fn of(kind: ObjectKind, manifest: &Value) -> Option<Self> {
        let text = |key: &str| manifest["metadata"][key].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        Some(Self {
            kind,
            name: text("name")?,
            uid: text("uid")?,
            resource_version: text("resourceVersion")?,
            state: desired_state(manifest),
        })
    }

    /// The arguments with this object as what is written.
    #[must_use]
    pub fn in_args(&self, args: crate::step::Args) -> crate::step::Args {
        args.with(OBJECT, serde_json::to_value(self).unwrap_or(Value::Null))
    }

    /// The object that a step writes; none when it writes the workload itself.
    pub fn in_step(step: &Step) -> Result<Option<Self>, PayloadError> {
        let Some(object) = step.args.get(OBJECT) else { return Ok(None) };
        let object = serde_json::from_value(object.clone());
        object.map(Some).map_err(|error| PayloadError(format!("it doesn't say which object it writes: {error}")))
    }
}

/// A digest of an object without what changes by itself: its status, its version, and who wrote what.
pub fn desired_state(manifest: &Value) -> String {
    let kept = |map: &Map<String, Value>, without: &[&str]| {
        let entries = map.iter().filter(|(key, _)| !without.contains(&key.as_str()));
        Value::Object(entries.map(|(key, value)| (key.clone(), value.clone())).collect())
    };
    let mut state = manifest.as_object().map_or(Value::Null, |map| kept(map, &["status", "kind", "apiVersion"]));
    if let Some(metadata) = manifest["metadata"].as_object() {
        state["metadata"] = kept(metadata, &["resourceVersion", "managedFields", "generation"]);
    }
    sha256_hex(&[state.to_string().as_bytes()])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_report_of_its_controller_leaves_the_state_and_every_edit_changes_it() {
        let object = json!({ "metadata": { "name": "a", "resourceVersion": "1", "generation": 1, "labels": { "x": "1" } },
            "spec": { "minReplicas": 2 }, "status": { "currentReplicas": 2 } });
        let with = |pointer: &str, value: Value| {
            let mut changed = object.clone();
            *changed.pointer_mut(pointer).unwrap() = value;
            desired_state(&changed)
        };
        let state = desired_state(&object);
        for (pointer, value) in [("/status", json!({})), ("/metadata/resourceVersion", json!("2"))] {
            assert_eq!(with(pointer, value), state, "{pointer}");
        }
        for (pointer, value) in [("/spec/minReplicas", json!(3)), ("/metadata/labels", json!({}))] {
            assert_ne!(with(pointer, value), state, "{pointer}");
        }
    }

    #[test]
    fn every_kind_is_read_as_it_is_written() {
        for kind in [ObjectKind::HttpRoute, ObjectKind::Node, ObjectKind::ScaledObject] {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
        }
    }
}
