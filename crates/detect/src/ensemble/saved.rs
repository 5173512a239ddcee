//! Ensembles as bytes, and back: the next score is the same, bit for bit, and what was shared is shared again.
//!
//! A model that subjects may share is a file of its own, named by its content; a subject's state names the files it needs.

use std::collections::BTreeMap;
use std::sync::Arc;

use homeostat_core::Schema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Ensemble, FitReport, Member, MissingDetector, Model};
#[cfg(feature = "onnx")]
use crate::autoencoder::{Autoencoder, AutoencoderMeta, AutoencoderSaved};
use crate::dbscan::Dbscan;
use crate::feature_extractor::FeatureExtractor;
use crate::forecast::Forecast;
use crate::forest::{Forest, IsolationForest, Reservoir};
use crate::fusion::Fusion;
#[cfg(feature = "onnx")]
use crate::onnx::OnnxRuntime;
use crate::pca::Pca;
use crate::residual::Residual;
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
    /// Everything but the models that can be shared, in postcard's format.
    pub state: Vec<u8>,
    /// The models it needs, by file name. An autoencoder's is an ONNX file, as any runtime loads it.
    pub models: BTreeMap<String, Arc<Vec<u8>>>,
}

/// Why saved bytes are no ensemble: train again, or fetch the bundle again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// The state can't be read.
    #[error("the saved state can't be read ({why}): train again, or fetch the bundle again")]
    State {
        /// What was wrong.
        why: String,
    },
    /// The autoencoder's network can't be run.
    #[error("the saved autoencoder can't be loaded: {why}")]
    Network {
        /// What was wrong, and what to do.
        why: String,
    },
}

/// What loading needs beside the bytes. The default runs networks inside the program.
#[derive(Clone, Debug)]
#[cfg_attr(not(feature = "onnx"), derive(Default))]
pub struct LoadOptions {
    /// What runs the autoencoder's network.
    #[cfg(feature = "onnx")]
    pub onnx: OnnxRuntime,
}

#[cfg(feature = "onnx")]
impl Default for LoadOptions {
    fn default() -> Self {
        Self { onnx: OnnxRuntime::embedded() }
    }
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

/// The variants' order is part of the format: new ones go to the end, and a changed one needs a new format version.
/// `file` names a model that may be shared.
#[derive(Serialize, Deserialize)]
enum SavedModel {
    Residual(Residual),
    Forest {
        file: String,
        reservoir: Option<Box<Reservoir>>,
    },
    Dbscan {
        file: String,
    },
    Forecast(Forecast),
    /// The network's description is in postcard's format of its own: a program built without networks must still be able to
    /// read the rest, to say what is missing.
    Autoencoder {
        file: String,
        meta: Vec<u8>,
    },
    Pca {
        file: String,
    },
    #[cfg(test)]
    Scripted(super::Scripted),
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
            members.push((saved_model(model, file)?, tail.clone()));
        }
        let state = State {
            schema: (*ensemble.schema).clone(),
            extractor: ensemble.extractor.clone(),
            members,
            missing: ensemble.missing.clone(),
            fusion: ensemble.fusion.clone(),
            fit: ensemble.fit.clone(),
        };
        Ok(SavedEnsemble { state: postcard::to_allocvec(&state).map_err(unreadable)?, models })
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
    #[cfg_attr(not(feature = "onnx"), expect(dead_code, reason = "only networks have options"))]
    options: &'a LoadOptions,
    forests: BTreeMap<String, Arc<IsolationForest>>,
    dbscans: BTreeMap<String, Dbscan>,
    pcas: BTreeMap<String, Pca>,
    #[cfg(feature = "onnx")]
    autoencoders: BTreeMap<String, Autoencoder>,
}

impl<'a> Restorer<'a> {
    /// Nothing is loaded yet.
    pub fn new(options: &'a LoadOptions) -> Self {
        Self {
            options,
            forests: BTreeMap::new(),
            dbscans: BTreeMap::new(),
            pcas: BTreeMap::new(),
            #[cfg(feature = "onnx")]
            autoencoders: BTreeMap::new(),
        }
    }

    /// The ensemble these bytes were made of. Files of the same name must have the same content, as [`Saver`] names them.
    pub fn restore(&mut self, saved: &SavedEnsemble) -> Result<Ensemble, RestoreError> {
        let state: State = postcard::from_bytes(&saved.state).map_err(unreadable)?;
        let n_features = state.schema.n_features();
        if !state.extractor.is_consistent()
            || !state.fusion.is_consistent()
            || state.extractor.row_buffer().n_features() != n_features
        {
            return Err(unreadable("its parts are about different numbers of features"));
        }
        let members: Result<Vec<Member>, RestoreError> = state
            .members
            .into_iter()
            .map(|(model, tail)| Ok(Member { model: self.model(model, &saved.models)?, tail }))
            .collect();
        Ok(Ensemble {
            schema: Arc::new(state.schema),
            extractor: state.extractor,
            members: members?,
            missing: state.missing,
            fusion: state.fusion,
            fit: state.fit,
            last: None,
        })
    }

    fn model(&mut self, saved: SavedModel, files: &BTreeMap<String, Arc<Vec<u8>>>) -> Result<Model, RestoreError> {
        let bytes = |file: &str| {
            files.get(file).ok_or_else(|| unreadable(format_args!("its model {file} is missing"))).map(|bytes| &**bytes)
        };
        Ok(match saved {
            SavedModel::Residual(residual) => Model::Residual(residual),
            SavedModel::Forest { file, reservoir } => {
                if !self.forests.contains_key(&file) {
                    let forest = postcard::from_bytes(bytes(&file)?).map_err(unreadable)?;
                    self.forests.insert(file.clone(), Arc::new(forest));
                }
                let forest = self.forests.get(&file).ok_or_else(|| unreadable("a forest got lost"))?;
                Model::Forest(Forest::from_parts(Arc::clone(forest), reservoir).map_err(unreadable)?)
            }
            SavedModel::Dbscan { file } => {
                if !self.dbscans.contains_key(&file) {
                    let dbscan = postcard::from_bytes(bytes(&file)?).map_err(unreadable)?;
                    self.dbscans.insert(file.clone(), dbscan);
                }
                let dbscan = self.dbscans.get(&file).ok_or_else(|| unreadable("a DBSCAN model got lost"))?;
                Model::Dbscan(dbscan.clone())
            }
            SavedModel::Forecast(forecast) => Model::Forecast(forecast),
            SavedModel::Pca { file } => {
                if !self.pcas.contains_key(&file) {
                    let pca = postcard::from_bytes(bytes(&file)?).map_err(unreadable)?;
                    self.pcas.insert(file.clone(), pca);
                }
                let pca = self.pcas.get(&file).ok_or_else(|| unreadable("a PCA got lost"))?;
                Model::Pca(pca.clone())
            }
            SavedModel::Autoencoder { file, meta } => self.autoencoder(&file, &meta, bytes(&file))?,
            #[cfg(test)]
            SavedModel::Scripted(scripted) => Model::Scripted(scripted),
        })
    }

    #[cfg(feature = "onnx")]
    fn autoencoder(
        &mut self,
        file: &str,
        meta: &[u8],
        onnx: Result<&Vec<u8>, RestoreError>,
    ) -> Result<Model, RestoreError> {
        let meta: AutoencoderMeta = postcard::from_bytes(meta).map_err(unreadable)?;
        // The same network may be fed in another way: a user's own with other means for holes.
        if let Some(known) = self.autoencoders.get(file).filter(|known| *known.model().meta() == meta) {
            return Ok(Model::Autoencoder(Box::new(known.clone())));
        }
        let Ok(onnx) = onnx else {
            return Err(RestoreError::Network { why: "its ONNX file is missing: fetch the bundle again".to_owned() });
        };
        let loaded = Autoencoder::load(AutoencoderSaved { onnx: onnx.clone(), meta }, &self.options.onnx)
            .map_err(|error| RestoreError::Network { why: error.to_string() })?;
        self.autoencoders.insert(file.to_owned(), loaded.clone());
        Ok(Model::Autoencoder(Box::new(loaded)))
    }

    #[cfg(not(feature = "onnx"))]
    fn autoencoder(
        &mut self,
        _file: &str,
        _meta: &[u8],
        _onnx: Result<&Vec<u8>, RestoreError>,
    ) -> Result<Model, RestoreError> {
        let why = "this program was built without ONNX: use one built with the feature onnx, or train again";
        Err(RestoreError::Network { why: why.to_owned() })
    }
}

fn unreadable(why: impl ToString) -> RestoreError {
    RestoreError::State { why: why.to_string() }
}

/// The model that can be shared as a file; named by its content, so that two of a name are the same.
fn file_of(model: &Model) -> Result<(String, Arc<Vec<u8>>), RestoreError> {
    let (bytes, extension) = match model {
        Model::Forest(forest) => (postcard::to_allocvec(&**forest.forest()), "postcard"),
        Model::Dbscan(dbscan) => (postcard::to_allocvec(dbscan), "postcard"),
        Model::Pca(pca) => (postcard::to_allocvec(pca), "postcard"),
        #[cfg(feature = "onnx")]
        Model::Autoencoder(autoencoder) => (Ok(autoencoder.model().onnx().to_vec()), "onnx"),
        Model::Residual(_) | Model::Forecast(_) => (Ok(Vec::new()), "postcard"),
        #[cfg(test)]
        Model::Scripted(_) => (Ok(Vec::new()), "postcard"),
    };
    let bytes = bytes.map_err(unreadable)?;
    // 32 digits: what differs never has the same name.
    let digits: String = Sha256::digest(&bytes).iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    Ok((format!("{}-{digits}.{extension}", model.name()), Arc::new(bytes)))
}

/// What is the subject's own of a model; `file` names what may be shared.
#[cfg_attr(not(feature = "onnx"), expect(clippy::unnecessary_wraps))]
fn saved_model(model: &Model, file: String) -> Result<SavedModel, RestoreError> {
    Ok(match model {
        Model::Residual(residual) => SavedModel::Residual(residual.clone()),
        Model::Forest(forest) => SavedModel::Forest { file, reservoir: forest.reservoir().cloned().map(Box::new) },
        Model::Dbscan(_) => SavedModel::Dbscan { file },
        Model::Pca(_) => SavedModel::Pca { file },
        Model::Forecast(forecast) => SavedModel::Forecast(forecast.clone()),
        #[cfg(feature = "onnx")]
        Model::Autoencoder(autoencoder) => {
            let meta = postcard::to_allocvec(autoencoder.model().meta()).map_err(unreadable)?;
            SavedModel::Autoencoder { file, meta }
        }
        #[cfg(test)]
        Model::Scripted(scripted) => SavedModel::Scripted(scripted.clone()),
    })
}
