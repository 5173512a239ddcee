//! Guards that the model breaks on purpose, one at a time: each must lead to a violation that the checker finds. A guard whose
//! absence nobody notices is either not needed or not checked.

/// A guard that is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mutation {
    /// Deciding isn't told that another action is in flight.
    InFlight,
    /// No limit on attempts.
    MaxAttempts,
    /// No cooldown.
    Cooldown,
    /// What somebody put back is written again.
    Overridden,
    /// The write is sent before its intent is journaled.
    JournalBeforeWrite,
    /// After a crash the object isn't looked at: the write counts as not made.
    LookAfterCrash,
    /// An action ends as not applied while a write without an answer may still arrive.
    WaitForUnansweredWrite,
    /// A write that is refused when it is sent again counts as not made, though the first one may have been.
    DoubtAfterSendingAgain,
    /// The API server writes whatever the object's UID and version are.
    Precondition,
    /// A plan is applied however old its decision is.
    DecisionAge,
    /// A plan is applied although its incident is over.
    IncidentOpen,
    /// A replica acts without looking whether its lease has run out.
    LeaseTime,
    /// The journal takes rows of an older epoch.
    Epoch,
    /// Deciding isn't told of the kill switch.
    StopWhenDeciding,
    /// The kill switch isn't read before a write.
    StopBeforeWrite,
    /// A stop is forgotten when its source is gone.
    StopLasts,
    /// An action whose outcome can't be found out is asked about for ever.
    Deadline,
    /// An undo is written whatever the object is by now.
    UndoPrecondition,
    /// An undo that was done is done again when it is sent again.
    UndoOnce,
    /// An approval counts for any plan of its incident.
    ApprovalDigest,
    /// An approval never expires.
    ApprovalExpiry,
    /// An approval counts again after it was used.
    ApprovalOnce,
    /// An approval outlives a stop.
    ApprovalStop,
}

impl Mutation {
    /// All of them, with the number of the invariant that each violates.
    pub const ALL: [(Mutation, u8); 23] = [
        (Self::InFlight, 1),
        (Self::MaxAttempts, 3),
        (Self::Cooldown, 4),
        (Self::Overridden, 22),
        (Self::JournalBeforeWrite, 5),
        (Self::LookAfterCrash, 6),
        (Self::WaitForUnansweredWrite, 6),
        (Self::DoubtAfterSendingAgain, 6),
        (Self::Precondition, 8),
        (Self::DecisionAge, 8),
        (Self::IncidentOpen, 8),
        (Self::LeaseTime, 9),
        (Self::Epoch, 9),
        (Self::StopWhenDeciding, 11),
        (Self::StopBeforeWrite, 11),
        (Self::StopLasts, 11),
        (Self::Deadline, 15),
        (Self::UndoPrecondition, 16),
        (Self::UndoOnce, 16),
        (Self::ApprovalDigest, 25),
        (Self::ApprovalExpiry, 25),
        (Self::ApprovalOnce, 25),
        (Self::ApprovalStop, 25),
    ];
}
