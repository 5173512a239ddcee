//! What is fitted already of a training under way, in a directory beside its output, so that a training that was stopped goes
//! on. Found again by a digest of all it depends on, so nothing of other inputs is ever taken.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use homeostat_core::{Timestamp, sha256_hex};
use homeostat_detect::SavedEnsemble;
use serde::{Deserialize, Serialize};

/// What the name of the directory ends with.
const ENDING: &str = "partial";
const MODELS: &str = "models";
const RUN: &str = "run.json";
const FITTED: &str = "fitted";

/// A directory of fitted subjects: at most one file for each of this training's, and the models that they name.
#[derive(Debug)]
pub(crate) struct Checkpoint {
    dir: PathBuf,
    /// For crash tests: how many may be kept before everything stands still.
    pause_after: Option<usize>,
    n_put: Mutex<usize>,
}

/// What a training remembers of its beginning.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Run {
    /// Digest of what was asked for.
    pub(crate) asked: String,
    /// When it began: the bundle's `trained_at`.
    pub(crate) began: Timestamp,
    /// The last moment of the history, which must not move on in between.
    pub(crate) history_end: Timestamp,
}

/// One fitted subject. The models' names are the digests of their content.
#[derive(Serialize, Deserialize)]
struct Fitted {
    /// SHA-256 of the state.
    sha256: String,
    state: Vec<u8>,
    models: Vec<String>,
}

impl Checkpoint {
    /// Of a training whose output is this path. Nothing is made yet.
    pub(crate) fn beside(output: &Path, pause_after: Option<usize>) -> Self {
        let mut name = output.file_name().unwrap_or_default().to_owned();
        name.push(".");
        name.push(ENDING);
        Self { dir: output.with_file_name(name), pause_after, n_put: Mutex::new(0) }
    }

    /// Where it is.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The beginning of the training that was stopped, if there is one that asked for the same.
    pub(crate) fn run(&self, asked: &str) -> Option<Run> {
        let run: Run = serde_json::from_slice(&std::fs::read(self.dir.join(RUN)).ok()?).ok()?;
        (run.asked == asked).then_some(run)
    }

    /// Makes the directory and notes the beginning.
    pub(crate) fn begin(&self, run: &Run) -> anyhow::Result<()> {
        for dir in [self.dir.join(MODELS), self.dir.join(FITTED)] {
            std::fs::create_dir_all(&dir).with_context(|| format!("making {}", dir.display()))?;
        }
        write(&self.dir.join(RUN), &serde_json::to_vec_pretty(run)?)
    }

    /// Removes what belongs to none of these digests: fitted on other inputs, it would only lie about.
    pub(crate) fn prune(&self, keys: &[String]) {
        let wanted: BTreeSet<&str> = keys.iter().map(String::as_str).collect();
        let Ok(entries) = std::fs::read_dir(self.dir.join(FITTED)) else { return };
        for path in entries.flatten().map(|entry| entry.path()) {
            if !path.file_name().is_some_and(|name| wanted.contains(name.to_string_lossy().as_ref())) {
                // What can't be removed isn't taken either.
                let _ = std::fs::remove_file(path);
            }
        }
        // Models are bounded by the subjects that name them; without any, they are of other inputs.
        if self.n_kept() == 0
            && let Ok(entries) = std::fs::read_dir(self.dir.join(MODELS))
        {
            entries.flatten().for_each(|entry| drop(std::fs::remove_file(entry.path())));
        }
    }

    /// A fitted subject; `None` if there is none, or what is there was cut off or changed: then it is fitted again.
    pub(crate) fn get(&self, key: &str) -> Option<SavedEnsemble> {
        let bytes = std::fs::read(self.dir.join(FITTED).join(key)).ok()?;
        let fitted: Fitted = postcard::from_bytes(&bytes).ok()?;
        if sha256_hex(&[&fitted.state]) != fitted.sha256 {
            return None;
        }
        let mut models = BTreeMap::new();
        for name in fitted.models {
            let model: Model = postcard::from_bytes(&std::fs::read(self.dir.join(MODELS).join(&name)).ok()?).ok()?;
            if sha256_hex(&[&model.bytes]) != model.sha256 {
                return None;
            }
            models.insert(name, Arc::new(model.bytes));
        }
        Some(SavedEnsemble { state: fitted.state, models })
    }

    /// Keeps a fitted subject. A kill in between leaves the file of before, or none.
    pub(crate) fn put(&self, key: &str, saved: &SavedEnsemble) -> anyhow::Result<()> {
        // One at a time: a crash test counts them.
        let mut n_put = self.n_put.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, bytes) in &saved.models {
            let path = self.dir.join(MODELS).join(name);
            if !path.exists() {
                let model = Model { sha256: sha256_hex(&[bytes.as_slice()]), bytes: bytes.to_vec() };
                write(&path, &postcard::to_allocvec(&model)?)?;
            }
        }
        let fitted = Fitted {
            sha256: sha256_hex(&[&saved.state]),
            state: saved.state.clone(),
            models: saved.models.keys().cloned().collect(),
        };
        write(&self.dir.join(FITTED).join(key), &postcard::to_allocvec(&fitted)?)?;
        *n_put += 1;
        if self.pause_after == Some(*n_put) {
            tracing::warn!(kept = *n_put, "paused for a crash test");
            loop {
                std::thread::park();
            }
        }
        Ok(())
    }

    /// How many subjects are kept.
    pub(crate) fn n_kept(&self) -> usize {
        let is_whole = |path: PathBuf| path.extension().is_none();
        let entries = std::fs::read_dir(self.dir.join(FITTED));
        entries.map_or(0, |entries| entries.flatten().filter(|entry| is_whole(entry.path())).count())
    }

    /// Removes the directory: the bundle is there.
    pub(crate) fn remove(&self) -> anyhow::Result<()> {
        match std::fs::remove_dir_all(&self.dir) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("removing {}", self.dir.display()))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

/// A model that subjects share, with the digest of its content.
#[derive(Serialize, Deserialize)]
struct Model {
    sha256: String,
    bytes: Vec<u8>,
}

/// Writes beside and moves: a reader never sees half. Not synced: after a power cut the digests tell.
fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let half = path.with_extension("half");
    std::fs::write(&half, bytes)
        .and_then(|()| std::fs::rename(&half, path))
        .with_context(|| format!("keeping {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn saved(state: &[u8]) -> SavedEnsemble {
        let models = BTreeMap::from([("forest-1.postcard".to_owned(), Arc::new(vec![7; 100]))]);
        SavedEnsemble { state: state.to_vec(), models }
    }

    fn kept() -> (tempfile::TempDir, Checkpoint) {
        let room = tempfile::tempdir().expect("a directory");
        let kept = Checkpoint::beside(&room.path().join("bundle.tar.zst"), None);
        let at = Timestamp::from_secs(60);
        kept.begin(&Run { asked: "this".into(), began: at, history_end: at }).expect("room to write");
        (room, kept)
    }

    #[test]
    fn what_was_kept_is_found_by_its_digest_and_by_no_other() {
        let (_room, kept) = kept();
        kept.put("abc", &saved(b"one")).expect("room to write");
        assert_eq!(kept.get("abc"), Some(saved(b"one")));
        assert_eq!(kept.get("abd"), None);
        assert!(kept.run("this").is_some() && kept.run("something else").is_none());
        kept.prune(&["abd".to_owned()]);
        assert_eq!((kept.get("abc"), kept.n_kept()), (None, 0));
        kept.remove().expect("removed");
        assert!(!kept.dir().exists());
    }

    #[test]
    fn what_was_cut_off_or_changed_is_fitted_again() {
        let (_room, kept) = kept();
        kept.put("abc", &saved(b"some state")).expect("room to write");
        for path in [kept.dir().join("fitted/abc"), kept.dir().join("models/forest-1.postcard")] {
            let whole = std::fs::read(&path).expect("a file");
            for end in 0..whole.len() {
                std::fs::write(&path, &whole[..end]).expect("room to write");
                assert_eq!(kept.get("abc"), None, "cut at {end}");
            }
            let mut flipped = whole.clone();
            *flipped.last_mut().expect("a byte") ^= 1;
            std::fs::write(&path, &flipped).expect("room to write");
            assert_eq!(kept.get("abc"), None, "{}", path.display());
            std::fs::write(&path, &whole).expect("room to write");
        }
        assert_eq!(kept.get("abc"), Some(saved(b"some state")));
    }
}
