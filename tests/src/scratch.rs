//! A directory for one test's processes: configuration, data, logs.

use std::path::{Path, PathBuf};
use std::sync::Once;

use anyhow::{Context, Result};
use tempfile::TempDir;

const PREFIX: &str = "homeostat-test-";

/// A temporary directory, removed on drop unless `HOMEOSTAT_TESTS_KEEP` is set.
#[derive(Debug)]
pub struct Scratch(TempDir);

impl Scratch {
    /// Makes a directory whose name holds `name`.
    ///
    /// # Errors
    /// When the temporary directory can't be written.
    pub fn new(name: &str) -> Result<Self> {
        static SWEPT: Once = Once::new();
        SWEPT.call_once(sweep);
        let keep = std::env::var_os("HOMEOSTAT_TESTS_KEEP").is_some();
        let prefix =
            if keep { format!("homeostat-kept-{name}-") } else { format!("{PREFIX}{}-{name}-", std::process::id()) };
        let mut dir = tempfile::Builder::new()
            .prefix(&prefix)
            .tempdir()
            .with_context(|| format!("making a directory for {name}"))?;
        if keep {
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

/// Removes what test processes that are gone have left: a shared control plane is never dropped, and neither is
/// anything of an interrupted run.
fn sweep() {
    let Ok(entries) = std::fs::read_dir(std::env::temp_dir()) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let owner = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next()?.parse::<u32>().ok());
        if owner.is_some_and(|owner| !Path::new(&format!("/proc/{owner}")).exists()) {
            // Another test process may be removing it as well.
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}
