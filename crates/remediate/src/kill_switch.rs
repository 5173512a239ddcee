//! Whether automation is stopped, and by whom.

use serde::{Deserialize, Serialize};

/// Whether automation is stopped.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct KillSwitch {
    /// Whether it is.
    pub engaged: bool,
    /// Who stopped or resumed it, and why.
    pub why: String,
}
