//! What a person should do about an incident.

use homeostat_core::{IncidentState, Subject, WorkloadKind};
use homeostat_remediate::Answer;

use super::recorded::{Decided, Proposal, Recorded};

/// In a sentence or two.
pub(super) fn step(recorded: &Recorded) -> String {
    let incident = &recorded.incident;
    match incident.state {
        IncidentState::Resolved => return "Nothing: its signals are back to normal.".to_owned(),
        IncidentState::Rebaselined => {
            return "Check that the new level is what you want: it has lasted so long that it counts as normal now."
                .to_owned();
        }
        IncidentState::Expired => {
            return format!(
                "Check whether {} was deleted: its data stopped, and never came back. If it does with the fault, a new incident opens.",
                incident.subject
            );
        }
        IncidentState::Stale => {
            return format!(
                "Check that Prometheus still scrapes {}: it returns no data, which doesn't count as recovery.",
                incident.subject
            );
        }
        IncidentState::Open => {}
    }
    if let Some(last) = recorded.actions.last() {
        match last.stage.as_str() {
            "planned" | "applying" | "verifying" | "undo-due" | "undoing" | "settling" => {
                return format!("Wait: {} is under way ({}).", last.action, last.stage);
            }
            "recovered" => {
                return format!(
                    "Nothing: {} helped, and the incident closes when its signals stay normal.",
                    last.action
                );
            }
            // The others didn't help; the decision says why nothing more is done.
            _ => {}
        }
    }
    match &recorded.decision {
        None => "Wait for the next cycle: nothing was decided yet.".to_owned(),
        Some(decision) => of_decision(decision, recorded),
    }
}

fn of_decision(decision: &Decided, recorded: &Recorded) -> String {
    let subject = &recorded.incident.subject;
    if decision.outcome == "propose" {
        let has_mode = decision.reasons.iter().any(|reason| reason.code == "mode");
        if let Some(proposal) = recorded.proposal.as_ref().filter(|_| !has_mode) {
            return of_proposal(proposal, recorded);
        }
        let action = decision.action.as_deref().unwrap_or("the action");
        return match command(action, subject) {
            Some(command) => format!("If you agree, run `{command}`."),
            None => format!("If you agree, do {action} by hand."),
        };
    }
    if decision.reasons.iter().any(|reason| reason.code == "paused") {
        return match rollout("resume", subject) {
            Some(command) => format!("Its rollouts are paused. Find out why; `{command}` ends that."),
            None => look(subject),
        };
    }
    let code = decision.reasons.first().map_or("", |reason| reason.code.as_str());
    match code {
        "kill-switch" => {
            "Look at the workload yourself. When automation may act again: `homeostat resume --reason ...`.".to_owned()
        }
        "mode" => format!(
            "{} homeostat only watches in this mode; `mode: recommend` or `execute` in the config lets it do more.",
            look(subject)
        ),
        "no-policy" | "no-action" | "out-of-scope" | "no-scope" => format!(
            "{} To have it handled, write a policy for it (deploy/policies.example.yaml) and check it with `homeostat check policy FILE`.",
            look(subject)
        ),
        "planned-event" => "Nothing: it is expected. Look again when the event is over.".to_owned(),
        "dependency-first" => "Look at the dependency's incident first.".to_owned(),
        "not-typed-yet" | "rollout-in-progress" | "in-flight" | "cooldown-active" | "just-recovered" => {
            "Wait: it is decided again in the next cycles.".to_owned()
        }
        _ => look(subject),
    }
}

fn of_proposal(proposal: &Proposal, recorded: &Recorded) -> String {
    match &proposal.answer {
        Some((answer, by)) if answer == Answer::Approve.name() => {
            format!("Wait: {by} approved it, and the service does it within a step.")
        }
        Some(_) | None => format!(
            "If you agree with what would be sent, run `homeostat incident approve {id} --digest {digest} --storage.path DIR`; if not, `homeostat incident reject` with the same arguments.",
            id = recorded.incident.id,
            digest = proposal.digest
        ),
    }
}

fn look(subject: &Subject) -> String {
    match kind(subject) {
        Some(kind) => format!("Look at it: `kubectl -n {} describe {kind}/{}`.", subject.namespace, subject.name),
        None => format!("Look at {subject}."),
    }
}

/// The same by hand.
fn command(action: &str, subject: &Subject) -> Option<String> {
    let verb = match action {
        "rollout-restart" => "restart",
        "rollout-undo" => "undo",
        _ => return None,
    };
    rollout(verb, subject)
}

fn rollout(verb: &str, subject: &Subject) -> Option<String> {
    Some(format!("kubectl -n {} rollout {verb} {}/{}", subject.namespace, kind(subject)?, subject.name))
}

/// What kubectl calls it.
fn kind(subject: &Subject) -> Option<&'static str> {
    match subject.kind {
        WorkloadKind::Deployment => Some("deployment"),
        WorkloadKind::StatefulSet => Some("statefulset"),
        WorkloadKind::DaemonSet => Some("daemonset"),
        WorkloadKind::External => None,
    }
}
