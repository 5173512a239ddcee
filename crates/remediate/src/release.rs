//! The Helm release that a workload is of, and its kept revisions.

use homeostat_core::Timestamp;

/// A Helm release. Its values and rendered manifests hold secrets, so they stay where they are: what is kept of them is a digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Its kept revisions, oldest first; at least one.
    pub revisions: Vec<ReleaseRevision>,
}

/// A revision of a Helm release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReleaseRevision {
    /// Its number, from 1.
    pub revision: u32,
    /// Helm's word for its phase: `deployed`, `superseded`, `failed`, `pending-upgrade` and so on.
    pub status: String,
    /// When Helm began to deploy it.
    pub deployed_at: Option<Timestamp>,
    /// What Helm says about it, such as `Upgrade complete` or `Rollback to 3`.
    pub description: String,
    /// SHA-256 of the rendered manifest: two revisions with the same one are the same to the cluster.
    pub manifest_digest: String,
    /// Whether its chart has hooks that run before or after a rollback to it.
    pub has_rollback_hooks: bool,
}

impl ReleaseRevision {
    /// Whether Helm is in the middle of something, or was ended in the middle of it.
    pub fn is_pending(&self) -> bool {
        self.status.starts_with("pending-") || self.status == "uninstalling"
    }
}
