//! Truths, incidents and actions for the tests of this crate.

use std::time::Duration;

use homeostat_core::{
    Calibrated, CorrelationId, Incident, IncidentId, IncidentState, IncidentType, Score, Subject, Timestamp,
};
use homeostat_remediate::{ActionName, PlanId};
use homeostat_simulate::{EndedBy, FaultEnd, FaultKind, FaultTruth};

use crate::action_outcome::{ActionOutcome, Verification};

pub(crate) fn at(minute: i64) -> Timestamp {
    Timestamp::from_secs(minute * 60)
}

pub(crate) fn service(name: &str) -> Subject {
    Subject::deployment("shop", name)
}

/// A fault of six hours that ended by itself at `end`, if at all.
pub(crate) fn truth(kind: FaultKind, subject: &str, affected: &[&str], start: i64, end: Option<i64>) -> FaultTruth {
    FaultTruth {
        kind,
        incident_types: kind.incident_types().to_vec(),
        subject: service(subject),
        affected: affected.iter().map(|name| service(name)).collect(),
        start: at(start),
        runs_until: at(start) + Duration::from_secs(6 * 3600),
        end: end.map(|minute| FaultEnd { at: at(minute), by: EndedBy::Itself }),
        harmless: kind == FaultKind::Campaign,
    }
}

pub(crate) fn incident(subject: &str, incident_type: IncidentType, opened: i64) -> Incident {
    let subject = service(subject);
    Incident {
        id: IncidentId::of(&subject, at(opened)),
        correlation: CorrelationId::of(&subject, at(opened)),
        subject,
        incident_type,
        state: IncidentState::Open,
        opened_at: at(opened),
        updated_at: at(opened),
        score: Score::THRESHOLD,
        score_peak: Score::THRESHOLD,
        confidence: Calibrated::UNKNOWN,
        evidence: vec![],
        votes: vec![],
        affected: vec![],
        annotations: vec![],
        limits_ahead: vec![],
    }
}

/// The first restart for this incident, five minutes after it opened, judged ten minutes later.
pub(crate) fn restart(incident: &Incident, verification: Verification) -> ActionOutcome {
    let executed_at = incident.opened_at + Duration::from_secs(300);
    ActionOutcome {
        plan: PlanId::of(&incident.id, 1),
        incident: incident.id.clone(),
        subject: incident.subject.clone(),
        kind: ActionName::new("rollout-restart"),
        executed_at,
        verified_at: Some(executed_at + Duration::from_secs(600)),
        verification,
    }
}
