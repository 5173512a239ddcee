//! A labelled dataset as an input: every series a subject of its own, the rows that train apart from those that are judged. What
//! really happened stays unread: readers leave the label column out.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use homeostat_core::Timestamp;
use homeostat_evaluate::{Dataset, SeriesEntry};
use homeostat_ingest::{Labels, ReadError, Sample, SampleSink, SeriesIdx, What};

const MANIFEST: &str = "manifest.json";

/// Which rows of a dataset's series are wanted; of other files it is always all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DatasetRows {
    /// All.
    All,
    /// Those that train.
    Training,
    /// Those after them, which are judged.
    Judged,
}

/// A dataset and where it is.
pub(crate) struct DatasetInput {
    dir: PathBuf,
    dataset: Dataset,
}

impl DatasetInput {
    /// The dataset that the paths name: one directory with a manifest.
    pub(crate) fn of(paths: &[PathBuf]) -> anyhow::Result<Option<Self>> {
        let Some(dir) = paths.iter().find(|path| path.is_dir() && path.join(MANIFEST).is_file()) else {
            return Ok(None);
        };
        if paths.len() > 1 {
            bail!("{} is a labelled dataset; give it alone, without other files", dir.display());
        }
        let path = dir.join(MANIFEST);
        let bytes = std::fs::read(&path).with_context(|| path.display().to_string())?;
        let dataset = Dataset::parse(&bytes).with_context(|| path.display().to_string())?;
        Ok(Some(Self { dir: dir.clone(), dataset }))
    }

    /// Its series and their files.
    pub(crate) fn series(&self) -> impl Iterator<Item = (&SeriesEntry, PathBuf)> {
        self.dataset.entries().iter().map(|entry| (entry, self.dir.join(Path::new(&entry.path))))
    }
}

/// Hands on the rows of one series that are wanted, as those of its subject.
pub(crate) struct OfSeries<'a> {
    entry: &'a SeriesEntry,
    rows: DatasetRows,
    inner: &'a mut dyn SampleSink,
    /// The first row that isn't training's, once the first row says when it is.
    judged_from: Option<Timestamp>,
}

impl<'a> OfSeries<'a> {
    /// Of this series.
    pub(crate) fn new(entry: &'a SeriesEntry, rows: DatasetRows, inner: &'a mut dyn SampleSink) -> Self {
        Self { entry, rows, inner, judged_from: None }
    }
}

impl SampleSink for OfSeries<'_> {
    fn series(&mut self, what: What<'_>, labels: &Labels) -> Result<Option<SeriesIdx>, ReadError> {
        let mut labels = labels.clone();
        labels.insert("namespace".to_owned(), self.entry.set.clone());
        labels.insert("workload".to_owned(), self.entry.series.clone());
        self.inner.series(what, &labels)
    }

    fn sample(&mut self, series: SeriesIdx, sample: Sample) -> Result<(), ReadError> {
        let training = self.entry.step() * u32::try_from(self.entry.train_rows).unwrap_or(u32::MAX);
        let judged_from = *self.judged_from.get_or_insert(sample.at + training);
        let is_wanted = match self.rows {
            DatasetRows::All => true,
            DatasetRows::Training => sample.at < judged_from,
            DatasetRows::Judged => sample.at >= judged_from,
        };
        if is_wanted { self.inner.sample(series, sample) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use homeostat_ingest::{FeatureTable, ReadOptions, read_samples};

    use super::*;

    #[test]
    fn training_and_judged_rows_are_apart_and_the_label_is_no_feature() {
        let entry = SeriesEntry {
            set: "shop".into(),
            series: "cart".into(),
            path: "cart.csv".into(),
            rows: 5,
            train_rows: 3,
            interval_s: 60,
        };
        let csv = "timestamp,cpu,label\n60,1,0\n120,2,0\n180,3,0\n240,4,1\n300,5,1\n";
        for (rows, wanted) in [
            (DatasetRows::All, &[1.0, 2.0, 3.0, 4.0, 5.0][..]),
            (DatasetRows::Training, &[1.0, 2.0, 3.0]),
            (DatasetRows::Judged, &[4.0, 5.0]),
        ] {
            let mut table = FeatureTable::new();
            read_samples(csv.as_bytes(), &ReadOptions::default(), &mut OfSeries::new(&entry, rows, &mut table))
                .expect("a table");
            let windows = table.windows(None).expect("windows");
            assert_eq!(windows[0].values().column(0).to_vec(), wanted);
            assert_eq!(windows[0].subject().to_string(), "shop/external/cart");
            assert_eq!(windows[0].schema().n_features(), 1);
        }
    }
}
