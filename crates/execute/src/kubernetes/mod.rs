//! Acting on a Kubernetes cluster: rollouts of Deployments.
//!
//! Every call is one attempt with a time limit. The write carries its own preconditions and its own marker
//! (see [`crate::patch`]); whatever its answer leaves open is `ApplyError::Unknown`, to be settled by looking for the marker.
//!
//! Rights it needs in the namespaces of its targets: those of the actions in use. With `list` on `replicasets.apps`,
//! `horizontalpodautoscalers.autoscaling` and `poddisruptionbudgets.policy` it sees more, and it says so where it doesn't.
//!
//! It doesn't decide, retry, wait, or know about incidents.

mod api;
mod apply;
mod connect;
mod effect;
mod error_chain;
mod inspect;
mod marker;
mod owner;
mod ownership;
mod revisions;
mod roll_out;
mod rollout;
mod workload;

#[cfg(test)]
mod testing;

pub use self::connect::{ConnectError, ConnectSpec};
pub use self::owner::ACT_IN_PLACE;

use self::api::{ApiServer, CallError};

/// A cluster that answers.
#[derive(Clone)]
pub struct Cluster {
    api: ApiServer,
}

impl Cluster {
    /// Connects, and makes sure that an API server answers.
    pub async fn connect(spec: &ConnectSpec) -> Result<Self, ConnectError> {
        Ok(Self { api: ApiServer::connect(spec).await? })
    }

    /// Whether it answers now, and accepts our credentials; the error says why not.
    pub(crate) async fn check(&self) -> Result<(), String> {
        match self.api.version().await {
            // Not everybody may ask for the version, but whoever is told so is known.
            Ok(_) | Err(CallError::Answered { code: 403, .. }) => Ok(()),
            Err(error @ (CallError::Answered { .. } | CallError::NoAnswer { .. })) => Err(error.to_string()),
        }
    }
}
