//! Labels on their way to a running service: files in the storage directory, as the kill switch's are.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use homeostat_core::IncidentLabel;

use crate::whole_file;

/// How the files' names begin; the time in Unix milliseconds, the process and the incident follow.
const PREFIX: &str = "LABEL.";
/// No file is read beyond this: the longest note, escaped as JSON, fits.
const FILE_BYTES_MAX: u64 = 16 * 1024;

/// The labels that wait in one storage directory.
#[derive(Clone, Debug)]
pub(crate) struct Inbox {
    storage: PathBuf,
}

/// A file that waits, and what it says.
#[derive(Debug)]
pub(crate) struct Waiting {
    path: PathBuf,
    /// The label, or why it can't be read.
    pub(crate) label: Result<IncidentLabel, String>,
}

impl Inbox {
    /// Of this storage directory.
    pub(crate) fn new(storage: &Path) -> Self {
        Self { storage: storage.to_owned() }
    }

    /// Leaves a label for the service.
    pub(crate) fn put(&self, label: &IncidentLabel) -> io::Result<()> {
        let text = serde_json::to_string(label)?;
        let name = format!("{PREFIX}{:013}.{}.{}", label.at.as_millis(), std::process::id(), label.incident);
        whole_file::write(&self.storage, &name, &text)
    }

    /// What waits, oldest first.
    pub(crate) fn waiting(&self) -> Vec<Waiting> {
        let Ok(entries) = std::fs::read_dir(&self.storage) else { return Vec::new() };
        let is_label =
            |entry: &std::fs::DirEntry| entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX));
        let mut paths: Vec<PathBuf> = entries.flatten().filter(is_label).map(|entry| entry.path()).collect();
        paths.sort();
        paths.into_iter().map(|path| Waiting { label: read(&path), path }).collect()
    }
}

impl Waiting {
    /// It was taken, or can't be.
    pub(crate) fn remove(&self) -> io::Result<()> {
        std::fs::remove_file(&self.path)
    }

    /// The file's name.
    pub(crate) fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }
}

fn read(path: &Path) -> Result<IncidentLabel, String> {
    let mut text = String::new();
    let file = File::open(path).map_err(|error| error.to_string())?;
    file.take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(|error| error.to_string())?;
    serde_json::from_str(&text).map_err(|error| error.to_string())
}
