//! How unusual is this row: detectors, fusion, the alarm threshold, bundles.
//!
//! Start at `Ensemble::train` and `Fleet::score`. A window's rows pass once, in order, through an [`FeatureExtractor`], which
//! keeps the last [`BUFFER_ROWS_MAX`] of them, scaled and detrended, in a [`RowBuffer`]; every [`Detector`] scores the row buffer's
//! newest row; the votes are fused. What incident that is, `homeostat-incidents` says.
//!
//! This crate is synchronous. It never sees a label, a clock, a socket or Kubernetes; only [`Bundle`] touches files.

mod alarm_threshold;
#[cfg(feature = "onnx")]
mod autoencoder;
mod budget;
mod bundle;
mod constant_units;
#[cfg(test)]
mod contract;
mod dbscan;
mod detector;
mod detectors;
mod ensemble;
mod envelope;
mod feature_extractor;
mod feature_state;
mod fitted;
mod fleet;
mod forecast;
mod forest;
mod fusion;
mod hysteresis;
mod initial_threshold;
mod known_effect;
mod lasting;
mod load_options;
mod look_ahead;
mod memory;
#[cfg(feature = "onnx")]
mod onnx;
mod pca;
mod recurrence;
mod replica_comparison;
mod residual;
mod restore_error;
mod row_buffer;
mod scaler;
#[cfg(test)]
mod scripted;
mod surprisal;
mod tail;

pub use alarm_threshold::{ALARM_UNIT, ALARM_UNIT_ROWS_MIN, AlarmThreshold, InitialThreshold};
#[cfg(feature = "onnx")]
pub use autoencoder::{
    Autoencoder, AutoencoderFeature, AutoencoderMeta, AutoencoderModel, AutoencoderSaved, AutoencoderSpec,
};
pub use budget::{Budgets, FalseAlarmBudget, NotABudget};
pub use bundle::{
    Bundle, BundleLoadError, BundleManifest, BundleSaveError, FileEntry, Provenance, Recipe, SubjectEntry,
};
pub use dbscan::{Dbscan, DbscanSpec, Epsilon};
pub use detector::{Detector, ScoreError, TrainError};
pub use detectors::DetectorSpec;
pub use ensemble::{
    AssessedRow, DetectorFit, Ensemble, EnsembleSpec, FitReport, Kind, Misfit, MissingDetector, Restorer,
    SavedEnsemble, Saver, SharedModels, grouped, groups, kind, shared_sample,
};
pub use envelope::Envelope;
pub use feature_extractor::{ExtractedFeatures, FeatureExtractor, Pushed};
pub use feature_state::{FeatureState, NORMAL_DEVIATIONS_MAX};
pub use fitted::{
    DetectorBytes, Expectations, Fitted, HistoryShape, ModelFile, NoOptions, OptionFiles, ReadFile, RestoredFile,
    SharedPart, TunedSetting, TunedValue,
};
pub use fleet::{DueRow, DueWindows, Fleet};
pub use forecast::{Forecast, ForecastSpec, Interval};
pub use forest::{Forest, ForestScratch, ForestSpec, IsolationForest, Kernel};
pub use hysteresis::{Gate, Hysteresis};
pub use initial_threshold::initial_threshold;
pub use known_effect::{KnownEffect, ROLLOUT_SETTLES};
pub use load_options::LoadOptions;
pub use memory::{MemoryEstimate, estimate};
#[cfg(feature = "onnx")]
pub use onnx::{
    BATCH_ROWS_MAX, INPUT_NAME, MODEL_BYTES_MAX, OUTPUT_NAME, OnnxError, OnnxRuntime, OnnxSession, RunError,
};
pub use pca::Pca;
pub use recurrence::{Every, ExpectedTime};
pub use replica_comparison::{
    Group, Outlier, REPLICAS_MAX, REPLICAS_MIN, ReplicaComparison, ReplicaComparisonError, ReplicaRound,
    ReplicasNotReady,
};
pub use residual::Residual;
pub use restore_error::RestoreError;
pub use row_buffer::{BUFFER_ROWS_MAX, CHANNELS, Channel, RowBuffer};
pub use scaler::Scaler;
pub use surprisal::{DEAD_ZONE_NATS, FUSED_NATS_MAX, VOTES_MIN, in_units_of};
pub use tail::Tail;
