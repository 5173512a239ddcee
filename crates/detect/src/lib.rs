//! Detectors, fusion, calibration, typing and the incident tracker.
//!
//! Start at `Ensemble::train` and `Ensemble::assess`. A window's rows pass once, in order, through an [`Enricher`], which
//! keeps the last [`TRAIL_ROWS_MAX`] of them, scaled and detrended, in a [`Trail`]; every [`Detector`] scores the trail's
//! newest row; the votes are fused; the tracker turns assessments into incidents.
//!
//! This crate is synchronous. It never sees a label, a clock, a socket or Kubernetes; only [`Bundle`] touches files.

#[cfg(feature = "onnx")]
mod alert_policy;
mod autoencoder;
mod boundary;
mod budget;
mod bundle;
mod confidence;
#[cfg(test)]
mod contract;
mod dbscan;
mod detector;
mod enricher;
mod ensemble;
mod exhaustion;
mod feature_state;
mod forecast;
mod forest;
mod fusion;
mod hysteresis;
mod limits;
mod memory;
mod monitor;
#[cfg(feature = "onnx")]
mod onnx;
mod pca;
mod peers;
mod replicas;
mod residual;
mod scaler;
mod tail;
mod tracker;
mod trail;
mod typing;

pub use alert_policy::AlertPolicy;
#[cfg(feature = "onnx")]
pub use autoencoder::{
    Autoencoder, AutoencoderFeature, AutoencoderMeta, AutoencoderModel, AutoencoderSaved, AutoencoderSpec,
};
pub use budget::{FalseAlarmBudget, NotABudget};
pub use bundle::{
    Bundle, BundleLoadError, BundleManifest, BundleSaveError, FileEntry, Provenance, Recipe, SubjectEntry,
};
pub use confidence::{Calibration, LabelledOutcome};
pub use dbscan::{Dbscan, DbscanSpec, Epsilon};
pub use detector::{Detector, ScoreError, TrainError};
pub use enricher::{Enriched, Enricher, Pushed};
pub use ensemble::{
    AssessedRow, DetectorFit, DetectorSpec, Ensemble, EnsembleSpec, FitReport, LoadOptions, Misfit, MissingDetector,
    RestoreError, Restorer, SavedEnsemble, Saver, SharedModels, groups,
};
pub use exhaustion::{Exhaustion, NotAResource, Outlook, Remaining};
pub use feature_state::{FeatureState, NORMAL_DEVIATIONS_MAX};
pub use forecast::{Forecast, ForecastSpec, Interval, KnownEffect, ROLLOUT_SETTLES};
pub use forest::{Forest, ForestScratch, ForestSpec, IsolationForest, Kernel, Reservoir};
pub use fusion::VOTES_MIN;
pub use hysteresis::Hysteresis;
pub use limits::LimitWatch;
pub use memory::{MemoryEstimate, estimate};
pub use monitor::{Compared, Monitor, Observed};
#[cfg(feature = "onnx")]
pub use onnx::{
    BATCH_ROWS_MAX, INPUT_NAME, MODEL_BYTES_MAX, OUTPUT_NAME, OnnxError, OnnxRuntime, OnnxSession, RunError,
};
pub use pca::Pca;
pub use peers::{Apart, Group, PeerComparison, PeerError, PeerRound, PeersNotReady, REPLICAS_MAX, REPLICAS_MIN};
pub use residual::Residual;
pub use scaler::Scaler;
pub use tail::Tail;
pub use tracker::{SUBJECTS_MAX, SubjectRow, Surroundings, Tracker, TrackerTimes};
pub use trail::{CHANNELS, Channel, TRAIL_ROWS_MAX, Trail};
pub use typing::{Circumstances, DEVIATING_MIN, incident_type, sharpened};
