//! Says what a tick did, in the log: one line an event, each with the correlation id that runs from the window that
//! alarmed to the action that was taken.

use homeostat_announce::Channels;
use homeostat_core::{Escalation, Incident, IncidentChange};
use homeostat_execute::DriverEvent;
use homeostat_remediate::{Decision, Plan, Verdict};

use crate::serve::cycle::Tick;

/// Logs everything that a tick did.
pub(crate) fn log(tick: &Tick) {
    for (subject, misfit) in &tick.misfits {
        tracing::error!(%subject, %misfit, "the subject's data doesn't fit its model; it isn't watched");
    }
    for (subject, error) in &tick.not_compared {
        tracing::warn!(%subject, %error, "the subject's replicas weren't compared");
    }
    for change in &tick.changes {
        log_change(change);
    }
    if let Some(error) = &tick.journal_trouble {
        tracing::error!(%error, "incidents couldn't be recorded; nothing is executed until the journal works");
    }
    for event in &tick.events {
        log_event(event, &tick.open);
    }
}

fn log_change(change: &IncidentChange) {
    let incident = change.incident();
    let evidence: Vec<String> = incident
        .evidence
        .iter()
        .map(|part| {
            format!(
                "{}={:.4} expected={:.4} deviation={:+.1}",
                part.feature, part.observed, part.expected, part.deviation
            )
        })
        .collect();
    let facts: Vec<&str> = incident.facts().map(|fact| fact.sentence.as_str()).collect();
    let ahead: Vec<String> = incident.limits_ahead.iter().map(ToString::to_string).collect();
    tracing::info!(
        correlation = %incident.correlation,
        incident = %incident.id,
        subject = %incident.subject,
        r#type = %incident.incident_type,
        score = incident.score.value(),
        confidence = incident.confidence.confidence.value(),
        confidence_lower = incident.confidence.lower.value(),
        outcomes = incident.confidence.n_outcomes,
        evidence = evidence.join("; "),
        facts = facts.join("; "),
        ahead = ahead.join("; "),
        affected = incident.affected.len(),
        "incident {}",
        change.name()
    );
}

fn log_event(event: &DriverEvent, open: &[Incident]) {
    match event {
        DriverEvent::Decided { incident, decision } => {
            let correlation = open
                .iter()
                .find(|known| known.id == *incident)
                .map_or_else(String::new, |known| known.correlation.to_string());
            let why: Vec<String> =
                decision.objections().iter().map(|objection| format!("{}: {objection}", objection.code)).collect();
            let action = decision.action().map_or("none", |action| action.as_str());
            let decided = match decision {
                Decision::Execute(_) => "execute",
                Decision::Approved { .. } => "execute-approved",
                Decision::Propose { .. } => "propose",
                Decision::Refuse { .. } => "refuse",
            };
            tracing::info!(correlation, %incident, decision = decided, action, why = why.join("; "), "decided");
        }
        DriverEvent::Applied { plan } => log_plan(plan, "applied", ""),
        DriverEvent::ApplyFailed { plan, stage, why } => log_plan(plan, "not applied", &format!("{why} ({stage:?})")),
        DriverEvent::Verdict { plan, verdict } => match verdict {
            Verdict::Pending => {}
            Verdict::Recovered => log_plan(plan, "verified: recovered", ""),
            Verdict::NotRecovered { why, made_worse } => {
                log_plan(plan, if *made_worse { "verified: made worse" } else { "verified: not recovered" }, why);
            }
            Verdict::Overridden => log_plan(plan, "verified: overridden", "somebody put back what was written"),
            Verdict::Unknown { why } => log_plan(plan, "verified: unknown", why),
        },
        DriverEvent::Undone { plan } => log_plan(plan, "undone", ""),
        DriverEvent::Restored { plan } => log_plan(plan, "restored", ""),
        DriverEvent::Stuck { plan, why } => {
            tracing::error!(correlation = %plan.correlation, incident = %plan.incident, action = %plan.id, why, "can't be undone");
        }
        DriverEvent::PolicyFrozen { policy, why } => tracing::warn!(policy, why, "policy frozen"),
        DriverEvent::Escalate(escalation) => tracing::warn!(
            correlation = %escalation.correlation,
            incident = %escalation.incident,
            subject = %escalation.subject,
            channels = channels(escalation),
            reason = escalation.reason,
            history = escalation.history.join(" | "),
            "escalated: {}", escalation.message
        ),
        DriverEvent::JournalTrouble { why } => tracing::error!(why, "the journal doesn't work; nothing is executed"),
    }
}

fn log_plan(plan: &Plan, what: &str, why: &str) {
    tracing::info!(
        correlation = %plan.correlation,
        incident = %plan.incident,
        action = %plan.id,
        kind = plan.step.action.as_str(),
        target = %plan.target.subject,
        uid = plan.target.uid,
        attempt = plan.attempt,
        why,
        "{what}"
    );
}

/// The channels of a call, for a line.
pub(crate) fn channels(escalation: &Escalation) -> String {
    if escalation.channels.is_empty() {
        return Channels::DEFAULT.to_owned();
    }
    escalation.channels.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

/// A driver event's stable name, for metrics.
pub(crate) fn event_name(event: &DriverEvent) -> &'static str {
    match event {
        DriverEvent::Decided { decision, .. } => match decision {
            Decision::Execute(_) => "decided-execute",
            Decision::Approved { .. } => "decided-execute-approved",
            Decision::Propose { .. } => "decided-propose",
            Decision::Refuse { .. } => "decided-refuse",
        },
        DriverEvent::Applied { .. } => "applied",
        DriverEvent::ApplyFailed { .. } => "apply-failed",
        DriverEvent::Verdict { verdict, .. } => match verdict {
            Verdict::Pending => "pending",
            Verdict::Recovered => "recovered",
            Verdict::NotRecovered { made_worse: false, .. } => "not-recovered",
            Verdict::NotRecovered { made_worse: true, .. } => "made-worse",
            Verdict::Overridden => "overridden",
            Verdict::Unknown { .. } => "unknown",
        },
        DriverEvent::Undone { .. } => "undone",
        DriverEvent::Restored { .. } => "restored",
        DriverEvent::Stuck { .. } => "stuck",
        DriverEvent::PolicyFrozen { .. } => "policy-frozen",
        DriverEvent::Escalate(_) => "escalated",
        DriverEvent::JournalTrouble { .. } => "journal-trouble",
    }
}
