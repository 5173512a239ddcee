//! Reconstruction: learns to squeeze the last rows through a narrow code and back; what doesn't come back was unusual.
//!
//! It looks at detrended rows only ([`Channel::Residual20`]): on the level it is weak. Features are read jointly, so it
//! sees a relation break that no single feature shows. The trained net is an ONNX model from the start: what is saved,
//! what scores here and what another runtime can load are the same bytes.

use std::fmt;
use std::sync::Arc;

use homeostat_core::{NotReady, RawScore, Scoring, Seed};
use serde::{Deserialize, Serialize};

use crate::detector::{Detector, ScoreError, TrainError};
use crate::enricher::Enriched;
use crate::onnx::{OnnxError, OnnxRuntime, OnnxSession};
use crate::trail::{Channel, TRAIL_ROWS_MAX, Trail};

mod export;
mod net;
mod spec;
mod training;
mod window;

#[cfg(test)]
pub(crate) use export::onnx_bytes;
#[cfg(test)]
pub(crate) use net::Net;
pub use spec::AutoencoderSpec;
use window::{Coverage, clipped, put_row};

/// Its stable name.
pub(crate) const NAME: &str = "autoencoder";

/// What it reads of each row.
const CHANNEL: Channel = Channel::Residual20;

/// Widest input: 512 features of 8 rows. Its model is 2.1 MB, within what [`crate::MODEL_BYTES_MAX`] lets load.
const INPUTS_MAX: usize = 4096;

/// What a runtime holds for a loaded model beside its weights: measured, 25 KB with either backend.
const GRAPH_BYTES: usize = 25_000;

/// What the model doesn't say itself: how windows are made for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AutoencoderMeta {
    /// Rows in a window: 8, or 20 for a single feature.
    pub n_rows: usize,
    /// One for each feature, in the schema's order.
    pub features: Vec<AutoencoderFeature>,
}

/// What is known of a feature from training.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AutoencoderFeature {
    /// Its mean detrended value: what the net gets for a hole, and what becomes zero inside the model.
    pub mean: f32,
    /// Whether training had any data of it. If not, the net knows nothing of it, and it is left out of the score.
    pub seen: bool,
}

/// A saved autoencoder: the ONNX file and what belongs to it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AutoencoderSaved {
    /// The model, a complete ONNX file: [`crate::INPUT_NAME`] `(batch, n_rows · n_features)`, oldest row first, to
    /// [`crate::OUTPUT_NAME`] of the same shape. Scaling is inside.
    pub onnx: Vec<u8>,
    /// How windows are made for it.
    pub meta: AutoencoderMeta,
}

/// A trained autoencoder.
///
/// The raw score is the mean over the newest row's present features of `(z − ẑ)²`: `z` the detrended value in training
/// deviations, clipped at ±10, `ẑ` its reconstruction.
pub struct Autoencoder {
    meta: AutoencoderMeta,
    onnx: Arc<[u8]>,
    session: Box<dyn OnnxSession>,
    input: Vec<f32>,
    output: Vec<f32>,
    errors: Vec<Option<f64>>,
}

impl Autoencoder {
    /// Trains on a subject's history; the embedded runtime scores. The same history and seed give the same model on
    /// the same kind of processor. One core of a server of these years needs about a second, whatever the history's
    /// length, and less for few features.
    pub fn train(spec: &AutoencoderSpec, enriched: &Enriched, seed: Seed) -> Result<Self, TrainError> {
        let trained = training::train(spec, enriched, seed)?;
        let onnx = trained.onnx_bytes();
        Self::load(AutoencoderSaved { onnx, meta: trained.meta }, &OnnxRuntime::embedded())
            .map_err(|error| TrainError::Failed { detector: NAME, why: error.to_string() })
    }

    /// Loads what [`Autoencoder::saved`] gave, to be run by this runtime. With the same backend, the next score is the
    /// same as before, bit for bit.
    pub fn load(saved: AutoencoderSaved, runtime: &OnnxRuntime) -> Result<Self, OnnxError> {
        let AutoencoderSaved { onnx, meta } = saved;
        meta.check()?;
        let session = runtime.session(&onnx, meta.n_inputs())?;
        let input = vec![0.0; meta.n_inputs()];
        let errors = vec![None; meta.features.len()];
        Ok(Self { meta, onnx: onnx.into(), session, input, output: Vec::new(), errors })
    }

    /// What to save.
    pub fn saved(&self) -> AutoencoderSaved {
        AutoencoderSaved { onnx: self.onnx.to_vec(), meta: self.meta.clone() }
    }

    /// `embedded` or `native`.
    pub fn backend(&self) -> &'static str {
        self.session.backend()
    }

    /// Each feature's `(z − ẑ)²` in the row scored last; `None` where it was a hole, or nothing was scored.
    pub fn errors(&self) -> &[Option<f64>] {
        &self.errors
    }

    /// Memory held, in bytes: the file, the runtime's weights (twice the file's size: as read, and as packed for its
    /// products), its graph, and buffers. Within a tenth of what was measured for 8 features
    /// with either backend. Clones share the file
    /// and the weights.
    pub fn memory_bytes(&self) -> usize {
        let buffers = 2 * self.input.len() * size_of::<f32>();
        let features = self.meta.features.len() * (size_of::<AutoencoderFeature>() + size_of::<Option<f64>>());
        size_of::<Self>() + GRAPH_BYTES + 3 * self.onnx.len() + buffers + features
    }

    /// Fills the input with the trail's last rows, oldest first; why it can't say, if it can't.
    fn fill_input(&mut self, trail: &Trail) -> Option<NotReady> {
        let n_features = self.meta.features.len();
        let mut window = Coverage::default();
        for (cells, back) in self.input.chunks_exact_mut(n_features).zip((0..self.meta.n_rows).rev()) {
            let Some(row) = trail.row(back, CHANNEL) else {
                return Some(NotReady::TooFewSteps);
            };
            window.add(put_row(cells, row, &self.meta.features), back == 0);
        }
        if window.suffices() { None } else { Some(NotReady::TooManyHoles) }
    }
}

impl Detector for Autoencoder {
    fn name(&self) -> &'static str {
        NAME
    }

    fn score(&mut self, trail: &Trail) -> Result<Scoring, ScoreError> {
        let n_features = self.meta.features.len();
        self.errors.fill(None);
        if trail.n_features() != n_features {
            return Err(ScoreError::Shape { found: trail.n_features(), wanted: n_features });
        }
        if let Some(why) = self.fill_input(trail) {
            return Ok(Scoring::NotReady(why));
        }
        let failed = |why: String| ScoreError::Model { why };
        self.session.run(&self.input, 1, &mut self.output).map_err(|error| failed(error.to_string()))?;
        let newest = self.input.len() - n_features;
        let row = trail.row(0, CHANNEL).unwrap_or(&[]);
        let (mut sum, mut n_present) = (0.0, 0_usize);
        for (idx, value) in row.iter().enumerate() {
            if value.is_nan() || !self.meta.features[idx].seen {
                continue;
            }
            let error = clipped(*value) - f64::from(self.output[newest + idx]);
            self.errors[idx] = Some(error * error);
            sum += error * error;
            n_present += 1;
        }
        let raw = RawScore::new(sum / n_present.max(1) as f64).map_err(|error| failed(error.to_string()))?;
        Ok(Scoring::Scored(raw))
    }
}

impl Clone for Autoencoder {
    /// Shares the model; buffers are its own.
    fn clone(&self) -> Self {
        Self {
            meta: self.meta.clone(),
            onnx: Arc::clone(&self.onnx),
            session: self.session.another(),
            input: self.input.clone(),
            output: self.output.clone(),
            errors: self.errors.clone(),
        }
    }
}

impl fmt::Debug for Autoencoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Autoencoder")
            .field("n_rows", &self.meta.n_rows)
            .field("n_features", &self.meta.features.len())
            .field("backend", &self.backend())
            .finish_non_exhaustive()
    }
}

impl AutoencoderMeta {
    fn n_inputs(&self) -> usize {
        self.n_rows * self.features.len()
    }

    fn check(&self) -> Result<(), OnnxError> {
        let wrong = |why: &str| Err(OnnxError::Model { why: why.to_owned() });
        if !(1..=TRAIL_ROWS_MAX).contains(&self.n_rows) {
            return wrong("its description has a number of rows that the trail doesn't hold");
        }
        if self.features.is_empty() || self.features.len() > INPUTS_MAX / self.n_rows {
            return wrong("its description has no features, or too many");
        }
        if self.features.iter().any(|feature| !feature.mean.is_finite()) {
            return wrong("its description has a mean that is no number");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
