//! What is written down before anything is done, and everything that follows.
//!
//! A [`Journal`] is rows in a [`Store`], chained by hashes, and a ledger folded from them, which answers without waiting for
//! the disk. Rows are data: what is only shown is kept as it is, whichever version wrote it; what is folded is brought up to
//! date when it is read. Only the journal makes a [`Journaled`], and an executor's `apply` takes nothing else.
//!
//! Not here: reading a clock (`now` comes in), deciding, and delivering calls for a human.

mod audit;
mod block_on;
mod chain;
mod entry;
mod error;
mod export;
mod fold;
mod formats;
mod intent;
mod journal;
mod kept;
mod kubernetes;
mod lease;
mod ledger;
mod note;
mod objects;
mod page;
mod row;
mod sqlite;
mod store;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use audit::{Audit, AuditError, SeeRow, audit, audit_rows};
pub use error::{ChainError, JournalError, OpenError, ReadError};
pub use export::{CheckSignature, Export, ExportError, Exported, Sign, Signature, verify_export};
pub use fold::Fold;
pub use intent::{Intent, Journaled};
pub use journal::{BeginError, Journal, RecordRow};
pub use kept::KeptIncident;
pub use kubernetes::{KubernetesStore, MayWrite, Views};
pub use lease::{Elector, LeaseTimes, Term};
pub use ledger::CannotFollow;
pub use note::Note;
pub use objects::{Collection, ObjectRequest, Objects, RequestError, Verb, get};
pub use page::{Cursor, LabelledIncident, NotACursor, Page, PageItem, PageRequest};
pub use row::{About, Epoch, Head, Row};
pub use sqlite::{SqliteStore, open_to_read};
pub use store::{AppendError, Cut, READ_ROWS_MAX, Store};
