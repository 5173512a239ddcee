//! What a policy may say but probably shouldn't. Never stops anything.

use homeostat_core::{ActionKind, IncidentType};

use super::{Policy, Scope};

/// Warnings, a sentence each, in the order of policies.
pub fn lint(policies: &[Policy]) -> Vec<String> {
    policies
        .iter()
        .flat_map(|policy| warnings(policy).into_iter().map(|text| format!("{}: {text}", policy.name)))
        .collect()
}

fn warnings(policy: &Policy) -> Vec<String> {
    let mut found = Vec::new();
    let restarts = policy.action == Some(ActionKind::RolloutRestart);
    if restarts && policy.incident_type == IncidentType::CrashLoop {
        found.push("restarting a crash loop hides its cause: the kubelet restarts it already".to_owned());
    }
    if restarts && matches!(policy.incident_type, IncidentType::BadDeployment | IncidentType::ConfigDrift) {
        found.push("a restart keeps the template that is at fault; consider rollout-undo".to_owned());
    }
    if restarts && matches!(policy.incident_type, IncidentType::DependencyFailure | IncidentType::NetworkPartition) {
        found.push("a restart doesn't heal what is elsewhere, and costs the capacity that is left".to_owned());
    }
    if policy.auto_execute && policy.action == Some(ActionKind::RolloutUndo) {
        found.push(
            "an automatic undo can bring back a schema or protocol that the data has left: be sure that releases go back cleanly"
                .to_owned(),
        );
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
    if policy.rollback_if_failed && restarts {
        found.push(
            "rollback_if_failed does nothing for a restart, which can't be taken back; a human is called".to_owned(),
        );
    }
    if policy.max_attempts > 3 {
        found.push(format!("{} attempts: what two didn't cure, more seldom do", policy.max_attempts));
    }
    found
}
