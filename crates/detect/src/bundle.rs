//! Trained ensembles as a directory, written whole or not at all, and checked byte by byte when read.
//!
//! This is the one file-system corner of the crate. It stores what it is given; it trains nothing, and it keeps no
//! incidents.
//!
//! ```text
//! manifest.json                 format, provenance, subjects, length and SHA-256 of every other file
//! calibration.json              the confidence curves
//! models/forest-….postcard      models, named by their content: subjects with the same features share them
//! models/dbscan-….postcard
//! models/autoencoder-….onnx     a network, as any ONNX runtime loads it
//! <subject>/state.postcard      scaler, forecast, tails, threshold, and the memory of the last rows
//! ```

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use homeostat_core::{Schema, Subject};

use crate::confidence::Calibration;
use crate::ensemble::{Ensemble, LoadOptions, RestoreError, Restorer, SavedEnsemble, Saver};

mod manifest;

pub use manifest::Provenance;
use manifest::{FORMAT, FileEntry, FormatOnly, Manifest, SubjectEntry, directory, sha256};

const MANIFEST: &str = "manifest.json";
const CALIBRATION: &str = "calibration.json";
const STATE: &str = "state.postcard";
const MODELS: &str = "models";

/// No file of a bundle is larger: a state of a thousand features takes some 20 MB, a manifest of ten thousand subjects 5.
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
/// use homeostat_detect::{Bundle, Calibration, Ensemble, EnsembleSpec, LoadOptions, Provenance};
///
/// let history = window("cart", 0, 400)?;
/// let ensemble = Ensemble::train(&EnsembleSpec::default(), &history, Seed::new(1))?;
/// let provenance = Provenance {
///     trained_at: history.grid().end(),
///     source: "an example".into(),
///     history_start: history.grid().start(),
///     history_end: history.grid().end(),
/// };
/// let ensembles = BTreeMap::from([(history.subject().clone(), ensemble)]);
/// let dir = tempfile::tempdir()?.path().join("bundle");
/// Bundle { provenance, ensembles, calibration: Calibration::unknown() }.save(&dir)?;
/// let loaded = Bundle::load(&dir, |_| None, &LoadOptions::default())?;
/// assert_eq!(loaded.provenance.source, "an example");
/// # Ok::<(), Any>(())
/// ```
#[derive(Clone, Debug)]
pub struct Bundle {
    /// Where it comes from.
    pub provenance: Provenance,
    /// The ensembles, each as it stood after the last row it has seen.
    pub ensembles: BTreeMap<Subject, Ensemble>,
    /// The confidence curves.
    pub calibration: Calibration,
}

/// Why a bundle couldn't be written. The bundle that was there before is still there, or beside it as `<name>.old`.
#[derive(Debug, thiserror::Error)]
pub enum BundleSaveError {
    /// The file system refused.
    #[error("{path}: the bundle can't be written: free space or fix permissions")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// A part can't be turned into bytes. A defect: please report it.
    #[error("a part of the bundle can't be written down: {why}")]
    Part {
        /// Which, and why.
        why: String,
    },
}

/// Why a directory isn't a bundle that can be used.
#[derive(Debug, thiserror::Error)]
pub enum BundleLoadError {
    /// A file isn't there.
    #[error("{path}: no such file: {hint}")]
    Missing {
        /// The file.
        path: PathBuf,
        /// What to do.
        hint: String,
    },
    /// The file system refused.
    #[error("{path}: can't be read: fix permissions or the path")]
    Io {
        /// The file.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// Another version of the format.
    #[error("{path}: a bundle of format {found}, this program reads format {FORMAT}: train again with this version")]
    OtherFormat {
        /// The manifest.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
    /// A file isn't what was written: cut off, changed, or of another bundle.
    #[error("{path}: damaged ({why}): fetch the bundle again, or train again")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// How it shows.
        why: String,
    },
    /// It was trained on other features than the config's.
    #[error("{subject} was trained on other features than the config asks for ({difference}): train again")]
    OtherSchema {
        /// Whose model.
        subject: Subject,
        /// The first difference.
        difference: String,
    },
    /// A model can't be used though its bytes are what was written.
    #[error("{subject}")]
    Model {
        /// Whose model.
        subject: Subject,
        /// Why.
        source: RestoreError,
    },
}

impl Bundle {
    /// Writes the bundle as the directory `dir`. It appears whole or not at all: everything is written to `<dir>.tmp` and
    /// synced, then renamed; a bundle that was there before is moved to `<dir>.old` in between, and removed at the end.
    /// One writer at a time.
    pub fn save(&self, dir: &Path) -> Result<(), BundleSaveError> {
        let (temporary, old) = (beside(dir, "tmp"), beside(dir, "old"));
        remove(&temporary)?;
        make_directory(&temporary)?;
        let mut files = BTreeMap::new();
        let mut subjects = Vec::new();
        make_directory(&temporary.join(MODELS))?;
        let mut saver = Saver::default();
        for (subject, ensemble) in &self.ensembles {
            let saved = saver.save(ensemble).map_err(|error| part(subject, error))?;
            let name = directory(subject);
            make_directory(&temporary.join(&name))?;
            write(&temporary, &format!("{name}/{STATE}"), &saved.state, &mut files)?;
            for (model, bytes) in &saved.models {
                let path = format!("{MODELS}/{model}");
                if !files.contains_key(&path) {
                    write(&temporary, &path, bytes, &mut files)?;
                }
            }
            sync_directory(&temporary.join(&name))?;
            subjects.push(entry(subject, name, ensemble, saved.models.into_keys().collect())?);
        }
        sync_directory(&temporary.join(MODELS))?;
        let calibration = serde_json::to_vec_pretty(&self.calibration).map_err(|error| part(&CALIBRATION, error))?;
        write(&temporary, CALIBRATION, &calibration, &mut files)?;
        let manifest = Manifest {
            format: FORMAT,
            homeostat: env!("CARGO_PKG_VERSION").to_owned(),
            provenance: self.provenance.clone(),
            subjects,
            files,
        };
        let manifest = serde_json::to_vec_pretty(&manifest).map_err(|error| part(&MANIFEST, error))?;
        write(&temporary, MANIFEST, &manifest, &mut BTreeMap::new())?;
        sync_directory(&temporary)?;
        if dir.exists() {
            remove(&old)?;
            rename(dir, &old)?;
        }
        rename(&temporary, dir)?;
        if let Some(parent) = dir.parent() {
            sync_directory(if parent.as_os_str().is_empty() { Path::new(".") } else { parent })?;
        }
        remove(&old)
    }

    /// Reads a bundle. `schema` gives what the config asks of a subject's features, or `None` where the config says
    /// nothing of it; a model trained on anything else is refused.
    pub fn load(
        dir: &Path,
        schema: impl Fn(&Subject) -> Option<Schema>,
        options: &LoadOptions,
    ) -> Result<Self, BundleLoadError> {
        let manifest = read_manifest(dir)?;
        let calibration_bytes = read(dir, CALIBRATION, &manifest)?;
        let calibration = serde_json::from_slice(&calibration_bytes)
            .map_err(|error| damaged(&dir.join(CALIBRATION), error.to_string()))?;
        let mut ensembles = BTreeMap::new();
        let mut restorer = Restorer::new(options);
        let mut models: BTreeMap<&str, Arc<Vec<u8>>> = BTreeMap::new();
        for SubjectEntry { subject, models: wanted, .. } in &manifest.subjects {
            for model in wanted {
                if !models.contains_key(model.as_str()) {
                    models.insert(model, Arc::new(read(dir, &format!("{MODELS}/{model}"), &manifest)?));
                }
            }
            let of_subject =
                wanted.iter().filter_map(|name| Some((name.clone(), Arc::clone(models.get(name.as_str())?))));
            let saved = SavedEnsemble {
                state: read(dir, &format!("{}/{STATE}", directory(subject)), &manifest)?,
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
        Ok(Self { provenance: manifest.provenance, ensembles, calibration })
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
    Ok(SubjectEntry { subject: subject.clone(), directory, schema: sha256(&schema), models, missing })
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

fn read_manifest(dir: &Path) -> Result<Manifest, BundleLoadError> {
    let path = dir.join(MANIFEST);
    let bytes = read_file(&path).map_err(|error| match error {
        BundleLoadError::Missing { path, .. } if beside(dir, "old").join(MANIFEST).exists() => {
            let old = beside(dir, "old");
            let hint = format!("the last write was interrupted; rename {} back to {}", old.display(), dir.display());
            BundleLoadError::Missing { path, hint }
        }
        BundleLoadError::Missing { path, .. } => {
            BundleLoadError::Missing { path, hint: "this is no bundle; train one, or fix the path".to_owned() }
        }
        other @ (BundleLoadError::Io { .. }
        | BundleLoadError::OtherFormat { .. }
        | BundleLoadError::Damaged { .. }
        | BundleLoadError::OtherSchema { .. }
        | BundleLoadError::Model { .. }) => other,
    })?;
    let FormatOnly { format } =
        serde_json::from_slice(&bytes).map_err(|error| damaged(&path, format!("no manifest: {error}")))?;
    if format != FORMAT {
        return Err(BundleLoadError::OtherFormat { path, found: format });
    }
    serde_json::from_slice(&bytes).map_err(|error| damaged(&path, format!("no manifest: {error}")))
}

/// A file of the bundle, if it is the one that was written.
fn read(dir: &Path, name: &str, manifest: &Manifest) -> Result<Vec<u8>, BundleLoadError> {
    let path = dir.join(name);
    let Some(wanted) = manifest.files.get(name) else {
        return Err(damaged(&dir.join(MANIFEST), format!("it doesn't list {name}")));
    };
    let bytes = read_file(&path)?;
    if bytes.len() as u64 != wanted.bytes {
        return Err(damaged(&path, format!("it has {} bytes, {} were written", bytes.len(), wanted.bytes)));
    }
    if sha256(&bytes) != wanted.sha256 {
        return Err(damaged(&path, "its SHA-256 isn't the one that was written".to_owned()));
    }
    Ok(bytes)
}

fn read_file(path: &Path) -> Result<Vec<u8>, BundleLoadError> {
    let failed = |source: io::Error| {
        if source.kind() == ErrorKind::NotFound {
            let hint = "the bundle is incomplete; fetch it again, or train again".to_owned();
            BundleLoadError::Missing { path: path.to_owned(), hint }
        } else {
            BundleLoadError::Io { path: path.to_owned(), source }
        }
    };
    let n_bytes = fs::metadata(path).map_err(failed)?.len();
    if n_bytes > FILE_BYTES_MAX {
        return Err(damaged(path, format!("it has {n_bytes} bytes, more than any file of a bundle has")));
    }
    fs::read(path).map_err(failed)
}

fn damaged(path: &Path, why: String) -> BundleLoadError {
    BundleLoadError::Damaged { path: path.to_owned(), why }
}

/// `dir` with a suffix to its name, in the same parent: on the same file system, so that renaming is atomic.
fn beside(dir: &Path, suffix: &str) -> PathBuf {
    let mut name = dir.file_name().unwrap_or_default().to_owned();
    name.push(".");
    name.push(suffix);
    dir.with_file_name(name)
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> BundleSaveError + '_ {
    move |source| BundleSaveError::Io { path: path.to_owned(), source }
}

fn write(dir: &Path, name: &str, bytes: &[u8], files: &mut BTreeMap<String, FileEntry>) -> Result<(), BundleSaveError> {
    let path = dir.join(name);
    let mut file = File::create(&path).map_err(io_error(&path))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(io_error(&path))?;
    files.insert(name.to_owned(), FileEntry::of(bytes));
    Ok(())
}

fn make_directory(path: &Path) -> Result<(), BundleSaveError> {
    fs::create_dir_all(path).map_err(io_error(path))
}

fn sync_directory(path: &Path) -> Result<(), BundleSaveError> {
    File::open(path).and_then(|directory| directory.sync_all()).map_err(io_error(path))
}

fn rename(from: &Path, to: &Path) -> Result<(), BundleSaveError> {
    fs::rename(from, to).map_err(io_error(to))
}

fn remove(path: &Path) -> Result<(), BundleSaveError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(io_error(path)(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests;
