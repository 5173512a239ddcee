//! What incident is that: the tracker, types, confidence, limits ahead and replicas.
//!
//! Start at [`Monitor::observe`]. Rows that `homeostat-detect` has scored come in; incidents that open, change and end go out.
//!
//! This crate is synchronous. It never sees a label, a clock, a socket, a file or Kubernetes.

mod alert_policy;
mod confidence;
mod exhaustion;
mod limits;
mod monitor;
mod replica_watch;
mod rule_watch;
#[cfg(test)]
mod testing;
mod tracker;
mod typing;

pub use alert_policy::AlertPolicy;
pub use confidence::{Calibration, LabelledOutcome, Verdicts};
pub use exhaustion::{Exhaustion, NotAResource, Outlook, Remaining};
pub use limits::LimitWatch;
pub use monitor::{Compared, JudgedRow, Monitor, Observed};
pub use rule_watch::{RulePoint, RuleWatch, WatchedRule};
pub use tracker::{ClusterContext, SOURCE_GAP_REACH, SubjectRow, Tracker, TrackerTimes};
pub use typing::{DEVIATING_MIN, TypingContext, incident_type, row_typing, sharpened};
