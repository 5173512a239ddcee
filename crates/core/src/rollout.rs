//! A roll-out that was seen.

use serde::{Deserialize, Serialize};

use crate::subject::Subject;
use crate::timestamp::Timestamp;

/// A subject got a new pod template.
///
/// ```
/// use homeostat_core::{Rollout, Subject};
///
/// let text = r#"{"subject":"shop/deployment/cart","at":"2026-01-31T12:00:00Z","revision":"7","by_us":false}"#;
/// let rollout: Rollout = serde_json::from_str(text)?;
/// assert_eq!(rollout.subject, Subject::deployment("shop", "cart"));
/// assert!(!rollout.by_us, "it may be to blame");
/// assert_eq!(serde_json::to_string(&rollout)?, text);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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
