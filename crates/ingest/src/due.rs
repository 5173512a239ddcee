//! What is to be asked for a moment.

use homeostat_core::Timestamp;

/// What is to be asked for a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// The newest row.
    pub at: Timestamp,
    /// The oldest row of each query, in order.
    pub from: Vec<Timestamp>,
}

impl Due {
    /// The oldest row of all.
    pub fn start(&self) -> Timestamp {
        self.from.iter().copied().min().unwrap_or(self.at)
    }
}
