//! How far the roll-out of an applied plan has come.

/// How far a roll-out has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Still replacing pods.
    Rolling {
        /// New pods available.
        updated_available: u32,
        /// Pods wanted.
        wanted: u32,
    },
    /// All replicas are new and available.
    Complete {
        /// Pods wanted, which all are available.
        wanted: u32,
    },
    /// The cluster gave up on it.
    Failed {
        /// The cluster's reason.
        why: String,
    },
    /// Somebody overwrote what we wrote.
    Overridden,
    /// The object is gone, or another object has its name.
    Gone,
}
