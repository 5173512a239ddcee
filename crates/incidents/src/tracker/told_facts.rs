//! What facts say of an incident: its type, and what is told of it.

use homeostat_core::{Annotation, ClusterFact, IncidentType, Standing, Timestamp};

/// Facts told of one incident, over and holding: it bounds the incident's size.
const FACTS_TOLD_MAX: usize = 8;

/// The type that facts establish: that of the first which doesn't only hint at something.
pub(super) fn established_type(facts: &[ClusterFact]) -> Option<IncidentType> {
    let establishes = |fact: &&ClusterFact| match fact.standing {
        Standing::Opens | Standing::Explains => true,
        Standing::Hints => false,
    };
    facts.iter().find(establishes).map(|fact| fact.incident_type)
}

/// What is told of facts: those that hold, and those that did, of other kinds, since the incident opened.
pub(super) fn annotations(known: &[Annotation], facts: &[ClusterFact], at: Timestamp) -> Vec<Annotation> {
    let mut told: Vec<Annotation> =
        facts.iter().map(|fact| Annotation::ClusterFact { fact: fact.clone(), until: None }).collect();
    for annotation in known {
        match annotation {
            Annotation::ClusterFact { fact, until } if !facts.iter().any(|now| now.kind == fact.kind) => {
                told.push(Annotation::ClusterFact { fact: fact.clone(), until: until.or(Some(at)) });
            }
            Annotation::ClusterFact { .. }
            | Annotation::PlannedEvent { .. }
            | Annotation::ThresholdRule { .. }
            | Annotation::RecentRollout { .. }
            | Annotation::DependencyAffected { .. }
            | Annotation::ReplicaOutlier { .. } => {}
        }
    }
    told.truncate(FACTS_TOLD_MAX);
    told
}
