//! What a policy may say but probably shouldn't. Never stops anything.

use super::{Policy, Scope};
use crate::action::Actions;

/// Warnings, a sentence each, in the order of policies.
pub fn lint(policies: &[Policy], actions: &Actions) -> Vec<String> {
    policies
        .iter()
        .flat_map(|policy| warnings(policy, actions).into_iter().map(|text| format!("{}: {text}", policy.name)))
        .collect()
}

fn warnings(policy: &Policy, actions: &Actions) -> Vec<String> {
    let mut found = Vec::new();
    if let Some(action) = policy.action.as_ref().and_then(|wanted| actions.get(&wanted.name)) {
        found.extend(action.lint(policy));
    }
    if policy.auto_execute && policy.scope == Scope::Unstated {
        found.push(
            "auto_execute without a scope only proposes; add `scope: {namespaces: [...]}` to let it act".to_owned(),
        );
    }
    if policy.auto_execute && policy.confidence_threshold.value() < 0.8 {
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
    found
}
