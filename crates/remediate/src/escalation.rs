//! A call for a human. Making it is the driver's business, delivering it the engine's.

pub use homeostat_core::Escalation;
