//! How an ensemble is trained: fitted on the first part of the history, calibrated on the rest.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use homeostat_core::{Assessment, DetectorVote, RawScore, Scoring, Seed, Timestamp, Window};

use super::fit_part::{NAME, fit_part, has_data, measured_part};
use super::spec::EnsembleSpec;
use super::{
    AssessedRow, DetectorFit, Ensemble, FitReport, Member, MissingDetector, SharedModels, explain, missing_vote, vote,
};
use crate::detector::{ScoreError, TrainError};
use crate::detectors::Model;
use crate::feature_extractor::FeatureExtractor;
use crate::fusion::{FittedFusion, FusionFit, RowNats};
use crate::surprisal::VOTES_MIN;
use crate::tail::Tail;

/// Models know changes of the clocks for so long after their history: bundles are older than that only where nobody looks after them. With
/// two changes a year it is a table of some twenty lines.
const LOCAL_TIME_AHEAD: Duration = Duration::from_secs(10 * 365 * 86_400);

/// A detector that scored fewer held-out rows than this has no tail worth the name.
const TAIL_ROWS_MIN: usize = 30;

impl Ensemble {
    /// Trains on one subject's history.
    ///
    /// Scaler and detectors are fitted on the first two thirds. The last third then runs through the very path that live
    /// rows take; its raw scores give the tails, its fused surprisals the threshold: nothing is calibrated on rows it was
    /// fitted on. The ensemble is left as if it had watched the history to its end.
    ///
    /// A detector that can't be trained on this history is listed in [`missing`](Ensemble::missing); the error is for a
    /// history that is too short, an option that is out of range, or fewer detectors left than a score needs.
    pub fn train(spec: &EnsembleSpec, history: &Window, seed: Seed) -> Result<Self, TrainError> {
        Self::train_with(&SharedModels::none(), spec, history, seed)
    }

    /// The same with the models that a group of subjects shares; what isn't shared is trained on this subject's history.
    /// Scales, forecast, tails and threshold are always the subject's own.
    ///
    /// # Errors
    /// As [`Ensemble::train`]; and [`TrainError::BadOption`] if the history has other features than the group's.
    pub fn train_with(
        shared: &SharedModels,
        spec: &EnsembleSpec,
        history: &Window,
        seed: Seed,
    ) -> Result<Self, TrainError> {
        if let Some(why) = spec.hysteresis.objection() {
            return Err(TrainError::BadOption { detector: NAME, why: why.to_owned() });
        }
        shared.check(history)?;
        let measured = measured_part(history);
        let history = measured.as_ref().unwrap_or(history);
        let (n_fit, scaler, extracted) = fit_part(history)?;
        let local_time = spec.local_time.between(history.grid().start(), history.grid().end() + LOCAL_TIME_AHEAD);
        let extracted = extracted.in_local_time(local_time.clone());
        let mut missing = Vec::new();
        let mut models = Vec::new();
        for detector in &spec.detectors {
            let own = || Model::train(detector, &extracted, seed.fork(detector.name()));
            match shared.model(detector.name()).unwrap_or_else(own) {
                Ok(model) => models.push(model),
                Err(error @ TrainError::BadOption { .. }) => return Err(error),
                Err(error @ (TrainError::TooFewRows { .. } | TrainError::Failed { .. })) => {
                    missing.push(MissingDetector { detector: detector.name().to_owned(), why: error.to_string() });
                }
            }
        }
        let mut extractor = FeatureExtractor::new(scaler, history.grid().step()).in_local_time(local_time);
        // Copies: what they learn of rows that they were fitted on isn't theirs to keep.
        let mut copies = models.clone();
        let fitted = Scored::run(&mut extractor, copies.iter_mut(), history, 0..n_fit);
        let n_steps = history.grid().n_steps();
        // Trailing rows without data are left for live windows to fill.
        let end = (n_fit..n_steps).rev().find(|idx| has_data(history, *idx)).map_or(n_fit, |idx| idx + 1);
        // Nor is room for a batch: what may be shared keeps nothing from row to row, and its copy says the same.
        let scoring = models.iter_mut().zip(&mut copies);
        let scoring = scoring.map(|(model, copy)| if model.shared_part().is_some() { copy } else { model });
        let held_out = Scored::run(&mut extractor, scoring, history, n_fit..end);
        held_out.calibrated(fitted, spec, (history, n_fit), extractor, models, missing)
    }
}

/// What the detectors said of some rows of a history.
struct Scored {
    moments: Vec<Timestamp>,
    /// By model, then by row.
    scorings: Vec<Vec<Result<Scoring, ScoreError>>>,
}

impl Scored {
    /// In batches, where a model has use for them.
    fn run<'a>(
        extractor: &mut FeatureExtractor,
        models: impl Iterator<Item = &'a mut Model>,
        history: &Window,
        rows: Range<usize>,
    ) -> Self {
        let mut models: Vec<(&mut Model, Vec<Result<Scoring, ScoreError>>)> =
            models.map(|model| (model, Vec::with_capacity(rows.len()))).collect();
        let mut moments = Vec::with_capacity(rows.len());
        for step_idx in rows {
            let at = history.grid().at(step_idx);
            extractor.push(at, history.row(step_idx).iter().copied());
            moments.push(at);
            models.iter_mut().for_each(|(model, scorings)| model.score_later(extractor.row_buffer(), scorings));
        }
        models.iter_mut().for_each(|(model, scorings)| model.score_waiting(scorings));
        Self { moments, scorings: models.into_iter().map(|(_, scorings)| scorings).collect() }
    }

    /// Of held-out rows, with what was said of the rows before: tails, then the thresholds, then the memory.
    fn calibrated(
        self,
        fitted: Self,
        spec: &EnsembleSpec,
        (history, n_fit): (&Window, usize),
        extractor: FeatureExtractor,
        models: Vec<Model>,
        mut missing: Vec<MissingDetector>,
    ) -> Result<Ensemble, TrainError> {
        let mut members = Vec::new();
        let (mut fitted_columns, mut columns) = (Vec::new(), Vec::new());
        let mut fits = Vec::new();
        for ((model, scorings), of_fitted) in models.into_iter().zip(self.scorings).zip(fitted.scorings) {
            let tail = Tail::fit(scorings.iter().filter_map(raw_score));
            if tail.n_rows() < TAIL_ROWS_MIN {
                missing.push(too_few_scored(model.name(), tail.n_rows(), scorings.len()));
            } else {
                fits.push(DetectorFit::of(model.name(), &scorings));
                members.push(Member { model, tail });
                fitted_columns.push(of_fitted);
                columns.push(scorings);
            }
        }
        if members.len() < VOTES_MIN {
            return Err(too_few_left(members.len(), &missing));
        }
        let held_out: Vec<(Timestamp, Vec<DetectorVote>)> = votes(&members, self.moments, columns).collect();
        let fitted: Vec<(Timestamp, RowNats)> =
            votes(&members, fitted.moments, fitted_columns).map(|(at, votes)| (at, RowNats::of(&votes))).collect();
        let (step, budget, hysteresis) = (extractor.step(), spec.budget, spec.hysteresis);
        let ranks: Vec<bool> = members.iter().map(|member| member.model.ranks()).collect();
        let local_time = extractor.row_buffer().local_time();
        let fit =
            FusionFit { ranks: &ranks, fitted: &fitted, held_out: &held_out, step, local_time, budget, hysteresis };
        let FittedFusion { held_out_nats, threshold_nats, fusion, last } = fit.run();
        let fit = FitReport::new(history, n_fit, &held_out_nats, threshold_nats, &spec.hysteresis, fits);
        let last = last.zip(held_out.into_iter().last()).map(|(fused, (at, mut votes))| {
            votes.extend(missing.iter().map(missing_vote));
            let mut assessment = Assessment { at, votes, fused, deviations: Vec::new(), expected: Vec::new() };
            let mut features = Vec::new();
            explain(&extractor, &members, &mut assessment, &mut features);
            AssessedRow { assessment, features }
        });
        let schema = Arc::clone(history.schema());
        Ok(Ensemble { schema, extractor, members, missing, fusion, fit, last })
    }
}

/// The members' votes on each row.
fn votes(
    members: &[Member],
    moments: Vec<Timestamp>,
    columns: Vec<Vec<Result<Scoring, ScoreError>>>,
) -> impl Iterator<Item = (Timestamp, Vec<DetectorVote>)> {
    let mut columns: Vec<_> = columns.into_iter().map(Vec::into_iter).collect();
    moments.into_iter().map(move |at| {
        let of_member = |(member, column): (&Member, &mut std::vec::IntoIter<_>)| {
            let vote = vote(column.next()?, &member.tail);
            Some(DetectorVote { detector: member.model.name().into(), vote })
        };
        (at, members.iter().zip(&mut columns).filter_map(of_member).collect())
    })
}

fn raw_score(scoring: &Result<Scoring, ScoreError>) -> Option<RawScore> {
    match scoring {
        Ok(Scoring::Scored(raw)) => Some(*raw),
        Ok(Scoring::NotReady(_)) | Err(_) => None,
    }
}

fn too_few_scored(detector: &str, n_scored: usize, n_rows: usize) -> MissingDetector {
    let why = format!(
        "it scored {n_scored} of {n_rows} held-out rows, {TAIL_ROWS_MIN} are needed: pull a longer history with fewer gaps"
    );
    MissingDetector { detector: detector.to_owned(), why }
}

fn too_few_left(n_left: usize, missing: &[MissingDetector]) -> TrainError {
    let reasons: Vec<String> = missing.iter().map(|one| format!("{}: {}", one.detector, one.why)).collect();
    let why = format!("{n_left} detectors could be trained, {VOTES_MIN} are needed ({})", reasons.join("; "));
    TrainError::Failed { detector: NAME, why }
}
