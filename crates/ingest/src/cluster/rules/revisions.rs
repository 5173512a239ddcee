//! Two revisions that serve together for long.

use homeostat_core::{ClusterFact, FactKind, Standing};

use super::super::draft::Draft;
use super::super::view::View;
use super::super::workload::ReplicaSet;

pub(super) fn facts(view: &View<'_>) -> Vec<ClusterFact> {
    let mut facts = Vec::new();
    for (subject, sets) in &view.sets_of {
        let Some(workload) = view.workloads.get(subject) else { continue };
        let mut serving: Vec<&ReplicaSet> =
            sets.iter().copied().filter(|set| set.ready > 0 && set.wanted > 0).collect();
        serving.sort_by_key(|set| (set.revision, set.created()));
        let [older, .., newer] = serving.as_slice() else { continue };
        let sentence = format!(
            "revisions {} and {} of Deployment `{}` serve together: {} pods of the older one, {} of the newer",
            older.revision, newer.revision, subject.name, older.ready, newer.ready
        );
        // A paused roll-out is somebody's canary.
        let standing = if workload.is_paused { Standing::Hints } else { Standing::Opens };
        let object = workload.meta.object(workload.kind_name());
        // A roll-out that goes on makes progress. Its ReplicaSet may be an old one that somebody went back to.
        let progress = workload.condition("Progressing").and_then(|condition| condition.updated);
        let since = progress.map_or(newer.created(), |progress| progress.max(newer.created()));
        let mut fact = Draft::new(FactKind::TwoRevisions, object, since, sentence).about(subject.clone(), standing);
        fact.revision = Some(newer.revision.to_string());
        facts.push(fact);
    }
    facts
}
