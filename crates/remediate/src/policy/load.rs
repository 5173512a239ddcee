//! Reads policies from YAML: everything that is wrong is told at once.

use std::collections::BTreeSet;
use std::time::Duration;

use homeostat_core::{ActionKind, Confidence, IncidentType, Mode};
use serde_saphyr::{Location, Spanned};

use super::reader::{Fields, Problems};
use super::yaml::{Node, Value, documents};
use super::{ATTEMPTS_WINDOW_MIN, MAX_ATTEMPTS_MAX, OUTCOMES_MIN_DEFAULT, Policy, Scope, default_action};
use crate::history::LOOK_BACK_MAX;
use crate::problem::Problem;

/// Two minutes: pods must start and Prometheus must have seen them, twice at the usual 30 s to 60 s.
const SETTLE_DEFAULT: Duration = Duration::from_secs(120);

/// Longer windows would hold the target's lock for most of a shift.
const VERIFICATION_MAX: Duration = Duration::from_secs(2 * 3600);

/// Half of the traffic before: a restart may cost some requests, but an error ratio over no requests is no recovery.
const TRAFFIC_FLOOR_DEFAULT: f64 = 0.5;

/// Policies in one file; more is a generated file gone wrong, and overlap is checked between all pairs.
const POLICIES_MAX: usize = 1000;

/// Reads all policies of a YAML text: documents with a map `remediation_policy`, or a list `remediation_policies`.
/// `file_name` only names the file in problems, which come in the order of lines.
pub fn load_policies(text: &str, file_name: &str) -> Result<Vec<Policy>, Vec<Problem>> {
    let documents = documents(text, file_name).map_err(|problem| vec![problem])?;
    let mut problems = Problems { file: file_name, found: Vec::new() };
    let mut policies: Vec<(Location, Policy)> = Vec::new();
    for document in documents {
        let Some(mut fields) = Fields::open(document, "a policy file", &mut problems) else { continue };
        let one = fields.take("remediation_policy");
        let several = fields.take("remediation_policies");
        if one.is_none() && several.is_none() {
            fields.missing("remediation_policy", "{incident_type: oom-killed, ...}");
        }
        fields.close();
        for node in one.into_iter().chain(several.map(items).unwrap_or_default()) {
            let at = node.referenced;
            policies.extend(read_policy(node, &mut problems).map(|policy| (at, policy)));
        }
    }
    check_together(&policies, &mut problems);
    if problems.found.is_empty() {
        return Ok(policies.into_iter().map(|(_, policy)| policy).collect());
    }
    problems.found.sort();
    Err(problems.found)
}

/// A list's items; anything else stays, for [`Fields::open`] to complain about.
fn items(node: Node) -> Vec<Node> {
    match node.value {
        Value::List(items) => items,
        value @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) | Value::Map(_)) => {
            vec![Spanned::new(value, node.referenced, node.defined)]
        }
    }
}

fn check_together(policies: &[(Location, Policy)], problems: &mut Problems<'_>) {
    if let Some((at, _)) = policies.get(POLICIES_MAX) {
        problems.add(*at, format!("more than {POLICIES_MAX} policies in one file"));
        return;
    }
    for (idx, (at, policy)) in policies.iter().enumerate() {
        for (_, earlier) in &policies[..idx] {
            if earlier.name == policy.name {
                problems.add(*at, format!("two policies are named {:?}; names must differ", policy.name));
            }
            if earlier.incident_type == policy.incident_type && earlier.scope.overlaps(&policy.scope) {
                problems.add(
                    *at,
                    format!(
                        "policies {:?} and {:?} are both for {} and their scopes overlap; make the scopes disjoint",
                        earlier.name, policy.name, policy.incident_type
                    ),
                );
            }
        }
    }
}

/// Reads one policy. Every key is read even when an earlier one was wrong. `None` without an incident type, which then is
/// among the problems; so is whatever got a default here because it was wrong.
fn read_policy(node: Node, problems: &mut Problems<'_>) -> Option<Policy> {
    let mut fields = Fields::open(node, "a policy", problems)?;
    let name = fields.text("name");
    let incident_type = read_incident_type(&mut fields);
    let detection_signal = fields.text("detection_signal").map(|found| found.value);
    let auto_execute = fields.boolean("auto_execute").map(|found| found.value);
    if auto_execute.is_none() && !fields.has_problem_of("auto_execute") {
        fields.missing("auto_execute", "false");
    }
    let threshold = fields.confidence("confidence_threshold").map(|found| found.value);
    if threshold.is_none() && !fields.has_problem_of("confidence_threshold") {
        fields.missing("confidence_threshold", "0.9");
    }
    // One attempt: a second is for those who asked for it.
    let max_attempts = fields.whole("max_attempts", 1, MAX_ATTEMPTS_MAX).map_or(1, |found| found.value);
    let durations = read_durations(&mut fields);
    let rollback_if_failed = fields.boolean("rollback_if_failed").is_some_and(|found| found.value);
    let escalation_channel = fields.text("escalation_channel").map(|found| found.value);
    let action = read_action(&mut fields, incident_type, auto_execute);
    let mode = fields.parsed("mode", str::parse::<Mode>).map_or(Mode::Execute, |found| found.value);
    let scope = read_scope(&mut fields, auto_execute);
    let traffic_floor = fields.number("traffic_floor", 0.0, 1.0).map_or(TRAFFIC_FLOOR_DEFAULT, |found| found.value);
    let outcomes_min = fields.whole("outcomes_min", 1, 1_000_000).map_or(OUTCOMES_MIN_DEFAULT, |found| found.value);
    fields.close();
    let incident_type = incident_type?;
    Some(Policy {
        name: name.map_or_else(|| incident_type.name().to_owned(), |found| found.value),
        incident_type,
        detection_signal,
        auto_execute: auto_execute.unwrap_or(false),
        confidence_threshold: threshold.unwrap_or(Confidence::ZERO),
        max_attempts,
        attempts_window: durations.attempts_window,
        cooldown_after_action: durations.cooldown,
        verification_window: durations.window,
        verification_settle: durations.settle,
        rollback_if_failed,
        escalation_channel,
        action,
        mode,
        scope,
        traffic_floor,
        outcomes_min,
    })
}

fn read_incident_type(fields: &mut Fields<'_, '_>) -> Option<IncidentType> {
    let found = fields.parsed("incident_type", |text| {
        text.parse::<IncidentType>().map_err(|error| {
            let names = IncidentType::ALL.iter().map(|known| known.name());
            match crate::problem::nearest(text, names) {
                Some(near) => format!("{text:?} is no incident type; did you mean {near}?"),
                None => error.to_string(),
            }
        })
    });
    if found.is_none() && !fields.has_problem_of("incident_type") {
        fields.missing("incident_type", "oom-killed");
    }
    found.map(|found| found.value)
}

fn read_action(
    fields: &mut Fields<'_, '_>,
    incident_type: Option<IncidentType>,
    auto_execute: Option<bool>,
) -> Option<ActionKind> {
    let named = fields.parsed("action", |text| {
        ActionKind::ALL.into_iter().find(|kind| kind.name() == text).ok_or_else(|| {
            let names = ActionKind::ALL.map(ActionKind::name).join(", ");
            format!("{text:?} is no action; known are: {names}")
        })
    });
    let action = named.map(|found| found.value).or_else(|| incident_type.and_then(default_action));
    if action.is_none()
        && auto_execute == Some(true)
        && !fields.has_problem_of("action")
        && let Some(incident_type) = incident_type
    {
        let at = fields.at;
        fields.problems.add(
            at,
            format!("action is missing: {incident_type} has no action that is right by default; name one, or set auto_execute: false"),
        );
    }
    action
}

struct Durations {
    attempts_window: Duration,
    cooldown: Duration,
    window: Duration,
    settle: Duration,
}

fn read_durations(fields: &mut Fields<'_, '_>) -> Durations {
    let minute = Duration::from_secs(60);
    Durations {
        attempts_window: fields
            .duration("attempts_window", ATTEMPTS_WINDOW_MIN, LOOK_BACK_MAX)
            .unwrap_or(ATTEMPTS_WINDOW_MIN),
        // Ten minutes: L's own value, and about the time a workload needs to show whether it stays well.
        cooldown: fields.duration("cooldown_after_action", minute, LOOK_BACK_MAX).unwrap_or(10 * minute),
        window: fields.duration("verification_window", minute, VERIFICATION_MAX).unwrap_or(5 * minute),
        settle: fields.duration("verification_settle", Duration::ZERO, VERIFICATION_MAX).unwrap_or(SETTLE_DEFAULT),
    }
}

/// An empty or match-all scope is refused for a policy that acts: "zero means all" has wiped whole fleets (I10). A policy
/// without the key is read, but [`Scope::Unstated`] never acts.
fn read_scope(fields: &mut Fields<'_, '_>, auto_execute: Option<bool>) -> Scope {
    let Some(node) = fields.take("scope") else { return Scope::Unstated };
    let acts = auto_execute == Some(true);
    let Some(mut inner) = Fields::open(node, "scope", fields.problems) else { return Scope::Unstated };
    let at = inner.at;
    let mut clean = |key: &'static str| {
        let found = inner.texts(key);
        let place = found.as_ref().map_or(at, |found| found.referenced);
        let names = found.map(|found| found.value).unwrap_or_default();
        if let Some(pattern) = names.iter().find(|name| name.is_empty() || name.contains(['*', '?', '['])) {
            inner
                .problems
                .add(place, format!("{key}: {pattern:?} is a pattern; name each one, patterns match too much"));
        }
        names
    };
    let (namespaces, workloads): (BTreeSet<String>, _) = (clean("namespaces"), clean("workloads"));
    inner.close();
    if namespaces.is_empty() && (acts || !workloads.is_empty()) {
        fields
            .problems
            .add(at, "scope: namespaces must name at least one namespace: an empty scope would match everything");
    }
    if namespaces.is_empty() { Scope::Unstated } else { Scope::Only { namespaces, workloads } }
}
