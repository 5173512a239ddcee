//! Which journal to read: a service's storage directory, or whatever its config says.

use std::path::PathBuf;

use anyhow::bail;
use clap::Args;
use homeostat_journal::{Store, open_to_read};

use crate::config::{self, JournalPlace};

#[derive(Debug, Clone, Args)]
pub(crate) struct JournalArgs {
    /// The service's storage directory, as in its config.
    #[arg(long = "storage.path", value_name = "DIR", conflicts_with = "config")]
    pub(crate) storage: Option<PathBuf>,
    /// The service's config: for a journal in the cluster.
    #[arg(long = "config.file", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

/// A journal that is there to be read.
pub(super) struct Opened {
    pub(super) store: Box<dyn Store>,
    /// Its file, or the one that archives of a journal in the cluster are beside.
    pub(super) path: PathBuf,
}

impl JournalArgs {
    /// Opens it. Nothing is changed, and a service may be using it.
    pub(super) fn open(&self) -> anyhow::Result<Opened> {
        match (&self.storage, &self.config) {
            (Some(storage), _) => file(storage.join("journal.db")),
            (None, Some(path)) => {
                let config = config::load_or_explain(path)?;
                match config.journal {
                    JournalPlace::Sqlite => file(config.storage.join("journal.db")),
                    JournalPlace::Kubernetes => cluster(&config),
                }
            }
            (None, None) => bail!("name the journal with --storage.path, or with --config.file"),
        }
    }
}

fn file(path: PathBuf) -> anyhow::Result<Opened> {
    Ok(Opened { store: open_to_read(&path)?, path })
}

#[cfg(feature = "kubernetes")]
fn cluster(config: &config::Config) -> anyhow::Result<Opened> {
    use crate::serve::replica::kubernetes::SharedJournal;
    // The config was checked: a journal in the cluster has one.
    let Some(kubernetes) = &config.kubernetes else { bail!("the config has no section `kubernetes`") };
    let shared = SharedJournal::to_read(kubernetes, &config.storage)?;
    Ok(Opened { store: Box::new(std::sync::Arc::clone(&shared.store)), path: config.storage.join("journal.db") })
}

#[cfg(not(feature = "kubernetes"))]
fn cluster(_: &config::Config) -> anyhow::Result<Opened> {
    bail!("this homeostat was built without Kubernetes")
}

/// A head that somebody noted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NotedHead {
    /// The record's number.
    pub(crate) seq: i64,
    hash: String,
}

impl NotedHead {
    /// Whether it is this record; the metric has only the beginning of the hash.
    pub(super) fn is(&self, hash: &str) -> Result<(), String> {
        if hash.starts_with(&self.hash) {
            return Ok(());
        }
        Err(format!("it isn't the record that was noted, whose hash begins with {}", self.hash))
    }
}

/// Reads `RECORD:HASH`.
pub(super) fn head(text: &str) -> Result<NotedHead, String> {
    let (seq, hash) =
        text.split_once([':', ' ']).ok_or("it must be a record's number and its hash, such as 42:9f86d0")?;
    let seq = seq.parse().map_err(|_| format!("{seq:?} isn't a record's number"))?;
    if hash.len() < 12 || !hash.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err("the hash must have at least 12 hexadecimal digits".to_owned());
    }
    Ok(NotedHead { seq, hash: hash.to_owned() })
}
