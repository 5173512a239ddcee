//! How the channels do, for metrics and pages.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How everything that is published does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Each channel, by name.
    pub channels: Vec<ChannelStatus>,
    /// Whether the outbox could be written the last time.
    pub outbox_writable: bool,
    /// Events that are only in memory, because the outbox couldn't be written: they don't survive the process.
    pub n_only_in_memory: u64,
}

impl Status {
    /// Events that wait, over all channels.
    pub fn n_pending(&self) -> u64 {
        self.channels.iter().map(|channel| channel.n_pending_changes + channel.n_pending_escalations).sum()
    }
}

/// How one channel does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChannelStatus {
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: &'static str,
    /// Whether the latest attempt reached its receiver; true before the first.
    pub up: bool,
    /// Why the latest failure, without secrets; `None` while it works.
    pub last_error: Option<String>,
    /// Attempts by result, since the start.
    pub attempts: [(&'static str, u64); 3],
    /// Changes that wait.
    pub n_pending_changes: u64,
    /// Escalations that wait.
    pub n_pending_escalations: u64,
    /// Age of the oldest event that waits; zero when there is none.
    pub oldest_pending: Duration,
    /// Changes that were given up and are kept.
    pub n_failed_changes: u64,
    /// Escalations that were given up and are kept: nobody was called.
    pub n_failed_escalations: u64,
    /// Changes dropped for want of room, since the start.
    pub n_dropped: u64,
}

/// What is counted of one channel.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    accepted: AtomicU64,
    retried: AtomicU64,
    refused: AtomicU64,
    dropped: AtomicU64,
    last_error: Mutex<Option<String>>,
}

impl Counters {
    pub(crate) fn accepted(&self) {
        self.accepted.fetch_add(1, Ordering::Relaxed);
        *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    pub(crate) fn not_accepted(&self, refused: bool, why: &str) {
        let counter = if refused { &self.refused } else { &self.retried };
        counter.fetch_add(1, Ordering::Relaxed);
        *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = Some(why.to_owned());
    }

    pub(crate) fn dropped(&self, n_dropped: usize) {
        self.dropped.fetch_add(n_dropped as u64, Ordering::Relaxed);
    }

    /// What is counted, in a status that has nothing else yet.
    pub(crate) fn status(&self, name: &str, kind: &'static str, up: bool) -> ChannelStatus {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ChannelStatus {
            name: name.to_owned(),
            kind,
            up,
            last_error: self.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            attempts: [
                ("accepted", count(&self.accepted)),
                ("retry", count(&self.retried)),
                ("refused", count(&self.refused)),
            ],
            n_dropped: count(&self.dropped),
            ..ChannelStatus::default()
        }
    }
}
