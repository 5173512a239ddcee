//! Rows of a store, read through and checked: a journal that doesn't hold together isn't acted on.

use homeostat_core::sha256_hex;

use crate::entry::{Archived, Entry};
use crate::error::{ChainError, FoldError};
use crate::ledger::Ledger;
use crate::row::{Head, Row};
use crate::store::Store;

/// What reading through gives.
#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) ledger: Ledger,
    pub(crate) head: Head,
}

/// Checks rows in order: first those that were carried over from what is archived, then the chain.
pub(crate) struct Checker {
    base: Option<Head>,
    head: Head,
    carried: Vec<String>,
    last_carried: i64,
    archived: Option<Archived>,
}

impl Checker {
    pub(crate) fn new(base: Option<Head>) -> Self {
        let head = base.clone().unwrap_or_else(Head::empty);
        Self { base, head, carried: Vec::new(), last_carried: 0, archived: None }
    }

    /// Whether this row may be the next one.
    pub(crate) fn take(&mut self, row: &Row) -> Result<(), ChainError> {
        let broken = |seq: i64, why: &str| ChainError { seq, why: why.to_owned() };
        if self.base.as_ref().is_some_and(|base| row.seq <= base.seq) {
            if row.seq <= self.last_carried {
                return Err(broken(row.seq, "rows are out of order"));
            }
            if row.own_hash() != row.hash {
                return Err(broken(row.seq, "it was changed after it was written"));
            }
            self.last_carried = row.seq;
            self.carried.push(row.hash.clone());
            return Ok(());
        }
        row.follows(&self.head).map_err(|why| ChainError { seq: self.head.seq + 1, why })?;
        if let Ok(Some(Entry::Archived(archived))) = Entry::of_row(row) {
            self.archived = Some(archived);
        }
        self.head = row.head();
        Ok(())
    }

    /// The head, once every row was taken.
    pub(crate) fn finish(self) -> Result<Head, ChainError> {
        let Some(base) = &self.base else { return Ok(self.head) };
        let broken = |why: &str| Err(ChainError { seq: base.seq, why: why.to_owned() });
        match &self.archived {
            None => broken("rows were archived, but no row says so"),
            Some(archived) if &archived.through != base => broken("another row was the last one to be archived"),
            Some(archived) if archived.carried_sha256 != digest(&self.carried) => {
                broken("of the rows that were kept when older ones were archived, some are missing or were added")
            }
            Some(_) => Ok(self.head),
        }
    }
}

/// The digest of the rows with these hashes.
pub(crate) fn digest(hashes: &[String]) -> String {
    let parts: Vec<&[u8]> = hashes.iter().map(|hash| hash.as_bytes()).collect();
    sha256_hex(&parts)
}

/// Reads and checks all rows in order, and folds them.
pub(crate) async fn read(store: &dyn Store) -> Result<Read, FoldError> {
    let unreadable = |error: crate::error::ReadError| FoldError::Unreadable(error.why);
    let base = store.base().await.map_err(unreadable)?;
    let mut checker = Checker::new(base);
    let mut ledger = Ledger::default();
    let mut after = 0;
    loop {
        let rows = store.read(after).await.map_err(unreadable)?;
        let Some(last) = rows.last() else { break };
        after = last.seq;
        for row in &rows {
            checker.take(row).map_err(FoldError::Broken)?;
            ledger.take_row(row)?;
        }
    }
    let head = checker.finish().map_err(FoldError::Broken)?;
    Ok(Read { ledger, head })
}
