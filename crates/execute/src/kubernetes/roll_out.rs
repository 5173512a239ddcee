//! What every rollout action does to a cluster: look, write, recognise the write, take it back.

use async_trait::async_trait;
use homeostat_core::{Subject, Timestamp};
use homeostat_journal::Journaled;
use homeostat_remediate::{InspectError, Inspected, PayloadError, Plan, Progress, Step};

use super::apply::{self, Write, send};
use super::{inspect, marker};
use crate::effect::{Effect, RollOut};
use crate::executor::{Applied, ApplyError, WriteOutcome};
use crate::patch;
use crate::places::Places;

/// A busy workload's status is written a few times a second; who meets two such writes in a row acts without having asked.
const DRY_RUNS_AGAIN: usize = 2;

#[async_trait]
impl<A: RollOut> Effect for A {
    async fn inspect(&self, at: &Places, subject: &Subject, now: Timestamp) -> Result<Inspected, InspectError> {
        inspect::inspect(&at.cluster()?.api, subject, now).await
    }

    async fn outcome_of_write(&self, at: &Places, plan: &Plan) -> Result<WriteOutcome, InspectError> {
        match inspect::deployment_of(&at.cluster()?.api, &plan.target.subject).await {
            Ok(workload) => Ok(inspect::outcome_of_write(&workload, plan)),
            Err(InspectError::NotFound { .. }) => Ok(WriteOutcome::Gone),
            Err(error) => Err(error),
        }
    }

    async fn dry_run(&self, at: &Places, plan: &Plan) -> Result<(), ApplyError> {
        let api = &at.cluster().map_err(no_cluster)?.api;
        let mut write = Write {
            plan,
            patch: self.payload(plan, &plan.step).map_err(unsendable)?,
            generation: plan.target.generation,
            is_in_effect: &|template| self.is_in_effect(template, &plan.step),
            is_dry_run: true,
            is_marked: &|deployment| marker::is_marked(deployment, &plan.id),
        };
        let mut answer = send(api, &write).await;
        // Admission isn't asked about a version that is past.
        for _ in 0..DRY_RUNS_AGAIN {
            let Err(ApplyError::Conflict { resource_version, .. }) = &answer else { break };
            write.patch = patch::at_version(&write.patch, resource_version).map_err(unsendable)?;
            answer = send(api, &write).await;
        }
        match answer {
            Ok(Applied { altered: Some(altered), .. }) => Err(ApplyError::Rejected {
                why: format!("{altered}; without it nobody could find out what became of the write"),
            }),
            Ok(Applied { altered: None, .. }) => Ok(()),
            Err(ApplyError::Rejected { why }) if apply::cannot_be_tried(&why) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn apply(&self, at: &Places, plan: &Journaled, resource_version: &str) -> Result<Applied, ApplyError> {
        let plan = plan.plan();
        let patch = self.payload(plan, &plan.step).and_then(|patch| {
            // The journaled text itself, byte by byte, where the version is the plan's own.
            if resource_version == plan.target.resource_version {
                Ok(patch)
            } else {
                patch::at_version(&patch, resource_version)
            }
        });
        let write = Write {
            plan,
            patch: patch.map_err(unsendable)?,
            generation: plan.target.generation,
            is_in_effect: &|template| self.is_in_effect(template, &plan.step),
            is_dry_run: false,
            is_marked: &|deployment| marker::is_marked(deployment, &plan.id),
        };
        send(&at.cluster().map_err(no_cluster)?.api, &write).await
    }

    async fn undo(&self, at: &Places, plan: &Journaled, inverse: &Step) -> Result<Applied, ApplyError> {
        let plan = plan.plan();
        let stale = |why: &str| ApplyError::Stale { why: why.to_owned() };
        let api = &at.cluster().map_err(no_cluster)?.api;
        let workload = match inspect::deployment_of(api, &plan.target.subject).await {
            Ok(workload) => workload,
            Err(InspectError::NotFound { .. }) => return Err(stale("it is gone")),
            // Nothing was sent: the next cycle tries again.
            Err(error) => return Err(ApplyError::NotNow { why: error.to_string() }),
        };
        let resource_version = workload.metadata.resource_version.clone().unwrap_or_default();
        if workload.metadata.uid.as_deref() != Some(plan.target.uid.as_str()) {
            return Err(stale("another object has its name"));
        }
        if marker::is_undone(&workload, &plan.id) && self.is_in_effect(workload.template(), inverse) {
            return Ok(Applied { resource_version, altered: None });
        }
        // Only what the action left is taken back: somebody who changed it since knew why (I16). The action and its inverse
        // may be of two kinds; what is left of the action is then its marker.
        let left_as_it_was = inverse.action != plan.step.action || self.is_in_effect(workload.template(), &plan.step);
        if !marker::is_marked(&workload, &plan.id) || !left_as_it_was {
            return Err(stale("it isn't as the action left it"));
        }
        let patch = self.payload(plan, inverse).and_then(|patch| patch::for_undo(&patch, plan, &resource_version));
        let write = Write {
            plan,
            patch: patch.map_err(unsendable)?,
            generation: workload.metadata.generation,
            is_in_effect: &|template| self.is_in_effect(template, inverse),
            is_dry_run: false,
            is_marked: &|deployment| marker::is_undone(deployment, &plan.id),
        };
        send(api, &write).await
    }

    async fn progress(&self, at: &Places, plan: &Plan) -> Result<Progress, InspectError> {
        match inspect::deployment_of(&at.cluster()?.api, &plan.target.subject).await {
            Ok(workload) => {
                let is_in_effect = self.is_in_effect(workload.template(), &plan.step);
                Ok(inspect::progress(&workload, plan, is_in_effect))
            }
            Err(InspectError::NotFound { .. }) => Ok(Progress::Gone),
            Err(error) => Err(error),
        }
    }
}

fn unsendable(error: PayloadError) -> ApplyError {
    ApplyError::Rejected { why: error.to_string() }
}

fn no_cluster(error: InspectError) -> ApplyError {
    ApplyError::Rejected { why: error.to_string() }
}

#[cfg(test)]
mod tests;
