//! `type: log`: the program's own log. The channel that is always there.

use std::sync::Arc;

use async_trait::async_trait;
use homeostat_settings::Reader;

use super::ChannelKind;
use crate::event::{Event, Payload};
use crate::http::Http;
use crate::outlet::{Attempt, Deliver, Delivery, Outlet};
use crate::wording::one_line;

pub(super) static KIND: ChannelKind = ChannelKind { name: "log", example: "{type: log}", open };

/// Writes each event as one structured line: changes as information, escalations as warnings.
struct Log;

fn open(_: &mut Reader<'_>, _: &Http) -> Option<Outlet> {
    Some(outlet())
}

pub(super) fn outlet() -> Outlet {
    Outlet::Deliver(Arc::new(Log))
}

#[async_trait]
impl Deliver for Log {
    async fn deliver(&self, event: &Event, _: Attempt) -> Delivery {
        let incident = event.incident();
        let incident_type = incident.map(|incident| incident.incident_type.name());
        let score = incident.map(|incident| incident.score.value());
        let confidence = incident.map(|incident| incident.confidence.confidence.value());
        let cause = incident.and_then(|incident| incident.facts().next()).map(|fact| one_line(&fact.sentence));
        match &event.payload {
            Payload::Change(change) => tracing::info!(
                event = event.id,
                change = change.name(),
                incident = %event.incident_id(),
                correlation = %event.correlation(),
                subject = one_line(event.subject()),
                incident_type,
                score,
                confidence,
                cause,
                "incident {}",
                change.name()
            ),
            Payload::Escalation(call) => tracing::warn!(
                event = event.id,
                code = call.escalation.reason,
                incident = %event.incident_id(),
                correlation = %event.correlation(),
                subject = one_line(event.subject()),
                incident_type,
                score,
                confidence,
                cause,
                history = one_line(call.escalation.history.join(" | ")),
                "escalation: {}: {}",
                one_line(&call.escalation.reason),
                one_line(&call.escalation.message)
            ),
        }
        Delivery::Accepted
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::outlet::TIMEOUT_DEFAULT;
    use crate::testing::{Lines, change, escalation, incident, noon};

    #[tokio::test]
    async fn a_line_says_what_where_how_sure_and_what_was_tried() {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let _guard = tracing::subscriber::set_default(Lines(Arc::clone(&lines)));
        let attempt = Attempt { limit: TIMEOUT_DEFAULT, now: noon() };
        let known = incident("payment-api");
        for event in [
            Event::of_change(&change("opened"), "/a", 1),
            Event::of_escalation(&escalation("made-worse"), Some(&known), "/a", 2),
        ] {
            assert_eq!(Log.deliver(&event, attempt).await, Delivery::Accepted);
        }
        let lines = lines.lock().unwrap().clone();
        let expected: [&[&str]; 2] = [
            &["INFO", "message=incident opened", "change=\"opened\"", "score=1.7"],
            &["WARN", "message=escalation: made-worse: 2 restarts didn't help", "12:06 not recovered"],
        ];
        assert_eq!(lines.len(), 2, "{lines:?}");
        for (line, words) in lines.iter().zip(expected) {
            let common = ["subject=\"shop/deployment/payment-api\"", "incident_type=\"oom-killed\"", "confidence=0.95"];
            for word in words.iter().chain(&common) {
                assert!(line.contains(word), "{word} in {line}");
            }
            assert!(line.contains(known.id.as_str()) && line.contains(known.correlation.as_str()), "{line}");
        }
    }
}
