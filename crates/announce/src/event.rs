//! What goes out, typed: a change of an incident, or a call for a human. Each sink encodes it in its own way.

use homeostat_core::{CorrelationId, Escalation, Incident, IncidentChange, IncidentId, Subject, Timestamp, short_id};
use serde::{Deserialize, Serialize};

/// What an event tells of, in the order in which a channel delivers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventKind {
    /// A call for a human. Must arrive, and goes first.
    Escalation,
    /// A change of an incident.
    Change,
}

impl EventKind {
    /// The stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Escalation => "escalation",
            Self::Change => "change",
        }
    }
}

/// One message, fixed when it was published: every attempt delivers the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// The same for the same change or escalation, whenever and however often it is published. It is the CloudEvents id and
    /// the idempotency key: a receiver drops doubles by it.
    pub id: String,
    /// Grows from event to event, also across restarts: the order in which they were published.
    pub sequence: u64,
    /// The installation that tells it, as `/homeostat/prod`.
    pub source: String,
    /// When what it tells of happened.
    pub at: Timestamp,
    /// What it tells.
    pub payload: Payload,
}

/// What an event tells.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Payload {
    /// A change of an incident.
    Change(Box<IncidentChange>),
    /// A call for a human.
    Escalation(Box<Call>),
}

/// An escalation with the incident that it is about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// Why and whom.
    pub escalation: Escalation,
    /// The incident. `None` when it isn't known any more: the call goes out with what is.
    pub incident: Option<Incident>,
}

impl Event {
    /// Tells of a change. Its id is made of the incident, the kind of change, and its moment.
    pub fn of_change(change: &IncidentChange, source: &str, sequence: u64) -> Self {
        let (incident, at) = (change.incident(), change.incident().updated_at);
        let parts: [&[u8]; 4] =
            [b"change", incident.id.as_str().as_bytes(), change.name().as_bytes(), &at.as_millis().to_be_bytes()];
        let id = format!("chg-{}", short_id(&parts));
        Self { id, sequence, source: source.to_owned(), at, payload: Payload::Change(Box::new(change.clone())) }
    }

    /// Tells of an escalation. Its id is made of the incident and the reason, of which there is one escalation: published again
    /// after a crash it is the same event.
    pub fn of_escalation(escalation: &Escalation, incident: Option<&Incident>, source: &str, sequence: u64) -> Self {
        let parts: [&[u8]; 3] = [b"escalation", escalation.incident.as_str().as_bytes(), escalation.reason.as_bytes()];
        let id = format!("esc-{}", short_id(&parts));
        let call = Call { escalation: escalation.clone(), incident: incident.cloned() };
        Self {
            id,
            sequence,
            source: source.to_owned(),
            at: escalation.at,
            payload: Payload::Escalation(Box::new(call)),
        }
    }

    /// What it tells of.
    pub fn kind(&self) -> EventKind {
        match self.payload {
            Payload::Change(_) => EventKind::Change,
            Payload::Escalation(_) => EventKind::Escalation,
        }
    }

    /// The incident it is about.
    pub fn incident_id(&self) -> &IncidentId {
        match &self.payload {
            Payload::Change(change) => &change.incident().id,
            Payload::Escalation(call) => &call.escalation.incident,
        }
    }

    /// The incident itself, if it is known.
    pub fn incident(&self) -> Option<&Incident> {
        match &self.payload {
            Payload::Change(change) => Some(change.incident()),
            Payload::Escalation(call) => call.incident.as_ref(),
        }
    }

    /// Where it is.
    pub fn subject(&self) -> &Subject {
        match &self.payload {
            Payload::Change(change) => &change.incident().subject,
            Payload::Escalation(call) => &call.escalation.subject,
        }
    }

    /// The id that runs through logs, journal and the object's marker.
    pub fn correlation(&self) -> &CorrelationId {
        match &self.payload {
            Payload::Change(change) => &change.incident().correlation,
            Payload::Escalation(call) => &call.escalation.correlation,
        }
    }

    /// Whether a receiver of changes knows from it that the incident is over.
    pub fn closes(&self) -> bool {
        match &self.payload {
            Payload::Change(change) => change.incident().state.is_over(),
            Payload::Escalation(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{change, escalation, incident};

    #[test]
    fn the_same_change_is_the_same_event_and_another_is_another() {
        let id = |name, sequence| Event::of_change(&change(name), "/a", sequence).id;
        assert_eq!(id("opened", 1), id("opened", 2));
        assert_ne!(id("opened", 1), id("resolved", 1));
    }

    #[test]
    fn an_escalation_published_again_is_the_same_event_and_another_reason_is_another() {
        let first = Event::of_escalation(&escalation("made-worse"), Some(&incident("payment-api")), "/a", 1);
        let mut again = escalation("made-worse");
        again.at = Timestamp::from_secs(0);
        again.channels.clear();
        assert_eq!(Event::of_escalation(&again, None, "/a", 2).id, first.id);
        assert_ne!(Event::of_escalation(&escalation("storm"), None, "/a", 1).id, first.id);
    }

    #[test]
    fn an_event_is_stored_and_read_back_as_it_was() {
        for event in [
            Event::of_change(&change("stale"), "/a", 7),
            Event::of_escalation(&escalation("storm"), None, "/a", 8),
            Event::of_escalation(&escalation("storm"), Some(&incident("payment-api")), "/a", 9),
        ] {
            let text = serde_json::to_string(&event).unwrap();
            assert_eq!(serde_json::from_str::<Event>(&text).unwrap(), event);
        }
    }
}
