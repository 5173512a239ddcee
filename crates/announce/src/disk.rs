//! What all channels share: the outbox, what to do while it can't be written, and the clock.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use homeostat_core::{Escalation, IncidentId, Timestamp};

use crate::clock::Clock;
use crate::event::Event;
use crate::outbox::{End, New, Outbox, OutboxError};
use crate::queue::Entry;

/// Ends of events that wait to be written down; some 30 MB at most. Beyond it a restart may deliver an event again, under the same id.
const UNWRITTEN_ENDS_MAX: usize = 10_000;

/// Escalations that became safe and weren't asked for yet.
const SAFE_MAX: usize = 10_000;

/// An end that couldn't be written down.
struct UnwrittenEnd {
    event: Arc<Event>,
    channel: String,
    queued_at: Timestamp,
    failed: Option<String>,
}

/// The outbox and what is known of it.
pub(crate) struct Disk {
    pub(crate) outbox: Outbox,
    pub(crate) clock: Arc<dyn Clock>,
    writable: AtomicBool,
    unwritten_ends: Mutex<Vec<UnwrittenEnd>>,
    safe: Mutex<Vec<(IncidentId, String)>>,
    wants_resync: AtomicBool,
    /// Whether whoever goes on after this process reads another outbox.
    is_local: AtomicBool,
}

impl Disk {
    pub(crate) fn new(outbox: Outbox, clock: Arc<dyn Clock>) -> Self {
        Self {
            outbox,
            clock,
            writable: AtomicBool::new(true),
            unwritten_ends: Mutex::default(),
            safe: Mutex::default(),
            // What happened between the last publication and the end of the process before this one is missing.
            wants_resync: AtomicBool::new(true),
            is_local: AtomicBool::new(false),
        }
    }

    /// What waits here is lost to whoever goes on after this process.
    pub(crate) fn set_local(&self) {
        self.is_local.store(true, Ordering::Relaxed);
    }

    /// Whether being in the outbox is being in safe hands.
    pub(crate) fn is_safe(&self) -> bool {
        !self.is_local.load(Ordering::Relaxed)
    }

    /// Whether the outbox could be written the last time.
    pub(crate) fn is_writable(&self) -> bool {
        self.writable.load(Ordering::Relaxed)
    }

    /// Takes note of how writing went; logs changes only.
    pub(crate) fn noted<T>(&self, written: Result<T, OutboxError>) -> Option<T> {
        match written {
            Ok(value) => {
                if !self.writable.swap(true, Ordering::Relaxed) {
                    tracing::info!("the outbox is writable again");
                    self.want_resync();
                }
                Some(value)
            }
            Err(error) => {
                if self.writable.swap(false, Ordering::Relaxed) {
                    tracing::error!(%error, "events are delivered from memory; they don't survive a restart until the outbox can be written");
                }
                None
            }
        }
    }

    pub(crate) fn failed_once(&self, entry: &Entry, channel: &str, next_attempt_at: Timestamp, why: &str) {
        if entry.on_disk {
            self.noted(self.outbox.failed_once(&entry.event, channel, entry.n_attempts, next_attempt_at, why));
        }
    }

    /// Writes down how an event ended, now or as soon as it can be.
    pub(crate) fn finish(&self, new: New<'_>, end: End<'_>) {
        if self.noted(self.outbox.finish(new, end, self.clock.now())).is_some() {
            return;
        }
        let failed = match end {
            End::Accepted => None,
            End::Failed { why } => Some(why.to_owned()),
        };
        let mut ends = self.unwritten_ends.lock().unwrap_or_else(PoisonError::into_inner);
        if ends.len() < UNWRITTEN_ENDS_MAX {
            let event = Arc::new(new.event.clone());
            ends.push(UnwrittenEnd { event, channel: new.channel.to_owned(), queued_at: new.queued_at, failed });
        }
    }

    /// Writes down the ends that couldn't be, as far as they can be now.
    pub(crate) fn write_ends(&self) {
        let ends = std::mem::take(&mut *self.unwritten_ends.lock().unwrap_or_else(PoisonError::into_inner));
        for end in ends {
            let new = New { event: &end.event, channel: &end.channel, queued_at: end.queued_at };
            // What fails again comes back to the list.
            self.finish(new, end.failed.as_deref().map_or(End::Accepted, |why| End::Failed { why }));
        }
    }

    /// The escalation is on disk or accepted now, which it wasn't when it was published.
    pub(crate) fn now_safe(&self, escalation: &Escalation) {
        let mut safe = self.safe.lock().unwrap_or_else(PoisonError::into_inner);
        if safe.len() < SAFE_MAX {
            safe.push((escalation.incident.clone(), escalation.reason.clone()));
        }
    }

    pub(crate) fn take_safe(&self) -> Vec<(IncidentId, String)> {
        std::mem::take(&mut *self.safe.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Something may be missing at a receiver: what is open should be told anew.
    pub(crate) fn want_resync(&self) {
        self.wants_resync.store(true, Ordering::Relaxed);
    }

    pub(crate) fn wants_resync(&self) -> bool {
        self.wants_resync.load(Ordering::Relaxed)
    }

    pub(crate) fn resynced(&self) {
        self.wants_resync.store(false, Ordering::Relaxed);
    }
}
