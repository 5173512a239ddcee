//! All detectors of one subject, their calibration and their memory: windows in, assessments out.
//!
//! It keeps no incidents and types nothing; that is the tracker's.

use std::sync::Arc;
use std::time::Duration;

use homeostat_core::{Assessment, DetectorVote, Fused, LocalTime, NotReady, Schema, Scoring, Timestamp, Vote, Window};
use ndarray::ArrayView1;
use serde::{Deserialize, Serialize};

use crate::budget::FalseAlarmBudget;
use crate::detector::ScoreError;
use crate::detectors::Model;
use crate::feature_extractor::FeatureExtractor;
use crate::feature_state::{FeatureState, feature_states, strongest_deviations};
use crate::fitted::SharedPart;
use crate::fusion::Fusion;
use crate::known_effect::KnownEffect;
use crate::look_ahead::look_ahead;
use crate::recurrence::ExpectedTime;
use crate::row_buffer::{BUFFER_ROWS_MAX, RowBuffer};
use crate::surprisal::VOTES_MIN;
use crate::tail::Tail;

mod fit;
mod fit_part;
mod group;
mod saved;
mod spec;
mod training;

pub use fit::{DetectorFit, FitReport};
pub use group::{Kind, SharedModels, grouped, groups, kind, shared_sample};
pub use saved::{Restorer, SavedEnsemble, Saver};
pub use spec::EnsembleSpec;

/// The trained detectors of one subject.
///
/// Rows pass once, in order. A row in which nothing at all was measured isn't taken when it comes: it may still be filled
/// by the next window. When a later row does come, the steps before it without data become rows of gaps (64 at
/// most), so that cutting the same data into other windows changes nothing.
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
/// use homeostat_detect::{Ensemble, EnsembleSpec};
///
/// let mut ensemble = Ensemble::train(&EnsembleSpec::default(), &window("cart", 0, 400)?, Seed::new(1))?;
/// let usual = ensemble.assess(&window("cart", 400, 30)?);
/// assert!(usual.score().is_some_and(|score| !score.is_alarming()));
/// // What a window says is known from then on; asking without keeping anything is `assess_once`.
/// assert_eq!(ensemble.newest_at(), Some(usual.at));
/// # Ok::<(), Any>(())
/// ```
#[derive(Clone, Debug)]
pub struct Ensemble {
    schema: Arc<Schema>,
    extractor: FeatureExtractor,
    members: Vec<Member>,
    missing: Vec<MissingDetector>,
    fusion: Fusion,
    fit: FitReport,
    last: Option<AssessedRow>,
}

#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) model: Model,
    pub(crate) tail: Tail,
}

/// A detector that was wanted and couldn't be trained.
///
/// ```
/// use homeostat_detect::MissingDetector;
///
/// let missing = MissingDetector { detector: "dbscan".into(), why: "too few rows".into() };
/// assert_eq!(serde_json::to_value(&missing)?["why"], "too few rows");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MissingDetector {
    /// Its name.
    pub detector: String,
    /// Why, and what would help.
    pub why: String,
}

/// A row that was begun and isn't finished: see [`Ensemble::begin`].
#[derive(Debug)]
#[must_use = "a row that isn't finished is lost"]
pub(crate) struct RowUnderWay(AssessedRow);

/// What is said of one row.
#[derive(Clone, Debug, PartialEq)]
pub struct AssessedRow {
    /// Votes, score and explanation.
    pub assessment: Assessment,
    /// Where each feature stands, in the schema's order.
    pub features: Vec<FeatureState>,
}

impl Ensemble {
    /// The features it was trained on.
    pub fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    /// What the time of the day and the day of the week go by.
    pub fn local_time(&self) -> &LocalTime {
        self.extractor.row_buffer().local_time()
    }

    /// The time between rows it was trained on.
    pub fn step(&self) -> Duration {
        self.extractor.step()
    }

    /// Detectors that were wanted and couldn't be trained. Each is a failed vote in every assessment.
    pub fn missing(&self) -> &[MissingDetector] {
        &self.missing
    }

    /// Names of the detectors that were trained, in the order of their votes.
    pub fn detectors(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.members.iter().map(|member| member.model.name())
    }

    /// What its fit was like.
    pub fn fit(&self) -> &FitReport {
        &self.fit
    }

    /// The fused surprisal at which the score of the next row will be 1.0, in nats. It moves so that the budget holds.
    pub fn threshold_nats(&self) -> f64 {
        self.fusion.threshold_nats()
    }

    /// Goes by what people say is meant to happen at certain times, in place of what they said before. It isn't saved with the models.
    pub fn expect(&mut self, expected: &[ExpectedTime]) {
        let local_time = self.local_time();
        let local: Vec<ExpectedTime> = expected.iter().map(|time| time.local(local_time)).collect();
        self.fusion.expect(&local);
    }

    /// Keeps to this false-alarm budget from now on, or to the one that it was trained for where that is tighter. Nothing is trained anew: the
    /// threshold goes where the tail of its history puts it.
    pub fn hold_to(&mut self, budget: &FalseAlarmBudget) {
        self.fusion.hold_to(budget);
    }

    /// Bytes held: `rows` (rows and scales) first, then each detector with its calibration. What [`crate::estimate`]
    /// foresees for a subject that shares nothing.
    pub fn memory_bytes(&self) -> Vec<(&'static str, usize)> {
        let shared = self.members.iter().map(|member| member.model.shared_part().map_or(0, |part| part.bytes));
        let mut parts = self.own_bytes();
        for ((_, own), shared) in parts.iter_mut().skip(1).zip(shared) {
            *own += shared;
        }
        parts
    }

    /// The same without the trained models that other subjects may share: what one more subject of the same kind costs.
    pub fn own_bytes(&self) -> Vec<(&'static str, usize)> {
        let members = self.members.iter().map(|member| {
            (member.model.name(), size_of::<Member>() + member.model.own_bytes() + member.tail.heap_bytes())
        });
        let own = size_of::<Self>() + self.extractor.heap_bytes() + self.fusion.heap_bytes() + self.fit.heap_bytes();
        std::iter::once(("rows", own)).chain(members).collect()
    }

    /// The trained models that other subjects may share.
    pub(crate) fn shared_parts(&self) -> impl Iterator<Item = SharedPart> + '_ {
        self.members.iter().filter_map(|member| member.model.shared_part())
    }

    /// The moment of the newest row it has seen.
    pub fn newest_at(&self) -> Option<Timestamp> {
        self.extractor.row_buffer().newest_at()
    }

    /// Takes the window's rows that are newer than what it has seen, and assesses the newest. It can't fail: what a detector
    /// can't say is its vote. Without a newer row the last assessment is given again; its `at` says how old it is.
    pub fn assess(&mut self, window: &Window) -> Assessment {
        match self.assess_rows(window) {
            Ok(rows) => match rows.into_iter().last().or_else(|| self.last.clone()) {
                Some(row) => row.assessment,
                None => self.without_votes(self.newest_at().unwrap_or(window.grid().end()), &NOTHING_YET),
            },
            Err(misfit) => {
                let vote = Vote::Failed { why: misfit.to_string() };
                self.without_votes(window.grid().end(), &vote)
            }
        }
    }

    /// Assesses a window on its own: the row buffer starts empty, detectors start from where they are, and nothing is kept.
    pub fn assess_once(&self, window: &Window) -> Assessment {
        self.restarted().assess(window)
    }

    /// The same models as if they had seen no row yet: for rows older than what it has seen. Detectors and the threshold start
    /// from where they are.
    #[must_use]
    pub fn restarted(&self) -> Self {
        let mut fresh = self.clone();
        fresh.extractor = self.extractor.emptied();
        fresh.fusion = self.fusion.forgotten();
        fresh.last = None;
        fresh
    }

    /// Takes the window's rows that are newer than what it has seen, and assesses each, oldest first.
    pub fn assess_rows(&mut self, window: &Window) -> Result<Vec<AssessedRow>, Misfit> {
        let mut pending = Vec::new();
        self.pending(window, |at, step_idx| pending.push((at, step_idx)))?;
        let row = |step_idx: Option<usize>| step_idx.map(|step_idx| window.row(step_idx));
        Ok(pending.into_iter().filter_map(|(at, step_idx)| self.take(at, row(step_idx)).cloned()).collect())
    }

    /// Names the rows that are due, oldest first: each moment, with its row in the window, or none for a step without data.
    pub(crate) fn pending(
        &self,
        window: &Window,
        mut visit: impl FnMut(Timestamp, Option<usize>),
    ) -> Result<(), Misfit> {
        self.check(window)?;
        let mut newest = self.newest_at();
        for step_idx in 0..window.grid().n_steps() {
            let at = window.grid().at(step_idx);
            let is_new = newest.is_none_or(|newest| at > newest);
            if !is_new || window.row(step_idx).iter().all(|value| value.is_nan()) {
                continue;
            }
            let n_gaps = newest.map_or(0, |newest| self.n_gaps_between(newest, at));
            for back in (1..=n_gaps).rev() {
                visit(at - self.step() * back, None);
            }
            visit(at, Some(step_idx));
            newest = Some(at);
        }
        Ok(())
    }

    /// Takes one row and assesses it; `None` is a row of gaps. A row that isn't newer than what it has seen is left alone.
    /// Nothing is allocated but for a detector that fails.
    pub(crate) fn take(&mut self, at: Timestamp, row: Option<ArrayView1<'_, f64>>) -> Option<&AssessedRow> {
        let mut row = self.begin(at, row, &[])?;
        for member_idx in 0..self.members.len() {
            self.vote_shared(&mut row, member_idx);
        }
        self.finish(row);
        self.last.as_ref()
    }

    /// Begins a row: the detectors vote that are this subject's alone. `None` if the row isn't newer than what it has seen. `known`
    /// says what is known beforehand of each feature; empty is nothing.
    ///
    /// Those that share their model have yet to [`vote`](Self::vote); then the row is [finished](Self::finish).
    pub(crate) fn begin(
        &mut self,
        at: Timestamp,
        row: Option<ArrayView1<'_, f64>>,
        known: &[KnownEffect],
    ) -> Option<RowUnderWay> {
        if self.newest_at().is_some_and(|newest| at <= newest) {
            return None;
        }
        match row {
            Some(row) => self.extractor.push(at, row.iter().copied()),
            None => self.extractor.push(at, std::iter::repeat_n(f64::NAN, self.schema.n_features())),
        };
        let mut row = self.last.take().unwrap_or_else(|| self.blank(at));
        row.assessment.at = at;
        let row_buffer = self.extractor.row_buffer();
        let mut clock_change_s = None;
        // Members come first among the votes; what is missing says the same of every row.
        for (member, named) in self.members.iter_mut().zip(&mut row.assessment.votes) {
            if member.model.shared_part().is_none() {
                named.vote = vote(member.model.score(row_buffer, known), &member.tail);
                clock_change_s = clock_change_s.or(member.model.take_clock_change());
            }
        }
        if let Some(change_s) = clock_change_s {
            self.extractor.change_clock(at, change_s);
        }
        Some(RowUnderWay(row))
    }

    /// The vote of a member whose model was scored for several subjects at once.
    pub(crate) fn vote(&self, row: &mut RowUnderWay, member_idx: usize, scoring: Result<Scoring, ScoreError>) {
        if let (Some(member), Some(named)) = (self.members.get(member_idx), row.0.assessment.votes.get_mut(member_idx))
        {
            named.vote = vote(scoring, &member.tail);
        }
    }

    /// The same for this subject alone; nothing for a member that shares no model.
    pub(crate) fn vote_shared(&mut self, row: &mut RowUnderWay, member_idx: usize) {
        let Some(member) = self.members.get_mut(member_idx).filter(|member| member.model.shared_part().is_some())
        else {
            return;
        };
        let scoring = member.model.score(self.extractor.row_buffer(), &[]);
        self.vote(row, member_idx, scoring);
    }

    /// Finishes a row: votes to a score, and where each feature stands.
    pub(crate) fn finish(&mut self, RowUnderWay(mut row): RowUnderWay) {
        let AssessedRow { assessment, features } = &mut row;
        // What wasn't trained has no part in the threshold either.
        let at = self.extractor.row_buffer().local_time().moment(assessment.at);
        assessment.fused = self.fusion.push(at, &assessment.votes[..self.members.len()]);
        explain(&self.extractor, &self.members, assessment, features);
        self.last = Some(row);
    }

    /// Asks for the memory that the next row will read, so many rows of other subjects before its turn: at most
    /// [`LOOK_AHEAD_ROWS`].
    pub(crate) fn look_ahead(&self, n_rows_before: usize) {
        match n_rows_before {
            LOOK_AHEAD_ROWS => look_ahead(std::slice::from_ref(self)),
            4 => {
                look_ahead(&self.members);
                self.extractor.row_buffer().look_ahead();
            }
            _ => self.members.iter().for_each(|member| member.model.look_ahead(n_rows_before)),
        }
        if n_rows_before == 2 {
            self.members.iter().for_each(|member| member.tail.look_ahead());
        }
    }

    /// Asks for what finishing a row reads beside.
    pub(crate) fn look_ahead_to_finish(&self) {
        self.fusion.look_ahead();
    }

    /// The models that may be shared, by position among the members.
    pub(crate) fn shared_models(&self) -> impl Iterator<Item = (usize, &Model)> {
        let models = self.members.iter().map(|member| &member.model).enumerate();
        models.filter(|(_, model)| model.shared_part().is_some())
    }

    /// The rows as detectors see them.
    pub(crate) fn row_buffer(&self) -> &RowBuffer {
        self.extractor.row_buffer()
    }

    /// The newest row that was assessed since it was trained or loaded.
    pub fn last(&self) -> Option<&AssessedRow> {
        self.last.as_ref()
    }

    /// Where each feature stood at the newest row, in the schema's order; `None` before the first row since it was loaded.
    pub fn feature_states(&self) -> Option<&[FeatureState]> {
        self.last.as_ref().map(|row| row.features.as_slice())
    }

    /// What each feature contributes to the forest's vote on the newest row, `(n_features)` in the schema's order, in doublings of
    /// its score over that of a row of which nothing is known: see [`Forest::attribute`](crate::Forest::attribute). `None` without
    /// a forest, and before the first row. For explaining, not for every row: it takes some hundred microseconds.
    pub fn forest_contributions(&self) -> Option<Vec<f64>> {
        self.newest_at()?;
        let mut contributions = Vec::new();
        self.members
            .iter()
            .find_map(|member| {
                // A copy shares the trees.
                let said = member.model.clone().contributions(self.extractor.row_buffer(), &mut contributions)?;
                Some(said.is_ok())
            })?
            .then_some(contributions)
    }

    fn check(&self, window: &Window) -> Result<(), Misfit> {
        if **window.schema() != *self.schema {
            return Err(Misfit::Schema);
        }
        if window.grid().step() != self.extractor.step() {
            return Err(Misfit::Step);
        }
        Ok(())
    }

    /// Steps without data between two moments; at most as many as the row buffer holds.
    fn n_gaps_between(&self, newest: Timestamp, at: Timestamp) -> u32 {
        let missed = at.since(newest).as_millis() / self.step().as_millis().max(1);
        missed.saturating_sub(1).min(BUFFER_ROWS_MAX as u128) as u32
    }

    /// Room for the first assessment.
    fn blank(&self, at: Timestamp) -> AssessedRow {
        AssessedRow { assessment: self.without_votes(at, &NOTHING_YET), features: Vec::new() }
    }

    /// An assessment in which every detector says the same.
    fn without_votes(&self, at: Timestamp, vote: &Vote) -> Assessment {
        let named = |name: &'static str| DetectorVote { detector: name.into(), vote: vote.clone() };
        Assessment {
            at,
            votes: self.detectors().map(named).chain(self.missing.iter().map(missing_vote)).collect(),
            fused: Fused::TooFewVotes { n_scored: 0, n_needed: VOTES_MIN },
            deviations: vec![None; self.schema.n_features()],
            expected: vec![None; self.schema.n_features()],
        }
    }
}

/// Why a window can't be scored by this ensemble: train again, or put the config back.
///
/// ```
/// use homeostat_detect::Misfit;
///
/// assert!(Misfit::Schema.to_string().contains("train again after changing queries"));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Misfit {
    /// The features differ.
    #[error("the window's features differ from those in training: train again after changing queries")]
    Schema,
    /// The step differs.
    #[error("the window's step differs from that in training: train again after changing the step")]
    Step,
}

/// How many rows before its turn a subject's memory is first asked for: as many as there are pointers on the way to the last of it.
pub(crate) const LOOK_AHEAD_ROWS: usize = 5;

const NOTHING_YET: Vote = Vote::NotReady { why: NotReady::TooFewSteps };

fn vote(scoring: Result<Scoring, ScoreError>, tail: &Tail) -> Vote {
    match scoring {
        Ok(Scoring::Scored(raw)) => Vote::Scored { raw, tail: tail.probability(raw) },
        Ok(Scoring::NotReady(why)) => Vote::NotReady { why },
        Err(error) => Vote::Failed { why: error.to_string() },
    }
}

fn missing_vote(missing: &MissingDetector) -> DetectorVote {
    DetectorVote {
        detector: missing.detector.clone().into(),
        vote: Vote::Failed { why: format!("not trained: {}", missing.why) },
    }
}

/// Fills in where each feature stands and what was expected of it.
fn explain(
    extractor: &FeatureExtractor,
    members: &[Member],
    assessment: &mut Assessment,
    features: &mut Vec<FeatureState>,
) {
    let forecast = members.iter().find_map(|member| member.model.expectations());
    feature_states(extractor, forecast, features);
    assessment.expected.clear();
    assessment.expected.extend(features.iter().map(|state| state.expected));
    strongest_deviations(extractor.row_buffer(), &mut assessment.deviations);
}

#[cfg(test)]
mod tests;
