//! Policies as sections of YAML: one as `remediation_policy`, or several as `remediation_policies`.

use homeostat_core::{Confidence, IncidentType, Mode};
use homeostat_settings::{Place, Reader};

use super::PolicyFormat;
use crate::action::Actions;
use crate::policy::{MAX_ATTEMPTS_MAX, Policy, PolicyAction, Scope, read};

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
    let incident_type = read::incident_type(reader, "incident_type");
    reader.require_such_as("incident_type", incident_type, "oom-killed");
    let defaults = Policy::new("", incident_type.unwrap_or(IncidentType::Unknown));
    let detection_signal = reader.text("detection_signal");
    let auto_execute = reader.flag("auto_execute");
    reader.require_such_as("auto_execute", auto_execute, "false");
    let allow_irreversible = reader.flag("allow_irreversible");
    let threshold = reader.number("confidence_threshold", 0.0..=1.0).and_then(|number| Confidence::new(number).ok());
    reader.require_such_as("confidence_threshold", threshold, "0.9");
    let max_attempts = reader.count("max_attempts", 1..=MAX_ATTEMPTS_MAX);
    let attempts_window = reader.duration_in("attempts_window", read::ATTEMPTS_WINDOW);
    let cooldown = reader.duration_in("cooldown_after_action", read::COOLDOWN);
    let window = reader.duration_in("verification_window", read::VERIFICATION_WINDOW);
    let settle = reader.duration_in("verification_settle", read::VERIFICATION_SETTLE);
    let rollback_if_failed = reader.flag("rollback_if_failed");
    let escalation_channel = reader.text("escalation_channel");
    let action = read_action(reader, actions, incident_type, auto_execute);
    let mode = reader.parsed::<Mode>("mode");
    let scope = reader.section("scope", |scope| read::scope(scope, auto_execute == Some(true)));
    let traffic_floor = reader.number("traffic_floor", 0.0..=1.0);
    let outcomes_min = reader.count("outcomes_min", read::OUTCOMES_MIN);
    let incident_type = incident_type?;
    let policy = Policy {
        name: name.unwrap_or_else(|| incident_type.name().to_owned()),
        detection_signal,
        auto_execute: auto_execute.unwrap_or(defaults.auto_execute),
        allow_irreversible: allow_irreversible.unwrap_or(defaults.allow_irreversible),
        confidence_threshold: threshold.unwrap_or(defaults.confidence_threshold),
        max_attempts: max_attempts.unwrap_or(defaults.max_attempts),
        attempts_window: attempts_window.unwrap_or(defaults.attempts_window),
        cooldown_after_action: cooldown.unwrap_or(defaults.cooldown_after_action),
        verification_window: window.unwrap_or(defaults.verification_window),
        verification_settle: settle.unwrap_or(defaults.verification_settle),
        rollback_if_failed: rollback_if_failed.unwrap_or(defaults.rollback_if_failed),
        escalation_channel,
        action,
        mode: mode.unwrap_or(defaults.mode),
        scope: scope.unwrap_or(Scope::Unstated),
        traffic_floor: traffic_floor.unwrap_or(defaults.traffic_floor),
        outcomes_min: outcomes_min.unwrap_or(defaults.outcomes_min),
        ..defaults
    };
    Some((reader.place(), policy))
}

fn read_action(
    reader: &mut Reader<'_>,
    actions: &Actions,
    incident_type: Option<IncidentType>,
    auto_execute: Option<bool>,
) -> Option<PolicyAction> {
    let named = read::action(reader, "action", actions);
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
    action.map(|action| PolicyAction::new(action.spec().name.clone(), read::args(reader, action)))
}
