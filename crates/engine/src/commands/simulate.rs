//! `homeostat simulate`: a labelled dataset of the simulated shop, for `evaluate` and for trying things out.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, bail};
use clap::Args;
use flate2::{Compression, GzBuilder};
use homeostat_evaluate::{SeriesEntry, ShopDatasetSpec, WrittenSeries, shop_dataset};

use crate::outcome::{Interrupted, print};

#[derive(Debug, Args)]
pub(crate) struct SimulateArgs {
    /// Output directory; it must not exist yet.
    #[arg(long, value_name = "DIR")]
    pub(crate) output: PathBuf,
    /// Seed of services, noise and faults.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Healthy days at the beginning, for training.
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub(crate) train_days: u32,
    /// Days with faults after them, for evaluation.
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub(crate) days: u32,
}

pub(crate) async fn run(args: &SimulateArgs) -> anyhow::Result<()> {
    if args.output.exists() {
        bail!("--output {}: already exists; choose another name or move it away", args.output.display());
    }
    let spec = ShopDatasetSpec { seed: args.seed, train_days: args.train_days, judged_days: args.days };
    let output = args.output.clone();
    let stopped = Arc::new(AtomicBool::new(false));
    let until = Arc::clone(&stopped);
    let mut making = tokio::task::spawn_blocking(move || make(spec, &output, &until));
    let made = tokio::select! {
        made = &mut making => made,
        _ = tokio::signal::ctrl_c() => {
            stopped.store(true, Ordering::Relaxed);
            making.await
        }
    };
    let n_series = made.context("making the dataset")??;
    print(&format!(
        "{n_series} services, {} days to train on and {} with faults; the dataset is {}\n",
        args.train_days,
        args.days,
        args.output.display()
    ));
    Ok(())
}

/// Makes the dataset beside its place and moves it there when it is whole; says how many series it has.
fn make(spec: ShopDatasetSpec, output: &Path, stopped: &AtomicBool) -> anyhow::Result<usize> {
    let unfinished = unfinished(output)?;
    let series = shop_dataset(spec)?;
    let made = write(&series, &unfinished, stopped)
        .and_then(|()| std::fs::rename(&unfinished, output).with_context(|| format!("writing {}", output.display())));
    if made.is_err() {
        // What can't be removed either is named `.unfinished`, and the next run removes it.
        let _ = std::fs::remove_dir_all(&unfinished);
    }
    made.map(|()| series.len())
}

/// Where it grows; a run that was killed may have left something there.
fn unfinished(output: &Path) -> anyhow::Result<PathBuf> {
    let name = output.file_name().with_context(|| format!("--output {}: name a directory", output.display()))?;
    let path = output.with_file_name(format!(".{}.unfinished", name.to_string_lossy()));
    if path.exists() {
        std::fs::remove_dir_all(&path).with_context(|| format!("removing {}", path.display()))?;
    }
    Ok(path)
}

fn write(series: &[WrittenSeries], dir: &Path, stopped: &AtomicBool) -> anyhow::Result<()> {
    for one in series {
        if stopped.load(Ordering::Relaxed) {
            return Err(Interrupted("stopped; nothing was written".to_owned()).into());
        }
        let path = dir.join(&one.entry.path);
        make_parent(&path)?;
        let file = std::fs::File::create(&path).with_context(|| format!("writing {}", path.display()))?;
        // Without a time or a name in its head, the same content is the same file.
        let mut zipped = GzBuilder::new().write(file, Compression::best());
        zipped
            .write_all(one.csv.as_bytes())
            .and_then(|()| zipped.finish()?.sync_all())
            .with_context(|| format!("writing {}: make room and start again", path.display()))?;
    }
    let entries: Vec<&SeriesEntry> = series.iter().map(|one| &one.entry).collect();
    let manifest = dir.join("manifest.json");
    std::fs::write(&manifest, serde_json::to_string_pretty(&entries)? + "\n")
        .with_context(|| format!("writing {}", manifest.display()))
}

fn make_parent(path: &Path) -> anyhow::Result<()> {
    let Some(dir) = path.parent() else { return Ok(()) };
    std::fs::create_dir_all(dir).with_context(|| format!("making {}", dir.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_is_stopped_or_fails_leaves_nothing() {
        let room = tempfile::tempdir().expect("a directory");
        let output = room.path().join("dataset");
        let spec = ShopDatasetSpec { seed: 1, train_days: 1, judged_days: 1 };
        let error = make(spec, &output, &AtomicBool::new(true)).expect_err("stopped");
        assert!(error.downcast_ref::<Interrupted>().is_some(), "{error:#}");
        // A file stands in the way of the first directory.
        let blocked = room.path().join("file").join("dataset");
        std::fs::write(room.path().join("file"), "").expect("written");
        make(spec, &blocked, &AtomicBool::new(false)).expect_err("no directory can be there");
        let left: Vec<_> = std::fs::read_dir(room.path()).expect("read").flatten().map(|one| one.file_name()).collect();
        assert_eq!(left, ["file"]);
    }

    #[test]
    fn what_a_killed_run_left_is_removed() {
        let room = tempfile::tempdir().expect("a directory");
        let left = room.path().join(".dataset.unfinished").join("half");
        std::fs::create_dir_all(&left).expect("made");
        let path = unfinished(&room.path().join("dataset")).expect("removed");
        assert!(!path.exists());
    }
}
