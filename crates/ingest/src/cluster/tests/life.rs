//! The life of a container over several states of its pod.

use serde_json::{Value, json};

use super::build::{ago, deployment, facts_at, now, pod, replica_set};

/// The pod after its `n`th crash, seen while it runs again.
fn after_crash(n: u64) -> Value {
    let mut pod = pod("aaa", 1);
    let minutes = 30 - 2 * n;
    pod["metadata"]["resourceVersion"] = json!((100 + n).to_string());
    pod["status"]["containerStatuses"][0] = json!({
        "name": "app", "ready": true, "restartCount": n,
        "state": {"running": {"startedAt": ago(minutes)}},
        "lastState": {"terminated": {"reason": "Error", "exitCode": 2, "startedAt": ago(minutes + 2), "finishedAt": ago(minutes + 1)}},
    });
    pod
}

#[test]
fn a_crash_loop_that_is_only_ever_seen_running_is_found_and_holds_until_it_has_run_for_ten_minutes() {
    let shop = [deployment(), replica_set("aaa", 7, 9000, 3)];
    let seen = |n: u64| -> Vec<Value> { shop.iter().cloned().chain((1..=n).map(after_crash)).collect() };
    let started = |n: u64| ago(30 - 2 * n).parse().unwrap();
    let minutes = |n: u64| std::time::Duration::from_secs(60 * n);
    assert_eq!(facts_at(&seen(1), started(1)), [], "one crash is none");
    assert_eq!(facts_at(&seen(2), started(2)), []);
    let found = facts_at(&seen(3), started(3) + minutes(9));
    assert_eq!(found[0].sentence, "the container `app` crashes again and again: exit code 2");
    assert_eq!(facts_at(&seen(3), started(3) + minutes(10)), []);
}

#[test]
fn when_the_pods_of_a_revision_are_gone_so_are_its_facts() {
    let mut files = crate::cluster::files::ClusterFiles::default();
    [deployment(), replica_set("aaa", 7, 9000, 3), after_crash(1), after_crash(2), after_crash(3)]
        .iter()
        .for_each(|object| files.take(object));
    let at = ago(24).parse().unwrap();
    assert_eq!(files.cluster.facts(at).len(), 1);
    let key = files.cluster.objects.keys().find(|key| key.kind == "Pod").cloned().unwrap();
    files.cluster.remove(&key);
    assert_eq!(files.cluster.facts(at), []);
    assert!(now() > at);
}
