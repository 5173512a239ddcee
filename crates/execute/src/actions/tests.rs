//! The contract of every action, over the registered ones and a fake that is registered by one line.

use std::collections::BTreeSet;

use homeostat_core::{IncidentType, Subject, Timestamp, WorkloadKind};
use homeostat_journal::{Intent, Journal};
use homeostat_remediate::{
    ActionName, Args, Ask, Failing, GitFile, Inspected, Inverse, Known, Levels, ObjectKind, ObjectRef, Owner, Plan,
    PlanId, PreviousRevision, Release, ReleaseRevision, SeenObject, SeenPod, Target, TemplateChange, VerifySpec,
    load_policies,
};
use serde_json::json;

use super::*;
use crate::executor::{ApplyError, Executor, WriteOutcome};
use crate::merge_patch;
use crate::patch::ACTION_ID;
use crate::places::Places;
use crate::registry::Registry;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_secs(1_800_000_000 + seconds)
}

/// An object of this name beside the Deployment.
fn object(kind: ObjectKind, name: &str, rest: serde_json::Value) -> SeenObject {
    let mut manifest = json!({ "metadata": { "name": name, "uid": format!("uid-of-{name}"), "resourceVersion": "5" } });
    manifest = merge_patch::merge(manifest, &rest);
    SeenObject { object: ObjectRef::of(kind, &manifest).unwrap(), manifest, owner: None }
}

fn flags() -> SeenObject {
    object(ObjectKind::ConfigMap, "flags", json!({ "data": {} }))
}

fn cart_route() -> SeenObject {
    let backend = |name: &str| json!({ "name": name, "weight": 50 });
    let rules = json!([{ "backendRefs": [backend("cart-stable"), backend("cart-canary")] }]);
    object(ObjectKind::HttpRoute, "cart", json!({ "spec": { "rules": rules } }))
}

/// Three nodes: one fails, one is well, and one was cordoned by an earlier action.
fn nodes() -> Vec<SeenObject> {
    let ready = json!({ "status": { "conditions": [{ "type": "Ready", "status": "True" }] } });
    let cordoned = json!({ "metadata": { "annotations": { ACTION_ID: "act-0" } }, "spec": { "unschedulable": true } });
    vec![
        object(ObjectKind::Node, "node-0", ready.clone()),
        object(ObjectKind::Node, "node-1", ready),
        object(ObjectKind::Node, "node-2", cordoned),
    ]
}

/// One pod fails on `node-0`, two serve on `node-1`.
fn pods() -> Vec<SeenPod> {
    let pod = |name: &str, node: &str, why: Option<&str>| SeenPod {
        object: object(ObjectKind::Pod, name, json!({})).object,
        node: Some(node.into()),
        failing: why.map(|why| Failing { since: Some(at(-60)), why: why.into() }),
        restarts: 3,
        labels: [("app".to_owned(), "cart".to_owned())].into(),
    };
    vec![
        pod("cart-a", "node-0", Some("CrashLoopBackOff")),
        pod("cart-b", "node-1", None),
        pod("cart-c", "node-1", None),
    ]
}

fn git_file() -> GitFile {
    let text = "kind: Deployment\nmetadata: {name: cart}\nspec: {replicas: 3}\n".to_owned();
    GitFile { commit: "c".into(), mode: "100644".into(), blob: "b".into(), text }
}

/// A Helm release with a revision that was good for a day.
fn release() -> Release {
    let revision = |revision: u32, status: &str, days: i64| ReleaseRevision {
        revision,
        status: status.into(),
        deployed_at: Some(at(days * 86_400)),
        description: String::new(),
        manifest_digest: revision.to_string(),
        has_rollback_hooks: false,
    };
    let revisions = vec![revision(1, "superseded", -2), revision(2, "deployed", -1)];
    Release { name: "cart".into(), namespace: "shop".into(), revisions }
}

/// A Deployment as the action wants it: at rest, with a revision to go back to, or in the middle of a rollout where that is its work.
fn seen_by(action: &dyn Action) -> Inspected {
    let works_while = action.works_while();
    let mut seen = seen();
    // Only who gives a cordoned node back finds one.
    seen.others.retain(|other| other.object.name != "node-2" || action.spec().name.as_str() == "uncordon");
    if !action.changes_in_place() {
        seen.owner = Some(Owner { name: "Argo CD".into(), seen_by: "a label".into() });
    }
    Inspected { rollout_in_progress: works_while.rolling_out, paused: works_while.paused, ..seen }
}

/// A Deployment at rest, with a revision to go back to.
fn seen() -> Inspected {
    let change = TemplateChange { to: json!({ "spec": { "a": 1 } }), back: json!({ "spec": { "a": 2 } }) };
    Inspected {
        generation: Some(1),
        revision: Some("2".into()),
        manifest: json!({ "metadata": { "name": "cart" }, "spec": { "replicas": 3, "template": { "spec": { "containers": [
            { "name": "cart", "resources": { "requests": { "memory": "256Mi" }, "limits": { "memory": "512Mi" } } }] } } } }),
        quotas: Known::Is(vec![]),
        pods: Known::Is(pods()),
        others: nodes().into_iter().chain([flags(), cart_route()]).collect(),
        release: Known::Is(release()),
        git_file: Known::Is(git_file()),
        revision_previous: Known::Is(PreviousRevision { revision: "1".into(), change: Some(change) }),
        replicas_wanted: 3,
        replicas_available: 3,
        ..Inspected::at_rest("u", WorkloadKind::Deployment, at(0))
    }
}

/// What the action's own example of a policy says.
fn args(action: &dyn Action) -> Args {
    let policies = load_policies(&policy_text(action, IncidentType::Latency), "p", &actions());
    policies.unwrap()[0].action.clone().unwrap().args
}

fn policy_text(action: &dyn Action, incident_type: IncidentType) -> String {
    let name = &action.spec().name;
    let with = if action.example().is_empty() { String::new() } else { format!("with: {}, ", action.example()) };
    format!(
        "remediation_policy: {{incident_type: {incident_type}, auto_execute: true, confidence_threshold: 0.9, \
         action: {name}, {with}rollback_if_failed: true, scope: {{namespaces: [shop]}}}}"
    )
}

fn plan(action: &dyn Action) -> Plan {
    let subject = Subject::deployment("shop", "cart");
    let incident = homeostat_core::IncidentId::of(&subject, at(0));
    let minute = std::time::Duration::from_secs(60);
    let (step, inverse) =
        action.step(&Ask { args: &args(action), now: at(0), trouble_at: &[] }, &seen_by(action)).unwrap();
    Plan {
        id: PlanId::of(&incident, 1),
        correlation: homeostat_core::CorrelationId::of(&subject, at(0)),
        incident,
        incident_type: IncidentType::OomKilled,
        policy: "p".into(),
        attempt: 1,
        target: Target { subject, uid: "u".into(), resource_version: "1".into(), generation: Some(1) },
        step,
        inverse,
        undo_if_failed: true,
        repeat: action.spec().repeat,
        verify: VerifySpec {
            features: vec!["errors".into()],
            window: minute,
            settle: minute,
            fresh_points_min: 3,
            traffic_floor: 0.5,
            replicas_before: 3,
            rollout_failed_before: false,
            recovery: action.spec().recovery,
        },
        decided_at: at(0),
        apply_before: at(60),
        deadline: at(600),
    }
}

#[test]
fn names_and_defaults_are_each_claimed_once() {
    let actions = actions();
    let names: Vec<&str> = actions.names().collect();
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "{names:?}");
    for incident_type in IncidentType::ALL {
        let claimed = actions.iter().filter(|action| action.spec().default_for.contains(incident_type));
        assert!(claimed.count() <= 1, "{incident_type}");
    }
}

#[test]
fn every_action_says_what_it_acts_on_and_which_rights_it_needs() {
    for action in actions().iter() {
        let spec = action.spec();
        let name = spec.name.as_str();
        assert!(!name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{name:?}");
        assert!(!spec.targets.is_empty(), "{name}");
        for right in spec.rights {
            assert!(!right.verb.is_empty() && !right.resource.is_empty(), "{name}: {right}");
        }
    }
}

#[test]
fn a_plan_of_every_action_survives_the_journal_and_says_how_it_is_taken_back() {
    for action in actions().iter() {
        let plan = plan(action);
        assert_eq!(plan.step.action, action.spec().name);
        let json = serde_json::to_string(&plan).unwrap();
        let read: Plan = serde_json::from_str(&json).unwrap();
        assert_eq!(read, plan, "{json}");
        assert_eq!(read.digest(), plan.digest());
        if let Some(step) = plan.inverse.step() {
            assert!(actions().get(&step.action).is_some(), "{}: the inverse is no action", action.spec().name);
            assert_ne!(step, &plan.step, "{}: taking it back would do it again", action.spec().name);
        }
    }
}

#[test]
fn what_is_sent_depends_on_the_plan_alone_and_carries_its_marker() {
    for action in actions().iter() {
        let plan = plan(action);
        let payload = action.payload(&plan, &plan.step).unwrap();
        let again: Plan = serde_json::from_str(&serde_json::to_string(&plan).unwrap()).unwrap();
        assert_eq!(action.payload(&again, &again.step).unwrap(), payload, "{}", plan.step.action);
        assert!(payload.contains(plan.id.as_str()), "{}: {payload}", plan.step.action);
        let mut other = plan.clone();
        other.target.uid = "another".into();
        if let Some(object) = ObjectRef::in_step(&other.step).unwrap() {
            let object = ObjectRef { uid: "another".into(), ..object };
            other.step.args = object.in_args(other.step.args);
        }
        assert_ne!(action.payload(&other, &other.step).unwrap(), payload, "{}", plan.step.action);
        if let Some(step) = plan.inverse.step() {
            assert_ne!(action.payload(&plan, step).unwrap(), payload, "{}", plan.step.action);
        }
    }
}

#[test]
fn a_step_that_was_made_for_another_action_is_refused_not_guessed() {
    for action in actions().iter() {
        let mut plan = plan(action);
        plan.step.args = Args::default();
        assert!(action.payload(&plan, &plan.step).is_err(), "{}", plan.step.action);
    }
}

/// Plain English: a sentence has a verb and no code, begins in lower case after "policy NAME:", and ends without a full stop.
#[test]
fn every_action_can_be_named_by_a_policy_and_its_warnings_are_sentences() {
    for action in actions().iter() {
        for incident_type in IncidentType::ALL {
            let text = policy_text(action, *incident_type);
            let policies =
                load_policies(&text, "p", &actions()).unwrap_or_else(|problems| panic!("{text}: {problems:?}"));
            assert_eq!(policies[0].action.as_ref().map(|action| &action.name), Some(&action.spec().name));
            for warning in action.lint(&policies[0]) {
                assert!(warning.split_whitespace().count() >= 4, "{warning}");
                assert!(!warning.ends_with('.') && !warning.contains("  ") && !warning.contains('\n'), "{warning:?}");
            }
        }
    }
}

#[test]
fn an_unknown_action_is_named_with_those_that_there_are() {
    let text =
        "remediation_policy: {incident_type: latency, auto_execute: false, confidence_threshold: 0.9, action: reboot}";
    let problems = load_policies(text, "p", &actions()).unwrap_err();
    let text = problems[0].to_string();
    assert!(text.contains("unknown action \"reboot\"") && text.contains("rollout-restart, rollout-undo"), "{text}");
}

#[test]
fn a_failed_rollout_is_gone_back_from_and_never_restarted() {
    let failed = Inspected { rollout_failed: Some("ProgressDeadlineExceeded".into()), ..seen() };
    let step = |name: &'static str, seen: &Inspected| {
        let action = actions().get(&ActionName::new(name)).unwrap();
        action.step(&Ask { args: &Args::default(), now: at(0), trouble_at: &[] }, seen)
    };
    assert!(step("rollout-restart", &failed).is_err());
    assert!(step("rollout-undo", &failed).is_ok());
    let first = Inspected { revision_previous: Known::NotApplicable, ..seen() };
    assert_eq!(step("rollout-undo", &first).unwrap_err().code, "no-previous-revision");
    let unseen = Inspected { revision_previous: Known::NotVisible { why: "no right".into() }, ..seen() };
    assert_eq!(step("rollout-undo", &unseen).unwrap_err().code, "revisions-not-visible");
    let unknown = Inspected { revision: None, ..seen() };
    assert_eq!(step("rollout-undo", &unknown).unwrap().1, Inverse::Irreversible);
}

#[test]
fn every_action_is_on_the_page_of_actions_with_all_its_keys() {
    let page = include_str!("../../../../docs/reference/actions.md");
    for action in actions().iter().filter(|action| action.spec().name.as_str() != "fake") {
        let name = action.spec().name.as_str();
        let is_heading = |line: &str| line.starts_with("## ") && line[3..].split(", ").any(|heading| heading == name);
        assert!(page.lines().any(is_heading), "{name} has no section");
        assert!(page.contains(&format!("`{name}`")), "{name} isn't in the table");
        for key in read_keys(action) {
            assert!(page.contains(&format!("`{key}`")) || page.contains(&format!("{key}: ")), "{name}: {key}");
        }
    }
}

/// The keys that the action asks for under `with`.
fn read_keys(action: &dyn Action) -> Vec<String> {
    let mut findings = homeostat_remediate::Findings::new();
    homeostat_remediate::read_policies(&policy_text(action, IncidentType::Latency), "p", &actions(), &mut findings);
    let keys = findings.keys().iter().filter_map(|key| key.path.split_once("with.").map(|(_, key)| key.to_owned()));
    keys.collect()
}

/// What it costs to add one, counted on the fake: a file, and in `actions.rs` its `mod` line and its line in the list.
#[test]
fn an_action_is_one_file_and_one_line_of_registration() {
    let registered = include_str!("../actions.rs").lines().filter(|line| line.contains("fake"));
    assert_eq!(registered.collect::<Vec<_>>(), ["mod fake;", "    &fake::Fake,"]);
    let elsewhere = [include_str!("../registry.rs"), include_str!("../lib.rs"), include_str!("../executor.rs")];
    assert!(elsewhere.iter().all(|text| !text.contains("fake") && !text.contains("rollout-restart")));
}

#[tokio::test]
async fn the_registry_hands_a_plan_to_the_action_that_it_names() {
    let registry = Registry::new(Places::default());
    let fake = registry.actions().get(&ActionName::new("fake")).unwrap();
    let plan = plan(fake);
    assert_eq!(registry.payload(&plan).unwrap(), fake.payload(&plan, &plan.step).unwrap());
    assert_eq!(registry.outcome_of_write(&plan).await.unwrap(), WriteOutcome::AppliedByUs);
    let journal = Journal::in_memory().unwrap();
    let intent = Intent {
        plan: plan.clone(),
        executor: "test".into(),
        write: String::new(),
        traffic_before: None,
        levels_before: Levels::new(),
    };
    let journaled = journal.record(&intent, at(0)).unwrap();
    assert_eq!(registry.apply(&journaled, "1").await.unwrap().resource_version, plan.id.as_str());
    assert!(
        matches!(registry.undo(&journaled).await, Err(ApplyError::Rejected { .. })),
        "it says that it is irreversible"
    );
    let mut unknown = plan;
    unknown.step.action = ActionName::new("of-tomorrow");
    assert!(registry.payload(&unknown).is_err() && registry.outcome_of_write(&unknown).await.is_err());
}
