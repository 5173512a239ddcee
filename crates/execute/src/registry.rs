//! The executor that is the sum of the registered actions: each call goes to the action that the plan names.

use async_trait::async_trait;
use homeostat_core::{Subject, Timestamp};
use homeostat_journal::Journaled;
use homeostat_remediate::{
    Action, ActionName, Actions, InspectError, Inspected, Inverse, PayloadError, Plan, Progress, Step,
};
use serde_json::Value;

use crate::actions::{self, ACTIONS};
use crate::executor::{Applied, ApplyError, Executor, WriteOutcome};
#[cfg(feature = "kubernetes")]
use crate::kubernetes::Cluster;

/// The other half of an action: doing it. Each call is one attempt; an effect never decides and never retries by itself.
#[async_trait]
pub trait Effect: Action {
    /// Looks at the subject's object. `now` only stamps the answer.
    async fn inspect(&self, at: &Places, subject: &Subject, now: Timestamp) -> Result<Inspected, InspectError>;

    /// Looks for the plan's marker on its target: what really happened to a half-done action (I6).
    async fn outcome_of_write(&self, at: &Places, plan: &Plan) -> Result<WriteOutcome, InspectError>;

    /// Does what the plan says, as [`Executor::apply`] promises.
    async fn apply(&self, at: &Places, plan: &Journaled, resource_version: &str) -> Result<Applied, ApplyError>;

    /// Does the plan's inverse, which is a step of this action, as [`Executor::undo`] promises.
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

/// Where actions act. What isn't there, nothing is done to.
#[derive(Clone, Default)]
pub struct Places {
    #[cfg(feature = "kubernetes")]
    cluster: Option<Cluster>,
}

impl Places {
    /// With this cluster.
    #[cfg(feature = "kubernetes")]
    #[must_use]
    pub fn with_cluster(self, cluster: Cluster) -> Self {
        Self { cluster: Some(cluster) }
    }

    /// The cluster, if there is one.
    #[cfg(feature = "kubernetes")]
    pub(crate) fn cluster(&self) -> Result<&Cluster, InspectError> {
        let why = || InspectError::NotConfigured { why: "no Kubernetes cluster is configured".to_owned() };
        self.cluster.as_ref().ok_or_else(why)
    }
}

/// Acts by the registered actions.
pub struct Registry {
    effects: &'static [&'static dyn Effect],
    actions: Actions,
    places: Places,
}

impl Registry {
    /// All actions, acting at these places.
    pub fn new(places: Places) -> Self {
        Self { effects: ACTIONS, actions: actions::actions(), places }
    }

    fn effect(&self, action: &ActionName) -> Option<&'static dyn Effect> {
        self.effects.iter().copied().find(|effect| &effect.spec().name == action)
    }

    fn looking(&self, action: &ActionName) -> Result<&'static dyn Effect, InspectError> {
        self.effect(action).ok_or_else(|| InspectError::NotConfigured { why: unknown(action) })
    }

    fn writing(&self, action: &ActionName) -> Result<&'static dyn Effect, ApplyError> {
        self.effect(action).ok_or_else(|| ApplyError::Rejected { why: unknown(action) })
    }
}

/// A journal may name an action of another build.
fn unknown(action: &ActionName) -> String {
    format!("this build of homeostat has no action {action}")
}

#[async_trait]
impl Executor for Registry {
    fn name(&self) -> &'static str {
        "kubernetes"
    }

    fn actions(&self) -> &Actions {
        &self.actions
    }

    fn payload(&self, plan: &Plan) -> Result<String, PayloadError> {
        let action = self.actions.get(&plan.step.action);
        action.ok_or_else(|| PayloadError(unknown(&plan.step.action)))?.payload(plan, &plan.step)
    }

    async fn check(&self) -> Result<(), String> {
        #[cfg(feature = "kubernetes")]
        if let Ok(cluster) = self.places.cluster() {
            return cluster.check().await;
        }
        Ok(())
    }

    async fn inspect(&self, action: &ActionName, subject: &Subject, now: Timestamp) -> Result<Inspected, InspectError> {
        self.looking(action)?.inspect(&self.places, subject, now).await
    }

    async fn outcome_of_write(&self, plan: &Plan) -> Result<WriteOutcome, InspectError> {
        self.looking(&plan.step.action)?.outcome_of_write(&self.places, plan).await
    }

    async fn apply(&self, plan: &Journaled, resource_version: &str) -> Result<Applied, ApplyError> {
        self.writing(&plan.plan().step.action)?.apply(&self.places, plan, resource_version).await
    }

    async fn undo(&self, plan: &Journaled) -> Result<Applied, ApplyError> {
        let rejected = |why: &str| ApplyError::Rejected { why: why.to_owned() };
        match &plan.plan().inverse {
            Inverse::Nothing => Err(rejected("it changed nothing that could be put back; the template is as it was")),
            Inverse::Irreversible => Err(rejected("the plan says that it can't be taken back")),
            Inverse::Step(step) => self.writing(&step.action)?.undo(&self.places, plan, step).await,
        }
    }

    async fn progress(&self, plan: &Plan) -> Result<Progress, InspectError> {
        self.looking(&plan.step.action)?.progress(&self.places, plan).await
    }
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
