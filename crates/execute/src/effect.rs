//! The other half of an action: what it does to its target, at the places where actions act.

use async_trait::async_trait;
use homeostat_core::{Subject, Timestamp};
use homeostat_journal::Journaled;
use homeostat_remediate::{Action, InspectError, Inspected, Plan, Progress, Step};
use serde_json::Value;

use crate::executor::{Applied, ApplyError, WriteOutcome};
use crate::places::Places;

/// The other half of an action: doing it. Each call is one attempt; an effect never decides and never retries by itself.
#[async_trait]
pub trait Effect: Action {
    /// Looks at the subject's object. `now` only stamps the answer.
    async fn inspect(&self, at: &Places, subject: &Subject, now: Timestamp) -> Result<Inspected, InspectError>;

    /// Looks for the plan's marker on its target: what really happened to a half-done action (I6).
    async fn outcome_of_write(&self, at: &Places, plan: &Plan) -> Result<WriteOutcome, InspectError>;

    /// Asks whether the write would be accepted, as [`Executor::dry_run`](crate::Executor::dry_run) promises.
    async fn dry_run(&self, _at: &Places, _plan: &Plan) -> Result<(), ApplyError> {
        Ok(())
    }

    /// Does what the plan says, as [`Executor::apply`](crate::Executor::apply) promises.
    async fn apply(&self, at: &Places, plan: &Journaled, resource_version: &str) -> Result<Applied, ApplyError>;

    /// Does the plan's inverse, which is a step of this action, as [`Executor::undo`](crate::Executor::undo) promises.
    async fn undo(&self, at: &Places, plan: &Journaled, inverse: &Step) -> Result<Applied, ApplyError>;

    /// How far what was applied has come.
    async fn progress(&self, at: &Places, plan: &Plan) -> Result<Progress, InspectError>;
}

/// An action whose effect is a rollout of a workload's pod template. What it does to a cluster is written once, for all of
/// them.
pub trait RollOut: Action {
    /// Whether the pod template is as the step leaves it.
    fn is_in_effect(&self, template: &Value, step: &Step) -> bool;
}

/// Without a cluster client a rollout has nothing to act on.
#[cfg(not(feature = "kubernetes"))]
mod without_kubernetes {
    use super::{
        Applied, ApplyError, Effect, InspectError, Inspected, Journaled, Places, Plan, Progress, RollOut, Step,
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
    impl<A: RollOut> Effect for A {
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
