//! How many rows a cycle works on.

/// Rows that a cycle's windows hold. A cycle that comes late catches up on as many; more would be answered by newer ones.
pub(crate) const WINDOW_ROWS: usize = 64;
/// Steps that each cycle asks for again: samples that came late fill the gaps they left.
pub(crate) const OVERLAP_STEPS: u32 = 3;
