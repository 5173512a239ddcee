//! Roll-outs of Deployments that don't progress.

use homeostat_core::{ClusterFact, FactKind, Remedy, Standing};

use super::super::draft::Draft;
use super::super::view::View;

pub(super) fn facts(view: &View<'_>) -> Vec<ClusterFact> {
    let mut facts = Vec::new();
    for (subject, workload) in &view.workloads {
        let stuck = workload.condition("Progressing").filter(|condition| {
            condition.is_false && condition.reason == "ProgressDeadlineExceeded" && !workload.is_paused
        });
        let Some(stuck) = stuck else { continue };
        let name = &subject.name;
        let has_earlier = view.sets_of.get(subject).is_some_and(|sets| sets.len() > 1);
        let revision = Some(workload.revision.as_str()).filter(|revision| !revision.is_empty());
        let of = revision.map(|revision| format!(" of revision {revision}")).unwrap_or_default();
        let sentence = format!(
            "the roll-out{of} of Deployment `{name}` is stuck: it made no progress within its deadline, {} of {} pods are ready",
            workload.ready, workload.wanted
        );
        let object = workload.meta.object(workload.kind_name());
        let since = stuck.since.unwrap_or(view.now);
        let mut fact =
            Draft::new(FactKind::RolloutStuck, object, since, sentence).about(subject.clone(), Standing::Opens);
        if has_earlier {
            fact.revision = revision.map(ToOwned::to_owned);
            fact.may_cure.push(Remedy::EarlierRevision);
        }
        facts.push(fact);
    }
    facts
}
