//! The simulated shop as an executor: the demo and the closed-loop calibration act on it as `serve` acts on a cluster.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use homeostat_core::{Action, ActionKind, Inverse, Plan, Subject, Timestamp};
use homeostat_execute::{Applied, ApplyError, Executor, WriteOutcome};
use homeostat_journal::Journaled;
use homeostat_remediate::{Disruption, InspectError, Inspected, Progress};
use homeostat_simulate::{Shop, ShopProgress, ShopTrace, WriteError, Written};

/// A shop that several parts of the program look at: the loop advances it, the executor acts on it.
#[derive(Clone)]
pub(crate) struct SharedShop(Arc<Mutex<Shop>>);

impl SharedShop {
    /// Shares a shop.
    pub(crate) fn new(shop: Shop) -> Self {
        Self(Arc::new(Mutex::new(shop)))
    }

    /// The shop. A panic while it was held leaves simulated numbers behind, nothing worth a second panic.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Shop> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Executor for SharedShop {
    fn name(&self) -> &'static str {
        "shop"
    }

    fn supports(&self, kind: ActionKind) -> bool {
        match kind {
            ActionKind::RolloutRestart | ActionKind::RolloutUndo => true,
        }
    }

    fn payload(&self, plan: &Plan) -> String {
        let marker = &plan.id;
        match &plan.action {
            Action::RolloutRestart { restarted_at } => format!("restart at {restarted_at} marked {marker}"),
            Action::RolloutUndo { to_revision } => format!("roll back to revision {to_revision} marked {marker}"),
        }
    }

    async fn inspect(&self, subject: &Subject, now: Timestamp) -> Result<Inspected, InspectError> {
        let shop = self.lock();
        let object = shop.inspect(subject).ok_or_else(|| InspectError::NotFound { subject: subject.clone() })?;
        Ok(Inspected {
            uid: object.uid,
            resource_version: object.resource_version,
            generation: None,
            kind: subject.kind,
            created_at: None,
            seen_at: now,
            revision: Some(object.revision),
            revision_previous: object.revision_previous,
            replicas_wanted: object.replicas_wanted,
            replicas_available: object.replicas_available,
            rollout_in_progress: object.rollout_in_progress,
            rollout_failed: None,
            paused: false,
            autoscaler: None,
            owner: None,
            marker: None,
            disruption: Disruption::default(),
            has_persistent_volume: false,
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
        let written = match &plan.action {
            Action::RolloutRestart { .. } => shop.restart(&target.subject, uid, version, marker),
            Action::RolloutUndo { to_revision } => shop.undo_to(&target.subject, uid, version, to_revision, marker),
        };
        applied(written)
    }

    async fn undo(&self, plan: &Journaled) -> Result<Applied, ApplyError> {
        let plan = plan.plan();
        let Inverse::RolloutUndo { to_revision } = &plan.inverse else {
            return Err(ApplyError::Rejected { why: "the plan has no inverse to apply".to_owned() });
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

fn applied(written: Result<Written, WriteError>) -> Result<Applied, ApplyError> {
    match written {
        Ok(written) => Ok(Applied { resource_version: written.resource_version, altered: None }),
        Err(error @ WriteError::Stale { .. }) => Err(ApplyError::Stale { why: error.to_string() }),
        Err(error @ (WriteError::NotFound(_) | WriteError::NoSuchRevision { .. })) => {
            Err(ApplyError::Rejected { why: error.to_string() })
        }
    }
}
