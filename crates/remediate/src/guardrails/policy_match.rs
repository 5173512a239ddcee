//! A policy must be there for the incident, where it is.

use std::time::Duration;

use homeostat_core::{Incident, IncidentType, Timestamp, format_duration};

use crate::decision_context::DecisionContext;
use crate::guardrails::{Guardrail, Needs};
use crate::objection::Objection;

/// An incident found early has signals that don't say yet what it is. It gets this long to be typed before a human is called;
/// a fault that is found at its first stirrings leaves that time, and one that strikes hard is typed at once.
const TYPING_GRACE: Duration = Duration::from_secs(300);

pub(super) struct NoPolicy;

impl Guardrail for NoPolicy {
    fn codes(&self) -> &'static [&'static str] {
        &["no-policy", "out-of-scope", "not-typed-yet"]
    }

    fn needs(&self) -> Needs {
        Needs::Context
    }

    fn objections(&self, context: &DecisionContext<'_>) -> Vec<Objection> {
        let (proposal, incident) = (context.proposal, context.proposal.incident);
        let objection = match (proposal.policy, proposal.elsewhere) {
            (Some(_), _) => return Vec::new(),
            (None, Some(elsewhere)) => {
                let text = format!("it is outside the scope of policy {:?}", elsewhere.name);
                Objection::escalate("out-of-scope", text).with("policy", elsewhere.name.as_str())
            }
            (None, None) if incident.incident_type == IncidentType::Unknown && context.now < typed_by(incident) => {
                let until = typed_by(incident);
                let left = format_duration(Duration::from_secs(until.since(context.now).as_secs()));
                let text =
                    format!("the incident type isn't known yet; a human is called in {left} if it stays unknown");
                Objection::wait("not-typed-yet", until, text)
            }
            (None, None) => {
                let incident_type = incident.incident_type.name();
                let text = format!("no policy says what to do about {incident_type}");
                Objection::escalate("no-policy", text).with("incident_type", incident_type)
            }
        };
        vec![objection]
    }
}

fn typed_by(incident: &Incident) -> Timestamp {
    incident.opened_at + TYPING_GRACE
}
