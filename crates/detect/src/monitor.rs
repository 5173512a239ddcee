//! All subjects together: windows in, assessments and incident changes out.
//!
//! Rows of different subjects are taken in the order of time, whatever windows they came in: catching up after an outage
//! gives the same incidents as watching live.

use std::collections::BTreeMap;
#[cfg(feature = "onnx")]
use std::sync::Arc;

use homeostat_core::{Feature, Incident, IncidentChange, Schema, Subject, Timestamp, Window};

#[cfg(feature = "onnx")]
use crate::autoencoder::Autoencoder;
use crate::ensemble::{Ensemble, Misfit};
use crate::exhaustion::NotAResource;
use crate::feature_state::FeatureState;
use crate::forecast::KnownEffect;
use crate::limits::LimitWatch;
use crate::replicas::ReplicaWatch;
use crate::tracker::{SubjectRow, Surroundings, Tracker};

mod renewal;
mod replicas;

pub use replicas::Compared;

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
/// use homeostat_detect::{Calibration, Ensemble, EnsembleSpec, Hysteresis, Monitor, Surroundings, Tracker, TrackerTimes};
///
/// let cart = Subject::deployment("shop", "cart");
/// let ensemble = Ensemble::train(&EnsembleSpec::default(), &window("cart", 0, 400)?, Seed::new(1))?;
/// let tracker = Tracker::new(Hysteresis::default(), TrackerTimes::default(), Calibration::unknown());
/// let mut monitor = Monitor::new(BTreeMap::from([(cart, ensemble)]), tracker);
///
/// let windows = [window("cart", 400, 5)?, window("stranger", 400, 5)?];
/// let observed = monitor.observe(windows[0].grid().end(), &windows, &Surroundings::default());
/// assert_eq!(observed.n_scored, 1);
/// assert_eq!(observed.unknown_subjects, [Subject::deployment("shop", "stranger")]);
/// assert!(observed.changes.is_empty() && monitor.open_incidents().next().is_none());
/// # Ok::<(), Any>(())
/// ```
#[derive(Clone, Debug)]
pub struct Monitor {
    /// By subject, in order.
    watched: Vec<Watched>,
    tracker: Tracker,
    /// By feature name, for subjects to come.
    limits: BTreeMap<String, f64>,
    /// By workload, of those that are watched; nothing where nobody compares replicas.
    replicas: BTreeMap<Subject, ReplicaWatch>,
    /// Empty between observations; kept for its memory.
    pending: Vec<Pending>,
    /// Those of the moment that took a row; kept for its memory.
    advanced: Vec<usize>,
    /// What is known beforehand of the features of the row under way; kept for its memory.
    known: Vec<KnownEffect>,
    /// The autoencoders that subjects share, each with room for a batch.
    #[cfg(feature = "onnx")]
    autoencoders: Vec<Autoencoder>,
}

#[derive(Clone, Debug)]
struct Watched {
    subject: Subject,
    ensemble: Ensemble,
    limits: LimitWatch,
    /// The newest row that the tracker was told of: newer models may see some rows again.
    told_until: Option<Timestamp>,
    /// Which of the autoencoders is its own, and which of its votes it is.
    #[cfg(feature = "onnx")]
    batch: Option<Batched>,
}

#[cfg(feature = "onnx")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Batched {
    autoencoder_idx: usize,
    member_idx: usize,
}

impl Watched {
    /// What the tracker is told of the newest row.
    fn newest_row(&self) -> Option<SubjectRow<'_>> {
        let Self { subject, ensemble, limits, .. } = self;
        let (schema, step) = (ensemble.schema(), ensemble.step());
        Some(SubjectRow { subject, schema, step, row: ensemble.last()?, limits })
    }

    /// Takes the newest row's measurements of what has a limit.
    fn follow_limits(&mut self, at: Timestamp, around: &Surroundings) {
        if self.limits.is_empty() {
            return;
        }
        let own = around.rollouts.iter().filter(|rollout| rollout.subject == self.subject && rollout.at <= at);
        if let Some(newest) = own.map(|rollout| rollout.at).max() {
            self.limits.rolled_out(newest);
        }
        if let Some(states) = self.ensemble.feature_states() {
            self.limits.take_states(at, states);
        }
    }
}

/// A row that is due.
#[derive(Clone, Copy, Debug)]
struct Pending {
    at: Timestamp,
    watched_idx: usize,
    window_idx: usize,
    /// `None` is a step without data.
    step_idx: Option<usize>,
}

/// What an observation brought.
///
/// ```
/// use homeostat_core::Subject;
/// use homeostat_detect::{Misfit, Observed};
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
        let mut monitor = Self {
            watched: Vec::with_capacity(ensembles.len()),
            tracker,
            limits: BTreeMap::new(),
            replicas: BTreeMap::new(),
            pending: Vec::new(),
            advanced: Vec::new(),
            known: Vec::new(),
            #[cfg(feature = "onnx")]
            autoencoders: Vec::new(),
        };
        for (subject, ensemble) in ensembles {
            monitor.watch(subject, ensemble, LimitWatch::default(), None);
        }
        monitor
    }

    /// Adds a subject, after all those before it in order.
    fn watch(&mut self, subject: Subject, ensemble: Ensemble, limits: LimitWatch, told_until: Option<Timestamp>) {
        #[cfg(feature = "onnx")]
        let batch = self.batch_of(&ensemble);
        self.watched.push(Watched {
            subject,
            ensemble,
            limits,
            told_until,
            #[cfg(feature = "onnx")]
            batch,
        });
    }

    /// The same monitor that also follows these features to their limits, by feature name and in the feature's own unit (see
    /// [`LimitWatch::new`]): incidents then say when a limit will be reached.
    ///
    /// # Errors
    /// [`NotAResource`] for a limit that is no finite number.
    pub fn with_limits(mut self, limits: &BTreeMap<String, f64>) -> Result<Self, NotAResource> {
        for Watched { ensemble, limits: watch, .. } in &mut self.watched {
            *watch = LimitWatch::new(ensemble.schema(), ensemble.step(), limits)?;
        }
        self.limits = limits.clone();
        Ok(self)
    }

    /// Where an ensemble's autoencoder runs: with all others that have the same.
    #[cfg(feature = "onnx")]
    fn batch_of(&mut self, ensemble: &Ensemble) -> Option<Batched> {
        let (own, member_idx) = (ensemble.autoencoder()?, ensemble.batched_idx()?);
        // The last first: subjects that share one mostly stand together.
        let known = self.autoencoders.iter().rposition(|known| Arc::ptr_eq(known.model(), own.model()));
        let autoencoder_idx = known.unwrap_or_else(|| {
            self.autoencoders.push(own.clone());
            self.autoencoders.len() - 1
        });
        Some(Batched { autoencoder_idx, member_idx })
    }

    /// Bytes of all ensembles, what they share counted once, and of what follows limits and replicas; without the tracker.
    pub fn memory_bytes(&self) -> usize {
        let own = self.watched.iter().map(|watched| {
            let ensemble: usize = watched.ensemble.own_bytes().iter().map(|(_, bytes)| bytes).sum();
            ensemble + watched.limits.memory_bytes()
        });
        let shared: BTreeMap<usize, usize> = self
            .watched
            .iter()
            .flat_map(|watched| watched.ensemble.shared_parts())
            .map(|part| (part.address, part.bytes))
            .collect();
        let replicas: usize = self.replicas.values().map(ReplicaWatch::memory_bytes).sum();
        own.sum::<usize>() + shared.into_values().sum::<usize>() + replicas
    }

    /// Takes windows, at most one of each subject, whose rows may have been seen in part, and what is known of the world
    /// at `now`. It can't fail: what can't be scored is said so.
    pub fn observe(&mut self, now: Timestamp, windows: &[Window], around: &Surroundings) -> Observed {
        let mut observed = Observed::default();
        let mut pending = std::mem::take(&mut self.pending);
        for (window_idx, window) in windows.iter().enumerate() {
            let subject = window.subject();
            let Some(watched_idx) = self.position(subject) else {
                observed.unknown_subjects.push(subject.clone());
                continue;
            };
            let due = |at, step_idx| pending.push(Pending { at, watched_idx, window_idx, step_idx });
            match self.watched[watched_idx].ensemble.pending(window, due) {
                Ok(()) => observed.n_scored += 1,
                Err(misfit) => observed.misfits.push((subject.clone(), misfit)),
            }
        }
        observed.unknown_subjects.sort();
        observed.misfits.sort();
        // Within a moment in the order of subjects. Were there two windows of one, what was measured goes before a hole.
        pending.sort_unstable_by_key(|due| (due.at, due.watched_idx, due.step_idx.is_none(), due.window_idx));
        for moment in pending.chunk_by(|a, b| a.at == b.at) {
            let Some(at) = moment.first().map(|due| due.at) else { continue };
            self.advanced.clear();
            for due in moment {
                let row = due.step_idx.map(|step_idx| windows[due.window_idx].row(step_idx));
                let Watched { subject, ensemble, .. } = &mut self.watched[due.watched_idx];
                fill_known(&mut self.known, around, subject, ensemble.schema(), at);
                if ensemble.advance(at, row, &self.known) {
                    self.advanced.push(due.watched_idx);
                }
            }
            #[cfg(feature = "onnx")]
            self.run_autoencoders();
            for watched_idx in &self.advanced {
                let watched = &mut self.watched[*watched_idx];
                watched.ensemble.conclude();
                watched.follow_limits(at, around);
            }
            let is_news = |due: &&Pending| self.watched[due.watched_idx].told_until.is_none_or(|told| at > told);
            let mut rows = moment.iter().filter(is_news).peekable();
            if rows.peek().is_some() {
                let rows = rows.filter_map(|due| self.watched[due.watched_idx].newest_row());
                observed.changes.extend(self.tracker.step(at, rows, around));
            }
            for due in moment {
                let told_until = &mut self.watched[due.watched_idx].told_until;
                *told_until = (*told_until).max(Some(at));
            }
        }
        pending.clear();
        self.pending = pending;
        observed.changes.extend(self.tracker.pass_time(now));
        observed
    }

    /// Runs the rows of the moment through their networks, those of one network in one batch.
    #[cfg(feature = "onnx")]
    fn run_autoencoders(&mut self) {
        let Self { watched, advanced, autoencoders, .. } = self;
        advanced.sort_unstable_by_key(|watched_idx| (watched[*watched_idx].batch, *watched_idx));
        let mut rest = advanced.as_slice();
        while let Some(first) = rest.first() {
            let network = |idx: &usize| watched[*idx].batch.map(|batch| batch.autoencoder_idx);
            let wanted = network(first);
            let (same, others) = rest.split_at(rest.partition_point(|idx| network(idx) == wanted));
            rest = others;
            let Some(autoencoder) = wanted.and_then(|idx| autoencoders.get_mut(idx)) else { continue };
            let scorings = autoencoder.score_batch(same.iter().map(|idx| watched[*idx].ensemble.trail()));
            for (watched_idx, scoring) in same.iter().zip(scorings) {
                let Watched { ensemble, batch, .. } = &mut watched[*watched_idx];
                if let Some(batch) = batch {
                    ensemble.settle(batch.member_idx, scoring.clone());
                }
            }
        }
    }

    /// A subject's ensemble.
    pub fn ensemble(&self, subject: &Subject) -> Option<&Ensemble> {
        self.position(subject).map(|idx| &self.watched[idx].ensemble)
    }

    fn position(&self, subject: &Subject) -> Option<usize> {
        self.watched.binary_search_by(|watched| watched.subject.cmp(subject)).ok()
    }

    /// The tracker, whose state must survive a restart: see [`Tracker::save`].
    pub fn tracker(&self) -> &Tracker {
        &self.tracker
    }

    /// Open and stale incidents, by subject.
    pub fn open_incidents(&self) -> impl Iterator<Item = &Incident> {
        self.tracker.open_incidents()
    }

    /// The moment of a subject's newest row and where each feature stood in it, in the order of its schema: what recovery
    /// is verified against. `None` for an unknown subject, and before its first row.
    pub fn feature_states(&self, subject: &Subject) -> Option<(Timestamp, &[FeatureState])> {
        let ensemble = self.ensemble(subject)?;
        Some((ensemble.newest_at()?, ensemble.feature_states()?))
    }
}

/// What is known beforehand of each feature of a subject; nothing, in most moments, without looking at features.
fn fill_known(known: &mut Vec<KnownEffect>, around: &Surroundings, subject: &Subject, schema: &Schema, at: Timestamp) {
    known.clear();
    let is_planned = around.calendar.covering(subject, at).is_some();
    if is_planned || around.rollouts.iter().any(|rollout| rollout.subject == *subject) {
        let of = |feature: &Feature| KnownEffect::of(&around.calendar, &around.rollouts, subject, feature.signal, at);
        known.extend(schema.features().iter().map(of));
    }
}

#[cfg(test)]
mod tests;
