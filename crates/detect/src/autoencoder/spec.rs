//! How an autoencoder is trained: options with their ranges, or the user's own model instead.

use std::fmt;
use std::sync::Arc;

use homeostat_settings::Reader;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::{Autoencoder, NAME};
use crate::detector::TrainError;
use crate::fitted::{OptionFiles, checked, size};
use crate::onnx::{CheckedModel, MODEL_BYTES_MAX, OnnxError};
use crate::row_buffer::BUFFER_ROWS_MAX;

/// Fewest usable windows: two hours of minutes. Below, the net learns them by heart and calls everything else unusual.
pub(super) const WINDOWS_MIN: usize = 120;

/// Options of the autoencoder's training.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AutoencoderSpec {
    epochs_max: usize,
    windows_max: usize,
    learning_rate: f64,
    own_model: Option<OwnModel>,
}

/// A checked ONNX file from elsewhere.
/// Written as the digest of its bytes.
#[derive(Clone, PartialEq, Serialize)]
pub(super) struct OwnModel {
    #[serde(serialize_with = "digest", rename = "sha256")]
    onnx: Arc<[u8]>,
    n_columns: usize,
}

impl Default for AutoencoderSpec {
    /// At most 80 epochs of 4096 windows (nearly three days of minutes) at 0.003: twice as much of the first two lowers the
    /// error on held-out rows by a few per cent, half or twice the last changes it by as little.
    fn default() -> Self {
        Self { epochs_max: 80, windows_max: 4096, learning_rate: 3e-3, own_model: None }
    }
}

impl AutoencoderSpec {
    /// Most epochs that can be asked for: the error stopped falling long before.
    pub const EPOCHS_MAX: usize = 1_000;
    /// Most training windows that can be asked for: two months of minutes.
    pub const WINDOWS_MAX: usize = 100_000;
    /// Largest learning rate: Adam moves each weight by about this much a step, and weights start near 0.1.
    pub const LEARNING_RATE_MAX: f64 = 0.1;

    /// `epochs_max` passes, 1 to [`Self::EPOCHS_MAX`], over at most `windows_max` windows, 120 to
    /// [`Self::WINDOWS_MAX`], sampled from the history; wide windows get fewer of both, to hold training near a third of a second.
    /// `learning_rate`, up to [`Self::LEARNING_RATE_MAX`], is Adam's step at the start; it falls linearly to a tenth.
    pub fn new(epochs_max: usize, windows_max: usize, learning_rate: f64) -> Result<Self, TrainError> {
        let bad = |why: String| Err(TrainError::BadOption { detector: NAME, why });
        if !(1..=Self::EPOCHS_MAX).contains(&epochs_max) {
            return bad(format!("epochs_max must be 1 to {}, not {epochs_max}", Self::EPOCHS_MAX));
        }
        if !(WINDOWS_MIN..=Self::WINDOWS_MAX).contains(&windows_max) {
            let range = (WINDOWS_MIN, Self::WINDOWS_MAX);
            return bad(format!("windows_max must be {} to {}, not {windows_max}", range.0, range.1));
        }
        if !(learning_rate > 0.0 && learning_rate <= Self::LEARNING_RATE_MAX) {
            return bad(format!(
                "learning_rate must be above 0 and at most {}, not {learning_rate}",
                Self::LEARNING_RATE_MAX
            ));
        }
        Ok(Self { epochs_max, windows_max, learning_rate, own_model: None })
    }

    /// Most passes over the training windows.
    pub fn epochs_max(&self) -> usize {
        self.epochs_max
    }

    /// Most training windows.
    pub fn windows_max(&self) -> usize {
        self.windows_max
    }

    /// Adam's step at the start.
    pub fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    /// Uses this ONNX file instead of training one: input [`crate::INPUT_NAME`] and output [`crate::OUTPUT_NAME`], both
    /// f32 `(any batch, n_rows · n_features)`, oldest row first, of dense operators. The file is checked here, its
    /// width against the subject's features in training. `docs/guides/own-autoencoder.md` has the whole of it.
    pub fn with_own_model(self, onnx: Arc<[u8]>) -> Result<Self, TrainError> {
        let checked = CheckedModel::of_any_width(&onnx).map_err(|error| match error {
            OnnxError::Model { why } => bad_own(why),
            library @ OnnxError::Library { .. } => bad_own(library.to_string()),
        })?;
        let own_model = Some(OwnModel { n_columns: checked.n_columns(), onnx });
        Ok(Self { own_model, ..self })
    }

    pub(super) fn own_model(&self) -> Option<&OwnModel> {
        self.own_model.as_ref()
    }
}

fn bad_own(why: String) -> TrainError {
    TrainError::BadOption { detector: NAME, why: format!("your ONNX model can't be used: {why}") }
}

fn digest<S: serde::Serializer>(onnx: &Arc<[u8]>, serializer: S) -> Result<S::Ok, S::Error> {
    let digits: String = Sha256::digest(onnx).iter().map(|byte| format!("{byte:02x}")).collect();
    serializer.serialize_str(&digits)
}

impl OwnModel {
    pub(super) fn onnx(&self) -> &[u8] {
        &self.onnx
    }

    /// Rows of its windows, if it reads rows of so many features.
    pub(super) fn n_rows(&self, n_features: usize) -> Result<usize, String> {
        let n_rows = self.n_columns / n_features.max(1);
        if n_features == 0 || n_rows * n_features != self.n_columns || !(1..=BUFFER_ROWS_MAX).contains(&n_rows) {
            return Err(format!(
                "your ONNX model has {} columns; wanted are the subject's {n_features} features times the rows of a window, \
                 1 to {BUFFER_ROWS_MAX}",
                self.n_columns
            ));
        }
        Ok(n_rows)
    }
}

impl fmt::Debug for OwnModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnModel").field("n_columns", &self.n_columns).field("bytes", &self.onnx.len()).finish()
    }
}

/// Reads `detection.autoencoder`.
pub(super) fn read(reader: &mut Reader<'_>, files: &OptionFiles<'_>) -> Option<AutoencoderSpec> {
    let default = AutoencoderSpec::default();
    let epochs_max = size(reader, "epochs_max", default.epochs_max());
    let windows_max = size(reader, "windows_max", default.windows_max());
    let learning_rate = reader.number("learning_rate", 0.0..=1.0).unwrap_or(default.learning_rate());
    let spec = AutoencoderSpec::new(epochs_max, windows_max, learning_rate);
    let model = reader.text("model");
    let spec = checked::<Autoencoder>(reader, spec)?;
    let Some(model) = model else { return Some(spec) };
    let path = files.base.join(model);
    let place = reader.place_of("model");
    let own = (files.read)(&path, MODEL_BYTES_MAX)
        .and_then(|onnx| spec.with_own_model(onnx.into()).map_err(|error| error.to_string()))
        .map_err(|why| reader.problem(place, format!("detection.autoencoder.model: {}: {why}", path.display())));
    own.ok()
}
