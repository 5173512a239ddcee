//! The trained part of an autoencoder: the ONNX file and how windows are made for it. It never changes, so all
//! subjects it serves share one copy.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::INPUTS_MAX;
use crate::onnx::OnnxError;
use crate::row_buffer::BUFFER_ROWS_MAX;

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
    /// Its mean detrended value: what the net gets for a gap, and what becomes zero inside the model.
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

/// A checked, immutable autoencoder, shared by all that score with it.
#[derive(PartialEq)]
pub struct AutoencoderModel {
    meta: AutoencoderMeta,
    onnx: Vec<u8>,
}

impl AutoencoderModel {
    pub(super) fn new(saved: AutoencoderSaved) -> Result<Arc<Self>, OnnxError> {
        saved.meta.check()?;
        Ok(Arc::new(Self { meta: saved.meta, onnx: saved.onnx }))
    }

    /// How windows are made for it.
    pub fn meta(&self) -> &AutoencoderMeta {
        &self.meta
    }

    /// The complete ONNX file.
    pub fn onnx(&self) -> &[u8] {
        &self.onnx
    }

    /// Number of features of a row.
    pub fn n_features(&self) -> usize {
        self.meta.features.len()
    }

    /// Columns of the model's input: `n_rows · n_features`.
    pub fn n_inputs(&self) -> usize {
        self.meta.n_inputs()
    }

    /// What is held once, however many subjects share it, in bytes: the file, the runtime's weights (twice the file's
    /// size: as read, and as packed for its products) and its graph. Within a tenth of what was measured for 8
    /// features with either backend.
    pub fn memory_bytes(&self) -> usize {
        let features = self.n_features() * size_of::<AutoencoderFeature>();
        size_of::<Self>() + GRAPH_BYTES + 3 * self.onnx.len() + features
    }

    pub(super) fn saved(&self) -> AutoencoderSaved {
        AutoencoderSaved { onnx: self.onnx.clone(), meta: self.meta.clone() }
    }
}

impl fmt::Debug for AutoencoderModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AutoencoderModel")
            .field("n_rows", &self.meta.n_rows)
            .field("n_features", &self.n_features())
            .field("onnx_bytes", &self.onnx.len())
            .finish_non_exhaustive()
    }
}

impl AutoencoderMeta {
    pub(super) fn n_inputs(&self) -> usize {
        self.n_rows * self.features.len()
    }

    fn check(&self) -> Result<(), OnnxError> {
        let wrong = |why: &str| Err(OnnxError::Model { why: why.to_owned() });
        if !(1..=BUFFER_ROWS_MAX).contains(&self.n_rows) {
            return wrong("its description has a number of rows that the row_buffer doesn't hold");
        }
        if self.features.is_empty() || self.features.len() > INPUTS_MAX / self.n_rows {
            return wrong("its description has no features, or too many");
        }
        if self.features.iter().any(|feature| !feature.mean.is_finite()) {
            return wrong("its description has a mean that isn't a number");
        }
        Ok(())
    }
}

/// What a trained model is expected to hold: the file, the runtime's two copies of its weights, and the graph (measured; see
/// [`AutoencoderModel::memory_bytes`]).
pub(super) fn estimated_bytes(n_features: usize) -> usize {
    // The architectures of the training: rows, hidden units, code.
    let (n_rows, n_hidden, n_code) = if n_features == 1 { (20, 16, 5) } else { (8, 64, 16) };
    let n_inputs = n_rows * n_features;
    let weights = 2 * n_inputs * n_hidden + 2 * n_hidden * n_code + 2 * (n_inputs + n_hidden) + n_code;
    GRAPH_BYTES + 3 * weights * size_of::<f32>()
}
