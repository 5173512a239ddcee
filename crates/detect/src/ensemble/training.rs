//! How an ensemble is trained: fitted on the first part of the history, calibrated on the rest.

use std::sync::Arc;

use homeostat_core::{Assessment, DetectorVote, RawScore, Scoring, Seed, Timestamp, Window};

use super::fit_part::{NAME, fit_part, has_data};
use super::spec::EnsembleSpec;
use super::{
    AssessedRow, DetectorFit, Ensemble, FitReport, Member, MissingDetector, SharedModels, explain, missing_vote, vote,
};
use crate::alarm_threshold::AlarmThreshold;
use crate::detector::{ScoreError, TrainError};
use crate::detectors::Model;
use crate::feature_extractor::FeatureExtractor;
use crate::fusion::{Fusion, VOTES_MIN, fused_nats};
use crate::initial_threshold::initial_threshold;
use crate::tail::Tail;

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
        let (n_fit, scaler, extracted) = fit_part(history)?;
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
        let mut extractor = FeatureExtractor::new(scaler, history.grid().step());
        for step_idx in 0..n_fit {
            extractor.push(history.grid().at(step_idx), history.row(step_idx).iter().copied());
        }
        let held_out = HeldOut::run(&mut extractor, &mut models, history, n_fit);
        held_out.calibrated(spec, (history, n_fit), extractor, models, missing)
    }
}

/// What the detectors said of the held-out rows.
struct HeldOut {
    moments: Vec<Timestamp>,
    /// By model, then by row.
    scorings: Vec<Vec<Result<Scoring, ScoreError>>>,
}

impl HeldOut {
    /// Trailing rows without data are left for live windows to fill.
    fn run(extractor: &mut FeatureExtractor, models: &mut [Model], history: &Window, n_fit: usize) -> Self {
        let n_steps = history.grid().n_steps();
        let end = (n_fit..n_steps).rev().find(|idx| has_data(history, *idx)).map_or(n_fit, |idx| idx + 1);
        let mut held_out = Self { moments: Vec::new(), scorings: vec![Vec::new(); models.len()] };
        for step_idx in n_fit..end {
            let at = history.grid().at(step_idx);
            extractor.push(at, history.row(step_idx).iter().copied());
            held_out.moments.push(at);
            for (model, scorings) in models.iter_mut().zip(&mut held_out.scorings) {
                scorings.push(model.score(extractor.row_buffer(), &[]));
            }
        }
        held_out
    }

    /// Tails, then the threshold, then the memory, all from the same rows.
    fn calibrated(
        self,
        spec: &EnsembleSpec,
        (history, n_fit): (&Window, usize),
        extractor: FeatureExtractor,
        models: Vec<Model>,
        mut missing: Vec<MissingDetector>,
    ) -> Result<Ensemble, TrainError> {
        let mut members = Vec::new();
        let mut columns = Vec::new();
        let mut fits = Vec::new();
        for (model, scorings) in models.into_iter().zip(self.scorings) {
            let tail = Tail::fit(scorings.iter().filter_map(raw_score));
            if tail.n_rows() < TAIL_ROWS_MIN {
                missing.push(too_few_scored(model.name(), tail.n_rows(), scorings.len()));
            } else {
                fits.push(DetectorFit::of(model.name(), &scorings));
                members.push(Member { model, tail });
                columns.push(scorings.into_iter());
            }
        }
        if members.len() < VOTES_MIN {
            return Err(too_few_left(members.len(), &missing));
        }
        let votes: Vec<Vec<DetectorVote>> = self
            .moments
            .iter()
            .map(|_| {
                let scored = members.iter().zip(&mut columns).filter_map(|(member, column)| {
                    let vote = vote(column.next()?, &member.tail);
                    Some(DetectorVote { detector: member.model.name().into(), vote })
                });
                scored.chain(missing.iter().map(missing_vote)).collect()
            })
            .collect();
        let n_trained = members.len();
        let alerts = votes.iter().map(|votes| fused_nats(&votes[..n_trained]).map(|fused| fused.alert));
        let fused: Vec<Option<f64>> = alerts.collect();
        let initial = initial_threshold(&fused, extractor.step(), &spec.budget, &spec.hysteresis);
        let fit = FitReport::new(history, n_fit, &fused, initial.threshold_nats, &spec.hysteresis, fits);
        let mut fusion = Fusion::new(AlarmThreshold::new(initial, &spec.budget, extractor.step(), spec.hysteresis));
        let last = votes
            .into_iter()
            .zip(&self.moments)
            .map(|(votes, at)| (fusion.push(&votes[..n_trained]), votes, *at))
            .last();
        let last = last.map(|(fused, votes, at)| {
            let mut assessment = Assessment { at, votes, fused, deviations: Vec::new(), expected: Vec::new() };
            let mut features = Vec::new();
            explain(&extractor, &members, &mut assessment, &mut features);
            AssessedRow { assessment, features }
        });
        let schema = Arc::clone(history.schema());
        Ok(Ensemble { schema, extractor, members, missing, fusion: fusion.calibrated(), fit, last })
    }
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
