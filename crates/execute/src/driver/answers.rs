//! Sending a write, and what its answer means.

use std::time::Duration;

use homeostat_journal::Journaled;
use homeostat_remediate::{JournalEvent, Plan, Repeat, Stage};
use tokio::time::timeout;

use super::actions::{ARRIVES_WITHIN, ASK_WITHIN, Ending};
use super::{Driver, DriverEvent, PausePoint, TickInput};
use crate::executor::{Applied, ApplyError};

/// How often the kill switch is looked at while something is done that may take long. It must stop within five seconds.
const LOOK_AT_SWITCH_EVERY: Duration = Duration::from_millis(200);

/// How soon a write is sent again that can't be accepted now: a few times within the two minutes for applying, however short a
/// cycle is.
const AGAIN_AFTER: Duration = Duration::from_secs(20);

impl Driver {
    /// Sends the write. What is never sent twice may take long, such as a command, and is cut off when automation is stopped;
    /// what came of it is then not known. A write to a cluster is short, and is left to its answer.
    pub(super) async fn apply_unless_stopped(
        &self,
        journaled: &Journaled,
        version: &str,
        input: &TickInput<'_>,
    ) -> Result<Applied, ApplyError> {
        let applying = self.executor.apply(journaled, version);
        if journaled.plan().repeat == Repeat::Idempotent {
            return applying.await;
        }
        let stopped = async {
            while self.may_write(input) {
                tokio::time::sleep(LOOK_AT_SWITCH_EVERY).await;
            }
        };
        tokio::select! {
            answer = applying => answer,
            () = stopped => Err(ApplyError::Unknown { why: "automation was stopped while it was done".to_owned() }),
        }
    }

    /// Whether an object without the marker of a write that nobody answered is shown as it is. What is read may be older than what is stored; what
    /// is written never is, so the write is tried at the version that was read, once it can't arrive any more. While nothing may be
    /// written nothing is tried either, and what is read counts.
    pub(super) async fn is_shown_as_it_is(
        &mut self,
        plan: &Plan,
        input: &TickInput<'_>,
        events: &mut Vec<DriverEvent>,
    ) -> bool {
        let may_have_arrived = self.unanswered.get(&plan.id).is_some_and(|sent| self.now() >= *sent + ARRIVES_WITHIN);
        if !may_have_arrived || !self.may_write(input) {
            return true;
        }
        let why = match timeout(ASK_WITHIN, self.executor.dry_run(plan)).await {
            // What refuses it without looking at the object says nothing of it.
            Ok(Ok(()) | Err(ApplyError::Rejected { .. } | ApplyError::NotNow { .. })) => return true,
            Ok(Err(error @ (ApplyError::Stale { .. } | ApplyError::Conflict { .. } | ApplyError::Unknown { .. }))) => {
                error.to_string()
            }
            Err(_) => format!("no answer within {ASK_WITHIN:?}"),
        };
        self.not_found_out(plan, &why, self.now(), events);
        false
    }

    pub(super) fn take_answer(
        &mut self,
        plan: &Plan,
        answer: Result<Applied, ApplyError>,
        events: &mut Vec<DriverEvent>,
    ) {
        let now = self.now();
        match answer {
            Ok(applied) => {
                self.pause_at(PausePoint::AfterApply);
                if let Some(altered) = &applied.altered {
                    tracing::warn!(plan = %plan.id, altered, "the write took effect, but not as it was sent");
                }
                let Applied { resource_version, altered } = applied;
                // If this can't be journaled, the next cycle finds the marker and tries again.
                if self.append(plan, &JournalEvent::Applied { resource_version, altered }, now, events).is_some() {
                    events.push(DriverEvent::Applied { plan: plan.clone() });
                }
            }
            Err(error @ ApplyError::Stale { .. }) => {
                self.give_up(plan, &error.to_string(), Ending::CALLED, now, events)
            }
            Err(error @ ApplyError::Rejected { .. }) => {
                self.give_up(plan, &error.to_string(), Ending::REFUSED, now, events);
            }
            // Nothing was done; as it is never sent twice, the next attempt is another plan.
            Err(error @ ApplyError::NotNow { .. }) if plan.repeat == Repeat::AtMostOnce => {
                self.give_up(plan, &error.to_string(), Ending::CALLED, now, events);
            }
            Err(error @ (ApplyError::NotNow { .. } | ApplyError::Conflict { .. })) => {
                let why = error.to_string();
                self.again_at.insert(plan.id.clone(), now + AGAIN_AFTER);
                self.held_up_by.insert(plan.id.clone(), why.clone());
                events.push(DriverEvent::ApplyFailed { plan: plan.clone(), stage: Stage::Applying, why });
            }
            Err(error @ ApplyError::Unknown { .. }) => {
                let why = error.to_string();
                self.held_up_by.insert(plan.id.clone(), why.clone());
                events.push(DriverEvent::ApplyFailed { plan: plan.clone(), stage: Stage::Applying, why });
            }
        }
    }
}
