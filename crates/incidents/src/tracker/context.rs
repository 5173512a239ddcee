//! What of the cluster's context is about an incident: the planned event that covers it, the roll-outs before it.

use homeostat_core::{Annotation, Incident, PlannedEvent, Subject, Timestamp};

use super::{ClusterContext, TrackerTimes};

/// Roll-outs listed. Of more than four in half an hour the earliest four are as good a hint.
const ROLLOUTS_MAX: usize = 4;

/// The planned event that covers a subject at this moment, or did shortly before: when an event ends, what it brought goes away
/// again, and that is as planned as the event.
pub(super) fn covering<'a>(
    subject: &Subject,
    at: Timestamp,
    context: &'a ClusterContext,
    times: &TrackerTimes,
) -> Option<&'a PlannedEvent> {
    let covering = |moment: Timestamp| context.calendar.covering(subject, moment);
    covering(at).or_else(|| covering(at - times.rollout_recent))
}

/// The roll-outs that may have caused it: those known so far, and those of the subject, not by us, shortly before it opened.
pub(super) fn rollouts(incident: &Incident, context: &ClusterContext, times: &TrackerTimes) -> Vec<Annotation> {
    let is_rollout = |annotation: &&Annotation| match annotation {
        Annotation::RecentRollout { .. } => true,
        Annotation::PlannedEvent { .. }
        | Annotation::DependencyAffected { .. }
        | Annotation::ThresholdRule { .. }
        | Annotation::ReplicaOutlier { .. }
        | Annotation::ClusterFact { .. } => false,
    };
    let mut found: Vec<Annotation> = incident.annotations.iter().filter(is_rollout).cloned().collect();
    for rollout in &context.rollouts {
        let shortly_before =
            rollout.at <= incident.opened_at && incident.opened_at.since(rollout.at) <= times.rollout_recent;
        let annotation = Annotation::RecentRollout { at: rollout.at, revision: rollout.revision.clone() };
        if !rollout.by_us && rollout.subject == incident.subject && shortly_before && !found.contains(&annotation) {
            found.push(annotation);
        }
    }
    found.truncate(ROLLOUTS_MAX);
    found
}
