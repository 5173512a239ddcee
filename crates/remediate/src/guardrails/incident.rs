//! Is there something to act on, and is it this incident that should be acted on?

use homeostat_core::{Annotation, Incident, IncidentState};

use crate::decide::{Facts, ends_within, n_going_on};
use crate::refusal::Refusal;

/// Reasons that stop everything, whatever the incident: kill switch (I11), storm (I18); and an incident that isn't open.
pub(super) fn stopped(facts: &Facts<'_>, found: &mut Vec<Refusal>) {
    let context = facts.context;
    if context.kill_switch.engaged {
        found.push(Refusal::KillSwitch { why: context.kill_switch.why.clone() });
    }
    let (n_open, open_max) = (n_going_on(context.open), facts.limits.open_max);
    if context.is_storm || n_open > open_max {
        found.push(Refusal::Storm { n_open, open_max });
    }
    let incident = facts.proposal.incident;
    match incident.state {
        IncidentState::Open => too_old(facts, incident, found),
        state @ (IncidentState::Stale
        | IncidentState::Resolved
        | IncidentState::Rebaselined
        | IncidentState::Expired) => {
            found.push(Refusal::IncidentNotOpen { state });
        }
    }
}

/// Whatever made the incident open, its newest rows are normal: it is about to close by itself, or its cause was mended by
/// somebody while a decision waited.
pub(super) fn goes_on(facts: &Facts<'_>, found: &mut Vec<Refusal>) {
    if facts.context.signals_normal {
        found.push(Refusal::SignalsNormal);
    }
}

/// An incident that nothing was heard of for a while is no ground to act on; nor is one from the future, for then the
/// clock stepped back and nobody knows its age (I8, I28).
fn too_old(facts: &Facts<'_>, incident: &Incident, found: &mut Vec<Refusal>) {
    if incident.updated_at > facts.now {
        let why = format!("the incident is of {}, later than now: the clock stepped back", incident.updated_at);
        found.push(Refusal::StaleDecision { why });
    } else if facts.now.since(incident.updated_at) > facts.limits.incident_age_max {
        let why = format!("nothing was heard of the incident since {}", incident.updated_at);
        found.push(Refusal::StaleDecision { why });
    }
}

/// Something else explains it: a planned event (I29), or a dependency's own incident (I24).
pub(super) fn explained(facts: &Facts<'_>, found: &mut Vec<Refusal>) {
    let incident = facts.proposal.incident;
    if let Some(name) = incident.planned_event().map(ToOwned::to_owned).or_else(|| event_in_the_way(facts)) {
        found.push(Refusal::PlannedEvent { name });
    }
    let topology = facts.context.topology;
    let dependencies = topology.all_dependencies_of(&incident.subject);
    let open_dependency = facts
        .context
        .open
        .iter()
        .find(|other| !other.state.is_over() && dependencies.contains(&other.subject))
        .map(|other| (other.subject.clone(), other.id.clone()));
    let annotated = incident.annotations.iter().find_map(|annotation| match annotation {
        Annotation::DependencyAffected { dependency, incident } => Some((dependency.clone(), incident.clone())),
        Annotation::PlannedEvent { .. } | Annotation::RecentRollout { .. } | Annotation::ReplicaOutlier { .. } => None,
    });
    if let Some((dependency, other)) = open_dependency.or(annotated) {
        let mutual = topology.all_dependencies_of(&dependency).contains(&incident.subject);
        found.push(Refusal::DependencyFirst { dependency, incident: other, mutual });
    }
}

/// An event that covers the subject now, or that begins before the action would have to be over.
fn event_in_the_way(facts: &Facts<'_>) -> Option<String> {
    let subject = &facts.proposal.incident.subject;
    let until = facts.proposal.policy.map_or(facts.now, |policy| facts.now + ends_within(policy, facts.limits));
    let in_the_way = facts.context.calendar.events.iter().find(|event| {
        let first = event.start.max(facts.now);
        first <= until && event.covers(subject, first)
    });
    in_the_way.map(|event| event.name.clone())
}
