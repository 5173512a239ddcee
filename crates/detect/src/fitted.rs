//! What a detector brings beside scoring: how it is trained, stored, counted, configured and explained.
//!
//! The list in `detectors` asks nothing else of it, so that adding one is its file and a line there.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use homeostat_core::{Scoring, Seed};
use homeostat_settings::Reader;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::detector::{Detector, ScoreError, TrainError};
use crate::feature_extractor::ExtractedFeatures;
use crate::known_effect::KnownEffect;
use crate::load_options::LoadOptions;
use crate::restore_error::RestoreError;
use crate::row_buffer::RowBuffer;
use crate::scaler::Scaler;

/// A detector that an ensemble can have.
pub trait Fitted: Detector + Clone + fmt::Debug + Sized {
    /// Its stable name: in votes, metrics, config and file names.
    const NAME: &'static str;

    /// Whether it votes unless the config says otherwise.
    const BY_DEFAULT: bool = true;

    /// Whether it takes part in the smoothed score, by which rows are ranked. All take part in the alert.
    const RANKS: bool = true;

    /// Rows that a fault must last to show fully in its score.
    const FAULT_ROWS_MIN: usize = 1;

    /// Whether its trained part is a file of its own, which subjects with the same features share.
    const SHARES: bool = false;

    /// What `homeostat tune` may try.
    const TUNED: &'static [TunedSetting] = &[];

    /// Its options.
    type Spec: Clone + fmt::Debug + Default + PartialEq + Serialize + Send + Sync;

    /// What is stored of it with each subject: all of it, or what isn't in the shared file.
    type Own: Serialize + DeserializeOwned;

    /// Trains it on one subject's history.
    ///
    /// # Errors
    /// [`TrainError`].
    fn train(spec: &Self::Spec, history: &ExtractedFeatures, seed: Seed) -> Result<Self, TrainError>;

    /// Trains one for several subjects with the same features; `None` where each subject's is its own.
    fn train_shared(
        _spec: &Self::Spec,
        _histories: &[&ExtractedFeatures],
        _seed: Seed,
    ) -> Option<Result<Self, TrainError>> {
        None
    }

    /// Scores as [`Detector::score`] does; `known` says what is known beforehand of each feature, nothing if it is empty.
    ///
    /// # Errors
    /// [`ScoreError`].
    fn score_knowing(&mut self, row_buffer: &RowBuffer, _known: &[KnownEffect]) -> Result<Scoring, ScoreError> {
        self.score(row_buffer)
    }

    /// Takes the row buffer's newest row into a batch: of rows of many subjects that share this model, or of many rows of one. What
    /// it says of them, the same as of each by itself, bit for bit, is at the end of `scorings`, in their order, after
    /// [`score_waiting`](Self::score_waiting); until then some of it may be missing or not what will be there.
    fn score_later(&mut self, row_buffer: &RowBuffer, scorings: &mut Vec<Result<Scoring, ScoreError>>) {
        scorings.push(self.score(row_buffer));
    }

    /// Scores the rows that wait. `scorings` are those that the rows were taken with.
    fn score_waiting(&mut self, _scorings: &mut Vec<Result<Scoring, ScoreError>>) {}

    /// Asks for the memory that its next score will read (a hint to the processor), `n_rows_before` rows of other subjects before its
    /// turn: what lies behind a pointer can be asked for only when the pointer is there, so each number asks for a part.
    fn look_ahead(&self, _n_rows_before: usize) {}

    /// Holds training statistics together with the subject's extractor, where it has the same; after it was restored.
    fn share_statistics(&mut self, _scaler: &Scaler) {}

    /// What is stored with each subject.
    ///
    /// # Errors
    /// [`RestoreError::State`] for what has no stored form.
    fn own(&self) -> Result<Self::Own, RestoreError>;

    /// The shared file's bytes; asked only where it [`SHARES`](Self::SHARES).
    ///
    /// # Errors
    /// [`RestoreError::State`] for what has no stored form.
    fn file(&self) -> Result<ModelFile, RestoreError> {
        Ok(ModelFile { bytes: Vec::new(), extension: "postcard" })
    }

    /// Puts it together again; `model` is the shared file, empty where it doesn't [`SHARES`](Self::SHARES).
    ///
    /// # Errors
    /// [`RestoreError`].
    fn restore(own: Self::Own, model: RestoredFile<'_, Self>, options: &LoadOptions) -> Result<Self, RestoreError>;

    /// Bytes held beside what is shared.
    fn own_bytes(&self) -> usize;

    /// The trained part that other subjects may share.
    fn shared_part(&self) -> Option<SharedPart> {
        None
    }

    /// What a trained one is expected to hold.
    fn estimated_bytes(spec: &Self::Spec, shape: HistoryShape) -> DetectorBytes;

    /// Reads its section of the config, `detection.<name>`; what is absent keeps its default. `None` after a problem.
    fn read_options(_reader: &mut Reader<'_>, _files: &OptionFiles<'_>) -> Option<Self::Spec> {
        Some(Self::Spec::default())
    }

    /// What it expected of the newest row, if that is what it scores by.
    fn expectations(&self) -> Option<&dyn Expectations> {
        None
    }

    /// By how many seconds the clock that the subject goes by was changed, if the newest row has shown it; told once.
    fn take_clock_change(&mut self) -> Option<i32> {
        None
    }

    /// What each feature contributes to its score of the newest row, `(n_features)`, into `contributions`; `None` if it can't
    /// be said.
    fn contributions(
        &mut self,
        _row_buffer: &RowBuffer,
        _contributions: &mut Vec<f64>,
    ) -> Option<Result<(), ScoreError>> {
        None
    }
}

/// What a forecast says of the newest row.
pub trait Expectations {
    /// What was expected of a feature, in its own unit.
    fn expected(&self, feature_idx: usize) -> Option<f64>;

    /// Whether the feature lay where it usually does.
    fn is_usual(&self, feature_idx: usize) -> bool;
}

/// The options of a detector that has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct NoOptions {}

/// Something `homeostat tune` may try: its name and its values. The first value is the default and writes nothing.
pub type TunedSetting = (&'static str, &'static [TunedValue]);

/// A value's name, and what it writes into the config: paths and their YAML.
pub type TunedValue = (&'static str, &'static [(&'static str, &'static str)]);

/// A trained part that several subjects may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SharedPart {
    /// Where it is: the same for all that share it, as long as one of them lives.
    pub address: usize,
    /// Bytes held once for all of them.
    pub bytes: usize,
}

impl SharedPart {
    pub(crate) fn of<T>(part: &Arc<T>, bytes: usize) -> Self {
        Self { address: Arc::as_ptr(part).addr(), bytes }
    }
}

/// A trained part as a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelFile {
    /// Its content.
    pub bytes: Vec<u8>,
    /// The ending of its name.
    pub extension: &'static str,
}

impl ModelFile {
    /// In postcard's format.
    pub(crate) fn postcard(model: &impl Serialize) -> Result<Self, RestoreError> {
        Ok(Self { bytes: postcard::to_allocvec(model).map_err(RestoreError::state)?, extension: "postcard" })
    }
}

/// The shared file of a detector that is restored.
#[derive(Debug)]
pub struct RestoredFile<'a, T> {
    /// Its content.
    pub bytes: &'a [u8],
    /// One that was restored from the same file before.
    pub known: Option<&'a T>,
}

impl<T: Clone + DeserializeOwned> RestoredFile<'_, T> {
    /// A model that is wholly in its file, in postcard's format.
    pub(crate) fn restored(&self) -> Result<T, RestoreError> {
        match self.known {
            Some(known) => Ok(known.clone()),
            None => postcard::from_bytes(self.bytes).map_err(RestoreError::state),
        }
    }
}

/// What the size of a model depends on beside its options.
#[derive(Clone, Copy, Debug)]
pub struct HistoryShape {
    /// Features of a row.
    pub n_features: usize,
    /// Rows that models are fitted on.
    pub n_rows: usize,
    /// Milliseconds between rows.
    pub step_ms: usize,
}

/// What a detector is expected to hold, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DetectorBytes {
    /// Each subject's own.
    pub own: usize,
    /// Once for all that share it.
    pub shared: usize,
}

/// Reads a file of so many bytes at most, or says what is wrong.
pub type ReadFile = dyn Fn(&Path, usize) -> Result<Vec<u8>, String>;

/// How options name files.
pub struct OptionFiles<'a> {
    /// The directory that names are relative to.
    pub base: &'a Path,
    /// Reads a file of so many bytes at most; says what is wrong otherwise. This crate touches no file itself.
    pub read: &'a ReadFile,
}

impl fmt::Debug for OptionFiles<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OptionFiles").field("base", &self.base).finish_non_exhaustive()
    }
}

/// What a detector's own check of its options says, or a problem with its section.
pub(crate) fn checked<T: Fitted>(reader: &mut Reader<'_>, options: Result<T::Spec, TrainError>) -> Option<T::Spec> {
    let place = reader.place();
    options.map_err(|why| reader.problem(place, format!("detection.{}: {why}", T::NAME))).ok()
}

/// A count whose range the detector checks.
pub(crate) fn size(reader: &mut Reader<'_>, key: &'static str, default: usize) -> usize {
    reader.count(key, 0..=u32::MAX).map_or(default, |count| count as usize)
}

/// A detector as it is stored with its subject: the name of its shared file, if it has one, and what is its own.
pub(crate) struct Stored<T: Fitted> {
    pub(crate) file: String,
    pub(crate) own: T::Own,
}

impl<T: Fitted> Serialize for Stored<T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if T::SHARES { (&self.file, &self.own).serialize(serializer) } else { self.own.serialize(serializer) }
    }
}

impl<'de, T: Fitted> Deserialize<'de> for Stored<T> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if T::SHARES {
            let (file, own) = Deserialize::deserialize(deserializer)?;
            Ok(Self { file, own })
        } else {
            Ok(Self { file: String::new(), own: T::Own::deserialize(deserializer)? })
        }
    }
}
