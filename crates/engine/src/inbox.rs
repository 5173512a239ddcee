//! What people say, on its way to a running service: files in the storage directory, as the kill switch's are. Whoever may write
//! there may say it.

use std::fs::File;
use std::io::{self, Read};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use homeostat_core::{IncidentId, IncidentLabel, Timestamp};
use homeostat_remediate::Approval;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::whole_file;

/// No file is read beyond this: the longest note, escaped as JSON, fits.
const FILE_BYTES_MAX: u64 = 16 * 1024;

/// What may wait in an inbox.
pub(crate) trait Message: Serialize + DeserializeOwned {
    /// How the files' names begin; the time in Unix milliseconds, the process and the incident follow.
    const PREFIX: &'static str;

    /// When it was said.
    fn at(&self) -> Timestamp;

    /// The incident it is about.
    fn incident(&self) -> &IncidentId;
}

impl Message for IncidentLabel {
    const PREFIX: &'static str = "LABEL.";

    fn at(&self) -> Timestamp {
        self.at
    }

    fn incident(&self) -> &IncidentId {
        &self.incident
    }
}

impl Message for Approval {
    const PREFIX: &'static str = "APPROVAL.";

    fn at(&self) -> Timestamp {
        self.at
    }

    fn incident(&self) -> &IncidentId {
        &self.incident
    }
}

/// The messages of one kind that wait in one storage directory.
#[derive(Clone, Debug)]
pub(crate) struct Inbox<M> {
    storage: PathBuf,
    of: PhantomData<M>,
}

/// A file that waits, and what it says.
#[derive(Debug)]
pub(crate) struct Waiting<M> {
    path: PathBuf,
    /// The message, or why it can't be read.
    pub(crate) message: Result<M, String>,
}

impl<M: Message> Inbox<M> {
    /// Of this storage directory.
    pub(crate) fn new(storage: &Path) -> Self {
        Self { storage: storage.to_owned(), of: PhantomData }
    }

    /// Leaves a message for the service.
    pub(crate) fn put(&self, message: &M) -> io::Result<()> {
        let text = serde_json::to_string(message)?;
        let (at_ms, incident) = (message.at().as_millis(), message.incident());
        let name = format!("{}{at_ms:013}.{}.{incident}", M::PREFIX, std::process::id());
        whole_file::write(&self.storage, &name, &text)
    }

    /// What waits, oldest first.
    pub(crate) fn waiting(&self) -> Vec<Waiting<M>> {
        let Ok(entries) = std::fs::read_dir(&self.storage) else { return Vec::new() };
        let is_one =
            |entry: &std::fs::DirEntry| entry.file_name().to_str().is_some_and(|name| name.starts_with(M::PREFIX));
        let mut paths: Vec<PathBuf> = entries.flatten().filter(is_one).map(|entry| entry.path()).collect();
        paths.sort();
        paths.into_iter().map(|path| Waiting { message: read(&path), path }).collect()
    }
}

impl<M> Waiting<M> {
    /// It was taken, or can't be.
    pub(crate) fn remove(&self) -> io::Result<()> {
        std::fs::remove_file(&self.path)
    }

    /// The file's name.
    pub(crate) fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }
}

fn read<M: Message>(path: &Path) -> Result<M, String> {
    let mut text = String::new();
    let file = File::open(path).map_err(|error| error.to_string())?;
    file.take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(|error| error.to_string())?;
    serde_json::from_str(&text).map_err(|error| error.to_string())
}
