//! Runs that are done, kept so that an evaluation that was stopped goes on.
//!
//! A run is found again by everything it depends on: this very build, the options, the series' rows and the seed.

use std::path::{Path, PathBuf};

use anyhow::Context;
use homeostat_core::sha256_hex;
use homeostat_evaluate::{LabelledSeries, SeriesEntry, SeriesRun};

use super::files;

/// A directory of runs. Nothing is ever removed from it; delete it when it has grown.
pub(super) struct Cache {
    dir: PathBuf,
    options: String,
}

impl Cache {
    /// Opens a directory for runs with these options; it is made where it isn't there.
    pub(super) fn open(dir: &Path, options: &str) -> anyhow::Result<Self> {
        std::fs::create_dir_all(dir).with_context(|| format!("making {}", dir.display()))?;
        let program = std::env::current_exe().and_then(std::fs::read).context("reading this program")?;
        Ok(Self { dir: dir.to_owned(), options: sha256_hex(&[&program, options.as_bytes()]) })
    }

    /// What a run is found by.
    pub(super) fn key(&self, entry: &SeriesEntry, seed: u64, series: &LabelledSeries) -> String {
        let values: Vec<u8> = series.window.values().iter().flat_map(|value| value.to_le_bytes()).collect();
        let entry = format!("{entry:?} {:?}", series.window.grid());
        sha256_hex(&[self.options.as_bytes(), entry.as_bytes(), &seed.to_le_bytes(), &values])
    }

    /// A run that was kept; one that can't be read is done again.
    pub(super) fn get(&self, key: &str) -> Option<SeriesRun> {
        let bytes = std::fs::read(self.path(key)).ok()?;
        postcard::from_bytes(&bytes).ok()
    }

    /// Keeps a run.
    pub(super) fn put(&self, key: &str, run: &SeriesRun) -> anyhow::Result<()> {
        let bytes = postcard::to_allocvec(run).context("a run as bytes")?;
        files::write(&self.path(key), &bytes)
    }

    fn path(&self, key: &str) -> PathBuf {
        self.dir.join(format!("{key}.run"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_run_is_found_with_the_same_options_only() {
        let dir = tempfile::tempdir().expect("a directory");
        let entry = SeriesEntry {
            set: "set".into(),
            series: "one".into(),
            path: "one.csv".into(),
            rows: 2,
            train_rows: 1,
            interval_s: 60,
        };
        let csv = "timestamp,a,label\n0,1,0\n60,2,0\n".as_bytes();
        let series = LabelledSeries::read(&entry, csv, homeostat_evaluate::Placement::Strict).expect("a series");
        let run = SeriesRun {
            detectors: vec!["forest".into()],
            missing: vec![],
            score: vec![0.5],
            alert: vec![true],
            open: vec![true],
            surprisal_nats: vec![vec![1.5]],
            n_unscored: 0,
            threshold_nats: 10.0,
        };
        let cache = Cache::open(dir.path(), "options").expect("a cache");
        cache.put(&cache.key(&entry, 1, &series), &run).expect("kept");
        assert_eq!(cache.get(&cache.key(&entry, 1, &series)), Some(run));
        assert_eq!(cache.get(&cache.key(&entry, 2, &series)), None);
        let other = Cache::open(dir.path(), "other options").expect("a cache");
        assert_eq!(other.get(&other.key(&entry, 1, &series)), None);
    }
}
