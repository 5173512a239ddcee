//! All subjects together: windows in, assessments and incident changes out.
//!
//! Rows of different subjects are taken in the order of time, whatever windows they came in: catching up after an outage
//! gives the same incidents as watching live.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use homeostat_core::{Incident, IncidentChange, IncidentId, Schema, Subject, Timestamp, Window};
use homeostat_detect::{Budgets, DueRow, DueWindows, Ensemble, ExpectedTime, FeatureState, Fleet, Misfit};

use crate::confidence::Verdicts;
use crate::exhaustion::NotAResource;
use crate::limits::LimitWatch;
use crate::replica_watch::ReplicaWatch;
use crate::tracker::{ClusterContext, SubjectRow, Tracker};

mod facts;
mod renewal;
mod replicas;
mod row_log;

pub use replicas::Compared;
pub use row_log::JudgedRow;
use row_log::RowLog;

/// The trained ensembles of all subjects and the tracker of their incidents.
///
/// ```
/// # use std::{sync::Arc, time::Duration};
/// # use homeostat_core::{Direction, Feature, Grid, Schema, Seed, Signal, Subject, Timestamp, Window};
/// # type Any = Box<dyn std::error::Error>;
/// # /// Latency and traffic of a service: noise, from row `from` of all time.
/// # fn window(name: &str, from: usize, n_rows: usize) -> Result<Window, Any> {
/// #     let feature = |name: &str, signal| Feature { name: name.into(), signal, direction: Direction::Both, deviation_min: 0.0 };
/// #     let schema = Schema::new(vec![feature("latency", Signal::Latency), feature("traffic", Signal::Traffic)])?;
/// #     let grid = Grid::new(Timestamp::from_secs(60 * from as i64), Duration::from_secs(60), n_rows)?;
/// #     let noise = |row: usize, column: usize| Seed::new((2 * row + column) as u64).fork(name).value() as f64 / u64::MAX as f64;
/// #     let values = ndarray::Array2::from_shape_fn((n_rows, 2), |(row, column)| 1.0 + noise(from + row, column));
/// #     Ok(Window::new(Subject::deployment("shop", name), grid, Arc::new(schema), values)?)
/// # }
/// use std::collections::BTreeMap;
/// use homeostat_detect::{Ensemble, EnsembleSpec, Hysteresis};
/// use homeostat_incidents::{Calibration, Monitor, ClusterContext, Tracker, TrackerTimes};
///
/// let cart = Subject::deployment("shop", "cart");
/// let ensemble = Ensemble::train(&EnsembleSpec::default(), &window("cart", 0, 400)?, Seed::new(1))?;
/// let tracker = Tracker::new(Hysteresis::default(), TrackerTimes::default(), Calibration::unknown());
/// let mut monitor = Monitor::new(BTreeMap::from([(cart, ensemble)]), tracker);
///
/// let windows = [window("cart", 400, 5)?, window("stranger", 400, 5)?];
/// let observed = monitor.observe(windows[0].grid().end(), &windows, &ClusterContext::default());
/// assert_eq!(observed.n_scored, 1);
/// assert_eq!(observed.unknown_subjects, [Subject::deployment("shop", "stranger")]);
/// assert!(observed.changes.is_empty() && monitor.open_incidents().next().is_none());
/// # Ok::<(), Any>(())
/// ```
#[derive(Clone, Debug)]
pub struct Monitor {
    fleet: Fleet,
    /// By position in the fleet.
    followed: Vec<Followed>,
    tracker: Tracker,
    /// What people say is meant to happen, for models to come, too.
    expected: BTreeMap<Subject, Vec<ExpectedTime>>,
    /// What models to come have to keep to, too; `None`: what they were trained for.
    budgets: Option<Budgets>,
    /// By feature name, for subjects to come.
    limits: BTreeMap<String, f64>,
    /// By workload, of those that are watched; nothing where nobody compares replicas.
    replicas: BTreeMap<Subject, ReplicaWatch>,
    rows: RowLog,
    /// Empty between observations; kept for its memory.
    due: Vec<DueRow>,
}

/// What is kept of a subject beside its ensemble.
#[derive(Clone, Debug, Default)]
struct Followed {
    limits: LimitWatch,
}

impl Followed {
    /// Takes the newest row's measurements of what has a limit.
    fn follow_limits(&mut self, at: Timestamp, (subject, ensemble): (&Subject, &Ensemble), context: &ClusterContext) {
        if self.limits.is_empty() {
            return;
        }
        let own = context.rollouts.iter().filter(|rollout| rollout.subject == *subject && rollout.at <= at);
        if let Some(newest) = own.map(|rollout| rollout.at).max() {
            self.limits.rolled_out(newest);
        }
        if let Some(states) = ensemble.feature_states() {
            self.limits.take_states(at, states);
        }
    }
}

/// What an observation brought.
///
/// ```
/// use homeostat_core::Subject;
/// use homeostat_detect::Misfit;
/// use homeostat_incidents::Observed;
///
/// let cart = Subject::deployment("shop", "cart");
/// let observed = Observed { misfits: vec![(cart, Misfit::Step)], ..Observed::default() };
/// assert!(observed.misfits[0].1.to_string().contains("train again"), "until then nobody watches it");
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observed {
    /// Windows that were scored: those of a known subject that fit its ensemble, with new rows or not.
    pub n_scored: usize,
    /// What happened to incidents, in order.
    pub changes: Vec<IncidentChange>,
    /// Subjects without a trained ensemble, in order: train them, or leave them out.
    pub unknown_subjects: Vec<Subject>,
    /// Subjects whose window doesn't fit what they were trained on, in order: they aren't watched until that is mended.
    pub misfits: Vec<(Subject, Misfit)>,
}

impl Monitor {
    /// A monitor of these subjects.
    pub fn new(ensembles: BTreeMap<Subject, Ensemble>, tracker: Tracker) -> Self {
        let fleet = Fleet::new(ensembles);
        Self {
            followed: vec![Followed::default(); fleet.len()],
            fleet,
            tracker,
            expected: BTreeMap::new(),
            budgets: None,
            limits: BTreeMap::new(),
            replicas: BTreeMap::new(),
            rows: RowLog::default(),
            due: Vec::new(),
        }
    }

    /// The same monitor that also follows these features to their limits, by feature name and in the feature's own unit (see
    /// [`LimitWatch::new`]): incidents then say when a limit will be reached.
    ///
    /// # Errors
    /// [`NotAResource`] for a limit that is no finite number.
    pub fn with_limits(mut self, limits: &BTreeMap<String, f64>) -> Result<Self, NotAResource> {
        for (followed, (_, ensemble)) in self.followed.iter_mut().zip(self.fleet.iter()) {
            followed.limits = LimitWatch::new(ensemble.schema(), ensemble.step(), limits)?;
        }
        self.limits = limits.clone();
        Ok(self)
    }

    /// The same monitor that keeps to these false-alarm budgets, however many subjects it has, where they are tighter than what the models were trained for.
    #[must_use]
    pub fn with_budgets(mut self, budgets: Budgets) -> Self {
        self.fleet.hold_to(&budgets);
        self.budgets = Some(budgets);
        self
    }

    /// Bytes of all ensembles, what they share counted once, and of what follows limits and replicas; without the tracker.
    pub fn memory_bytes(&self) -> usize {
        let limits: usize = self.followed.iter().map(|followed| followed.limits.memory_bytes()).sum();
        let replicas: usize = self.replicas.values().map(ReplicaWatch::memory_bytes).sum();
        self.fleet.memory_bytes() + limits + replicas
    }

    /// Takes windows, at most one of each subject, whose rows may have been seen in part, and what is known of the world
    /// at `now`. It can't fail: what can't be scored is said so.
    pub fn observe(&mut self, now: Timestamp, windows: &[Window], context: &ClusterContext) -> Observed {
        let mut due = std::mem::take(&mut self.due);
        let DueWindows { n_scored, unknown_subjects, misfits } = self.fleet.due(windows, &mut due);
        let mut changes = Vec::new();
        // How late data is shows in the newest row: what is caught up before it came too late once, and is judged as if in time.
        let lag = due.last().map_or(Duration::ZERO, |newest| now.since(newest.at));
        for moment in due.chunk_by(|a, b| a.at == b.at) {
            let Some(at) = moment.first().map(|due| due.at) else { continue };
            self.fleet.score(moment, windows, &context.calendar, &context.rollouts);
            for subject_idx in self.fleet.advanced() {
                if let (Some(followed), Some(of)) = (self.followed.get_mut(*subject_idx), self.fleet.at(*subject_idx)) {
                    followed.follow_limits(at, of, context);
                }
            }
            let rows = moment.iter().filter_map(|due| newest_row(&self.fleet, &self.followed, due.subject_idx));
            changes.extend(self.tracker.step_late(at, lag, rows, context));
            let in_incidents = self.tracker.open_incidents().map(|incident| &incident.subject);
            self.rows.take(in_incidents, &self.fleet, self.tracker.hysteresis());
        }
        due.clear();
        self.due = due;
        changes.extend(self.tracker.pass_time(now));
        if let Some((_, ensemble)) = self.fleet.iter().next() {
            changes.extend(self.tracker.judge_data(now, ensemble.step(), context));
        }
        self.rows.forget(self.tracker.open_incidents().map(|incident| &incident.subject));
        Observed { n_scored, changes, unknown_subjects, misfits }
    }

    /// Goes by what people say of past incidents, in place of what they said before: what is meant to happen and when, by subject, and how
    /// often incidents of each type were right.
    pub fn go_by(&mut self, expected: BTreeMap<Subject, Vec<ExpectedTime>>, verdicts: Verdicts) {
        self.fleet.expect(&expected);
        self.expected = expected;
        self.tracker.set_verdicts(verdicts);
    }

    /// All subjects that have models, in order.
    pub fn subjects(&self) -> impl Iterator<Item = &Subject> {
        self.fleet.iter().map(|(subject, _)| subject)
    }

    /// Forgets rows later than `at`, to which a clock that was ahead led: what comes now is looked at again. Models and
    /// incidents stay.
    pub fn rewind(&mut self, at: Timestamp) {
        let is_ahead = |ensemble: &Ensemble| ensemble.newest_at().is_some_and(|newest| newest > at);
        let ahead = self.fleet.iter().filter(|(_, ensemble)| is_ahead(ensemble));
        let restarted: BTreeMap<Subject, Ensemble> =
            ahead.map(|(subject, ensemble)| (subject.clone(), ensemble.restarted())).collect();
        // The subjects stay the same, and so do their places.
        self.fleet.replace(restarted);
        self.tracker.rewind(at);
        self.rows.rewind(at);
    }

    /// The source is known to have a gap that begins at most [`SOURCE_GAP_REACH`](crate::SOURCE_GAP_REACH) after this moment; a file
    /// shows it beforehand.
    pub fn expect_source_gap(&mut self, at: Timestamp) {
        self.tracker.expect_source_gap(at);
    }

    /// A subject's ensemble.
    pub fn ensemble(&self, subject: &Subject) -> Option<&Ensemble> {
        self.fleet.ensemble(subject)
    }

    /// The tracker, whose state must survive a restart: see [`Tracker::save`].
    pub fn tracker(&self) -> &Tracker {
        &self.tracker
    }

    /// Takes up what a record says of incidents, after a restart: see [`Tracker::take_up`].
    pub fn take_up(
        &mut self,
        recorded: impl IntoIterator<Item = Incident>,
        is_over: impl Fn(&IncidentId) -> bool,
        now: Timestamp,
    ) -> Vec<Incident> {
        self.tracker.take_up(recorded, is_over, now)
    }

    /// Open and stale incidents, by subject.
    pub fn open_incidents(&self) -> impl Iterator<Item = &Incident> {
        self.tracker.open_incidents()
    }

    /// Keeps the rows of these subjects from now on, as those of subjects in an open incident are kept: whoever verifies an action
    /// needs them, also when its incident is closed already.
    pub fn follow(&mut self, subjects: BTreeSet<Subject>) {
        self.rows.follow(subjects);
    }

    /// The latest rows of each subject that is followed or in an open incident, oldest first, and the subject's features.
    pub fn judged_rows(&self) -> impl Iterator<Item = (&Subject, &Schema, impl Iterator<Item = &JudgedRow>)> {
        let of_subject = |(subject, rows)| {
            let ensemble: &Ensemble = self.fleet.ensemble(subject)?;
            let rows: &std::collections::VecDeque<JudgedRow> = rows;
            Some((subject, ensemble.schema().as_ref(), rows.iter()))
        };
        self.rows.iter().filter_map(of_subject)
    }

    /// The moment of a subject's newest row and where each feature stood in it, in the order of its schema: what recovery
    /// is verified against. `None` for an unknown subject, and before its first row.
    pub fn feature_states(&self, subject: &Subject) -> Option<(Timestamp, &[FeatureState])> {
        self.fleet.feature_states(subject)
    }
}

/// What the tracker is told of a subject's newest row.
fn newest_row<'a>(fleet: &'a Fleet, followed: &'a [Followed], subject_idx: usize) -> Option<SubjectRow<'a>> {
    let (subject, ensemble) = fleet.at(subject_idx)?;
    let (schema, step, limits) = (ensemble.schema(), ensemble.step(), &followed.get(subject_idx)?.limits);
    Some(SubjectRow { subject, schema, step, row: ensemble.last()?, limits })
}

#[cfg(test)]
mod tests;
