//! Showing a plan to people, and doing what was decided.

use homeostat_core::{Incident, Timestamp};
use homeostat_journal::{Intent, JournalError, Note};
use homeostat_remediate::{
    Answer, DIGEST_DIGITS_MIN, Objection, PayloadError, PendingPlan, Plan, ProposedPlan, levels,
};

use tokio::time::Instant;

use super::{Driver, DriverEvent, TickInput};

/// Why a plan wasn't shown.
enum NotShown {
    /// It can't be written down as what would be sent.
    NoPayload(PayloadError),
    /// The journal can't take it.
    NotJournaled(JournalError),
}

impl Driver {
    /// Journals the intent of what was decided, then applies it. `resource_version` is the object's as it was looked at.
    pub(super) async fn carry_out(
        &mut self,
        incident: &Incident,
        plan: &Plan,
        resource_version: &str,
        input: &TickInput<'_>,
        events: &mut Vec<DriverEvent>,
    ) {
        let now = self.now();
        let payload = match self.executor.payload(plan) {
            Ok(payload) => payload,
            Err(error) => return self.has_no_payload(incident, plan, &error, now, events),
        };
        let signals = input.signals.get(&incident.subject);
        let intent = Intent {
            plan: plan.clone(),
            executor: self.executor.name().to_owned(),
            write: payload,
            traffic_before: signals.and_then(|signals| signals.traffic),
            levels_before: signals
                .map(|signals| levels(&plan.verify.features, &signals.observations))
                .unwrap_or_default(),
        };
        match self.journal.record(&intent, now) {
            Ok(journaled) => {
                self.spare.insert(plan.id.clone(), (Instant::now(), plan.apply_before.since(now)));
                self.apply(&journaled, resource_version, input, events).await;
            }
            Err(error) => self.refuse(incident, &error.to_string(), now, events),
        }
    }

    /// Writes down what would be sent, for people to see and to answer (I25). `false`: it couldn't be shown, which is told.
    pub(super) fn propose(
        &mut self,
        incident: &Incident,
        plan: &Plan,
        held_back_by: &[Objection],
        events: &mut Vec<DriverEvent>,
    ) -> bool {
        let now = self.now();
        let before = match self.journal.pending(&incident.id) {
            Ok(before) => before.filter(|before| before.plan() != plan),
            Err(error) => {
                self.refuse(incident, &error.to_string(), now, events);
                return false;
            }
        };
        match self.show(plan, now) {
            Ok(()) => {}
            Err(NotShown::NoPayload(error)) => {
                self.has_no_payload(incident, plan, &error, now, events);
                return false;
            }
            Err(NotShown::NotJournaled(error)) => {
                self.refuse(incident, &error.to_string(), now, events);
                return false;
            }
        }
        // Below execute an answer has no effect.
        let before = before.filter(|_| is_answerable(held_back_by));
        let Some((reason, why)) = before.and_then(|before| replaced(&before, now)) else { return true };
        let message = format!(
            "{} on {}: {why}; a new plan is proposed. {}",
            incident.incident_type,
            incident.subject,
            how_to_answer(plan)
        );
        self.escalate(incident, Some(&plan.policy), reason, message, now, events);
        true
    }

    fn show(&self, plan: &Plan, now: Timestamp) -> Result<(), NotShown> {
        let write = self.executor.payload(plan).map_err(NotShown::NoPayload)?;
        let proposed = Box::new(ProposedPlan { plan: plan.clone(), write });
        self.journal.note(&Note::Proposed(proposed), now).map(|_| ()).map_err(NotShown::NotJournaled)
    }

    fn has_no_payload(
        &mut self,
        incident: &Incident,
        plan: &Plan,
        error: &PayloadError,
        now: Timestamp,
        events: &mut Vec<DriverEvent>,
    ) {
        let message = format!("{} on {}: {error}", plan.step.action, incident.subject);
        self.escalate(incident, Some(&plan.policy), "no-payload", message, now, events);
    }
}

/// Whether an approval would lead to anything: below execute nothing is written (I30).
pub(super) fn is_answerable(held_back_by: &[Objection]) -> bool {
    held_back_by.iter().all(|objection| objection.code != "mode")
}

/// Why people must know that another plan takes the place of this one, if they must.
fn replaced(before: &PendingPlan, now: Timestamp) -> Option<(&'static str, String)> {
    let is_over = now >= before.plan().apply_before;
    match (&before.answer, is_over) {
        (None, true) => {
            let why = format!("nobody answered the proposal of {} in time", before.plan().decided_at);
            Some(("approval-expired", why))
        }
        (Some(answer), _) if answer.answer == Answer::Approve => {
            let why = format!("what {} approved isn't done, because it isn't what would be done now", answer.by);
            Some(("approval-void", why))
        }
        (None, false) | (Some(_), _) => None,
    }
}

/// What a person types who agrees, having looked.
pub(super) fn how_to_answer(plan: &Plan) -> String {
    let digest = plan.digest();
    let short = digest.get(..DIGEST_DIGITS_MIN).unwrap_or(&digest);
    format!(
        "See what would be sent with `homeostat incident show {id}`, and approve it until {until} with `homeostat incident approve {id} --digest {short}`",
        id = plan.incident,
        until = plan.apply_before
    )
}
