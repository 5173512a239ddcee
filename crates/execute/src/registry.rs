//! The executor that is the sum of the registered actions: each call goes to the action that the plan names.

use std::sync::Arc;

use async_trait::async_trait;
use homeostat_core::{Subject, Timestamp};
use homeostat_journal::Journaled;
use homeostat_remediate::{ActionName, Actions, Args, InspectError, Inspected, Inverse, PayloadError, Plan, Progress};

use crate::actions::{self, ACTIONS};
use crate::effect::Effect;
use crate::executor::{Applied, ApplyError, Executor, WriteOutcome};
use crate::fence::Fence;
use crate::places::Places;

/// Acts by the registered actions.
pub struct Registry {
    effects: &'static [&'static dyn Effect],
    actions: Actions,
    places: Places,
    fence: Option<Arc<Fence>>,
}

impl Registry {
    /// All actions, acting at these places.
    pub fn new(places: Places) -> Self {
        Self { effects: ACTIONS, actions: actions::actions(), places, fence: None }
    }

    /// Writes leave only while this fence is open (I9).
    #[must_use]
    pub fn behind(self, fence: Arc<Fence>) -> Self {
        Self { fence: Some(fence), ..self }
    }

    fn effect(&self, action: &ActionName) -> Option<&'static dyn Effect> {
        self.effects.iter().copied().find(|effect| &effect.spec().name == action)
    }

    fn looking(&self, action: &ActionName) -> Result<&'static dyn Effect, InspectError> {
        self.effect(action).ok_or_else(|| InspectError::NotConfigured { why: unknown(action) })
    }

    fn writing(&self, action: &ActionName) -> Result<&'static dyn Effect, ApplyError> {
        if let Some(fence) = &self.fence {
            fence.check().map_err(|why| ApplyError::NotNow { why: format!("this replica doesn't lead: {why}") })?;
        }
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

    async fn inspect_for(
        &self,
        action: &ActionName,
        subject: &Subject,
        args: &Args,
        now: Timestamp,
    ) -> Result<Inspected, InspectError> {
        self.looking(action)?.inspect_for(&self.places, subject, args, now).await
    }

    async fn outcome_of_write(&self, plan: &Plan) -> Result<WriteOutcome, InspectError> {
        self.looking(&plan.step.action)?.outcome_of_write(&self.places, plan).await
    }

    async fn dry_run(&self, plan: &Plan) -> Result<(), ApplyError> {
        self.writing(&plan.step.action)?.dry_run(&self.places, plan).await
    }

    async fn apply(&self, plan: &Journaled, resource_version: &str) -> Result<Applied, ApplyError> {
        self.writing(&plan.plan().step.action)?.apply(&self.places, plan, resource_version).await
    }

    async fn go_on(&self, plan: &Journaled) -> Result<(), ApplyError> {
        self.writing(&plan.plan().step.action)?.go_on(&self.places, plan).await
    }

    async fn undo(&self, plan: &Journaled) -> Result<Applied, ApplyError> {
        let rejected = |why: &str| ApplyError::Rejected { why: why.to_owned() };
        match &plan.plan().inverse {
            Inverse::Nothing => Err(rejected("it changed nothing that could be put back; the template is as it was")),
            Inverse::Irreversible => Err(rejected("the plan says that it can't be taken back")),
            Inverse::Step(step) | Inverse::Temporary { step, .. } => {
                self.writing(&step.action)?.undo(&self.places, plan, step).await
            }
        }
    }

    async fn progress(&self, plan: &Plan) -> Result<Progress, InspectError> {
        self.looking(&plan.step.action)?.progress(&self.places, plan).await
    }
}
