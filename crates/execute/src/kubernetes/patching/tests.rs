//! Rollouts on an API server that writes as the real one does: preconditions, merge, a new version, a new generation.

use std::sync::{Arc, Mutex};

use homeostat_remediate::{ActionName, Args, Ask, Inverse, Plan, Repeat, Step};
use serde_json::{Value, json};

use super::*;
use crate::executor::Executor;
use crate::kubernetes::testing::{FakeApi, Reply, Request, deployment_json, journal, merge, plan};
use crate::patch::{ACTION_ID, UNDONE_ID};
use crate::registry::Registry;

const UNDO: ActionName = ActionName::new("rollout-undo");

struct World {
    object: Arc<Mutex<Value>>,
    api: FakeApi,
    executor: Registry,
}

impl World {
    async fn start() -> Self {
        let object = Arc::new(Mutex::new(deployment_json(json!({}))));
        let shared = Arc::clone(&object);
        let api = FakeApi::start(move |request| answer(&mut shared.lock().unwrap(), request)).await;
        let executor = api.executor().await;
        Self { object, api, executor }
    }

    fn template(&self) -> Value {
        self.object.lock().unwrap()["spec"]["template"].clone()
    }

    fn n_writes(&self) -> usize {
        self.api.requests().iter().filter(|request| request.method == "PATCH").count()
    }

    /// What the undo's own file plans for the object as it is.
    async fn undo_plan(&self) -> Plan {
        let plan = plan();
        let seen = self.executor.inspect(&UNDO, &plan.target.subject, plan.decided_at).await.unwrap();
        let undo = self.executor.actions().get(&UNDO).unwrap();
        let (step, inverse) =
            undo.step(&Ask { args: &Args::default(), now: plan.decided_at, trouble_at: &[] }, &seen).unwrap();
        Plan { step, inverse, repeat: Repeat::Idempotent, ..plan }
    }
}

fn answer(object: &mut Value, request: &Request) -> Reply {
    if request.path.contains("/replicasets?") {
        return Reply::Json(200, serde_json::from_str(include_str!("../fixtures/replica_sets.json")).unwrap());
    }
    if request.path.contains('?') && request.method == "GET" {
        let kind =
            if request.path.contains("autoscaler") { "HorizontalPodAutoscalerList" } else { "PodDisruptionBudgetList" };
        return Reply::Json(200, json!({ "kind": kind, "metadata": {}, "items": [] }));
    }
    if request.method == "PATCH" {
        let mut patch: Value = serde_json::from_str(&request.body).unwrap();
        for (key, code) in [("uid", 422), ("resourceVersion", 409)] {
            if patch["metadata"][key] != object["metadata"][key] {
                return Reply::status(code, "Conflict", key);
            }
        }
        let version: u64 = object["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap();
        let generation = object["metadata"]["generation"].as_i64().unwrap();
        patch["metadata"]["resourceVersion"] = json!((version + 1).to_string());
        patch["metadata"]["generation"] = json!(generation + 1);
        merge(object, patch);
    }
    Reply::Json(200, object.clone())
}

#[tokio::test]
async fn an_undo_goes_back_to_the_earlier_template_with_its_marker_in_the_same_write() {
    let world = World::start().await;
    let plan = world.undo_plan().await;
    assert_eq!(plan.step.args.text("to_revision"), Some("1"));
    let Inverse::Step(Step { action, args }) = &plan.inverse else { panic!("{:?}", plan.inverse) };
    assert_eq!((action, args.text("to_revision")), (&UNDO, Some("2")));

    let journaled = journal(plan.clone());
    let applied = world.executor.apply(&journaled, &plan.target.resource_version).await.unwrap();
    assert_eq!(applied.resource_version, "2742");
    let template = world.template();
    assert_eq!(template["spec"]["containers"][0]["image"], "payment-api:1.6");
    assert_eq!(template["spec"]["containers"][0]["env"], json!([{ "name": "POOL", "value": "8" }]));
    assert_eq!(template["metadata"]["labels"], json!({ "app": "payment-api" }));
    assert_eq!(world.object.lock().unwrap()["metadata"]["annotations"][ACTION_ID], plan.id.as_str());
    let patches: Vec<Request> = world.api.requests().into_iter().filter(|request| request.method == "PATCH").collect();
    assert_eq!(patches.len(), 1);
    assert_eq!(patches[0].body, world.executor.payload(&plan).unwrap(), "what was journaled is what was sent");

    assert_eq!(world.executor.outcome_of_write(&plan).await.unwrap(), WriteOutcome::AppliedByUs);
    assert!(matches!(world.executor.progress(&plan).await.unwrap(), Progress::Rolling { .. }));
    assert!(world.executor.apply(&journaled, "2741").await.is_ok(), "sent again it is done already");
    assert_eq!(world.template(), template);
}

#[tokio::test]
async fn an_undo_is_taken_back_once() {
    let world = World::start().await;
    let before = world.template();
    let plan = world.undo_plan().await;
    let journaled = journal(plan.clone());
    world.executor.apply(&journaled, "2741").await.unwrap();
    assert_ne!(world.template(), before);
    world.executor.undo(&journaled).await.unwrap();
    assert_eq!(world.template(), before);
    let annotations = world.object.lock().unwrap()["metadata"]["annotations"].clone();
    assert_eq!(
        (&annotations[ACTION_ID], &annotations[UNDONE_ID]),
        (&json!(plan.id.as_str()), &json!(plan.id.as_str()))
    );
    let n_writes = world.n_writes();
    world.executor.undo(&journaled).await.unwrap();
    assert_eq!(world.n_writes(), n_writes, "it was taken back already");
}

#[tokio::test]
async fn what_somebody_changed_since_isnt_taken_back() {
    let changes = [
        json!({ "spec": { "template": { "spec": { "containers": [{ "name": "app", "image": "payment-api:1.8" }] } } } }),
        json!({ "metadata": { "annotations": { ACTION_ID: "act-another" } } }),
        json!({ "metadata": { "uid": "another" } }),
    ];
    for change in changes {
        let world = World::start().await;
        let journaled = journal(world.undo_plan().await);
        world.executor.apply(&journaled, "2741").await.unwrap();
        merge(&mut world.object.lock().unwrap(), change.clone());
        let result = world.executor.undo(&journaled).await;
        assert!(matches!(result, Err(ApplyError::Stale { .. })), "{change}: {result:?}");
        assert_eq!(world.n_writes(), 1, "{change}");
    }
}

#[tokio::test]
async fn an_undo_of_an_object_that_changed_meanwhile_writes_nothing() {
    let world = World::start().await;
    let plan = world.undo_plan().await;
    let journaled = journal(plan);
    merge(&mut world.object.lock().unwrap(), json!({ "metadata": { "resourceVersion": "2790", "generation": 4 } }));
    let before = world.template();
    let result = world.executor.apply(&journaled, "2741").await;
    assert!(matches!(result, Err(ApplyError::Stale { .. })), "{result:?}");
    assert_eq!(world.template(), before);
}
