//! What goes out: a CloudEvents 1.0 envelope around an incident change or an escalation.

use homeostat_core::{IncidentChange, IncidentId, Timestamp, short_id};
use serde::Serialize;
use serde_json::{Value, json};

use crate::escalation::Escalation;

/// What an event tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// A change of an incident. Good to know.
    Change,
    /// A call for a person. Must arrive.
    Escalation,
}

impl EventKind {
    /// Every kind.
    pub const ALL: [EventKind; 2] = [Self::Change, Self::Escalation];

    /// The stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Change => "change",
            Self::Escalation => "escalation",
        }
    }
}

/// One message, fixed when it was made: every attempt to deliver it sends the same bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The CloudEvents id: the same for the same change or escalation, so that a receiver can drop doubles by `source` + `id`.
    pub id: String,
    /// What it tells of.
    pub kind: EventKind,
    /// The event as JSON: a CloudEvents 1.0 envelope in structured mode, with the change or escalation in `data`.
    pub body: String,
}

impl Event {
    /// Tells of a change. Its id is made of the incident, the kind of change, and its moment.
    pub fn of_change(change: &IncidentChange, source: &str) -> Self {
        let incident = change.incident();
        let at = incident.updated_at;
        let id = short_id(&[
            b"change",
            incident.id.as_str().as_bytes(),
            change.name().as_bytes(),
            &at.as_millis().to_be_bytes(),
        ]);
        let event_type = format!("io.homeostat.incident.{}", change.name());
        let subject = incident.subject.to_string();
        Self::new(EventKind::Change, format!("chg-{id}"), &event_type, source, &subject, at, change)
    }

    /// Tells of an escalation at `at`. Its id is made of everything but the moment and the incident's latest figures: told
    /// again after a crash it is the same event, told with a longer history it is another.
    pub fn of_escalation(escalation: &Escalation, source: &str, at: Timestamp) -> Self {
        let incident = &escalation.incident;
        let mut parts: Vec<&[u8]> = vec![
            b"escalation",
            incident.id.as_str().as_bytes(),
            escalation.channel.as_bytes(),
            escalation.reason.as_bytes(),
        ];
        parts.extend(escalation.history.iter().map(String::as_bytes));
        let id = format!("esc-{}", short_id(&parts));
        let subject = incident.subject.to_string();
        Self::new(EventKind::Escalation, id, "io.homeostat.escalation", source, &subject, at, escalation)
    }

    fn new(
        kind: EventKind,
        id: String,
        event_type: &str,
        source: &str,
        subject: &str,
        at: Timestamp,
        data: &impl Serialize,
    ) -> Self {
        let body = json!({
            "specversion": "1.0",
            "id": id,
            "source": source,
            "type": event_type,
            "subject": subject,
            "time": at.to_string(),
            "datacontenttype": "application/json",
            // Plain data: serialising can't fail. If it did, an event without data is still better than none.
            "data": serde_json::to_value(data).unwrap_or(Value::Null),
        })
        .to_string();
        Self { id, kind, body }
    }

    /// The incident it is about; `None` only for a body that isn't ours.
    pub fn incident(&self) -> Option<IncidentId> {
        let body: Value = serde_json::from_str(&self.body).ok()?;
        serde_json::from_value(body.pointer("/data/incident/id")?.clone()).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{change, escalation};

    #[test]
    fn an_event_is_a_cloudevents_envelope() {
        let event = Event::of_change(&change("opened"), "/homeostat/test");
        let body: Value = serde_json::from_str(&event.body).unwrap();
        for (key, expected) in [
            ("specversion", "1.0"),
            ("source", "/homeostat/test"),
            ("type", "io.homeostat.incident.opened"),
            ("subject", "shop/deployment/payment-api"),
            ("time", "2026-01-31T12:00:00Z"),
            ("datacontenttype", "application/json"),
            ("id", event.id.as_str()),
        ] {
            assert_eq!(body[key], expected, "{key}");
        }
        assert_eq!(serde_json::from_value::<IncidentChange>(body["data"].clone()).unwrap(), change("opened"));
        assert_eq!(event.incident(), Some(change("opened").incident().id.clone()));
    }

    #[test]
    fn the_same_change_is_the_same_event_and_another_is_another() {
        let id = |name| Event::of_change(&change(name), "/a").id;
        assert_eq!(id("opened"), id("opened"));
        assert_ne!(id("opened"), id("resolved"));
    }

    #[test]
    fn an_escalation_told_again_later_is_the_same_event_until_its_history_grows() {
        let noon = change("opened").incident().updated_at;
        let mut told = escalation("pagerduty-p1");
        let first = Event::of_escalation(&told, "/a", noon);
        told.incident.updated_at = Timestamp::from_secs(0);
        let again = Event::of_escalation(&told, "/a", Timestamp::from_secs(0));
        assert_eq!(first.id, again.id);
        told.history.push("12:09 restarted again".into());
        assert_ne!(Event::of_escalation(&told, "/a", noon).id, first.id);
        let mut other_channel = escalation("log");
        other_channel.history = escalation("pagerduty-p1").history;
        assert_ne!(Event::of_escalation(&other_channel, "/a", noon).id, first.id);
    }
}
