//! How much of the model is looked at, and in which runs.

use super::Fault;
use super::log::Tick;
use super::mutation::Mutation;

/// How much is looked at.
#[derive(Clone, Debug)]
pub struct Bounds {
    /// How many ticks pass.
    pub horizon: Tick,
    /// How many faults happen at most, in any order.
    pub faults: u8,
    /// Which ones may.
    pub kinds: Vec<Fault>,
    /// How often people may approve a plan.
    pub approvals: u8,
}

impl Bounds {
    /// So many faults of any kind.
    pub fn of(faults: u8, horizon: Tick) -> Self {
        Self { horizon, faults, kinds: Fault::ALL.to_vec(), approvals: 2 }
    }

    /// The smallest bounds within which this broken guard is noticed.
    pub fn that_show(broken: Mutation) -> Self {
        let (kinds, horizon, approvals): (&[Fault], Tick, u8) = match broken {
            Mutation::InFlight => (&[], 1, 1),
            Mutation::MaxAttempts => (&[], 7, 0),
            Mutation::Cooldown => (&[], 3, 0),
            Mutation::Overridden => (&[Fault::Revert], 5, 0),
            Mutation::JournalBeforeWrite => (&[], 1, 0),
            Mutation::LookAfterCrash => (&[Fault::Crash], 5, 0),
            Mutation::WaitForUnansweredWrite => (&[Fault::Loss], 4, 0),
            Mutation::DoubtAfterSendingAgain => (&[Fault::Loss, Fault::Revert], 1, 0),
            Mutation::Precondition => (&[Fault::Edit], 1, 0),
            Mutation::DecisionAge => (&[Fault::Outage, Fault::Crash], 4, 0),
            Mutation::IncidentOpen => (&[Fault::Close], 2, 0),
            Mutation::LeaseTime => (&[Fault::Pause], 3, 0),
            Mutation::Epoch => (&[Fault::Pause], 3, 0),
            Mutation::StopWhenDeciding | Mutation::StopBeforeWrite => (&[Fault::Stop], 1, 0),
            Mutation::StopLasts => (&[Fault::Stop], 1, 0),
            Mutation::Deadline => (&[Fault::Outage], 1, 0),
            Mutation::UndoPrecondition => (&[Fault::Edit], 3, 0),
            Mutation::UndoOnce => (&[Fault::Loss], 3, 0),
            Mutation::ApprovalDigest => (&[], 4, 2),
            Mutation::ApprovalExpiry => (&[], 4, 1),
            Mutation::ApprovalOnce => (&[], 5, 1),
            Mutation::ApprovalStop => (&[Fault::Stop], 2, 1),
        };
        let faults = u8::try_from(kinds.len()).unwrap_or(u8::MAX);
        Self { horizon, faults, kinds: kinds.to_vec(), approvals }
    }
}
