//! Where a running service takes labels: it records each, shows it, and remembers that there is news.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use homeostat_core::{IncidentLabel, Timestamp};
use homeostat_journal::Journal;

use super::record::{LabelError, record};
use crate::serve::incident_list::Row;
use crate::serve::snapshot::Publisher;

/// Takes labels from several threads.
pub(crate) struct Desk {
    journal: Arc<Journal>,
    publisher: Publisher,
    has_news: AtomicBool,
}

impl Desk {
    /// A desk of this journal; what the journal has already is news.
    pub(crate) fn new(journal: Arc<Journal>, publisher: Publisher) -> Self {
        Self { journal, publisher, has_news: AtomicBool::new(true) }
    }

    /// Records a label and shows it. It waits for the disk. `Ok(false)`: it says what is known already.
    pub(crate) fn take(&self, label: &IncidentLabel, now: Timestamp) -> Result<bool, LabelError> {
        let is_new = record(&self.journal, label, now)?;
        if is_new {
            let verdict = label.verdict.map_or("withdrawn", homeostat_core::Verdict::name);
            tracing::info!(incident = %label.incident, verdict, by = label.by, note = label.note, "incident labelled");
            self.publisher.publish(|snapshot| {
                if let Some(item) = self.journal.item(&label.incident) {
                    Arc::make_mut(&mut snapshot.incidents).put(Row::recorded(&item));
                }
            });
            self.has_news.store(true, Ordering::Release);
        }
        Ok(is_new)
    }

    /// Something that labels are about has changed.
    pub(crate) fn note_change(&self) {
        self.has_news.store(true, Ordering::Release);
    }

    /// Whether anything changed since this was asked last.
    pub(crate) fn take_news(&self) -> bool {
        self.has_news.swap(false, Ordering::AcqRel)
    }

    /// The journal.
    pub(crate) fn journal(&self) -> &Arc<Journal> {
        &self.journal
    }
}
