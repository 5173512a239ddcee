//! Policies as sections of YAML: one as `remediation_policy`, or several as `remediation_policies`.

use std::collections::BTreeSet;
use std::time::Duration;

use homeostat_core::{Confidence, IncidentType, Mode, NamePattern};
use homeostat_settings::{Node, Place, Reader, Value, nearest};

use super::PolicyFormat;
use crate::action::{Action, Actions};
use crate::history::LOOK_BACK_MAX;
use crate::policy::{ATTEMPTS_WINDOW_MIN, MAX_ATTEMPTS_MAX, OUTCOMES_MIN_DEFAULT, Policy, PolicyAction, Scope};
use crate::step::Args;

/// Two minutes: pods must start and Prometheus must have seen them, twice at the usual 30 s to 60 s.
const SETTLE_DEFAULT: Duration = Duration::from_secs(120);

/// Longer windows would hold the target's lock for most of a shift.
const VERIFICATION_MAX: Duration = Duration::from_secs(2 * 3600);

/// Half of the traffic before: a restart may cost some requests, but an error ratio over no requests is no recovery.
const TRAFFIC_FLOOR_DEFAULT: f64 = 0.5;

/// Labelled outcomes that a policy may ask for; more than anyone collects is a slip of the keyboard.
const OUTCOMES_MIN_MAX: u32 = 1_000_000;

/// Documents with a section `remediation_policy`, or a list `remediation_policies`.
pub(super) struct RemediationPolicy;

impl PolicyFormat for RemediationPolicy {
    fn keys(&self) -> &'static [&'static str] {
        &["remediation_policy", "remediation_policies"]
    }

    fn read(&self, document: &mut Reader<'_>, actions: &Actions) -> Vec<(Place, Policy)> {
        let one = document.section("remediation_policy", |policy| read_policy(policy, actions));
        if document.node("remediation_policies").is_none() {
            document.require_such_as("remediation_policy", one.as_ref(), "{incident_type: oom-killed, ...}");
        }
        let several = document.sections("remediation_policies", |policy| read_policy(policy, actions));
        one.into_iter().chain(several).flatten().collect()
    }

    #[cfg(test)]
    fn example(&self) -> &'static str {
        "remediation_policy: {incident_type: oom-killed, auto_execute: false, confidence_threshold: 0.9}"
    }
}

/// Reads one policy. Every key is read even when an earlier one was wrong. `None` without an incident type, which then is
/// among the problems; so is whatever got a default here because it was wrong.
fn read_policy(reader: &mut Reader<'_>, actions: &Actions) -> Option<(Place, Policy)> {
    let name = reader.text("name");
    let incident_type = read_incident_type(reader);
    let detection_signal = reader.text("detection_signal");
    let auto_execute = reader.flag("auto_execute");
    reader.require_such_as("auto_execute", auto_execute, "false");
    let threshold = reader.number("confidence_threshold", 0.0..=1.0).and_then(|number| Confidence::new(number).ok());
    reader.require_such_as("confidence_threshold", threshold, "0.9");
    // One attempt: a second is for those who asked for it.
    let max_attempts = reader.count("max_attempts", 1..=MAX_ATTEMPTS_MAX).unwrap_or(1);
    let durations = read_durations(reader);
    let rollback_if_failed = reader.flag("rollback_if_failed").unwrap_or(false);
    let escalation_channel = reader.text("escalation_channel");
    let action = read_action(reader, actions, incident_type, auto_execute);
    let mode = reader.parsed::<Mode>("mode").unwrap_or(Mode::Execute);
    let scope = read_scope(reader, auto_execute);
    let traffic_floor = reader.number("traffic_floor", 0.0..=1.0).unwrap_or(TRAFFIC_FLOOR_DEFAULT);
    let outcomes_min = reader.count("outcomes_min", 1..=OUTCOMES_MIN_MAX).unwrap_or(OUTCOMES_MIN_DEFAULT);
    let incident_type = incident_type?;
    let policy = Policy {
        name: name.unwrap_or_else(|| incident_type.name().to_owned()),
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
    };
    Some((reader.place(), policy))
}

fn read_incident_type(reader: &mut Reader<'_>) -> Option<IncidentType> {
    let incident_type = reader.parsed_by("incident_type", |text| {
        text.parse::<IncidentType>().map_err(|error| {
            match nearest(text, IncidentType::ALL.iter().map(|known| known.name())) {
                Some(near) => format!("unknown incident type {text:?}; did you mean {near}?"),
                None => error.to_string(),
            }
        })
    });
    reader.require_such_as("incident_type", incident_type, "oom-killed")
}

fn read_action(
    reader: &mut Reader<'_>,
    actions: &Actions,
    incident_type: Option<IncidentType>,
    auto_execute: Option<bool>,
) -> Option<PolicyAction> {
    let named = reader.parsed_by("action", |text| {
        actions.iter().find(|action| action.spec().name.as_str() == text).ok_or_else(|| {
            let names: Vec<&str> = actions.names().collect();
            format!("unknown action {text:?}; known actions are: {}", names.join(", "))
        })
    });
    let action = named.or_else(|| incident_type.and_then(|incident_type| actions.default_for(incident_type)));
    if action.is_none()
        && auto_execute == Some(true)
        && reader.node("action").is_none()
        && let Some(incident_type) = incident_type
    {
        let message = format!(
            "{} is missing: {incident_type} has no action that is right by default; name one, or set auto_execute: false",
            reader.path_of("action")
        );
        reader.problem(reader.place(), message);
    }
    action.map(|action| PolicyAction { name: action.spec().name.clone(), args: read_args(reader, action) })
}

/// The action's own part, under `with`. Without the key the action is asked all the same: it says what is missing.
fn read_args(reader: &mut Reader<'_>, action: &dyn Action) -> Args {
    if let Some(args) = reader.section("with", |with| action.args(with)) {
        return args;
    }
    let (file, path, place) = (reader.file(), reader.path_of("with"), reader.place());
    let nothing = Node { place, value: Value::Map(Vec::new()) };
    let mut with = Reader::new(file, &path, &nothing, reader.problems());
    let args = action.args(&mut with);
    with.finish();
    args
}

struct Durations {
    attempts_window: Duration,
    cooldown: Duration,
    window: Duration,
    settle: Duration,
}

fn read_durations(reader: &mut Reader<'_>) -> Durations {
    let minute = Duration::from_secs(60);
    Durations {
        attempts_window: reader
            .duration_in("attempts_window", ATTEMPTS_WINDOW_MIN..=LOOK_BACK_MAX)
            .unwrap_or(ATTEMPTS_WINDOW_MIN),
        // Ten minutes: L's own value, and about the time a workload needs to show whether it stays well.
        cooldown: reader.duration_in("cooldown_after_action", minute..=LOOK_BACK_MAX).unwrap_or(10 * minute),
        window: reader.duration_in("verification_window", minute..=VERIFICATION_MAX).unwrap_or(5 * minute),
        settle: reader.duration_in("verification_settle", Duration::ZERO..=VERIFICATION_MAX).unwrap_or(SETTLE_DEFAULT),
    }
}

/// An empty or match-all scope is refused for a policy that acts: "zero means all" has wiped whole fleets (I10). A policy
/// without the key is read, but [`Scope::Unstated`] never acts.
fn read_scope(reader: &mut Reader<'_>, auto_execute: Option<bool>) -> Scope {
    let acts = auto_execute == Some(true);
    let scope = reader.section("scope", |scope| {
        let workloads = read_names(scope, "workloads").unwrap_or_default();
        let namespaces = read_names(scope, "namespaces");
        // A list that couldn't be read is among the problems already, and isn't called empty too.
        let is_unreadable = namespaces.is_none() && scope.node("namespaces").is_some();
        let namespaces = namespaces.unwrap_or_default();
        if namespaces.is_empty() && !is_unreadable && (acts || !workloads.is_empty()) {
            let key = scope.path_of("namespaces");
            let message = format!("{key} must name at least one namespace: an empty scope would match everything");
            scope.problem(scope.place(), message);
        }
        if namespaces.is_empty() { Scope::Unstated } else { Scope::Only { namespaces, workloads } }
    });
    scope.unwrap_or(Scope::Unstated)
}

/// Names, each written out: what acts is named, and what could match no name is a slip.
fn read_names(scope: &mut Reader<'_>, key: &'static str) -> Option<BTreeSet<String>> {
    let names: BTreeSet<String> = scope.texts(key)?.into_iter().collect();
    for name in &names {
        match name.parse::<NamePattern>() {
            Ok(pattern) if pattern.is_name() => {}
            Ok(_) => scope.reject(key, format_args!("{name:?} is a pattern; name each one, patterns match too much")),
            Err(error) => scope.reject(key, error),
        }
    }
    Some(names)
}
