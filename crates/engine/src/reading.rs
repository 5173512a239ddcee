//! Reads files of metrics and says how far it is, in bytes of the files as they are on disk.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use homeostat_ingest::{Format, ReadError, ReadOptions, SampleSink, read_file, read_samples};

use crate::progress::{Progress, Unit};

/// The first bytes of a Parquet file, whose end is read first: of it only the whole is counted.
const PARQUET: [u8; 4] = *b"PAR1";

/// Files that are read one after another.
pub(crate) struct Reading {
    progress: Arc<Progress>,
}

impl Reading {
    /// Begins with files of this many bytes together; what can't be looked at counts nothing, and reading it says why.
    pub(crate) fn begin<'a>(paths: impl Iterator<Item = &'a Path>) -> Self {
        let n_bytes = paths.filter_map(|path| std::fs::metadata(path).ok()).map(|found| found.len()).sum();
        Self { progress: Arc::new(Progress::begin("reading", Unit::Bytes, n_bytes)) }
    }

    /// Reads a file into `sink`.
    pub(crate) fn file(
        &self,
        path: &Path,
        options: &ReadOptions,
        sink: &mut dyn SampleSink,
    ) -> Result<Format, ReadError> {
        let mut file = File::open(path).map_err(ReadError::Io)?;
        let mut magic = Vec::with_capacity(PARQUET.len());
        file.by_ref().take(PARQUET.len() as u64).read_to_end(&mut magic).map_err(ReadError::Io)?;
        if magic == PARQUET {
            let n_bytes = file.metadata().map_or(0, |found| found.len());
            let format = read_file(path, options, sink)?;
            self.progress.add(n_bytes);
            return Ok(format);
        }
        let counted = Counted { file: io::Cursor::new(magic).chain(file), progress: Arc::clone(&self.progress) };
        read_samples(counted, options, sink)
    }
}

/// Counts what is read.
struct Counted<R> {
    file: R,
    progress: Arc<Progress>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n_bytes = self.file.read(buffer)?;
        self.progress.add(n_bytes as u64);
        Ok(n_bytes)
    }
}
