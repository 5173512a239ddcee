//! How often a policy may act, on all its workloads together.

use std::time::Duration;

/// Actions of one policy on all its workloads together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ActionBudget {
    /// So many at most.
    pub max: u32,
    /// In any window of this length.
    pub window: Duration,
}
