//! A policy in sentences: what it would do, and when not.

use homeostat_core::{Mode, format_duration};

use super::{Policy, PolicyAction, Scope};
use crate::action::Actions;
use crate::step::Repeat;

/// What the policy does and when it doesn't, a sentence each.
pub fn explain(policy: &Policy, actions: &Actions) -> Vec<String> {
    let mut sentences = vec![is_for(policy), does(policy)];
    sentences.extend(goes_on(policy));
    sentences.extend(at_most_once(policy, actions));
    if policy.may_execute() {
        sentences.push(does_not(policy));
        sentences.extend(asks(policy));
    }
    if policy.action.is_some() {
        sentences.push(verifies(policy));
    }
    sentences.push(format!(
        "Whatever it doesn't do or doesn't cure is told to {}.",
        policy.escalation_channel.as_ref().map_or("the default channel".to_owned(), |name| format!("channel {name}"))
    ));
    sentences
}

fn is_for(policy: &Policy) -> String {
    let place = match &policy.scope {
        Scope::Unstated => String::new(),
        Scope::Only { .. } => format!(" in {}", policy.scope),
    };
    match &policy.rule {
        Some(rule) => {
            format!("It opens an incident of type {} where {rule}{place}, and handles it.", policy.incident_type)
        }
        None => format!("It handles incidents of type {}{place}.", policy.incident_type),
    }
}

/// An action as people read it: its name, and with what.
fn named(action: &PolicyAction) -> String {
    let args = serde_json::to_string(&action.args).unwrap_or_default();
    if args.len() <= "{}".len() { action.name.to_string() } else { format!("{} with {args}", action.name) }
}

fn does(policy: &Policy) -> String {
    let Some(action) = &policy.action else {
        return "It names no action: it only calls a human.".to_owned();
    };
    let action = named(action);
    let why_not = match (policy.mode, policy.auto_execute, &policy.scope) {
        (Mode::Observe, _, _) => {
            return format!("It records that it would do {action}, and tells nobody: its mode is observe.");
        }
        (Mode::Recommend, _, _) => "its mode is recommend",
        (Mode::Execute, false, _) => "it doesn't say that it may execute by itself",
        (Mode::Execute, true, Scope::Unstated) => "it names no scope",
        (Mode::Execute, true, Scope::Only { .. }) => {
            return format!("It executes {action}, where homeostat's own mode is execute.");
        }
    };
    format!("It proposes {action} to a human and executes nothing: {why_not}.")
}

fn goes_on(policy: &Policy) -> Option<String> {
    let first = policy.action.as_ref()?;
    let next: Vec<String> = first.steps().skip(1).map(named).collect();
    let attempts = format!(
        "at most {} {} in {} on one workload",
        policy.max_attempts,
        if policy.max_attempts == 1 { "attempt" } else { "attempts" },
        format_duration(policy.attempts_window)
    );
    if !next.is_empty() {
        return Some(format!(
            "If that doesn't help, it goes on with {}, and then calls a human; {attempts}.",
            next.join(", then ")
        ));
    }
    Some(format!("It makes {attempts}, and calls a human when that didn't help."))
}

fn at_most_once(policy: &Policy, actions: &Actions) -> Option<String> {
    let once: Vec<String> = policy
        .actions()
        .filter(|wanted| actions.get(&wanted.name).is_some_and(|action| action.spec().repeat == Repeat::AtMostOnce))
        .map(|wanted| wanted.name.to_string())
        .collect();
    let names = once.join(", ");
    (!once.is_empty()).then(|| format!("{names} is sent at most once: if its outcome isn't known, a human is called."))
}

fn does_not(policy: &Policy) -> String {
    let mut reasons = Vec::new();
    if policy.rule.is_none() {
        reasons.push(format!(
            "the confidence's lower bound is below {} or rests on fewer than {} labelled outcomes",
            policy.confidence_threshold.value(),
            policy.outcomes_min
        ));
    }
    reasons.push(format!(
        "an action on the workload ended less than {} ago",
        format_duration(policy.cooldown_after_action)
    ));
    if let Some(budget) = policy.budget {
        reasons.push(format!("it has acted {} times in the last {}", budget.max, format_duration(budget.window)));
    }
    if !policy.calendar.allowed.is_empty() {
        let hours: Vec<String> = policy.calendar.allowed.iter().map(ToString::to_string).collect();
        reasons.push(format!("it is none of {} in {}", hours.join(", "), policy.calendar.timezone.name));
    }
    for freeze in &policy.calendar.freezes {
        reasons.push(format!(
            "the freeze {:?} goes on or is about to begin ({} to {})",
            freeze.name, freeze.from, freeze.to
        ));
    }
    format!("It doesn't act while {}; nor when any other guardrail objects.", reasons.join("; or "))
}

fn asks(policy: &Policy) -> Option<String> {
    let mut when = Vec::new();
    if let Some(below) = policy.approval.below_confidence {
        when.push(format!("the confidence's lower bound is below {}", below.value()));
    }
    if !policy.approval.for_actions.is_empty() {
        let names: Vec<&str> = policy.approval.for_actions.iter().map(|name| name.as_str()).collect();
        when.push(format!("the action is {}", names.join(" or ")));
    }
    (!when.is_empty()).then(|| format!("It asks a human first when {}.", when.join(", or when ")))
}

fn verifies(policy: &Policy) -> String {
    let undo = if policy.rollback_if_failed {
        "takes the action back where that is possible"
    } else {
        "leaves the action as it is"
    };
    format!(
        "After the action it waits {} and watches the signals for {}; if they aren't normal by then, it {undo}.",
        format_duration(policy.verification_settle),
        format_duration(policy.verification_window)
    )
}
