//! Calling a human, once for each incident and reason.

use std::collections::BTreeSet;

use homeostat_core::{CorrelationId, Incident, IncidentId, Subject, Timestamp};
use homeostat_journal::Note;
use homeostat_remediate::{Escalation, Plan, Stage};

use super::{Driver, DriverEvent};

/// Lines of history in a call: what a phone's screen shows.
const HISTORY_LINES_MAX: usize = 20;

/// Whom it is about.
pub(super) struct About<'a> {
    incident: &'a IncidentId,
    correlation: &'a CorrelationId,
    subject: &'a Subject,
}

impl<'a> From<&'a Incident> for About<'a> {
    fn from(incident: &'a Incident) -> Self {
        Self { incident: &incident.id, correlation: &incident.correlation, subject: &incident.subject }
    }
}

impl<'a> From<&'a Plan> for About<'a> {
    fn from(plan: &'a Plan) -> Self {
        Self { incident: &plan.incident, correlation: &plan.correlation, subject: &plan.target.subject }
    }
}

impl Driver {
    /// Calls a human unless that was done for this incident and reason. When the journal can't be written the call goes
    /// out all the same (I12), and is remembered here.
    pub(super) fn escalate<'a>(
        &mut self,
        about: impl Into<About<'a>>,
        policy: Option<&str>,
        reason: &str,
        message: String,
        now: Timestamp,
        events: &mut Vec<DriverEvent>,
    ) {
        let channel = policy
            .and_then(|name| self.policies.iter().find(|policy| policy.name == name))
            .and_then(|policy| policy.escalation_channel.clone());
        self.escalate_to(about, channel.into_iter().collect(), reason, message, now, events);
    }

    /// The same for these channels; none means the default one.
    pub(super) fn escalate_to<'a>(
        &mut self,
        about: impl Into<About<'a>>,
        channels: BTreeSet<String>,
        reason: &str,
        message: String,
        now: Timestamp,
        events: &mut Vec<DriverEvent>,
    ) {
        let about = about.into();
        let key = (about.incident.clone(), reason.to_owned());
        if self.called_unjournaled.contains(&key) {
            return;
        }
        let escalation = Escalation {
            incident: about.incident.clone(),
            correlation: about.correlation.clone(),
            subject: about.subject.clone(),
            channels,
            reason: reason.to_owned(),
            message,
            history: self.history_lines(about.incident),
            at: now,
        };
        match self.journal.note(&Note::Escalated(escalation.clone()), now) {
            Ok(true) => events.push(DriverEvent::Escalate(escalation)),
            Ok(false) => {}
            Err(error) => {
                self.called_unjournaled.insert(key);
                events.push(DriverEvent::JournalTrouble { why: error.to_string() });
                events.push(DriverEvent::Escalate(escalation));
            }
        }
    }

    fn history_lines(&self, incident: &IncidentId) -> Vec<String> {
        match self.journal.history() {
            Ok(history) => {
                let lines: Vec<String> = history.of_incident(incident).map(|action| action.summary()).collect();
                lines[lines.len().saturating_sub(HISTORY_LINES_MAX)..].to_vec()
            }
            Err(error) => vec![format!("what was tried is unknown: {error}")],
        }
    }

    /// Whether the policy's ladder has a step left for the plan's incident, and an attempt for it.
    fn has_next_step(&self, plan: &Plan, now: Timestamp) -> bool {
        let Ok(history) = self.journal.history() else { return false };
        let Some(policy) = self.policies.iter().find(|policy| policy.name == plan.policy) else { return false };
        let Some(first) = &policy.action else { return false };
        let subject = &plan.target.subject;
        let n_attempts = history.attempts(subject, plan.incident_type, policy.attempts_window, now);
        first.steps().count() > 1
            && first.after(history.tried(&plan.incident, &policy.name)).is_some()
            && n_attempts < policy.max_attempts
            && !history.frozen.contains_key(&policy.name)
    }

    /// Calls a human because of how an action ended, unless the policy has another step to try first.
    pub(super) fn escalate_end(
        &mut self,
        plan: &Plan,
        stage: Stage,
        why: &str,
        now: Timestamp,
        events: &mut Vec<DriverEvent>,
    ) {
        // The next step of a ladder comes after the cooldown; should it be refused then, that is told.
        if matches!(stage, Stage::NotRecovered | Stage::Undone) && self.has_next_step(plan, now) {
            return;
        }
        let action = &plan.step.action;
        let message = format!("{action} of {} ended {stage}: {why}", plan.target.subject);
        self.escalate(plan, Some(&plan.policy), stage.name(), message, now, events);
    }
}
