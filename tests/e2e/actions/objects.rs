//! Manifests of what the tests act on.

use homeostat_core::{Subject, WorkloadKind};
use serde_json::{Value, json};

use crate::stage::kind_name;

pub(crate) fn resources() -> Value {
    json!({ "requests": { "cpu": "10m", "memory": "64Mi" }, "limits": { "memory": "128Mi" } })
}

/// Pods of a workload on nodes of their own, as far as there are enough.
fn apart(labels: &Value) -> Value {
    let term = json!({ "labelSelector": { "matchLabels": labels }, "topologyKey": "kubernetes.io/hostname" });
    json!({ "weight": 100, "podAffinityTerm": term })
}

pub(crate) fn manifest_of(subject: &Subject, n_replicas: u32) -> Value {
    let labels = json!({ "app": subject.name });
    let mut spec = json!({
        "selector": { "matchLabels": labels },
        "template": {
            "metadata": { "labels": labels },
            "spec": {
                "affinity": { "podAntiAffinity": { "preferredDuringSchedulingIgnoredDuringExecution": [apart(&labels)] } },
                "containers": [{ "name": subject.name, "image": "registry.example/cart:1", "resources": resources() }],
            },
        },
    });
    match subject.kind {
        WorkloadKind::Deployment => spec["replicas"] = json!(n_replicas),
        WorkloadKind::StatefulSet => {
            spec["replicas"] = json!(n_replicas);
            spec["serviceName"] = json!(subject.name);
        }
        WorkloadKind::DaemonSet | WorkloadKind::External => {}
    }
    let metadata = json!({ "name": subject.name, "namespace": subject.namespace });
    json!({ "apiVersion": "apps/v1", "kind": kind_name(subject.kind), "metadata": metadata, "spec": spec })
}

/// The definition of a kind of object, which keeps whatever is in the spec.
pub(crate) fn definition(group: &str, version: &str, kind: &str, plural: &str) -> Value {
    let schema = json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true });
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": format!("{plural}.{group}"),
            // The API server wants it of whoever defines a kind of its own groups.
            "annotations": { "api-approved.kubernetes.io": "unapproved, for a test" },
        },
        "spec": {
            "group": group,
            "names": { "kind": kind, "plural": plural, "singular": kind.to_lowercase(), "listKind": format!("{kind}List") },
            "scope": "Namespaced",
            "versions": [{ "name": version, "served": true, "storage": true,
                "schema": { "openAPIV3Schema": { "type": "object", "properties": { "spec": schema } } } }],
        },
    })
}
