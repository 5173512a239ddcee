//! Ensembles as bytes, and back: the next score is the same, bit for bit, and what was shared is shared again.
//!
//! A model that subjects may share is a file of its own, named by its content; a subject's state names the files it needs.

use std::collections::BTreeMap;
use std::sync::Arc;

use homeostat_core::{LocalTime, Schema};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Ensemble, FitReport, Member, MissingDetector};
use crate::detectors::{Model, SavedModel};
use crate::feature_extractor::FeatureExtractor;
use crate::fitted::ModelFile;
use crate::fusion::Fusion;
use crate::load_options::LoadOptions;
use crate::restore_error::RestoreError;
use crate::tail::Tail;

/// An ensemble as it is stored.
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
/// use homeostat_detect::{Ensemble, EnsembleSpec, LoadOptions};
///
/// let mut ensemble = Ensemble::train(&EnsembleSpec::default(), &window("cart", 0, 400)?, Seed::new(1))?;
/// let mut loaded = Ensemble::restore(&ensemble.save()?, &LoadOptions::default())?;
/// let next = window("cart", 400, 5)?;
/// assert_eq!(loaded.assess(&next), ensemble.assess(&next), "bit for bit");
/// # Ok::<(), Any>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedEnsemble {
    /// Everything but the models that can be shared, in postcard's format; after it local time, where that isn't UTC without holidays.
    pub state: Vec<u8>,
    /// The models it needs, by file name. An autoencoder's is an ONNX file, as any runtime loads it.
    pub models: BTreeMap<String, Arc<Vec<u8>>>,
}

#[derive(Serialize, Deserialize)]
struct State {
    schema: Schema,
    extractor: FeatureExtractor,
    members: Vec<(SavedModel, Tail)>,
    missing: Vec<MissingDetector>,
    fusion: Fusion,
    fit: FitReport,
}

impl Ensemble {
    /// The ensemble as bytes. The last assessment isn't part of it: it was given already. To save several that share models,
    /// see [`Saver`].
    pub fn save(&self) -> Result<SavedEnsemble, RestoreError> {
        Saver::default().save(self)
    }

    /// The ensemble these bytes were made of. To restore several that share models, see [`Restorer`].
    pub fn restore(saved: &SavedEnsemble, options: &LoadOptions) -> Result<Self, RestoreError> {
        Restorer::new(options).restore(saved)
    }
}

/// Saves several ensembles; a model that they share is turned into bytes once, and its bytes are shared, too.
#[derive(Debug, Default)]
pub struct Saver<'a> {
    /// By where the model is. What was saved is borrowed, so the address stays its own.
    files: BTreeMap<usize, (String, Arc<Vec<u8>>)>,
    saved: std::marker::PhantomData<&'a Ensemble>,
}

impl<'a> Saver<'a> {
    /// The ensemble as bytes. The last assessment isn't part of it.
    pub fn save(&mut self, ensemble: &'a Ensemble) -> Result<SavedEnsemble, RestoreError> {
        let mut models = BTreeMap::new();
        let mut members = Vec::with_capacity(ensemble.members.len());
        for Member { model, tail } in &ensemble.members {
            let file = match model.shared_part() {
                Some(part) => {
                    let (name, bytes) = match self.files.get(&part.address) {
                        Some(known) => known.clone(),
                        None => self.files.entry(part.address).or_insert(file_of(model)?).clone(),
                    };
                    models.insert(name.clone(), bytes);
                    name
                }
                None => String::new(),
            };
            members.push((model.stored(file)?, tail.clone()));
        }
        let state = State {
            schema: (*ensemble.schema).clone(),
            extractor: ensemble.extractor.clone(),
            members,
            missing: ensemble.missing.clone(),
            fusion: ensemble.fusion.as_trained(),
            fit: ensemble.fit.clone(),
        };
        let mut bytes = postcard::to_allocvec(&state).map_err(RestoreError::state)?;
        let local_time = ensemble.local_time();
        if !local_time.is_plain_utc() {
            bytes.extend(postcard::to_allocvec(local_time).map_err(RestoreError::state)?);
        }
        Ok(SavedEnsemble { state: bytes, models })
    }
}

/// Restores several ensembles; what they share is loaded once.
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
/// use homeostat_detect::{Ensemble, EnsembleSpec, LoadOptions, Restorer, Saver};
///
/// let ensemble = Ensemble::train(&EnsembleSpec::default(), &window("cart", 0, 400)?, Seed::new(1))?;
/// let mut saver = Saver::default();
/// let saved = [saver.save(&ensemble)?, saver.save(&ensemble)?];
/// // What has the same content is the same file, and is loaded once.
/// assert_eq!(saved[0].models.keys().collect::<Vec<_>>(), saved[1].models.keys().collect::<Vec<_>>());
/// let options = LoadOptions::default();
/// let mut restorer = Restorer::new(&options);
/// for one in &saved {
///     assert_eq!(restorer.restore(one)?.newest_at(), ensemble.newest_at());
/// }
/// # Ok::<(), Any>(())
/// ```
#[derive(Debug)]
pub struct Restorer<'a> {
    options: &'a LoadOptions,
    /// What was restored, by the file it came from.
    known: BTreeMap<String, Model>,
    /// That of the ensemble before: all of a bundle have the same.
    local_time: LocalTime,
}

impl<'a> Restorer<'a> {
    /// Nothing is loaded yet.
    pub fn new(options: &'a LoadOptions) -> Self {
        Self { options, known: BTreeMap::new(), local_time: LocalTime::default() }
    }

    /// The same local time, with one table for all ensembles that have it.
    fn shared_local_time(&mut self, local_time: LocalTime) -> LocalTime {
        if local_time != self.local_time {
            self.local_time = local_time;
        }
        self.local_time.clone()
    }

    /// The ensemble these bytes were made of. Files of the same name must have the same content, as [`Saver`] names them.
    pub fn restore(&mut self, saved: &SavedEnsemble) -> Result<Ensemble, RestoreError> {
        let (state, rest): (State, &[u8]) = postcard::take_from_bytes(&saved.state).map_err(RestoreError::state)?;
        let local_time = if rest.is_empty() {
            LocalTime::default()
        } else {
            postcard::from_bytes(rest).map_err(RestoreError::state)?
        };
        let n_features = state.schema.n_features();
        if !state.extractor.is_consistent()
            || !state.fusion.is_consistent()
            || state.extractor.row_buffer().n_features() != n_features
        {
            return Err(RestoreError::state("its parts are about different numbers of features"));
        }
        let members: Result<Vec<Member>, RestoreError> = state
            .members
            .into_iter()
            .map(|(model, tail)| {
                let mut model = model.restore(&saved.models, &mut self.known, self.options)?;
                model.share_statistics(state.extractor.scaler());
                Ok(Member { model, tail })
            })
            .collect();
        Ok(Ensemble {
            schema: Arc::new(state.schema),
            extractor: state.extractor.in_local_time(self.shared_local_time(local_time)),
            members: members?,
            missing: state.missing,
            fusion: state.fusion,
            fit: state.fit,
            last: None,
        })
    }
}

/// The model that can be shared as a file; named by its content, so that two of a name are the same.
fn file_of(model: &Model) -> Result<(String, Arc<Vec<u8>>), RestoreError> {
    let ModelFile { bytes, extension } = model.file()?;
    // 32 digits: what differs never has the same name.
    let digits: String = Sha256::digest(&bytes).iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    Ok((format!("{}-{digits}.{extension}", model.name()), Arc::new(bytes)))
}
