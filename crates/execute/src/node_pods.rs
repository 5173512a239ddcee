//! Which pods of a node a drain takes away, and which it leaves. Pure, on pods as the API server sends them.

#[cfg(feature = "kubernetes")]
use homeostat_remediate::Step;
use serde_json::{Value, json};

/// The annotation of a pod that the kubelet runs from a file of its own: the API server can't take it away.
const MIRROR: &str = "kubernetes.io/config.mirror";

/// What becomes of a pod when its node is drained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnDrain {
    /// It is evicted, and its controller makes another one elsewhere.
    Evicted,
    /// It stays: a DaemonSet's pod would come back, a mirror pod can't be evicted, and what has ended or is going needs nothing.
    Stays,
    /// Nobody would make another one.
    Lost,
}

/// What becomes of this pod.
pub(crate) fn on_drain(pod: &Value) -> OnDrain {
    let metadata = &pod["metadata"];
    let controller =
        metadata["ownerReferences"].as_array().into_iter().flatten().find(|owner| owner["controller"] == true);
    let is_over = matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
    if !metadata["annotations"][MIRROR].is_null() || !metadata["deletionTimestamp"].is_null() || is_over {
        return OnDrain::Stays;
    }
    match controller.map(|controller| controller["kind"].as_str()) {
        Some(Some("DaemonSet")) => OnDrain::Stays,
        Some(_) => OnDrain::Evicted,
        None => OnDrain::Lost,
    }
}

/// A pod as a plan names it.
pub(crate) fn named_pod(pod: &Value) -> Value {
    let metadata = &pod["metadata"];
    json!({ "name": metadata["name"], "namespace": metadata["namespace"], "uid": metadata["uid"] })
}

/// Whether the plan names this pod.
#[cfg(feature = "kubernetes")]
pub(crate) fn is_planned(step: &Step, pod: &Value) -> bool {
    let planned = step.args.get("pods").and_then(Value::as_array).into_iter().flatten();
    pod["metadata"]["uid"].is_string() && planned.into_iter().any(|planned| *planned == named_pod(pod))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pods_of_daemon_sets_and_mirror_pods_stay_and_pods_of_nobody_are_lost() {
        let owned = |kind: &str| json!({ "metadata": { "ownerReferences": [{ "kind": kind, "controller": true }] } });
        let mut mirror = owned("Node");
        mirror["metadata"]["annotations"] = json!({ MIRROR: "x" });
        let mut going = owned("ReplicaSet");
        going["metadata"]["deletionTimestamp"] = json!("2026-01-31T12:00:00Z");
        let mut over = owned("Job");
        over["status"] = json!({ "phase": "Succeeded" });
        let cases = [
            (owned("ReplicaSet"), OnDrain::Evicted),
            (owned("StatefulSet"), OnDrain::Evicted),
            (owned("DaemonSet"), OnDrain::Stays),
            (mirror, OnDrain::Stays),
            (going, OnDrain::Stays),
            (over, OnDrain::Stays),
            (json!({ "metadata": { "name": "alone" } }), OnDrain::Lost),
        ];
        for (pod, expected) in cases {
            assert_eq!(on_drain(&pod), expected, "{pod}");
        }
    }
}
