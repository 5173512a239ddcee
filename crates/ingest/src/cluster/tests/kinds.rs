//! Each kind of fault, with the sentence that a person reads.

use homeostat_core::{FactKind, Remedy, Standing};
use serde_json::{Value, json};

use super::build::{ago, deployment, event, facts, node, pod, replica_set, sentences, unready, waiting};

/// The Deployment with its only revision, and these pods.
fn cart(pods: impl IntoIterator<Item = Value>) -> Vec<Value> {
    let mut objects = vec![deployment(), replica_set("aaa", 7, 9000, 3)];
    objects.extend(pods);
    objects
}

/// The Deployment with a revision 7 that began 25 minutes ago, and revision 6 serving.
fn rolled_out(pods: impl IntoIterator<Item = Value>) -> Vec<Value> {
    let mut objects = vec![deployment(), replica_set("old", 6, 9000, 0), replica_set("aaa", 7, 25, 0)];
    objects.extend(pods);
    objects
}

fn says(objects: &[Value], incident_type: &'static str, sentence: &str) {
    assert_eq!(sentences(objects), [(incident_type, sentence.to_owned())]);
}

#[test]
fn a_healthy_workload_has_no_facts() {
    let mut objects = cart([pod("aaa", 1), pod("aaa", 2), pod("aaa", 3)]);
    objects.extend([node("node-0"), service(json!({"app": "cart"}), json!("http"))]);
    assert_eq!(facts(&objects), []);
}

#[test]
fn an_image_that_isnt_there() {
    let message = r#"failed to pull and unpack image "shop/cart:1.4.9": failed to resolve reference: not found"#;
    says(
        &cart([waiting("aaa", 1, "ErrImagePull", message), pod("aaa", 2), pod("aaa", 3)]),
        "image-pull",
        "the image `shop/cart:1.4.9` can't be pulled: not found (1 of 3 pods)",
    );
    // Between two attempts only the events say why.
    let why = event("Pod", "cart-aaa-1", "Failed", r#"Failed to pull image "shop/cart:1.4.9": no such host"#);
    let waits = waiting("aaa", 1, "ImagePullBackOff", r#"Back-off pulling image "shop/cart:1.4.9""#);
    says(
        &cart([waits, why]),
        "image-pull",
        "the image `shop/cart:1.4.9` can't be pulled: the registry can't be reached",
    );
}

#[test]
fn what_came_with_a_new_revision_is_that_revisions_fault_and_going_back_may_cure_it() {
    let missing = |n| waiting("aaa", n, "CreateContainerConfigError", r#"configmap "settings" not found"#);
    let found = facts(&rolled_out([missing(1), missing(2)]));
    assert_eq!(found[0].sentence, "ConfigMap `settings` doesn't exist; since revision 7");
    assert_eq!(
        (found[0].incident_type.name(), found[0].object.to_string()),
        ("bad-deployment", "ConfigMap/settings".into())
    );
    assert_eq!(
        (found[0].cannot_cure.clone(), found[0].may_cure.clone()),
        (vec![Remedy::NewPods, Remedy::MoreReplicas], vec![Remedy::EarlierRevision])
    );
    assert_eq!(found[0].revision.as_deref(), Some("7"));
    // Somebody deleted it later: the revision is the same as ever.
    let found = facts(&cart([missing(1)]));
    assert_eq!((found[0].incident_type.name(), found[0].may_cure.len()), ("config-drift", 0));
}

#[test]
fn a_secret_that_isnt_there_stops_a_mount() {
    let message = r#"MountVolume.SetUp failed for volume "tls" : secret "cart-tls" not found"#;
    let objects =
        cart([waiting("aaa", 1, "ContainerCreating", ""), event("Pod", "cart-aaa-1", "FailedMount", message)]);
    says(&objects, "config-drift", "Secret `cart-tls` doesn't exist");
}

#[test]
fn a_command_that_isnt_there() {
    let message = r#"failed to create containerd task: exec: "cartd": executable file not found in $PATH"#;
    says(
        &cart([waiting("aaa", 1, "RunContainerError", message)]),
        "crash-loop",
        r#"the container `app` can't be started: failed to create containerd task: exec: "cartd": executable file not found in $PATH"#,
    );
}

fn crashing(reason: &str, exit_code: i64) -> Value {
    let mut pod =
        waiting("aaa", 1, "CrashLoopBackOff", "back-off 1m20s restarting failed container=app pod=cart-aaa-1");
    pod["status"]["containerStatuses"][0]["restartCount"] = json!(5);
    pod["status"]["containerStatuses"][0]["lastState"] =
        json!({"terminated": {"reason": reason, "exitCode": exit_code, "startedAt": ago(3), "finishedAt": ago(2)}});
    pod
}

#[test]
fn a_container_that_ends_again_and_again() {
    says(&cart([crashing("Error", 1)]), "crash-loop", "the container `app` crashes again and again: exit code 1");
    says(
        &cart([crashing("Completed", 0)]),
        "crash-loop",
        "the container `app` crashes again and again: it ends by itself with exit code 0, though it should go on running",
    );
    let killed = crashing("OOMKilled", 137);
    says(
        &cart([killed]),
        "oom-killed",
        "the container `app` is killed for memory again and again (OOMKilled): its memory limit is 512Mi",
    );
    let liveness =
        event("Pod", "cart-aaa-1", "Unhealthy", "Liveness probe failed: HTTP probe failed with statuscode: 500");
    says(
        &cart([crashing("Error", 137), liveness]),
        "crash-loop",
        "the container `app` crashes again and again: the kubelet ends it, because its liveness probe fails: HTTP probe failed with statuscode: 500",
    );
}

fn unscheduled(n: u32, message: &str) -> Value {
    let mut pod = unready(pod("aaa", n), 20);
    pod["spec"].as_object_mut().unwrap().remove("nodeName");
    pod["spec"]["containers"][0]["resources"]["requests"]["memory"] = json!("4Gi");
    pod["status"] = json!({"phase": "Pending", "conditions": [{
        "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message, "lastTransitionTime": ago(20),
    }]});
    pod
}

#[test]
fn pods_that_no_node_takes() {
    let memory = "0/1 nodes are available: 1 Insufficient memory. preemption: 0/1 nodes are available: 1 No preemption victims found.";
    let objects = |message: &str| cart([unscheduled(1, message), unscheduled(2, message), unscheduled(3, message)]);
    says(&objects(memory), "resource-starvation", "3 of 3 pods can't be scheduled: insufficient memory (needs 4Gi)");
    let mut small = objects(memory);
    let mut smallest = node("node-0");
    smallest["status"]["allocatable"]["memory"] = json!("2Gi");
    small.push(smallest);
    says(
        &small,
        "resource-starvation",
        "3 of 3 pods can't be scheduled: insufficient memory (needs 4Gi; the largest node has 2Gi)",
    );
    for (message, wanted) in [
        (
            "0/3 nodes are available: 3 node(s) had untolerated taint {dedicated: gpu}. preemption: not helpful.",
            "nodes have the taint `dedicated: gpu`, which it doesn't tolerate",
        ),
        (
            "0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector. preemption: not helpful.",
            "no node has the labels that its node selector or affinity asks for",
        ),
        (
            "0/3 nodes are available: 1 node(s) were unschedulable, 2 node(s) didn't match pod anti-affinity rules.",
            "its pod anti-affinity leaves no node, nodes are cordoned",
        ),
    ] {
        says(&objects(message), "unschedulable", &format!("3 of 3 pods can't be scheduled: {wanted}"));
    }
    // Newer schedulers don't say which taint.
    let mut tainted = node("node-0");
    tainted["spec"]["taints"] = json!([
        {"key": "dedicated", "value": "gpu", "effect": "NoSchedule"}, {"key": "old", "effect": "PreferNoSchedule"},
    ]);
    let mut nameless = objects("0/1 nodes are available: 1 node(s) had untolerated taint(s). preemption: not helpful.");
    nameless.push(tainted);
    let sentence = "3 of 3 pods can't be scheduled: nodes have the taint `dedicated: gpu`, which it doesn't tolerate";
    says(&nameless, "unschedulable", sentence);
    says(
        &objects(r#"0/3 nodes are available: persistentvolumeclaim "data" not found. preemption: not helpful."#),
        "volume-pending",
        "PersistentVolumeClaim `data` doesn't exist",
    );
}

#[test]
fn a_container_that_isnt_ready() {
    let message =
        r#"Readiness probe failed: Get "http://10.1.0.7:8081/": dial tcp 10.1.0.7:8081: connect: connection refused"#;
    let objects = cart([unready(pod("aaa", 1), 20), event("Pod", "cart-aaa-1", "Unhealthy", message)]);
    says(
        &objects,
        "probe-failing",
        "the container `app` isn't ready: its readiness probe fails: nothing listens on port 8081",
    );
}

#[test]
fn pods_that_cant_be_created() {
    let refused = |message: &str| {
        let mut set = replica_set("aaa", 7, 9000, 0);
        set["status"]["conditions"] = json!([{
            "type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": message, "lastTransitionTime": ago(20),
        }]);
        vec![deployment(), set]
    };
    says(
        &refused(
            r#"pods "cart-aaa-1" is forbidden: exceeded quota: small, requested: pods=1, used: pods=2, limited: pods=2"#,
        ),
        "resource-starvation",
        "ResourceQuota `small` is exhausted: its pods ask for pods=1, pods=2 of pods=2 is used",
    );
    says(
        &refused(
            r#"pods "cart-aaa-1" is forbidden: error looking up service account shop/robot: serviceaccount "robot" not found"#,
        ),
        "config-drift",
        "ServiceAccount `robot` doesn't exist",
    );
}

fn service(selector: Value, target_port: Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "cart", "namespace": "shop", "uid": "s-1", "resourceVersion": "15", "creationTimestamp": ago(500)},
        "spec": {"selector": selector, "ports": [{"port": 80, "targetPort": target_port}]},
    })
}

#[test]
fn a_service_that_leads_nowhere() {
    let mut objects = cart([pod("aaa", 1)]);
    objects.push(service(json!({"app": "basket"}), json!("http")));
    says(
        &objects,
        "service-unreachable",
        "Service `cart` selects no pod: its selector is app=basket; the pods of Deployment `cart` have app=cart",
    );
    let mut objects = cart([pod("aaa", 1)]);
    objects.push(service(json!({"app": "cart"}), json!("web")));
    says(
        &objects,
        "service-unreachable",
        "Service `cart` sends to port `web`, which no container declares: they have 8080 (http)",
    );
    // A number needn't be declared: that is only a hint.
    let mut objects = cart([pod("aaa", 1)]);
    objects.push(service(json!({"app": "cart"}), json!(8081)));
    assert_eq!(facts(&objects)[0].standing, Standing::Hints);
}

#[test]
fn scaled_to_zero_is_an_explanation_and_opens_nothing() {
    let mut off = deployment();
    off["spec"]["replicas"] = json!(0);
    let found = facts(&[off]);
    assert_eq!((found[0].kind, found[0].standing), (FactKind::ScaledToZero, Standing::Explains));
    assert_eq!(
        (found[0].cannot_cure.clone(), found[0].may_cure.clone()),
        (vec![Remedy::NewPods, Remedy::EarlierRevision], vec![Remedy::MoreReplicas])
    );
}

#[test]
fn a_claim_without_a_volume_matters_where_a_pod_waits_for_it() {
    let claim = json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data", "namespace": "shop", "uid": "c-1", "resourceVersion": "16", "creationTimestamp": ago(20)},
        "spec": {"storageClassName": "fast"}, "status": {"phase": "Pending"},
    });
    assert_eq!(facts(std::slice::from_ref(&claim)), []);
    let mut user = pod("aaa", 1);
    user["spec"]["volumes"] = json!([{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]);
    let why =
        event("PersistentVolumeClaim", "data", "ProvisioningFailed", r#"storageclass.storage.k8s.io "fast" not found"#);
    says(
        &cart([claim, user, why]),
        "volume-pending",
        r#"PersistentVolumeClaim `data` isn't bound to a volume: storageclass.storage.k8s.io "fast" not found"#,
    );
}

#[test]
fn a_roll_out_that_is_stuck_and_two_revisions_that_serve_together() {
    let mut stuck = deployment();
    stuck["status"]["readyReplicas"] = json!(2);
    stuck["status"]["conditions"][1] = json!({
        "type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "lastTransitionTime": ago(5),
    });
    let found = sentences(&[stuck, replica_set("old", 6, 9000, 2), replica_set("aaa", 7, 60, 1)]);
    assert_eq!(found, [
        ("version-skew", "revisions 6 and 7 of Deployment `cart` serve together: 2 pods of the older one, 1 of the newer".into()),
        ("bad-deployment", "the roll-out of revision 7 of Deployment `cart` is stuck: it made no progress within its deadline, 2 of 3 pods are ready".into()),
    ]);
}

#[test]
fn a_node_that_doesnt_report() {
    let mut lost = node("node-0");
    lost["status"]["conditions"][0] = json!({
        "type": "Ready", "status": "Unknown", "reason": "NodeStatusUnknown", "lastTransitionTime": ago(5),
    });
    let mut objects = cart([pod("aaa", 1), pod("aaa", 2)]);
    objects.push(lost);
    let found = facts(&objects);
    let texts: Vec<(&str, Standing)> = found.iter().map(|fact| (fact.sentence.as_str(), fact.standing)).collect();
    assert_eq!(
        texts,
        [
            ("node `node-0` isn't ready: its kubelet doesn't report any more", Standing::Opens),
            ("2 of 2 pods on node `node-0`, which isn't ready", Standing::Explains),
        ]
    );
    assert_eq!(found[0].affected, [found[1].subject.clone()]);
}

#[test]
fn a_budget_that_stops_a_drain() {
    let budget = json!({
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
        "metadata": {"name": "cart", "namespace": "shop", "uid": "b-1", "resourceVersion": "17", "creationTimestamp": ago(500)},
        "spec": {"selector": {"matchLabels": {"app": "cart"}}},
        "status": {"disruptionsAllowed": 0, "currentHealthy": 1, "desiredHealthy": 1, "expectedPods": 1},
    });
    let mut objects = cart([pod("aaa", 1)]);
    objects.push(budget);
    assert_eq!(facts(&objects)[0].standing, Standing::Hints, "nobody drains anything");
    let mut cordoned = node("node-0");
    cordoned["spec"]["unschedulable"] = json!(true);
    objects.push(cordoned);
    let found = sentences(&objects);
    assert!(found.contains(&("eviction-blocked", "PodDisruptionBudget `cart` allows no eviction, and node `node-0`, which has a pod of it, is cordoned: 1 of its pods must stay ready and 1 are".into())), "{found:?}");
}

#[test]
fn an_autoscaler_without_requests() {
    let autoscaler = json!({
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "cart", "namespace": "shop", "uid": "h-1", "resourceVersion": "18", "creationTimestamp": ago(500)},
        "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "cart"}},
        "status": {"conditions": [{
            "type": "ScalingActive", "status": "False", "reason": "FailedGetResourceMetric", "lastTransitionTime": ago(20),
            "message": "the HPA was unable to compute the replica count: failed to get cpu utilization: missing request for cpu in container app of Pod cart-aaa-1",
        }]},
    });
    says(
        &[autoscaler],
        "autoscaler-inactive",
        "HorizontalPodAutoscaler `cart` doesn't scale `cart`: the containers of its pods don't say how much cpu they request",
    );
}

#[test]
fn a_finalizer_that_keeps_an_object() {
    let mut kept = deployment();
    kept["metadata"]["deletionTimestamp"] = json!(ago(30));
    kept["metadata"]["finalizers"] = json!(["example.com/hold"]);
    says(
        &[kept],
        "stuck-terminating",
        "Deployment `cart` was deleted and is still there: its finalizer `example.com/hold` is still there",
    );
}

#[test]
fn what_is_still_starting_opens_nothing_for_ten_minutes_and_what_was_ready_does() {
    let message = "Readiness probe failed: HTTP probe failed with statuscode: 503";
    let standing = |minutes: u64, running: u64| {
        let mut pod = unready(pod("aaa", 1), minutes);
        pod["status"]["containerStatuses"][0]["state"]["running"]["startedAt"] = json!(ago(running));
        facts(&cart([pod, event("Pod", "cart-aaa-1", "Unhealthy", message)]))[0].standing
    };
    assert_eq!(standing(9, 8), Standing::Explains, "it has never been ready");
    assert_eq!(standing(11, 10), Standing::Opens);
    assert_eq!(standing(4, 8), Standing::Opens, "it was, and isn't any more");
}

#[test]
fn going_back_to_an_old_revision_isnt_two_revisions_for_long() {
    let mut under_way = deployment();
    under_way["status"]["conditions"][1]["lastUpdateTime"] = json!(ago(1));
    let found = facts(&[under_way, replica_set("old", 8, 9000, 1), replica_set("aaa", 7, 500, 2)]);
    assert_eq!((found[0].kind, found[0].since), (FactKind::TwoRevisions, ago(1).parse().unwrap()));
}
