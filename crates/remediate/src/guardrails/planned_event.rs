//! A planned event explains the incident, or begins before the action would have to be over (I29).

use crate::decision_context::DecisionContext;
use crate::decision_context::ends_within;
use crate::guardrails::{Guardrail, Needs};
use crate::objection::Objection;

pub(super) struct PlannedEvent;

impl Guardrail for PlannedEvent {
    fn codes(&self) -> &'static [&'static str] {
        &["planned-event"]
    }

    fn needs(&self) -> Needs {
        Needs::Context
    }

    fn objections(&self, context: &DecisionContext<'_>) -> Vec<Objection> {
        let incident = context.proposal.incident;
        let name = incident.planned_event().map(ToOwned::to_owned).or_else(|| in_the_way(context));
        let objection = |name: String| {
            Objection::note("planned-event", format!("the planned event {name:?} explains it")).with("name", name)
        };
        name.map(objection).into_iter().collect()
    }
}

/// An event that covers the subject now, or that begins before the action would have to be over.
fn in_the_way(context: &DecisionContext<'_>) -> Option<String> {
    let subject = &context.proposal.incident.subject;
    let policy = context.proposal.policy;
    let until = policy.map_or(context.now, |policy| context.now + ends_within(policy, context.limits));
    let in_the_way = context.environment.calendar.events.iter().find(|event| {
        let first = event.start.max(context.now);
        first <= until && event.covers(subject, first)
    });
    in_the_way.map(|event| event.name.clone())
}
