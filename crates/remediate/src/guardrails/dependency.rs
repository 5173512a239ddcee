//! What it depends on has an incident of its own, which comes first (I24).

use homeostat_core::{Annotation, Incident, IncidentId, Subject};

use crate::decision_context::DecisionContext;
use crate::guardrails::{Guardrail, Needs};
use crate::objection::Objection;

pub(super) struct DependencyFirst;

impl Guardrail for DependencyFirst {
    fn codes(&self) -> &'static [&'static str] {
        &["dependency-first"]
    }

    fn needs(&self) -> Needs {
        Needs::Context
    }

    fn objections(&self, context: &DecisionContext<'_>) -> Vec<Objection> {
        let incident = context.proposal.incident;
        let topology = context.environment.topology;
        let dependencies = topology.all_dependencies_of(&incident.subject);
        let open = context.environment.open.iter();
        let open = open.filter(|other| !other.state.is_over() && dependencies.contains(&other.subject));
        let open = open.map(|other| (&other.subject, &other.id)).next();
        let Some((dependency, other)) = open.or_else(|| annotated(incident)) else { return Vec::new() };
        let text = format!("its dependency {dependency} has an incident of its own ({other}), which comes first");
        // Where both wait for each other, somebody must break the circle.
        let mutual = topology.all_dependencies_of(dependency).contains(&incident.subject);
        let objection = if mutual {
            Objection::escalate("dependency-first", text)
        } else {
            Objection::note("dependency-first", text)
        };
        let objection = objection.with("dependency", dependency.to_string()).with("incident", other.to_string());
        vec![objection.with("mutual", mutual)]
    }
}

fn annotated(incident: &Incident) -> Option<(&Subject, &IncidentId)> {
    incident.annotations.iter().find_map(|annotation| match annotation {
        Annotation::DependencyAffected { dependency, incident } => Some((dependency, incident)),
        Annotation::PlannedEvent { .. }
        | Annotation::RecentRollout { .. }
        | Annotation::ThresholdRule { .. }
        | Annotation::ReplicaOutlier { .. }
        | Annotation::ClusterFact { .. } => None,
    })
}
