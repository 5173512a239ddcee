use homeostat_core::WorkloadKind;
use serde_json::{Value, json};

use super::*;
use crate::kubernetes::testing::{deployment, other_workload};

/// Status counters and the condition's reason, merged into a Deployment with six of six.
fn seen(observed: i64, updated: u32, replicas: u32, available: u32, reason: &str) -> Value {
    json!({ "status": {
        "observedGeneration": observed, "updatedReplicas": updated, "replicas": replicas, "availableReplicas": available,
        "conditions": [{ "type": "Progressing", "status": "True", "reason": reason, "message": "why" }],
    } })
}

/// I23.
#[test]
fn judged_as_kubectl_rollout_status_does() {
    let rolling = |updated_available| Progress::Rolling { updated_available, wanted: 6 };
    let failed = Progress::Failed { why: "ProgressDeadlineExceeded: why".into() };
    let cases = [
        ("all new and available", seen(3, 6, 6, 6, COMPLETED), Progress::Complete { wanted: 6 }),
        ("the spec isn't observed yet", seen(2, 6, 6, 6, COMPLETED), rolling(0)),
        ("no status at all", json!({ "status": null }), rolling(0)),
        ("not all are updated", seen(3, 4, 7, 6, "ReplicaSetUpdated"), rolling(3)),
        ("old ones aren't gone yet", seen(3, 6, 7, 6, "ReplicaSetUpdated"), rolling(5)),
        ("new ones aren't available", seen(3, 6, 6, 5, "ReplicaSetUpdated"), rolling(5)),
        ("the deadline is over", seen(3, 2, 7, 5, DEADLINE_EXCEEDED), failed),
        ("an old deadline, a new spec", seen(2, 2, 7, 5, DEADLINE_EXCEEDED), rolling(0)),
        (
            "a new controller sees the old generation as later",
            seen(4, 6, 6, 6, COMPLETED),
            Progress::Complete { wanted: 6 },
        ),
    ];
    for (name, changes, expected) in cases {
        assert_eq!(judge(&deployment(changes)), expected, "{name}");
    }
}

#[test]
fn pods_that_fail_after_their_rollout_are_no_rollout() {
    let cases = [
        ("all is well", seen(3, 6, 6, 6, COMPLETED), false),
        ("five of six died later", seen(3, 6, 6, 1, COMPLETED), false),
        ("the new ones never came up", seen(3, 6, 6, 1, "ReplicaSetUpdated"), true),
        ("a new spec isn't observed yet", seen(2, 6, 6, 1, COMPLETED), true),
        ("a hung roll-out", seen(3, 6, 6, 1, DEADLINE_EXCEEDED), false),
        ("scaled up, pods are still missing", seen(3, 4, 4, 4, COMPLETED), true),
        ("old pods are still there", seen(3, 6, 7, 6, COMPLETED), true),
        ("no status at all", json!({ "status": null }), true),
    ];
    for (name, changes, expected) in cases {
        assert_eq!(is_in_progress(&deployment(changes)), expected, "{name}");
    }
}

#[test]
fn a_hung_roll_out_is_a_failed_one() {
    let why = failure(&deployment(seen(3, 2, 7, 5, DEADLINE_EXCEEDED)));
    assert_eq!(why.as_deref(), Some("ProgressDeadlineExceeded: why"));
    assert_eq!(failure(&deployment(seen(3, 4, 7, 6, "ReplicaSetUpdated"))), None);
    assert_eq!(failure(&deployment(seen(2, 2, 7, 5, DEADLINE_EXCEEDED))), None, "of an older spec");
}

#[test]
fn one_replica_is_wanted_when_none_is_named() {
    assert_eq!(replicas_wanted(&deployment(json!({ "spec": { "replicas": null } }))), 1);
    assert_eq!(replicas_wanted(&deployment(json!({ "spec": { "replicas": 0 } }))), 0);
}

#[test]
fn a_stateful_set_is_judged_by_its_revisions_as_kubectl_does() {
    let set = |current: &str, updated: i32, ready: i32, partition: Value| {
        json!({ "metadata": { "generation": 2 },
            "spec": { "replicas": 3, "updateStrategy": { "type": "RollingUpdate", "rollingUpdate": { "partition": partition } } },
            "status": { "observedGeneration": 2, "replicas": 3, "updatedReplicas": updated, "readyReplicas": ready,
                "availableReplicas": ready, "currentRevision": current, "updateRevision": "new" } })
    };
    let rolling = |updated_available| Progress::Rolling { updated_available, wanted: 3 };
    let complete = Progress::Complete { wanted: 3 };
    let cases = [
        ("all new and ready", set("new", 3, 3, Value::Null), complete.clone(), false),
        ("pods failed after their rollout", set("new", 3, 1, Value::Null), rolling(1), false),
        ("one is new", set("old", 1, 3, Value::Null), rolling(1), true),
        ("stuck at its first pod", set("old", 1, 2, Value::Null), rolling(1), true),
        ("a partition keeps two as they are", set("old", 1, 3, json!(2)), complete.clone(), false),
        ("a partition, and its one pod isn't new", set("old", 0, 3, json!(2)), rolling(0), true),
    ];
    for (name, changes, expected, in_progress) in cases {
        let workload = other_workload(WorkloadKind::StatefulSet, changes);
        assert_eq!((judge(&workload), is_in_progress(&workload)), (expected, in_progress), "{name}");
    }
    let unobserved =
        json!({ "metadata": { "generation": 3 }, "spec": { "replicas": 3 }, "status": { "observedGeneration": 2 } });
    assert!(is_in_progress(&other_workload(WorkloadKind::StatefulSet, unobserved)));
}

#[test]
fn a_daemon_set_is_judged_by_its_nodes_as_kubectl_does() {
    let set = |updated: i32, available: i32| {
        json!({ "metadata": { "generation": 2 }, "spec": {},
            "status": { "observedGeneration": 2, "desiredNumberScheduled": 3, "updatedNumberScheduled": updated,
                "numberAvailable": available, "currentNumberScheduled": 3, "numberMisscheduled": 0, "numberReady": available } })
    };
    let rolling = |updated_available| Progress::Rolling { updated_available, wanted: 3 };
    let cases = [
        ("all new and available", set(3, 3), Progress::Complete { wanted: 3 }, false),
        ("one node is new", set(1, 3), rolling(1), true),
        ("pods failed after their rollout", set(3, 2), rolling(2), false),
    ];
    for (name, changes, expected, in_progress) in cases {
        let workload = other_workload(WorkloadKind::DaemonSet, changes);
        assert_eq!((judge(&workload), is_in_progress(&workload)), (expected, in_progress), "{name}");
    }
}
