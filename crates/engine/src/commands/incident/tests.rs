use homeostat_core::{Calibrated, Confidence, Incident, Timestamp};
use homeostat_settings::{Node, Value as Read, parse_documents};
use serde_json::{Value, json};

use super::list::{Filter, Since};
use super::recorded::Recorded;
use super::*;

fn incident(state: &str) -> Value {
    json!({
        "id": "inc-0123456789abcdef", "correlation": "cor-0123456789abcdef",
        "subject": "shop/deployment/payment-api", "type": "oom-killed", "state": state,
        "opened_at": "2026-11-30T04:00:00Z", "updated_at": "2026-11-30T04:10:00Z",
        "score": 2.34, "score_peak": 5.0,
        "confidence": {"confidence": 0.95, "lower": 0.76, "n_outcomes": 20},
        "evidence": [
            {"feature": "memory", "signal": "memory", "observed": 0.93, "expected": 0.41, "deviation": 8.53},
            {"feature": "requests", "signal": "traffic", "observed": 1.5e9, "expected": 0.0, "deviation": -3.0},
        ],
        "votes": [], "affected": ["shop/deployment/checkout"],
        "annotations": [{"kind": "planned-event", "name": "winter-sale"}],
    })
}

fn recorded(state: &str, decision: &Value, actions: &Value) -> Recorded {
    Recorded::of(incident(state), decision.clone(), &Value::Null, actions).expect("readable")
}

fn refused(code: &Value) -> Value {
    json!({"outcome": "refuse", "action": "rollout-restart", "policy": "oom-killed", "refusals": [code]})
}

fn now() -> Timestamp {
    "2026-11-30T04:30:00Z".parse().expect("a time")
}

#[test]
fn the_page_says_what_since_when_how_certain_why_and_what_next_within_80_columns() {
    let low = json!({"code": "low-confidence", "lower": 0.76, "confidence": 0.95, "threshold": 0.9});
    let page = page::of(&recorded("open", &refused(&low), &Value::Null), now());
    for part in [
        "oom-killed of shop/deployment/payment-api",
        "opened 2026-11-30T04:00:00Z (30m ago)",
        "0.95, lower bound 0.76 (95 %, from 20 labelled incidents)",
        "2.3 now, 5.0 at its peak",
        "the planned event \"winter-sale\" covers it",
        "memory    0.930     0.410     +8.5",
        "rollout-restart was refused under policy \"oom-killed\", because:",
        "[low-confidence]",
        "kubectl -n shop describe deployment/payment-api",
    ] {
        assert!(page.contains(part), "{part:?} isn't in\n{page}");
    }
    let widest = page.lines().map(|line| line.chars().count()).max();
    assert!(widest <= Some(80), "{widest:?}\n{page}");
    assert!(page.lines().count() <= 30, "{page}");
}

#[test]
fn an_action_that_cured_is_shown_before_the_refusal_of_the_next_one() {
    let recovered = json!([{"plan": "plan-1", "action": "rollout-restart", "attempt": 1, "at": "2026-11-30T04:05:00Z",
        "stage": "recovered", "why": null}]);
    let row = recorded("open", &refused(&json!({"code": "just-recovered", "after": "plan-1"})), &recovered);
    let table = list::table(&[row]);
    assert!(table.contains("rollout-restart: recovered") && !table.contains("just-recovered"), "{table}");
    let row = recorded("open", &refused(&json!({"code": "just-recovered", "after": "plan-1"})), &recovered);
    assert!(next::step(&row).starts_with("Nothing: rollout-restart helped"), "{}", next::step(&row));
}

#[test]
fn every_state_and_outcome_has_a_next_step() {
    let proposed = json!({"outcome": "propose", "action": "rollout-undo", "policy": null, "refusals": [{"code": "mode", "mode": "recommend"}]});
    for (state, decision, part) in [
        ("resolved", Value::Null, "back to normal"),
        ("rebaselined", Value::Null, "counts as normal"),
        ("stale", Value::Null, "no data"),
        ("open", Value::Null, "next cycle"),
        ("open", proposed, "kubectl -n shop rollout undo deployment/payment-api"),
        ("open", refused(&json!({"code": "kill-switch", "why": "x"})), "homeostat resume"),
        ("open", refused(&json!({"code": "paused"})), "kubectl -n shop rollout resume deployment/payment-api"),
        ("open", refused(&json!({"code": "never-heard-of", "text": "a newer server's reason"})), "kubectl"),
    ] {
        let step = next::step(&recorded(state, &decision, &Value::Null));
        assert!(step.contains(part), "{state}: {step}");
    }
}

#[test]
fn ids_are_found_by_their_beginning() {
    assert!(matches("inc-0123", "inc-01") && matches("inc-0123", "012") && matches("inc-0123", "inc-0123"));
    assert!(!matches("inc-0123", "inc-02") && !matches("inc-0123", ""));
}

#[test]
fn filters_hold_together() {
    let incident: Incident = serde_json::from_value(incident("resolved")).expect("an incident");
    let holds = |filter: Filter| filter.holds(&incident, now());
    assert!(holds(Filter::default()));
    assert!(!holds(Filter { open: true, ..Filter::default() }));
    assert!(holds(Filter { namespace: Some("shop".into()), ..Filter::default() }));
    assert!(!holds(Filter { namespace: Some("shop2".into()), ..Filter::default() }));
    assert!(!holds(Filter { incident_type: Some("latency".parse().expect("a type")), ..Filter::default() }));
    let ago = |minutes: u64| Since::Ago(std::time::Duration::from_secs(60 * minutes));
    assert!(holds(Filter { since: Some(ago(20)), ..Filter::default() }));
    assert!(!holds(Filter { since: Some(ago(19)), ..Filter::default() }));
}

#[test]
fn labels_reach_no_terminal_as_they_are() {
    let mut wild = incident("open");
    wild["evidence"][0]["feature"] = json!("mem\u{1b}[31m");
    wild["annotations"][0]["name"] = json!("sale\r\u{9b}2J");
    let row = Recorded::of(
        wild,
        refused(&json!({"code": "x", "text": "why\u{7}"})),
        &json!({"verdict": "true\u{7}", "by": "anna\u{1b}[31m", "note": "n\u{9b}2J", "at": "\r"}),
        &Value::Null,
    )
    .expect("readable");
    for text in [page::of(&row, now()), list::table(&[row])] {
        assert!(!text.chars().any(|letter| letter.is_control() && letter != '\n'), "{text:?}");
    }
}

#[test]
fn what_was_never_labelled_is_of_unknown_confidence() {
    let mut row = recorded("open", &Value::Null, &Value::Null);
    row.incident.confidence = Calibrated::UNKNOWN;
    assert!(page::of(&row, now()).contains("unknown: no incident of this type was ever labelled"));
    row.incident.confidence = Calibrated { confidence: Confidence::ZERO, ..Calibrated::UNKNOWN };
    assert!(list::table(&[row]).contains("unknown"));
}

#[test]
fn a_label_and_what_confidence_rests_on_are_shown() {
    let label = json!({"verdict": "true-positive", "by": "anna", "note": "the disk", "at": "2026-11-30T05:00:00Z"});
    let mut row = Recorded::of(incident("resolved"), Value::Null, &label, &Value::Null).expect("readable");
    let page = page::of(&row, now());
    assert!(page.contains("true-positive by anna at 2026-11-30T05:00:00Z: the disk"), "{page}");
    row.incident.confidence.n_verdicts = 14;
    let page = page::of(&row, now()).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(page.contains("from 14 labels here and the calibration by 6 others"), "{page}");
    assert!(list::table(&[row]).contains("true-positive"));
}

#[test]
fn yaml_is_read_back_as_the_same_data() {
    let data = json!({
        "a": [1, {"b": "c: d # e", "on": null}, [], [true, [2.5]]], "empty": {}, "text": "two\nlines \"q\" \\", "no": -3,
    });
    let text = yaml::of(&data);
    let documents = parse_documents("y", &text).unwrap_or_else(|problem| panic!("{problem}\n{text}"));
    assert_eq!(back(&documents[0]), data, "{text}");
}

fn back(node: &Node) -> Value {
    match &node.value {
        Read::Null => Value::Null,
        Read::Bool(flag) => json!(flag),
        Read::Integer(number) => json!(number),
        Read::Float(number) => json!(number),
        Read::Text(text) => json!(text),
        Read::List(items) => items.iter().map(back).collect(),
        Read::Map(entries) => {
            Value::Object(entries.iter().map(|(name, _, inner)| (name.clone(), back(inner))).collect())
        }
    }
}
