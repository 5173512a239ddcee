//! Scorecards and labelled outcomes; the only room that sees labels.
//!
//! What was said and done ([`IncidentChange`](homeostat_core::IncidentChange)s, [`ActionOutcome`]s) is held against what
//! really happened ([`FaultTruth`](homeostat_simulate::FaultTruth)s): [`Scorecard::of`] counts, [`outcomes`] gives the
//! labelled outcomes that confidence is calibrated from. [`match_incidents`] says which incident is due to which fault,
//! and both use it.
//!
//! Pure functions of their arguments. A figure made here is worth what its protocol is worth: quote both.

mod action_outcome;
mod incident_record;
mod labelled;
mod matching;
mod proportion;
mod scorecard;

pub use action_outcome::{ActionOutcome, Verification};
pub use incident_record::IncidentRecord;
pub use labelled::{LabelledOutcome, outcomes};
pub use matching::{AFTERMATH, Due, match_incidents};
pub use proportion::{Interval, Proportion, wilson_interval};
pub use scorecard::{Delays, FaultLine, Observed, Scorecard};
#[cfg(test)]
mod fixture;
