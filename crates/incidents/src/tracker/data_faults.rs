//! Tells of workloads whose series have ended while those of others go on, and of data that stands still: each once, those of one
//! moment together, and as long as it lasts.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use homeostat_core::{
    Calibrated, CorrelationId, Incident, IncidentChange, IncidentId, IncidentState, Score, Subject, Timestamp,
};

use super::context::{covering, rollouts};
use super::data_fault::{DataFault, DataFaultKind};
use super::open::AFFECTED_MAX;
use super::watch::{FORGOTTEN_AFTER, Watch};
use super::{ClusterContext, Tracker};

/// A workload is gone when it had no row for so long, and for five steps. Prometheus ends a series five minutes after its last sample,
/// and a roll-out that first takes the old pods away has ten minutes until Kubernetes itself calls it stuck
/// (`progressDeadlineSeconds`): what comes back by itself within that time calls nobody.
const GONE_AFTER: Duration = Duration::from_secs(900);
const GONE_STEPS_MIN: u32 = 5;

/// Series that ended within so long of each other ended together: a namespace that is deleted, a node that dies, an exporter.
/// As long as it takes Prometheus to end them all.
pub(super) const TOGETHER: Duration = Duration::from_secs(300);

/// Share of the subjects that must have rows for the source to answer: with fewer, it is the source that is silent.
const ANSWERING_SHARE_MIN: f64 = 0.5;

/// Who came back so often within [`HABIT_SPAN`] is told no more: it scales to zero, or is a job. What comes three times a week is no
/// news at a budget of one call a week.
const RETURNS_MAX: usize = 2;
const HABIT_SPAN: Duration = Duration::from_secs(8 * 86_400);

impl Tracker {
    /// Judges the data itself at `now`, when all rows of that time were taken. `step` is the time between rows.
    pub(crate) fn judge_data(
        &mut self,
        now: Timestamp,
        step: Duration,
        context: &ClusterContext,
    ) -> Vec<IncidentChange> {
        let mut changes = self.end_data_faults(now, step);
        self.look_for_answers(now, step);
        changes.extend(self.rename_ended(now, step));
        let mut found: BTreeMap<IncidentId, bool> = BTreeMap::new();
        for (subject, kind, since) in self.data_faults_found(now, step, context) {
            let known = self.told_together(kind, since);
            let id = known.clone().unwrap_or_else(|| IncidentId::of(&subject, now));
            found.entry(id.clone()).or_insert(known.is_none());
            let leads = match known {
                Some(id) => {
                    self.add_to(&id, &subject, now);
                    None
                }
                None => Some(incident_of(&subject, kind, now, context, &self.times)),
            };
            if let Some(watch) = self.watches.get_mut(&subject) {
                watch.data_fault = Some(DataFault { kind, since, incident: id, leads });
            }
        }
        for (id, is_new) in found {
            let Some(incident) = self.data_incidents().find(|incident| incident.id == id).cloned() else { continue };
            changes.push(if is_new { IncidentChange::Opened(incident) } else { IncidentChange::Updated(incident) });
        }
        changes
    }

    /// Number of subjects whose series have ended, as far as that was told.
    pub fn n_gone(&self) -> usize {
        let faults = self.watches.values().filter_map(|watch| watch.data_fault.as_ref());
        faults.filter(|fault| fault.kind == DataFaultKind::Gone).count()
    }

    /// The incidents that tell of data.
    pub(super) fn data_incidents(&self) -> impl Iterator<Item = &Incident> {
        self.watches.values().filter_map(|watch| watch.data_fault.as_ref()?.leads.as_ref())
    }

    /// Since when the source has answered for most subjects without a break.
    fn look_for_answers(&mut self, now: Timestamp, step: Duration) {
        let fresh_for = self.times.stale_after.max(step * 3);
        let (mut n_watched, mut n_fresh) = (0_u32, 0_u32);
        for watch in self.watches.values().filter(|watch| !is_gone(watch)) {
            let Some(seen_at) = watch.seen_at() else { continue };
            n_watched += 1;
            n_fresh += u32::from(now.since(seen_at) <= fresh_for);
        }
        let answers = n_fresh > 0 && f64::from(n_fresh) >= ANSWERING_SHARE_MIN * f64::from(n_watched);
        self.answers_since = if answers { Some(self.answers_since.unwrap_or(now)) } else { None };
    }

    /// Whose data is at fault and was not told, and since when.
    fn data_faults_found(
        &self,
        now: Timestamp,
        step: Duration,
        context: &ClusterContext,
    ) -> Vec<(Subject, DataFaultKind, Timestamp)> {
        let is_silent = |watch: &Watch| is_silent(watch, self.answers_since, now, step);
        let fault = |watch: &Watch| match watch.memory.frozen_since() {
            _ if is_silent(watch) => Some((DataFaultKind::Gone, watch.seen_at()?)),
            frozen => Some((DataFaultKind::Frozen, frozen?)),
        };
        let found = self.watches.iter().filter_map(|(subject, watch)| {
            if watch.data_fault.is_some() || watch.open.is_some() {
                return None;
            }
            let (kind, since) = fault(watch)?;
            let is_habit = kind == DataFaultKind::Gone && watch.returned_since(now - HABIT_SPAN) >= RETURNS_MAX;
            let is_known = is_habit
                || covering(subject, now, context, &self.times).is_some()
                || self.settles(subject, now, context);
            (!is_known).then(|| (subject.clone(), kind, since))
        });
        found.collect()
    }

    /// What alarmed while the series ended, as rates do that run out, was the workload's end: it was told, and gets the name of that.
    fn rename_ended(&mut self, now: Timestamp, step: Duration) -> Vec<IncidentChange> {
        let mut changes = Vec::new();
        for watch in self.watches.values_mut().filter(|watch| is_silent(watch, self.answers_since, now, step)) {
            let Some(since) = watch.seen_at() else { continue };
            let ended = watch.open.take_if(|open| since.since(open.incident().opened_at) <= TOGETHER);
            let Some(mut incident) = ended.map(|open| open.incident().clone()) else { continue };
            incident.incident_type = DataFaultKind::Gone.incident_type();
            (incident.state, incident.updated_at) = (IncidentState::Open, now);
            let (kind, id) = (DataFaultKind::Gone, incident.id.clone());
            watch.data_fault = Some(DataFault { kind, since, incident: id, leads: Some(incident.clone()) });
            changes.push(IncidentChange::Updated(incident));
        }
        changes
    }

    /// The open incident of what happened to others at the same time.
    fn told_together(&self, kind: DataFaultKind, since: Timestamp) -> Option<IncidentId> {
        let faults = self.watches.values().filter_map(|watch| watch.data_fault.as_ref());
        let apart = |fault: &DataFault| fault.since.since(since).max(since.since(fault.since));
        faults.filter(|fault| fault.kind == kind && apart(fault) <= TOGETHER).map(|fault| fault.incident.clone()).next()
    }

    fn add_to(&mut self, id: &IncidentId, subject: &Subject, now: Timestamp) {
        let leads = self.watches.values_mut().filter_map(|watch| watch.data_fault.as_mut()?.leads.as_mut());
        for incident in leads.filter(|incident| incident.id == *id) {
            if incident.affected.len() < AFFECTED_MAX {
                incident.affected.push(subject.clone());
            }
            incident.updated_at = now;
        }
    }

    /// Ends what is over. An incident of several ends with the last of them.
    fn end_data_faults(&mut self, now: Timestamp, step: Duration) -> Vec<IncidentChange> {
        let mut left: Vec<(Incident, bool)> = Vec::new();
        for watch in self.watches.values_mut() {
            let Some((kind, since)) = watch.data_fault.as_ref().map(|fault| (fault.kind, fault.since)) else {
                continue;
            };
            let seen_at = watch.seen_at().unwrap_or(since);
            let silent = now.since(seen_at);
            let (is_back, is_given_up) = match kind {
                DataFaultKind::Gone => (seen_at > since, silent > FORGOTTEN_AFTER),
                // What stood still and then ended is gone.
                DataFaultKind::Frozen => {
                    (watch.memory.moved_at().is_some_and(|moved_at| moved_at > since), silent > gone_after(step))
                }
            };
            if !is_back && !is_given_up {
                continue;
            }
            if is_back && kind == DataFaultKind::Gone {
                watch.returned(now, HABIT_SPAN);
            }
            if is_given_up && kind == DataFaultKind::Gone {
                watch.forget_rows();
            }
            let ended = watch.data_fault.take();
            left.extend(ended.and_then(|fault| fault.leads).map(|incident| (incident, is_back)));
        }
        let mut changes = Vec::new();
        for (mut incident, is_back) in left {
            let heir = self.watches.values_mut().filter_map(|watch| watch.data_fault.as_mut());
            if let Some(heir) = heir.into_iter().find(|fault| fault.incident == incident.id) {
                heir.leads = Some(incident);
                continue;
            }
            incident.updated_at = now;
            incident.state = if is_back { IncidentState::Resolved } else { IncidentState::Expired };
            changes.push(if is_back { IncidentChange::Resolved(incident) } else { IncidentChange::Expired(incident) });
        }
        changes
    }

    /// Takes up an incident that a record has of the data; whether it did.
    pub(super) fn take_up_data_incident(&mut self, incident: &Incident) -> bool {
        let Some(kind) = DataFaultKind::of(incident.incident_type) else { return false };
        let id = &incident.id;
        let is_known = self.data_incidents().any(|known| known.id == *id);
        // Who came back while nobody looked is told with the first row.
        for subject in std::iter::once(&incident.subject).chain(&incident.affected) {
            let watch = self.watches.entry(subject.clone()).or_default();
            if watch.data_fault.is_none() {
                let since = watch.seen_at().unwrap_or(incident.opened_at);
                watch.has_been_seen_until(since);
                watch.data_fault = Some(DataFault { kind, since, incident: id.clone(), leads: None });
            }
        }
        let lead = self.watches.get_mut(&incident.subject).and_then(|watch| watch.data_fault.as_mut());
        match lead {
            Some(fault) if !is_known && fault.incident == *id => fault.leads = Some(incident.clone()),
            Some(_) | None => {}
        }
        true
    }

    /// Drops what a record says is over.
    pub(super) fn drop_data_incidents(&mut self, is_over: impl Fn(&IncidentId) -> bool) {
        let ids: BTreeSet<IncidentId> = self.data_incidents().map(|incident| incident.id.clone()).collect();
        let over: BTreeSet<IncidentId> = ids.into_iter().filter(is_over).collect();
        for watch in self.watches.values_mut() {
            watch.data_fault.take_if(|fault| over.contains(&fault.incident));
        }
    }
}

fn gone_after(step: Duration) -> Duration {
    GONE_AFTER.max(step * GONE_STEPS_MIN)
}

/// Whether it has had no row for too long, while the source has answered for others since `answers_since`.
fn is_silent(watch: &Watch, answers_since: Option<Timestamp>, now: Timestamp, step: Duration) -> bool {
    let silent_since = answers_since.zip(watch.seen_at()).map(|(answers, seen)| answers.max(seen));
    silent_since.is_some_and(|since| now.since(since) > gone_after(step))
}

fn is_gone(watch: &Watch) -> bool {
    watch.data_fault.as_ref().is_some_and(|fault| fault.kind == DataFaultKind::Gone)
}

/// A new incident. Its score is the threshold, since no row alarms, and so nothing is known of its confidence.
fn incident_of(
    subject: &Subject,
    kind: DataFaultKind,
    now: Timestamp,
    context: &ClusterContext,
    times: &super::TrackerTimes,
) -> Incident {
    let mut incident = Incident {
        id: IncidentId::of(subject, now),
        correlation: CorrelationId::of(subject, now),
        subject: subject.clone(),
        incident_type: kind.incident_type(),
        state: IncidentState::Open,
        opened_at: now,
        updated_at: now,
        score: Score::THRESHOLD,
        score_peak: Score::THRESHOLD,
        confidence: Calibrated::UNKNOWN,
        evidence: Vec::new(),
        votes: Vec::new(),
        affected: Vec::new(),
        annotations: Vec::new(),
        limits_ahead: Vec::new(),
    };
    incident.annotations = rollouts(&incident, context, times);
    incident
}
