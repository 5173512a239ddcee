//! How many rows a cycle works on.

/// Rows that a cycle's windows hold. What wasn't answered is asked for again as far back, so that is how long an outage may last
/// and be caught up on; what is longer ago would be answered by newer rows.
pub(crate) const WINDOW_ROWS: usize = 64;
