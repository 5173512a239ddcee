//! The closed list of detectors an ensemble can have.
//!
//! Adding one is a variant here; the compiler then names every other place.

use std::sync::Arc;

use homeostat_core::{Scoring, Seed};
use serde::Serialize;

#[cfg(feature = "onnx")]
use crate::autoencoder::{Autoencoder, AutoencoderSpec};
use crate::dbscan::{Dbscan, DbscanSpec};
use crate::detector::{Detector, ScoreError, TrainError};
use crate::feature_extractor::ExtractedFeatures;
use crate::forecast::{Forecast, ForecastSpec, KnownEffect};
use crate::forest::{Forest, ForestSpec};
use crate::pca::Pca;
use crate::residual::Residual;
use crate::row_buffer::RowBuffer;

/// A detector to train, with its options.
///
/// ```
/// use homeostat_detect::{DetectorSpec, ForestSpec};
///
/// assert_eq!(DetectorSpec::by_name("forest"), Some(DetectorSpec::Forest(ForestSpec::default())));
/// assert_eq!(DetectorSpec::by_name("oracle"), None);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "detector")]
pub enum DetectorSpec {
    /// Distance from the rows before; nothing to choose.
    Residual,
    /// Isolation forest.
    Forest(ForestSpec),
    /// Distance from the dense regions of training.
    Dbscan(DbscanSpec),
    /// Distance from what seasons and smoothing expect.
    Forecast(ForecastSpec),
    /// Distance from how features usually move together; nothing to choose.
    Pca,
    /// Reconstruction by a small network, an ONNX model.
    #[cfg(feature = "onnx")]
    Autoencoder(AutoencoderSpec),
    /// A detector of the tests that does what it is told.
    #[cfg(test)]
    Scripted(Scripted),
}

impl DetectorSpec {
    /// Every detector with its default options, in the order of their votes.
    pub fn all_default() -> Vec<Self> {
        vec![
            Self::Residual,
            Self::Forest(ForestSpec::default()),
            Self::Dbscan(DbscanSpec::default()),
            Self::Forecast(ForecastSpec::default()),
            Self::Pca,
            #[cfg(feature = "onnx")]
            Self::Autoencoder(AutoencoderSpec::default()),
        ]
    }

    /// The detector of this name, with its default options; `None` if this program has none of that name.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::all_default().into_iter().find(|spec| spec.name() == name)
    }

    /// The detector's stable name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Residual => Residual::NAME,
            Self::Forest(_) => "forest",
            Self::Dbscan(_) => "dbscan",
            Self::Forecast(_) => "forecast",
            Self::Pca => "pca",
            #[cfg(feature = "onnx")]
            Self::Autoencoder(_) => "autoencoder",
            #[cfg(test)]
            Self::Scripted(scripted) => scripted.name,
        }
    }
}

/// A trained detector.
#[derive(Clone, Debug)]
pub(crate) enum Model {
    Residual(Residual),
    Forest(Forest),
    Dbscan(Dbscan),
    Forecast(Forecast),
    Pca(Pca),
    #[cfg(feature = "onnx")]
    Autoencoder(Box<Autoencoder>),
    #[cfg(test)]
    Scripted(Scripted),
}

impl Model {
    pub(crate) fn train(spec: &DetectorSpec, history: &ExtractedFeatures, seed: Seed) -> Result<Self, TrainError> {
        match spec {
            DetectorSpec::Residual => Ok(Self::Residual(Residual::new(history))),
            DetectorSpec::Forest(spec) => Forest::train(spec, history, seed).map(Self::Forest),
            DetectorSpec::Dbscan(spec) => Dbscan::train(spec, history, seed).map(Self::Dbscan),
            DetectorSpec::Forecast(spec) => Forecast::train(spec, history, seed).map(Self::Forecast),
            DetectorSpec::Pca => Pca::train(history, seed).map(Self::Pca),
            #[cfg(feature = "onnx")]
            DetectorSpec::Autoencoder(spec) => {
                Autoencoder::train(spec, history, seed).map(|trained| Self::Autoencoder(Box::new(trained)))
            }
            #[cfg(test)]
            DetectorSpec::Scripted(scripted) => scripted.train().map(Self::Scripted),
        }
    }

    /// Trains one model for several subjects; `None` where each subject's model is its own.
    pub(crate) fn train_shared(
        spec: &DetectorSpec,
        histories: &[&ExtractedFeatures],
        seed: Seed,
    ) -> Option<Result<Self, TrainError>> {
        match spec {
            DetectorSpec::Forest(spec) => Some(Forest::train_shared(spec, histories, seed).map(Self::Forest)),
            DetectorSpec::Dbscan(spec) => Some(Dbscan::train_shared(spec, histories, seed).map(Self::Dbscan)),
            DetectorSpec::Pca => Some(Pca::train_shared(histories, seed).map(Self::Pca)),
            #[cfg(feature = "onnx")]
            DetectorSpec::Autoencoder(spec) => {
                let trained = Autoencoder::train_shared(spec, histories, seed);
                Some(trained.map(|trained| Self::Autoencoder(Box::new(trained))))
            }
            DetectorSpec::Residual | DetectorSpec::Forecast(_) => None,
            #[cfg(test)]
            DetectorSpec::Scripted(_) => None,
        }
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Residual(residual) => residual.name(),
            Self::Forest(forest) => forest.name(),
            Self::Dbscan(dbscan) => dbscan.name(),
            Self::Forecast(forecast) => forecast.name(),
            Self::Pca(pca) => pca.name(),
            #[cfg(feature = "onnx")]
            Self::Autoencoder(autoencoder) => autoencoder.name(),
            #[cfg(test)]
            Self::Scripted(scripted) => scripted.name,
        }
    }

    /// Scores the row buffer's newest row. `known` says what is known beforehand of each feature; only a forecast listens.
    pub(crate) fn score(&mut self, row_buffer: &RowBuffer, known: &[KnownEffect]) -> Result<Scoring, ScoreError> {
        match self {
            Self::Residual(residual) => residual.score(row_buffer),
            Self::Forest(forest) => forest.score(row_buffer),
            Self::Dbscan(dbscan) => dbscan.score(row_buffer),
            Self::Forecast(forecast) => forecast.score_knowing(row_buffer, known),
            Self::Pca(pca) => pca.score(row_buffer),
            #[cfg(feature = "onnx")]
            Self::Autoencoder(autoencoder) => autoencoder.score(row_buffer),
            #[cfg(test)]
            Self::Scripted(scripted) => scripted.score(row_buffer),
        }
    }

    /// Bytes held beside what is shared.
    pub(crate) fn own_bytes(&self) -> usize {
        match self {
            Self::Residual(_) => size_of::<Residual>(),
            Self::Forest(forest) => forest.own_bytes(),
            Self::Dbscan(dbscan) => dbscan.own_bytes(),
            Self::Forecast(forecast) => forecast.memory_bytes(),
            Self::Pca(pca) => pca.own_bytes(),
            #[cfg(feature = "onnx")]
            Self::Autoencoder(autoencoder) => autoencoder.own_bytes(),
            #[cfg(test)]
            Self::Scripted(_) => size_of::<Scripted>(),
        }
    }

    /// The trained part that other subjects may share: where it is, which tells it from others, and its bytes.
    pub(crate) fn shared_part(&self) -> Option<SharedPart> {
        match self {
            Self::Residual(_) | Self::Forecast(_) => None,
            Self::Forest(forest) => Some(SharedPart::of(forest.forest(), forest.forest().memory_bytes())),
            Self::Dbscan(dbscan) => Some(SharedPart::of(dbscan.model(), dbscan.model().memory_bytes())),
            Self::Pca(pca) => Some(SharedPart::of(pca.model(), pca.model().memory_bytes())),
            #[cfg(feature = "onnx")]
            Self::Autoencoder(autoencoder) => {
                Some(SharedPart::of(autoencoder.model(), autoencoder.model().memory_bytes()))
            }
            #[cfg(test)]
            Self::Scripted(_) => None,
        }
    }

    /// The autoencoder, if it is one: many subjects' rows go through its network at once.
    #[cfg(feature = "onnx")]
    pub(crate) fn as_autoencoder(&self) -> Option<&Autoencoder> {
        match self {
            Self::Autoencoder(autoencoder) => Some(autoencoder),
            Self::Residual(_) | Self::Forest(_) | Self::Dbscan(_) | Self::Forecast(_) | Self::Pca(_) => None,
            #[cfg(test)]
            Self::Scripted(_) => None,
        }
    }

    /// The forest, if it is one.
    pub(crate) fn as_forest(&self) -> Option<&Forest> {
        match self {
            Self::Forest(forest) => Some(forest),
            Self::Residual(_) | Self::Dbscan(_) | Self::Forecast(_) | Self::Pca(_) => None,
            #[cfg(feature = "onnx")]
            Self::Autoencoder(_) => None,
            #[cfg(test)]
            Self::Scripted(_) => None,
        }
    }

    /// The forecast, if it is one.
    pub(crate) fn as_forecast(&self) -> Option<&Forecast> {
        match self {
            Self::Forecast(forecast) => Some(forecast),
            Self::Residual(_) | Self::Forest(_) | Self::Dbscan(_) | Self::Pca(_) => None,
            #[cfg(feature = "onnx")]
            Self::Autoencoder(_) => None,
            #[cfg(test)]
            Self::Scripted(_) => None,
        }
    }
}

/// A trained part that several subjects may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SharedPart {
    /// Where it is: the same for all that share it, as long as one of them lives.
    pub(crate) address: usize,
    pub(crate) bytes: usize,
}

impl SharedPart {
    fn of<T>(part: &Arc<T>, bytes: usize) -> Self {
        Self { address: Arc::as_ptr(part).addr(), bytes }
    }
}

/// A detector that scores the newest level of the first feature, until it breaks.
#[cfg(test)]
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Scripted {
    #[serde(skip, default = "scripted_name")]
    pub(crate) name: &'static str,
    pub(crate) untrainable: bool,
    /// Rows after which it fails for good.
    pub(crate) fails_after: u64,
}

#[cfg(test)]
fn scripted_name() -> &'static str {
    "scripted"
}

#[cfg(test)]
impl Scripted {
    pub(crate) fn level() -> Self {
        Self { name: scripted_name(), untrainable: false, fails_after: u64::MAX }
    }

    fn train(&self) -> Result<Self, TrainError> {
        if self.untrainable {
            return Err(TrainError::Failed { detector: self.name, why: "told to".into() });
        }
        Ok(self.clone())
    }
}

#[cfg(test)]
impl Detector for Scripted {
    fn name(&self) -> &'static str {
        self.name
    }

    fn score(&mut self, row_buffer: &RowBuffer) -> Result<Scoring, ScoreError> {
        use homeostat_core::{NotReady, RawScore};
        if row_buffer.n_pushed() > self.fails_after {
            return Err(ScoreError::Model { why: "told to".into() });
        }
        let level = row_buffer.row(0, crate::row_buffer::Channel::Level).map_or(f64::NAN, |row| row[0]);
        Ok(RawScore::new(level.abs()).map_or(Scoring::NotReady(NotReady::TooManyHoles), Scoring::Scored))
    }
}
