use serde_json::json;

use super::*;

fn pod(changes: Value) -> Value {
    let mut pod = json!({
        "metadata": { "name": "cart-1", "uid": "p1", "resourceVersion": "7", "labels": { "app": "cart" } },
        "spec": { "nodeName": "node-0", "containers": [] },
        "status": { "startTime": "2026-01-31T11:00:00Z", "phase": "Running",
            "conditions": [{ "type": "Ready", "status": "False", "reason": "ContainersNotReady",
                "lastTransitionTime": "2026-01-31T11:30:00Z" }],
            "containerStatuses": [{ "name": "cart", "ready": false, "restartCount": 4, "image": "i", "imageID": "i",
                "state": { "waiting": { "reason": "CrashLoopBackOff" } } }] },
    });
    crate::kubernetes::testing::merge(&mut pod, changes);
    pod
}

#[test]
fn a_pod_that_runs_and_isnt_ready_fails_since_it_stopped_being_ready() {
    let found = seen(&pod(json!({}))).unwrap();
    let failing = found.failing.unwrap();
    assert_eq!(failing.why, "CrashLoopBackOff");
    assert_eq!(failing.since, Some("2026-01-31T11:30:00Z".parse().unwrap()));
    assert_eq!((found.restarts, found.node.as_deref()), (4, Some("node-0")));
    let unscheduled = json!({ "spec": { "nodeName": null }, "status": { "containerStatuses": null,
        "conditions": [{ "type": "PodScheduled", "status": "False", "reason": "Unschedulable" }] } });
    let found = seen(&pod(unscheduled)).unwrap();
    assert_eq!((found.failing.unwrap().why.as_str(), found.node), ("Unschedulable", None));
}

#[test]
fn a_pod_that_serves_doesnt_fail_and_one_on_its_way_out_isnt_seen() {
    let ready = json!({ "status": { "conditions": [{ "type": "Ready", "status": "True" }] } });
    assert_eq!(seen(&pod(ready)).unwrap().failing, None);
    assert_eq!(seen(&pod(json!({ "metadata": { "deletionTimestamp": "2026-01-31T12:00:00Z" } }))), None);
}
