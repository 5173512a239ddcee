//! What the driver tells whoever runs it, to log, show and announce.

use homeostat_core::IncidentId;

use homeostat_remediate::{Decision, Escalation, Plan, Stage, Verdict};

/// Where a test can stop the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PausePoint {
    /// The intent and the start of the write are journaled; the write hasn't been sent.
    AfterJournal,
    /// The write was answered; the answer isn't journaled.
    AfterApply,
}

/// Something happened.
#[derive(Clone, Debug, PartialEq)]
pub enum DriverEvent {
    /// A decision that says something new.
    Decided {
        /// The incident.
        incident: IncidentId,
        /// The decision.
        decision: Decision,
    },
    /// A plan was applied.
    Applied {
        /// The plan.
        plan: Plan,
    },
    /// A plan wasn't applied, or nobody knows yet whether it was (`stage` is `Applying` then).
    ApplyFailed {
        /// The plan.
        plan: Plan,
        /// Where it stands now.
        stage: Stage,
        /// Why.
        why: String,
    },
    /// It is known, as far as it can be, whether an action helped.
    Verdict {
        /// The plan.
        plan: Plan,
        /// Whether it helped; never `Pending`.
        verdict: Verdict,
    },
    /// An action was taken back, and the roll-out of that is complete.
    Undone {
        /// The plan.
        plan: Plan,
    },
    /// What an action only lent was given back, after its end.
    Restored {
        /// The plan.
        plan: Plan,
    },
    /// An action couldn't be taken back.
    Stuck {
        /// The plan.
        plan: Plan,
        /// Why.
        why: String,
    },
    /// A policy is stopped because it made something worse.
    PolicyFrozen {
        /// Its name.
        policy: String,
        /// What happened.
        why: String,
    },
    /// A human is needed. Confirm with [`Driver::escalation_delivered`](crate::Driver::escalation_delivered).
    Escalate(Escalation),
    /// The journal can't be read or written; nothing is done until it can.
    JournalTrouble {
        /// The cause.
        why: String,
    },
}
