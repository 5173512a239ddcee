//! The archive: rows that left the journal, in files of the same layout beside it, one for each month in which rows end.

use std::path::{Path, PathBuf};

use homeostat_core::Timestamp;
use rusqlite::{Connection, params};

use super::{read_only, rows, schema, transact, unusable};
use crate::error::ReadError;
use crate::row::Row;
use crate::store::{AppendError, Cut};

/// The archives beside a journal, whichever store the journal itself is in.
pub(crate) struct ArchiveFiles(PathBuf);

impl ArchiveFiles {
    /// Beside this file, which needn't exist.
    pub(crate) fn beside(journal: PathBuf) -> Self {
        Self(journal)
    }

    /// Adds rows that leave the journal, oldest first. Done again after a crash it changes nothing.
    pub(crate) fn add(&self, going: &[Row]) -> Result<(), String> {
        let Some(last) = going.last() else { return Ok(()) };
        let file = file_of(&self.0, last.at);
        let archive = Connection::open(&file).map_err(|error| unusable(&file, &error).to_string())?;
        schema::prepare(&archive, &file).map_err(|error| error.to_string())?;
        let written = transact(&archive, |archive| {
            going.iter().try_for_each(|row| put(archive, row)).map_err(AppendError::NotWritten)
        });
        written.map_err(|error| format!("{}: {error}", file.display()))
    }

    /// Every archived row about an incident.
    pub(crate) fn rows_of(&self, incident: &str) -> Result<Vec<Row>, ReadError> {
        let mut found = Vec::new();
        for archive in archives_of(&self.0) {
            let opened = read_only::open(&archive).map_err(|error| ReadError { why: error.to_string() })?;
            found.extend(rows::of_incident(&opened.connection, opened.layout, incident)?);
        }
        Ok(found)
    }
}

/// Copies the rows that go to the archive.
pub(super) fn copy(journal: &Connection, path: &Path, cut: &Cut) -> Result<(), String> {
    let from = rows::base(journal, rows::Layout::Today).map_err(|error| error.to_string())?.map_or(0, |base| base.seq);
    let mut going = rows::read(journal, rows::Layout::Today, from, usize::MAX).map_err(|error| error.why)?;
    going.retain(|row| row.seq <= cut.through.seq);
    ArchiveFiles::beside(path.to_owned()).add(&going)
}

/// Puts a row in that may be there already, and must be the same then.
fn put(archive: &Connection, row: &Row) -> Result<(), String> {
    let known = archive.query_row("SELECT hash FROM journal WHERE seq = ?1", [row.seq], |row| row.get::<_, String>(0));
    match known {
        Ok(hash) if hash == row.hash => Ok(()),
        Ok(_) => Err(format!("it has another row {}: move the file away, it is of another journal", row.seq)),
        Err(rusqlite::Error::QueryReturnedNoRows) => rows::insert(archive, row).map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    }
}

/// Removes what was archived and doesn't count any more, inside the caller's transaction.
pub(super) fn cut(connection: &Connection, cut: &Cut) -> rusqlite::Result<()> {
    connection.execute("UPDATE state SET base_seq = ?1, base_hash = ?2", params![cut.through.seq, cut.through.hash])?;
    connection
        .execute_batch("CREATE TEMP TABLE IF NOT EXISTS carried (seq INTEGER PRIMARY KEY); DELETE FROM carried;")?;
    let mut statement = connection.prepare("INSERT INTO carried VALUES (?1)")?;
    for seq in &cut.carried {
        statement.execute([seq])?;
    }
    connection
        .execute("DELETE FROM journal WHERE seq <= ?1 AND seq NOT IN (SELECT seq FROM carried)", [cut.through.seq])?;
    Ok(())
}

/// The archive of the month of this moment: `journal-2026-11.db` beside `journal.db`.
fn file_of(path: &Path, at: Timestamp) -> PathBuf {
    let day = at.to_string();
    let month = day.get(..7).unwrap_or("undated");
    path.with_file_name(format!("{}-{month}.db", stem(path)))
}

fn stem(path: &Path) -> String {
    path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
}

/// The archives beside this journal, oldest first.
pub(crate) fn archives_of(path: &Path) -> Vec<PathBuf> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let stem = stem(path);
    let is_month = |name: &str| {
        let month = name.strip_prefix(&stem).and_then(|rest| rest.strip_prefix('-'))?.strip_suffix(".db")?;
        let (year, month) = month.rsplit_once('-')?;
        (month.len() == 2 && [year, month].iter().all(|part| part.bytes().all(|byte| byte.is_ascii_digit())))
            .then_some(())
    };
    let mut found: Vec<PathBuf> = entries
        .flatten()
        .filter(|entry| is_month(&entry.file_name().to_string_lossy()).is_some())
        .map(|entry| entry.path())
        .collect();
    found.sort();
    found
}
