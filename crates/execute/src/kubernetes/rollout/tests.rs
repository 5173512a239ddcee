use serde_json::{Value, json};

use super::*;
use crate::kubernetes::testing::deployment;

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
