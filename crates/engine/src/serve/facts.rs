//! Facts of the cluster beside the cycle: objects are watched by tasks of their own, and what holds is published every few seconds.
//! A cycle takes what was published last and waits for nothing.

#[cfg(feature = "kubernetes")]
mod api;
#[cfg(feature = "kubernetes")]
mod board;
#[cfg(feature = "kubernetes")]
mod follow;
pub(crate) mod resources;
#[cfg(feature = "kubernetes")]
mod start;

use std::sync::Arc;

use homeostat_core::{ClusterFact, Timestamp};
use tokio::sync::watch;

#[cfg(feature = "kubernetes")]
pub(crate) use start::{Watching, start};

/// What held when it was looked at last.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct FactsSeen {
    /// When; `None` before everything was listed once.
    pub(crate) at: Option<Timestamp>,
    pub(crate) facts: Vec<ClusterFact>,
}

/// Reads what was published last.
pub(crate) type FactsReader = watch::Receiver<Arc<FactsSeen>>;

/// Takes each state once: what hasn't been looked at anew says nothing new.
#[derive(Debug)]
pub(crate) struct FactsFeed {
    reader: FactsReader,
    taken_at: Option<Timestamp>,
}

impl FactsFeed {
    pub(crate) fn new(reader: FactsReader) -> Self {
        Self { reader, taken_at: None }
    }

    /// What holds, if that was looked at since it was taken last.
    pub(crate) fn newer(&mut self) -> Option<Arc<FactsSeen>> {
        let seen = Arc::clone(&self.reader.borrow());
        let is_newer = seen.at.is_some() && seen.at != self.taken_at;
        self.taken_at = seen.at;
        is_newer.then_some(seen)
    }
}
