//! One tick of the loop: windows in; incidents, decisions and actions out. `serve`, `demo` and `replay` all run this.
//!
//! It reads no clock and no file: `now`, windows and the kill switch come in.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use homeostat_core::{
    Incident, IncidentChange, IncidentId, IncidentState, Mode, ReplicaWindow, Rollout, Schema, Signal, Subject,
    Timestamp, Window,
};
use homeostat_detect::{Misfit, ReplicaComparisonError};
use homeostat_execute::{Driver, DriverEvent, StopSwitch, SubjectSignals, TickInput};
use homeostat_incidents::{ClusterContext, JudgedRow, Monitor, RulePoint, RuleWatch, TrackerTimes, WatchedRule};
use homeostat_journal::JournalError;
use homeostat_remediate::{Observation, Policy, RowScore};

use super::facts::FactsFeed;
use super::live::Live;
use super::rollouts::RolloutWatch;
use crate::serve::recording::Recording;

/// The models, shared with the HTTP API, which scores windows with them.
pub(crate) type SharedMonitor = Arc<Mutex<Monitor>>;

/// The incident with the moment of the newest row that was looked at for it: what is told changes rarely, what is decided on
/// must be fresh. A silent incident keeps its last change, and grows too old to act on.
fn as_of_newest_row(incident: &Incident, monitor: &Monitor) -> Incident {
    let mut incident = incident.clone();
    if incident.state == IncidentState::Open {
        let newest = monitor.feature_states(&incident.subject).map(|(at, _)| at);
        let looked_at = newest.max(monitor.facts_at(&incident.subject));
        incident.updated_at = looked_at.map_or(incident.updated_at, |at| incident.updated_at.max(at));
    }
    incident
}

/// What ticks, and what it knows.
pub(crate) struct Cycle {
    monitor: SharedMonitor,
    driver: Driver,
    /// What the policies' own rules open.
    rules: RuleWatch,
    recording: Recording,
    mode: Mode,
    /// How far the newest row is behind by intention: what is silent for so long isn't stale.
    data_lag: Duration,
    /// What the cluster itself says; nothing where nobody watches it.
    facts: Option<FactsFeed>,
    /// What happened before the first tick, which tells it.
    found: Vec<IncidentChange>,
    /// Whether this process writes the journal; another one does where it only follows.
    records: bool,
    /// Topology, calendar and recent roll-outs.
    pub(crate) context: ClusterContext,
}

/// What one tick did.
#[derive(Debug, Default)]
pub(crate) struct Tick {
    /// Subjects that were scored.
    pub(crate) n_scored: usize,
    /// Subjects without a model.
    pub(crate) without_model: Vec<Subject>,
    /// Subjects whose window their model can't read; they go unwatched.
    pub(crate) misfits: Vec<(Subject, Misfit)>,
    /// Workloads whose replicas couldn't be compared, and why.
    pub(crate) not_compared: Vec<(Subject, ReplicaComparisonError)>,
    /// What happened to incidents, in order.
    pub(crate) changes: Vec<IncidentChange>,
    /// What remediation did, in order.
    pub(crate) events: Vec<DriverEvent>,
    /// Incidents that are open now.
    pub(crate) open: Vec<Incident>,
    /// Why incidents couldn't be recorded, if so.
    pub(crate) journal_trouble: Option<JournalError>,
}

impl Cycle {
    /// Puts the parts together.
    pub(crate) fn new(monitor: SharedMonitor, driver: Driver, mode: Mode, context: ClusterContext) -> Self {
        let mut rules = RuleWatch::default();
        rules.set_rules(rules_of(driver.policies()), Timestamp::default());
        Self {
            monitor,
            driver,
            rules,
            recording: Recording::default(),
            mode,
            data_lag: Duration::ZERO,
            facts: None,
            found: Vec::new(),
            records: true,
            context,
        }
    }

    /// The same, for rows that come so late on purpose (`global.offset`).
    #[must_use]
    pub(crate) fn with_data_lag(mut self, data_lag: Duration) -> Self {
        self.data_lag = data_lag;
        self
    }

    /// The same, which also goes by what the cluster itself says.
    #[must_use]
    pub(crate) fn with_facts(mut self, facts: FactsFeed) -> Self {
        self.facts = Some(facts);
        self
    }

    /// The driver.
    pub(crate) fn driver(&mut self) -> &mut Driver {
        &mut self.driver
    }

    /// Once after start: brings the tracker and the journal together. The journal is the truth about which incidents there
    /// are: what it has open goes on, what it says is over is over, and what it lacks is recorded.
    pub(crate) fn reconcile(&mut self, now: Timestamp) -> anyhow::Result<()> {
        let journal = self.driver.journal();
        let kept = journal.open_incidents()?;
        let recorded: Vec<Incident> = kept.iter().filter_map(|kept| kept.incident()).collect();
        if recorded.len() < kept.len() {
            let n_left_out = kept.len() - recorded.len();
            tracing::warn!(
                n_left_out,
                "open incidents were written by a newer version of homeostat and can't be read; run that version"
            );
        }
        let recorded = self.rules.take_up(recorded);
        let is_over = |id: &IncidentId| matches!(journal.incident(id), Ok(Some(known)) if known.is_over());
        let mut monitor = self.monitor.lock().unwrap_or_else(PoisonError::into_inner);
        let ended = monitor.take_up(recorded, is_over, now);
        ended.iter().chain(monitor.open_incidents()).for_each(|incident| self.recording.add(incident));
        drop(monitor);
        Ok(self.recording.write(journal, now)?)
    }

    /// Whether it records what it finds from now on.
    pub(crate) fn record(&mut self, records: bool) {
        self.records = records;
        if !records {
            // Whoever takes over later begins with what the journal has then.
            (self.recording, self.found) = (Recording::default(), Vec::new());
        }
    }

    /// As [`reconcile`](Self::reconcile), for a replica that has watched and takes over: what the journal lacks was told by
    /// nobody, so the next tick tells it.
    pub(crate) fn take_over(&mut self, now: Timestamp) -> anyhow::Result<()> {
        let journal = Arc::clone(self.driver.journal());
        let is_unknown = |incident: &&Incident| matches!(journal.incident(&incident.id), Ok(None));
        let monitor = self.monitor.lock().unwrap_or_else(PoisonError::into_inner);
        let untold: Vec<Incident> = monitor.open_incidents().filter(is_unknown).cloned().collect();
        drop(monitor);
        self.reconcile(now)?;
        let monitor = self.monitor.lock().unwrap_or_else(PoisonError::into_inner);
        let goes_on = |incident: &&Incident| untold.iter().any(|untold| untold.id == incident.id);
        // What a look back found to have opened was told by the leader, or is among the untold.
        self.found.retain(|change| !matches!(change, IncidentChange::Opened(_)));
        self.found.extend(monitor.open_incidents().filter(goes_on).cloned().map(IncidentChange::Opened));
        Ok(())
    }

    /// Looks at rows of before the start, in their order; `at` is the newest. Nothing is told or done yet.
    pub(crate) fn look_back(&mut self, at: Timestamp, windows: &[Window]) {
        let mut monitor = self.monitor.lock().unwrap_or_else(PoisonError::into_inner);
        self.found.extend(monitor.observe(at, windows, &self.context).changes);
    }

    /// Ends looking back: of what opened meanwhile only what still goes on will be told, by the next tick.
    pub(crate) fn looked_back(&mut self) {
        let is_opening = |change: &&IncidentChange| matches!(change, IncidentChange::Opened(_));
        let opened: BTreeSet<IncidentId> =
            self.found.iter().filter(is_opening).map(|change| change.incident().id.clone()).collect();
        self.found.retain(|change| !opened.contains(&change.incident().id));
        let monitor = self.monitor.lock().unwrap_or_else(PoisonError::into_inner);
        let goes_on = monitor.open_incidents().filter(|incident| opened.contains(&incident.id));
        self.found.extend(goes_on.map(|incident| IncidentChange::Opened(incident.clone())));
    }

    /// One tick at `now` over windows that end at the newest step, of the workloads and of their replicas, if those are compared.
    pub(crate) async fn tick(
        &mut self,
        now: Timestamp,
        windows: &[Window],
        replicas: &[ReplicaWindow],
        switch: &dyn StopSwitch,
    ) -> Tick {
        let mut tick = self.observe(now, windows, replicas);
        self.act(now, switch, &mut tick).await;
        tick
    }

    /// How far it may go.
    #[cfg(test)]
    pub(crate) fn mode(&self) -> Mode {
        self.mode
    }

    /// Goes by this config from the next tick on.
    pub(crate) fn go_by(&mut self, live: &Live, now: Timestamp) {
        self.mode = live.mode;
        self.driver.set_policies(live.policies.clone());
        self.driver.set_rego(live.rego.clone());
        let ended = self.rules.set_rules(rules_of(&live.policies), now);
        self.found.extend(ended);
        self.context.topology = live.topology.clone();
        self.context.calendar = live.calendar.clone();
    }

    /// Takes the roll-outs that homeostat made from the journal, so that what they stir up opens no incident (I35), also
    /// after a restart, and those of others. Where ours can't be read the journal's own trouble is told by the driver.
    pub(crate) fn recall_rollouts(&mut self, now: Timestamp, watch: Option<&RolloutWatch>) {
        let Ok(history) = self.driver.journal().history() else { return };
        let ours = history.actions.counting(now).filter_map(|action| {
            let (plan, at) = (&action.plan, action.applied_at?);
            // The journal knows the write, not the revision that the cluster made of it.
            Some(Rollout { subject: plan.target.subject.clone(), at, revision: plan.id.to_string(), by_us: true })
        });
        let mut rollouts: Vec<Rollout> = ours.collect();
        rollouts.extend(watch.map(|watch| watch.of_others(&rollouts)).unwrap_or_default());
        self.context.rollouts = rollouts;
    }

    /// The tick's second half: carries actions on and decides on what [`observe`](Self::observe) found.
    pub(crate) async fn act(&mut self, now: Timestamp, switch: &dyn StopSwitch, tick: &mut Tick) {
        let signals = self.signals();
        let input = TickInput {
            incidents: &tick.open,
            signals: &signals,
            kill_switch: switch,
            mode: self.mode,
            topology: &self.context.topology,
            calendar: &self.context.calendar,
        };
        tick.events = self.driver.tick(now, &input).await;
    }

    /// The tick's first half: scores, tracks, and records what changed before anybody acts on it (I32).
    pub(crate) fn observe(&mut self, now: Timestamp, windows: &[Window], replicas: &[ReplicaWindow]) -> Tick {
        let acted_on = self.acted_on();
        let mut monitor = self.monitor.lock().unwrap_or_else(PoisonError::into_inner);
        monitor.follow(acted_on);
        let mut observed = monitor.observe(now - self.data_lag, windows, &self.context);
        let compared = monitor.compare_replicas(replicas, &self.context);
        observed.changes.splice(0..0, self.found.drain(..));
        observed.changes.extend(compared.changes);
        if let Some(seen) = self.facts.as_mut().and_then(FactsFeed::newer) {
            observed.changes.extend(monitor.take_facts(now, &seen.facts, &self.context));
        }
        let mut open: Vec<Incident> =
            monitor.open_incidents().map(|incident| as_of_newest_row(incident, &monitor)).collect();
        drop(monitor);
        observed.changes.extend(self.observe_rules(now, windows));
        open.extend(self.rules.open_incidents().cloned());
        let mut tick = Tick {
            n_scored: observed.n_scored,
            without_model: observed.unknown_subjects,
            misfits: observed.misfits,
            not_compared: compared.failed,
            changes: observed.changes,
            open,
            ..Tick::default()
        };
        if !self.records {
            return tick;
        }
        tick.changes.iter().for_each(|change| self.recording.add(change.incident()));
        tick.journal_trouble = self.recording.write(self.driver.journal(), now).err();
        tick
    }

    /// Looks at new rows for the policies' own rules.
    fn observe_rules(&mut self, now: Timestamp, windows: &[Window]) -> Vec<IncidentChange> {
        let policies = self.driver.policies();
        let in_scope = |name: &str, subject: &Subject| {
            policies.iter().any(|policy| policy.name == name && policy.scope.contains(subject))
        };
        self.rules.observe(now - self.data_lag, windows, in_scope, &TrackerTimes::default())
    }

    /// What decisions and verification look at: the latest rows of each subject in an incident or under an action, judged by its
    /// model, and whether the rules that opened incidents hold in them.
    fn signals(&self) -> BTreeMap<Subject, SubjectSignals> {
        let acted_on = self.acted_on();
        let monitor = self.monitor.lock().unwrap_or_else(PoisonError::into_inner);
        let judged = monitor.judged_rows().map(|(subject, schema, rows)| (subject.clone(), signals_of(schema, rows)));
        let mut signals: BTreeMap<Subject, SubjectSignals> = judged.collect();
        drop(monitor);
        for (subject, condition, signal, points) in self.rules.points(&acted_on) {
            let observations = points.iter().map(|point| rule_observation(&condition, signal, point));
            signals.entry(subject.clone()).or_default().observations.extend(observations);
        }
        signals
    }

    /// The subjects of actions in flight: their rows are needed also when their incident is over.
    fn acted_on(&self) -> BTreeSet<Subject> {
        let in_flight = self.driver.journal().in_flight().unwrap_or_default();
        in_flight.iter().map(|journaled| journaled.plan().target.subject.clone()).collect()
    }
}

/// Whether a rule holds, as a signal of its own: what its action is verified by.
fn rule_observation(condition: &str, signal: Signal, point: &RulePoint) -> Observation {
    Observation {
        feature: condition.to_owned(),
        signal,
        at: point.at,
        value: Some(point.value),
        deviation: None,
        normal: !point.holds,
    }
}

fn rules_of(policies: &[Policy]) -> Vec<WatchedRule> {
    let rule = |policy: &Policy| {
        let (policy, rule, incident_type) = (policy.name.clone(), policy.rule.clone()?, policy.incident_type);
        Some(WatchedRule { policy, rule, incident_type })
    };
    policies.iter().filter_map(rule).collect()
}

fn signals_of<'a>(schema: &Schema, rows: impl Iterator<Item = &'a JudgedRow>) -> SubjectSignals {
    let mut signals = SubjectSignals::default();
    for row in rows {
        signals.scores.push(RowScore { at: row.at, is_calm: row.is_calm, opens_at_once: row.opens_at_once });
        for (feature, state) in schema.features().iter().zip(&row.features) {
            if feature.signal == Signal::Traffic {
                signals.traffic = state.value;
            }
            signals.observations.push(Observation {
                feature: feature.name.clone(),
                signal: feature.signal,
                at: row.at,
                value: state.value,
                deviation: state.deviation,
                normal: state.normal,
            });
        }
    }
    signals
}

#[cfg(test)]
mod tests;
