//! What really happened in a schedule, as nobody in it knows: the input of the invariants.

use homeostat_core::Timestamp;
use homeostat_execute::DriverEvent;
use homeostat_journal::Row;
use homeostat_remediate::{PastAction, Plan};

/// Which write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// The plan's own.
    Apply,
    /// The one that takes it back.
    Undo,
}

/// A request that changes something, as it left.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// Of which plan.
    pub plan: Plan,
    /// Which write.
    pub what: What,
    /// When, in true time.
    pub at: Timestamp,
    /// How many rows the journal had then.
    pub n_rows: usize,
    /// Whose process it was.
    pub epoch: i64,
    /// The newest process.
    pub newest_epoch: i64,
    /// Whether a source of the kill switch said stop then.
    pub is_stopped: bool,
    /// Whether the mode allowed it then.
    pub may_write: bool,
}

/// A write that changed something.
#[derive(Clone, Debug, PartialEq)]
pub struct Effect {
    /// Of which plan.
    pub plan: Plan,
    /// Which write.
    pub what: What,
    /// When, in true time.
    pub at: Timestamp,
}

/// Everything about one schedule.
#[derive(Debug, Default)]
pub struct Record {
    /// The journal at the end.
    pub rows: Vec<Row>,
    /// Every action, as the journal's rows say at the end.
    pub actions: Vec<PastAction>,
    /// What the driver told, in order.
    pub events: Vec<DriverEvent>,
    /// Requests that change something, in order.
    pub calls: Vec<Call>,
    /// What changed something, in order.
    pub effects: Vec<Effect>,
    /// Whether some process's clock was ever set.
    pub is_clock_set: bool,
    /// When the switch was engaged with no person having resumed it since, as ranges of true time.
    pub stops: Vec<(Timestamp, Timestamp)>,
    /// Whether the journal's chain holds at the end.
    pub is_chain_whole: bool,
}
