//! Files of exported metrics that a command was given, as answers to the config's queries or as windows of their own columns.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use homeostat_core::{Schema, Window};
use homeostat_ingest::{
    DecodeLimits, ExportEvaluator, FeatureTable, Format, Matrix, QuerySet, ReadOptions, SampleSink,
};

use crate::config::Config;
use crate::dataset_input::{DatasetInput, DatasetRows, OfSeries};
use crate::reading::Reading;

/// Files read at most, so that a wrong directory doesn't read a disk.
const FILES_MAX: usize = 10_000;
/// Series that queries may select: of each a value a step is kept, and the whole is bounded by samples.
const SERIES_MAX: usize = 500_000;
/// What ends a file's name and says nothing of what it holds.
const ENDINGS: [&str; 6] = [".gz", ".zst", ".json", ".ndjson", ".jsonl", ".txt"];

/// Files of exported metrics.
#[derive(Debug, Clone, Args)]
pub(crate) struct FilesArgs {
    /// Files of exported metrics, also compressed with gzip or zstd; a directory stands for the files in it. With a config,
    /// its queries are evaluated on raw series, and query answers (`QUERY.json`, columns of tables) are matched by name.
    /// Without one, only tables are read, and every column is a feature.
    #[arg(value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Format of the files: query-range, openmetrics, tsdb-dump, victoriametrics, csv or parquet. Default: detected from
    /// their content.
    #[arg(long = "format", value_name = "FORMAT", value_parser = format)]
    pub(crate) files_format: Option<Format>,
}

/// What files hold, as answers to the config's queries.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    /// One for each query, in order.
    pub(crate) matrices: Vec<Option<Matrix>>,
    /// When anything was scraped, where the files have raw samples.
    pub(crate) scrapes: Option<Matrix>,
}

/// Reads the files as answers to the config's queries.
pub(crate) fn answers(args: &FilesArgs, config: &Config, rows: DatasetRows) -> anyhow::Result<Answers> {
    let limits = DecodeLimits { series_max: SERIES_MAX, ..DecodeLimits::default() };
    let mut evaluator = ExportEvaluator::new(&config.queries, &config.subjects, config.step, limits);
    read_all(args, Some(&config.queries), rows, &mut evaluator)?;
    let evaluated = evaluator.finish()?;
    if !evaluated.unknown_features.is_empty() {
        tracing::warn!(
            columns = evaluated.unknown_features.join(","),
            "no query has these names; the columns are ignored"
        );
    }
    for query in &evaluated.empty {
        tracing::warn!(query, "no series in the files answers this query");
    }
    check_subjects(&evaluated.matrices, config)?;
    Ok(Answers { matrices: evaluated.matrices, scrapes: evaluated.scrapes })
}

/// Says which series name no subject; if none does, there is nothing to do.
pub(crate) fn check_subjects(matrices: &[Option<Matrix>], config: &Config) -> anyhow::Result<()> {
    let rule = &config.subjects;
    let series = || matrices.iter().flatten().flat_map(Matrix::series);
    let nameless = || series().filter(|series| rule.subject(series.labels()).is_none());
    let Some(first) = nameless().next() else { return Ok(()) };
    let (n_nameless, n_series) = (nameless().count(), series().count());
    let wanted = match &rule.namespace_fixed {
        Some(_) => rule.name_label.clone(),
        None => format!("{} and {}", rule.namespace_label, rule.name_label),
    };
    let labels: Vec<&str> = first.labels().keys().map(String::as_str).collect();
    let labels = if labels.is_empty() { "none".to_owned() } else { labels.join(", ") };
    if n_nameless == n_series {
        bail!(
            "no series says which subject it is about: the config's `subjects` wants the labels {wanted}, the first series \
             has {labels}; change `subjects`, or let the queries keep those labels"
        );
    }
    tracing::warn!(
        series = n_nameless,
        of = n_series,
        wanted,
        first_has = labels,
        "series name no subject; they are left out"
    );
    Ok(())
}

/// Reads the files as tables, every column a feature; `wanted` are the features and step of models that exist.
pub(crate) fn tables(
    args: &FilesArgs,
    wanted: Option<(&Arc<Schema>, Duration)>,
    rows: DatasetRows,
) -> anyhow::Result<Vec<Window>> {
    let mut table = FeatureTable::new();
    read_all(args, None, rows, &mut table)?;
    Ok(table.windows(wanted)?)
}

/// The files, for people.
pub(crate) fn names(args: &FilesArgs) -> String {
    args.files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join(", ")
}

fn read_all(
    args: &FilesArgs,
    queries: Option<&QuerySet>,
    rows: DatasetRows,
    sink: &mut dyn SampleSink,
) -> anyhow::Result<()> {
    if let Some(dataset) = DatasetInput::of(&args.files)? {
        let paths: Vec<PathBuf> = dataset.series().map(|(_, path)| path).collect();
        let reading = Reading::begin(paths.iter().map(PathBuf::as_path));
        for (entry, path) in dataset.series() {
            let options = ReadOptions { format: args.files_format, feature: None };
            let read = reading.file(&path, &options, &mut OfSeries::new(entry, rows, sink));
            read.with_context(|| path.display().to_string())?;
        }
        return Ok(());
    }
    let paths = files(&args.files)?;
    let reading = Reading::begin(paths.iter().map(PathBuf::as_path));
    for path in paths {
        // Without a query of its name an answer is looked at by its series' own labels.
        let stem = stem(&path);
        let feature = match queries {
            Some(queries) => Some(stem).filter(|stem| queries.schema().position(stem).is_some()),
            None => Some(stem),
        };
        let options = ReadOptions { format: args.files_format, feature };
        let format = reading.file(&path, &options, sink).with_context(|| path.display().to_string())?;
        tracing::debug!(file = %path.display(), %format, "read");
    }
    Ok(())
}

/// What a file's name says it holds: the name without its endings.
fn stem(path: &Path) -> String {
    let mut name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    while let Some(ending) = ENDINGS.into_iter().find(|ending| name.len() > ending.len() && name.ends_with(ending)) {
        name.truncate(name.len() - ending.len());
    }
    name
}

/// The files named, each directory as the files in it, by name.
fn files(given: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut all = Vec::new();
    for path in given {
        if !path.is_dir() {
            all.push(path.clone());
            continue;
        }
        let entries = std::fs::read_dir(path).with_context(|| path.display().to_string())?;
        let mut inside = Vec::new();
        for entry in entries {
            let path = entry.with_context(|| path.display().to_string())?.path();
            let is_hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
            if path.is_file() && !is_hidden {
                inside.push(path);
            }
        }
        if inside.is_empty() {
            bail!("{} holds no file", path.display());
        }
        inside.sort();
        all.extend(inside);
    }
    if all.len() > FILES_MAX {
        bail!("{} files are given, at most {FILES_MAX} are read", all.len());
    }
    Ok(all)
}

/// Reads a format's name.
fn format(text: &str) -> Result<Format, String> {
    text.parse().map_err(|error: homeostat_ingest::UnknownFormat| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stem_is_what_a_file_is_called_without_its_endings() {
        for (name, wanted) in
            [("cpu.json.gz", "cpu"), ("cpu.ndjson.zst", "cpu"), ("error-ratio.json", "error-ratio"), (".json", ".json")]
        {
            assert_eq!(stem(Path::new(name)), wanted);
        }
    }

    #[test]
    fn a_directory_stands_for_its_files_by_name() {
        let dir = tempfile::tempdir().expect("a directory");
        assert!(files(&[dir.path().to_owned()]).is_err(), "an empty one is a mistake");
        for name in ["b.csv", "a.csv", ".hidden"] {
            std::fs::write(dir.path().join(name), "x").expect("written");
        }
        let found = files(&[dir.path().to_owned()]).expect("files");
        assert_eq!(found, [dir.path().join("a.csv"), dir.path().join("b.csv")]);
    }
}
