//! A journal's store in memory that outlives the processes that write it, and that fails where the schedule says so.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use homeostat_journal::{AppendError, Cut, Epoch, Head, READ_ROWS_MAX, ReadError, Row, Store};

/// What the next write to the journal does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StoreFault {
    /// Nothing is written.
    NotWritten,
    /// It is written, and the answer is lost.
    LostAnswer,
    /// Neither is known, and nothing was written.
    LostRequest,
    /// The process dies before it is written.
    DieBefore,
    /// The process dies after it is written.
    DieAfter,
}

/// The rows, and who may write.
#[derive(Debug, Default)]
pub(super) struct Rows {
    /// All rows.
    pub(super) rows: Vec<Row>,
    /// The highest epoch that has opened it.
    pub(super) epoch: i64,
    /// So many writes work before the fault.
    pub(super) fault_in: Option<(u32, StoreFault)>,
    /// So many reads fail.
    pub(super) unreadable: u32,
    /// The process that the fault killed.
    pub(super) killed: Option<i64>,
}

/// Shared by all processes.
#[derive(Clone, Debug, Default)]
pub(super) struct SharedRows(Arc<Mutex<Rows>>);

impl SharedRows {
    /// The rows.
    pub(super) fn lock(&self) -> MutexGuard<'_, Rows> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens it for a new process.
    pub(super) fn open(&self) -> Epoch {
        let mut rows = self.lock();
        rows.epoch += 1;
        Epoch(rows.epoch)
    }
}

#[async_trait]
impl Store for SharedRows {
    async fn base(&self) -> Result<Option<Head>, ReadError> {
        Ok(None)
    }

    async fn read(&self, after: i64) -> Result<Vec<Row>, ReadError> {
        let mut rows = self.lock();
        if rows.unreadable > 0 {
            rows.unreadable -= 1;
            return Err(ReadError { why: "input/output error".into() });
        }
        Ok(rows.rows.iter().filter(|row| row.seq > after).take(READ_ROWS_MAX).cloned().collect())
    }

    async fn append(&self, row: &Row, after: &Head, epoch: Epoch) -> Result<(), AppendError> {
        let mut rows = self.lock();
        if rows.killed == Some(epoch.0) {
            return Err(AppendError::NotWritten("the process is dead".into()));
        }
        if epoch.0 < rows.epoch {
            return Err(AppendError::Fenced("somebody else writes here now".into()));
        }
        let head = rows.rows.last().map_or_else(Head::empty, Row::head);
        if &head != after {
            return Err(AppendError::Fenced("somebody else has written".into()));
        }
        let fault = match rows.fault_in.take() {
            Some((0, fault)) => Some(fault),
            Some((n, fault)) => {
                rows.fault_in = Some((n - 1, fault));
                None
            }
            None => None,
        };
        if matches!(fault, None | Some(StoreFault::LostAnswer | StoreFault::DieAfter)) {
            rows.rows.push(row.clone());
        }
        if matches!(fault, Some(StoreFault::DieBefore | StoreFault::DieAfter)) {
            rows.killed = Some(epoch.0);
        }
        match fault {
            None => Ok(()),
            Some(StoreFault::NotWritten) => Err(AppendError::NotWritten("disk full".into())),
            Some(_) => Err(AppendError::NotConfirmed("input/output error".into())),
        }
    }

    async fn archive(&self, _: &Cut, _: &Row, _: &Head, _: Epoch) -> Result<(), AppendError> {
        Err(AppendError::NotWritten("a schedule is too short for an archive".into()))
    }

    async fn rows_of(&self, incident: &str) -> Result<Vec<Row>, ReadError> {
        Ok(self.lock().rows.iter().filter(|row| row.about.incident == incident).cloned().collect())
    }
}
