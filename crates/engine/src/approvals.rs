//! What people answer to proposed plans, and how it gets into the journal (I25).
//!
//! `incident approve` and `reject` write the journal itself where no service runs, and leave a file in the storage directory where one
//! does: whoever may write there may approve. The HTTP API takes no answers, because it doesn't know who asks.

use homeostat_core::Timestamp;
use homeostat_journal::{Journal, Note};
use homeostat_remediate::{AnswerError, Approval};

/// Longest note and longest name, as for labels.
const NOTE_CHARS_MAX: usize = 1_000;
const BY_CHARS_MAX: usize = 100;

/// Why an answer isn't recorded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ApprovalError {
    /// It doesn't count.
    #[error(transparent)]
    Refused(#[from] AnswerError),
    /// It can't be kept as it is: say it in another way.
    #[error("{0}")]
    Wrong(String),
    /// The journal can't be written: try again.
    #[error("{0}; try again when that is put right")]
    NotWritten(String),
}

/// Writes an answer to the journal. `Ok(false)`: it was given already.
pub(crate) fn record(journal: &Journal, approval: &Approval, now: Timestamp) -> Result<bool, ApprovalError> {
    check(approval)?;
    let not_written = |error: &dyn std::error::Error| ApprovalError::NotWritten(error.to_string());
    let pending = journal.pending(&approval.incident).map_err(|error| not_written(&error))?;
    let pending = pending.ok_or_else(|| AnswerError::NoneWaits(approval.incident.clone()))?;
    pending.check(approval, now)?;
    journal.note(&Note::Approval(approval.clone()), now).map_err(|error| not_written(&error))
}

fn check(approval: &Approval) -> Result<(), ApprovalError> {
    if approval.by.trim().is_empty() {
        return Err(ApprovalError::Wrong("who says so is missing: name them with --by".to_owned()));
    }
    for (what, text, chars_max) in [("by", &approval.by, BY_CHARS_MAX), ("note", &approval.note, NOTE_CHARS_MAX)] {
        if text.chars().count() > chars_max {
            return Err(ApprovalError::Wrong(format!("--{what} has more than {chars_max} characters; shorten it")));
        }
    }
    Ok(())
}
