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
