//! Objects that were deleted and don't go away.

use homeostat_core::{ClusterFact, FactKind, Standing, Subject, WorkloadKind};

use super::super::draft::Draft;
use super::super::object::{ClusterObject, Kind};
use super::super::view::View;

/// For so long after it should have gone, an object is merely slow to go.
const OVERDUE_S: u64 = 120;

pub(super) fn facts(view: &View<'_>) -> Vec<ClusterFact> {
    view.objects().filter_map(|object| fact(view, object)).collect()
}

fn fact(view: &View<'_>, object: &ClusterObject) -> Option<ClusterFact> {
    let meta = object.meta();
    let deleted = meta.deleted?;
    if view.now.since(deleted).as_secs() < OVERDUE_S {
        return None;
    }
    let (kind, name) = (object.kind_name(), &meta.name);
    let why = match (meta.finalizers.as_slice(), &object.0) {
        ([], Kind::Pod(pod)) if !pod.node.is_empty() => format!("the kubelet of node `{}` hasn't ended it", pod.node),
        ([], _) => return None,
        ([one], _) => format!("its finalizer `{one}` is still there"),
        (several, _) => format!("its finalizers {} are still there", several.join(", ")),
    };
    let subject = match &object.0 {
        Kind::Pod(pod) => view.subject_of(pod),
        Kind::Workload(workload) => Some(workload.subject()),
        Kind::ReplicaSet(_)
        | Kind::Event(_)
        | Kind::Service(_)
        | Kind::Node(_)
        | Kind::Claim(_)
        | Kind::Autoscaler(_)
        | Kind::Budget(_) => None,
    };
    let subject = subject.unwrap_or_else(|| Subject {
        namespace: if meta.namespace.is_empty() { "cluster.object".to_owned() } else { meta.namespace.clone() },
        kind: WorkloadKind::External,
        name: name.clone(),
    });
    let sentence = format!("{kind} `{name}` was deleted and is still there: {why}");
    let draft = Draft::new(FactKind::StuckTerminating, meta.object(kind), deleted, sentence);
    Some(draft.about(subject, Standing::Opens))
}
