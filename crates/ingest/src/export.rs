//! What was pulled, as files: a folder with `<query name>.json` or `<query name>.json.gz` for each query, each one
//! `query_range` answer or several, one after another. Anything that can record Prometheus's answers can write one.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;

use crate::decode::{DecodeError, DecodeLimits, decode_pages};
use crate::matrix::Matrix;
use crate::query::QuerySet;

mod answer_json;

/// Most bytes of one file, unpacked: 2 GiB hold some 80 million samples, four times what decoding allows. A small
/// gzip can unpack to anything; this is where it stops.
const FILE_BYTES_MAX: u64 = 2 << 30;

/// Why an export can't be read or written. All are for a person to mend; each names the file.
///
/// ```
/// use homeostat_ingest::{DecodeLimits, ExportError, Query, QuerySet, read_export};
///
/// let cpu: Query = serde_json::from_str(r#"{"name":"cpu","expr":"cpu","signal":"cpu"}"#)?;
/// let dir = tempfile::tempdir()?;
/// let read = read_export(dir.path(), &QuerySet::new(vec![cpu])?, &DecodeLimits::default());
/// assert!(matches!(read, Err(ExportError::Missing { queries, .. }) if queries == ["cpu"]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// Queries without a file, all of them.
    #[error("{dir} has no file for {names}; expected <query>.json or <query>.json.gz", dir = dir.display(), names = queries.join(", "))]
    Missing {
        /// The folder.
        dir: PathBuf,
        /// The queries' names.
        queries: Vec<String>,
    },
    /// Both `.json` and `.json.gz` are there, and they may differ.
    #[error("{plain} and its .gz are both there; remove one", plain = plain.display())]
    Ambiguous {
        /// The file without `.gz`.
        plain: PathBuf,
    },
    /// The file is empty, which no export is.
    #[error("{file} is empty; record it again", file = file.display())]
    Empty {
        /// The file.
        file: PathBuf,
    },
    /// The file stops in the middle.
    #[error("{file} stops in the middle ({why}); it was not copied whole, record or copy it again", file = file.display())]
    CutShort {
        /// The file.
        file: PathBuf,
        /// Where or how.
        why: String,
    },
    /// The file holds something else, or too much.
    #[error("{file}: {why}", file = file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        why: DecodeError,
    },
    /// The file unpacks to more than is safe.
    #[error("{file} holds more than {limit} bytes; export a shorter range", file = file.display())]
    TooLarge {
        /// The file.
        file: PathBuf,
        /// The limit.
        limit: u64,
    },
    /// The system refused.
    #[error("{file} can't be read", file = file.display())]
    Io {
        /// The file or folder.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Reads the export in `dir`: one matrix for each query, in the queries' order. Files of other names are left alone.
///
/// ```
/// use homeostat_ingest::{DecodeLimits, Query, QuerySet, read_export};
///
/// let cpu: Query = serde_json::from_str(r#"{"name":"cpu","expr":"cpu","signal":"cpu"}"#)?;
/// let dir = tempfile::tempdir()?;
/// let answer = r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[60,"0.5"]]}]}}"#;
/// std::fs::write(dir.path().join("cpu.json"), answer)?;
/// let matrices = read_export(dir.path(), &QuerySet::new(vec![cpu])?, &DecodeLimits::default())?;
/// assert_eq!((matrices.len(), matrices[0].n_samples()), (1, 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn read_export(dir: &Path, queries: &QuerySet, limits: &DecodeLimits) -> Result<Vec<Matrix>, ExportError> {
    let mut files = Vec::with_capacity(queries.n_queries());
    let mut missing = Vec::new();
    for query in queries.queries() {
        match find(dir, &query.name)? {
            Some(file) => files.push(file),
            None => missing.push(query.name.clone()),
        }
    }
    if !missing.is_empty() {
        return Err(ExportError::Missing { dir: dir.to_owned(), queries: missing });
    }
    files.into_iter().map(|file| read_file(&file, limits, FILE_BYTES_MAX)).collect()
}

fn find(dir: &Path, name: &str) -> Result<Option<PathBuf>, ExportError> {
    let (plain, packed) = (dir.join(format!("{name}.json")), dir.join(format!("{name}.json.gz")));
    let exists = |file: &Path| file.try_exists().map_err(|source| ExportError::Io { file: file.to_owned(), source });
    match (exists(&plain)?, exists(&packed)?) {
        (true, true) => Err(ExportError::Ambiguous { plain }),
        (true, false) => Ok(Some(plain)),
        (false, true) => Ok(Some(packed)),
        (false, false) => Ok(None),
    }
}

fn read_file(file: &Path, limits: &DecodeLimits, bytes_max: u64) -> Result<Matrix, ExportError> {
    let failed = |source: io::Error| {
        if source.kind() == io::ErrorKind::UnexpectedEof {
            ExportError::CutShort { file: file.to_owned(), why: source.to_string() }
        } else {
            ExportError::Io { file: file.to_owned(), source }
        }
    };
    let opened = File::open(file).map_err(failed)?;
    if opened.metadata().map_err(failed)?.len() == 0 {
        return Err(ExportError::Empty { file: file.to_owned() });
    }
    let mut bytes = Vec::new();
    let mut read: Box<dyn Read> = if file.extension().is_some_and(|end| end == "gz") {
        Box::new(MultiGzDecoder::new(opened))
    } else {
        Box::new(opened)
    };
    let n_read = read.by_ref().take(bytes_max.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
    if n_read as u64 > bytes_max {
        return Err(ExportError::TooLarge { file: file.to_owned(), limit: bytes_max });
    }
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(ExportError::Empty { file: file.to_owned() });
    }
    decode_pages(&bytes, limits).map_err(|why| match why {
        DecodeError::CutShort(why) => ExportError::CutShort { file: file.to_owned(), why },
        DecodeError::Failed { .. }
        | DecodeError::TooMuch { .. }
        | DecodeError::WrongType { .. }
        | DecodeError::Malformed(_) => ExportError::Unreadable { file: file.to_owned(), why },
    })
}

/// Writes the answers to `queries` into `dir`, packed, so that [`read_export`] gives the same matrices (but for the
/// counts of what was dropped: that is gone). `matrices[i]` answers `queries[i]`; missing ones are not written.
///
/// Each file is written beside its place and moved there, so a file of the export is whole or isn't there.
///
/// ```
/// use homeostat_ingest::{DecodeLimits, Query, QuerySet, decode_matrix, read_export, write_export};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let query = Query { name: "cpu".into(), expr: "cpu".into(), signal: homeostat_core::Signal::Cpu,
/// #     direction: Default::default(), deviation_min: 0.0, aggregation: Default::default(), on_missing: Default::default(), limit: None };
/// # let queries = QuerySet::new(vec![query])?;
/// let answer = br#"{"status":"success","data":{"resultType":"matrix","result":[
///     {"metric":{"namespace":"shop","workload":"cart"},"values":[[60,"0.5"],[180,"0.7"]]}]}}"#;
/// let matrix = decode_matrix(answer, &DecodeLimits::default())?;
/// let dir = tempfile::tempdir()?;
/// write_export(dir.path(), &queries, std::slice::from_ref(&matrix))?; // dir/cpu.json.gz
/// assert_eq!(read_export(dir.path(), &queries, &DecodeLimits::default())?, [matrix]);
/// # Ok(())
/// # }
/// ```
pub fn write_export(dir: &Path, queries: &QuerySet, matrices: &[Matrix]) -> Result<(), ExportError> {
    std::fs::create_dir_all(dir).map_err(|source| ExportError::Io { file: dir.to_owned(), source })?;
    for (query, matrix) in queries.queries().iter().zip(matrices) {
        let mut file = ExportFile::create(dir, &query.name)?;
        file.page(matrix)?;
        file.finish()?;
    }
    Ok(())
}

/// One query's file of an export, written page by page, so that no more than a page is held. It gets its name when it is
/// finished: a file of the export is whole or isn't there.
///
/// ```
/// use homeostat_ingest::{DecodeLimits, ExportFile, Matrix, Query, QuerySet, read_export};
///
/// let dir = tempfile::tempdir()?;
/// let mut file = ExportFile::create(dir.path(), "cpu")?;
/// file.page(&Matrix::default())?;
/// file.page(&Matrix::default())?;
/// file.finish()?;
/// let cpu: Query = serde_json::from_str(r#"{"name":"cpu","expr":"cpu","signal":"cpu"}"#)?;
/// let read = read_export(dir.path(), &QuerySet::new(vec![cpu])?, &DecodeLimits::default())?;
/// assert_eq!(read[0].n_samples(), 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct ExportFile {
    unfinished: PathBuf,
    file: PathBuf,
    packed: GzEncoder<BufWriter<File>>,
}

impl ExportFile {
    /// Begins the file of this query in `dir`, which is made if it isn't there.
    ///
    /// # Errors
    /// [`ExportError::Io`].
    pub fn create(dir: &Path, query: &str) -> Result<Self, ExportError> {
        std::fs::create_dir_all(dir).map_err(|source| ExportError::Io { file: dir.to_owned(), source })?;
        let file = dir.join(format!("{query}.json.gz"));
        let unfinished = dir.join(format!("{query}.json.gz.tmp"));
        let opened = File::create(&unfinished).map_err(|source| ExportError::Io { file: file.clone(), source })?;
        Ok(Self { unfinished, file, packed: GzEncoder::new(BufWriter::new(opened), Compression::default()) })
    }

    /// Adds the answer to a part of the range, after all before it.
    ///
    /// # Errors
    /// [`ExportError::Io`].
    pub fn page(&mut self, page: &Matrix) -> Result<(), ExportError> {
        let written = answer_json::write(&mut self.packed, page).and_then(|()| self.packed.write_all(b"\n"));
        written.map_err(|source| ExportError::Io { file: self.file.clone(), source })
    }

    /// Ends the file and gives it its name.
    ///
    /// # Errors
    /// [`ExportError::Io`].
    pub fn finish(self) -> Result<(), ExportError> {
        let Self { unfinished, file, packed } = self;
        let written = packed
            .finish()
            .and_then(|buffered| buffered.into_inner().map_err(io::IntoInnerError::into_error))
            .and_then(|opened| opened.sync_all())
            .and_then(|()| std::fs::rename(&unfinished, &file));
        written.map_err(|source| ExportError::Io { file, source })
    }
}

#[cfg(test)]
mod tests;
