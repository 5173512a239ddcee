//! One replica's steps: what the driver does between two answers that it waits for, in the driver's order. Deciding, judging,
//! the stages and the ledger are the product's own functions.

use std::sync::Arc;

use homeostat_core::Signal;
use homeostat_remediate::{
    Decision, Environment, JournalEvent, Level, Observation, PastAction, Progress, Proposal, Stage, Verdict,
    VerifyInput, decide, verify,
};

use super::Protocol;
use super::inputs::{ATTEMPTS, COOLDOWN, MODE, at, inspected, kill_switch, uid};
use super::log::{Log, Planned, Tick};
use super::mutation::Mutation;
use super::state::{Answer, Content, Doing, Object, Request, State, What};

/// A leader acts for less than this after it renewed its lease.
const RENEW_DEADLINE: Tick = 1;

/// A request reaches the API server within this, or never: the API server is told to give up on it.
pub(super) const LANDS_WITHIN: Tick = 1;

impl Protocol {
    /// Whether the replica has a lease that hasn't run out by its own monotonic clock.
    pub(super) fn leads(&self, state: &State, me: u8) -> bool {
        let replica = &state.replicas[usize::from(me)];
        let is_in_time = state.now - replica.renewed < RENEW_DEADLINE || self.is_broken(Mutation::LeaseTime);
        replica.epoch > 0 && is_in_time
    }

    fn is_stopped(&self, state: &State, log: &Log) -> bool {
        state.stop || (log.is_stopped() && !self.is_broken(Mutation::StopLasts))
    }

    /// The driver's `may_write`.
    fn may_write(&self, state: &State, me: u8) -> bool {
        let log = &state.replicas[usize::from(me)].log;
        let is_held = self.is_stopped(state, log) && !self.is_broken(Mutation::StopBeforeWrite);
        !is_held && self.leads(state, me)
    }

    /// A write to the journal: taken if nobody of a later epoch has written, else this replica never writes again.
    fn write(&self, state: &mut State, me: u8, write: impl FnOnce(&Log) -> Option<Log>) -> bool {
        let epoch = state.replica(me).epoch;
        if epoch < state.epoch {
            if !self.is_broken(Mutation::Epoch) || epoch == 0 {
                let replica = state.replica(me);
                (replica.epoch, replica.doing) = (0, Doing::Nothing);
                return false;
            }
            state.violate(9);
        }
        let Some(log) = write(&state.log) else { return false };
        state.log = log.clone();
        state.replica(me).log = log;
        true
    }

    fn append(&self, state: &mut State, me: u8, planned: &Planned, event: &JournalEvent) -> bool {
        let (now, clock) = (state.now, self.clock(state, me));
        let is_written = self.write(state, me, |log| log.append(planned, event, clock, now));
        let has_effect = || state.effects.iter().any(|(of, what, _)| of == planned && *what == What::Apply);
        if is_written && matches!(event, JournalEvent::NotApplied { .. }) && has_effect() {
            state.violate(6);
        }
        is_written
    }

    fn clock(&self, state: &State, me: u8) -> homeostat_core::Timestamp {
        at(state.now, state.replicas[usize::from(me)].skew)
    }

    /// Notes a stop in the journal, as each tick begins.
    pub(super) fn note_stop(&self, state: &mut State, me: u8) -> bool {
        if !state.stop || state.replicas[usize::from(me)].log.is_stopped() {
            return false;
        }
        let clock = self.clock(state, me);
        if self.write(state, me, |log| log.with_switch(true, clock)) {
            state.approvals.void = state.approvals.approved;
            if !self.is_broken(Mutation::ApprovalStop) {
                (state.approvals.shown, state.approvals.approved) = (None, None);
            }
        }
        true
    }

    /// Looks at a target and decides. `false`: nothing follows.
    pub(super) fn consider(&self, state: &mut State, me: u8, target: usize, seen: &Object) -> bool {
        let (clock, inputs) = (self.clock(state, me), &self.inputs);
        let log = state.replicas[usize::from(me)].log.clone();
        let open = [0, 1].map(|target| inputs.incident(target, state.open[target], clock));
        let going_on: Vec<_> =
            open.iter().enumerate().filter(|(idx, _)| state.open[*idx]).map(|(_, it)| it.clone()).collect();
        let mut history = log.fold().history();
        match self.broken {
            Some(Mutation::InFlight) => {
                let ended = history.actions.iter().filter(|action| action.stage.is_end()).cloned();
                history.actions = Arc::new(ended.collect());
            }
            Some(Mutation::Overridden) => {
                let forgetful = history.actions.iter().map(|action| match action.stage {
                    Stage::Overridden => PastAction { stage: Stage::NotRecovered, ..PastAction::clone(action) },
                    _ => PastAction::clone(action),
                });
                history.actions = Arc::new(forgetful.collect());
            }
            Some(_) | None => {}
        }
        let is_stopped = self.is_stopped(state, &log);
        let kill_switch = kill_switch(is_stopped && !self.is_broken(Mutation::StopWhenDeciding));
        let environment = Environment {
            mode: MODE,
            kill_switch: &kill_switch,
            open: &going_on,
            is_storm: false,
            newest_rows: &inputs.newest_rows,
            dry_run: &inputs.dry_run,
            same_cluster: &inputs.same_cluster,
            topology: &inputs.topology,
            calendar: &inputs.calendar,
            actions: &inputs.actions,
            rego: None,
        };
        let proposal = Proposal::new(&open[target], &inputs.policies, &history);
        let seen = inspected(seen, clock);
        let planned = match decide(&proposal, Ok(&seen), &history, &environment, &inputs.limits, clock) {
            Decision::Execute(plan) | Decision::Approved { plan, .. } => Planned::new(plan),
            Decision::Propose { plan, .. } if target == 1 => match self.approved(state, Planned::new(plan), me) {
                Ok(planned) => planned,
                Err(is_new) => return is_new,
            },
            Decision::Propose { .. } | Decision::Refuse { .. } => return false,
        };
        if is_stopped {
            state.violate(11);
        }
        state.replica(me).doing = match self.broken {
            Some(Mutation::JournalBeforeWrite) => Doing::Started(planned, What::Apply),
            Some(_) | None => Doing::Decided(planned),
        };
        true
    }

    /// The plan to do, if a person approved it; else whether a new one is shown.
    fn approved(&self, state: &mut State, planned: Planned, me: u8) -> Result<Planned, bool> {
        let clock = self.clock(state, me);
        let approvals = &mut state.approvals;
        match (self.broken, approvals.approved) {
            (Some(Mutation::ApprovalDigest), Some(_)) => return Ok(planned),
            (Some(Mutation::ApprovalOnce), Some(digest)) if approvals.used == Some(digest) => return Ok(planned),
            (Some(_) | None, _) => {}
        }
        let is_in_time = |shown: &Planned| clock >= shown.plan.decided_at && clock < shown.plan.apply_before;
        let is_as_shown =
            |shown: &Planned| shown.plan.target == planned.plan.target && shown.plan.id == planned.plan.id;
        let may_be_late = self.broken == Some(Mutation::ApprovalExpiry);
        match &approvals.shown {
            Some(shown) if is_as_shown(shown) && (is_in_time(shown) || may_be_late) => {
                if approvals.approved == Some(shown.digest) { Ok(shown.clone()) } else { Err(false) }
            }
            Some(_) | None => {
                approvals.shown = Some(planned);
                Err(true)
            }
        }
    }

    /// Journals the intent that was decided on.
    pub(super) fn record(&self, state: &mut State, me: u8, planned: &Planned) {
        let (clock, now) = (self.clock(state, me), state.now);
        state.replica(me).doing = Doing::Nothing;
        if !self.write(state, me, |log| log.record(planned, clock, now)) {
            return;
        }
        self.judge_intent(state, planned);
        if self.target(planned) == 1 {
            state.approvals.used = Some(planned.digest);
        }
    }

    /// I1, I3, I4, I22 and I25, in true time. Where clocks differ, as much earlier counts as they may differ.
    fn judge_intent(&self, state: &mut State, planned: &Planned) {
        let (now, skew, target) = (state.now, state.skew_max, self.target(planned));
        let log = state.log.clone();
        let same_target = || log.actions().filter(|(other, _, _)| self.target(other) == target && *other != planned);
        if log.in_flight().count() > 1 {
            state.violate(1);
        }
        let (window, n_max) = ATTEMPTS;
        let counts = |at: Tick| now < at + window.saturating_sub(skew);
        let n_before =
            same_target().filter(|(_, times, action)| action.stage != Stage::NotApplied && counts(times.intended));
        if n_before.count() >= n_max {
            state.violate(3);
        }
        let cooldown = |action: &PastAction| if action.stage == Stage::NotApplied { 1 } else { COOLDOWN };
        let is_hot = |ended: Tick, action: &PastAction| now < ended + cooldown(action).saturating_sub(skew);
        if same_target().any(|(_, times, action)| times.ended.is_some_and(|ended| is_hot(ended, action))) {
            state.violate(4);
        }
        let put_back = |action: &PastAction| {
            action.stage == Stage::Overridden && action.plan.target.uid == planned.plan.target.uid
        };
        if target == 0 && same_target().any(|(_, _, action)| put_back(action)) {
            state.violate(22);
        }
        let approvals = &state.approvals;
        let is_approved = approvals.approved == Some(planned.digest)
            && approvals.used != Some(planned.digest)
            && approvals.void != Some(planned.digest);
        if target == 1 && !is_approved {
            state.violate(25);
        }
    }

    /// One step for one action in flight, as the driver's `carry_on`. `false`: there is nothing to do now.
    pub(super) fn carry_on(&self, state: &mut State, me: u8, planned: &Planned, stage: Stage, is_normal: bool) -> bool {
        let clock = self.clock(state, me);
        match stage {
            Stage::Planned => self.apply_if_still_right(state, me, planned, stage),
            Stage::Applying => match self.outcome(state, planned) {
                None if clock >= planned.plan.deadline && !self.is_broken(Mutation::Deadline) => {
                    self.append(state, me, planned, &JournalEvent::OutcomeUnknown { why: String::new() })
                }
                None => false,
                Some(Outcome::AppliedByUs) => {
                    let event = JournalEvent::Applied { resource_version: String::new(), altered: None };
                    self.append(state, me, planned, &event)
                }
                Some(Outcome::ChangedByOther) => {
                    self.append(state, me, planned, &JournalEvent::OutcomeUnknown { why: String::new() })
                }
                Some(Outcome::NotApplied) => self.apply_if_still_right(state, me, planned, stage),
            },
            Stage::Verifying => self.verify(state, me, planned, is_normal),
            Stage::UndoDue | Stage::Undoing => {
                if clock >= planned.plan.deadline {
                    return self.append(state, me, planned, &JournalEvent::Stuck { why: String::new() });
                }
                if !self.may_write(state, me) {
                    return false;
                }
                if !self.append(state, me, planned, &JournalEvent::UndoStarted) {
                    return false;
                }
                state.replica(me).doing = Doing::Started(planned.clone(), What::Undo);
                true
            }
            Stage::Settling => {
                let event = if state.outage {
                    if clock < planned.plan.deadline {
                        return false;
                    }
                    JournalEvent::Stuck { why: String::new() }
                } else {
                    JournalEvent::Undone
                };
                self.append(state, me, planned, &event)
            }
            Stage::NotApplied
            | Stage::Recovered
            | Stage::NotRecovered
            | Stage::Unknown
            | Stage::Overridden
            | Stage::Undone
            | Stage::Stuck => false,
        }
    }

    /// What the object says of the plan's write, if it can be asked.
    fn outcome(&self, state: &State, planned: &Planned) -> Option<Outcome> {
        let object = &state.objects[self.target(planned)];
        if self.is_broken(Mutation::LookAfterCrash) {
            return Some(Outcome::NotApplied);
        }
        if state.outage {
            return None;
        }
        let target = &planned.plan.target;
        Some(if uid(object) != target.uid {
            Outcome::ChangedByOther
        } else if object.marker.as_ref() == Some(planned) {
            Outcome::AppliedByUs
        } else if Some(i64::from(object.version)) == target.generation {
            Outcome::NotApplied
        } else {
            Outcome::ChangedByOther
        })
    }

    fn is_in_time(&self, state: &State, me: u8, planned: &Planned) -> bool {
        let clock = self.clock(state, me);
        let is_approved = self.target(planned) == 1;
        let is_any_age =
            self.is_broken(Mutation::DecisionAge) || (is_approved && self.is_broken(Mutation::ApprovalExpiry));
        is_any_age || (planned.plan.decided_at <= clock && clock < planned.plan.apply_before)
    }

    fn apply_if_still_right(&self, state: &mut State, me: u8, planned: &Planned, stage: Stage) -> bool {
        let is_open = state.open[self.target(planned)] || self.is_broken(Mutation::IncidentOpen);
        if !is_open || !self.is_in_time(state, me, planned) {
            return self.give_up(state, me, planned, stage);
        }
        if !self.may_write(state, me) || !self.append(state, me, planned, &JournalEvent::ApplyStarted) {
            return false;
        }
        state.replica(me).doing = Doing::Started(planned.clone(), What::Apply);
        true
    }

    /// Ends an action as not applied, once no write of it may still arrive.
    fn give_up(&self, state: &mut State, me: u8, planned: &Planned, stage: Stage) -> bool {
        let since = state.replicas[usize::from(me)].unanswered.filter(|_| stage == Stage::Applying);
        let may_arrive = since.is_some_and(|sent| state.now <= sent + LANDS_WITHIN);
        if may_arrive && !self.is_broken(Mutation::WaitForUnansweredWrite) {
            return false;
        }
        state.replica(me).doing = Doing::Nothing;
        self.append(state, me, planned, &JournalEvent::NotApplied { why: String::new(), refused: false })
    }

    /// Sends the write whose start is journaled, after reading clock, switch and lease once more.
    pub(super) fn send(&self, state: &mut State, me: u8, planned: &Planned, what: What) -> bool {
        if what == What::Apply && !self.is_in_time(state, me, planned) {
            // An earlier write of the plan may have arrived since the object was looked at: it must be looked at again.
            let is_certain = state.replicas[usize::from(me)].unanswered.is_none();
            if is_certain || self.is_broken(Mutation::WaitForUnansweredWrite) {
                self.give_up(state, me, planned, Stage::Applying);
            }
            state.replica(me).doing = Doing::Nothing;
            return true;
        }
        if !self.may_write(state, me) {
            state.replica(me).doing = Doing::Nothing;
            return true;
        }
        self.judge_send(state, me, planned, what);
        let now = state.now;
        state.requests.push(Request { planned: planned.clone(), what, sent: now, waits: Some(me) });
        let replica = state.replica(me);
        replica.doing = Doing::Waiting(planned.clone(), what);
        if what == What::Apply {
            replica.is_sent_again = replica.unanswered.replace(now).is_some();
        }
        true
    }

    /// I5, I8, I9 and I11 as a request leaves.
    fn judge_send(&self, state: &mut State, me: u8, planned: &Planned, what: What) {
        let stage = state.log.stage(planned);
        let is_journaled = match what {
            What::Apply => stage == Some(Stage::Applying),
            What::Undo => stage == Some(Stage::Undoing),
        };
        if !is_journaled {
            state.violate(5);
        }
        let skew = super::inputs::TICK * u32::from(state.skew_max);
        let is_too_old = at(state.now, 0) >= planned.plan.apply_before + skew;
        let target = self.target(planned);
        if what == What::Apply && (is_too_old || !state.open[target]) {
            state.violate(8);
        }
        if what == What::Apply && is_too_old && target == 1 {
            state.violate(25);
        }
        if state.holder != Some(me) || state.epoch != state.replicas[usize::from(me)].epoch {
            state.violate(9);
        }
        if state.stop || state.log.is_stopped() {
            state.violate(11);
        }
    }

    /// Journals an answer.
    pub(super) fn take_answer(&self, state: &mut State, me: u8, planned: &Planned, what: What, answer: Answer) {
        let replica = state.replica(me);
        // The copy that was sent before may have been written, and overwritten since.
        let is_sent_again = replica.is_sent_again && !self.is_broken(Mutation::DoubtAfterSendingAgain);
        (replica.doing, replica.unanswered, replica.is_sent_again) = (Doing::Nothing, None, false);
        let version = || "2".to_owned();
        let event = match (what, answer) {
            (What::Apply, Answer::Written) => JournalEvent::Applied { resource_version: version(), altered: None },
            (What::Apply, Answer::Stale) if is_sent_again => JournalEvent::OutcomeUnknown { why: String::new() },
            (What::Apply, Answer::Stale) => JournalEvent::NotApplied { why: String::new(), refused: false },
            (What::Undo, Answer::Written) => JournalEvent::UndoApplied { resource_version: version() },
            (What::Undo, Answer::Stale) => JournalEvent::Stuck { why: String::new() },
        };
        self.append(state, me, planned, &event);
    }

    /// Judges an applied action as the product does, on one feature that is normal now or isn't.
    fn verify(&self, state: &mut State, me: u8, planned: &Planned, is_normal: bool) -> bool {
        let (clock, plan) = (self.clock(state, me), planned.plan.as_ref());
        let Some(action) = state.replicas[usize::from(me)].log.fold().action(&plan.id).cloned() else { return false };
        let object = &state.objects[self.target(planned)];
        let progress = if state.outage {
            None
        } else if uid(object) != plan.target.uid {
            Some(Progress::Gone)
        } else if object.marker.as_ref() != Some(planned) || object.content != Content::Written {
            Some(Progress::Overridden)
        } else {
            Some(Progress::Complete { wanted: 1 })
        };
        let (deviation, value) = (Some(if is_normal { 0.0 } else { 9.0 }), Some(1.0));
        let feature = plan.verify.features.first().cloned().unwrap_or_default();
        let seen = Observation { feature, signal: Signal::Other, at: clock, value, deviation, normal: is_normal };
        let levels_before = [(seen.feature.clone(), Level { deviation: 9.0, value: 1.0 })].into();
        let input = VerifyInput {
            applied_at: action.applied_at.unwrap_or(action.stage_at),
            progress: progress.as_ref(),
            observations: std::slice::from_ref(&seen),
            traffic_before: None,
            traffic_now: None,
            levels_before: &levels_before,
        };
        let why = String::new;
        let event = match verify(plan, &input, clock) {
            Verdict::Pending => return false,
            Verdict::Recovered => JournalEvent::Recovered,
            Verdict::NotRecovered { .. } => JournalEvent::NotRecovered { why: why(), undo: plan.undo_if_failed },
            Verdict::Overridden => JournalEvent::Overridden { why: why() },
            Verdict::Unknown { .. } => JournalEvent::OutcomeUnknown { why: why() },
        };
        self.append(state, me, planned, &event)
    }
}

/// What became of a write.
enum Outcome {
    AppliedByUs,
    NotApplied,
    ChangedByOther,
}
