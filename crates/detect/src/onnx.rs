//! Runs ONNX models: one small trait, two backends.
//!
//! [`OnnxRuntime::embedded`] is inside the program: nothing to install. [`OnnxRuntime::native`] is Microsoft's ONNX Runtime from a library file, for who wants its speed. Both run the same checked model and agree
//! within `1e-5 × (1 + |b|)`.
//!
//! It runs reconstructing models, `(batch, n) → (batch, n)`, of plain dense operators; it's no general ONNX host.
//! What isn't on the list in `check.rs` is refused before a backend sees it.

use std::fmt;
use std::path::{Path, PathBuf};

mod check;
mod embedded;
mod native;
mod operator;
pub(crate) mod proto;
mod shape;
mod wire;

pub(crate) use check::CheckedModel;

/// Largest model file read. A 600–64–16–64–600 autoencoder is 0.3 MB; the widest we train (4096 inputs) is 2.1 MB.
pub const MODEL_BYTES_MAX: usize = 4 << 20;

/// Name of the model's input, f32 `(batch, n)`.
pub const INPUT_NAME: &str = "window";

/// Name of the model's output, f32 `(batch, n)`.
pub const OUTPUT_NAME: &str = "reconstruction";

/// Name of the first, open dimension of both.
pub(crate) const BATCH_DIM: &str = "batch";

/// Most rows of one run. 64 windows of 600 values are 150 KiB; a caller with more calls again.
pub const BATCH_ROWS_MAX: usize = 1024;

/// What runs ONNX models: cheap to clone, one for a process is enough.
#[derive(Clone)]
pub struct OnnxRuntime(Backend);

#[derive(Clone)]
enum Backend {
    Embedded,
    Native(&'static native::Library),
}

/// Why a model can't be run. Nothing here panics, whatever the file or library holds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OnnxError {
    /// The native library can't be used: fix the path, or leave it out and the embedded runtime serves.
    #[error("ONNX Runtime library {path}: {why}; fix the path, or leave it out to use the embedded runtime")]
    Library {
        /// The path given.
        path: PathBuf,
        /// The whole chain of causes.
        why: String,
    },
    /// The model can't be used: train it again, or restore the bundle.
    #[error("ONNX model: {why}; train it again")]
    Model {
        /// What is wrong with it.
        why: String,
    },
}

/// Why a loaded model failed on a batch; the next batch may work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{backend}: {why}")]
pub struct RunError {
    backend: &'static str,
    why: String,
}

/// A loaded model. Its scratch memory is its own, its weights are shared with its clones.
pub trait OnnxSession: Send {
    /// Runs `n_rows` rows of `n_columns` values each (row-major), and replaces `out` with as many.
    fn run(&mut self, batch: &[f32], n_rows: usize, out: &mut Vec<f32>) -> Result<(), RunError>;

    /// Which backend runs it: `embedded` or `native`.
    fn backend(&self) -> &'static str;

    /// Values in a row of the input, and of the output.
    fn n_columns(&self) -> usize;

    /// The same model with scratch memory of its own.
    fn another(&self) -> Box<dyn OnnxSession>;
}

impl OnnxRuntime {
    /// The runtime inside the program.
    pub fn embedded() -> Self {
        Self(Backend::Embedded)
    }

    /// The native ONNX Runtime, 1.17 or newer, in this library file. Loading runs the library's code: name only a file
    /// you'd run as a program. A process holds one library for its life; naming it again is free, naming another fails.
    pub fn native(path: &Path) -> Result<Self, OnnxError> {
        native::Library::load(path).map(|library| Self(Backend::Native(library)))
    }

    /// `embedded` or `native`.
    pub fn backend(&self) -> &'static str {
        match self.0 {
            Backend::Embedded => embedded::NAME,
            Backend::Native(_) => native::NAME,
        }
    }

    /// Checks and loads a model that reconstructs rows of `n_columns` values.
    pub fn session(&self, onnx: &[u8], n_columns: usize) -> Result<Box<dyn OnnxSession>, OnnxError> {
        let model = CheckedModel::new(onnx, n_columns)?;
        let mut session: Box<dyn OnnxSession> = match self.0 {
            Backend::Embedded => Box::new(embedded::EmbeddedSession::load(&model)?),
            Backend::Native(library) => Box::new(native::NativeSession::load(library, &model)?),
        };
        // A model that can't do one row of zeros is found out now, not at the first alarm.
        let mut out = Vec::new();
        session
            .run(&vec![0.0; n_columns], 1, &mut out)
            .map_err(|error| OnnxError::Model { why: format!("it failed on a row of zeros: {error}") })?;
        if out.iter().any(|value| !value.is_finite()) {
            return Err(OnnxError::Model {
                why: "for a row of zeros it gives values that aren't finite numbers".into(),
            });
        }
        Ok(session)
    }
}

impl fmt::Debug for OnnxRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OnnxRuntime").field(&self.backend()).finish()
    }
}

/// Refuses a batch that isn't `n_rows` rows of `n_columns`.
fn check_batch(backend: &'static str, batch: &[f32], n_rows: usize, n_columns: usize) -> Result<(), RunError> {
    if n_rows == 0 || n_rows > BATCH_ROWS_MAX || batch.len() != n_rows * n_columns {
        let why = format!(
            "a batch of {n_rows} rows with {} values; wanted are 1 to {BATCH_ROWS_MAX} rows of {n_columns}",
            batch.len()
        );
        return Err(RunError { backend, why });
    }
    Ok(())
}

/// Refuses an output that doesn't have the input's shape; appends it to `out` otherwise.
fn take_output(
    backend: &'static str,
    shape: (usize, usize),
    values: &[f32],
    wanted: (usize, usize),
    out: &mut Vec<f32>,
) -> Result<(), RunError> {
    if shape != wanted || values.len() != wanted.0 * wanted.1 {
        return Err(RunError { backend, why: format!("the model gave shape {shape:?}, wanted is {wanted:?}") });
    }
    out.extend_from_slice(values);
    Ok(())
}

#[cfg(test)]
mod tests;
