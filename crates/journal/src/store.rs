//! Where rows are kept: the one contract under every journal, with the fence in it.

use std::sync::Arc;

use async_trait::async_trait;

use crate::error::ReadError;
use crate::row::{Epoch, Head, Row};

/// Rows that one [`Store::read`] answers at most: some 3 MB, so that a journal of any size is read within bounds.
pub const READ_ROWS_MAX: usize = 1000;

/// Why a store didn't take a row. Split by what the journal does next.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// Nothing was written. The same row may be tried again.
    #[error("{0}")]
    NotWritten(String),
    /// It may have been written: read back before anything else.
    #[error("{0}")]
    NotConfirmed(String),
    /// Somebody else writes here now, or the place is gone: this writer must never write again.
    #[error("{0}")]
    Fenced(String),
}

/// What goes to the archive, and what stays of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The last row that goes.
    pub through: Head,
    /// Rows up to there that stay as well, in order.
    pub carried: Vec<i64>,
}

/// An append-only list of rows with one writer.
///
/// A store keeps rows and knows nothing of what they mean. What every store must do is held by one contract test
/// (`tests/contract.rs`), which new stores run as well.
#[async_trait]
pub trait Store: Send + Sync {
    /// The last archived row, if rows were archived. Of the rows up to it only those that still count are kept.
    async fn base(&self) -> Result<Option<Head>, ReadError>;

    /// The rows after number `after`, in order, at most [`READ_ROWS_MAX`]. Ask again after the last one; none: that's all.
    async fn read(&self, after: i64) -> Result<Vec<Row>, ReadError>;

    /// Makes one row durable, if the last row is still `after` and no writer of a higher epoch came in between. After `Ok`
    /// the row survives the death of the process and of the machine.
    async fn append(&self, row: &Row, after: &Head, epoch: Epoch) -> Result<(), AppendError>;

    /// Moves the rows up to and including `cut.through` to the archive, but for those that are carried, and appends `row`,
    /// which says so. A row is always in the archive, in the store, or (after a crash in between) in both.
    async fn archive(&self, cut: &Cut, row: &Row, after: &Head, epoch: Epoch) -> Result<(), AppendError>;

    /// Every row about this incident that is kept or archived, oldest first.
    async fn rows_of(&self, incident: &str) -> Result<Vec<Row>, ReadError>;
}

#[async_trait]
impl<S: Store + ?Sized> Store for Arc<S> {
    async fn base(&self) -> Result<Option<Head>, ReadError> {
        (**self).base().await
    }

    async fn read(&self, after: i64) -> Result<Vec<Row>, ReadError> {
        (**self).read(after).await
    }

    async fn append(&self, row: &Row, after: &Head, epoch: Epoch) -> Result<(), AppendError> {
        (**self).append(row, after, epoch).await
    }

    async fn archive(&self, cut: &Cut, row: &Row, after: &Head, epoch: Epoch) -> Result<(), AppendError> {
        (**self).archive(cut, row, after, epoch).await
    }

    async fn rows_of(&self, incident: &str) -> Result<Vec<Row>, ReadError> {
        (**self).rows_of(incident).await
    }
}
