use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use homeostat_core::WorkloadKind;
use homeostat_remediate::{Disruption, DisruptionBudget, Marker, Owner, PreviousRevision};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::executor::Executor;
use crate::kubernetes::testing::{
    FakeApi, RESTART, Reply, Request, TIMEOUT, UID, deployment, deployment_json, plan, registry, written,
};
use crate::kubernetes::{Cluster, ConnectSpec};
use crate::patch::{ACTION_ID, RESTARTED_AT, written_by};

fn noon() -> Timestamp {
    plan().decided_at
}

/// Answers with the recorded objects, the Deployment changed so.
fn recorded(request: &Request, changes: Value) -> Reply {
    let list = |text: &str| Reply::Json(200, serde_json::from_str(text).unwrap());
    if request.path.contains("/replicasets?") {
        list(include_str!("../fixtures/replica_sets.json"))
    } else if request.path.contains("/horizontalpodautoscalers?") {
        list(include_str!("../fixtures/autoscalers.json"))
    } else if request.path.contains("/poddisruptionbudgets?") {
        let budget = json!({ "metadata": { "name": "pay", "generation": 1 },
            "spec": { "selector": { "matchLabels": { "app": "payment-api" } } },
            "status": { "currentHealthy": 6, "desiredHealthy": 5, "disruptionsAllowed": 1, "expectedPods": 6,
                "observedGeneration": 1 } });
        Reply::Json(
            200,
            json!({ "kind": "PodDisruptionBudgetList", "apiVersion": "policy/v1", "metadata": {}, "items": [budget] }),
        )
    } else {
        Reply::Json(200, deployment_json(changes))
    }
}

#[tokio::test]
async fn a_deployment_is_seen_as_it_is() {
    let changes = json!({ "metadata": { "annotations": { "argocd.argoproj.io/tracking-id": "shop:apps/Deployment:x",
            ACTION_ID: "act-other" }, "managedFields": [{ "manager": "homeostat", "operation": "Update", "time": "2026-01-31T11:58:00Z" }] },
        "spec": { "paused": true }, "status": { "availableReplicas": 5 } });
    let fake = FakeApi::start(move |request| recorded(request, changes.clone())).await;
    let seen = fake.executor().await.inspect(&RESTART, &plan().target.subject, noon()).await.unwrap();
    let expected = Inspected {
        uid: UID.into(),
        resource_version: "2741".into(),
        generation: Some(3),
        kind: WorkloadKind::Deployment,
        created_at: Some("2026-01-05T08:00:00Z".parse().unwrap()),
        seen_at: noon(),
        revision: Some("2".into()),
        revision_previous: Known::NotApplicable,
        replicas_wanted: 6,
        replicas_available: 5,
        rollout_in_progress: false,
        rollout_failed: None,
        paused: true,
        autoscaler: Known::Is(Autoscaler {
            name: "payment".into(),
            replicas_min: 3,
            replicas_max: 12,
            lever: Known::NotVisible { why: "nobody looked".into() },
        }),
        owner: Some(Owner { name: "Argo CD".into(), seen_by: "argocd.argoproj.io/tracking-id".into() }),
        marker: Some(Marker { action: "act-other".into(), at: Some(noon() - Duration::from_secs(120)) }),
        disruption: Disruption {
            is_recreate: false,
            unavailable_max: 1,
            budget: Known::Is(DisruptionBudget { name: "pay".into(), allowed: 1 }),
        },
        has_persistent_volume: false,
        manifest: seen.manifest.clone(),
        ..Inspected::at_rest(UID, WorkloadKind::Deployment, noon())
    };
    assert_eq!(seen.get::<PreviousRevision>().value().map(|previous| previous.revision.as_str()), Some("1"));
    assert_eq!(Inspected { revision_previous: Known::NotApplicable, ..seen }, expected);
    let requests = fake.requests();
    assert!(requests.iter().all(|request| request.method == "GET"), "looking changes nothing: {requests:?}");
    assert!(requests.iter().all(|request| request.head.contains("user-agent: homeostat/")), "{requests:?}");
    assert!(requests.iter().any(|request| request.path.contains("labelSelector=app%3Dpayment-api")), "{requests:?}");
}

#[tokio::test]
async fn a_right_that_a_restart_doesnt_need_doesnt_stop_it_and_isnt_guessed_away() {
    let fake = FakeApi::start(|request| {
        let is_list = request.path.contains('?');
        if is_list { Reply::status(403, "Forbidden", "no") } else { Reply::Json(200, deployment_json(json!({}))) }
    })
    .await;
    let seen = fake.executor().await.inspect(&RESTART, &plan().target.subject, noon()).await.unwrap();
    for (known, resource) in [
        (seen.get::<PreviousRevision>().map(|_| ()), "replicasets.apps"),
        (seen.get::<Autoscaler>().map(|_| ()), "horizontalpodautoscalers.autoscaling"),
        (seen.get::<DisruptionBudget>().map(|_| ()), "poddisruptionbudgets.policy"),
    ] {
        let Known::NotVisible { why } = known else { panic!("{resource}: {known:?}") };
        assert!(why.contains(&format!("list {resource} in namespace shop")), "{why}");
    }
}

#[tokio::test]
async fn lists_are_read_to_their_last_page() {
    let fake = FakeApi::start(|request| {
        let mut list: Value = serde_json::from_str(include_str!("../fixtures/autoscalers.json")).unwrap();
        if request.path.contains("/horizontalpodautoscalers?") && !request.path.contains("continue=more") {
            list["items"] = json!([]);
            list["metadata"]["continue"] = json!("more");
            return Reply::Json(200, list);
        }
        recorded(request, json!({}))
    })
    .await;
    let seen = fake.executor().await.inspect(&RESTART, &plan().target.subject, noon()).await.unwrap();
    assert!(seen.get::<Autoscaler>().value().is_some(), "{:?}", seen.autoscaler);
}

#[tokio::test]
async fn what_cant_be_looked_at_is_sorted_by_the_next_step() {
    let cases = [
        (Reply::status(404, "NotFound", "no"), "isn't in the cluster", 1),
        (Reply::status(403, "Forbidden", "no"), "not allowed to get deployments.apps in namespace shop", 1),
        (Reply::status(500, "InternalError", "etcd"), "the cluster can't be asked: get deployments.apps", 3),
        (Reply::status(429, "TooManyRequests", "slow down"), "slow down", 3),
        (Reply::Text(502, "<html>"), "502", 3),
        (Reply::Json(200, json!({})), "no UID", 1),
        (Reply::Text(200, "not json"), "the cluster can't be asked", 3),
        (Reply::Half, "the cluster can't be asked", 3),
        (Reply::HangUp, "the cluster can't be asked", 3),
        (Reply::Silence, "no answer within", 1),
    ];
    for (reply, expected, n_attempts) in cases {
        let name = format!("{reply:?}");
        let fake = FakeApi::start(move |_| reply.clone()).await;
        let error = fake.executor().await.inspect(&RESTART, &plan().target.subject, noon()).await.unwrap_err();
        assert!(error.to_string().contains(expected), "{name}: {error}");
        assert_eq!(fake.requests().len(), n_attempts, "{name}");
    }
}

#[tokio::test]
async fn a_read_that_fails_for_a_moment_is_read_again() {
    let n_refused = AtomicUsize::new(0);
    let fake = FakeApi::start(move |request| {
        let is_first = n_refused.fetch_add(1, Ordering::SeqCst) == 0;
        if is_first { Reply::status(503, "ServiceUnavailable", "later") } else { recorded(request, json!({})) }
    })
    .await;
    assert!(fake.executor().await.inspect(&RESTART, &plan().target.subject, noon()).await.is_ok());
}

#[tokio::test]
async fn a_rotated_token_is_loaded_from_the_same_file() {
    let fake = FakeApi::start(|request| {
        let is_new = request.head.contains("bearer new");
        if is_new { recorded(request, json!({})) } else { Reply::status(401, "Unauthorized", "Unauthorized") }
    })
    .await;
    let kubeconfig = fake.kubeconfig("old");
    let spec = ConnectSpec { kubeconfig: Some(kubeconfig.path().into()), context: None, timeout: TIMEOUT };
    let executor = registry(Cluster::load(&spec).await.unwrap());
    let subject = plan().target.subject;
    let error = executor.inspect(&RESTART, &subject, noon()).await.unwrap_err();
    assert!(error.to_string().contains("401"), "{error}");
    fake.write_kubeconfig(&kubeconfig, "new");
    assert!(executor.inspect(&RESTART, &subject, noon()).await.is_ok());
}

#[tokio::test]
async fn an_object_on_its_way_out_is_gone() {
    let deleted = json!({ "metadata": { "deletionTimestamp": "2026-01-31T12:00:00Z" } });
    let fake = FakeApi::start(move |request| recorded(request, deleted.clone())).await;
    let error = fake.executor().await.inspect(&RESTART, &plan().target.subject, noon()).await.unwrap_err();
    assert!(matches!(error, InspectError::NotFound { .. }), "{error}");
}

#[test]
fn only_workloads_of_a_cluster_are_acted_on() {
    for kind in WorkloadKind::ALL {
        let subject = Subject { kind, ..plan().target.subject };
        let is_unsupported = matches!(check_subject(&subject), Err(InspectError::Unsupported { .. }));
        assert_eq!(is_unsupported, kind == WorkloadKind::External, "{kind:?}");
    }
}

#[test]
fn a_name_that_would_lead_elsewhere_is_no_name() {
    for (namespace, name) in [
        ("shop", "../../../namespaces/kube-system/deployments/coredns"),
        ("shop/deployments/x?", "payment-api"),
        ("shop", "payment-api/scale"),
        ("shop", ".."),
        ("shop", "a..b"),
        ("shop", ""),
        ("", "payment-api"),
        ("sh.op", "payment-api"),
        ("shop", "Payment"),
        ("shop", "payment-"),
        ("shop", "p%2e"),
    ] {
        assert!(check_subject(&Subject::deployment(namespace, name)).is_err(), "{namespace:?} {name:?}");
    }
    for name in ["payment-api", "a", "v1.2.payment", "0"] {
        assert!(check_subject(&Subject::deployment("shop", name)).is_ok(), "{name:?}");
    }
}

proptest! {
    #[test]
    fn no_accepted_name_can_leave_its_path_segment(namespace in ".*", name in "[a-z0-9./?#%-]*") {
        if check_subject(&Subject::deployment(&*namespace, &*name)).is_ok() {
            let text = format!("{namespace} {name}");
            prop_assert!(!text.contains(['/', '?', '#', '%', '\\']) && name != "." && name != "..");
        }
    }
}

#[test]
fn the_marker_tells_what_became_of_a_half_done_action() {
    let plan = plan();
    let at_generation =
        |generation: i64| json!({ "metadata": { "resourceVersion": "2790", "generation": generation } });
    let mut restarted_again = written(&plan);
    restarted_again["spec"]["template"]["metadata"]["annotations"][RESTARTED_AT] = json!("2026-01-31T12:03:00Z");
    let cases = [
        ("ours", written(&plan), WriteOutcome::AppliedByUs),
        ("ours, and somebody restarted since", restarted_again, WriteOutcome::AppliedByUs),
        ("exactly as it was", json!({}), WriteOutcome::NotApplied),
        ("only its status moved on", at_generation(3), WriteOutcome::NotApplied),
        ("edited", at_generation(4), WriteOutcome::ChangedByOther),
        ("deleted and created anew", json!({ "metadata": { "uid": "another" } }), WriteOutcome::Gone),
    ];
    for (name, changes, expected) in cases {
        assert_eq!(outcome(changes, &plan), expected, "{name}");
    }
}

fn outcome(changes: Value, plan: &Plan) -> WriteOutcome {
    outcome_of_write(&deployment_json(changes), &written_by(plan, &plan.step).unwrap(), plan)
}

#[test]
fn a_plan_of_an_older_version_is_compared_by_who_wrote_when() {
    let mut plan = plan();
    plan.target.generation = None;
    let by_other = |time: &str| {
        json!({ "metadata": { "resourceVersion": "2790",
            "managedFields": [{ "manager": "kubectl-edit", "operation": "Update", "time": time }] } })
    };
    let cases = [
        ("exactly as it was", json!({}), WriteOutcome::NotApplied),
        ("only its status moved on", json!({ "metadata": { "resourceVersion": "2790" } }), WriteOutcome::NotApplied),
        ("edited after the decision", by_other("2026-01-31T12:00:05Z"), WriteOutcome::ChangedByOther),
        (
            "edited so shortly before that clocks may differ",
            by_other("2026-01-31T11:59:30Z"),
            WriteOutcome::ChangedByOther,
        ),
        ("edited long before", by_other("2026-01-31T11:00:00Z"), WriteOutcome::NotApplied),
        (
            "nobody knows who wrote when",
            json!({ "metadata": { "resourceVersion": "2790", "managedFields": null } }),
            WriteOutcome::ChangedByOther,
        ),
    ];
    for (name, changes, expected) in cases {
        assert_eq!(outcome(changes, &plan), expected, "{name}");
    }
}

#[test]
fn progress_is_of_our_rollout_only() {
    let plan = plan();
    let just_written = written(&plan);
    let mut complete = written(&plan);
    complete["status"] = json!({ "observedGeneration": 4 });
    let mut unmarked = complete.clone();
    unmarked["metadata"]["annotations"][ACTION_ID] = Value::Null;
    let mut recreated = complete.clone();
    recreated["metadata"]["uid"] = json!("another");
    let cases = [
        ("not observed yet", just_written, Progress::Rolling { updated_available: 0, wanted: 6 }),
        ("complete", complete, Progress::Complete { wanted: 6 }),
        ("only the marker was taken away", unmarked, Progress::Complete { wanted: 6 }),
        ("put back as Git says", json!({}), Progress::Overridden),
        ("deleted and created anew", recreated, Progress::Gone),
    ];
    for (name, changes, expected) in cases {
        let workload = deployment(changes);
        let restarted_at = &workload.template()["metadata"]["annotations"][RESTARTED_AT];
        let is_in_effect = restarted_at.as_str() == plan.step.args.text("restarted_at");
        assert_eq!(progress(&workload, &plan, is_in_effect), expected, "{name}");
    }
}

#[tokio::test]
async fn a_missing_object_is_a_trace_and_no_error() {
    let fake = FakeApi::start(|_| Reply::status(404, "NotFound", "no")).await;
    let executor = fake.executor().await;
    assert_eq!(executor.outcome_of_write(&plan()).await.unwrap(), WriteOutcome::Gone);
    assert_eq!(executor.progress(&plan()).await.unwrap(), Progress::Gone);
}
