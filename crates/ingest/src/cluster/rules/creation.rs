//! Pods that can't even be created.

use homeostat_core::{ClusterFact, Standing, Subject, Timestamp, WorkloadKind};

use super::super::draft::Draft;
use super::super::meta::{Condition, Meta, condition};
use super::super::revision::Revision;
use super::super::view::View;
use super::super::workload::Workload;
use super::admission::refusal;

/// The controllers try again after at most 1000 s (`MaxBackoff` of their queues is 16 minutes 40 seconds): what an event said longer
/// ago is over.
const EVENT_FRESH_S: u64 = 1_200;

pub(super) fn facts(view: &View<'_>) -> Vec<ClusterFact> {
    view.workloads.iter().filter_map(|(subject, workload)| fact(view, subject, workload)).collect()
}

fn fact(view: &View<'_>, subject: &Subject, workload: &Workload) -> Option<ClusterFact> {
    let (message, since) = match subject.kind {
        WorkloadKind::Deployment => of_conditions(view, subject, workload)?,
        WorkloadKind::StatefulSet | WorkloadKind::DaemonSet | WorkloadKind::External => {
            of_events(view, &workload.meta, workload)?
        }
    };
    let refusal = refusal(&subject.namespace, &message);
    let object = refusal.object.unwrap_or_else(|| workload.meta.object(workload.kind_name()));
    let draft = Draft::new(refusal.kind, object, since, refusal.sentence);
    let revision = newest_revision(view, subject, since);
    Some(draft.of_revision(subject.clone(), Standing::Opens, revision.as_ref()))
}

/// A Deployment's ReplicaSet says so in its status; the Deployment repeats it.
fn of_conditions(view: &View<'_>, subject: &Subject, workload: &Workload) -> Option<(String, Timestamp)> {
    let newest = view.newest_set(subject).and_then(|set| failure(&set.conditions));
    let failure = newest.or_else(|| failure(&workload.conditions))?;
    Some((failure.message.clone(), failure.since.unwrap_or(view.now)))
}

fn failure(conditions: &[Condition]) -> Option<&Condition> {
    condition(conditions, "ReplicaFailure").filter(|failure| failure.is_true && failure.reason == "FailedCreate")
}

/// The others tell it by events only.
fn of_events(view: &View<'_>, meta: &Meta, workload: &Workload) -> Option<(String, Timestamp)> {
    let n_pods = view.live_pods(&workload.subject()).count();
    if n_pods >= workload.wanted as usize {
        return None;
    }
    let events = view.events_about(workload.kind_name(), meta);
    let is_fresh = |last: Timestamp| view.now.since(last).as_secs() <= EVENT_FRESH_S;
    let event = events.into_iter().find(|event| event.reason == "FailedCreate" && is_fresh(event.last))?;
    Some((event.message.clone(), event.first))
}

fn newest_revision(view: &View<'_>, subject: &Subject, since: Timestamp) -> Option<Revision> {
    let newest = view.newest_set(subject)?;
    let has_earlier = view.sets_of.get(subject).is_some_and(|sets| sets.len() > 1);
    let began = since.since(newest.created()).as_secs() <= 60;
    Some(Revision { name: newest.revision.to_string(), is_new: has_earlier && began })
}
