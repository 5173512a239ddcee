//! Reconstruction: learns to squeeze the last rows through a narrow code and back; what doesn't come back was unusual.
//!
//! It looks at detrended rows only ([`Channel::Residual20`]): on the level it is weak. Features are read jointly, so it
//! sees a relation break that no single feature shows. The trained net is an ONNX model from the start: what is saved,
//! what scores here and what another runtime can load are the same bytes; a user's own takes its place
//! ([`AutoencoderSpec::with_own_model`]).
//!
//! It keeps nothing from row to row, so one of them can serve many subjects, in batches ([`Autoencoder::score_batch`]).

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use homeostat_core::{Scoring, Seed};
use homeostat_settings::Reader;

use crate::detector::{Detector, ScoreError, TrainError};
use crate::feature_extractor::ExtractedFeatures;
use crate::fitted::{
    DetectorBytes, Fitted, HistoryShape, ModelFile, OptionFiles, RestoredFile, SharedPart, TunedSetting,
};
use crate::load_options::LoadOptions;
use crate::onnx::{OnnxError, OnnxRuntime, OnnxSession};
use crate::restore_error::RestoreError;
use crate::row_buffer::{Channel, RowBuffer};

mod batch;
mod export;
mod model;
mod net;
mod spec;
mod training;
mod window;

use batch::Batch;
#[cfg(test)]
pub(crate) use export::onnx_bytes;
pub use model::{AutoencoderFeature, AutoencoderMeta, AutoencoderModel, AutoencoderSaved};
#[cfg(test)]
pub(crate) use net::Net;
pub use spec::AutoencoderSpec;

/// Its stable name.
pub(crate) const NAME: &str = "autoencoder";

/// The struct and its buffers for one row, roughly.
const OWN_BYTES: usize = 1_500;

/// What it reads of each row.
const CHANNEL: Channel = Channel::Residual20;

/// Widest input: 512 features of 8 rows, or 4096 of one. Its model is 2.1 MB, within what [`crate::MODEL_BYTES_MAX`] lets load.
const INPUTS_MAX: usize = 4096;

/// A trained autoencoder, ready to score.
///
/// The raw score is the mean over the newest row's present features of `(z − ẑ)²`: `z` the detrended value in training
/// deviations, clipped at ±10, `ẑ` its reconstruction. A gap goes in as the feature's training mean and is left out of
/// the score; with less than half of the window, or of the newest row, it is not ready.
///
/// The model ([`Autoencoder::model`]) and the session that runs it are shared between clones, which take turns; buffers are
/// each one's own.
///
/// ```
/// # use std::{sync::Arc, time::Duration};
/// # use homeostat_core::{Direction, Feature, Grid, Schema, Seed, Signal, Subject, Timestamp, Window};
/// # type Any = Box<dyn std::error::Error>;
/// # /// Latency and traffic of a service: noise, from row `from` of all time.
/// # fn window(name: &str, from: usize, n_rows: usize) -> Result<Window, Any> {
/// #     let feature = |name: &str, signal| Feature { name: name.into(), signal, direction: Direction::Both, deviation_min: 0.0 };
/// #     let schema = Schema::new(vec![feature("latency", Signal::Latency), feature("traffic", Signal::Traffic)])?;
/// #     let grid = Grid::new(Timestamp::from_secs(60 * from as i64), Duration::from_secs(60), n_rows)?;
/// #     let noise = |row: usize, column: usize| Seed::new((2 * row + column) as u64).fork(name).value() as f64 / u64::MAX as f64;
/// #     let values = ndarray::Array2::from_shape_fn((n_rows, 2), |(row, column)| 1.0 + noise(from + row, column));
/// #     Ok(Window::new(Subject::deployment("shop", name), grid, Arc::new(schema), values)?)
/// # }
/// use homeostat_detect::{Autoencoder, AutoencoderSpec, ExtractedFeatures, Scaler};
///
/// let history = window("cart", 0, 400)?;
/// let extracted = ExtractedFeatures::new(&history, &Scaler::fit(&history));
/// let autoencoder = Autoencoder::train(&AutoencoderSpec::new(5, 200, 0.003)?, &extracted, Seed::new(1))?;
/// // A complete ONNX file, as any runtime loads it: windows of 8 rows of 2 features.
/// assert_eq!((autoencoder.backend(), autoencoder.model().n_inputs()), ("embedded", 16));
/// assert!(!autoencoder.saved().onnx.is_empty());
/// # Ok::<(), Any>(())
/// ```
pub struct Autoencoder {
    model: Arc<AutoencoderModel>,
    /// A session keeps nothing from run to run but memory: tens of kilobytes, which each subject would have to pay for.
    session: Arc<Mutex<Box<dyn OnnxSession>>>,
    batch: Batch,
}

impl Autoencoder {
    /// Trains on a subject's history; the embedded runtime scores. The same history and seed give the same model on
    /// the same kind of processor. One core of a server of these years needs a third of a second at most, whatever
    /// the history's length and width. With a model of the user's own in the spec, nothing is trained: the history gives
    /// what gaps are filled with.
    pub fn train(spec: &AutoencoderSpec, extracted: &ExtractedFeatures, seed: Seed) -> Result<Self, TrainError> {
        Self::train_shared(spec, &[extracted], seed)
    }

    /// Trains one for several subjects with the same features, on windows drawn evenly from all of their histories:
    /// each history is in its own subject's training deviations, so they compare. Costs as much time as for one.
    pub fn train_shared(
        spec: &AutoencoderSpec,
        histories: &[&ExtractedFeatures],
        seed: Seed,
    ) -> Result<Self, TrainError> {
        let failed = |error: OnnxError| TrainError::Failed { detector: NAME, why: error.to_string() };
        Self::load(training::train(spec, histories, seed)?, &OnnxRuntime::embedded()).map_err(failed)
    }

    /// Loads what [`Autoencoder::saved`] gave, to be run by this runtime. With the same backend, the next score is the
    /// same as before, bit for bit.
    pub fn load(saved: AutoencoderSaved, runtime: &OnnxRuntime) -> Result<Self, OnnxError> {
        let model = AutoencoderModel::new(saved)?;
        let session = runtime.session(model.onnx(), model.n_inputs())?;
        Ok(Self { model, session: Arc::new(Mutex::new(session)), batch: Batch::default() })
    }

    /// What to save.
    pub fn saved(&self) -> AutoencoderSaved {
        self.model.saved()
    }

    /// The trained part, one for all clones: subjects whose models are the same by [`Arc::ptr_eq`] can be scored in one
    /// batch.
    pub fn model(&self) -> &Arc<AutoencoderModel> {
        &self.model
    }

    /// `embedded` or `native`.
    pub fn backend(&self) -> &'static str {
        self.session().backend()
    }

    /// Scores the newest row of every row buffer, in their order, in as few runs of the model as there are batches; one row buffer's
    /// failure is its own. A single score is a batch of one. After the first batch of a size, batches up to that size
    /// allocate nothing here (what a backend does within a run is its own).
    pub fn score_batch<'a>(
        &mut self,
        row_buffers: impl IntoIterator<Item = &'a RowBuffer>,
    ) -> &[Result<Scoring, ScoreError>] {
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        self.batch.score(self.model.meta(), &mut **session, row_buffers)
    }

    /// A run that panicked has left nothing behind that the next could see.
    fn session(&self) -> MutexGuard<'_, Box<dyn OnnxSession>> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Each feature's `(z − ẑ)²` in a row buffer of the last batch, `(n_features)`; `None` where it was a gap, or nothing was
    /// scored. Empty where the batch had no such row buffer.
    pub fn errors_of(&self, row_buffer_idx: usize) -> &[Option<f64>] {
        self.batch.errors().chunks_exact(self.model.n_features()).nth(row_buffer_idx).unwrap_or(&[])
    }

    /// Each feature's `(z − ẑ)²` in the row scored last by [`Detector::score`].
    pub fn errors(&self) -> &[Option<f64>] {
        self.errors_of(0)
    }

    /// Memory held, in bytes: the model ([`AutoencoderModel::memory_bytes`], shared with clones) and this one's buffers.
    pub fn memory_bytes(&self) -> usize {
        self.model.memory_bytes() + self.own_bytes()
    }

    /// The part of [`Autoencoder::memory_bytes`] that clones don't share: buffers for the largest batch so far.
    pub fn own_bytes(&self) -> usize {
        size_of::<Self>() + self.batch.memory_bytes()
    }
}

impl Detector for Autoencoder {
    fn name(&self) -> &'static str {
        NAME
    }

    fn score(&mut self, row_buffer: &RowBuffer) -> Result<Scoring, ScoreError> {
        let none = || Err(ScoreError::Model { why: "a batch of one gave no score".to_owned() });
        self.score_batch([row_buffer]).first().cloned().unwrap_or_else(none)
    }
}

impl Fitted for Autoencoder {
    const NAME: &'static str = NAME;
    const SHARES: bool = true;
    const TUNED: &'static [TunedSetting] = &[
        (
            "autoencoder.epochs_max",
            &[
                ("80", &[]),
                ("30", &[("detection.autoencoder.epochs_max", "30")]),
                ("200", &[("detection.autoencoder.epochs_max", "200")]),
            ],
        ),
        (
            "autoencoder.learning_rate",
            &[
                ("0.003", &[]),
                ("0.001", &[("detection.autoencoder.learning_rate", "0.001")]),
                ("0.01", &[("detection.autoencoder.learning_rate", "0.01")]),
            ],
        ),
    ];
    type Spec = AutoencoderSpec;
    /// The network's description, in postcard's format of its own.
    type Own = Vec<u8>;

    fn train(spec: &AutoencoderSpec, history: &ExtractedFeatures, seed: Seed) -> Result<Self, TrainError> {
        Self::train(spec, history, seed)
    }

    fn train_shared(
        spec: &AutoencoderSpec,
        histories: &[&ExtractedFeatures],
        seed: Seed,
    ) -> Option<Result<Self, TrainError>> {
        Some(Self::train_shared(spec, histories, seed))
    }

    fn score_later(&mut self, row_buffer: &RowBuffer, scorings: &mut Vec<Result<Scoring, ScoreError>>) {
        if self.batch.add_later(self.model.meta(), row_buffer) {
            Fitted::score_waiting(self, scorings);
        }
    }

    fn score_waiting(&mut self, scorings: &mut Vec<Result<Scoring, ScoreError>>) {
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        self.batch.run_later(self.model.meta(), &mut **session, scorings);
    }

    fn own(&self) -> Result<Vec<u8>, RestoreError> {
        postcard::to_allocvec(self.model.meta()).map_err(RestoreError::state)
    }

    fn file(&self) -> Result<ModelFile, RestoreError> {
        Ok(ModelFile { bytes: self.model.onnx().to_vec(), extension: "onnx" })
    }

    fn restore(own: Vec<u8>, model: RestoredFile<'_, Self>, options: &LoadOptions) -> Result<Self, RestoreError> {
        let meta: AutoencoderMeta = postcard::from_bytes(&own).map_err(RestoreError::state)?;
        // The same network may be fed in another way: a user's own with other means for gaps.
        if let Some(known) = model.known.filter(|known| *known.model.meta() == meta) {
            return Ok(known.clone());
        }
        Self::load(AutoencoderSaved { onnx: model.bytes.to_vec(), meta }, &options.onnx)
            .map_err(|error| RestoreError::Network { why: error.to_string() })
    }

    fn own_bytes(&self) -> usize {
        self.own_bytes()
    }

    fn shared_part(&self) -> Option<SharedPart> {
        Some(SharedPart::of(&self.model, self.model.memory_bytes()))
    }

    fn estimated_bytes(_spec: &AutoencoderSpec, shape: HistoryShape) -> DetectorBytes {
        DetectorBytes { own: OWN_BYTES, shared: model::estimated_bytes(shape.n_features) }
    }

    fn read_options(reader: &mut Reader<'_>, files: &OptionFiles<'_>) -> Option<AutoencoderSpec> {
        spec::read(reader, files)
    }
}

impl Clone for Autoencoder {
    /// Shares model and session; buffers are its own, and empty.
    fn clone(&self) -> Self {
        Self { model: Arc::clone(&self.model), session: Arc::clone(&self.session), batch: Batch::default() }
    }
}

impl fmt::Debug for Autoencoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Autoencoder")
            .field("model", &self.model)
            .field("backend", &self.backend())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
