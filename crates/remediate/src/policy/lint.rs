//! What a policy may say but probably shouldn't. Never stops anything.

use homeostat_core::{Confidence, IncidentType, Signal};

use super::{Policy, Scope};
use crate::action::Actions;

/// Warnings, a sentence each, in the order of policies.
pub fn lint(policies: &[Policy], actions: &Actions) -> Vec<String> {
    let own = policies.iter().flat_map(|policy| {
        warnings(policy, actions).into_iter().map(|text| format!("{}: {text}", policy.name)).collect::<Vec<_>>()
    });
    own.chain(same_metric(policies)).collect()
}

/// Warnings of thresholds that no incident can reach, given the highest lower bound of a confidence that each type can have.
pub fn lint_confidence(policies: &[Policy], highest: impl Fn(IncidentType) -> Confidence) -> Vec<String> {
    let mut found = Vec::new();
    for policy in policies.iter().filter(|policy| policy.rule.is_none() && policy.may_execute()) {
        let (highest, name) = (highest(policy.incident_type), &policy.name);
        if highest == Confidence::ZERO {
            found.push(format!(
                "{name}: nothing is known yet of how often {} is right, so its confidence is 0 and the policy never acts",
                policy.incident_type
            ));
        } else if highest < policy.confidence_threshold {
            found.push(format!(
                "{name}: no {} reaches a confidence of {}: the highest lower bound that was measured is {:.3}",
                policy.incident_type,
                policy.confidence_threshold.value(),
                highest.value()
            ));
        }
        if let Some(below) = policy.approval.below_confidence
            && below <= policy.confidence_threshold
        {
            found.push(format!(
                "{name}: approval below a confidence of {} asks nothing: below {} it doesn't act in any case",
                below.value(),
                policy.confidence_threshold.value()
            ));
        }
    }
    found
}

/// Warnings of rules about metrics that aren't measured.
pub fn lint_metrics<'a>(
    policies: &'a [Policy],
    measured: impl Fn(&str) -> Option<Signal> + 'a,
) -> impl Iterator<Item = String> {
    policies.iter().filter_map(move |policy| {
        let rule = policy.rule.as_ref()?;
        let name = &policy.name;
        measured(&rule.metric).is_none().then(|| {
            format!(
                "{name}: the config has no query named {}, so the rule never holds; `metric` is the name of a query",
                rule.metric
            )
        })
    })
}

/// Two rules may be about one metric on purpose, but not to do different things in one place.
fn same_metric(policies: &[Policy]) -> Vec<String> {
    let mut found = Vec::new();
    for (idx, policy) in policies.iter().enumerate() {
        for other in &policies[..idx] {
            if let (Some(rule), Some(before)) = (&policy.rule, &other.rule)
                && rule.metric == before.metric
                && policy.scope.overlaps(&other.scope)
            {
                found.push(format!(
                    "{}: {:?} has a rule on {}, too, in the same place: where both hold, the one that opens first acts, and \
                     the cooldown holds the other back",
                    policy.name, other.name, rule.metric
                ));
            }
        }
    }
    found
}

fn warnings(policy: &Policy, actions: &Actions) -> Vec<String> {
    let mut found = Vec::new();
    for wanted in policy.actions() {
        if let Some(action) = actions.get(&wanted.name) {
            found.extend(action.lint(policy));
        }
        if policy.incident_type == IncidentType::CrashLoop && wanted.name.as_str() == "scale" {
            found.push("scaling a crash loop only starts more pods that crash".to_owned());
        }
    }
    let absolute = policy.actions().any(|wanted| wanted.name.as_str() == "scale" && wanted.args.get("to").is_some());
    if absolute {
        found.push(
            "an absolute number of replicas may be fewer than there are, which only looking at the workload shows; a scale-down \
             is refused there unless the policy allows it"
                .to_owned(),
        );
    }
    if policy.auto_execute && policy.scope == Scope::Unstated {
        found.push(
            "auto_execute without a scope only proposes; add `scope: {namespaces: [...]}` to let it act".to_owned(),
        );
    }
    if policy.rule.is_none() && policy.auto_execute && policy.confidence_threshold.value() < 0.8 {
        found.push(format!(
            "acting from a confidence of {} on means being wrong up to one time in {}",
            policy.confidence_threshold.value(),
            (1.0 / (1.0 - policy.confidence_threshold.value())).round()
        ));
    }
    if policy.auto_execute && policy.escalation_channel.is_none() {
        found.push("names no escalation_channel: the default one is called when it fails".to_owned());
    }
    if policy.max_attempts > 3 {
        found.push(format!("{} attempts: what two didn't cure, more seldom do", policy.max_attempts));
    }
    let n_steps = policy.actions().count();
    if n_steps > usize::try_from(policy.max_attempts).unwrap_or(usize::MAX) {
        found.push(format!(
            "{n_steps} steps, but {} in {} are allowed: the last steps are reached only later, or never",
            match policy.max_attempts {
                1 => "one attempt".to_owned(),
                n => format!("{n} attempts"),
            },
            homeostat_core::format_duration(policy.attempts_window)
        ));
    }
    if policy.auto_execute && matches!(policy.incident_type, IncidentType::WorkloadGone | IncidentType::FrozenData) {
        found.push("nothing is measured there, so no signal can verify that an action helped".to_owned());
    }
    found
}
