//! Trained ensembles as a directory or one archive, written whole or not at all, and checked byte by byte when read.
//!
//! This is the one file-system corner of the crate. It stores what it is given; it trains nothing, and it keeps no
//! incidents.
//!
//! ```text
//! manifest.json                 format, provenance, recipe, subjects with their fit, length and SHA-256 of every other file
//! calibration.json              the confidence curves
//! models/forest-….postcard      models, named by their content: subjects with the same features share them
//! models/dbscan-….postcard
//! models/autoencoder-….onnx     a network, as any ONNX runtime loads it
//! <subject>/state.postcard      scaler, forecast, tails, threshold, and the memory of the last rows
//! ```
//!
//! A name that ends with `.tar.zst` is one archive of the same files, and everything that reads bundles reads either.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use homeostat_core::{Schema, Subject};

use crate::ensemble::{Ensemble, Restorer, SavedEnsemble, Saver};
use crate::load_options::LoadOptions;

mod archive;
mod error;
mod manifest;
mod place;
mod recipe;
mod store;

pub use error::{BundleLoadError, BundleSaveError};
pub use manifest::{BundleManifest, FileEntry, Provenance, SubjectEntry};
pub use recipe::Recipe;

use manifest::{directory, sha256};
use place::{Form, put_in_place};
use store::Store;

const MANIFEST: &str = "manifest.json";

/// The version of the format this program writes, and the only one it reads: a model of another version scores otherwise.
const FORMAT: u32 = 6;

const CALIBRATION: &str = "calibration.json";
const STATE: &str = "state.postcard";
const MODELS: &str = "models";

/// No file of a bundle is larger: a state of a thousand features takes some 20 MB, a manifest of ten thousand subjects 15.
const FILE_BYTES_MAX: u64 = 256 << 20;

/// The trained ensembles of all subjects, the confidence curves, and where they come from.
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
/// use std::collections::BTreeMap;
/// use homeostat_detect::{Bundle, Ensemble, EnsembleSpec, LoadOptions, Provenance, Recipe};
///
/// let history = window("cart", 0, 400)?;
/// let spec = EnsembleSpec::default();
/// let ensemble = Ensemble::train(&spec, &history, Seed::new(1))?;
/// let recipe = Recipe::of(&spec, false, Seed::new(1));
/// let provenance = Provenance {
///     trained_at: history.grid().end(),
///     source: "an example".into(),
///     history_start: history.grid().start(),
///     history_end: history.grid().end(),
/// };
/// let ensembles = BTreeMap::from([(history.subject().clone(), ensemble)]);
/// let room = tempfile::tempdir()?;
/// let path = room.path().join("bundle.tar.zst"); // or a name without this ending, for a directory
/// Bundle { provenance, recipe, ensembles, calibration_json: "{}".into() }.save(&path)?;
/// let loaded = Bundle::load(&path, |_| None, &LoadOptions::default())?;
/// assert_eq!(loaded.provenance.source, "an example");
/// # Ok::<(), Any>(())
/// ```
#[derive(Clone, Debug)]
pub struct Bundle {
    /// Where it comes from.
    pub provenance: Provenance,
    /// With which options the models were trained; the opening rule among them is what their alarm thresholds were fitted to.
    pub recipe: Recipe,
    /// The ensembles, each as it stood after the last row it has seen.
    pub ensembles: BTreeMap<Subject, Ensemble>,
    /// The confidence curves, as JSON: what reads them is the crate that knows incidents.
    pub calibration_json: String,
}

impl Bundle {
    /// Writes the bundle: one archive if the name ends with `.tar.zst`, else a directory. The same bundle gives the same bytes.
    ///
    /// It appears whole or not at all: everything is written to `<path>.tmp`, synced, and then renamed. A directory that was
    /// there before is moved to `<path>.old` in between, and removed at the end. After an error nothing of the new one is left.
    /// One writer at a time.
    pub fn save(&self, path: &Path) -> Result<(), BundleSaveError> {
        put_in_place(path, Form::of(path), &self.files()?)
    }

    /// Removes what a [`save`](Self::save) that was cut off has left beside `path`. It couldn't be loaded as a bundle, but takes
    /// room. Best effort: the next save removes it, too.
    pub fn discard_unfinished(path: &Path) {
        place::discard_unfinished(path);
    }

    /// Every file by its path within the bundle. They are in memory once more while they are written: a tenth of what training
    /// takes.
    fn files(&self) -> Result<BTreeMap<String, Arc<Vec<u8>>>, BundleSaveError> {
        let mut files: BTreeMap<String, Arc<Vec<u8>>> = BTreeMap::new();
        let mut subjects = Vec::with_capacity(self.ensembles.len());
        let mut saver = Saver::default();
        for (subject, ensemble) in &self.ensembles {
            let saved = saver.save(ensemble).map_err(|error| part(subject, error))?;
            let directory = directory(subject);
            files.insert(format!("{directory}/{STATE}"), Arc::new(saved.state));
            subjects.push(entry(subject, directory, ensemble, saved.models.keys().cloned().collect())?);
            files.extend(saved.models.into_iter().map(|(model, bytes)| (format!("{MODELS}/{model}"), bytes)));
        }
        files.insert(CALIBRATION.to_owned(), Arc::new(self.calibration_json.clone().into_bytes()));
        let manifest = BundleManifest {
            format: FORMAT,
            homeostat: env!("CARGO_PKG_VERSION").to_owned(),
            provenance: self.provenance.clone(),
            recipe: self.recipe.clone(),
            subjects,
            files: files.iter().map(|(name, bytes)| (name.clone(), FileEntry::of(bytes))).collect(),
        };
        let manifest = serde_json::to_vec_pretty(&manifest).map_err(|error| part(&MANIFEST, error))?;
        files.insert(MANIFEST.to_owned(), Arc::new(manifest));
        Ok(files)
    }

    /// Reads a bundle, a directory or an archive. `schema` gives what the config asks of a subject's features, or `None` where
    /// the config says nothing of it; a model trained on anything else is refused.
    pub fn load(
        path: &Path,
        schema: impl Fn(&Subject) -> Option<Schema>,
        options: &LoadOptions,
    ) -> Result<Self, BundleLoadError> {
        let store = Store::open(path)?;
        let manifest = store.manifest()?;
        let calibration_json = String::from_utf8(store.checked(CALIBRATION, &manifest)?)
            .map_err(|error| BundleLoadError::damaged(store.path_of(CALIBRATION), error.to_string()))?;
        let mut ensembles = BTreeMap::new();
        let mut restorer = Restorer::new(options);
        let mut models: BTreeMap<&str, Arc<Vec<u8>>> = BTreeMap::new();
        for SubjectEntry { subject, models: wanted, .. } in &manifest.subjects {
            for model in wanted {
                if !models.contains_key(model.as_str()) {
                    models.insert(model, Arc::new(store.checked(&format!("{MODELS}/{model}"), &manifest)?));
                }
            }
            let of_subject =
                wanted.iter().filter_map(|name| Some((name.clone(), Arc::clone(models.get(name.as_str())?))));
            let saved = SavedEnsemble {
                state: store.checked(&format!("{}/{STATE}", directory(subject)), &manifest)?,
                models: of_subject.collect(),
            };
            let ensemble = restorer
                .restore(&saved)
                .map_err(|source| BundleLoadError::Model { subject: subject.clone(), source })?;
            if let Some(difference) = schema(subject).and_then(|wanted| difference(ensemble.schema(), &wanted)) {
                return Err(BundleLoadError::OtherSchema { subject: subject.clone(), difference });
            }
            ensembles.insert(subject.clone(), ensemble);
        }
        Ok(Self { provenance: manifest.provenance, recipe: manifest.recipe, ensembles, calibration_json })
    }
}

fn entry(
    subject: &Subject,
    directory: String,
    ensemble: &Ensemble,
    models: Vec<String>,
) -> Result<SubjectEntry, BundleSaveError> {
    let schema = serde_json::to_vec(&**ensemble.schema()).map_err(|error| part(subject, error))?;
    let missing = ensemble.missing().iter().map(|one| (one.detector.clone(), one.why.clone())).collect();
    Ok(SubjectEntry {
        subject: subject.clone(),
        directory,
        schema: sha256(&schema),
        models,
        missing,
        fit: ensemble.fit().clone(),
    })
}

fn part(name: &dyn std::fmt::Display, error: impl std::fmt::Display) -> BundleSaveError {
    BundleSaveError::Part { why: format!("{name}: {error}") }
}

/// The first difference between the features of a model and those of the config.
fn difference(trained: &Schema, wanted: &Schema) -> Option<String> {
    let pairs = trained.features().iter().zip(wanted.features());
    for (trained, wanted) in pairs {
        if trained.name != wanted.name {
            return Some(format!("{} where {} is wanted", trained.name, wanted.name));
        }
        if trained != wanted {
            return Some(format!("{} has another signal, direction or deviation_min", trained.name));
        }
    }
    let (found, asked) = (trained.n_features(), wanted.n_features());
    (found != asked).then(|| format!("{found} features where {asked} are wanted"))
}

#[cfg(test)]
mod tests;
