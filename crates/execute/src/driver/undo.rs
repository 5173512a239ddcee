//! Taking an action back, once, and only while the target is as the action left it (I16).

use std::collections::BTreeSet;

use homeostat_core::Timestamp;
use homeostat_journal::Journaled;
use homeostat_remediate::{JournalEvent, Plan, Recovery, Repeat, Stage};

use super::{Driver, DriverEvent, TickInput};
use crate::executor::ApplyError;

impl Driver {
    /// Takes the action back: journals the start, sends, journals the answer. Sending again is safe (I7), so a driver that
    /// died while sending sends again.
    pub(super) async fn undo(
        &mut self,
        journaled: &Journaled,
        stage: Stage,
        input: &TickInput<'_>,
        events: &mut Vec<DriverEvent>,
    ) {
        let (plan, now) = (journaled.plan(), self.now());
        if now >= plan.deadline {
            return self.stuck(plan, "it wasn't taken back before its deadline", now, events);
        }
        if !self.may_write(input) {
            return;
        }
        if stage == Stage::Undoing && plan.repeat == Repeat::AtMostOnce {
            return self.stuck(
                plan,
                "whether it was taken back isn't known, and that is never sent twice",
                now,
                events,
            );
        }
        // Also when it is sent again: whoever isn't the journal's writer any more doesn't get past this (I9).
        if self.append(plan, &JournalEvent::UndoStarted, now, events).is_none() {
            return;
        }
        // Again: making it durable takes time.
        if !self.may_write(input) {
            return;
        }
        let answer = self.executor.undo(journaled).await;
        let now = self.now();
        match answer {
            Ok(applied) => {
                let event = JournalEvent::UndoApplied { resource_version: applied.resource_version };
                // Unjournaled, it is sent again in the next cycle, which changes nothing.
                let _ = self.append(plan, &event, now, events);
            }
            Err(error @ (ApplyError::Stale { .. } | ApplyError::Rejected { .. })) => {
                self.stuck(plan, &error.to_string(), now, events);
            }
            // Sent again in the next cycle, up to the deadline.
            Err(ApplyError::Unknown { why } | ApplyError::NotNow { why } | ApplyError::Conflict { why, .. }) => {
                tracing::warn!(plan = %plan.id, %why, "no answer to the undo")
            }
        }
    }

    /// Waits for the roll-out back to be complete.
    pub(super) async fn settle(&mut self, journaled: &Journaled, events: &mut Vec<DriverEvent>) {
        let plan = journaled.plan();
        let target = (plan.step.action.clone(), String::new(), plan.target.subject.clone());
        let looks = self.look(BTreeSet::from([target.clone()])).await;
        let now = self.now();
        let Some(look) = looks.get(&target) else { return };
        let is_rolling_out = match plan.verify.recovery {
            Recovery::RollOut => true,
            // What was written is all there is to it.
            Recovery::SignalsOnly => false,
        };
        let is_complete = match &look.seen {
            Ok(seen) if seen.uid != plan.target.uid => {
                return self.stuck(plan, "the object was recreated meanwhile", now, events);
            }
            Ok(_) if !is_rolling_out => true,
            Ok(seen) => !seen.rollout_in_progress && seen.replicas_available >= seen.replicas_wanted,
            Err(error) => {
                tracing::warn!(plan = %plan.id, %error, "the target can't be inspected after the undo");
                false
            }
        };
        if is_complete {
            if let Some(stage) = self.append(plan, &JournalEvent::Undone, now, events) {
                events.push(DriverEvent::Undone { plan: plan.clone() });
                self.escalate_end(plan, stage, "it didn't help and was taken back", now, events);
            }
        } else if now >= plan.deadline {
            self.stuck(plan, "its roll-out back wasn't complete before the deadline", now, events);
        }
    }

    fn stuck(&mut self, plan: &Plan, why: &str, now: Timestamp, events: &mut Vec<DriverEvent>) {
        if let Some(stage) = self.append(plan, &JournalEvent::Stuck { why: why.to_owned() }, now, events) {
            events.push(DriverEvent::Stuck { plan: plan.clone(), why: why.to_owned() });
            self.escalate_end(plan, stage, why, now, events);
        }
    }
}
