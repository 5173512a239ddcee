//! The other half of an action: what it does to its target, at the places where actions act.

use async_trait::async_trait;
use homeostat_core::{Subject, Timestamp};
use homeostat_journal::Journaled;
use homeostat_remediate::{Action, Args, InspectError, Inspected, Plan, Progress, Step};
use serde_json::Value;

use crate::executor::{Applied, ApplyError, WriteOutcome};
use crate::places::Places;
use crate::sight::Sight;

/// The other half of an action: doing it. Each call is one attempt; an effect never decides and never retries by itself.
#[async_trait]
pub trait Effect: Action {
    /// Looks at the subject's object. `now` only stamps the answer.
    async fn inspect(&self, at: &Places, subject: &Subject, now: Timestamp) -> Result<Inspected, InspectError>;

    /// The same for what a policy says about how, where that names more objects to look at.
    async fn inspect_for(
        &self,
        at: &Places,
        subject: &Subject,
        _args: &Args,
        now: Timestamp,
    ) -> Result<Inspected, InspectError> {
        self.inspect(at, subject, now).await
    }

    /// Looks for the plan's marker on its target: what really happened to a half-done action (I6).
    async fn outcome_of_write(&self, at: &Places, plan: &Plan) -> Result<WriteOutcome, InspectError>;

    /// Asks whether the write would be accepted, as [`Executor::dry_run`](crate::Executor::dry_run) promises.
    async fn dry_run(&self, _at: &Places, _plan: &Plan) -> Result<(), ApplyError> {
        Ok(())
    }

    /// Does what the plan says, as [`Executor::apply`](crate::Executor::apply) promises.
    async fn apply(&self, at: &Places, plan: &Journaled, resource_version: &str) -> Result<Applied, ApplyError>;

    /// Does what is left of it, as [`Executor::go_on`](crate::Executor::go_on) promises.
    async fn go_on(&self, _at: &Places, _plan: &Journaled) -> Result<(), ApplyError> {
        Ok(())
    }

    /// Does the plan's inverse, which is a step of this action, as [`Executor::undo`](crate::Executor::undo) promises.
    async fn undo(&self, at: &Places, plan: &Journaled, inverse: &Step) -> Result<Applied, ApplyError>;

    /// How far what was applied has come.
    async fn progress(&self, at: &Places, plan: &Plan) -> Result<Progress, InspectError>;
}

/// An action on a Kubernetes cluster. What it does there is written once, for all of them.
pub trait ClusterAction: Action {
    /// What it wants to see beside the workload.
    fn sights(&self, _args: &Args) -> Vec<Sight> {
        Vec::new()
    }

    /// How it writes.
    fn write(&self) -> ClusterWrite;
}

/// How an action writes to a cluster.
#[derive(Clone, Copy, Debug)]
pub enum ClusterWrite {
    /// By one merge patch, of the workload or of the object that the step names.
    Patch {
        /// Whether the object is as the step leaves it.
        holds: fn(&Value, &Step) -> bool,
    },
    /// By evicting the pod that the step names, which its disruption budget may forbid (I20).
    Evict,
    /// By deleting the pod that the step names.
    Delete,
    /// By one merge patch of the node that the step names, and then by evicting its pods, some in each cycle.
    Drain {
        /// Whether the node is as the step leaves it.
        holds: fn(&Value, &Step) -> bool,
    },
    /// By taking its labels from the pod that the step names, and then making sure that a NetworkPolicy lets nothing through to what is so
    /// marked.
    Quarantine {
        /// Whether the pod is as the step leaves it.
        holds: fn(&Value, &Step) -> bool,
    },
    /// By letting Helm roll the workload's release back.
    HelmRollback,
    /// By a commit on a branch of a git remote.
    GitChange,
}

/// Without a cluster client there is nothing to act on.
#[cfg(not(feature = "kubernetes"))]
mod without_kubernetes {
    use super::{
        Applied, ApplyError, ClusterAction, Effect, InspectError, Inspected, Journaled, Places, Plan, Progress, Step,
        Subject, Timestamp, WriteOutcome, async_trait,
    };

    const WHY: &str = "this homeostat was built without Kubernetes";

    fn cannot_look<T>() -> Result<T, InspectError> {
        Err(InspectError::NotConfigured { why: WHY.to_owned() })
    }

    fn cannot_write() -> Result<Applied, ApplyError> {
        Err(ApplyError::Rejected { why: WHY.to_owned() })
    }

    #[async_trait]
    impl<A: ClusterAction> Effect for A {
        async fn inspect(&self, _: &Places, _: &Subject, _: Timestamp) -> Result<Inspected, InspectError> {
            cannot_look()
        }
        async fn outcome_of_write(&self, _: &Places, _: &Plan) -> Result<WriteOutcome, InspectError> {
            cannot_look()
        }
        async fn apply(&self, _: &Places, _: &Journaled, _: &str) -> Result<Applied, ApplyError> {
            cannot_write()
        }
        async fn undo(&self, _: &Places, _: &Journaled, _: &Step) -> Result<Applied, ApplyError> {
            cannot_write()
        }
        async fn progress(&self, _: &Places, _: &Plan) -> Result<Progress, InspectError> {
            cannot_look()
        }
    }
}
