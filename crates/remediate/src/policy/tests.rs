use homeostat_core::{Subject, WorkloadKind};

use super::*;
use crate::test_actions::{RESTART, actions};

mod any;
mod custom_resource;
mod healing_policies;
mod together;

/// The lesson's own format, word for word, with a scope.
const LESSON: &str = "
remediation_policy:
  incident_type: high-memory-leak
  detection_signal: OOMKilled
  auto_execute: true
  confidence_threshold: 0.92
  max_attempts: 2
  cooldown_after_action: 10m
  verification_window: 5m
  rollback_if_failed: false
  escalation_channel: pagerduty-p1
";

fn problems(text: &str) -> Vec<String> {
    load_policies(text, "p.yaml", &actions()).unwrap_err().iter().map(ToString::to_string).collect()
}

#[test]
fn the_lessons_format_is_read_as_it_is_and_without_a_scope_never_acts() {
    let policies = load_policies(LESSON, "p.yaml", &actions()).unwrap();
    let [policy] = policies.as_slice() else { panic!("{policies:?}") };
    assert_eq!(policy.incident_type, IncidentType::MemoryLeak);
    assert_eq!(policy.name, "memory-leak");
    assert_eq!(policy.action.as_ref().map(|action| &action.name), Some(&RESTART));
    assert_eq!(policy.cooldown_after_action, Duration::from_secs(600));
    assert_eq!(policy.verification_window, Duration::from_secs(300));
    assert_eq!(policy.confidence_threshold.value(), 0.92);
    assert_eq!(policy.escalation_channel.as_deref(), Some("pagerduty-p1"));
    assert_eq!(policy.scope, Scope::Unstated);
    assert!(lint(&policies, &actions()).iter().any(|warning| warning.contains("without a scope only proposes")));
}

#[test]
fn every_problem_is_told_at_once_with_its_place() {
    let text = "
remediation_policy:
  incident_type: oom-kiled
  auto_execute: yes please
  confidence_threshold: 92
  max_attempts: 12
  cooldown_after_action: 10 minutes
  cooldown_after_acton: 10m
  attempts_window: 5m
  mode: panic
";
    let expected = [
        "p.yaml:3:18: remediation_policy.incident_type: unknown incident type \"oom-kiled\"; did you mean oom-killed?",
        "p.yaml:4:17: remediation_policy.auto_execute: must be true or false, not a text",
        "p.yaml:5:25: remediation_policy.confidence_threshold: must lie between 0 and 1, not 92",
        "p.yaml:6:17: remediation_policy.max_attempts: must lie between 1 and 10, not 12",
        "p.yaml:7:26: remediation_policy.cooldown_after_action: invalid duration \"10 minutes\": write it like 30s, 10m, 1h30m, 7d or 250ms",
        "p.yaml:8:3: unknown key remediation_policy.cooldown_after_acton; did you mean cooldown_after_action?",
        "p.yaml:9:20: remediation_policy.attempts_window: must lie between 1h and 1w, not 5m",
        "p.yaml:10:9: remediation_policy.mode: unknown mode \"panic\": choose observe, recommend or execute",
    ];
    assert_eq!(problems(text), expected);
}

#[test]
fn what_is_missing_is_named_with_an_example() {
    assert_eq!(
        problems("remediation_policy: {incident_type: oom-killed}"),
        [
            "p.yaml:1:21: remediation_policy.auto_execute is missing; for instance `auto_execute: false`",
            "p.yaml:1:21: remediation_policy.confidence_threshold is missing; for instance `confidence_threshold: 0.9`",
        ]
    );
}

#[test]
fn an_empty_or_match_all_scope_is_refused() {
    for scope in [
        "{}",
        "{namespaces: []}",
        "{namespaces: ['*']}",
        "{namespaces: ['shop-*']}",
        "{namespaces: ['shop-.+']}",
        "{namespaces: [Shop]}",
        "{workloads: [cart]}",
    ] {
        let text = format!("{}  scope: {scope}\n", LESSON);
        assert!(!problems(&text).is_empty(), "{scope}");
    }
    let text = format!("{LESSON}  scope: {{namespaces: [shop], workloads: ['*']}}\n");
    assert!(!problems(&text).is_empty());
    let text = format!("{LESSON}  scope: {{namespaces: [shop], workloads: [cart]}}\n");
    assert!(load_policies(&text, "p.yaml", &actions()).is_ok());
}

#[test]
fn a_scope_that_cannot_be_read_never_acts_and_says_why_once() {
    let text = format!("{LESSON}  scope: {{namespaces: [shop, 5]}}\n");
    assert_eq!(
        problems(&text),
        ["p.yaml:12:30: remediation_policy.scope.namespaces: must be a list of texts; this is a whole number"]
    );
    let text = format!("{LESSON}  scope: {{workloads: [cart]}}\n");
    assert_eq!(
        problems(&text),
        [
            "p.yaml:12:10: remediation_policy.scope.namespaces must name at least one namespace: an empty scope would match everything"
        ]
    );
}

#[test]
fn a_type_without_a_sensible_action_needs_one_to_act() {
    let text = |auto: bool| {
        format!(
            "remediation_policy: {{incident_type: crash-loop, auto_execute: {auto}, confidence_threshold: 0.9, scope: {{namespaces: [shop]}}}}"
        )
    };
    assert!(problems(&text(true))[0].contains("action is missing: crash-loop"));
    assert_eq!(load_policies(&text(false), "p.yaml", &actions()).unwrap()[0].action, None);
}

#[test]
fn several_documents_and_lists_are_read_and_overlap_is_a_problem() {
    let one = |name: &str, namespace: &str| {
        format!(
            "{{name: {name}, incident_type: oom-killed, auto_execute: true, confidence_threshold: 0.9, scope: {{namespaces: [{namespace}]}}}}"
        )
    };
    let text = format!(
        "remediation_policy: {}\n---\nremediation_policies:\n- {}\n- {}\n",
        one("a", "shop"),
        one("b", "bank"),
        one("c", "news")
    );
    assert_eq!(load_policies(&text, "p.yaml", &actions()).unwrap().len(), 3);
    let text = format!("remediation_policies:\n- {}\n- {}\n", one("a", "shop"), one("b", "shop"));
    assert_eq!(
        problems(&text),
        [
            "p.yaml:3:3: policies \"a\" and \"b\" are both for oom-killed and their scopes overlap; make the scopes disjoint"
        ]
    );
}

#[test]
fn what_is_no_policy_is_one_problem() {
    assert_eq!(
        problems("remediation_policy: 7"),
        ["p.yaml:1:21: remediation_policy must be keys with values, not a whole number"]
    );
    assert_eq!(
        problems("remediation_policies: 7"),
        ["p.yaml:1:23: remediation_policies must be a list, not a whole number"]
    );
    assert_eq!(problems("- 1"), ["p.yaml:1:1: the document must be keys with values, not a list"]);
    assert_eq!(
        problems("{}"),
        [
            "p.yaml:1:1: remediation_policy is missing; for instance `remediation_policy: {incident_type: oom-killed, ...}`"
        ]
    );
    assert_eq!(
        problems("remediation_policies: [{incident_type: oom-killed, auto_execute: false}]"),
        [
            "p.yaml:1:24: remediation_policies[0].confidence_threshold is missing; for instance `confidence_threshold: 0.9`"
        ]
    );
}

#[test]
fn yaml_that_is_none_is_a_problem_with_a_place() {
    for text in ["remediation_policy: [", "- 1", "remediation_policies: 7", "a: 1\na: 2", "\t- x"] {
        let found = load_policies(text, "p.yaml", &actions()).unwrap_err();
        assert!(
            !found.is_empty() && found.iter().all(|problem| problem.place.line >= 1 && !problem.message.is_empty()),
            "{text}"
        );
    }
}

#[test]
fn risky_policies_are_warned_about() {
    let text = "
remediation_policies:
- {incident_type: crash-loop, auto_execute: false, action: rollout-restart, confidence_threshold: 0.9}
- {incident_type: bad-deployment, auto_execute: true, confidence_threshold: 0.5, scope: {namespaces: [shop]}}
";
    let warnings = lint(&load_policies(text, "p.yaml", &actions()).unwrap(), &actions());
    for expected in ["a restart is linted", "one time in 2", "no escalation_channel"] {
        assert!(warnings.iter().any(|warning| warning.contains(expected)), "{expected}: {warnings:?}");
    }
}

proptest::proptest! {
    #[test]
    fn no_text_makes_reading_panic(text in "[a-z_:{}\\[\\]\\-0-9 \n\"'*&!|>,.]{0,200}") {
        let _ = load_policies(&text, "p.yaml", &actions());
        let _ = load_policies(&format!("remediation_policy:\n  {text}"), "p.yaml", &actions());
    }

    /// A subject is in two scopes at once only if they overlap: no incident ever has two policies.
    #[test]
    fn overlap_is_symmetric_and_misses_nothing(
        left in scopes(), right in scopes(), namespace in "[ab]", name in "[xy]", kind in proptest::sample::select(WorkloadKind::ALL.to_vec()),
    ) {
        let subject = Subject { namespace, kind, name };
        proptest::prop_assert_eq!(left.overlaps(&right), right.overlaps(&left));
        if left.contains(&subject) && right.contains(&subject) {
            proptest::prop_assert!(left.overlaps(&right));
        }
    }
}

fn scopes() -> impl proptest::strategy::Strategy<Value = Scope> {
    use proptest::collection::btree_set;
    use proptest::prelude::*;
    use proptest::sample::select;
    prop_oneof![
        Just(Scope::Unstated),
        (btree_set("[ab]", 1..3), btree_set("[xy]", 0..3), btree_set(select(WorkloadKind::ALL.to_vec()), 0..2))
            .prop_map(|(namespaces, workloads, kinds)| Scope::Only { namespaces, workloads, kinds }),
    ]
}
