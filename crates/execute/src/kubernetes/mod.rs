//! Acting on a Kubernetes cluster: on workloads and their pods, on what scales and configures them, and on nodes.
//!
//! Every call is one attempt with a time limit. The write carries its own preconditions and its own marker
//! (see [`crate::patch`]); whatever its answer leaves open is `ApplyError::Unknown`, to be settled by looking for the marker.
//!
//! Rights it needs in the namespaces of its targets: those of the actions in use. With `list` on `replicasets.apps`,
//! `horizontalpodautoscalers.autoscaling` and `poddisruptionbudgets.policy` it sees more, and it says so where it doesn't.
//!
//! It doesn't decide, retry, wait, or know about incidents.

mod acting;
mod api;
mod api_thread;
mod apply;
mod beside;
mod connect;
mod drain;
mod effect;
mod election;
mod error_chain;
mod git_change;
mod git_file;
mod helm;
mod inspect;
mod inspect_error;
mod marker;
mod object;
mod objects;
mod owner;
mod ownership;
mod patching;
mod pods;
mod quarantine;
mod read;
mod release;
mod removal;
mod revisions;
mod rollout;
mod workload;

#[cfg(test)]
mod testing;

pub use self::api_thread::ApiThread;
pub use self::connect::{ConnectSpec, NoConfig};
pub use self::election::{Election, ElectionSpec};
pub use self::owner::ACT_IN_PLACE;
pub use self::read::{ClusterReadError, ObjectChange, ObjectChanges};

use self::api::{ApiServer, CallError};

/// A cluster to act on, whether it answers or not.
#[derive(Clone)]
pub struct Cluster {
    api: ApiServer,
}

impl Cluster {
    /// Finds the cluster's address and credentials. The API server isn't asked: whoever detects can't wait for it, and one that is
    /// away now may be back when it's needed.
    pub async fn load(spec: &ConnectSpec) -> Result<Self, NoConfig> {
        Ok(Self { api: ApiServer::load(spec).await? })
    }

    /// Whether it answers now, and accepts our credentials; the error says why not.
    pub(crate) async fn check(&self) -> Result<(), String> {
        match self.api.version().await {
            // Not everybody may ask for the version, but whoever is told so is known.
            Ok(_) | Err(CallError::Answered { code: 403, .. }) => Ok(()),
            Err(CallError::Answered { code: 401, message, .. }) => {
                Err(format!("it doesn't accept the credentials ({message}); renew them or name another context"))
            }
            Err(error @ (CallError::Answered { .. } | CallError::NoAnswer { .. })) => Err(error.to_string()),
        }
    }
}
