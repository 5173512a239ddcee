//! What can be done to a target.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::timestamp::Timestamp;

/// Kinds of action a policy can name.
///
/// ```
/// use homeostat_core::ActionKind;
///
/// assert_eq!(ActionKind::RolloutRestart.to_string(), "rollout-restart");
/// assert_eq!(serde_json::to_value(ActionKind::RolloutUndo)?, ActionKind::RolloutUndo.name());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ActionKind {
    /// Replace a workload's pods one by one, template unchanged.
    RolloutRestart,
    /// Go back to an earlier revision of the template.
    RolloutUndo,
}

impl ActionKind {
    /// Every kind.
    pub const ALL: [ActionKind; 2] = [Self::RolloutRestart, Self::RolloutUndo];

    /// The stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::RolloutRestart => "rollout-restart",
            Self::RolloutUndo => "rollout-undo",
        }
    }
}

impl fmt::Display for ActionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// An action with every value fixed, so that doing it again is doing the same.
///
/// ```
/// use homeostat_core::{Action, ActionKind, Timestamp};
///
/// let restart = Action::RolloutRestart { restarted_at: Timestamp::from_secs(0) };
/// assert_eq!(restart.kind(), ActionKind::RolloutRestart);
/// let written = serde_json::json!({ "action": "rollout-restart", "restarted_at": "1970-01-01T00:00:00Z" });
/// assert_eq!(serde_json::to_value(&restart)?, written);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "action")]
pub enum Action {
    /// Restart with exactly this value of the restart annotation: a second write changes nothing.
    RolloutRestart {
        /// The annotation's value.
        restarted_at: Timestamp,
    },
    /// Return to exactly this revision.
    RolloutUndo {
        /// The revision, as the cluster names it.
        to_revision: String,
    },
}

impl Action {
    /// Which kind it is.
    pub const fn kind(&self) -> ActionKind {
        match self {
            Self::RolloutRestart { .. } => ActionKind::RolloutRestart,
            Self::RolloutUndo { .. } => ActionKind::RolloutUndo,
        }
    }
}
