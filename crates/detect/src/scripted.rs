//! A detector of the tests that does what it is told: one file, and a line in the list.

use homeostat_core::{NotReady, RawScore, Scoring, Seed};
use serde::{Deserialize, Serialize};

use crate::detector::{Detector, ScoreError, TrainError};
use crate::feature_extractor::ExtractedFeatures;
use crate::fitted::{DetectorBytes, Fitted, HistoryShape, RestoredFile};
use crate::load_options::LoadOptions;
use crate::restore_error::RestoreError;
use crate::row_buffer::{Channel, RowBuffer};

/// Scores the newest row's farthest level, until it breaks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scripted {
    n_features: usize,
    script: Script,
}

/// What it is to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Script {
    pub(crate) untrainable: bool,
    /// Rows after which it fails for good.
    pub(crate) fails_after: u64,
}

impl Default for Script {
    fn default() -> Self {
        Self { untrainable: false, fails_after: u64::MAX }
    }
}

impl Detector for Scripted {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn score(&mut self, row_buffer: &RowBuffer) -> Result<Scoring, ScoreError> {
        if row_buffer.n_features() != self.n_features {
            return Err(ScoreError::Shape { found: row_buffer.n_features(), wanted: self.n_features });
        }
        if row_buffer.n_pushed() > self.script.fails_after {
            return Err(ScoreError::Model { why: "told to".into() });
        }
        let levels = row_buffer.row(0, Channel::Level).unwrap_or(&[]);
        let farthest = levels.iter().filter(|level| !level.is_nan()).map(|level| level.abs()).reduce(f64::max);
        let raw = farthest.and_then(|level| RawScore::new(level).ok());
        Ok(raw.map_or(Scoring::NotReady(NotReady::TooManyGaps), Scoring::Scored))
    }
}

impl Fitted for Scripted {
    const NAME: &'static str = "scripted";
    const BY_DEFAULT: bool = false;
    type Spec = Script;
    type Own = Self;

    fn train(script: &Script, history: &ExtractedFeatures, _seed: Seed) -> Result<Self, TrainError> {
        if script.untrainable {
            return Err(TrainError::Failed { detector: Self::NAME, why: "told to".into() });
        }
        if history.n_rows() < 2 {
            return Err(TrainError::TooFewRows { detector: Self::NAME, found: history.n_rows(), needed: 2 });
        }
        Ok(Self { n_features: history.n_features(), script: script.clone() })
    }

    fn own(&self) -> Result<Self, RestoreError> {
        Ok(self.clone())
    }

    fn restore(own: Self, _model: RestoredFile<'_, Self>, _options: &LoadOptions) -> Result<Self, RestoreError> {
        Ok(own)
    }

    fn own_bytes(&self) -> usize {
        size_of::<Self>()
    }

    fn estimated_bytes(_script: &Script, _shape: HistoryShape) -> DetectorBytes {
        DetectorBytes { own: size_of::<Self>(), shared: 0 }
    }
}
