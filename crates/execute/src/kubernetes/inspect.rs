//! From the API server's answers to [`Inspected`], [`WriteOutcome`] and [`Progress`].

use homeostat_core::{Subject, Timestamp};
use homeostat_remediate::{Autoscaler, InspectError, Inspected, Known, ObjectKind, ObjectRef, Plan, Progress};
use k8s_openapi::api::apps::v1::{ControllerRevision, ReplicaSet};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::Api;
use kube::api::ListParams;
use kube::core::{ApiResource, DynamicObject, Selector};
use serde_json::Value;

use super::api::{ApiServer, CallError, Place};
use super::inspect_error::{inspect_error, visible};
use super::workload::{Typed, Workload};
use super::{beside, effect, git_file, marker, object, owner, ownership, pods, release, revisions, rollout};
use crate::executor::WriteOutcome;
use crate::sight::Sight;

/// Namespaces are DNS labels (RFC 1123).
const NAMESPACE_BYTES_MAX: usize = 63;

/// What a KEDA ScaledObject's controller is called in the owner references of the autoscaler that it keeps.
const SCALED_OBJECT: &str = "ScaledObject";

/// Refuses what isn't a workload of a cluster, or can't be the name of one.
///
/// Names come from metric labels: one with a `/` or `..` in it would lead the request to another object (I10).
pub(super) fn check_subject(subject: &Subject) -> Result<ObjectKind, InspectError> {
    let Some(kind) = ObjectKind::of(subject.kind) else {
        return Err(InspectError::Unsupported { subject: subject.clone() });
    };
    if object::is_dns(&subject.namespace, NAMESPACE_BYTES_MAX, false) && object::is_name(&subject.name) {
        Ok(kind)
    } else {
        // No object can have such a name.
        Err(InspectError::NotFound { subject: subject.clone() })
    }
}

/// Reads the subject's workload.
pub(super) async fn workload_of(api: &ApiServer, subject: &Subject) -> Result<Workload, InspectError> {
    let kind = check_subject(subject)?;
    let place = Place { kind, namespace: &subject.namespace, name: &subject.name };
    let read = api.object(&place).await.and_then(|object| {
        let wrong = |error| CallError::NoAnswer { why: format!("the answer isn't a {}: {error}", kind.name()) };
        Workload::read(subject.kind, object).map_err(wrong)
    });
    read.map_err(|error| inspect_error(error, subject, "get", &object::resource_name(kind)))
}

/// Looks at everything that guardrails want to know of a workload, and at what the action wants to see beside it.
pub(super) async fn inspect(
    api: &ApiServer,
    subject: &Subject,
    sights: &[Sight],
    now: Timestamp,
) -> Result<Inspected, InspectError> {
    let workload = workload_of(api, subject).await?;
    let metadata = &workload.metadata;
    if metadata.deletion_timestamp.is_some() {
        return Err(InspectError::NotFound { subject: subject.clone() });
    }
    let (Some(uid), Some(resource_version)) = (metadata.uid.clone(), metadata.resource_version.clone()) else {
        return Err(InspectError::Unavailable {
            why: format!("{subject}: the answer names no UID or no resourceVersion"),
        });
    };
    let looks_at_release = sights.contains(&Sight::HelmRelease);
    // At once: on a slow API server one after the other would take three times as long.
    let (revisions, autoscaler, budgets, quotas, mut others, release, git_file) = tokio::try_join!(
        kept_revisions(api, subject, &workload),
        autoscaler(api, subject, sights.contains(&Sight::ScaledObject)),
        budgets(api, subject),
        beside::quotas(api, subject, sights.contains(&Sight::Quotas)),
        beside::objects(api, subject, sights),
        release::release(api, subject, workload.object(), looks_at_release),
        async { Ok(git_file::file(sights).await) },
    )?;
    // Whose pods are whose is known by the revisions.
    let pods = pods::pods(api, subject, &workload, &revisions, sights.contains(&Sight::Pods)).await?;
    if sights.contains(&Sight::PodsOfNodes) {
        others.extend(beside::pods_of_nodes(api, subject, &pods).await?);
    }
    Ok(Inspected {
        uid,
        resource_version,
        generation: metadata.generation,
        kind: subject.kind,
        created_at: metadata.creation_timestamp.as_ref().map(|time| Timestamp::from_millis(time.0.as_millisecond())),
        seen_at: now,
        revision: current_revision(&workload, &revisions),
        revision_previous: revisions.and_then(|revisions| revisions::previous(&workload, revisions)),
        replicas_wanted: rollout::replicas_wanted(&workload),
        replicas_available: rollout::replicas_available(&workload),
        rollout_in_progress: rollout::is_in_progress(&workload),
        rollout_failed: rollout::failure(&workload),
        paused: workload.is_paused(),
        autoscaler,
        owner: owner::owner(metadata),
        marker: marker::marker(metadata),
        disruption: effect::disruption(&workload, &budgets),
        has_persistent_volume: ownership::has_persistent_volume(&workload),
        manifest: workload.object().clone(),
        pods,
        quotas,
        release,
        git_file,
        others,
    })
}

fn current_revision(workload: &Workload, revisions: &Known<Vec<DynamicObject>>) -> Option<String> {
    let none = Vec::new();
    let revision = revisions::revision(workload, revisions.value().unwrap_or(&none));
    revision.map(|revision| revision.to_string())
}

/// The objects in which earlier templates are kept. Without the right to look there may be some: nobody can propose to go back to
/// one, and a restart doesn't need to.
async fn kept_revisions(
    api: &ApiServer,
    subject: &Subject,
    workload: &Workload,
) -> Result<Known<Vec<DynamicObject>>, InspectError> {
    let selector = Selector::try_from(workload.selector()).map_err(|error| InspectError::Unavailable {
        why: format!("{subject}: its selector can't be read: {error}"),
    })?;
    let (resource, name) = match &workload.typed {
        Typed::Deployment(_) => (ApiResource::erase::<ReplicaSet>(&()), "replicasets.apps"),
        Typed::StatefulSet(_) | Typed::DaemonSet(_) => {
            (ApiResource::erase::<ControllerRevision>(&()), "controllerrevisions.apps")
        }
    };
    let listed = api
        .list(
            // With every field of their templates, also those that our types don't know.
            |client| Api::<DynamicObject>::namespaced_with(client, &subject.namespace, &resource),
            ListParams::default().labels_from(&selector),
        )
        .await;
    visible(listed, subject, name)
}

async fn autoscaler(
    api: &ApiServer,
    subject: &Subject,
    look_for_lever: bool,
) -> Result<Known<Autoscaler>, InspectError> {
    let listed = api
        .list(|client| Api::<HorizontalPodAutoscaler>::namespaced(client, &subject.namespace), ListParams::default())
        .await;
    let autoscalers = match visible(listed, subject, "horizontalpodautoscalers.autoscaling")? {
        Known::Is(autoscalers) => autoscalers,
        Known::NotApplicable => return Ok(Known::NotApplicable),
        Known::NotVisible { why } => return Ok(Known::NotVisible { why }),
    };
    let Some(found) = ownership::autoscaler_of(subject, &autoscalers) else { return Ok(Known::NotApplicable) };
    let owners = found.metadata.owner_references.iter().flatten();
    let scaled_object = owners.clone().find(|owner| owner.kind == SCALED_OBJECT).map(|owner| owner.name.clone());
    let name = found.metadata.name.clone().unwrap_or_default();
    let lever = match (look_for_lever, scaled_object) {
        (false, _) => Known::NotVisible { why: "nobody looked".to_owned() },
        // KEDA writes its own minimum over the autoscaler's.
        (true, Some(name)) => beside::object(api, subject, ObjectKind::ScaledObject, &name).await?,
        (true, None) => beside::object(api, subject, ObjectKind::HorizontalPodAutoscaler, &name).await?,
    };
    Ok(Known::Is(Autoscaler {
        name,
        replicas_min: u32::try_from(found.spec.min_replicas.unwrap_or(1)).unwrap_or(0),
        replicas_max: u32::try_from(found.spec.max_replicas).unwrap_or(0),
        lever,
    }))
}

/// The namespace's disruption budgets. Without the right to look they can't be heeded, and the strategy alone says what a roll-out
/// takes down.
async fn budgets(api: &ApiServer, subject: &Subject) -> Result<Known<Vec<PodDisruptionBudget>>, InspectError> {
    let listed = api
        .list(|client| Api::<PodDisruptionBudget>::namespaced(client, &subject.namespace), ListParams::default())
        .await;
    visible(listed, subject, "poddisruptionbudgets.policy")
}

/// What became of the plan, from the object that it writes as it is now (I6).
pub(super) fn outcome_of_write(object: &Value, written: &ObjectRef, plan: &Plan) -> WriteOutcome {
    let metadata = object::metadata(object);
    if metadata.uid.as_deref() != Some(written.uid.as_str()) {
        WriteOutcome::Gone
    } else if marker::is_marked(&metadata, &plan.id) {
        WriteOutcome::AppliedByUs
    } else if object::is_as_decided(object, written, plan.target.generation, plan) {
        WriteOutcome::NotApplied
    } else {
        WriteOutcome::ChangedByOther
    }
}

/// How far the plan's rollout has come.
///
/// What counts as overwritten is the effect, not the marker: whoever takes only the marker away has stopped nothing.
pub(super) fn progress(workload: &Workload, plan: &Plan, is_in_effect: bool) -> Progress {
    let metadata = &workload.metadata;
    if metadata.uid.as_deref() != Some(plan.target.uid.as_str()) || metadata.deletion_timestamp.is_some() {
        Progress::Gone
    } else if !is_in_effect {
        Progress::Overridden
    } else {
        rollout::judge(workload)
    }
}

#[cfg(test)]
mod tests;
