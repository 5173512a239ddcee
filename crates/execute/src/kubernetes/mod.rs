//! Acting on a Kubernetes cluster: restarting Deployments.
//!
//! Every call is one attempt with a time limit. The write carries its own preconditions and its own marker
//! (see [`restart`]); whatever its answer leaves open is [`ApplyError::Unknown`], to be settled by [`Executor::outcome_of_write`].
//!
//! Rights it needs in the namespaces of its targets: `get` and `patch` on `deployments.apps`. With `list` on `replicasets.apps`,
//! `horizontalpodautoscalers.autoscaling` and `poddisruptionbudgets.policy` it sees more, and it says so where it doesn't.
//!
//! It doesn't decide, retry, wait, or know about incidents, and it can't return to an earlier revision yet.

mod api;
mod apply;
mod connect;
mod effect;
mod inspect;
mod owner;
mod ownership;
mod restart;
mod rollout;

#[cfg(test)]
mod testing;

use async_trait::async_trait;
use homeostat_core::{ActionKind, Inverse, Plan, Subject, Timestamp};
use homeostat_journal::Journaled;
use homeostat_remediate::{InspectError, Inspected, Progress};

pub use self::connect::{ConnectError, ConnectSpec};
pub use self::owner::ACT_IN_PLACE;
pub use self::restart::{ACTION_ID, CORRELATION_ID, RESTARTED_AT};

use self::api::{ApiServer, CallError};
use crate::executor::{Applied, ApplyError, Executor, WriteOutcome};

/// Restarts Deployments.
#[derive(Clone)]
pub struct KubernetesExecutor {
    api: ApiServer,
}

impl KubernetesExecutor {
    /// Connects, and makes sure that an API server answers.
    pub async fn connect(spec: &ConnectSpec) -> Result<Self, ConnectError> {
        Ok(Self { api: connect::connect(spec).await? })
    }

    /// Whether it can do this kind of action, as a config check asks before anything is connected.
    pub const fn can_do(kind: ActionKind) -> bool {
        match kind {
            ActionKind::RolloutRestart => true,
            ActionKind::RolloutUndo => false,
        }
    }
}

#[async_trait]
impl Executor for KubernetesExecutor {
    fn name(&self) -> &'static str {
        "kubernetes"
    }

    fn supports(&self, kind: ActionKind) -> bool {
        Self::can_do(kind)
    }

    /// The merge patch; empty for a plan that [`Executor::apply`] rejects without sending anything.
    fn payload(&self, plan: &Plan) -> String {
        restart::patch_of(plan).unwrap_or_default()
    }

    async fn check(&self) -> Result<(), String> {
        match self.api.version().await {
            // Not everybody may ask for the version, but whoever is told so is known.
            Ok(_) | Err(CallError::Answered { code: 403, .. }) => Ok(()),
            Err(error @ (CallError::Answered { .. } | CallError::NoAnswer { .. })) => Err(error.to_string()),
        }
    }

    async fn inspect(&self, subject: &Subject, now: Timestamp) -> Result<Inspected, InspectError> {
        inspect::inspect(&self.api, subject, now).await
    }

    async fn outcome_of_write(&self, plan: &Plan) -> Result<WriteOutcome, InspectError> {
        match inspect::deployment_of(&self.api, &plan.target.subject).await {
            Ok(deployment) => Ok(inspect::outcome_of_write(&deployment, plan)),
            Err(InspectError::NotFound { .. }) => Ok(WriteOutcome::Gone),
            Err(error) => Err(error),
        }
    }

    async fn apply(&self, plan: &Journaled, resource_version: &str) -> Result<Applied, ApplyError> {
        apply::apply(&self.api, plan.plan(), resource_version).await
    }

    /// Always [`ApplyError::Rejected`], with the reason: a restart leaves nothing to put back.
    async fn undo(&self, plan: &Journaled) -> Result<Applied, ApplyError> {
        let why = match &plan.plan().inverse {
            Inverse::NothingToUndo => {
                "a restart changed nothing that could be put back; the template is as it was".to_owned()
            }
            Inverse::RolloutUndo { to_revision } => format!(
                "this executor can't go back to revision {to_revision} yet; use \
                 `kubectl rollout undo --to-revision={to_revision}`"
            ),
            Inverse::Irreversible => "the plan says that it can't be taken back".to_owned(),
        };
        Err(ApplyError::Rejected { why })
    }

    async fn progress(&self, plan: &Plan) -> Result<Progress, InspectError> {
        match inspect::deployment_of(&self.api, &plan.target.subject).await {
            Ok(deployment) => Ok(inspect::progress(&deployment, plan)),
            Err(InspectError::NotFound { .. }) => Ok(Progress::Gone),
            Err(error) => Err(error),
        }
    }
}
