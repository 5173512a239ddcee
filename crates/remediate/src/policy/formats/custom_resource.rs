//! The custom resource `RemediationPolicy`, and the same YAML in a file. `deploy/crds` has its schema.

use homeostat_core::{Confidence, IncidentType, Mode};
use homeostat_settings::{Node, Place, Reader, Value};

use super::PolicyFormat;
use crate::action::{Action, Actions};
use crate::past_action::LOOK_BACK_MAX;
use crate::policy::{
    ATTEMPTS_WINDOW_MIN, ActionBudget, ApprovalRule, MAX_ATTEMPTS_MAX, Policy, PolicyAction, Scope, read,
};
use crate::step::ActionName;

mod calendar;
mod matching;

const API_VERSION: &str = "homeostat.io/v1alpha1";
const KIND: &str = "RemediationPolicy";

/// The last step of a ladder: nothing more is tried.
const ESCALATE: &str = "escalate";

/// More steps than attempts are allowed could never be reached.
const STEPS_MAX: usize = MAX_ATTEMPTS_MAX as usize;

/// Actions that a policy may take on all its workloads in a window; more is no bound.
const ACTIONS_MAX: u32 = 1000;

/// Documents of kind `RemediationPolicy`.
pub(super) struct CustomResource;

impl PolicyFormat for CustomResource {
    fn keys(&self) -> &'static [&'static str] {
        &["spec", "kind", "apiVersion"]
    }

    fn read(&self, document: &mut Reader<'_>, actions: &Actions) -> Vec<(Place, Policy)> {
        for (key, wanted) in [("apiVersion", API_VERSION), ("kind", KIND)] {
            let is = |text: &str| if text == wanted { Ok(()) } else { Err(format!("must be {wanted}, not {text:?}")) };
            let read = document.parsed_by(key, is);
            document.require_such_as(key, read, wanted);
        }
        // What the API server keeps beside the policy.
        document.node("status");
        let name = read::metadata_name(document, "name");
        if name.is_none() {
            let place = document.place_of("metadata");
            document.problem(place, "metadata.name is missing; for instance `metadata: {name: restart-leaks}`");
        }
        let namespace = read::metadata_name(document, "namespace");
        let spec = document.section("spec", |spec| read_spec(spec, name.as_deref(), namespace.as_deref(), actions));
        document.require_such_as("spec", spec.as_ref(), "{match: {incidentType: oom-killed}, ...}");
        let place = document.place();
        spec.flatten().map(|policy| (place, policy)).into_iter().collect()
    }

    #[cfg(test)]
    fn example(&self) -> &'static str {
        "apiVersion: homeostat.io/v1alpha1\nkind: RemediationPolicy\nmetadata: {name: kills}\n\
         spec: {match: {incidentType: oom-killed}, confidence: {threshold: 0.9}}"
    }
}

fn read_spec(spec: &mut Reader<'_>, name: Option<&str>, namespace: Option<&str>, actions: &Actions) -> Option<Policy> {
    let matched = spec.section("match", matching::read);
    spec.require_such_as("match", matched.as_ref(), "{incidentType: oom-killed}");
    let matched = matched.flatten();
    let is_rule = matched.as_ref().is_some_and(|matched| matched.rule.is_some());
    let defaults = Policy::new("", matched.as_ref().map_or(IncidentType::Unknown, |matched| matched.incident_type));
    let auto_execute = spec.flag("autoExecute");
    let allow_irreversible = spec.flag("allowIrreversible").unwrap_or(false);
    let scope = read_scope(spec, namespace, auto_execute == Some(true));
    let mode = spec.parsed::<Mode>("mode");
    let confidence = read_confidence(spec, is_rule, defaults.outcomes_min);
    let action = read_steps(spec, matched.as_ref().map(|matched| matched.incident_type), actions);
    if action.is_none() && auto_execute == Some(true) && spec.node("steps").is_none() && matched.is_some() {
        let place = spec.place();
        spec.problem(
            place,
            format!(
                "{} is missing: nothing is right by default here; name an action, or leave out autoExecute",
                spec.path_of("steps")
            ),
        );
    }
    let approval = spec.section("approval", |approval| read_approval(approval, actions)).unwrap_or_default();
    let with_budget = spec.section("budget", |budget| read_budget(budget, &defaults));
    let defaults = with_budget.unwrap_or(defaults);
    let calendar = spec.section("calendar", calendar::read).unwrap_or_default();
    let defaults = spec.section("verification", |reader| read_verification(reader, &defaults)).unwrap_or(defaults);
    let channel = spec.section("escalation", |escalation| {
        let channel = escalation.text("channel");
        escalation.require_such_as("channel", channel, "pagerduty-p1")
    });
    let matched = matched?;
    Some(Policy {
        name: name?.to_owned(),
        incident_type: matched.incident_type,
        rule: matched.rule,
        detection_signal: matched.detection_signal,
        auto_execute: auto_execute.unwrap_or(false),
        approval,
        allow_irreversible,
        confidence_threshold: confidence.0,
        outcomes_min: confidence.1,
        escalation_channel: channel.flatten(),
        action,
        mode: mode.unwrap_or(defaults.mode),
        scope,
        calendar,
        ..defaults
    })
}

/// An object in a namespace is for the workloads of that namespace: who may write policies there has no say elsewhere.
fn read_scope(spec: &mut Reader<'_>, namespace: Option<&str>, acts: bool) -> Scope {
    let own = |scope: Scope| match (scope, namespace) {
        (Scope::Unstated, Some(namespace)) => Scope::Only {
            namespaces: [namespace.to_owned()].into(),
            workloads: Default::default(),
            kinds: Default::default(),
        },
        (scope, _) => scope,
    };
    let scope = spec.section("scope", |scope| {
        let read = match (scope.has("namespaces"), namespace) {
            (false, Some(namespace)) => {
                let read = read::scope_within(scope, namespace);
                scope.node("namespaces");
                read
            }
            (true, _) | (false, None) => read::scope(scope, acts),
        };
        if let (Scope::Only { namespaces, .. }, Some(namespace)) = (&read, namespace)
            && let Some(other) = namespaces.iter().find(|other| *other != namespace)
        {
            scope.reject("namespaces", format_args!("{other:?} isn't the policy's own namespace {namespace:?}"));
        }
        read
    });
    own(scope.unwrap_or(Scope::Unstated))
}

fn read_confidence(spec: &mut Reader<'_>, is_rule: bool, outcomes_min: u32) -> (Confidence, u32) {
    if is_rule {
        if spec.node("confidence").is_some() {
            spec.reject("confidence", "a threshold rule has no confidence: it holds or it doesn't");
        }
        return (Confidence::ZERO, 0);
    }
    let read = spec.section("confidence", |confidence| {
        let threshold = confidence.number("threshold", 0.0..=1.0).and_then(|number| Confidence::new(number).ok());
        confidence.require_such_as("threshold", threshold, "0.9");
        let outcomes = confidence.count("minOutcomes", read::OUTCOMES_MIN);
        (threshold.unwrap_or(Confidence::ZERO), outcomes.unwrap_or(outcomes_min))
    });
    spec.require_such_as("confidence", read, "{threshold: 0.9}");
    read.unwrap_or((Confidence::ZERO, outcomes_min))
}

/// The ladder; without steps what is right for the type by default, if anything is.
fn read_steps(spec: &mut Reader<'_>, incident_type: Option<IncidentType>, actions: &Actions) -> Option<PolicyAction> {
    if spec.node("steps").is_none() {
        let action = incident_type.and_then(|incident_type| actions.default_for(incident_type))?;
        return Some(PolicyAction::new(action.spec().name.clone(), Default::default()));
    }
    let (file, path) = (spec.file(), spec.path_of("steps"));
    let items = spec.items("steps");
    let mut steps = Vec::new();
    for (idx, item) in items.iter().enumerate() {
        // `- rollout-restart` is `- action: rollout-restart`.
        let named = match &item.value {
            Value::Text(_) => Some(Node {
                place: item.place,
                value: Value::Map(vec![("action".to_owned(), item.place, item.clone())]),
            }),
            Value::Null | Value::Bool(_) | Value::Integer(_) | Value::Float(_) | Value::List(_) | Value::Map(_) => None,
        };
        let path = format!("{path}[{idx}]");
        let mut reader = Reader::new(file, &path, named.as_ref().unwrap_or(item), spec.problems());
        let is_last = idx + 1 == items.len();
        steps.extend(read_step(&mut reader, is_last && idx > 0, actions));
        reader.finish();
    }
    if items.is_empty() || items.len() > STEPS_MAX {
        spec.reject("steps", format_args!("must have between 1 and {STEPS_MAX} steps"));
    }
    let repeats = steps.len() == 1 && items.len() == 1;
    if repeats { steps.pop() } else { PolicyAction::ladder(steps.into_iter()) }
}

/// One step; nothing where it says to escalate.
fn read_step(reader: &mut Reader<'_>, may_escalate: bool, actions: &Actions) -> Option<PolicyAction> {
    let action: Option<Option<&'static dyn Action>> = reader.parsed_by("action", |text| match text {
        ESCALATE if may_escalate => Ok(None),
        ESCALATE => Err("escalate can only be the last step, after an action".to_owned()),
        name => read::action_of_name(name, actions).map(Some),
    });
    reader.require_such_as("action", action.map(drop), "rollout-restart");
    let action = action.flatten()?;
    Some(PolicyAction::new(action.spec().name.clone(), read::args(reader, action)))
}

fn read_approval(approval: &mut Reader<'_>, actions: &Actions) -> ApprovalRule {
    let below = approval.number("belowConfidence", 0.0..=1.0).and_then(|number| Confidence::new(number).ok());
    let mut for_actions = std::collections::BTreeSet::<ActionName>::new();
    for name in approval.texts("forActions").unwrap_or_default() {
        match read::action_of_name(&name, actions) {
            Ok(action) => {
                for_actions.insert(action.spec().name.clone());
            }
            Err(why) => approval.reject("forActions", why),
        }
    }
    ApprovalRule { below_confidence: below, for_actions }
}

fn read_budget(budget: &mut Reader<'_>, defaults: &Policy) -> Policy {
    let max_attempts = budget.count("maxAttempts", 1..=MAX_ATTEMPTS_MAX);
    let window = budget.duration_in("attemptsWindow", read::ATTEMPTS_WINDOW);
    let cooldown = budget.duration_in("cooldown", read::COOLDOWN);
    let max = budget.count("maxActions", 1..=ACTIONS_MAX);
    let actions_window = budget.duration_in("actionsWindow", ATTEMPTS_WINDOW_MIN..=LOOK_BACK_MAX);
    if max.is_none() && actions_window.is_some() && budget.node("maxActions").is_none() {
        budget.reject("actionsWindow", "needs maxActions, which it is the window of");
    }
    Policy {
        max_attempts: max_attempts.unwrap_or(defaults.max_attempts),
        attempts_window: window.unwrap_or(defaults.attempts_window),
        cooldown_after_action: cooldown.unwrap_or(defaults.cooldown_after_action),
        budget: max.map(|max| ActionBudget { max, window: actions_window.unwrap_or(ATTEMPTS_WINDOW_MIN) }),
        ..defaults.clone()
    }
}

fn read_verification(reader: &mut Reader<'_>, defaults: &Policy) -> Policy {
    let window = reader.duration_in("window", read::VERIFICATION_WINDOW);
    let settle = reader.duration_in("settle", read::VERIFICATION_SETTLE);
    let traffic_floor = reader.number("trafficFloor", 0.0..=1.0);
    let rollback_if_failed = reader.flag("rollbackIfFailed");
    Policy {
        verification_window: window.unwrap_or(defaults.verification_window),
        verification_settle: settle.unwrap_or(defaults.verification_settle),
        traffic_floor: traffic_floor.unwrap_or(defaults.traffic_floor),
        rollback_if_failed: rollback_if_failed.unwrap_or(defaults.rollback_if_failed),
        ..defaults.clone()
    }
}
