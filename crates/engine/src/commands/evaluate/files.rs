//! Files of an evaluation: scores in, results out.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use anyhow::Context;
use flate2::read::MultiGzDecoder;
use homeostat_evaluate::{LabelledSeries, Placement, SeriesEntry};

/// Writes a file whole or not at all; makes its directory.
pub(super) fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    if let Some(dir) = path.parent().filter(|dir| !dir.as_os_str().is_empty()) {
        std::fs::create_dir_all(dir).with_context(|| format!("making {}", dir.display()))?;
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".partial");
    let partial = path.with_file_name(name);
    let written = std::fs::write(&partial, bytes).and_then(|()| std::fs::rename(&partial, path));
    if written.is_err() {
        // What is half written helps nobody; that it can't be removed either is told by the first error.
        let _ = std::fs::remove_file(&partial);
    }
    written.with_context(|| format!("writing {}", path.display()))
}

/// Reads a series of a dataset.
pub(in crate::commands) fn read_series(
    dataset_dir: &Path,
    entry: &SeriesEntry,
    placement: Placement,
) -> anyhow::Result<LabelledSeries> {
    let path = dataset_dir.join(&entry.path);
    let file = File::open(&path).with_context(|| format!("opening {}", path.display()))?;
    LabelledSeries::read(entry, file, placement).with_context(|| path.display().to_string())
}

/// Opens scores, gzipped (`.gz`) or not.
pub(super) fn open_scores(dir: &Path, name: &str) -> anyhow::Result<(PathBuf, Box<dyn BufRead>)> {
    let plain = dir.join(name);
    if plain.exists() {
        let file = File::open(&plain).with_context(|| format!("opening {}", plain.display()))?;
        return Ok((plain, Box::new(BufReader::new(file))));
    }
    let zipped = dir.join(format!("{name}.gz"));
    let file = File::open(&zipped).with_context(|| format!("no scores: neither {} nor with .gz", plain.display()))?;
    Ok((zipped, Box::new(BufReader::new(MultiGzDecoder::new(file)))))
}

/// The most memory this process has had, where the system says.
pub(in crate::commands) fn peak_memory_mib() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_written_whole_and_nothing_else_is_left() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("set/one.csv");
        write(&path, b"score\n1\n").expect("written");
        assert_eq!(std::fs::read(&path).expect("readable"), b"score\n1\n");
        assert_eq!(std::fs::read_dir(dir.path().join("set")).expect("readable").count(), 1);
        let (found, mut lines) = open_scores(dir.path(), "set/one.csv").expect("scores");
        let mut first = String::new();
        lines.read_line(&mut first).expect("readable");
        assert_eq!((found, first.as_str()), (path, "score\n"));
    }
}
