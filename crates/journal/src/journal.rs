//! The journal: rows in a store, and what they say folded into a ledger that is read without waiting for the disk.

mod archive;
mod ask;
mod role;

pub use ask::RecordRow;

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use homeostat_core::Timestamp;
use homeostat_remediate::PlanId;
use homeostat_remediate::{JournalEvent, Stage};

use crate::block_on::block_on;
use crate::chain;
use crate::entry::Entry;
use crate::error::{FoldError, JournalError, OpenError, ReadError};
use crate::formats::FORMAT;
use crate::intent::{Intent, Journaled};
use crate::ledger::Ledger;
use crate::note::Note;
use crate::row::{Epoch, Head, Row};
use crate::sqlite::SqliteStore;
use crate::store::{AppendError, Store};

/// Where intents and everything that follows are kept. Every answer is as of the last durable write.
///
/// Writes go one after the other, each durable before it is answered. Answers come from memory: whoever asks never waits
/// for a disk, only after a write whose answer was lost is the store read first.
pub struct Journal {
    writer: Mutex<Writer>,
    folded: RwLock<Folded>,
}

struct Writer {
    store: Box<dyn Store>,
    role: Role,
}

/// Whether this process writes the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Role {
    /// With this epoch.
    Writes(Epoch),
    /// It only reads, and why.
    Follows { why: String },
}

impl Writer {
    fn epoch(&self) -> Result<Epoch, String> {
        match &self.role {
            Role::Writes(epoch) => Ok(*epoch),
            Role::Follows { why } => Err(why.clone()),
        }
    }
}

struct Folded {
    ledger: Ledger,
    head: Head,
    trust: Trust,
}

/// Whether what is in memory is what is in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Trust {
    Sound,
    /// A write wasn't confirmed: what is in the store must be read before anything else.
    Unsure,
    /// The store isn't this process's any more. That never changes again.
    Fenced(String),
}

/// Why a store can't be used for a journal.
#[derive(Debug, thiserror::Error)]
pub enum BeginError {
    /// It can't be read.
    #[error("{0}")]
    Unreadable(String),
    /// A newer version wrote something in it that matters.
    #[error("written by a newer homeostat ({0}); use that version or a later one")]
    Newer(String),
    /// What is in it can't be right.
    #[error("damaged: {0}")]
    Damaged(String),
}

impl Journal {
    /// Opens or creates the journal at `path`, brings an older one up to date, takes its lock (`path` with `.lock`) and
    /// reads it through.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let (store, epoch) = SqliteStore::open(path)?;
        Self::over(Box::new(store), epoch).map_err(|error| error.at(path))
    }

    /// Opens a journal that is there to be read, also while a service writes it, also a copy in a place that can't be
    /// written. No lock is taken and nothing is changed. It shows what was there when it was opened.
    pub fn open_to_read(path: &Path) -> Result<Self, OpenError> {
        let store = SqliteStore::open_to_read(path)?;
        Self::over(Box::new(store), Epoch(0)).map_err(|error| error.at(path))
    }

    /// A journal that lasts as long as the process: for tests, replays and the demo.
    pub fn in_memory() -> Result<Self, OpenError> {
        let (store, epoch) = SqliteStore::in_memory()?;
        Self::over(Box::new(store), epoch).map_err(|error| error.at(Path::new(":memory:")))
    }

    /// A journal over any store, whose writer has this epoch.
    pub fn over(store: Box<dyn Store>, epoch: Epoch) -> Result<Self, BeginError> {
        let read = block_on(chain::read(&*store)).map_err(|error| match error {
            FoldError::Unreadable(why) => BeginError::Unreadable(why),
            FoldError::Newer(why) => BeginError::Newer(why),
            FoldError::Broken(error) => BeginError::Damaged(error.to_string()),
        })?;
        if read.ledger.n_not_understood() > 0 {
            tracing::warn!(
                rows = read.ledger.n_not_understood(),
                "the journal has rows of a newer homeostat that this version can only show"
            );
        }
        let folded = Folded { ledger: read.ledger, head: read.head, trust: Trust::Sound };
        Ok(Self { writer: Mutex::new(Writer { store, role: Role::Writes(epoch) }), folded: RwLock::new(folded) })
    }

    /// Makes an intent durable. After `Ok` it survives the death of the process and of the machine. An id that is there
    /// already, or a second plan for a subject that has one in flight, is refused (I1).
    ///
    /// # Errors
    /// [`JournalError`]: the intent isn't surely durable, so nothing may be done.
    pub fn record(&self, intent: &Intent, now: Timestamp) -> Result<Journaled, JournalError> {
        let what = format!("intent {}", intent.plan.id);
        self.write(Entry::Intent(Box::new(intent.clone())), &what, now)?;
        Ok(Journaled::new(intent.plan.clone()))
    }

    /// Makes the next event of an action durable, if it may follow, and says what stage that leads to.
    ///
    /// # Errors
    /// [`JournalError`]: it isn't surely durable.
    pub fn append(&self, plan: &PlanId, event: &JournalEvent, now: Timestamp) -> Result<Stage, JournalError> {
        let what = format!("{} of {plan}", event.name());
        self.write(Entry::Step { plan: plan.clone(), event: event.clone() }, &what, now)?;
        let stage = self.folded().ledger.action(plan).map(|action| action.stage);
        stage.ok_or_else(|| JournalError::NotConfirmed {
            what,
            why: "the plan isn't in the journal any more".to_owned(),
        })
    }

    /// Makes anything else durable. `Ok(false)`: it says what the journal says already, and no row was written.
    ///
    /// # Errors
    /// [`JournalError`]: it isn't surely durable. The same note may be tried again.
    pub fn note(&self, note: &Note, now: Timestamp) -> Result<bool, JournalError> {
        let about = match note {
            Note::Escalated(call) => self.folded().ledger.incident(&call.incident).cloned(),
            Note::Label(label) => self.folded().ledger.incident(&label.incident).cloned(),
            Note::Incident(_)
            | Note::Decision(_)
            | Note::Proposed(_)
            | Note::Approval(_)
            | Note::EscalationDelivered { .. }
            | Note::PolicyFrozen { .. }
            | Note::PolicyReleased { .. }
            | Note::Storm { .. }
            | Note::KillSwitch(_) => None,
        };
        let entry = Entry::of_note(note, about)
            .map_err(|why| JournalError::NotWritten { what: note.name().to_owned(), why })?;
        self.write(entry, note.name(), now)
    }

    /// Reads every kept row and checks its hash, its link to the row before, and that it may follow. See
    /// [`audit`](crate::audit()) for a journal with its archives.
    ///
    /// Rows cut off at the end leave a shorter chain that holds: compare the head with one kept elsewhere.
    ///
    /// # Errors
    /// [`ReadError`] with the first row that is wrong.
    pub fn verify_chain(&self) -> Result<Head, ReadError> {
        let writer = self.lock_writer();
        block_on(chain::read(&*writer.store))
            .map(|read| read.head)
            .map_err(|error| ReadError { why: error.to_string() })
    }

    /// Writes one row. `Ok(false)`: nothing new, no row.
    fn write(&self, entry: Entry, what: &str, now: Timestamp) -> Result<bool, JournalError> {
        let not_written = |why: String| JournalError::NotWritten { what: what.to_owned(), why };
        let writer = self.lock_writer();
        let epoch = writer.epoch().map_err(not_written)?;
        self.read_back_if_unsure(&writer).map_err(|error| self.failed(what, error))?;
        let row = {
            let folded = self.folded();
            if !folded.ledger.accepts(&entry, now).map_err(|error| not_written(error.to_string()))? {
                return Ok(false);
            }
            row_after(&folded, &entry, epoch, now).map_err(not_written)?
        };
        let head = Head { seq: row.seq - 1, hash: row.prev_hash.clone() };
        let written = block_on(writer.store.append(&row, &head, epoch));
        self.settle(written, what)?;
        self.take(&row, entry, what)
    }

    /// What a store's answer means for what is in memory.
    fn settle(&self, written: Result<(), AppendError>, what: &str) -> Result<(), JournalError> {
        let what = what.to_owned();
        match written {
            Ok(()) => Ok(()),
            Err(AppendError::NotWritten(why)) => Err(JournalError::NotWritten { what, why }),
            Err(AppendError::NotConfirmed(why)) => {
                self.folded_mut().trust = Trust::Unsure;
                Err(JournalError::NotConfirmed { what, why })
            }
            Err(AppendError::Fenced(why)) => {
                self.folded_mut().trust = Trust::Fenced(why.clone());
                Err(JournalError::Fenced { what, why })
            }
        }
    }

    /// Takes a row that is durable into memory.
    fn take(&self, row: &Row, entry: Entry, what: &str) -> Result<bool, JournalError> {
        let mut folded = self.folded_mut();
        folded.head = row.head();
        if let Err(error) = folded.ledger.take(entry, row.seq, row.at) {
            // It was accepted before it was written: only a bug leads here, and memory isn't to be trusted after one.
            folded.trust = Trust::Unsure;
            return Err(JournalError::NotConfirmed { what: what.to_owned(), why: error.to_string() });
        }
        Ok(true)
    }

    fn failed(&self, what: &str, error: ReadError) -> JournalError {
        let (what, why) = (what.to_owned(), error.why);
        match self.folded().trust {
            Trust::Fenced(_) => JournalError::Fenced { what, why },
            Trust::Sound | Trust::Unsure => JournalError::NotWritten { what, why },
        }
    }

    fn read_back_if_unsure(&self, writer: &Writer) -> Result<(), ReadError> {
        let trust = self.folded().trust.clone();
        match trust {
            Trust::Sound => Ok(()),
            Trust::Fenced(why) => Err(ReadError { why }),
            Trust::Unsure => {
                let read =
                    block_on(chain::read(&*writer.store)).map_err(|error| ReadError { why: error.to_string() })?;
                let mut folded = self.folded_mut();
                (folded.ledger, folded.head, folded.trust) = (read.ledger, read.head, Trust::Sound);
                Ok(())
            }
        }
    }

    /// What is in memory, once that is what is in the store.
    fn readable(&self) -> Result<RwLockReadGuard<'_, Folded>, ReadError> {
        let folded = self.folded();
        if folded.trust == Trust::Sound {
            return Ok(folded);
        }
        drop(folded);
        self.read_back_if_unsure(&self.lock_writer())?;
        Ok(self.folded())
    }

    /// A panic of another thread between two statements leaves either a whole row or none, so the lock's poison says
    /// nothing about the store. The same goes for the ledger, which takes only rows that are durable.
    fn lock_writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn folded(&self) -> RwLockReadGuard<'_, Folded> {
        self.folded.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn folded_mut(&self) -> RwLockWriteGuard<'_, Folded> {
        self.folded.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl BeginError {
    fn at(self, path: &Path) -> OpenError {
        let path = path.to_owned();
        match self {
            Self::Unreadable(why) => OpenError::Damaged { path, why },
            Self::Newer(why) => OpenError::Newer { path, why },
            Self::Damaged(why) => OpenError::Damaged { path, why },
        }
    }
}

/// The row of this entry after what is folded.
fn row_after(folded: &Folded, entry: &Entry, epoch: Epoch, now: Timestamp) -> Result<Row, String> {
    let mut row = Row {
        seq: folded.head.seq + 1,
        at: now,
        epoch,
        format: FORMAT,
        kind: entry.kind().to_owned(),
        must_understand: entry.must_understand(),
        about: entry.about(folded.ledger.plan_of(entry)),
        body: entry.body()?,
        prev_hash: folded.head.hash.clone(),
        hash: String::new(),
    };
    row.hash = row.own_hash();
    Ok(row)
}
