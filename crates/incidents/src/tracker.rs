//! From assessed rows to incidents: opened by hysteresis, one for each cause, never lost, never resolved by silence.
//!
//! It decides nothing about actions. It reads no clock: rows bring their moment, and [`Tracker::pass_time`] brings `now`.

use std::collections::BTreeMap;
use std::time::Duration;

use homeostat_core::{
    Calendar, Incident, IncidentChange, IncidentState, PlannedEvent, Rollout, Schema, Score, Subject, Timestamp,
    Topology,
};
use homeostat_detect::{AssessedRow, Hysteresis};
use serde::{Deserialize, Serialize};

use crate::confidence::{Calibration, Verdicts};
use crate::limits::LimitWatch;

mod attribution;
mod cause;
mod context;
mod data_fault;
mod data_faults;
mod evidence;
mod excursion;
mod facts;
mod open;
mod published;
mod recorded;
mod reminder;
mod replicas;
mod row_means;
mod row_memory;
mod running_out;
mod source_edge;
mod standing;
mod told_facts;
mod watch;

use cause::Causes;
use open::{Known, Open};
pub use source_edge::SOURCE_GAP_REACH;
use source_edge::{SourceEdge, is_explained};
use watch::{EventKey, Watch, score_of};

/// The tracker's options but for its [`Hysteresis`].
///
/// ```
/// use std::time::Duration;
/// use homeostat_incidents::TrackerTimes;
///
/// let patient = TrackerTimes { stale_after: Duration::from_secs(900), ..TrackerTimes::default() };
/// assert_eq!(patient.rebaselined_after, Duration::from_secs(12 * 3_600));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrackerTimes {
    /// Without data for so long, and for three steps, an open incident is stale. Prometheus's own staleness is 5 minutes.
    pub stale_after: Duration,
    /// An incident that has been stale for so long has expired: it is closed without recovery. What was deleted doesn't come back,
    /// and what comes back with its fault opens an incident of its own. An hour outlasts the restart of a Prometheus and most of its
    /// outages.
    pub stale_ends_after: Duration,
    /// A roll-out this long before an incident opened may be its cause.
    pub rollout_recent: Duration,
    /// For so long after a roll-out of ours the target and what depends on it can't open an incident (I35), nor can what
    /// suffered from a dependency after that recovered.
    pub settle: Duration,
    /// Rows for which a subject waits before it opens its own incident, while something it depends on looks suspicious:
    /// symptoms often cross the alarm threshold before their cause does.
    pub grace_rows: u32,
    /// An incident whose level the forecast has accepted and isn't surprised by for so long is closed as rebaselined. Twice the
    /// half-life of the forecast's slow level: with the day that the forecast takes, a day and a half in all.
    #[serde(alias = "accepted_after")]
    pub rebaselined_after: Duration,
}

impl Default for TrackerTimes {
    fn default() -> Self {
        Self {
            stale_after: Duration::from_secs(300),
            stale_ends_after: Duration::from_secs(3_600),
            rollout_recent: Duration::from_secs(1800),
            settle: Duration::from_secs(300),
            grace_rows: 3,
            rebaselined_after: Duration::from_secs(12 * 3_600),
        }
    }
}

/// What is known of the world around the subjects, as of an observation.
///
/// ```
/// use homeostat_core::Subject;
/// use homeostat_incidents::ClusterContext;
///
/// let mut context = ClusterContext::default();
/// context.topology.add(Subject::deployment("shop", "cart"), Subject::deployment("shop", "redis"));
/// assert_eq!(context.topology.dependencies_of(&Subject::deployment("shop", "cart")).count(), 1);
/// ```
#[derive(Clone, Debug, Default)]
pub struct ClusterContext {
    /// Who depends on whom.
    pub topology: Topology,
    /// Planned events.
    pub calendar: Calendar,
    /// Roll-outs of the last hours, in any order; ours are marked.
    pub rollouts: Vec<Rollout>,
}

/// A row of one subject, on its way into the tracker.
#[derive(Clone, Copy, Debug)]
pub struct SubjectRow<'a> {
    /// Whose.
    pub subject: &'a Subject,
    /// What its features are.
    pub schema: &'a Schema,
    /// The time between its rows.
    pub step: Duration,
    /// The row.
    pub row: &'a AssessedRow,
    /// How its features with a limit go towards it.
    pub limits: &'a LimitWatch,
}

/// All subjects' hysteresis and open incidents.
///
/// **Opening and closing** follow [`Hysteresis`]. An incident resolves only once the scores have been calm and every
/// feature of its evidence has been there and normal for `close_rows` rows: a fault everybody got used to is
/// still a fault, and silence is [`IncidentState::Stale`], never recovery (I13). Both can keep an incident open for long, on
/// purpose. What isn't a failure and has been usual for the forecast for [`TrackerTimes::rebaselined_after`], calm and without a
/// limit ahead, is closed as [`IncidentState::Rebaselined`]: told, and not called recovered.
///
/// **Alarming anew.** An incident that has subsided (`close_rows` calm rows) without resolving and then alarms by the rule that
/// opens one, or that goes on alarming until a reminder is due, is [`IncidentChange::Refired`]: what is left open must not mute
/// the next fault. An incident that something planned covers, that a dependency's incident explains, or whose subject has to settle, isn't renewed. These calls
/// are what the false-alarm budget counts, as the alarm threshold does: a pause ends an alarm, an hour counts it again.
///
/// **One incident per cause.** A subject whose evidence a failing dependency explains gets no incident while anything it
/// depends on, directly or not, is in one: it is added to that incident's `affected` (of the oldest, if there are several).
/// It waits `grace_rows` rows while a dependency only looks suspicious. If it opened first all the same, its
/// incident stays, is annotated, and re-typed where the table says so, and it joins `affected`, too; it resolves by its own
/// signals. Load (traffic without failures) goes the other way: it comes down from callers, so a subject whose traffic alone
/// changed belongs to the incident of what calls it. Evidence of the subject's own (memory, kills, restarts, lost replicas, or trouble after a roll-out) always opens
/// an incident of its own, annotated. Within a cycle of dependencies the highest score is taken for the cause.
///
/// **One incident per planned event.** Who has more traffic in a planned event, without errors and without evidence of its own, belongs to
/// the first incident of that event: it is added to its `affected`. When that one is over, load that comes up once more while the event lasts,
/// and goes down when it ends, is no news.
#[derive(Clone, Debug)]
pub struct Tracker {
    hysteresis: Hysteresis,
    times: TrackerTimes,
    calibration: Calibration,
    watches: BTreeMap<Subject, Watch>,
    /// Where most subjects lost data, or had it again, last.
    source_edge: SourceEdge,
    /// Since when there have been rows of most subjects.
    answers_since: Option<Timestamp>,
}

impl Tracker {
    /// A tracker without incidents. `hysteresis` is the rule the thresholds were trained for.
    pub fn new(hysteresis: Hysteresis, times: TrackerTimes, calibration: Calibration) -> Self {
        let (source_edge, answers_since) = (SourceEdge::default(), None);
        Self { hysteresis, times, calibration, watches: BTreeMap::new(), source_edge, answers_since }
    }

    /// How sure to be of incidents.
    pub fn calibration(&self) -> &Calibration {
        &self.calibration
    }

    /// Goes by these verdicts of people on past incidents, in place of those before.
    pub(crate) fn set_verdicts(&mut self, verdicts: Verdicts) {
        self.calibration.set_verdicts(verdicts);
    }

    /// The rule by which incidents open and close.
    pub(crate) fn hysteresis(&self) -> &Hysteresis {
        &self.hysteresis
    }

    /// Open and stale incidents, by subject; those that tell of data come last.
    pub fn open_incidents(&self) -> impl Iterator<Item = &Incident> {
        self.watches.values().filter_map(|watch| watch.open.as_ref().map(Open::incident)).chain(self.data_incidents())
    }

    /// Everything that must survive a restart, as JSON: without it, a fault everybody got used to would be forgotten open.
    pub fn save(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(&self.watches)
    }

    /// Takes up where the tracker that was saved stopped. On an error nothing has changed.
    pub fn restore(&mut self, json: &str) -> Result<(), serde_json::Error> {
        let mut watches: BTreeMap<Subject, Watch> = serde_json::from_str(json)?;
        watches.values_mut().for_each(Watch::complete);
        self.watches = watches;
        Ok(())
    }

    /// Takes the rows of one moment, at most one of each subject, and says what changed, in the order it happened. Rows that
    /// aren't newer than what was seen of their subject change nothing. Rows in which nothing happens allocate nothing.
    pub fn step<'a>(
        &mut self,
        at: Timestamp,
        rows: impl IntoIterator<Item = SubjectRow<'a>>,
        context: &ClusterContext,
    ) -> Vec<IncidentChange> {
        self.step_late(at, Duration::ZERO, rows, context)
    }

    /// The same of rows that come late: `lag` after their moment. What is stale is stale by the clock, not by the rows.
    pub fn step_late<'a>(
        &mut self,
        at: Timestamp,
        lag: Duration,
        rows: impl IntoIterator<Item = SubjectRow<'a>>,
        context: &ClusterContext,
    ) -> Vec<IncidentChange> {
        let (as_of, mut n_rows, mut n_new) = (at + lag, 0, 0);
        let mut candidates: Vec<SubjectRow<'_>> = Vec::new();
        for row in rows {
            n_rows += 1;
            if !self.watches.contains_key(row.subject) {
                self.watches.insert(row.subject.clone(), Watch::default());
            }
            let Some(watch) = self.watches.get_mut(row.subject).filter(|watch| watch.is_new(at)) else { continue };
            n_new += 1;
            watch.take_row(&row, as_of, &self.hysteresis, &self.times);
            // What an incident that ends with this row leaves open is seen again below.
            if watch.opens(&row, &self.hysteresis) {
                candidates.push(row);
            } else if !watch.gate.is_suspicious(&self.hysteresis) {
                (watch.waited_rows, watch.falls_since) = (0, None);
            }
        }
        if n_rows > 0 && n_new == 0 {
            // A moment of the past, seen again.
            return Vec::new();
        }
        let new = self.watches.values().filter(|watch| watch.seen_at() == Some(at));
        self.source_edge.take(at, new.map(|watch| watch.memory.edge()));
        candidates.sort_by_key(|row| row.subject);
        let mut changes = self.pass_time(as_of);
        self.resolve(at, &mut changes);
        self.open(at, candidates, context);
        self.refresh(at, context, &mut changes);
        changes
    }

    /// Forgets that rows later than `at` were seen, to which a clock that was ahead led.
    pub(crate) fn rewind(&mut self, at: Timestamp) {
        self.watches.values_mut().for_each(|watch| watch.rewind(at));
    }

    /// Marks incidents whose data has been silent for too long, and ends those that nobody waits for any more.
    pub fn pass_time(&mut self, now: Timestamp) -> Vec<IncidentChange> {
        let mut changes = Vec::new();
        for watch in self.watches.values_mut() {
            changes.extend(watch.open.as_mut().and_then(|open| open.goes_stale(now)));
            let expires_after = self.times.stale_ends_after;
            if let Some(open) = watch.open.take_if(|open| open.has_expired(now, expires_after)) {
                // What comes back is judged anew.
                (watch.gate, watch.excursion) = Default::default();
                changes.push(IncidentChange::Expired(open.expired(now)));
            }
        }
        self.watches.retain(|_, watch| !watch.is_forgotten(now));
        changes
    }

    /// The source is known to have a gap that begins at most [`SOURCE_GAP_REACH`] after this moment: what is too small until then is
    /// laid to it. Only who has the rows to come can know that.
    pub(crate) fn expect_source_gap(&mut self, at: Timestamp) {
        self.source_edge.expect(at);
    }

    /// When most subjects lost data at the same moment last, and it wasn't they who were at fault.
    pub fn source_lost_at(&self) -> Option<Timestamp> {
        self.source_edge.lost_at()
    }

    fn resolve(&mut self, at: Timestamp, changes: &mut Vec<IncidentChange>) {
        let mut suffered = Vec::new();
        for watch in self.watches.values_mut().filter(|watch| watch.has_seen(at)) {
            if !watch.is_calm(&self.hysteresis)
                || watch.is_held_by_replicas(at, &self.times)
                || watch.is_held_by_facts(at, &self.times)
            {
                continue;
            }
            let change = if let Some(open) = watch.open.take_if(|open| open.is_normal(self.hysteresis.close_rows)) {
                IncidentChange::Resolved(open.resolved(at))
            } else if let Some(open) = watch.open.take_if(|open| open.is_rebaselined()) {
                IncidentChange::Rebaselined(open.rebaselined(at))
            } else {
                continue;
            };
            suffered.extend(change.incident().affected.iter().cloned());
            changes.push(change);
        }
        for subject in suffered {
            if let Some(watch) = self.watches.get_mut(&subject) {
                watch.settles_until = Some(at + self.times.settle);
            }
        }
    }

    /// Opens what has to be opened: causes before what suffers from them.
    fn open(&mut self, at: Timestamp, mut candidates: Vec<SubjectRow<'_>>, context: &ClusterContext) {
        candidates.retain(|row| self.watches.get(row.subject).is_some_and(|watch| watch.open.is_none()));
        for row in attribution::causes_first(candidates, &context.topology) {
            if self.settles(row.subject, at, context) {
                self.explain(row.subject, at);
                continue;
            }
            let watch = self.watches.get(row.subject);
            let is_whole = watch.is_some_and(Watch::is_whole);
            let has_facts = watch.is_some_and(|watch| !watch.facts.is_empty());
            let score = watch.and_then(|watch| score_of(&row, &watch.excursion)).unwrap_or(Score::ZERO);
            let opening = Open::new(row, at, score, self.times.stale_after, is_whole);
            // Facts about the source and its data, not faults of the subject.
            let is_frozen = watch.is_some_and(|watch| watch.data_fault.is_some());
            if is_frozen || (self.source_edge.is_near(at) && is_explained(&row)) {
                self.explain(row.subject, at);
                continue;
            }
            if self.may_vanish(&row, at) {
                continue;
            }
            if !has_facts && !opening.is_its_own() && !opening.is_of_rollout(context, &self.times) {
                let causes = if opening.is_load() {
                    Causes::of_callers(row.subject, &self.watches, &context.topology)
                } else {
                    Causes::of(row.subject, &self.watches, &context.topology)
                };
                if let Some(cause) = causes.oldest() {
                    self.affect(&cause, row.subject);
                    self.explain(row.subject, at);
                    continue;
                }
                if self.is_affected(&opening, context) {
                    self.explain(row.subject, at);
                    continue;
                }
                if let Some(event) = opening.event(context, &self.times) {
                    if let Some(first) = self.first_of_event(event, context) {
                        self.affect(&first, row.subject);
                        self.explain(row.subject, at);
                        continue;
                    }
                    if opening.is_mere_load() && self.is_told(event) {
                        continue;
                    }
                }
                if self.waits(row.subject, opening.is_load(), context) {
                    continue;
                }
            }
            let event = opening.event(context, &self.times).map(EventKey::of);
            if let Some(watch) = self.watches.get_mut(row.subject) {
                (watch.waited_rows, watch.falls_since) = (0, None);
                watch.told_event = event.or(watch.told_event.take());
                watch.open = Some(opening);
                watch.notified(at, &self.hysteresis);
            }
        }
    }

    /// Whether it must settle: after a roll-out of ours of it or of something it depends on, or after a dependency recovered.
    fn settles(&self, subject: &Subject, at: Timestamp, context: &ClusterContext) -> bool {
        let after_recovery =
            self.watches.get(subject).and_then(|watch| watch.settles_until).is_some_and(|until| at < until);
        let mut ours = context
            .rollouts
            .iter()
            .filter(|rollout| rollout.by_us && rollout.at <= at && at < rollout.at + self.times.settle)
            .peekable();
        if after_recovery || ours.peek().is_none() {
            return after_recovery;
        }
        let dependencies = context.topology.all_dependencies_of(subject);
        ours.any(|rollout| rollout.subject == *subject || dependencies.contains(&rollout.subject))
    }

    /// Whether to wait one more row, because where its cause would be looks suspicious: in what it depends on, or, for load,
    /// in what calls it.
    fn waits(&mut self, subject: &Subject, is_load: bool, context: &ClusterContext) -> bool {
        let dependencies = context.topology.all_dependencies_of(subject);
        let suspicious = self.watches.iter().any(|(other, watch)| {
            let may_be_cause = if is_load {
                other != subject && context.topology.all_dependencies_of(other).contains(subject)
            } else {
                dependencies.contains(other)
            };
            may_be_cause && watch.gate.is_suspicious(&self.hysteresis)
        });
        let Some(watch) = self.watches.get_mut(subject) else { return false };
        if !suspicious || watch.waited_rows >= self.times.grace_rows {
            return false;
        }
        watch.waited_rows += 1;
        true
    }

    /// Whether an open incident already has it among those that suffer: what is seen of it then is that incident's. A planned event
    /// explains no errors.
    fn is_affected(&self, opening: &Open, context: &ClusterContext) -> bool {
        let subject = &opening.incident().subject;
        let has_it = |open: &Open| {
            open.incident().affected.contains(subject)
                && (!opening.has_errors() || open.event(context, &self.times).is_none())
        };
        self.watches.values().filter_map(|watch| watch.open.as_ref()).any(has_it)
    }

    /// The subject of the oldest incident that this planned event explains.
    fn first_of_event(&self, event: &PlannedEvent, context: &ClusterContext) -> Option<Subject> {
        let open = self.watches.values().filter_map(|watch| watch.open.as_ref());
        let of_event = open.filter(|open| open.event(context, &self.times) == Some(event)).map(Open::incident);
        let first = of_event.min_by_key(|incident| (incident.opened_at, &incident.subject));
        first.map(|incident| incident.subject.clone())
    }

    /// What has added up in this subject is known by what explains it: it is no news when that is over and the averages still fall.
    fn explain(&mut self, subject: &Subject, at: Timestamp) {
        if let Some(watch) = self.watches.get_mut(subject) {
            watch.excursion.tell(at);
        }
    }

    /// Whether an incident of this planned event was opened before.
    fn is_told(&self, event: &PlannedEvent) -> bool {
        let key = EventKey::of(event);
        self.watches.values().any(|watch| watch.told_event.as_ref() == Some(&key))
    }

    fn affect(&mut self, cause: &Subject, affected: &Subject) {
        if let Some(open) = self.watches.get_mut(cause).and_then(|watch| watch.open.as_mut()) {
            open.affect(affected);
        }
    }

    /// Brings annotations, type and confidence of every open incident up to date, and tells what is worth telling.
    fn refresh(&mut self, at: Timestamp, context: &ClusterContext, changes: &mut Vec<IncidentChange>) {
        // One that has seen later rows isn't put back to this moment.
        let current = self.watches.values().filter(|watch| watch.has_seen(at)).filter_map(|watch| watch.open.as_ref());
        let subjects: Vec<Subject> = current.map(|open| open.incident().subject.clone()).collect();
        for subject in &subjects {
            let causes = Causes::of(subject, &self.watches, &context.topology);
            let callers = Causes::of_callers(subject, &self.watches, &context.topology);
            let Some(Watch { open: Some(open), outliers, facts, .. }) = self.watches.get_mut(subject) else { continue };
            let known = Known { causes: &causes, outliers, facts };
            open.annotate(at, context, &known, &self.times, &self.calibration);
            let joins = if open.is_its_own() || open.is_of_rollout(context, &self.times) {
                None
            } else if open.is_load() {
                callers.oldest()
            } else {
                causes.oldest()
            };
            if let Some(cause) = joins {
                self.affect(&cause, subject);
            }
        }
        for subject in &subjects {
            let settles = self.settles(subject, at, context);
            let Some(watch) = self.watches.get_mut(subject) else { continue };
            let Some(change) = watch.open.as_mut().and_then(|open| open.change(at, settles)) else { continue };
            if change.notifies() {
                watch.notified(at, &self.hysteresis);
            }
            changes.push(change);
        }
    }
}

/// Whether an incident's state means that data is flowing.
fn is_flowing(state: IncidentState) -> bool {
    match state {
        IncidentState::Open => true,
        IncidentState::Stale | IncidentState::Resolved | IncidentState::Rebaselined | IncidentState::Expired => false,
    }
}

#[cfg(test)]
mod tests;
