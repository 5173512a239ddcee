//! Any order gives the same facts; nothing makes it panic.

use homeostat_core::ClusterFact;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::build::{ago, deployment, event, facts, node, now, pod, replica_set, unready, waiting};

/// A cluster in which much is wrong at once, and several states of one pod.
fn troubled() -> Vec<Value> {
    let mut crashing = waiting("aaa", 4, "CrashLoopBackOff", "back-off 40s restarting failed container=app");
    crashing["status"]["containerStatuses"][0]["lastState"] =
        json!({"terminated": {"reason": "OOMKilled", "exitCode": 137, "startedAt": ago(4), "finishedAt": ago(3)}});
    let mut before = pod("aaa", 4);
    before["metadata"]["resourceVersion"] = json!("9");
    before["status"]["containerStatuses"][0]["lastState"] =
        json!({"terminated": {"reason": "Error", "exitCode": 1, "startedAt": ago(9), "finishedAt": ago(8)}});
    let mut unscheduled = pod("old", 5);
    unscheduled["status"] = json!({"phase": "Pending", "conditions": [{
        "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "lastTransitionTime": ago(20),
        "message": "0/2 nodes are available: 2 Insufficient memory.",
    }]});
    let mut lost = node("node-1");
    lost["status"]["conditions"][0]["status"] = json!("Unknown");
    vec![
        deployment(),
        replica_set("old", 6, 9000, 1),
        replica_set("aaa", 7, 25, 1),
        pod("old", 1),
        waiting("aaa", 1, "ErrImagePull", "not found"),
        waiting("aaa", 2, "CreateContainerConfigError", r#"secret "db" not found"#),
        unready(pod("aaa", 3), 20),
        event("Pod", "cart-aaa-3", "Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503"),
        before,
        crashing,
        unscheduled,
        node("node-0"),
        lost,
        json!({"kind": "Service", "metadata": {"name": "cart", "namespace": "shop"}, "spec": {"selector": {"app": "x"}}}),
    ]
}

/// Puts something else in the place of the `nth` part of a value, counted in depth.
fn mutilate(value: &mut Value, nth: &mut usize, with: &Value) {
    if *nth == 0 {
        value.clone_from(with);
        *nth = usize::MAX;
        return;
    }
    *nth -= 1;
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| {
            if *nth != usize::MAX {
                mutilate(item, nth, with);
            }
        }),
        Value::Object(map) => map.values_mut().for_each(|item| {
            if *nth != usize::MAX {
                mutilate(item, nth, with);
            }
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn much_is_wrong_in_the_cluster_of_these_tests() {
    let kinds: std::collections::BTreeSet<&str> =
        facts(&troubled()).iter().map(|fact: &ClusterFact| fact.kind.name()).collect();
    assert!(kinds.len() >= 6, "{kinds:?}");
}

proptest! {
    #[test]
    fn any_order_of_the_objects_gives_the_same_facts(objects in Just(troubled()).prop_shuffle()) {
        prop_assert_eq!(facts(&objects), facts(&troubled()));
    }

    #[test]
    fn a_mutilated_object_never_panics(
        object in 0_usize..14,
        nth in 0_usize..60,
        with in prop_oneof![
            Just(Value::Null), Just(json!("")), Just(json!("§\"{")), Just(json!(-1)), Just(json!(1e300)), Just(json!([])), Just(json!({})),
            Just(json!(["a", null, {"b": 1}])), Just(json!("9999-12-31T23:59:59Z")), Just(json!(u64::MAX)),
        ],
    ) {
        let mut objects = troubled();
        let mut nth = nth;
        mutilate(&mut objects[object], &mut nth, &with);
        for fact in facts(&objects) {
            prop_assert!(!fact.sentence.is_empty());
        }
        let mut files = crate::cluster::files::ClusterFiles::default();
        objects.iter().for_each(|object| files.take(object));
        prop_assert!(files.cluster.facts(homeostat_core::Timestamp::from_secs(0)).len() < 100);
        prop_assert!(files.cluster.newest_moment() >= Some(now() - std::time::Duration::from_secs(86_400)));
    }
}
