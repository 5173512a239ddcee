//! Why a target couldn't be looked at.

use homeostat_core::Subject;

/// Why a target couldn't be looked at.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// There is no such object: refuse, a name that isn't there can't be acted on.
    #[error("{subject} isn't in the cluster")]
    NotFound {
        /// What was looked for.
        subject: Subject,
    },
    /// We aren't allowed to look: refuse, and tell the operator which right is missing.
    #[error(
        "not allowed to {verb} {resource} in namespace {namespace}: grant it (see `homeostat rbac`) or take the policy out"
    )]
    Forbidden {
        /// The missing verb.
        verb: String,
        /// The resource.
        resource: String,
        /// The namespace.
        namespace: String,
    },
    /// This executor doesn't know such objects: refuse.
    #[error("{subject}: this executor doesn't act on its kind")]
    Unsupported {
        /// What was asked about.
        subject: Subject,
    },
    /// There is nothing to look with: refuse, and tell the operator what to configure.
    #[error("{why}")]
    NotConfigured {
        /// What is missing.
        why: String,
    },
    /// Nobody looked, because other reasons speak against acting anyway.
    #[error("the target wasn't looked at: there are other reasons not to act")]
    NotAsked,
    /// It can't be reached or answers nonsense: refuse now, ask again in the next cycle.
    #[error("the cluster can't be asked: {why}")]
    Unavailable {
        /// The whole chain of causes.
        why: String,
    },
}
