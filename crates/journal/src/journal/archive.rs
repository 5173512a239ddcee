//! Moving old rows to an archive: the journal stays bounded, the chain stays whole, and what still counts stays.

use homeostat_core::Timestamp;

use super::{Journal, row_after};
use crate::block_on::block_on;
use crate::chain;
use crate::entry::{Archived, Entry};
use crate::error::JournalError;
use crate::ledger::Ledger;
use crate::row::{Head, Row};
use crate::store::{Cut, Store};

/// Rows that one call moves at most: some 15 MB, which takes under a second on a slow disk. Whoever has more calls again.
const ARCHIVE_ROWS_MAX: usize = 5000;

impl Journal {
    /// Moves rows that were written before `before` to the archive, oldest first, and says how many; call again until it
    /// says 0. What still counts (actions within the longest look-back, those in flight, open incidents, calls, switches)
    /// stays in the journal as well.
    ///
    /// # Errors
    /// [`JournalError`]: the archive or the journal can't be written. Nothing is lost; call again later.
    pub fn archive(&self, before: Timestamp, now: Timestamp) -> Result<usize, JournalError> {
        const WHAT: &str = "the archive";
        let not_written = |why: String| JournalError::NotWritten { what: WHAT.to_owned(), why };
        let writer = self.lock_writer();
        let epoch = writer.epoch().map_err(not_written)?;
        self.read_back_if_unsure(&writer).map_err(|error| self.failed(WHAT, error))?;
        let base = block_on(writer.store.base()).map_err(|error| not_written(error.why))?;
        let old = block_on(old_rows(&*writer.store, base.as_ref(), before, now)).map_err(not_written)?;
        let Some(last) = old.going.last() else { return Ok(0) };
        let still_counts: Vec<&Row> =
            old.carried.iter().chain(&old.going).filter(|row| old.ledger.still_counts(row, before)).collect();
        let hashes: Vec<String> = still_counts.iter().map(|row| row.hash.clone()).collect();
        let entry = Entry::Archived(Archived { through: last.head(), carried_sha256: chain::digest(&hashes) });
        let row = row_after(&self.folded(), &entry, epoch, now).map_err(not_written)?;
        let cut = Cut { through: last.head(), carried: still_counts.iter().map(|row| row.seq).collect() };
        let head = Head { seq: row.seq - 1, hash: row.prev_hash.clone() };
        let written = block_on(writer.store.archive(&cut, &row, &head, epoch));
        self.settle(written, WHAT)?;
        self.take(&row, entry, WHAT)?;
        Ok(old.going.len())
    }
}

/// Rows at the journal's beginning.
struct OldRows {
    /// Those that are archived and still here.
    carried: Vec<Row>,
    /// Those that are old enough to go.
    going: Vec<Row>,
    /// What all of them say.
    ledger: Ledger,
}

async fn old_rows(
    store: &dyn Store,
    base: Option<&Head>,
    before: Timestamp,
    now: Timestamp,
) -> Result<OldRows, String> {
    let mut old = OldRows { carried: Vec::new(), going: Vec::new(), ledger: Ledger::default() };
    let mut after = 0;
    loop {
        let rows = store.read(after).await.map_err(|error| error.why)?;
        let Some(last) = rows.last() else { return Ok(old) };
        after = last.seq;
        for row in rows {
            let is_carried = base.is_some_and(|base| row.seq <= base.seq);
            // Only from the beginning on, without a gap: one row that is too young keeps all after it. What a clock that was
            // ahead has dated in the future keeps nothing.
            let is_young = row.at >= before && row.at <= now;
            if !is_carried && (is_young || old.going.len() >= ARCHIVE_ROWS_MAX) {
                return Ok(old);
            }
            old.ledger.take_row(&row).map_err(|error| error.to_string())?;
            if is_carried { old.carried.push(row) } else { old.going.push(row) }
        }
    }
}
