//! `type: pagerduty`: PagerDuty's Events API v2. An incident is one alert there, whatever is tried: its id is the `dedup_key`.

use std::sync::Arc;

use async_trait::async_trait;
use homeostat_core::{IncidentChange, IncidentId};
use homeostat_settings::Reader;
use serde_json::{Map, Value, json};

use super::ChannelKind;
use crate::endpoint::{Endpoint, SecretFile};
use crate::event::{Event, Payload};
use crate::http::{Http, Post, post};
use crate::outlet::{Attempt, Deliver, Delivery, Outlet};
use crate::wording;

pub(super) static KIND: ChannelKind = ChannelKind {
    name: "pagerduty",
    example: "{type: pagerduty, routing_key_file: pagerduty.key, url: https://receiver.example/hook}",
    open,
};

/// Where the service takes events in its US region; customers in the EU have another address.
const PUBLIC_URL: &str = "https://events.pagerduty.com/v2/enqueue";

struct PagerDuty {
    http: Http,
    url: Endpoint,
    routing_key: SecretFile,
}

fn open(reader: &mut Reader<'_>, http: &Http) -> Option<Outlet> {
    // Both are read, so that problems of both are told.
    let routing_key = SecretFile::read(reader, "routing_key_file", "pagerduty.key");
    let url = Endpoint::read_or(reader, PUBLIC_URL);
    Some(Outlet::Deliver(Arc::new(PagerDuty { http: http.clone(), url: url?, routing_key: routing_key? })))
}

/// What PagerDuty is asked to do.
enum Action<'a> {
    /// Call somebody.
    Trigger { severity: &'static str },
    /// It is over.
    Resolve { incident: &'a IncidentId },
    /// Nothing that it has a word for.
    Nothing,
}

/// What an event means there. An incident whose data went silent isn't resolved: nobody knows whether it is over, and whoever was
/// called decides.
fn action(event: &Event) -> Action<'_> {
    match &event.payload {
        Payload::Escalation(_) => Action::Trigger { severity: "critical" },
        Payload::Change(change) => match change.as_ref() {
            IncidentChange::Opened(_) | IncidentChange::Refired(_) => Action::Trigger { severity: "warning" },
            IncidentChange::Resolved(incident) | IncidentChange::Rebaselined(incident) => {
                Action::Resolve { incident: &incident.id }
            }
            IncidentChange::Updated(_) | IncidentChange::Stale(_) | IncidentChange::Expired(_) => Action::Nothing,
        },
    }
}

/// The request's body. The same event always gives the same bytes.
fn body(event: &Event, routing_key: &str) -> Option<String> {
    let body = match action(event) {
        Action::Nothing => return None,
        Action::Resolve { incident } => {
            json!({ "routing_key": routing_key, "event_action": "resolve", "dedup_key": incident })
        }
        Action::Trigger { severity } => json!({
            "routing_key": routing_key,
            "event_action": "trigger",
            "dedup_key": event.incident_id(),
            "client": "homeostat",
            "payload": {
                "summary": wording::title(event),
                "source": event.subject().to_string(),
                "severity": severity,
                "timestamp": event.at.to_string(),
                "component": wording::one_line(&event.subject().name),
                "group": wording::one_line(&event.subject().namespace),
                "class": event.incident().map(|incident| incident.incident_type.name()),
                "custom_details": details(event),
            },
        }),
    };
    Some(body.to_string())
}

/// Lines of one label, such as the history's, are a list.
fn details(event: &Event) -> Value {
    let mut all = Map::new();
    all.insert("event".to_owned(), json!(event.id));
    for (label, text) in wording::details(event) {
        let lines = all.entry(label.to_lowercase().replace(' ', "_")).or_insert_with(|| json!([]));
        if let Value::Array(lines) = lines {
            lines.push(json!(text));
        }
    }
    Value::Object(all)
}

#[async_trait]
impl Deliver for PagerDuty {
    async fn deliver(&self, event: &Event, attempt: Attempt) -> Delivery {
        let (url, routing_key) = match (self.url.url(), self.routing_key.secret()) {
            (Ok(url), Ok(routing_key)) => (url, routing_key),
            (Err(why), _) | (_, Err(why)) => return Delivery::Retry { why, after: None },
        };
        let Some(body) = body(event, &routing_key) else { return Delivery::Accepted };
        let request = Post { url: &url, content_type: "application/json", headers: &[], body };
        // Receivers like to repeat what they were sent.
        match post(&self.http, request, attempt).await {
            Delivery::Accepted => Delivery::Accepted,
            Delivery::Retry { why, after } => Delivery::Retry { why: why.replace(&routing_key, "<secret>"), after },
            Delivery::Refused { why } => Delivery::Refused { why: why.replace(&routing_key, "<secret>") },
        }
    }

    /// An alert that was triggered by a call stays open until it is resolved.
    fn wants_ends(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{change, escalation, incident};

    fn sent(event: &Event) -> Option<Value> {
        body(event, "R0UT1NG").map(|body| serde_json::from_str(&body).unwrap())
    }

    #[test]
    fn all_calls_of_an_incident_are_one_alert_which_its_end_resolves() {
        let known = incident("payment-api");
        let call = sent(&Event::of_escalation(&escalation("made-worse"), Some(&known), "/a", 1)).unwrap();
        let again = sent(&Event::of_escalation(&escalation("storm"), None, "/a", 2)).unwrap();
        let end = sent(&Event::of_change(&change("resolved"), "/a", 3)).unwrap();
        for (event, action) in [(&call, "trigger"), (&again, "trigger"), (&end, "resolve")] {
            assert_eq!(event["dedup_key"], known.id.as_str());
            assert_eq!(event["event_action"], action);
            assert_eq!(event["routing_key"], "R0UT1NG");
        }
        let payload = &call["payload"];
        assert_eq!(payload["severity"], "critical");
        assert_eq!(payload["source"], "shop/deployment/payment-api");
        assert_eq!(payload["class"], "oom-killed");
        assert_eq!(payload["summary"], "shop/deployment/payment-api: 2 restarts didn't help (made-worse)");
        assert_eq!(payload["custom_details"]["history"], json!(["12:00 restarted", "12:06 not recovered"]));
    }

    #[test]
    fn silence_resolves_nothing() {
        for name in ["stale", "expired", "updated"] {
            assert_eq!(sent(&Event::of_change(&change(name), "/a", 1)), None, "{name}");
        }
        for name in ["resolved", "rebaselined"] {
            assert_eq!(sent(&Event::of_change(&change(name), "/a", 1)).unwrap()["event_action"], "resolve", "{name}");
        }
    }
}
