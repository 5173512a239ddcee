//! Objects from files, as `kubectl get … -o json` writes them: a list, one object, or several of either one after the other.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::object::{ClusterObject, Read};
use super::state::ClusterState;

/// The largest file that is read at once: `kubectl get pods -A -o json` of ten thousand pods has a fifth of it.
const BYTES_MAX: u64 = 512 * 1024 * 1024;

/// Objects read from files.
#[derive(Clone, Debug, Default)]
pub struct ClusterFiles {
    /// What was read.
    pub cluster: ClusterState,
    /// Objects that facts are made of.
    pub n_objects: usize,
    /// Objects of other kinds, and events that say nothing new.
    pub n_not_needed: usize,
    /// Things in the place of an object that are none.
    pub n_not_objects: usize,
}

/// A file that can't be read as objects of a cluster.
#[derive(Debug, thiserror::Error)]
pub enum ClusterFilesError {
    /// It isn't there, or may not be read.
    #[error("{path} can't be read", path = path.display())]
    NotRead {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is too large to be read at once.
    #[error("{path} has {bytes} bytes, more than {BYTES_MAX}: write one file for each namespace", path = path.display())]
    TooLarge {
        /// Which.
        path: PathBuf,
        /// Its size.
        bytes: u64,
    },
    /// It isn't JSON, or half of it is missing.
    #[error("{path} isn't valid JSON: write it with `kubectl get pods,deployments,replicasets,events -o json`", path = path.display())]
    NotJson {
        /// Which.
        path: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
    /// There is JSON, and not one object of a cluster in it.
    #[error("{path} has no Kubernetes object: each needs a `kind` and a `metadata.name`", path = path.display())]
    NoObject {
        /// Which.
        path: PathBuf,
    },
}

impl ClusterFiles {
    /// Reads one more file.
    ///
    /// # Errors
    /// When it can't be read as JSON, or has no object at all.
    pub fn read(&mut self, path: &Path) -> Result<(), ClusterFilesError> {
        let not_read = |source| ClusterFilesError::NotRead { path: path.to_owned(), source };
        let bytes = std::fs::metadata(path).map_err(not_read)?.len();
        if bytes > BYTES_MAX {
            return Err(ClusterFilesError::TooLarge { path: path.to_owned(), bytes });
        }
        let text = std::fs::read(path).map_err(not_read)?;
        let before = self.n_objects + self.n_not_needed;
        let mut has_list = false;
        for value in serde_json::Deserializer::from_slice(&text).into_iter::<Value>() {
            let value = value.map_err(|source| ClusterFilesError::NotJson { path: path.to_owned(), source })?;
            has_list |= value.get("items").is_some_and(Value::is_array);
            self.take(&value);
        }
        // An empty list is an answer, too: there are no such objects.
        if self.n_objects + self.n_not_needed == before && !has_list {
            return Err(ClusterFilesError::NoObject { path: path.to_owned() });
        }
        Ok(())
    }

    /// Takes an object, or the items of a list.
    pub fn take(&mut self, value: &Value) {
        let kind = value.get("kind").and_then(Value::as_str).unwrap_or_default();
        // `List` of kubectl, whose items say their kind, and `PodList` of the API, whose items don't.
        let Some(item_kind) = kind.strip_suffix("List").filter(|_| value.get("items").is_some()) else {
            return self.count(ClusterObject::read(value));
        };
        for item in value.get("items").and_then(Value::as_array).into_iter().flatten() {
            let own = item.get("kind").and_then(Value::as_str);
            self.count(ClusterObject::read_as(own.unwrap_or(item_kind), item));
        }
    }

    fn count(&mut self, read: Read) {
        match read {
            Read::Object(object) => {
                self.n_objects += 1;
                self.cluster.take(object);
            }
            Read::NotNeeded => self.n_not_needed += 1,
            Read::NotAnObject => self.n_not_objects += 1,
        }
    }
}
