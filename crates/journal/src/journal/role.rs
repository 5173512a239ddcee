//! A journal that several processes read and one writes: taking over, stepping down, and reading what the writer adds.

use std::sync::{Mutex, RwLock};

use super::{Folded, Journal, Role, Trust, Writer};
use crate::block_on::block_on;
use crate::chain;
use crate::error::{FoldError, ReadError};
use crate::ledger::Ledger;
use crate::row::{Epoch, Head};
use crate::store::Store;

impl Journal {
    /// A journal over a store that somebody else writes, or nobody yet. Nothing is read now: a store that is away holds nobody
    /// up, and what is asked of the journal is read first.
    pub fn following(store: Box<dyn Store>, why: &str) -> Self {
        let role = Role::Follows { why: why.to_owned() };
        let folded = Folded { ledger: Ledger::default(), head: Head::empty(), trust: Trust::Unsure };
        Self { writer: Mutex::new(Writer { store, role }), folded: RwLock::new(folded) }
    }

    /// Writes from now on, with an epoch that was claimed in the store. Everything is read anew first.
    ///
    /// # Errors
    /// [`ReadError`]: it can't be read, or doesn't hold together; nothing is written by this process.
    pub fn lead(&self, epoch: Epoch) -> Result<(), ReadError> {
        let mut writer = self.lock_writer();
        let read = block_on(chain::read(&*writer.store)).map_err(|error| ReadError { why: error.to_string() })?;
        *self.folded_mut() = Folded { ledger: read.ledger, head: read.head, trust: Trust::Sound };
        writer.role = Role::Writes(epoch);
        Ok(())
    }

    /// Writes nothing from now on. A write under way is waited for.
    pub fn follow(&self, why: &str) {
        let mut writer = self.lock_writer();
        writer.role = Role::Follows { why: why.to_owned() };
        // What was fenced off as a writer may read.
        self.folded_mut().trust = Trust::Unsure;
    }

    /// Whether this process writes it.
    pub fn is_writer(&self) -> bool {
        // One lock after the other: a write holds the first while it takes the second.
        let writes = matches!(self.lock_writer().role, Role::Writes(_));
        writes && !matches!(self.folded().trust, Trust::Fenced(_))
    }

    /// Whoever follows reads what was added since.
    ///
    /// # Errors
    /// [`ReadError`]: what is in memory stays as it was.
    pub fn refresh(&self) -> Result<(), ReadError> {
        let writer = self.lock_writer();
        if matches!(writer.role, Role::Writes(_)) {
            return Ok(());
        }
        let unreadable = |error: FoldError| ReadError { why: error.to_string() };
        let (trust, head) = {
            let folded = self.folded();
            (folded.trust.clone(), folded.head.clone())
        };
        if trust == Trust::Sound {
            let added = block_on(writer.store.read(head.seq))?;
            let mut folded = self.folded_mut();
            let all_follow = added.iter().try_fold(folded.head.clone(), |head, row| {
                row.follows(&head)?;
                folded.ledger.take_row(row).map_err(|error| error.to_string())?;
                Ok::<Head, String>(row.head())
            });
            if let Ok(head) = all_follow {
                folded.head = head;
                return Ok(());
            }
            // Rows went to the archive meanwhile, or something is wrong, which reading everything tells apart.
            folded.trust = Trust::Unsure;
        }
        let read = block_on(chain::read(&*writer.store)).map_err(unreadable)?;
        *self.folded_mut() = Folded { ledger: read.ledger, head: read.head, trust: Trust::Sound };
        Ok(())
    }
}
