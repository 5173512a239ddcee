//! Whether what is measured and what would be acted on are in one cluster.

use serde::{Deserialize, Serialize};

/// Whether the datasource's object and the API server's are one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "same-cluster")]
pub enum SameCluster {
    /// They are, or there is but one.
    Proven,
    /// That isn't known, or they aren't.
    Unproven {
        /// What was found, and how to prove it.
        why: String,
    },
}
