//! Walks incidents from decision to end. The async shell around `decide`, `verify` and the stage machine: it asks, writes
//! down, acts, in that order. Everything that must not be lost is in the journal; what is kept here only saves work.

mod actions;
mod answers;
mod call;
mod consider;
mod event;
mod look;
mod proposing;
mod restore;
mod storm;
mod undo;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

pub use event::{DriverEvent, PausePoint};

use homeostat_core::{Calendar, Incident, IncidentId, Mode, Subject, Timestamp, Topology};
use homeostat_journal::{Journal, JournalError, Note};
use homeostat_remediate::{KillSwitch, Observation, PlanId, Policy, RegoRules, RowScore, SafetyLimits};

use tokio::time::Instant;

use crate::clock::{Clock, SetClock};
use crate::executor::Executor;
use crate::stop_switch::StopSwitch;
use crate::witness::Witness;

/// Observations kept for one action: 20 features at 15 s over the longest window and settling (4 h). More are dropped,
/// oldest first; verification reads the newest.
const OBSERVATIONS_MAX: usize = 20_000;

/// What the latest windows say of one subject.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SubjectSignals {
    /// The window's measurements; they are merged by feature and moment. Give the whole window, not only its newest row:
    /// after a restart it is all that is known of the time before.
    pub observations: Vec<Observation>,
    /// The window's rows as a whole.
    pub scores: Vec<RowScore>,
    /// Requests a second now, where the subject has traffic.
    pub traffic: Option<f64>,
}

/// Everything one cycle knows.
#[derive(Clone, Copy)]
pub struct TickInput<'a> {
    /// Every incident that isn't resolved. An incident that isn't here any more counts as resolved.
    pub incidents: &'a [Incident],
    /// What is measured, by subject.
    pub signals: &'a BTreeMap<Subject, SubjectSignals>,
    /// Whether any source says to stop; read anew before every write. An engaged switch stays engaged until
    /// [`Driver::resume`] (I11).
    pub kill_switch: &'a dyn StopSwitch,
    /// How far homeostat may go.
    pub mode: Mode,
    /// Who depends on whom.
    pub topology: &'a Topology,
    /// Planned events.
    pub calendar: &'a Calendar,
}

/// When an incident was last decided on, and on what.
#[derive(Debug)]
struct Considered {
    facts: String,
    at: Timestamp,
    again_at: Timestamp,
    /// Since when the decision has been to wait, if it is.
    waits_since: Option<Timestamp>,
}

type Pause = Arc<dyn Fn(PausePoint) + Send + Sync>;

/// Drives remediation. Call [`recover`](Self::recover) once after start, then [`tick`](Self::tick) every cycle; one driver
/// for one journal.
pub struct Driver {
    executor: Arc<dyn Executor>,
    journal: Arc<Journal>,
    policies: Vec<Policy>,
    rego: Option<RegoRules>,
    limits: SafetyLimits,
    pause: Option<Pause>,
    witness: Option<Arc<dyn Witness>>,
    clock: Arc<dyn Clock>,
    /// Set by each tick, where no other clock was given: then time stands still during a tick.
    standing: Arc<SetClock>,
    considered: BTreeMap<IncidentId, Considered>,
    observed: BTreeMap<PlanId, BTreeMap<(Timestamp, String), Observation>>,
    storm: Option<storm::StormWatch>,
    /// Why a write under way couldn't be sent or accepted last, for its end.
    held_up_by: BTreeMap<PlanId, String>,
    /// Not before this moment a write under way is sent again that couldn't be accepted.
    again_at: BTreeMap<PlanId, Timestamp>,
    /// How much time each plan under way had left to be applied, and since when.
    spare: BTreeMap<PlanId, (Instant, Duration)>,
    /// When a write left last whose answer isn't known: it may still take effect.
    unanswered: BTreeMap<PlanId, Timestamp>,
    /// Whether a write to the journal failed that may have been written all the same: an end that nobody was called for, say.
    is_unsure: bool,
    /// Calls that went out while the journal couldn't be written.
    called_unjournaled: BTreeSet<(IncidentId, String)>,
}

impl Driver {
    /// A driver that keeps to these policies and limits.
    pub fn new(
        executor: Arc<dyn Executor>,
        journal: Arc<Journal>,
        policies: Vec<Policy>,
        limits: SafetyLimits,
    ) -> Self {
        let standing = Arc::new(SetClock::new(Timestamp::from_millis(0)));
        Self {
            executor,
            journal,
            policies,
            rego: None,
            limits,
            pause: None,
            witness: None,
            clock: Arc::clone(&standing) as _,
            standing,
            considered: BTreeMap::new(),
            observed: BTreeMap::new(),
            storm: None,
            held_up_by: BTreeMap::new(),
            again_at: BTreeMap::new(),
            spare: BTreeMap::new(),
            unanswered: BTreeMap::new(),
            is_unsure: false,
            called_unjournaled: BTreeSet::new(),
        }
    }

    /// Calls `pause` at each [`PausePoint`]: for tests that stop or kill the process exactly there.
    #[must_use]
    pub fn with_pause(mut self, pause: Arc<dyn Fn(PausePoint) + Send + Sync>) -> Self {
        self.pause = Some(pause);
        self
    }

    /// Lets time go on during a tick. Without it, the moment that a tick is given lasts as long as the tick: for replays.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Asks this witness whether a target is the one that is measured, and doesn't act on it while that isn't proven.
    #[must_use]
    pub fn with_witness(mut self, witness: Arc<dyn Witness>) -> Self {
        self.witness = Some(witness);
        self
    }

    /// Takes new policies. Counts and cooldowns are the journal's and stay as they are (I3); every incident is decided on
    /// anew.
    pub fn set_policies(&mut self, policies: Vec<Policy>) {
        self.policies = policies;
        self.considered.clear();
    }

    /// Takes new rules in Rego, or none: then nothing is refused by any.
    pub fn set_rego(&mut self, rego: Option<RegoRules>) {
        self.rego = rego;
        self.considered.clear();
    }

    /// The policies in force.
    pub fn policies(&self) -> &[Policy] {
        &self.policies
    }

    /// What the journal holds.
    pub fn journal(&self) -> &Arc<Journal> {
        &self.journal
    }

    /// A human lets automation go on after the kill switch. `why` names who and why.
    pub fn resume(&mut self, why: &str, now: Timestamp) -> Result<(), JournalError> {
        let switch = KillSwitch { engaged: false, why: why.to_owned() };
        self.journal.note(&Note::KillSwitch(switch), now).map(|_| ())
    }

    /// A human lets a frozen policy act again (I17). `why` names who and why.
    pub fn release_policy(&mut self, policy: &str, why: &str, now: Timestamp) -> Result<(), JournalError> {
        self.considered.clear();
        self.journal.note(&Note::PolicyReleased { policy: policy.to_owned(), why: why.to_owned() }, now).map(|_| ())
    }

    /// An escalation is in safe hands (an outbox, a human): after a restart it isn't reported again (I33).
    pub fn escalation_delivered(
        &mut self,
        incident: &IncidentId,
        reason: &str,
        now: Timestamp,
    ) -> Result<(), JournalError> {
        let note = Note::EscalationDelivered { incident: incident.clone(), reason: reason.to_owned() };
        self.journal.note(&note, now).map(|_| ())
    }

    /// Once after start: finds out what became of writes that were under way (I6), and reports again every call for a
    /// human that nobody has taken over. Never writes to a target: that is left to [`tick`](Self::tick), which knows
    /// whether the incident goes on and whether the kill switch is engaged.
    pub async fn recover(&mut self, now: Timestamp) -> Vec<DriverEvent> {
        self.standing.set(now);
        let mut events = Vec::new();
        self.recall_storm(now);
        match self.journal.escalations_undelivered() {
            Ok(calls) => events.extend(calls.into_iter().map(DriverEvent::Escalate)),
            Err(error) => events.push(DriverEvent::JournalTrouble { why: error.to_string() }),
        }
        match self.journal.in_flight() {
            Ok(in_flight) => {
                for journaled in in_flight {
                    self.recover_one(&journaled, &mut events).await;
                }
            }
            Err(error) => events.push(DriverEvent::JournalTrouble { why: error.to_string() }),
        }
        self.call_for_ends(self.now(), &mut events);
        events
    }

    /// One cycle: carries every action in flight one step on, then decides on incidents that changed or whose wait ran out.
    ///
    /// Dropping the future ends it at the next answer it waits for; whatever it was doing is found again in the journal.
    pub async fn tick(&mut self, now: Timestamp, input: &TickInput<'_>) -> Vec<DriverEvent> {
        self.standing.set(now);
        let now = self.now();
        let mut events = Vec::new();
        self.watch_for_storm(input, now, &mut events);
        self.record_stop(input, now, &mut events);
        let in_flight = match self.journal.in_flight() {
            Ok(in_flight) => in_flight,
            Err(error) => {
                self.refuse_all(input, &error, now, &mut events);
                self.is_unsure = true;
                return events;
            }
        };
        if std::mem::take(&mut self.is_unsure) {
            self.call_for_ends(now, &mut events);
        }
        for journaled in &in_flight {
            self.carry_on(journaled, input, &mut events).await;
        }
        self.restore_due(input, &mut events).await;
        let busy: BTreeSet<&IncidentId> = in_flight.iter().map(|journaled| &journaled.plan().incident).collect();
        let free: Vec<&Incident> = input.incidents.iter().filter(|incident| !busy.contains(&incident.id)).collect();
        self.consider_all(&free, input, &mut events).await;
        self.forget(input);
        self.is_unsure |= events.iter().any(|event| matches!(event, DriverEvent::JournalTrouble { .. }));
        events
    }

    /// Now, by the clock that goes on during a tick.
    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn record_stop(&self, input: &TickInput<'_>, now: Timestamp, events: &mut Vec<DriverEvent>) {
        let switch = input.kill_switch.read();
        if switch.engaged
            && let Err(error) = self.journal.note(&Note::KillSwitch(switch), now)
        {
            events.push(DriverEvent::JournalTrouble { why: error.to_string() });
        }
    }

    /// The switch as it is in force at this moment: engaged by its sources, or engaged before and not resumed by a human. If
    /// the journal can't say, it is engaged (I11).
    fn stopped(&self, input: &TickInput<'_>) -> KillSwitch {
        let switch = input.kill_switch.read();
        if switch.engaged {
            return switch;
        }
        self.journal.kill_switch().unwrap_or_else(|error| KillSwitch { engaged: true, why: error.to_string() })
    }

    /// Whether a write may leave at this moment.
    fn may_write(&self, input: &TickInput<'_>) -> bool {
        input.mode == Mode::Execute && !self.stopped(input).engaged
    }

    /// What was kept for incidents and actions that are over.
    fn forget(&mut self, input: &TickInput<'_>) {
        let open: BTreeSet<&IncidentId> = input.incidents.iter().map(|incident| &incident.id).collect();
        self.considered.retain(|incident, _| open.contains(incident));
        self.called_unjournaled.retain(|(incident, _)| open.contains(incident));
        if let Ok(in_flight) = self.journal.in_flight() {
            let due = self.journal.to_restore(self.now()).unwrap_or_default();
            let is_in_flight =
                |plan: &PlanId| in_flight.iter().chain(&due).any(|journaled| &journaled.plan().id == plan);
            self.observed.retain(|plan, _| is_in_flight(plan));
            self.held_up_by.retain(|plan, _| is_in_flight(plan));
            self.spare.retain(|plan, _| is_in_flight(plan));
            self.again_at.retain(|plan, _| is_in_flight(plan));
            self.unanswered.retain(|plan, _| is_in_flight(plan));
        }
    }

    fn pause_at(&self, point: PausePoint) {
        if let Some(pause) = &self.pause {
            pause(point);
        }
    }
}
