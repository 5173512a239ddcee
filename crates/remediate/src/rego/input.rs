//! What rules are asked about: one document, in which every key is always there, `null` where nothing is known. Documented in
//! docs/guides/policies.md.

use std::time::Duration;

use homeostat_core::Weekday;
use serde_json::{Map, Value, json};

use crate::decision_context::{DecisionContext, features, n_going_on};
use crate::inspected::Inspected;
use crate::step::{Inverse, Step};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// The document for this step on what was seen.
pub(crate) fn input(context: &DecisionContext<'_>, seen: &Inspected, step: &Step, inverse: &Inverse) -> Value {
    let DecisionContext { proposal, history, environment, now, .. } = *context;
    let (incident, subject) = (proposal.incident, &proposal.incident.subject);
    let minute_of_day = now.as_millis().div_euclid(60_000).rem_euclid(24 * 60);
    json!({
        "now": {
            "rfc3339": now.to_string(),
            "unix_s": now.as_millis().div_euclid(1000),
            "weekday": Weekday::of(now).name(),
            "hour": minute_of_day / 60,
            "minute": minute_of_day % 60,
        },
        "mode": environment.mode.to_string(),
        "incident": {
            "id": incident.id.as_str(),
            "type": incident.incident_type.to_string(),
            "namespace": subject.namespace,
            "kind": subject.kind,
            "name": subject.name,
            "opened_unix_s": incident.opened_at.as_millis().div_euclid(1000),
            "confidence": incident.confidence.confidence.value(),
            "confidence_lower": incident.confidence.lower.value(),
            "n_outcomes": incident.confidence.n_outcomes,
            "features": features(incident),
        },
        "policy": proposal.policy.map(|policy| policy.name.as_str()),
        "action": {
            "name": step.action.as_str(),
            "args": step.args,
            "reversible": !matches!(inverse, Inverse::Irreversible),
            "attempt": history.next_attempt(&incident.id),
        },
        "target": target(seen),
        "history": {
            "n_in_flight": history.in_flight().count(),
            "n_actions_1h": history.starts(HOUR, now),
            "n_actions_24h": history.starts(DAY, now),
            "n_actions_on_target_24h": history.attempts_on(subject, DAY, now),
        },
        "n_open_incidents": n_going_on(environment.open),
    })
}

fn target(seen: &Inspected) -> Value {
    let metadata = |key: &str| seen.manifest.pointer(&format!("/metadata/{key}")).cloned();
    let none = || Value::Object(Map::new());
    json!({
        "uid": seen.uid,
        "replicas_wanted": seen.replicas_wanted,
        "replicas_available": seen.replicas_available,
        "unavailable_max": seen.disruption.unavailable_max,
        "has_persistent_volume": seen.has_persistent_volume,
        "autoscaler": seen.autoscaler.value().map(|autoscaler| autoscaler.name.as_str()),
        "labels": metadata("labels").unwrap_or_else(none),
        "annotations": metadata("annotations").unwrap_or_else(none),
        "object": seen.manifest,
    })
}
