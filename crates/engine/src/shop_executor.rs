//! The simulated shop as an executor: the demo and the closed-loop calibration act on it as `serve` acts on a cluster.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use homeostat_core::{Subject, Timestamp};
use homeostat_execute::{Applied, ApplyError, Executor, WriteOutcome};
use homeostat_journal::Journaled;
use homeostat_remediate::{
    Action, ActionName, Actions, InspectError, Inspected, Inverse, Known, PayloadError, Plan, PreviousRevision,
    Progress, Step,
};
use homeostat_simulate::{Shop, ShopProgress, ShopTrace, WriteError, Written};

/// A shop that several parts of the program look at: the loop advances it, the executor acts on it.
#[derive(Clone)]
pub(crate) struct SharedShop {
    shop: Arc<Mutex<Shop>>,
    actions: Actions,
}

/// What can be done to a shop.
const RESTART: &str = "rollout-restart";
const UNDO: &str = "rollout-undo";

impl SharedShop {
    /// Shares a shop.
    pub(crate) fn new(shop: Shop) -> Self {
        let can_play = |action: &&'static dyn Action| matches!(action.spec().name.as_str(), RESTART | UNDO);
        let actions = homeostat_execute::actions().iter().filter(can_play).collect();
        Self { shop: Arc::new(Mutex::new(shop)), actions }
    }

    /// The shop. A panic while it was held leaves simulated numbers behind, nothing worth a second panic.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Shop> {
        self.shop.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Executor for SharedShop {
    fn name(&self) -> &'static str {
        "shop"
    }

    fn actions(&self) -> &Actions {
        &self.actions
    }

    fn payload(&self, plan: &Plan) -> Result<String, PayloadError> {
        let marker = &plan.id;
        match plan.step.action.as_str() {
            RESTART => Ok(format!("restart marked {marker}")),
            UNDO => Ok(format!("roll back to revision {} marked {marker}", revision_of(&plan.step)?)),
            other => Err(PayloadError(format!("a shop doesn't know {other}"))),
        }
    }

    async fn inspect(&self, _: &ActionName, subject: &Subject, now: Timestamp) -> Result<Inspected, InspectError> {
        let shop = self.lock();
        let object = shop.inspect(subject).ok_or_else(|| InspectError::NotFound { subject: subject.clone() })?;
        Ok(Inspected {
            resource_version: object.resource_version,
            revision: Some(object.revision),
            revision_previous: Known::seen(
                object.revision_previous.map(|revision| PreviousRevision { revision, change: None }),
            ),
            replicas_wanted: object.replicas_wanted,
            replicas_available: object.replicas_available,
            rollout_in_progress: object.rollout_in_progress,
            ..Inspected::at_rest(object.uid, subject.kind, now)
        })
    }

    async fn outcome_of_write(&self, plan: &Plan) -> Result<WriteOutcome, InspectError> {
        let target = &plan.target;
        let trace = self.lock().trace(&target.subject, &target.uid, &target.resource_version, plan.id.as_str());
        Ok(match trace {
            ShopTrace::Written => WriteOutcome::AppliedByUs,
            ShopTrace::NotWritten => WriteOutcome::NotApplied,
            ShopTrace::ChangedByOther => WriteOutcome::ChangedByOther,
            ShopTrace::Gone => WriteOutcome::Gone,
        })
    }

    async fn apply(&self, plan: &Journaled, resource_version: &str) -> Result<Applied, ApplyError> {
        let plan = plan.plan();
        let target = &plan.target;
        let (uid, version, marker) = (&target.uid, resource_version, plan.id.as_str());
        let mut shop = self.lock();
        match plan.step.action.as_str() {
            RESTART => applied(shop.restart(&target.subject, uid, version, marker)),
            UNDO => {
                let to_revision =
                    revision_of(&plan.step).map_err(|error| ApplyError::Rejected { why: error.to_string() })?;
                applied(shop.undo_to(&target.subject, uid, version, to_revision, marker))
            }
            other => Err(ApplyError::Rejected { why: format!("a shop doesn't know {other}") }),
        }
    }

    async fn undo(&self, plan: &Journaled) -> Result<Applied, ApplyError> {
        let plan = plan.plan();
        let rejected = |why: &str| ApplyError::Rejected { why: why.to_owned() };
        let to_revision = match &plan.inverse {
            Inverse::Step(step) | Inverse::Temporary { step, .. } => {
                revision_of(step).map_err(|error| rejected(&error.to_string()))?
            }
            Inverse::Nothing | Inverse::Irreversible => return Err(rejected("the plan has no inverse to apply")),
        };
        let target = &plan.target;
        let mut shop = self.lock();
        let object = shop
            .inspect(&target.subject)
            .filter(|object| object.uid == target.uid && object.marker.as_deref() == Some(plan.id.as_str()))
            .ok_or_else(|| ApplyError::Stale { why: "it isn't as the action left it".to_owned() })?;
        let marker = format!("{}-undo", plan.id);
        applied(shop.undo_to(&target.subject, &target.uid, &object.resource_version, to_revision, &marker))
    }

    async fn progress(&self, plan: &Plan) -> Result<Progress, InspectError> {
        let progress = self.lock().progress(&plan.target.subject, &plan.target.uid, plan.id.as_str());
        Ok(match progress {
            ShopProgress::Rolling { updated_available, wanted } => Progress::Rolling { updated_available, wanted },
            ShopProgress::Complete { wanted } => Progress::Complete { wanted },
            ShopProgress::Stalled => Progress::Failed { why: "nothing has moved for ten minutes".to_owned() },
            ShopProgress::Overridden => Progress::Overridden,
            ShopProgress::Gone => Progress::Gone,
        })
    }
}

fn revision_of(step: &Step) -> Result<&str, PayloadError> {
    step.args.text("to_revision").ok_or_else(|| PayloadError("it names no revision".to_owned()))
}

fn applied(written: Result<Written, WriteError>) -> Result<Applied, ApplyError> {
    match written {
        Ok(written) => Ok(Applied { resource_version: written.resource_version, altered: None }),
        Err(error @ WriteError::Stale { .. }) => Err(ApplyError::Stale { why: error.to_string() }),
        Err(error @ (WriteError::NotFound(_) | WriteError::NoSuchRevision { .. })) => {
            Err(ApplyError::Rejected { why: error.to_string() })
        }
    }
}
