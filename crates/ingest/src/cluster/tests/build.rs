//! Objects of a small shop, with faults to be put in.

use homeostat_core::{ClusterFact, Timestamp};
use serde_json::{Value, json};

use crate::cluster::files::ClusterFiles;

/// When everything is looked at.
pub(super) const NOW: &str = "2026-01-08T12:00:00Z";

pub(super) fn now() -> Timestamp {
    NOW.parse().unwrap()
}

/// `minutes` before [`NOW`].
pub(super) fn ago(minutes: u64) -> String {
    (now() - std::time::Duration::from_secs(60 * minutes)).to_string()
}

/// A Deployment `shop/cart` of three replicas, whose revision 7 began long ago.
pub(super) fn deployment() -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {
            "name": "cart", "namespace": "shop", "uid": "d-1", "resourceVersion": "10", "creationTimestamp": ago(9000),
            "annotations": {"deployment.kubernetes.io/revision": "7"},
        },
        "spec": {"replicas": 3, "template": {"metadata": {"labels": {"app": "cart"}}}},
        "status": {
            "replicas": 3, "readyReplicas": 3,
            "conditions": [
                {"type": "Available", "status": "True", "reason": "MinimumReplicasAvailable", "lastTransitionTime": ago(9000)},
                {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable", "lastTransitionTime": ago(9000)},
            ],
        },
    })
}

/// One of its ReplicaSets, by the hash of its template.
pub(super) fn replica_set(hash: &str, revision: u32, minutes: u64, ready: u32) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet",
        "metadata": {
            "name": format!("cart-{hash}"), "namespace": "shop", "uid": format!("rs-{hash}"), "resourceVersion": "11",
            "creationTimestamp": ago(minutes), "annotations": {"deployment.kubernetes.io/revision": revision.to_string()},
            "ownerReferences": [{"kind": "Deployment", "name": "cart", "uid": "d-1", "controller": true}],
        },
        "spec": {"replicas": ready}, "status": {"replicas": ready, "readyReplicas": ready},
    })
}

/// A pod of the ReplicaSet with this hash, running and ready.
pub(super) fn pod(hash: &str, n: u32) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": format!("cart-{hash}-{n}"), "namespace": "shop", "uid": format!("pod-{hash}-{n}"), "resourceVersion": "12",
            "creationTimestamp": ago(100), "labels": {"app": "cart", "pod-template-hash": hash},
            "ownerReferences": [{"kind": "ReplicaSet", "name": format!("cart-{hash}"), "uid": format!("rs-{hash}"), "controller": true}],
            "managedFields": [{"manager": "kubelet"}],
        },
        "spec": {
            "nodeName": "node-0",
            "containers": [{
                "name": "app", "image": "shop/cart:1.4.9", "env": [{"name": "PASSWORD", "value": "hunter2"}],
                "ports": [{"name": "http", "containerPort": 8080}],
                "resources": {"requests": {"memory": "256Mi", "cpu": "100m"}, "limits": {"memory": "512Mi"}},
            }],
        },
        "status": {
            "phase": "Running",
            "conditions": [
                {"type": "PodScheduled", "status": "True", "lastTransitionTime": ago(100)},
                {"type": "Ready", "status": "True", "lastTransitionTime": ago(99)},
            ],
            "containerStatuses": [{
                "name": "app", "ready": true, "restartCount": 0, "state": {"running": {"startedAt": ago(99)}}, "lastState": {},
            }],
        },
    })
}

/// The same pod, waiting, for some minutes.
pub(super) fn waiting(hash: &str, n: u32, reason: &str, message: &str) -> Value {
    let mut pod = unready(pod(hash, n), 20);
    pod["status"]["phase"] = json!("Pending");
    pod["status"]["containerStatuses"][0] = json!({
        "name": "app", "ready": false, "restartCount": 0, "state": {"waiting": {"reason": reason, "message": message}}, "lastState": {},
    });
    pod
}

pub(super) fn unready(mut pod: Value, minutes: u64) -> Value {
    pod["status"]["conditions"][1] =
        json!({"type": "Ready", "status": "False", "reason": "ContainersNotReady", "lastTransitionTime": ago(minutes)});
    pod["status"]["containerStatuses"][0]["ready"] = json!(false);
    pod
}

pub(super) fn event(kind: &str, name: &str, reason: &str, message: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Event",
        "metadata": {"name": format!("{name}.{reason}"), "namespace": "shop", "uid": format!("e-{name}-{reason}"), "resourceVersion": "13"},
        "involvedObject": {"kind": kind, "name": name, "namespace": "shop"},
        "reason": reason, "message": message, "type": "Warning", "count": 7,
        "firstTimestamp": ago(20), "lastTimestamp": ago(1),
    })
}

pub(super) fn node(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": {"name": name, "uid": format!("n-{name}"), "resourceVersion": "14", "creationTimestamp": ago(9000)},
        "spec": {}, "status": {
            "allocatable": {"cpu": "4", "memory": "8Gi", "pods": "110"},
            "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady", "lastTransitionTime": ago(9000)}],
        },
    })
}

pub(super) fn facts_at(objects: &[Value], at: Timestamp) -> Vec<ClusterFact> {
    let mut files = ClusterFiles::default();
    objects.iter().for_each(|object| files.take(object));
    files.cluster.facts(at)
}

pub(super) fn facts(objects: &[Value]) -> Vec<ClusterFact> {
    facts_at(objects, now())
}

/// Type and sentence of each.
pub(super) fn sentences(objects: &[Value]) -> Vec<(&'static str, String)> {
    facts(objects).into_iter().map(|fact| (fact.incident_type.name(), fact.sentence)).collect()
}
