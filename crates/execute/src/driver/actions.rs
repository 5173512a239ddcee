//! Carrying journaled actions on: apply, find out what became of a write, verify. Each step asks the stage
//! machine through the journal, so that a driver that died anywhere is followed by one that goes on from there.

use std::sync::Arc;
use std::time::Duration;

use homeostat_core::{Incident, IncidentState, Timestamp};
use homeostat_journal::{Journaled, Note};
use homeostat_remediate::{JournalEvent, Observation, PastAction, Plan, Repeat, Stage, Verdict, VerifyInput, verify};

use tokio::time::timeout;

use super::consider::newest_rows;
use super::{Driver, DriverEvent, OBSERVATIONS_MAX, PausePoint, TickInput};
use crate::executor::{ApplyError, WriteOutcome};

/// Why an action is cancelled that nobody needs to be called for.
const NOT_OPEN: &str = "the incident isn't open any more";

/// The same: its signals became normal while it waited.
const NORMAL_AGAIN: &str = "the signals that opened the incident are normal again";

/// An action that would act again is sent once, whatever came of it (I7).
const SENT_ONCE: &str = "it wasn't done, and is never sent twice";

/// Waits between writes that met a change of the status only. A busy workload's status is written a few times a second;
/// together they take three seconds, and the next cycle tries again.
const CONFLICT_WAITS: [Duration; 8] = [
    Duration::ZERO,
    Duration::from_millis(20),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(200),
    Duration::from_millis(400),
    Duration::from_millis(800),
    Duration::from_millis(1600),
];

/// One question about an action in flight. It is asked again in the next cycle, so a hung API server needn't be waited for.
pub(super) const ASK_WITHIN: Duration = Duration::from_secs(10);

/// A write that nobody answered may still take effect for so long. The API server is asked to give up on a write after nine
/// seconds, one that is on its way when the process dies included; the rest is for a slow network and for the look itself,
/// which takes [`ASK_WITHIN`] at most and shows the object as it was when it began.
pub(super) const ARRIVES_WITHIN: Duration = Duration::from_secs(30);

/// What follows from an action that surely wrote nothing.
pub(super) struct Ending {
    /// A human is called.
    call: bool,
    /// The same write would be refused again.
    refused: bool,
}

impl Ending {
    const QUIET: Self = Self { call: false, refused: false };
    pub(super) const CALLED: Self = Self { call: true, refused: false };
    pub(super) const REFUSED: Self = Self { call: true, refused: true };
}

/// How far back a restart looks for ended actions that nobody was called for. Dying between an end and its call is a
/// matter of milliseconds; a day covers the longest outage after which a call still makes sense.
const CALL_LATE_MAX: Duration = Duration::from_secs(24 * 3600);

impl Driver {
    /// One step for one action.
    pub(super) async fn carry_on(
        &mut self,
        journaled: &Journaled,
        input: &TickInput<'_>,
        events: &mut Vec<DriverEvent>,
    ) {
        let Some(action) = self.action(journaled, events) else { return };
        match action.stage {
            Stage::Planned => self.apply_if_still_right(journaled, input, events).await,
            Stage::Applying => {
                if self.find_out(journaled, events).await == Some(WriteOutcome::NotApplied)
                    && self.is_shown_as_it_is(journaled.plan(), input, events).await
                {
                    match journaled.plan().repeat {
                        Repeat::Idempotent => self.apply_if_still_right(journaled, input, events).await,
                        Repeat::AtMostOnce => {
                            self.give_up(journaled.plan(), SENT_ONCE, Ending::CALLED, self.now(), events);
                        }
                    }
                }
            }
            Stage::Verifying => {
                self.go_on(journaled, input).await;
                self.verify(&action, input, events).await;
                // What didn't help, or hurt, is taken back without waiting for the next cycle.
                if self.action(journaled, events).is_some_and(|action| action.stage == Stage::UndoDue) {
                    self.undo(journaled, Stage::UndoDue, input, events).await;
                }
            }
            Stage::UndoDue | Stage::Undoing => self.undo(journaled, action.stage, input, events).await,
            Stage::Settling => self.settle(journaled, events).await,
            Stage::NotApplied
            | Stage::Recovered
            | Stage::NotRecovered
            | Stage::Unknown
            | Stage::Overridden
            | Stage::Undone
            | Stage::Stuck => {}
        }
    }

    fn action(&self, journaled: &Journaled, events: &mut Vec<DriverEvent>) -> Option<Arc<PastAction>> {
        match self.journal.action(&journaled.plan().id) {
            Ok(action) => action,
            Err(error) => {
                events.push(DriverEvent::JournalTrouble { why: error.to_string() });
                None
            }
        }
    }

    /// Journals the next event. `None`: it isn't surely in the journal, so nothing may follow it in this cycle.
    pub(super) fn append(
        &self,
        plan: &Plan,
        event: &JournalEvent,
        now: Timestamp,
        events: &mut Vec<DriverEvent>,
    ) -> Option<Stage> {
        match self.journal.append(&plan.id, event, now) {
            Ok(stage) => Some(stage),
            Err(error) => {
                events.push(DriverEvent::JournalTrouble { why: error.to_string() });
                None
            }
        }
    }

    /// After start: what became of a write that was under way. Planned actions have sent nothing yet.
    pub(super) async fn recover_one(&mut self, journaled: &Journaled, events: &mut Vec<DriverEvent>) {
        let Some(action) = self.action(journaled, events) else { return };
        let may_still_be_applied = match action.stage {
            Stage::Planned => true,
            Stage::Applying => {
                // Whoever was here before may have sent it with its last breath.
                self.unanswered.insert(journaled.plan().id.clone(), self.now());
                self.find_out(journaled, events).await == Some(WriteOutcome::NotApplied)
            }
            Stage::Verifying
            | Stage::UndoDue
            | Stage::Undoing
            | Stage::Settling
            | Stage::NotApplied
            | Stage::Recovered
            | Stage::NotRecovered
            | Stage::Unknown
            | Stage::Overridden
            | Stage::Undone
            | Stage::Stuck => false,
        };
        if may_still_be_applied && !self.is_in_time(journaled.plan(), self.now()) {
            self.not_in_time(journaled.plan(), events);
        }
    }

    /// After start, and after trouble with the journal: calls a human for ends that were journaled before anybody could call: the
    /// driver died in between, or nobody told it that the row was written (I33).
    pub(super) fn call_for_ends(&mut self, now: Timestamp, events: &mut Vec<DriverEvent>) {
        let Ok(history) = self.journal.history() else { return };
        for action in history.actions.counting(now).filter(|action| now.since(action.stage_at) < CALL_LATE_MAX) {
            let why = action.why.clone().unwrap_or_default();
            let calls = match action.stage {
                Stage::NotRecovered | Stage::Unknown | Stage::Overridden | Stage::Undone | Stage::Stuck => true,
                Stage::NotApplied => why != NOT_OPEN && why != NORMAL_AGAIN,
                Stage::Planned
                | Stage::Applying
                | Stage::Verifying
                | Stage::UndoDue
                | Stage::Undoing
                | Stage::Settling
                | Stage::Recovered => false,
            };
            // For what it made worse somebody was called under that name.
            let is_called = matches!(self.journal.is_escalated(&action.plan.incident, "made-worse"), Ok(true));
            if calls && !is_called {
                self.escalate_end(&action.plan, action.stage, &why, now, events);
            }
        }
    }

    /// Looks for the plan's marker on its target (I6). Read only; what it means is journaled, but for `NotApplied`, which
    /// leaves the choice to the caller.
    async fn find_out(&mut self, journaled: &Journaled, events: &mut Vec<DriverEvent>) -> Option<WriteOutcome> {
        let plan = journaled.plan();
        let asked = timeout(ASK_WITHIN, self.executor.outcome_of_write(plan)).await;
        let now = self.now();
        let outcome = match asked {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(error)) => return self.not_found_out(plan, &error.to_string(), now, events),
            Err(_) => return self.not_found_out(plan, &format!("no answer within {ASK_WITHIN:?}"), now, events),
        };
        match outcome {
            WriteOutcome::AppliedByUs => {
                // The version isn't asked for: the marker says that it is our write.
                let event = JournalEvent::Applied { resource_version: String::new(), altered: None };
                if self.append(plan, &event, now, events).is_some() {
                    events.push(DriverEvent::Applied { plan: plan.clone() });
                }
            }
            WriteOutcome::NotApplied => {}
            WriteOutcome::ChangedByOther => {
                self.end_unknown(plan, "somebody else changed the target meanwhile", now, events);
            }
            WriteOutcome::Gone => self.end_unknown(plan, "the target is gone", now, events),
            WriteOutcome::Unknowable => {
                let why = self.held_up_by.remove(&plan.id);
                let why = why.unwrap_or_else(|| "homeostat ended while it was done".to_owned());
                self.end_unknown(plan, &format!("{why}; it is never sent twice"), now, events);
            }
        }
        Some(outcome)
    }

    /// Asked again in the next cycle, up to the deadline (I15).
    pub(super) fn not_found_out(
        &mut self,
        plan: &Plan,
        why: &str,
        now: Timestamp,
        events: &mut Vec<DriverEvent>,
    ) -> Option<WriteOutcome> {
        if now >= plan.deadline {
            self.end_unknown(plan, &format!("whether it was applied can't be found out: {why}"), now, events);
        }
        None
    }

    fn end_unknown(&mut self, plan: &Plan, why: &str, now: Timestamp, events: &mut Vec<DriverEvent>) {
        let event = JournalEvent::OutcomeUnknown { why: why.to_owned() };
        if let Some(stage) = self.append(plan, &event, now, events) {
            events.push(DriverEvent::Verdict { plan: plan.clone(), verdict: Verdict::Unknown { why: why.to_owned() } });
            self.escalate_end(plan, stage, why, now, events);
        }
    }

    /// Applies, unless it is too late, the incident is over or about to be, or automation is stopped (I8, I11).
    async fn apply_if_still_right(
        &mut self,
        journaled: &Journaled,
        input: &TickInput<'_>,
        events: &mut Vec<DriverEvent>,
    ) {
        let (plan, now) = (journaled.plan(), self.now());
        let is_open = |incident: &&Incident| incident.id == plan.incident && incident.state == IncidentState::Open;
        let Some(incident) = input.incidents.iter().find(is_open) else {
            return self.give_up(plan, NOT_OPEN, Ending::QUIET, now, events);
        };
        if !self.is_in_time(plan, now) {
            self.not_in_time(plan, events);
        } else if newest_rows(&plan.verify.features, incident, input).are_normal() {
            self.give_up(plan, NORMAL_AGAIN, Ending::QUIET, now, events);
        } else if self.again_at.get(&plan.id).is_none_or(|again_at| *again_at <= now) {
            // Held while automation is stopped, until it is too late or automation is resumed.
            self.apply(journaled, &plan.target.resource_version, input, events).await;
        }
    }

    /// Whether the plan may still be applied. A clock that stepped back before the decision says nothing about its age: no. One that
    /// stepped back by less makes the plan look younger than it is; what has passed since the intent, by a clock that never steps, counts
    /// as well. A plan of an earlier process has only the time of day.
    fn is_in_time(&self, plan: &Plan, now: Timestamp) -> bool {
        let has_time = self.spare.get(&plan.id).is_none_or(|(since, spare)| since.elapsed() < *spare);
        has_time && plan.decided_at <= now && now < plan.apply_before
    }

    fn not_in_time(&mut self, plan: &Plan, events: &mut Vec<DriverEvent>) {
        let why = match self.held_up_by.remove(&plan.id) {
            Some(held_up_by) => format!("it wasn't applied in time: {held_up_by}"),
            None => "it wasn't applied in time".to_owned(),
        };
        self.give_up(plan, &why, Ending::CALLED, self.now(), events);
    }

    /// Ends an action that wrote nothing. While a write of it may still take effect that isn't certain: then it is asked again in
    /// the next cycle (I6).
    pub(super) fn give_up(
        &mut self,
        plan: &Plan,
        why: &str,
        ending: Ending,
        now: Timestamp,
        events: &mut Vec<DriverEvent>,
    ) {
        if self.unanswered.get(&plan.id).is_some_and(|sent| now < *sent + ARRIVES_WITHIN) {
            if now >= plan.deadline {
                self.end_unknown(
                    plan,
                    &format!("a write that nobody answered may have taken effect; {why}"),
                    now,
                    events,
                );
            }
            return;
        }
        let event = JournalEvent::NotApplied { why: why.to_owned(), refused: ending.refused };
        let Some(stage) = self.append(plan, &event, now, events) else { return };
        events.push(DriverEvent::ApplyFailed { plan: plan.clone(), stage, why: why.to_owned() });
        if ending.call {
            self.escalate_end(plan, stage, why, now, events);
        }
    }

    /// Journals the start, sends the write, journals the answer. The clock and the kill switch are read anew right before
    /// each request that writes.
    pub(super) async fn apply(
        &mut self,
        journaled: &Journaled,
        resource_version: &str,
        input: &TickInput<'_>,
        events: &mut Vec<DriverEvent>,
    ) {
        let plan = journaled.plan();
        let mut version = resource_version.to_owned();
        for wait in CONFLICT_WAITS {
            if !self.may_write(input) {
                return;
            }
            if self.append(plan, &JournalEvent::ApplyStarted, self.now(), events).is_none() {
                return;
            }
            self.pause_at(PausePoint::AfterJournal);
            // Again: making it durable takes time, and so does a paused machine.
            if !self.is_in_time(plan, self.now()) {
                // An earlier write of it may have taken effect since the object was looked at.
                if !self.unanswered.contains_key(&plan.id) {
                    self.not_in_time(plan, events);
                }
                return;
            }
            if !self.may_write(input) {
                return;
            }
            let earlier = self.unanswered.insert(plan.id.clone(), self.now());
            let answer = self.apply_unless_stopped(journaled, &version, input).await;
            if !matches!(answer, Err(ApplyError::Unknown { .. })) {
                self.unanswered.remove(&plan.id);
                self.unanswered.extend(earlier.map(|sent| (plan.id.clone(), sent)));
            }
            match answer {
                // Only the status moved on: nothing was written, and the decision holds as long as it is in time.
                Err(ApplyError::Conflict { resource_version, why }) => {
                    self.held_up_by.insert(plan.id.clone(), format!("the target's status keeps changing ({why})"));
                    version = resource_version;
                    if plan.repeat == Repeat::AtMostOnce {
                        return self.give_up(plan, SENT_ONCE, Ending::CALLED, self.now(), events);
                    }
                    tokio::time::sleep(wait).await;
                }
                // This one wrote nothing; an earlier one may have, and somebody has overwritten it since.
                Err(error @ ApplyError::Stale { .. }) if earlier.is_some() => {
                    return self.end_unknown(plan, &error.to_string(), self.now(), events);
                }
                answer => return self.take_answer(plan, answer, events),
            }
        }
    }

    /// Does what is left of an action of several writes. What can't be done now is tried again in the next cycle, until the action's end.
    async fn go_on(&self, journaled: &Journaled, input: &TickInput<'_>) {
        let plan = journaled.plan();
        if self.now() >= plan.deadline || !self.may_write(input) {
            return;
        }
        match timeout(ASK_WITHIN, self.executor.go_on(journaled)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::info!(plan = %plan.id, %error, "not all of it is done yet"),
            Err(_) => tracing::warn!(plan = %plan.id, "no answer to what is left of the action"),
        }
    }

    async fn verify(&mut self, action: &PastAction, input: &TickInput<'_>, events: &mut Vec<DriverEvent>) {
        let plan = &action.plan;
        let applied_at = action.applied_at.unwrap_or(action.stage_at);
        let signals = input.signals.get(&plan.target.subject).cloned().unwrap_or_default();
        let observations = self.observe(plan, applied_at, signals.observations);
        let progress = timeout(ASK_WITHIN, self.executor.progress(plan)).await.ok().and_then(Result::ok);
        let now = self.now();
        let verdict = verify(
            plan,
            &VerifyInput {
                applied_at,
                progress: progress.as_ref(),
                observations: &observations,
                traffic_before: action.traffic_before,
                traffic_now: signals.traffic,
                levels_before: &action.levels_before,
            },
            now,
        );
        self.conclude(plan, verdict, now, events);
    }

    /// Adds what is new to what was measured since the action.
    fn observe(&mut self, plan: &Plan, applied_at: Timestamp, latest: Vec<Observation>) -> Vec<Observation> {
        let kept = self.observed.entry(plan.id.clone()).or_default();
        for seen in latest.into_iter().filter(|seen| seen.at > applied_at) {
            kept.insert((seen.at, seen.feature.clone()), seen);
        }
        while kept.len() > OBSERVATIONS_MAX {
            kept.pop_first();
        }
        kept.values().cloned().collect()
    }

    fn conclude(&mut self, plan: &Plan, verdict: Verdict, now: Timestamp, events: &mut Vec<DriverEvent>) {
        match &verdict {
            Verdict::Pending => {}
            Verdict::Recovered => {
                if self.append(plan, &JournalEvent::Recovered, now, events).is_some() {
                    events.push(DriverEvent::Verdict { plan: plan.clone(), verdict });
                }
            }
            Verdict::NotRecovered { why, made_worse } => {
                // Before the verdict: dying in between judges again, and never forgets to freeze (I17).
                if *made_worse && !self.freeze(plan, why, now, events) {
                    return;
                }
                let event = JournalEvent::NotRecovered { why: why.clone(), undo: plan.undo_if_failed };
                let Some(stage) = self.append(plan, &event, now, events) else { return };
                let (why, made_worse) = (why.clone(), *made_worse);
                events.push(DriverEvent::Verdict { plan: plan.clone(), verdict });
                if made_worse {
                    let message = format!("{} of {}: {why}", plan.step.action, plan.target.subject);
                    self.escalate(plan, Some(&plan.policy), "made-worse", message, now, events);
                } else if stage.is_end() {
                    self.escalate_end(plan, stage, &why, now, events);
                }
            }
            Verdict::Overridden => {
                let why = "somebody put back what was written; it isn't tried again".to_owned();
                let event = JournalEvent::Overridden { why: why.clone() };
                let Some(stage) = self.append(plan, &event, now, events) else { return };
                events.push(DriverEvent::Verdict { plan: plan.clone(), verdict });
                self.escalate_end(plan, stage, &why, now, events);
            }
            Verdict::Unknown { why } => self.end_unknown(plan, &why.clone(), now, events),
        }
    }

    /// Stops the policy. `false`: that isn't surely in the journal.
    fn freeze(&self, plan: &Plan, why: &str, now: Timestamp, events: &mut Vec<DriverEvent>) -> bool {
        let policy = plan.policy.clone();
        match self.journal.note(&Note::PolicyFrozen { policy: policy.clone(), why: why.to_owned() }, now) {
            Ok(is_new) => {
                if is_new {
                    events.push(DriverEvent::PolicyFrozen { policy, why: why.to_owned() });
                }
                true
            }
            Err(error) => {
                events.push(DriverEvent::JournalTrouble { why: error.to_string() });
                false
            }
        }
    }
}
