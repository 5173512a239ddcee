use homeostat_core::{Subject, WorkloadKind};
use homeostat_remediate::{ActionName, Args, Inverse, Plan, Step};
use serde_json::{Value, json};

use super::*;
use crate::executor::Executor;
use crate::kubernetes::testing::{FakeApi, Reply, deployment_json, journal, journaled, merge, plan, written};
use crate::kubernetes::{Cluster, ConnectSpec};
use crate::patch::{ACTION_ID, RESTARTED_AT};
use crate::places::Places;
use crate::registry::Registry;

fn payload(plan: &Plan) -> Result<String, homeostat_remediate::PayloadError> {
    Registry::new(Places::default()).payload(plan)
}

#[test]
fn the_write_is_fixed_by_the_plan_to_the_last_byte() {
    let plan = plan();
    let expected = format!(
        r#"{{"metadata":{{"annotations":{{"homeostat.io/action-id":"{}","homeostat.io/correlation-id":"{}"}},"resourceVersion":"2741","uid":"0226565c-012c-4f73-b048-451bad837fb7"}},"spec":{{"template":{{"metadata":{{"annotations":{{"kubectl.kubernetes.io/restartedAt":"2026-01-31T12:00:00Z"}}}}}}}}}}"#,
        plan.id, plan.correlation
    );
    assert_eq!(payload(&plan), Ok(expected));
}

#[test]
fn the_write_works_with_and_without_annotations() {
    let patch: Value = serde_json::from_str(&payload(&plan()).unwrap()).unwrap();
    for before in [
        json!({ "metadata": { "annotations": null } }),
        json!({ "metadata": { "annotations": { "team": "pay" } },
            "spec": { "template": { "metadata": { "annotations": { "prometheus.io/scrape": "true" } } } } }),
    ] {
        let mut object = deployment_json(before.clone());
        merge(&mut object, patch.clone());
        assert_eq!(object["spec"]["template"]["metadata"]["annotations"][RESTARTED_AT], "2026-01-31T12:00:00Z");
        assert_eq!(object["metadata"]["annotations"][ACTION_ID], plan().id.as_str());
        let kept = &before["spec"]["template"]["metadata"]["annotations"]["prometheus.io/scrape"];
        assert_eq!(&object["spec"]["template"]["metadata"]["annotations"]["prometheus.io/scrape"], kept);
    }
}

#[test]
fn a_plan_without_preconditions_has_no_write() {
    for (uid, resource_version) in [("", "2741"), ("uid", "")] {
        let mut plan = plan();
        plan.target.uid = uid.into();
        plan.target.resource_version = resource_version.into();
        assert!(payload(&plan).is_err());
    }
}

#[tokio::test]
async fn the_journaled_write_is_what_is_sent_once() {
    let fake = FakeApi::start(|_| Reply::Json(200, deployment_json(written(&plan())))).await;
    let executor = fake.executor().await;
    let applied = executor.apply(&journaled(), "2741").await.unwrap();
    assert_eq!(applied, Applied { resource_version: "2800".into(), altered: None });
    let requests = fake.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].body, executor.payload(&plan()).unwrap());
    assert_eq!(requests[0].method, "PATCH");
    assert_eq!(
        requests[0].path,
        "/apis/apps/v1/namespaces/shop/deployments/payment-api?&fieldManager=homeostat&timeout=1125ms"
    );
    assert!(requests[0].head.contains("content-type: application/merge-patch+json"), "{}", requests[0].head);
    assert!(requests[0].head.contains(concat!("user-agent: homeostat/", env!("CARGO_PKG_VERSION"))));
}

/// What applying comes to when the write is answered so, and a look at the object afterwards so.
async fn outcome(write: Reply, look: Reply) -> (Result<Applied, ApplyError>, usize) {
    let fake =
        FakeApi::start(move |request| if request.method == "PATCH" { write.clone() } else { look.clone() }).await;
    let result = fake.executor().await.apply(&journaled(), "2741").await;
    let n_writes = fake.requests().iter().filter(|request| request.method == "PATCH").count();
    (result, n_writes)
}

fn kind_of(result: &Result<Applied, ApplyError>) -> &'static str {
    match result {
        Ok(Applied { altered: None, .. }) => "applied",
        Ok(Applied { altered: Some(_), .. }) => "altered",
        Err(ApplyError::Conflict { .. }) => "conflict",
        Err(ApplyError::NotNow { .. }) => "not now",
        Err(ApplyError::Stale { .. }) => "stale",
        Err(ApplyError::Rejected { .. }) => "rejected",
        Err(ApplyError::Unknown { .. }) => "unknown",
    }
}

#[tokio::test]
async fn every_answer_has_its_meaning_and_none_is_followed_by_a_second_write() {
    let object = |changes: Value| Reply::Json(200, deployment_json(changes));
    let unchanged = || object(json!({}));
    let moved_on = || object(json!({ "metadata": { "resourceVersion": "2790" } }));
    let edited = || object(json!({ "metadata": { "resourceVersion": "2790", "generation": 4 } }));
    let unmarked = || {
        let mut changes = written(&plan());
        changes["metadata"]["annotations"][ACTION_ID] = Value::Null;
        object(changes)
    };
    let by_webhook = "admission webhook \"x\" denied the request: no";
    let by_policy = "ValidatingAdmissionPolicy 'x' with binding 'x' denied request: change management";
    let webhook_down = "Internal error occurred: failed calling webhook \"x\": connection refused";
    let recreated = || object(json!({ "metadata": { "uid": "another" } }));
    let ours = || object(written(&plan()));
    let overwritten = || object(json!({ "metadata": { "annotations": { ACTION_ID: plan().id.as_str() } } }));
    let gone = || Reply::status(404, "NotFound", "no");
    let conflict = || Reply::status(409, "Conflict", "the object has been modified");
    let invalid = || Reply::status(422, "Invalid", "metadata.uid: field is immutable");
    let cases = [
        ("accepted", ours(), unchanged(), "applied", ""),
        ("accepted, but the restart was stripped", unchanged(), unchanged(), "rejected", "changed by admission"),
        ("accepted, but the marker was stripped", unmarked(), unmarked(), "altered", ""),
        (
            "a webhook denies",
            Reply::status(403, "Forbidden", by_webhook),
            unchanged(),
            "rejected",
            "denied by admission",
        ),
        ("a policy denies", Reply::status(422, "Invalid", by_policy), unchanged(), "rejected", "denied by admission"),
        (
            "a webhook is down",
            Reply::status(500, "InternalError", webhook_down),
            unchanged(),
            "not now",
            "webhook is unavailable",
        ),
        ("only the status changed", conflict(), moved_on(), "conflict", "the object has been modified"),
        ("a conflict at the version that is read", conflict(), unchanged(), "unknown", "older than what is stored"),
        (
            "a webhook denies by a conflict",
            Reply::status(409, "Conflict", by_webhook),
            unchanged(),
            "rejected",
            "denied",
        ),
        ("another desired state", conflict(), edited(), "stale", "resourceVersion was 2741, is 2790"),
        ("another object", conflict(), recreated(), "stale", "another object has the name"),
        ("another object, refused as invalid", invalid(), recreated(), "stale", "another object has the name"),
        ("deleted in between", conflict(), gone(), "stale", "is gone"),
        ("a copy of the same write came first", conflict(), ours(), "applied", ""),
        ("a copy came first and was overwritten", conflict(), overwritten(), "unknown", "overwritten since"),
        ("a conflict that can't be looked into", conflict(), Reply::HangUp, "unknown", "can't be read"),
        ("invalid", invalid(), unchanged(), "rejected", "422 Invalid"),
        ("gone", gone(), gone(), "stale", "shop/deployment/payment-api is gone"),
        (
            "no right",
            Reply::status(403, "Forbidden", "no"),
            unchanged(),
            "rejected",
            "patch deployments.apps in namespace shop",
        ),
        (
            "no credentials",
            Reply::status(401, "Unauthorized", "who?"),
            unchanged(),
            "not now",
            "401 Unauthorized: who?",
        ),
        ("too big", Reply::Text(413, "too big"), unchanged(), "rejected", "413"),
        ("slow down", Reply::status(429, "TooManyRequests", "later"), unchanged(), "unknown", "429"),
        ("broken inside", Reply::status(500, "InternalError", "etcd"), unchanged(), "unknown", "500"),
        ("overloaded", Reply::status(503, "ServiceUnavailable", "later"), unchanged(), "unknown", "503"),
        ("timed out inside", Reply::status(504, "Timeout", "later"), unchanged(), "unknown", "504"),
        ("a proxy's page", Reply::Text(502, "<html>bad gateway"), unchanged(), "unknown", "502"),
        ("an error without a code", Reply::Json(403, json!({ "error": "nope" })), unchanged(), "unknown", ""),
        ("not JSON", Reply::Text(200, "<html>hello"), unchanged(), "unknown", ""),
        ("half an answer", Reply::Half, unchanged(), "unknown", ""),
        ("no answer", Reply::HangUp, unchanged(), "unknown", ""),
        ("silence", Reply::Silence, unchanged(), "unknown", "no answer within"),
    ];
    for (name, write, look, expected, words) in cases {
        let (result, n_writes) = outcome(write, look).await;
        assert_eq!(kind_of(&result), expected, "{name}: {result:?}");
        assert_eq!(n_writes, 1, "{name}");
        if let Err(error) = result {
            assert!(error.to_string().contains(words), "{name}: {error}");
        }
    }
}

#[tokio::test]
async fn after_a_conflict_only_the_version_of_the_write_differs() {
    let fake = FakeApi::start(|_| Reply::Json(200, deployment_json(written(&plan())))).await;
    fake.executor().await.apply(&journaled(), "2790").await.unwrap();
    let sent: Value = serde_json::from_str(&fake.requests()[0].body).unwrap();
    let mut decided: Value = serde_json::from_str(&payload(&plan()).unwrap()).unwrap();
    assert_ne!(sent, decided);
    decided["metadata"]["resourceVersion"] = json!("2790");
    assert_eq!(sent, decided);
}

#[tokio::test]
async fn a_refused_connection_leaves_the_outcome_open() {
    let fake = FakeApi::start(|_| Reply::HangUp).await;
    let executor = fake.executor().await;
    fake.stop().await;
    let result = executor.apply(&journaled(), "2741").await;
    assert_eq!(kind_of(&result), "unknown", "{result:?}");
}

#[tokio::test]
async fn a_kubeconfig_that_isnt_there_is_named() {
    let spec = ConnectSpec { kubeconfig: Some("/nonexistent/kubeconfig".into()), ..ConnectSpec::default() };
    let Err(error) = Cluster::load(&spec).await else { panic!("loaded") };
    assert!(error.to_string().contains("/nonexistent/kubeconfig"), "{error}");
}

#[tokio::test]
async fn refused_credentials_are_told_from_a_server_out_of_reach() {
    let check = async |fake: FakeApi| fake.cluster("wrong-token").await.check().await.unwrap_err();
    let refusing = FakeApi::start(|_| Reply::status(401, "Unauthorized", "Unauthorized")).await;
    let why = check(refusing).await;
    assert!(why.contains("doesn't accept the credentials"), "{why}");
    let broken = FakeApi::start(|_| Reply::status(500, "InternalError", "etcd")).await;
    let why = check(broken).await;
    assert!(why.contains("500 InternalError: etcd"), "{why}");
    let silent = FakeApi::start(|_| Reply::Silence).await;
    let why = check(silent).await;
    assert!(why.contains("no answer within"), "{why}");
}

#[tokio::test]
async fn nothing_is_sent_for_what_this_executor_cant_do() {
    let fake = FakeApi::start(|_| Reply::Json(200, deployment_json(json!({})))).await;
    let executor = fake.executor().await;
    let step = |action: &'static str| Step { action: ActionName::new(action), args: Args::default() };
    let (undo, unknown) = (step("rollout-undo"), step("reboot-everything"));
    let mut external = plan();
    external.target.subject.kind = WorkloadKind::External;
    let mut elsewhere = plan();
    elsewhere.target.subject = Subject::deployment("shop", "../../kube-system/deployments/coredns");
    for plan in [Plan { step: undo.clone(), ..plan() }, Plan { step: unknown.clone(), ..plan() }, external, elsewhere] {
        let result = executor.apply(&journal(plan), "2741").await;
        assert_eq!(kind_of(&result), "rejected", "{result:?}");
    }
    for inverse in [Inverse::Nothing, Inverse::Step(unknown), Inverse::Irreversible] {
        let result = executor.undo(&journal(Plan { inverse, ..plan() })).await;
        assert_eq!(kind_of(&result), "rejected", "{result:?}");
    }
    assert!(fake.requests().is_empty(), "{:?}", fake.requests());
}

#[tokio::test]
async fn a_dry_run_is_the_write_itself_marked_as_one_and_says_what_would_be_refused() {
    let unmarked = || {
        let mut changes = written(&plan());
        changes["metadata"]["annotations"][ACTION_ID] = Value::Null;
        Reply::Json(200, deployment_json(changes))
    };
    let cases = [
        ("accepted", Reply::Json(200, deployment_json(written(&plan()))), None),
        (
            "denied",
            Reply::status(403, "Forbidden", "admission webhook \"x\" denied the request: no"),
            Some("denied by admission"),
        ),
        ("its effect is taken out", Reply::Json(200, deployment_json(json!({}))), Some("its effect was taken out")),
        ("its marker is taken out", unmarked(), Some("what became of the write")),
        (
            "a webhook can't be asked so",
            Reply::status(400, "BadRequest", "admission webhook \"x\" does not support dry run"),
            None,
        ),
    ];
    for (what, reply, refused) in cases {
        let fake = FakeApi::start(move |_| reply.clone()).await;
        let executor = fake.executor().await;
        match (executor.dry_run(&plan()).await, refused) {
            (Ok(()), None) => {}
            (Err(ApplyError::Rejected { why }), Some(part)) => assert!(why.contains(part), "{what}: {why}"),
            (answer, _) => panic!("{what}: {answer:?}"),
        }
        let requests = fake.requests();
        assert!(requests.iter().all(|request| request.path.contains("dryRun=All")), "{what}: {requests:?}");
        assert_eq!(requests[0].body, executor.payload(&plan()).unwrap(), "{what}");
    }
}

#[tokio::test]
async fn a_dry_run_that_meets_a_new_status_asks_again_at_that_version() {
    let fake = FakeApi::start(|request| match (request.method.as_str(), request.body.contains("2790")) {
        ("PATCH", false) => Reply::status(409, "Conflict", "the object has been modified"),
        ("PATCH", true) => {
            Reply::status(403, "Forbidden", "exceeded quota: admission webhook \"q\" denied the request")
        }
        _ => Reply::Json(200, deployment_json(json!({ "metadata": { "resourceVersion": "2790" } }))),
    })
    .await;
    let answer = fake.executor().await.dry_run(&plan()).await;
    assert!(matches!(answer, Err(ApplyError::Rejected { .. })), "{answer:?}");
}

#[tokio::test]
async fn nothing_leaves_while_the_fence_is_closed() {
    let fake = FakeApi::start(|_| Reply::Json(200, deployment_json(written(&plan())))).await;
    let times = homeostat_journal::LeaseTimes::default();
    let fence = std::sync::Arc::new(crate::Fence::new(times, std::time::Duration::from_secs(10)));
    let cluster = fake.cluster("token").await;
    let executor = Registry::new(Places::default().with_cluster(cluster)).behind(std::sync::Arc::clone(&fence));
    fence.led_by(Some("another one"));
    for refused in [
        executor.apply(&journaled(), "2741").await.unwrap_err(),
        executor.dry_run(&plan()).await.unwrap_err(),
        executor.undo(&journal(Plan { inverse: Inverse::Step(plan().step), ..plan() })).await.unwrap_err(),
    ] {
        assert!(matches!(&refused, ApplyError::NotNow { why } if why.contains("another one leads")), "{refused}");
    }
    assert_eq!(fake.requests().len(), 0);
    // Looking is no harm: whoever follows wants to know, too.
    assert!(executor.outcome_of_write(&plan()).await.is_ok());
    let term = homeostat_journal::Term { lease_uid: "u".into(), transitions: 1, holder: "us".into() };
    fence.renewed(term, tokio::time::Instant::now());
    executor.apply(&journaled(), "2741").await.unwrap();
    assert_eq!(fake.requests().iter().filter(|request| request.method == "PATCH").count(), 1);
}
