//! The sink that is always there: the program's own log.

use async_trait::async_trait;
use serde_json::Value;

use crate::event::{Event, EventKind};
use crate::sink::{Delivery, Sink};

/// Writes each event as one structured line: changes as information, escalations as warnings.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogSink;

#[async_trait]
impl Sink for LogSink {
    fn name(&self) -> &'static str {
        "log"
    }

    async fn deliver(&self, event: &Event) -> Delivery {
        let body: Value = serde_json::from_str(&event.body).unwrap_or(Value::Null);
        let text = |pointer: &str| body.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        let number = |pointer: &str| body.pointer(pointer).and_then(Value::as_f64);
        let (incident, correlation) = (text("/data/incident/id"), text("/data/incident/correlation"));
        let (subject, incident_type) = (text("/subject"), text("/data/incident/type"));
        let score = number("/data/incident/score");
        let confidence = number("/data/incident/confidence/confidence");
        match event.kind {
            EventKind::Change => {
                let change = text("/data/change");
                tracing::info!(
                    event = event.id,
                    change,
                    incident,
                    correlation,
                    subject,
                    incident_type,
                    score,
                    confidence,
                    "incident {change}"
                );
            }
            EventKind::Escalation => {
                let (reason, channel) = (text("/data/reason"), text("/data/channel"));
                let suggested_action = text("/data/suggested_action");
                let history = body.pointer("/data/history").map(Value::to_string).unwrap_or_default();
                tracing::warn!(
                    event = event.id,
                    channel,
                    incident,
                    correlation,
                    subject,
                    incident_type,
                    score,
                    confidence,
                    history,
                    suggested_action,
                    "escalation: {reason}"
                );
            }
        }
        Delivery::Accepted
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;
    use std::sync::{Arc, Mutex};

    use tracing::field::{Field, Visit};
    use tracing::span::{Attributes, Id, Record};
    use tracing::{Metadata, Subscriber};

    use super::*;
    use crate::testing::{change, escalation, noon};

    /// Writes each event down as `LEVEL field=value …`.
    struct Lines(Arc<Mutex<Vec<String>>>);

    struct Line(String);

    impl Visit for Line {
        fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
            self.0.push_str(&format!(" {}={value:?}", field.name()));
        }
    }

    impl Subscriber for Lines {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }
        fn new_span(&self, _: &Attributes<'_>) -> Id {
            Id::from_u64(1)
        }
        fn record(&self, _: &Id, _: &Record<'_>) {}
        fn record_follows_from(&self, _: &Id, _: &Id) {}
        fn enter(&self, _: &Id) {}
        fn exit(&self, _: &Id) {}
        fn event(&self, event: &tracing::Event<'_>) {
            let mut line = Line(event.metadata().level().to_string());
            event.record(&mut line);
            self.0.lock().unwrap().push(line.0);
        }
    }

    #[tokio::test]
    async fn a_line_says_what_where_how_sure_and_what_to_do() {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let _guard = tracing::subscriber::set_default(Lines(Arc::clone(&lines)));
        assert_eq!(LogSink.deliver(&Event::of_change(&change("opened"), "/a")).await, Delivery::Accepted);
        let told = escalation("pagerduty-p1");
        assert_eq!(LogSink.deliver(&Event::of_escalation(&told, "/a", noon())).await, Delivery::Accepted);
        let lines = lines.lock().unwrap().clone();
        let expected: [&[&str]; 2] = [
            &["INFO", "message=incident opened", "change=\"opened\"", "score=1.7"],
            &[
                "WARN",
                "message=escalation: 2 restarts didn't help",
                "12:06 not recovered",
                "rollout-undo to revision 1",
            ],
        ];
        assert_eq!(lines.len(), 2, "{lines:?}");
        for (line, words) in lines.iter().zip(expected) {
            let common = ["subject=\"shop/deployment/payment-api\"", "incident_type=\"oom-killed\"", "confidence=0.95"];
            for word in words.iter().chain(&common) {
                assert!(line.contains(word), "{word} in {line}");
            }
            assert!(
                line.contains(told.incident.id.as_str()) && line.contains(told.incident.correlation.as_str()),
                "{line}"
            );
        }
    }
}
