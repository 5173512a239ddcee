//! Earlier revisions of a Deployment's template: its own ReplicaSets. Pure.

use homeostat_remediate::{PreviousRevision, TemplateChange};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::DynamicObject;
use serde_json::Value;

use super::workload::Workload;
use crate::merge_patch;

/// The Deployment controller's number of a template.
const REVISION: &str = "deployment.kubernetes.io/revision";

/// What marks of a restart are called, after the prefix of whoever wrote them: kubectl, Argo CD and homeostat write
/// `kubectl.kubernetes.io/restartedAt`, programs that use kube-rs `kube.kubernetes.io/restartedAt`.
const RESTARTED_AT_NAME: &str = "restartedAt";

/// Rancher's mark of a restart.
const RESTARTED_BY_RANCHER: &str = "cattle.io/timestamp";

/// The label that the Deployment's controller adds to a ReplicaSet's template.
const TEMPLATE_HASH: &str = "pod-template-hash";

/// The current revision of the Deployment's template, as its controller numbers it.
pub(super) fn revision(deployment: &Deployment) -> Option<u64> {
    revision_of(&deployment.metadata)
}

/// The newest revision below the current one whose template differs from the current one in more than a restart: going back
/// to one that only was started earlier would bring the same pods back.
pub(super) fn previous(workload: &Workload, replica_sets: &[DynamicObject]) -> Option<PreviousRevision> {
    let uid = workload.metadata.uid.as_deref()?;
    let current = revision(workload)?;
    let own = replica_sets.iter().filter(|set| is_controlled_by(&set.metadata, uid));
    let earlier = own.filter_map(|set| Some((revision_of(&set.metadata)?, set))).filter(|(found, _)| *found < current);
    let changed = earlier.filter_map(|(found, set)| Some((found, change(workload, set)?)));
    let (found, change) = changed.max_by_key(|(found, _)| *found)?;
    Some(PreviousRevision { revision: found.to_string(), change: Some(change) })
}

/// The difference to the ReplicaSet's template, if it is one that matters.
fn change(workload: &Workload, set: &DynamicObject) -> Option<TemplateChange> {
    let (current, mut earlier) = (workload.template(), set.data.pointer("/spec/template")?.clone());
    if let Some(labels) = earlier.pointer_mut("/metadata/labels").and_then(Value::as_object_mut) {
        labels.remove(TEMPLATE_HASH);
    }
    let matters =
        merge_patch::between(&unstarted(current), &unstarted(&earlier)) != Value::Object(serde_json::Map::new());
    matters.then(|| TemplateChange {
        to: merge_patch::between(current, &earlier),
        back: merge_patch::between(&earlier, current),
    })
}

/// The template without marks of a restart, whoever restarted it, and without what only such a mark needed.
fn unstarted(template: &Value) -> Value {
    let mut template = template.clone();
    if let Some(metadata) = template.get_mut("metadata").and_then(Value::as_object_mut) {
        let is_empty = match metadata.get_mut("annotations").and_then(Value::as_object_mut) {
            Some(annotations) => {
                annotations.retain(|key, _| !is_restart_mark(key));
                annotations.is_empty()
            }
            None => true,
        };
        if is_empty {
            metadata.remove("annotations");
        }
    }
    template
}

fn is_restart_mark(key: &str) -> bool {
    key == RESTARTED_BY_RANCHER || key.rsplit('/').next() == Some(RESTARTED_AT_NAME)
}

fn revision_of(metadata: &ObjectMeta) -> Option<u64> {
    metadata.annotations.as_ref()?.get(REVISION)?.parse().ok()
}

fn is_controlled_by(metadata: &ObjectMeta, uid: &str) -> bool {
    metadata.owner_references.iter().flatten().any(|owner| owner.controller == Some(true) && owner.uid == uid)
}

#[cfg(test)]
mod tests;
