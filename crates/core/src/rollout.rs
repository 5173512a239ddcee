//! A roll-out that was seen.

use serde::{Deserialize, Serialize};

use crate::subject::Subject;
use crate::timestamp::Timestamp;

/// A subject got a new pod template.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rollout {
    /// What was rolled out.
    pub subject: Subject,
    /// When it began.
    pub at: Timestamp,
    /// The new revision, as the cluster names it.
    pub revision: String,
    /// Whether homeostat itself caused it: its own restarts are no "recent deployment" to blame.
    pub by_us: bool,
}
