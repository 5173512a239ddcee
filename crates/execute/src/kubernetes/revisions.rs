//! Earlier revisions of a workload's template: a Deployment's are its ReplicaSets, those of a StatefulSet or DaemonSet its
//! ControllerRevisions. Pure.

use homeostat_remediate::{PreviousRevision, TemplateChange};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::DynamicObject;
use serde_json::{Map, Value};

use super::workload::{Typed, Workload};
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

/// A kept template and its number.
struct Kept {
    revision: u64,
    template: Value,
}

/// The current revision of the workload's template, as its controller numbers it. The controller of a StatefulSet or DaemonSet gives the
/// template in force the highest number, also when it is an old one again.
pub(super) fn revision(workload: &Workload, revisions: &[DynamicObject]) -> Option<u64> {
    match &workload.typed {
        Typed::Deployment(of) => revision_of(&of.metadata),
        Typed::StatefulSet(_) | Typed::DaemonSet(_) => kept(workload, revisions).map(|kept| kept.revision).max(),
    }
}

/// The newest revision below the current one whose template differs from the current one in more than a restart: going back
/// to one that only was started earlier would bring the same pods back.
pub(super) fn previous(workload: &Workload, revisions: &[DynamicObject]) -> Option<PreviousRevision> {
    let current = revision(workload, revisions)?;
    let earlier = kept(workload, revisions).filter(|kept| kept.revision < current);
    let changed = earlier.filter_map(|kept| Some((kept.revision, change(workload, &kept.template)?)));
    let (found, change) = changed.max_by_key(|(found, _)| *found)?;
    Some(PreviousRevision { revision: found.to_string(), change: Some(change) })
}

/// The workload's own among these objects, read as its kind keeps them.
fn kept(workload: &Workload, revisions: &[DynamicObject]) -> impl Iterator<Item = Kept> {
    let own = revisions.iter().filter(|object| is_controlled_by(&object.metadata, workload.metadata.uid.as_deref()));
    own.filter_map(|object| match &workload.typed {
        Typed::Deployment(_) => of_replica_set(object),
        Typed::StatefulSet(_) | Typed::DaemonSet(_) => of_controller_revision(object),
    })
}

fn of_replica_set(set: &DynamicObject) -> Option<Kept> {
    let mut template = set.data.pointer("/spec/template")?.clone();
    if let Some(labels) = template.pointer_mut("/metadata/labels").and_then(Value::as_object_mut) {
        labels.remove(TEMPLATE_HASH);
    }
    Some(Kept { revision: revision_of(&set.metadata)?, template })
}

/// It keeps a strategic merge patch that replaces the template.
fn of_controller_revision(revision: &DynamicObject) -> Option<Kept> {
    let mut template = revision.data.pointer("/data/spec/template")?.clone();
    template.as_object_mut()?.remove("$patch");
    Some(Kept { revision: revision.data["revision"].as_u64()?, template })
}

/// The difference to the earlier template, if it is one that matters.
fn change(workload: &Workload, earlier: &Value) -> Option<TemplateChange> {
    let current = workload.template();
    let matters = merge_patch::between(&unstarted(current), &unstarted(earlier)) != Value::Object(Map::new());
    matters.then(|| TemplateChange {
        to: merge_patch::between(current, earlier),
        back: merge_patch::between(earlier, current),
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

/// Whether the object of this UID is its controller.
pub(super) fn is_controlled_by(metadata: &ObjectMeta, uid: Option<&str>) -> bool {
    metadata
        .owner_references
        .iter()
        .flatten()
        .any(|owner| owner.controller == Some(true) && Some(owner.uid.as_str()) == uid)
}

#[cfg(test)]
mod tests;
