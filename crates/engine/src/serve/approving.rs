//! The service's part in approvals: takes the answers that wait in the storage directory into the journal, where deciding finds them.

use std::sync::Arc;

use homeostat_core::Timestamp;
use homeostat_journal::Journal;
use homeostat_remediate::Approval;

use crate::approvals::{ApprovalError, record};
use crate::inbox::{Inbox, Waiting};

/// Takes answers to proposed plans.
pub(crate) struct Approving {
    inbox: Inbox<Approval>,
    journal: Arc<Journal>,
}

impl Approving {
    /// From this inbox into this journal.
    pub(crate) fn new(inbox: Inbox<Approval>, journal: Arc<Journal>) -> Self {
        Self { inbox, journal }
    }

    /// Takes what waits. What doesn't count is told and taken away: it would count no more later.
    pub(crate) fn tick(&self, now: Timestamp) {
        for waiting in self.inbox.waiting() {
            match self.take(&waiting, now) {
                Ok(()) => {}
                Err(ApprovalError::NotWritten(why)) => {
                    tracing::error!(why, file = waiting.name(), "an approval can't be recorded yet");
                    continue;
                }
                Err(error @ (ApprovalError::Refused(_) | ApprovalError::Wrong(_))) => {
                    tracing::error!(why = %error, file = waiting.name(), "an approval was refused");
                }
            }
            if let Err(error) = waiting.remove() {
                tracing::error!(%error, file = waiting.name(), "an approval that was taken can't be removed");
            }
        }
    }

    fn take(&self, waiting: &Waiting<Approval>, now: Timestamp) -> Result<(), ApprovalError> {
        let approval = waiting.message.as_ref().map_err(|why| ApprovalError::Wrong(why.clone()))?;
        if record(&self.journal, approval, now)? {
            let Approval { incident, digest, answer, by, note, .. } = approval;
            tracing::info!(%incident, digest, %answer, by, note, "a proposed plan was answered");
        }
        Ok(())
    }
}
