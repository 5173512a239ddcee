//! Detectors, fusion, calibration, typing and the incident tracker.
//!
//! Start at `Ensemble::train` and `Ensemble::assess`. A window's rows pass once, in order, through an [`Enricher`], which
//! keeps the last [`TRAIL_ROWS_MAX`] of them, scaled and detrended, in a [`Trail`]; every [`Detector`] scores the trail's
//! newest row; the votes are fused; the tracker turns assessments into incidents.
//!
//! This crate is synchronous. It never sees a label, a clock, a socket or Kubernetes.

#[cfg(feature = "onnx")]
mod autoencoder;
#[cfg(test)]
mod contract;
mod dbscan;
mod detector;
mod enricher;
mod forecast;
mod forest;
#[cfg(feature = "onnx")]
mod onnx;
mod scaler;
mod trail;

#[cfg(feature = "onnx")]
pub use autoencoder::{Autoencoder, AutoencoderFeature, AutoencoderMeta, AutoencoderSaved, AutoencoderSpec};
pub use dbscan::{Dbscan, DbscanSpec};
pub use detector::{Detector, ScoreError, TrainError};
pub use enricher::{Enriched, Enricher, Pushed};
pub use forecast::{Forecast, ForecastSpec};
pub use forest::{Forest, ForestSpec, IsolationForest};
#[cfg(feature = "onnx")]
pub use onnx::{
    BATCH_ROWS_MAX, INPUT_NAME, MODEL_BYTES_MAX, OUTPUT_NAME, OnnxError, OnnxRuntime, OnnxSession, RunError,
};
pub use scaler::Scaler;
pub use trail::{CHANNELS, Channel, TRAIL_ROWS_MAX, Trail};
