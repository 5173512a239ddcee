//! How far an action has come. One machine for the driver and for reading the journal back; no I/O, no clock.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::step::Repeat;

/// Where an action stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// The intent is journaled; nothing has been sent.
    Planned,
    /// The write is being sent: nobody knows whether it happened until an answer is journaled.
    Applying,
    /// The write happened; its effect is being watched.
    Verifying,
    /// It didn't help and is to be taken back; nothing has been sent for that yet.
    UndoDue,
    /// The write that takes it back is being sent.
    Undoing,
    /// The write that takes it back happened; its roll-out goes on.
    Settling,
    /// End: nothing was written.
    NotApplied,
    /// End: the signals that opened the incident are back to normal, on fresh data.
    Recovered,
    /// End: it didn't help, and isn't taken back.
    NotRecovered,
    /// End: nobody can say whether it helped.
    Unknown,
    /// End: somebody put back what was written.
    Overridden,
    /// End: it didn't help and was taken back.
    Undone,
    /// End: it couldn't be taken back; a human must look.
    Stuck,
}

/// What the journal says happened to an action after its intent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "event")]
pub enum JournalEvent {
    /// The write is about to be sent. Journaled before it is.
    ApplyStarted,
    /// The write was accepted.
    Applied {
        /// The object's version after it, if known.
        resource_version: String,
        /// What was changed of it on its way, if something was.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        altered: Option<String>,
    },
    /// It is certain that nothing was written.
    NotApplied {
        /// Why not.
        why: String,
        /// Whether the cluster refused the write for good, so that it would refuse it again.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        refused: bool,
    },
    /// Verification: recovered.
    Recovered,
    /// Verification: not recovered.
    NotRecovered {
        /// What is still wrong.
        why: String,
        /// Whether it is to be taken back.
        undo: bool,
    },
    /// Nobody can say whether it was written, or whether it helped.
    OutcomeUnknown {
        /// What is missing.
        why: String,
    },
    /// Somebody put back what was written.
    Overridden {
        /// What was seen.
        why: String,
    },
    /// The write that takes it back is about to be sent. Journaled before it is.
    UndoStarted,
    /// The write that takes it back was accepted.
    UndoApplied {
        /// The object's version after it.
        resource_version: String,
    },
    /// It is taken back, and the roll-out of that is complete.
    Undone,
    /// It couldn't be taken back.
    Stuck {
        /// Why not.
        why: String,
    },
    /// What was lent is about to be given back, after the end. Journaled before it is sent.
    RestoreStarted,
    /// What was lent is given back.
    Restored,
    /// What was lent isn't given back any more: somebody changed it since, or the cluster refuses it.
    NotRestored {
        /// Why not.
        why: String,
    },
}

/// An event that can't follow in this stage: the journal was edited, or there is a bug. Never go on from here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{event} can't follow in stage {stage}: check the journal with `homeostat audit` and report this")]
pub struct IllegalEvent {
    stage: Stage,
    event: &'static str,
}

impl Stage {
    /// Every stage.
    pub const ALL: [Stage; 13] = [
        Self::Planned,
        Self::Applying,
        Self::Verifying,
        Self::UndoDue,
        Self::Undoing,
        Self::Settling,
        Self::NotApplied,
        Self::Recovered,
        Self::NotRecovered,
        Self::Unknown,
        Self::Overridden,
        Self::Undone,
        Self::Stuck,
    ];

    /// The stage after this event of an action that may, or may not, be sent again.
    pub fn next(self, event: &JournalEvent, repeat: Repeat) -> Result<Stage, IllegalEvent> {
        use JournalEvent as Event;
        let after = match (self, event) {
            (Self::Planned, Event::ApplyStarted) => Some(Self::Applying),
            // Sending again: the same plan writes the same values (I7), and after a crash it may be needed (I6). What would act
            // again is never sent again.
            (Self::Applying, Event::ApplyStarted) => match repeat {
                Repeat::Idempotent => Some(Self::Applying),
                Repeat::AtMostOnce => None,
            },
            (Self::Applying, Event::Applied { .. }) => Some(Self::Verifying),
            (Self::Planned | Self::Applying, Event::NotApplied { .. }) => Some(Self::NotApplied),
            (Self::Verifying, Event::Recovered) => Some(Self::Recovered),
            (Self::Verifying, Event::NotRecovered { undo: true, .. }) => Some(Self::UndoDue),
            (Self::Verifying, Event::NotRecovered { undo: false, .. }) => Some(Self::NotRecovered),
            (Self::Applying | Self::Verifying, Event::OutcomeUnknown { .. }) => Some(Self::Unknown),
            (Self::Verifying, Event::Overridden { .. }) => Some(Self::Overridden),
            (Self::UndoDue, Event::UndoStarted) => Some(Self::Undoing),
            (Self::Undoing, Event::UndoStarted) => match repeat {
                Repeat::Idempotent => Some(Self::Undoing),
                Repeat::AtMostOnce => None,
            },
            (Self::Undoing, Event::UndoApplied { .. }) => Some(Self::Settling),
            (Self::Settling, Event::Undone) => Some(Self::Undone),
            (Self::UndoDue | Self::Undoing | Self::Settling, Event::Stuck { .. }) => Some(Self::Stuck),
            // After the end, and it stays the end: whether it helped is said.
            (
                Self::Recovered | Self::NotRecovered | Self::Unknown,
                Event::RestoreStarted | Event::Restored | Event::NotRestored { .. },
            ) => Some(self),
            (
                Self::Planned
                | Self::Applying
                | Self::Verifying
                | Self::UndoDue
                | Self::Undoing
                | Self::Settling
                | Self::NotApplied
                | Self::Recovered
                | Self::NotRecovered
                | Self::Unknown
                | Self::Overridden
                | Self::Undone
                | Self::Stuck,
                _,
            ) => None,
        };
        after.ok_or_else(|| IllegalEvent { stage: self, event: event.name() })
    }

    /// Whether it is over. Every end releases the target and starts its cooldown (I4).
    pub const fn is_end(self) -> bool {
        match self {
            Self::Planned | Self::Applying | Self::Verifying | Self::UndoDue | Self::Undoing | Self::Settling => false,
            Self::NotApplied
            | Self::Recovered
            | Self::NotRecovered
            | Self::Unknown
            | Self::Overridden
            | Self::Undone
            | Self::Stuck => true,
        }
    }

    /// The stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Applying => "applying",
            Self::Verifying => "verifying",
            Self::UndoDue => "undo-due",
            Self::Undoing => "undoing",
            Self::Settling => "settling",
            Self::NotApplied => "not-applied",
            Self::Recovered => "recovered",
            Self::NotRecovered => "not-recovered",
            Self::Unknown => "unknown",
            Self::Overridden => "overridden",
            Self::Undone => "undone",
            Self::Stuck => "stuck",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl JournalEvent {
    /// The stable name, as in the journal's `kind` column.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::ApplyStarted => "apply-started",
            Self::Applied { .. } => "applied",
            Self::NotApplied { .. } => "not-applied",
            Self::Recovered => "recovered",
            Self::NotRecovered { .. } => "not-recovered",
            Self::OutcomeUnknown { .. } => "outcome-unknown",
            Self::Overridden { .. } => "overridden",
            Self::UndoStarted => "undo-started",
            Self::UndoApplied { .. } => "undo-applied",
            Self::Undone => "undone",
            Self::Stuck { .. } => "stuck",
            Self::RestoreStarted => "restore-started",
            Self::Restored => "restored",
            Self::NotRestored { .. } => "not-restored",
        }
    }

    /// Why it happened, where that isn't in its name.
    pub fn why(&self) -> Option<&str> {
        match self {
            Self::NotApplied { why, .. }
            | Self::Overridden { why }
            | Self::NotRecovered { why, .. }
            | Self::OutcomeUnknown { why }
            | Self::Stuck { why }
            | Self::NotRestored { why } => Some(why),
            Self::Applied { altered, .. } => altered.as_deref(),
            Self::ApplyStarted
            | Self::Recovered
            | Self::UndoStarted
            | Self::UndoApplied { .. }
            | Self::Undone
            | Self::RestoreStarted
            | Self::Restored => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every_event() -> Vec<JournalEvent> {
        let why = || "because".to_owned();
        vec![
            JournalEvent::ApplyStarted,
            JournalEvent::Applied { resource_version: "2".into(), altered: None },
            JournalEvent::NotApplied { why: why(), refused: false },
            JournalEvent::Recovered,
            JournalEvent::NotRecovered { why: why(), undo: false },
            JournalEvent::NotRecovered { why: why(), undo: true },
            JournalEvent::OutcomeUnknown { why: why() },
            JournalEvent::Overridden { why: why() },
            JournalEvent::UndoStarted,
            JournalEvent::UndoApplied { resource_version: "3".into() },
            JournalEvent::Undone,
            JournalEvent::Stuck { why: why() },
            JournalEvent::RestoreStarted,
            JournalEvent::Restored,
            JournalEvent::NotRestored { why: why() },
        ]
    }

    /// The whole machine, one line a stage, written by hand so that a change of the code must be repeated here.
    const LEGAL: &str = "
        planned       apply-started>applying not-applied>not-applied
        applying      apply-started>applying applied>verifying not-applied>not-applied outcome-unknown>unknown
        verifying     recovered>recovered not-recovered>not-recovered not-recovered>undo-due outcome-unknown>unknown overridden>overridden
        undo-due      undo-started>undoing stuck>stuck
        undoing       undo-started>undoing undo-applied>settling stuck>stuck
        settling      undone>undone stuck>stuck
        not-applied
        recovered restore-started>recovered restored>recovered not-restored>recovered
        not-recovered restore-started>not-recovered restored>not-recovered not-restored>not-recovered
        unknown restore-started>unknown restored>unknown not-restored>unknown
        overridden
        undone
        stuck
    ";

    #[test]
    fn every_pair_of_stage_and_event_is_as_the_table_says() {
        let mut n_lines = 0;
        for line in LEGAL.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let mut words = line.split_whitespace();
            let name = words.next().unwrap();
            let stage = Stage::ALL.into_iter().find(|stage| stage.name() == name).unwrap();
            let expected: Vec<&str> = words.collect();
            let found: Vec<String> = every_event()
                .iter()
                .filter_map(|event| {
                    stage.next(event, Repeat::Idempotent).ok().map(|next| format!("{}>{next}", event.name()))
                })
                .collect();
            assert_eq!(found, expected, "stage {stage}");
            n_lines += 1;
        }
        assert_eq!(n_lines, Stage::ALL.len());
    }

    #[test]
    fn what_would_act_again_is_never_sent_again() {
        let begins = [(Stage::Applying, JournalEvent::ApplyStarted), (Stage::Undoing, JournalEvent::UndoStarted)];
        for stage in Stage::ALL {
            for event in every_event() {
                let (again, once) = (stage.next(&event, Repeat::Idempotent), stage.next(&event, Repeat::AtMostOnce));
                let is_repeat = begins.contains(&(stage, event.clone()));
                assert_eq!(again.is_ok() && once.is_err(), is_repeat, "{stage} {}", event.name());
                assert!(is_repeat || again == once, "{stage} {}", event.name());
            }
        }
    }

    #[test]
    fn an_end_stays_the_end_and_something_follows_everything_else() {
        for stage in Stage::ALL {
            let next = every_event().into_iter().filter_map(|event| stage.next(&event, Repeat::AtMostOnce).ok());
            let goes_on = next.into_iter().any(|next| next != stage);
            assert_eq!(goes_on, !stage.is_end(), "{stage}");
        }
    }

    #[test]
    fn names_are_the_serialised_form() {
        for stage in Stage::ALL {
            assert_eq!(serde_json::to_string(&stage).unwrap(), format!("\"{stage}\""));
        }
    }
}
