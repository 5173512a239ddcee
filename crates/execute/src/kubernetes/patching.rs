//! What every action that writes by a merge patch does to a cluster: write, recognise the write, take it back.

use homeostat_remediate::{InspectError, ObjectRef, PayloadError, Plan, Progress, Recovery, Step};
use serde_json::Value;

use super::api::{ApiServer, CallError, Place};
use super::apply::{self, Write, send};
use super::inspect_error::inspect_error;
use super::{inspect, marker, object, rollout};
use crate::effect::ClusterAction;
use crate::executor::{Applied, ApplyError, WriteOutcome};
use crate::patch;

/// Whether an object is as a step leaves it.
pub(super) type Holds = fn(&Value, &Step) -> bool;

/// A busy workload's status is written a few times a second; who meets two such writes in a row acts without having asked.
const DRY_RUNS_AGAIN: usize = 2;

/// What became of the plan's write.
pub(super) async fn outcome_of_write(api: &ApiServer, plan: &Plan) -> Result<WriteOutcome, InspectError> {
    let written = written(plan, &plan.step)?;
    match read(api, plan, &written).await? {
        Some(object) => Ok(inspect::outcome_of_write(&object, &written, plan)),
        None => Ok(WriteOutcome::Gone),
    }
}

/// Whether the plan's write would be accepted.
pub(super) async fn dry_run<A: ClusterAction + ?Sized>(
    action: &A,
    holds: Holds,
    api: &ApiServer,
    plan: &Plan,
) -> Result<(), ApplyError> {
    let object = patch::written_by(plan, &plan.step).map_err(unsendable)?;
    let mut write = Write {
        plan,
        object: &object,
        patch: action.payload(plan, &plan.step).map_err(unsendable)?,
        version: object.resource_version.clone(),
        generation: plan.target.generation,
        is_in_effect: &|object| holds(object, &plan.step),
        is_dry_run: true,
        is_marked: &|metadata| marker::is_marked(metadata, &plan.id),
    };
    let mut answer = send(api, &write).await;
    // Admission isn't asked about a version that is past.
    for _ in 0..DRY_RUNS_AGAIN {
        let Err(ApplyError::Conflict { resource_version, .. }) = &answer else { break };
        write.patch = patch::at_version(&write.patch, resource_version).map_err(unsendable)?;
        write.version.clone_from(resource_version);
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

/// Writes once, at this version of the object, which is the plan's own at first.
pub(super) async fn apply<A: ClusterAction + ?Sized>(
    action: &A,
    holds: Holds,
    api: &ApiServer,
    plan: &Plan,
    resource_version: &str,
) -> Result<Applied, ApplyError> {
    let object = patch::written_by(plan, &plan.step).map_err(unsendable)?;
    let is_first = resource_version == plan.target.resource_version;
    let version = if is_first { object.resource_version.clone() } else { resource_version.to_owned() };
    let patch = action.payload(plan, &plan.step).and_then(|patch| {
        // The journaled text itself, byte by byte, where the version is the plan's own.
        if is_first { Ok(patch) } else { patch::at_version(&patch, resource_version) }
    });
    let write = Write {
        plan,
        object: &object,
        patch: patch.map_err(unsendable)?,
        version,
        generation: plan.target.generation,
        is_in_effect: &|object| holds(object, &plan.step),
        is_dry_run: false,
        is_marked: &|metadata| marker::is_marked(metadata, &plan.id),
    };
    send(api, &write).await
}

/// Takes the plan's write back, only while the object is as the plan left it.
pub(super) async fn undo<A: ClusterAction + ?Sized>(
    action: &A,
    holds: Holds,
    api: &ApiServer,
    plan: &Plan,
    inverse: &Step,
) -> Result<Applied, ApplyError> {
    let stale = |why: &str| ApplyError::Stale { why: why.to_owned() };
    let written = patch::written_by(plan, inverse).map_err(unsendable)?;
    let object = match read(api, plan, &written).await {
        Ok(Some(object)) => object,
        Ok(None) => return Err(stale("it is gone")),
        // Nothing was sent: the next cycle tries again.
        Err(error) => return Err(ApplyError::NotNow { why: error.to_string() }),
    };
    let metadata = object::metadata(&object);
    if metadata.uid.as_deref() != Some(written.uid.as_str()) {
        return Err(stale("another object has its name"));
    }
    let resource_version = metadata.resource_version.clone().unwrap_or_default();
    if marker::is_undone(&metadata, &plan.id) && holds(&object, inverse) {
        return Ok(Applied { resource_version, altered: None });
    }
    // Only what the action left is taken back: somebody who changed it since knew why (I16). The action and its inverse
    // may be of two kinds; what is left of the action is then its marker.
    let left_as_it_was = inverse.action != plan.step.action || holds(&object, &plan.step);
    if !marker::is_marked(&metadata, &plan.id) || !left_as_it_was {
        return Err(stale("it isn't as the action left it"));
    }
    let patch = action.payload(plan, inverse).and_then(|patch| patch::for_undo(&patch, plan, &resource_version));
    let current = ObjectRef::of(written.kind, &object).ok_or_else(|| stale("it has no version"))?;
    let write = Write {
        plan,
        object: &current,
        patch: patch.map_err(unsendable)?,
        version: resource_version.clone(),
        generation: metadata.generation,
        is_in_effect: &|object| holds(object, inverse),
        is_dry_run: false,
        is_marked: &|metadata| marker::is_undone(metadata, &plan.id),
    };
    send(api, &write).await
}

/// How far what was written has come.
pub(super) async fn progress<A: ClusterAction + ?Sized>(
    action: &A,
    holds: Holds,
    api: &ApiServer,
    plan: &Plan,
) -> Result<Progress, InspectError> {
    let subject = &plan.target.subject;
    let workload = match inspect::workload_of(api, subject).await {
        Ok(workload) => workload,
        Err(InspectError::NotFound { .. }) => return Ok(Progress::Gone),
        Err(error) => return Err(error),
    };
    let written = written(plan, &plan.step)?;
    let object = if written.uid == plan.target.uid {
        Some(workload.object().clone())
    } else {
        read(api, plan, &written).await?
    };
    let Some(object) = object.filter(|object| object["metadata"]["uid"] == written.uid) else {
        return Ok(Progress::Gone);
    };
    let progress = inspect::progress(&workload, plan, holds(&object, &plan.step));
    let is_rolling_out = action.spec().recovery == Recovery::RollOut;
    let wanted = rollout::replicas_wanted(&workload);
    Ok(match progress {
        // An autoscaler follows its new minimum within its own time.
        Progress::Complete { wanted } if action.replicas_after(&plan.step).is_some_and(|after| after > wanted) => {
            Progress::Rolling { updated_available: wanted, wanted: action.replicas_after(&plan.step).unwrap_or(wanted) }
        }
        Progress::Rolling { .. } | Progress::Failed { .. } if !is_rolling_out => Progress::Complete { wanted },
        progress => progress,
    })
}

/// The object that the step writes, as it is now.
async fn read(api: &ApiServer, plan: &Plan, written: &ObjectRef) -> Result<Option<Value>, InspectError> {
    let subject = &plan.target.subject;
    inspect::check_subject(subject)?;
    if !object::is_name(&written.name) {
        return Ok(None);
    }
    let place = Place { kind: written.kind, namespace: &subject.namespace, name: &written.name };
    match api.object(&place).await {
        Ok(object) => Ok(Some(object)),
        Err(CallError::Answered { code: 404, .. }) => Ok(None),
        Err(error @ (CallError::Answered { .. } | CallError::NoAnswer { .. })) => {
            Err(inspect_error(error, subject, "get", &object::resource_name(written.kind)))
        }
    }
}

fn written(plan: &Plan, step: &Step) -> Result<ObjectRef, InspectError> {
    patch::written_by(plan, step).map_err(|error| InspectError::NotConfigured { why: error.to_string() })
}

pub(super) fn unsendable(error: PayloadError) -> ApplyError {
    ApplyError::Rejected { why: error.to_string() }
}

#[cfg(test)]
mod tests;
