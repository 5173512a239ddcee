//! Giving back what an action only lent, when its time is over: after its end, whatever the end was.

use std::time::Duration;

use homeostat_core::{Subject, Timestamp};
use homeostat_journal::Journaled;
use homeostat_remediate::{Inverse, JournalEvent, Plan};
use tokio::time::timeout;

use super::{Driver, DriverEvent, TickInput};
use crate::executor::ApplyError;

/// One answer to what is given back; it is tried again in the next cycle.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// How long after its time something may still be lent, because nothing may be written, before a human is called.
const OVERDUE_AFTER: Duration = Duration::from_secs(1800);

impl Driver {
    /// Gives back what is due. The intent of the action holds what is sent for it, and it changes only what is as the action left it:
    /// sending it again is safe (I7), so a driver that died while sending sends again.
    pub(super) async fn restore_due(&mut self, input: &TickInput<'_>, events: &mut Vec<DriverEvent>) {
        let due = match self.journal.to_restore(self.now()) {
            Ok(due) => due,
            Err(error) => return events.push(DriverEvent::JournalTrouble { why: error.to_string() }),
        };
        let busy: Vec<Subject> = match self.journal.in_flight() {
            Ok(in_flight) => in_flight.iter().map(|journaled| journaled.plan().target.subject.clone()).collect(),
            Err(error) => return events.push(DriverEvent::JournalTrouble { why: error.to_string() }),
        };
        // What another action is at work on waits for its end (I1).
        for journaled in due.into_iter().filter(|journaled| !busy.contains(&journaled.plan().target.subject)) {
            self.restore(&journaled, input, events).await;
        }
    }

    async fn restore(&mut self, journaled: &Journaled, input: &TickInput<'_>, events: &mut Vec<DriverEvent>) {
        let (plan, now) = (journaled.plan(), self.now());
        if !self.may_write(input) {
            if now > until(plan) + OVERDUE_AFTER {
                let why = "nothing may be written now";
                self.call_for(plan, "restore-overdue", why, events);
            }
            return;
        }
        if self.again_at.get(&plan.id).is_some_and(|again_at| *again_at > now) {
            return;
        }
        if self.append(plan, &JournalEvent::RestoreStarted, now, events).is_none() {
            return;
        }
        // Again: making it durable takes time.
        if !self.may_write(input) {
            return;
        }
        let answer = timeout(ANSWER_WITHIN, self.executor.undo(journaled)).await;
        let now = self.now();
        match answer {
            Ok(Ok(_)) => {
                if self.append(plan, &JournalEvent::Restored, now, events).is_some() {
                    events.push(DriverEvent::Restored { plan: plan.clone() });
                }
            }
            // Somebody changed it since, and knew why (I16); or a later action lent more, and gives it back itself.
            Ok(Err(error @ ApplyError::Stale { .. })) => {
                let _ = self.append(plan, &JournalEvent::NotRestored { why: error.to_string() }, now, events);
            }
            Ok(Err(error @ ApplyError::Rejected { .. })) => {
                let why = error.to_string();
                if self.append(plan, &JournalEvent::NotRestored { why: why.clone() }, now, events).is_some() {
                    self.call_for(plan, "not-restored", &why, events);
                }
            }
            Ok(Err(error @ (ApplyError::Unknown { .. } | ApplyError::NotNow { .. } | ApplyError::Conflict { .. }))) => {
                self.try_later(plan, &error.to_string(), events);
            }
            Err(_) => self.try_later(plan, "no answer", events),
        }
    }

    fn try_later(&mut self, plan: &Plan, why: &str, events: &mut Vec<DriverEvent>) {
        let now = self.now();
        tracing::warn!(plan = %plan.id, why, "what was lent isn't given back yet");
        self.again_at.insert(plan.id.clone(), now + ANSWER_WITHIN);
        if now > until(plan) + OVERDUE_AFTER {
            self.call_for(plan, "restore-overdue", why, events);
        }
    }

    fn call_for(&mut self, plan: &Plan, reason: &str, why: &str, events: &mut Vec<DriverEvent>) {
        let (action, subject) = (&plan.step.action, &plan.target.subject);
        let message = format!("what {action} of {subject} changed until {} isn't put back: {why}", until(plan));
        self.escalate(plan, Some(&plan.policy), reason, message, self.now(), events);
    }
}

/// Until when it was lent.
fn until(plan: &Plan) -> Timestamp {
    match &plan.inverse {
        Inverse::Temporary { until, .. } => *until,
        Inverse::Nothing | Inverse::Irreversible | Inverse::Step(_) => plan.deadline,
    }
}
