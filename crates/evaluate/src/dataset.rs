//! labelled datasets: a manifest and one CSV a series. This reads bytes; who opens the files is the caller's matter.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

mod series;
mod shop;

pub use series::{LabelledSeries, Placement, ROW_BYTES_MAX, SERIES_CELLS_MAX, SeriesError, Stamps};
pub use shop::{SHOP_DAYS_MAX, ShopDatasetError, ShopDatasetSpec, WrittenSeries, shop_dataset};

/// Series of a dataset at most. Larger collections are better judged dataset by dataset.
const SERIES_MAX: usize = 100_000;

/// What a dataset holds: `manifest.json`.
#[derive(Clone, Debug, PartialEq)]
pub struct Dataset {
    entries: Vec<SeriesEntry>,
}

/// One series of a dataset. Other fields of the manifest are left alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeriesEntry {
    /// The set it belongs to; metrics are means by set first.
    pub set: String,
    /// Its name, unique within the set.
    pub series: String,
    /// Its file, from the dataset's directory.
    pub path: String,
    /// Rows of the file.
    pub rows: usize,
    /// The first rows, which train and aren't judged.
    pub train_rows: usize,
    /// Seconds between rows.
    pub interval_s: u64,
}

impl SeriesEntry {
    /// The time between rows.
    pub fn step(&self) -> Duration {
        Duration::from_secs(self.interval_s)
    }

    /// Where its scores are kept, from the directory of scores.
    pub fn scores_path(&self) -> String {
        format!("{}/{}.csv", self.set, self.series)
    }
}

/// Why a text is no manifest: mend the dataset.
#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    /// It isn't the JSON that is expected.
    #[error("the manifest isn't a list of series with set, series, path, rows, train_rows and interval_s")]
    Json(#[source] serde_json::Error),
    /// It has no series.
    #[error("the manifest names no series")]
    Empty,
    /// It has too many series.
    #[error("the manifest names {0} series, at most {SERIES_MAX} are read; split the dataset")]
    TooMany(usize),
    /// One of its series can't be.
    #[error("series {set}/{series}: {why}")]
    Entry {
        /// The set.
        set: String,
        /// The series.
        series: String,
        /// What is wrong.
        why: &'static str,
    },
}

impl Dataset {
    /// Reads a manifest.
    pub fn parse(manifest: &[u8]) -> Result<Self, DatasetError> {
        let entries: Vec<SeriesEntry> = serde_json::from_slice(manifest).map_err(DatasetError::Json)?;
        if entries.is_empty() {
            return Err(DatasetError::Empty);
        }
        if entries.len() > SERIES_MAX {
            return Err(DatasetError::TooMany(entries.len()));
        }
        let mut seen = BTreeSet::new();
        for entry in &entries {
            let twice = !seen.insert((&entry.set, &entry.series));
            if let Some(why) = twice.then_some("is named twice").or_else(|| objection(entry)) {
                return Err(DatasetError::Entry { set: entry.set.clone(), series: entry.series.clone(), why });
            }
        }
        Ok(Self { entries })
    }

    /// The series, in the manifest's order.
    pub fn entries(&self) -> &[SeriesEntry] {
        &self.entries
    }

    /// Names of the sets, in order.
    pub fn sets(&self) -> BTreeSet<&str> {
        self.entries.iter().map(|entry| entry.set.as_str()).collect()
    }

    /// The series of these sets only.
    #[must_use]
    pub fn only(mut self, sets: &[String]) -> Self {
        self.entries.retain(|entry| sets.contains(&entry.set));
        self
    }
}

fn objection(entry: &SeriesEntry) -> Option<&'static str> {
    let is_name = |text: &str| !text.is_empty() && text != "." && text != ".." && !text.contains(['/', '\\', '\0']);
    let stays_inside = !entry.path.starts_with('/') && entry.path.split(['/', '\\']).all(is_name);
    if !is_name(&entry.set) || !is_name(&entry.series) {
        // Scores are written to <set>/<series>.csv.
        Some("set and series are names of files: not empty, without slashes")
    } else if !stays_inside {
        Some("its path must lie inside the dataset")
    } else if entry.interval_s == 0 {
        Some("interval_s must be at least 1")
    } else if entry.train_rows == 0 || entry.train_rows >= entry.rows {
        Some("train_rows must be at least 1 and leave rows to judge")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(set: &str, series: &str, path: &str, train_rows: usize) -> String {
        format!(
            r#"{{"set":"{set}","series":"{series}","path":"{path}","rows":100,"train_rows":{train_rows},"interval_s":60,"note":""}}"#
        )
    }

    #[test]
    fn a_manifest_says_where_each_series_is() {
        let text = format!("[{},{}]", manifest("a", "x", "a/x.csv.gz", 50), manifest("b", "x", "b/x.csv.gz", 50));
        let dataset = Dataset::parse(text.as_bytes()).expect("a manifest");
        assert_eq!(dataset.entries()[1].scores_path(), "b/x.csv");
        assert_eq!(dataset.only(&["b".into()]).sets(), BTreeSet::from(["b"]));
    }

    #[test]
    fn names_that_would_leave_the_directory_are_refused() {
        for (set, series, path) in
            [("..", "x", "x.csv"), ("a", "x/y", "x.csv"), ("a", "x", "../x.csv"), ("a", "x", "/etc/x"), ("", "x", "x")]
        {
            let text = format!("[{}]", manifest(set, series, path, 50));
            assert!(
                matches!(Dataset::parse(text.as_bytes()), Err(DatasetError::Entry { .. })),
                "{set} {series} {path}"
            );
        }
    }

    #[test]
    fn what_cannot_be_judged_is_refused() {
        let twice = manifest("a", "x", "x.csv", 50);
        for text in [
            format!("[{}]", manifest("a", "x", "x.csv", 100)),
            format!("[{}]", manifest("a", "x", "x.csv", 0)),
            format!("[{twice},{twice}]"),
            "[]".into(),
            "{}".into(),
        ] {
            assert!(Dataset::parse(text.as_bytes()).is_err(), "{text}");
        }
    }
}
