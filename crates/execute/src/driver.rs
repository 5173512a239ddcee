//! Walks incidents from decision to end. The async shell around `decide`, `verify` and the stage machine: it asks, writes
//! down, acts, in that order. Everything that must not be lost is in the journal; what is kept here only saves work.

mod actions;
mod call;
mod consider;
mod event;
mod undo;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub use event::{DriverEvent, PausePoint};

use homeostat_core::{ActionKind, Calendar, Incident, IncidentId, Mode, PlanId, Subject, Timestamp, Topology};
use homeostat_journal::{Journal, JournalError, Note};
use homeostat_remediate::{KillSwitch, Observation, Policy, SafetyLimits};

use crate::executor::Executor;

/// Observations kept for one action: 20 features at 15 s over the longest window and settling (4 h). More are dropped,
/// oldest first; verification reads the newest.
const OBSERVATIONS_MAX: usize = 20_000;

/// What the latest windows say of one subject.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SubjectSignals {
    /// The window's measurements; they are merged by feature and moment. Give the whole window, not only its newest row:
    /// after a restart it is all that is known of the time before.
    pub observations: Vec<Observation>,
    /// Requests a second now, where the subject has traffic.
    pub traffic: Option<f64>,
    /// What became worse since the action in flight was applied, if something did (I17).
    pub made_worse: Option<String>,
}

/// Everything one cycle knows.
#[derive(Clone, Copy, Debug)]
pub struct TickInput<'a> {
    /// Every incident that isn't resolved. An incident that isn't here any more counts as resolved.
    pub incidents: &'a [Incident],
    /// What is measured, by subject.
    pub signals: &'a BTreeMap<Subject, SubjectSignals>,
    /// Whether any source says to stop. An engaged switch stays engaged until [`Driver::resume`] (I11).
    pub kill_switch: &'a KillSwitch,
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
}

type Pause = Arc<dyn Fn(PausePoint) + Send + Sync>;

/// Drives remediation. Call [`recover`](Self::recover) once after start, then [`tick`](Self::tick) every cycle; one driver
/// for one journal.
pub struct Driver {
    executor: Arc<dyn Executor>,
    journal: Arc<Journal>,
    policies: Vec<Policy>,
    limits: SafetyLimits,
    supported: Vec<ActionKind>,
    pause: Option<Pause>,
    considered: BTreeMap<IncidentId, Considered>,
    observed: BTreeMap<PlanId, BTreeMap<(Timestamp, String), Observation>>,
    storm_until: Option<Timestamp>,
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
        let supported = ActionKind::ALL.into_iter().filter(|kind| executor.supports(*kind)).collect();
        Self {
            executor,
            journal,
            policies,
            limits,
            supported,
            pause: None,
            considered: BTreeMap::new(),
            observed: BTreeMap::new(),
            storm_until: None,
            called_unjournaled: BTreeSet::new(),
        }
    }

    /// Calls `pause` at each [`PausePoint`]: for tests that stop or kill the process exactly there.
    #[must_use]
    pub fn with_pause(mut self, pause: Arc<dyn Fn(PausePoint) + Send + Sync>) -> Self {
        self.pause = Some(pause);
        self
    }

    /// Takes new policies. Counts and cooldowns are the journal's and stay as they are (I3); every incident is decided on
    /// anew.
    pub fn set_policies(&mut self, policies: Vec<Policy>) {
        self.policies = policies;
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
        let mut events = Vec::new();
        match self.journal.escalations_undelivered() {
            Ok(calls) => events.extend(calls.into_iter().map(DriverEvent::Escalate)),
            Err(error) => events.push(DriverEvent::JournalTrouble { why: error.to_string() }),
        }
        match self.journal.in_flight() {
            Ok(in_flight) => {
                for journaled in in_flight {
                    self.recover_one(&journaled, now, &mut events).await;
                }
            }
            Err(error) => events.push(DriverEvent::JournalTrouble { why: error.to_string() }),
        }
        self.call_for_ends(now, &mut events);
        events
    }

    /// One cycle: carries every action in flight one step on, then decides on incidents that changed or whose wait ran out.
    pub async fn tick(&mut self, now: Timestamp, input: &TickInput<'_>) -> Vec<DriverEvent> {
        let mut events = Vec::new();
        self.watch_for_storm(input, now, &mut events);
        let kill_switch = self.kill_switch(input, now, &mut events);
        let input = TickInput { kill_switch: &kill_switch, ..*input };
        let in_flight = match self.journal.in_flight() {
            Ok(in_flight) => in_flight,
            Err(error) => {
                self.refuse_all(&input, &error, now, &mut events);
                return events;
            }
        };
        for journaled in &in_flight {
            self.carry_on(journaled, &input, now, &mut events).await;
        }
        let busy: BTreeSet<&IncidentId> = in_flight.iter().map(|journaled| &journaled.plan().incident).collect();
        for incident in input.incidents {
            if !busy.contains(&incident.id) {
                self.consider(incident, &input, now, &mut events).await;
            }
        }
        self.forget(&input);
        events
    }

    /// The switch as it is in force: engaged by this cycle's sources, or engaged before and not resumed by a human. If the
    /// journal can't say, it is engaged (I11).
    fn kill_switch(&self, input: &TickInput<'_>, now: Timestamp, events: &mut Vec<DriverEvent>) -> KillSwitch {
        if input.kill_switch.engaged
            && let Err(error) = self.journal.note(&Note::KillSwitch(input.kill_switch.clone()), now)
        {
            events.push(DriverEvent::JournalTrouble { why: error.to_string() });
        }
        match self.journal.kill_switch() {
            Ok(_) if input.kill_switch.engaged => input.kill_switch.clone(),
            Ok(switch) => switch,
            Err(error) => KillSwitch { engaged: true, why: error.to_string() },
        }
    }

    /// A storm lasts until there were few enough incidents for a while. One call is made for all of it (I18), on the
    /// incident that opened first.
    fn watch_for_storm(&mut self, input: &TickInput<'_>, now: Timestamp, events: &mut Vec<DriverEvent>) {
        let n_open = input.incidents.len();
        if n_open > self.limits.open_max {
            let begins = self.storm_until.is_none();
            self.storm_until = Some(now + self.limits.storm_clear);
            let first = input.incidents.iter().min_by_key(|incident| (incident.opened_at, &incident.id));
            if let Some(first) = first.filter(|_| begins) {
                let message = format!(
                    "{n_open} incidents are open, more than {}: nothing is done about any of them until that has passed",
                    self.limits.open_max
                );
                self.escalate(first, None, "storm", message, now, events);
            }
        } else if self.storm_until.is_some_and(|until| until <= now) {
            self.storm_until = None;
        }
    }

    /// What was kept for incidents and actions that are over.
    fn forget(&mut self, input: &TickInput<'_>) {
        let open: BTreeSet<&IncidentId> = input.incidents.iter().map(|incident| &incident.id).collect();
        self.considered.retain(|incident, _| open.contains(incident));
        self.called_unjournaled.retain(|(incident, _)| open.contains(incident));
        if let Ok(in_flight) = self.journal.in_flight() {
            self.observed.retain(|plan, _| in_flight.iter().any(|journaled| &journaled.plan().id == plan));
        }
    }

    fn pause_at(&self, point: PausePoint) {
        if let Some(pause) = &self.pause {
            pause(point);
        }
    }
}
