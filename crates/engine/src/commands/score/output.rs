//! Where scored rows go: standard output, or a file that is whole or isn't there. Nothing is kept but the rows on their way.

use std::path::Path;

use anyhow::{Context, bail};

use super::packed::{Packed, Packing};
#[cfg(feature = "parquet")]
use super::parquet::ParquetRows;
use super::row::{ScoredRow, header};
use super::whole_file::WholeFile;
use crate::outcome::print;

/// A place for rows.
pub(super) struct Output {
    to: To,
    /// For people.
    name: String,
    detectors: Vec<String>,
}

enum To {
    Stdout(String),
    Text {
        file: Packed,
        format: Text,
        n_rows: usize,
    },
    #[cfg(feature = "parquet")]
    Parquet(Box<ParquetRows>),
}

/// Rows as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Text {
    Csv,
    Json,
    JsonLines,
}

/// What an output file's name asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text(Text, Packing),
    Parquet,
}

/// Bytes gathered before they are printed.
const PRINT_BYTES: usize = 1 << 16;

impl Output {
    /// Opens the file, or standard output; the header of a CSV is written at once.
    pub(super) fn open(path: Option<&Path>, detectors: &[String]) -> anyhow::Result<Self> {
        let to = match path {
            None => To::Stdout(format!("{}\n", header(detectors))),
            Some(path) => match kind(path)? {
                Kind::Text(format, packing) => {
                    let mut file = Packed::new(WholeFile::create(path)?, packing);
                    if format == Text::Csv {
                        file.push(&format!("{}\n", header(detectors))).with_context(|| told(path))?;
                    }
                    To::Text { file, format, n_rows: 0 }
                }
                Kind::Parquet => parquet(path, detectors)?,
            },
        };
        Ok(Self { to, name: path.map(told).unwrap_or_default(), detectors: detectors.to_vec() })
    }

    /// Writes a row.
    pub(super) fn write(&mut self, row: &ScoredRow<'_>) -> anyhow::Result<()> {
        let written = match &mut self.to {
            To::Stdout(gathered) => {
                gathered.push_str(&row.csv(&self.detectors));
                gathered.push('\n');
                if gathered.len() >= PRINT_BYTES {
                    print(gathered);
                    gathered.clear();
                }
                Ok(())
            }
            To::Text { file, format, n_rows } => {
                *n_rows += 1;
                file.push(&line(row, *format, *n_rows, &self.detectors)).map_err(anyhow::Error::new)
            }
            #[cfg(feature = "parquet")]
            To::Parquet(rows) => rows.push(row, &self.detectors),
        };
        written.with_context(|| self.name.clone())
    }

    /// Ends it: only now a file gets its name.
    pub(super) fn finish(self) -> anyhow::Result<()> {
        let finished = match self.to {
            To::Stdout(gathered) => {
                print(&gathered);
                Ok(())
            }
            To::Text { mut file, format, n_rows } => {
                let end = match (format, n_rows) {
                    (Text::Json, 0) => "[]\n",
                    (Text::Json, _) => "\n]\n",
                    (Text::Csv | Text::JsonLines, _) => "",
                };
                file.push(end).and_then(|()| file.finish()).map_err(anyhow::Error::new)
            }
            #[cfg(feature = "parquet")]
            To::Parquet(rows) => rows.finish(),
        };
        finished.with_context(|| self.name.clone())
    }
}

/// The row's line; `n_rows` counts it.
fn line(row: &ScoredRow<'_>, format: Text, n_rows: usize, detectors: &[String]) -> String {
    match format {
        Text::Csv => format!("{}\n", row.csv(detectors)),
        Text::JsonLines => format!("{}\n", row.json()),
        Text::Json => format!("{}{}", if n_rows == 1 { "[\n" } else { ",\n" }, row.json()),
    }
}

fn kind(path: &Path) -> anyhow::Result<Kind> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let (name, packing) = match (name.strip_suffix(".gz"), name.strip_suffix(".zst")) {
        (Some(name), _) => (name, Packing::Gzip),
        (None, Some(name)) => (name, Packing::Zstd),
        (None, None) => (name.as_str(), Packing::Plain),
    };
    Ok(match (Path::new(name).extension().and_then(|ending| ending.to_str()), packing) {
        (Some("csv"), packing) => Kind::Text(Text::Csv, packing),
        (Some("json"), packing) => Kind::Text(Text::Json, packing),
        (Some("jsonl" | "ndjson"), packing) => Kind::Text(Text::JsonLines, packing),
        (Some("parquet"), Packing::Plain) => Kind::Parquet,
        _other => bail!(
            "--output {}: end it in .csv, .json or .jsonl, packed with .gz or .zst or not, or in .parquet",
            path.display()
        ),
    })
}

/// What to do when it can't be written.
fn told(path: &Path) -> String {
    format!("--output {} can't be written: free space, or choose another place", path.display())
}

#[cfg(feature = "parquet")]
fn parquet(path: &Path, detectors: &[String]) -> anyhow::Result<To> {
    let rows = ParquetRows::new(WholeFile::create(path)?, detectors).with_context(|| told(path))?;
    Ok(To::Parquet(Box::new(rows)))
}

#[cfg(not(feature = "parquet"))]
fn parquet(path: &Path, _: &[String]) -> anyhow::Result<To> {
    bail!(
        "--output {}: this homeostat was built without Parquet; build it with `--features parquet`, or write .csv.zst",
        path.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ending_says_how_rows_are_written() {
        for (name, wanted) in [
            ("a.csv", Some(Kind::Text(Text::Csv, Packing::Plain))),
            ("a.b.CSV.GZ", Some(Kind::Text(Text::Csv, Packing::Gzip))),
            ("a.ndjson.zst", Some(Kind::Text(Text::JsonLines, Packing::Zstd))),
            ("a.json", Some(Kind::Text(Text::Json, Packing::Plain))),
            ("a.parquet", Some(Kind::Parquet)),
            ("a.parquet.gz", None),
            ("a.gz", None),
            ("csv", None),
            ("a.xlsx", None),
        ] {
            assert_eq!(kind(Path::new(name)).ok(), wanted, "{name}");
        }
    }
}
