//! An event as CloudEvents 1.0 in structured mode: what HTTP receivers and brokers take.

use serde_json::{Value, json};

use crate::event::{Call, Event, Payload};

/// The media type of what [`encode`] makes.
pub(crate) const MEDIA_TYPE: &str = "application/cloudevents+json";

/// The envelope with the change or escalation in `data`. The same event always gives the same bytes.
pub(crate) fn encode(event: &Event) -> String {
    let (event_type, data) = match &event.payload {
        // Plain data: serialising can't fail. If it did, an event without data is still better than none.
        Payload::Change(change) => {
            (format!("io.homeostat.incident.{}", change.name()), serde_json::to_value(change).unwrap_or(Value::Null))
        }
        Payload::Escalation(call) => ("io.homeostat.escalation".to_owned(), escalation(call)),
    };
    json!({
        "specversion": "1.0",
        "id": event.id,
        "source": event.source,
        "type": event_type,
        "subject": event.subject().to_string(),
        "time": event.at.to_string(),
        // The sequence extension: its text sorts as the events were published.
        "sequence": format!("{:020}", event.sequence),
        "datacontenttype": "application/json",
        "data": data,
    })
    .to_string()
}

fn escalation(call: &Call) -> Value {
    let escalation = &call.escalation;
    let incident = match &call.incident {
        Some(incident) => serde_json::to_value(incident).unwrap_or(Value::Null),
        None => json!({
            "id": escalation.incident,
            "correlation": escalation.correlation,
            "subject": escalation.subject,
        }),
    };
    json!({
        "dedup_key": escalation.incident,
        "incident": incident,
        "channels": escalation.channels,
        "code": escalation.reason,
        "reason": format!("{}: {}", escalation.reason, escalation.message),
        "history": escalation.history,
    })
}

#[cfg(test)]
mod tests {
    use homeostat_core::IncidentChange;

    use super::*;
    use crate::testing::{change, escalation, incident};

    #[test]
    fn a_change_is_a_cloudevents_envelope() {
        let event = Event::of_change(&change("opened"), "/homeostat/test", 42);
        let body: Value = serde_json::from_str(&encode(&event)).unwrap();
        for (key, expected) in [
            ("specversion", "1.0"),
            ("source", "/homeostat/test"),
            ("type", "io.homeostat.incident.opened"),
            ("subject", "shop/deployment/payment-api"),
            ("time", "2026-01-31T12:00:00Z"),
            ("sequence", "00000000000000000042"),
            ("datacontenttype", "application/json"),
            ("id", event.id.as_str()),
        ] {
            assert_eq!(body[key], expected, "{key}");
        }
        assert_eq!(serde_json::from_value::<IncidentChange>(body["data"].clone()).unwrap(), change("opened"));
    }

    #[test]
    fn an_escalation_says_why_and_where_also_when_the_incident_is_no_longer_known() {
        let known = incident("payment-api");
        for incident in [Some(&known), None] {
            let event = Event::of_escalation(&escalation("made-worse"), incident, "/a", 1);
            let data = serde_json::from_str::<Value>(&encode(&event)).unwrap()["data"].clone();
            assert_eq!(data["reason"], "made-worse: 2 restarts didn't help");
            assert_eq!(data["code"], "made-worse");
            assert_eq!(data["incident"]["id"], known.id.as_str());
            assert_eq!(data["incident"]["subject"], "shop/deployment/payment-api");
            assert_eq!(data["dedup_key"], known.id.as_str());
            assert_eq!(data["incident"]["type"].is_string(), incident.is_some());
        }
    }
}
