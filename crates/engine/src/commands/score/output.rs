//! Where scored rows go: standard output, or a file that is whole or isn't there.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use super::row::{ScoredRow, header};
use crate::outcome::print;

/// A place for rows.
pub(super) struct Output {
    to: To,
    format: Format,
    detectors: Vec<String>,
    n_rows: usize,
}

enum To {
    Stdout(String),
    File { path: PathBuf, partial: PathBuf, file: BufWriter<File> },
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    Csv,
    Json,
    JsonLines,
}

/// Bytes gathered before they are printed.
const PRINT_BYTES: usize = 1 << 16;

impl Output {
    /// Opens the file, or standard output; the header of a CSV is written at once.
    pub(super) fn open(path: Option<&Path>, detectors: &[String]) -> anyhow::Result<Self> {
        let (to, format) = match path {
            None => (To::Stdout(String::new()), Format::Csv),
            Some(path) => {
                let format = match path.extension().and_then(|ending| ending.to_str()) {
                    Some("csv") => Format::Csv,
                    Some("json") => Format::Json,
                    Some("jsonl" | "ndjson") => Format::JsonLines,
                    Some(_) | None => bail!("--output {}: end it in .csv, .json or .jsonl", path.display()),
                };
                let mut name = path.file_name().unwrap_or_default().to_owned();
                name.push(".partial");
                let partial = path.with_file_name(name);
                let file = File::create(&partial).with_context(|| format!("--output: {}", partial.display()))?;
                (To::File { path: path.to_owned(), partial, file: BufWriter::new(file) }, format)
            }
        };
        let mut output = Self { to, format, detectors: detectors.to_vec(), n_rows: 0 };
        if format == Format::Csv {
            output.push(&format!("{}\n", header(detectors)))?;
        }
        Ok(output)
    }

    /// Writes a row.
    pub(super) fn write(&mut self, row: &ScoredRow<'_>) -> anyhow::Result<()> {
        let text = match self.format {
            Format::Csv => format!("{}\n", row.csv(&self.detectors)),
            Format::JsonLines => format!("{}\n", row.json()),
            Format::Json => format!("{}{}", if self.n_rows == 0 { "[\n" } else { ",\n" }, row.json()),
        };
        self.n_rows += 1;
        self.push(&text)
    }

    fn push(&mut self, text: &str) -> anyhow::Result<()> {
        match &mut self.to {
            To::Stdout(gathered) => {
                gathered.push_str(text);
                if gathered.len() >= PRINT_BYTES {
                    print(gathered);
                    gathered.clear();
                }
                Ok(())
            }
            To::File { partial, file, .. } => {
                file.write_all(text.as_bytes()).with_context(|| format!("writing {}", partial.display()))
            }
        }
    }

    /// Ends it: only now a file gets its name.
    pub(super) fn finish(mut self) -> anyhow::Result<()> {
        if self.format == Format::Json {
            self.push(if self.n_rows == 0 { "[]\n" } else { "\n]\n" })?;
        }
        match &mut self.to {
            To::Stdout(gathered) => print(&std::mem::take(gathered)),
            To::File { path, partial, file } => {
                let written = file.flush().and_then(|()| file.get_ref().sync_all());
                written
                    .and_then(|()| std::fs::rename(&*partial, &*path))
                    .with_context(|| format!("writing {}", path.display()))?;
            }
        }
        Ok(())
    }
}

impl Drop for Output {
    /// What wasn't finished isn't left behind; after a rename there is nothing under that name any more.
    fn drop(&mut self) {
        if let To::File { partial, .. } = &self.to {
            let _ = std::fs::remove_file(partial);
        }
    }
}
