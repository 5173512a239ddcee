//! What really happened in a schedule, as nobody in it knows: the input of the invariants.

use homeostat_core::Timestamp;
use homeostat_execute::DriverEvent;
use homeostat_journal::Row;
use homeostat_remediate::{PastAction, Plan};

/// Which write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// The plan's own.
    Apply,
    /// The one that takes it back.
    Undo,
}

/// A request that changes something, as it left.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Call {
    /// Of which plan.
    pub(super) plan: Plan,
    /// Which write.
    pub(super) what: What,
    /// When, in true time.
    pub(super) at: Timestamp,
    /// How many rows the journal had then.
    pub(super) n_rows: usize,
    /// Whose process it was.
    pub(super) epoch: i64,
    /// The newest process.
    pub(super) newest_epoch: i64,
    /// Whether a source of the kill switch said stop then.
    pub(super) is_stopped: bool,
    /// Whether the mode allowed it then.
    pub(super) may_write: bool,
}

/// A write that changed something.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Effect {
    /// Of which plan.
    pub(super) plan: Plan,
    /// Which write.
    pub(super) what: What,
    /// When, in true time.
    pub(super) at: Timestamp,
}

/// Everything about one schedule.
#[derive(Debug, Default)]
pub(super) struct Record {
    /// The journal at the end.
    pub(super) rows: Vec<Row>,
    /// Every action, as the journal's rows say at the end.
    pub(super) actions: Vec<PastAction>,
    /// What the driver told, in order.
    pub(super) events: Vec<DriverEvent>,
    /// Requests that change something, in order.
    pub(super) calls: Vec<Call>,
    /// What changed something, in order.
    pub(super) effects: Vec<Effect>,
    /// Whether some process's clock was ever set.
    pub(super) is_clock_set: bool,
    /// When the switch was engaged with no person having resumed it since, as ranges of true time.
    pub(super) stops: Vec<(Timestamp, Timestamp)>,
    /// When it ended, by the processes' clock.
    pub(super) ended_at: Option<Timestamp>,
    /// Whether the journal's chain holds at the end.
    pub(super) is_chain_whole: bool,
}
