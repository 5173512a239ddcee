//! Deciding on open incidents: when something changed or a wait ran out, not every cycle.

use std::time::Duration;

use homeostat_core::{Incident, Timestamp};
use homeostat_journal::{Intent, Note, ReadError};
use homeostat_remediate::{Decision, DecisionContext, History, InspectError, NextStep, Proposal, Refusal, decide};

use super::{Considered, Driver, DriverEvent, TickInput};

/// How soon to ask again when a reason passes by itself: one usual cycle.
const AGAIN_AFTER_WAIT: Duration = Duration::from_secs(30);

/// How soon to ask again anyway: a human may have resumed a roll-out, or given a right. One look at one object in five
/// minutes is no load on an API server.
const AGAIN_ANYWAY: Duration = Duration::from_secs(300);

impl Driver {
    pub(super) async fn consider(
        &mut self,
        incident: &Incident,
        input: &TickInput<'_>,
        now: Timestamp,
        events: &mut Vec<DriverEvent>,
    ) {
        let history = match self.journal.history(now) {
            Ok(history) => history,
            Err(error) => return self.refuse(incident, &error.to_string(), now, events),
        };
        let facts = self.facts(incident, input, &history);
        let is_settled = |before: &Considered| before.facts == facts && before.at <= now && now < before.again_at;
        if self.considered.get(&incident.id).is_some_and(is_settled) {
            return;
        }
        // Cloned, because deciding borrows them while the driver writes down what was decided.
        let policies = self.policies.clone();
        let proposal = Proposal::new(incident, &policies);
        let decision = self.decision(&proposal, input, &history, now).await;
        let wait = if passes_by_itself(&decision) { AGAIN_AFTER_WAIT } else { AGAIN_ANYWAY };
        self.considered.insert(incident.id.clone(), Considered { facts, at: now, again_at: now + wait });
        self.follow(&proposal, decision, input, now, events).await;
    }

    async fn decision(
        &self,
        proposal: &Proposal<'_>,
        input: &TickInput<'_>,
        history: &History,
        now: Timestamp,
    ) -> Decision {
        let context = DecisionContext {
            mode: input.mode,
            kill_switch: input.kill_switch,
            open: input.incidents,
            is_storm: self.storm_until.is_some(),
            topology: input.topology,
            calendar: input.calendar,
            supported: &self.supported,
        };
        let subject = &proposal.incident.subject;
        let seen = match proposal.policy {
            Some(_) => self.executor.inspect(subject, now).await,
            // Nothing would be done: don't look.
            None => Err(InspectError::Unsupported { subject: subject.clone() }),
        };
        decide(proposal, seen.as_ref(), history, &context, &self.limits, now)
    }

    /// Writes the decision down, then does what it says (I32).
    async fn follow(
        &mut self,
        proposal: &Proposal<'_>,
        decision: Decision,
        input: &TickInput<'_>,
        now: Timestamp,
        events: &mut Vec<DriverEvent>,
    ) {
        let incident = proposal.incident;
        let is_new = match self.journal.note(&Note::Decision(decision.record(proposal)), now) {
            Ok(is_new) => is_new,
            Err(error) => return self.refuse(incident, &error.to_string(), now, events),
        };
        if is_new {
            events.push(DriverEvent::Decided { incident: incident.id.clone(), decision: decision.clone() });
        }
        match &decision {
            Decision::Execute(plan) => {
                let signals = input.signals.get(&incident.subject);
                let intent = Intent {
                    plan: plan.clone(),
                    executor: self.executor.name().to_owned(),
                    write: self.executor.payload(plan),
                    traffic_before: signals.and_then(|signals| signals.traffic),
                };
                match self.journal.record(&intent, now) {
                    Ok(journaled) => self.apply(&journaled, now, events).await,
                    Err(error) => self.refuse(incident, &error.to_string(), now, events),
                }
            }
            Decision::Propose { .. } | Decision::Refuse { .. } => {
                self.escalate_decision(proposal, &decision, now, events);
            }
        }
    }

    fn escalate_decision(
        &mut self,
        proposal: &Proposal<'_>,
        decision: &Decision,
        now: Timestamp,
        events: &mut Vec<DriverEvent>,
    ) {
        if decision.next_step() != NextStep::Escalate {
            return;
        }
        let Some(first) = decision.refusals().iter().find(|reason| reason.next_step() == NextStep::Escalate) else {
            return;
        };
        let suggested = match (decision, decision.action()) {
            (Decision::Propose { plan, .. }, Some(action)) => format!("proposed: {action} ({})", plan.id),
            (_, Some(action)) => format!("would have been: {action}"),
            (_, None) => "no action is known".to_owned(),
        };
        let reasons: Vec<String> =
            decision.refusals().iter().map(|reason| format!("{}: {reason}", reason.code())).collect();
        let incident = proposal.incident;
        let message = format!(
            "{} on {}: not done automatically, {suggested}. {}",
            incident.incident_type,
            incident.subject,
            reasons.join("; ")
        );
        let policy = proposal.policy.map(|policy| policy.name.as_str());
        self.escalate(incident, policy, first.code(), message, now, events);
    }

    /// Nothing is decided without the journal (I12); that itself is told.
    fn refuse(&mut self, incident: &Incident, why: &str, now: Timestamp, events: &mut Vec<DriverEvent>) {
        let policies = self.policies.clone();
        let proposal = Proposal::new(incident, &policies);
        let refusal = Refusal::JournalUnavailable { why: why.to_owned() };
        let decision = Decision::Refuse { action: proposal.action(), refusals: vec![refusal] };
        // Asked again in the next cycle, whatever the facts: the journal may be back.
        self.considered.remove(&incident.id);
        let key = (incident.id.clone(), "journal-unavailable".to_owned());
        if !self.called_unjournaled.contains(&key) {
            events.push(DriverEvent::Decided { incident: incident.id.clone(), decision: decision.clone() });
        }
        self.escalate_decision(&proposal, &decision, now, events);
    }

    pub(super) fn refuse_all(
        &mut self,
        input: &TickInput<'_>,
        error: &ReadError,
        now: Timestamp,
        events: &mut Vec<DriverEvent>,
    ) {
        events.push(DriverEvent::JournalTrouble { why: error.to_string() });
        for incident in input.incidents {
            self.refuse(incident, &error.why, now, events);
        }
    }

    /// What a decision depends on, but for time and the target: if it is the same, the decision would be too.
    fn facts(&self, incident: &Incident, input: &TickInput<'_>, history: &History) -> String {
        let stages: Vec<_> = history.of_incident(&incident.id).map(|action| action.stage.name()).collect();
        format!(
            "{:?}",
            (
                (incident.incident_type, incident.state, &incident.annotations, incident.evidence.is_empty()),
                (incident.confidence.lower.value(), incident.confidence.n_outcomes),
                (input.mode, input.kill_switch.engaged, self.storm_until.is_some()),
                (stages, history.in_flight().count(), history.frozen.len()),
            )
        )
    }
}

/// Whether time alone may change the decision soon: something is to be waited for, or a cooldown runs.
fn passes_by_itself(decision: &Decision) -> bool {
    let runs_out = |refusal: &Refusal| matches!(refusal, Refusal::CooldownActive { .. });
    decision.next_step() == NextStep::Wait || decision.refusals().iter().any(runs_out)
}
