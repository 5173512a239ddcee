use std::collections::BTreeMap;

use homeostat_settings::{Findings, Key, Kind, Node, Value, parse_documents};
use serde_json::json;

use super::*;
use crate::test_actions::UNDO;

const EXAMPLE: &str = include_str!("../../../../../deploy/remediationpolicy.example.yaml");
const SCHEMA: &str = include_str!("../../../../../deploy/crds/remediationpolicies.homeostat.io.yaml");

/// The first example as JSON, which is YAML.
fn example() -> serde_json::Value {
    json(&parse_documents("example", EXAMPLE).unwrap()[0])
}

fn json(node: &Node) -> serde_json::Value {
    match &node.value {
        Value::Null => serde_json::Value::Null,
        Value::Bool(value) => json!(value),
        Value::Integer(value) => json!(value),
        Value::Float(value) => json!(value),
        Value::Text(value) => json!(value),
        Value::List(items) => items.iter().map(json).collect(),
        Value::Map(entries) => entries.iter().map(|(key, _, node)| (key.clone(), json(node))).collect(),
    }
}

fn load(object: &serde_json::Value) -> Result<Policy, Vec<String>> {
    let read = load_policies(&object.to_string(), "p.yaml", &actions());
    read.map(|mut policies| policies.remove(0)).map_err(|found| found.iter().map(ToString::to_string).collect())
}

#[test]
fn every_key_of_the_example_is_in_the_policy() {
    let policy = load(&example()).unwrap();
    let hours = Duration::from_secs(3600);
    let minutes = |n: u32| Duration::from_secs(60) * n;
    assert_eq!((policy.name.as_str(), policy.incident_type), ("bad-deployments", IncidentType::BadDeployment));
    assert_eq!(policy.detection_signal.as_deref(), Some("ProgressDeadlineExceeded"));
    assert!(policy.auto_execute && policy.rollback_if_failed && policy.rule.is_none());
    assert_eq!((policy.max_attempts, policy.attempts_window), (2, 2 * hours));
    assert_eq!(policy.budget, Some(ActionBudget { max: 5, window: 24 * hours }));
    assert_eq!((policy.cooldown_after_action, policy.verification_window), (minutes(15), minutes(10)));
    assert_eq!((policy.verification_settle, policy.traffic_floor), (minutes(3), 0.6));
    assert_eq!((policy.confidence_threshold.value(), policy.outcomes_min), (0.9, 20));
    assert_eq!(policy.approval.below_confidence.map(Confidence::value), Some(0.95));
    assert_eq!(policy.approval.for_actions, [RESTART].into());
    assert_eq!(policy.escalation_channel.as_deref(), Some("pagerduty-p1"));
    assert_eq!(policy.scope.to_string(), "cart, checkout (of kind deployment) in namespace shop");
    assert_eq!(policy.calendar.allowed.len(), 1);
    assert_eq!(policy.calendar.freezes[0].name, "christmas");
    let steps: Vec<_> = policy.actions().map(|action| action.name.clone()).collect();
    assert_eq!(steps, [UNDO, RESTART]);
    assert_eq!(policy.action.as_ref().unwrap().after(2), None, "then a human");
}

/// Valid, invalid, and back: no key is read without being checked, and none keeps anything of what was wrong before.
#[test]
fn every_field_is_checked_and_says_so_by_its_path() {
    let good = load(&example()).unwrap();
    let mut n_checked = 0;
    for pointer in leaves(&example(), "") {
        let mut object = example();
        let before = object.pointer(&pointer).unwrap().clone();
        let mut wrongs = vec![json!({ "no": "such" }), json!([{ "no": "such" }])];
        if before.is_number() || before.is_boolean() {
            wrongs.push(json!("lots"));
        }
        for wrong in wrongs {
            *object.pointer_mut(&pointer).unwrap() = wrong.clone();
            let found = load(&object).expect_err(&pointer);
            let key = pointer.split('/').rfind(|part| part.parse::<usize>().is_err()).unwrap();
            assert!(found.iter().any(|problem| problem.contains(key)), "{pointer}: {wrong}: {found:?}");
            n_checked += 1;
        }
        *object.pointer_mut(&pointer).unwrap() = before;
        assert_eq!(load(&object).unwrap(), good, "{pointer}");
    }
    assert!(n_checked > 60, "{n_checked}");
}

fn leaves(value: &serde_json::Value, at: &str) -> Vec<String> {
    match value {
        serde_json::Value::Object(map) => {
            map.iter().flat_map(|(key, value)| leaves(value, &format!("{at}/{key}"))).collect()
        }
        serde_json::Value::Array(items) => {
            items.iter().enumerate().flat_map(|(idx, value)| leaves(value, &format!("{at}/{idx}"))).collect()
        }
        _ => vec![at.to_owned()],
    }
}

#[test]
fn what_makes_no_sense_is_told() {
    let cases: &[(&str, serde_json::Value, &str)] = &[
        ("/kind", json!("Deployment"), "must be RemediationPolicy, not \"Deployment\""),
        ("/apiVersion", json!("homeostat.io/v1"), "must be homeostat.io/v1alpha1"),
        ("/metadata", json!({}), "metadata.name is missing"),
        ("/spec/match", json!({}), "spec.match.incidentType is missing"),
        ("/spec/match/incidentType", json!("oom-kiled"), "did you mean oom-killed?"),
        ("/spec/scope/namespaces", json!(["bank"]), "\"bank\" isn't the policy's own namespace \"shop\""),
        ("/spec/scope/namespaces", json!(["sho*"]), "is a pattern"),
        ("/spec/scope/namespaces", json!([]), "must name at least one namespace"),
        ("/spec/scope/kinds", json!(["pod"]), "unknown kind \"pod\""),
        ("/spec/steps", json!([]), "between 1 and 10 steps"),
        ("/spec/steps", json!(["escalate"]), "escalate can only be the last step"),
        ("/spec/steps", json!(["rollout-undo", "escalate", "rollout-restart"]), "escalate can only be the last step"),
        ("/spec/steps", json!([{ "with": {} }]), "spec.steps[0].action is missing"),
        (
            "/spec/steps",
            json!([{ "action": "rollout-undo", "with": { "to": 5 } }]),
            "unknown key spec.steps[0].with.to",
        ),
        ("/spec/steps", json!(["reboot"]), "unknown action \"reboot\""),
        ("/spec/approval/forActions", json!(["reboot"]), "unknown action \"reboot\""),
        ("/spec/budget", json!({ "actionsWindow": "1h" }), "needs maxActions"),
        ("/spec/budget/maxAttempts", json!(11), "must lie between 1 and 10"),
        ("/spec/budget/attemptsWindow", json!("5m"), "must lie between 1h and 1w"),
        ("/spec/calendar/timezone", json!("Europe/Berlim"), "did you mean Europe/Berlin?"),
        ("/spec/calendar/allow/0/to", json!("07:00"), "must be after from"),
        ("/spec/calendar/allow/0/days", json!(["funday"]), "unknown weekday \"funday\""),
        ("/spec/calendar/freezes/0/to", json!("2026-01-01T00:00:00Z"), "must be after from"),
        ("/spec/mode", json!("panic"), "unknown mode"),
        ("/spec", json!({ "match": { "incidentType": "oom-killed" } }), "spec.confidence is missing"),
    ];
    for (pointer, value, expected) in cases {
        let mut object = example();
        *object.pointer_mut(pointer).unwrap() = value.clone();
        let found = load(&object).expect_err(pointer);
        assert!(found.iter().any(|problem| problem.contains(expected)), "{pointer}: {value}: {found:?}");
    }
    let mut object = example();
    object["spec"]["match"]["threshold"] = json!({ "metric": "cpu", "operator": ">", "value": 1, "window": "5m" });
    assert!(load(&object).unwrap_err()[0].contains("a threshold rule has no confidence"));
    object["spec"].as_object_mut().unwrap().remove("confidence");
    assert!(load(&object).unwrap().rule.is_some());
}

#[test]
fn what_the_api_server_keeps_beside_a_policy_is_left_alone_and_a_list_is_read() {
    let mut object = example();
    object["metadata"]["uid"] = json!("9c1f");
    object["metadata"]["managedFields"] = json!([{ "manager": "kubectl" }]);
    object["status"] = json!({ "anything": 1 });
    let policy = load(&object).unwrap();
    let list = json!({ "apiVersion": "v1", "kind": "List", "metadata": { "resourceVersion": "" }, "items": [object] });
    assert_eq!(load(&list).unwrap(), policy);
    let nested = json!({ "kind": "List", "items": [list] });
    assert!(load(&nested).unwrap_err()[0].contains("a list within a list"));
}

#[test]
fn a_policy_in_a_namespace_is_for_that_namespace() {
    let mut object = example();
    object["spec"].as_object_mut().unwrap().remove("scope");
    assert_eq!(load(&object).unwrap().scope.to_string(), "namespace shop");
    object["spec"]["scope"] = json!({ "workloads": ["cart"] });
    assert_eq!(load(&object).unwrap().scope.to_string(), "cart in namespace shop");
    object["metadata"].as_object_mut().unwrap().remove("namespace");
    object["spec"].as_object_mut().unwrap().remove("scope");
    let policy = load(&object).unwrap();
    assert_eq!((&policy.scope, policy.may_execute()), (&Scope::Unstated, false));
}

#[test]
fn one_step_is_tried_again_and_a_ladder_ends() {
    let after = |steps: serde_json::Value, n: u32| {
        let mut object = example();
        object["spec"]["steps"] = steps;
        load(&object).unwrap().action.unwrap().after(n).map(|action| action.name.to_string())
    };
    let restart = Some("rollout-restart".to_owned());
    assert_eq!(after(json!(["rollout-restart"]), 3), restart);
    assert_eq!(after(json!(["rollout-restart", "escalate"]), 0), restart);
    assert_eq!(after(json!(["rollout-restart", "escalate"]), 1), None);
    assert_eq!(after(json!(["rollout-undo", "rollout-restart"]), 1), restart);
    assert_eq!(after(json!(["rollout-undo", "rollout-restart"]), 2), None);
}

/// The keys that the reader asks for, of both examples together.
fn keys_read() -> Vec<Key> {
    let mut findings = Findings::new();
    read_policies(EXAMPLE, "example", &actions(), &mut findings);
    assert_eq!(findings.to_vec(), [], "the example is right");
    findings.keys().iter().filter(|key| key.path.starts_with("spec.")).cloned().collect()
}

#[test]
fn the_schema_has_the_keys_that_are_read_with_their_types_and_bounds() {
    let crd = json(&parse_documents("crd", SCHEMA).unwrap()[0]);
    let root = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    let mut known = BTreeMap::new();
    properties(&root["properties"]["spec"], "spec", &mut known);
    // Steps are texts or sections, which a schema can't say; the reader checks them.
    let read: BTreeMap<String, Kind> = keys_read()
        .into_iter()
        .filter(|key| !key.path.starts_with("spec.steps[]"))
        .map(|key| (key.path, key.kind))
        .collect();
    assert_eq!(known.keys().collect::<Vec<_>>(), read.keys().collect::<Vec<_>>());
    for (path, kind) in &read {
        let schema = &known[path];
        let bounds = (schema["minimum"].as_f64(), schema["maximum"].as_f64());
        let is_duration = schema["pattern"].is_string();
        let kind_of_schema = (schema["type"].as_str().unwrap_or_default(), is_duration);
        let expected = match kind {
            Kind::Text | Kind::Other => ("string", false),
            Kind::Duration(_) => ("string", true),
            Kind::Flag => ("boolean", false),
            Kind::Number(range) => {
                let is_bounded = *range.end() < f64::MAX;
                assert_eq!(
                    bounds,
                    if is_bounded { (Some(*range.start()), Some(*range.end())) } else { (None, None) },
                    "{path}"
                );
                ("number", false)
            }
            Kind::Count(range) => {
                assert_eq!(bounds, (Some(f64::from(*range.start())), Some(f64::from(*range.end()))), "{path}");
                ("integer", false)
            }
            Kind::Texts | Kind::Sections => ("array", false),
            Kind::Section | Kind::Named => ("object", false),
        };
        assert_eq!(kind_of_schema, expected, "{path}: {schema}");
    }
    let names = &crd["spec"]["names"];
    assert_eq!((&names["kind"], &crd["spec"]["group"]), (&json!("RemediationPolicy"), &json!("homeostat.io")));
}

fn properties(schema: &serde_json::Value, at: &str, into: &mut BTreeMap<String, serde_json::Value>) {
    for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{at}.{name}");
        into.insert(path.clone(), inner.clone());
        properties(inner, &path, into);
        properties(&inner["items"], &format!("{path}[]"), into);
    }
}
