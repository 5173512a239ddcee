//! A directory for one test's processes: configuration, data, logs.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tempfile::TempDir;

/// A temporary directory, removed on drop unless `HOMEOSTAT_TESTS_KEEP` is set.
#[derive(Debug)]
pub struct Scratch(TempDir);

impl Scratch {
    /// Makes a directory whose name begins with `name`.
    ///
    /// # Errors
    /// When the temporary directory can't be written.
    pub fn new(name: &str) -> Result<Self> {
        let mut dir = tempfile::Builder::new()
            .prefix(&format!("homeostat-{name}-"))
            .tempdir()
            .with_context(|| format!("making a directory for {name}"))?;
        if std::env::var_os("HOMEOSTAT_TESTS_KEEP").is_some() {
            dir.disable_cleanup(true);
            eprintln!("KEEP {}", dir.path().display());
        }
        Ok(Self(dir))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes a file in it, and returns its path.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> Result<PathBuf> {
        let path = self.0.path().join(name);
        std::fs::write(&path, content).with_context(|| format!("writing {}", path.display()))?;
        Ok(path)
    }
}
