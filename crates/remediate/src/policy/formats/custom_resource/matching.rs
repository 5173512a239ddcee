//! `spec.match`: which incidents a policy is for.

use homeostat_core::{Comparison, IncidentType, ThresholdRule};
use homeostat_settings::Reader;

use crate::policy::read;

/// Which incidents a policy is for.
pub(super) struct Matched {
    pub(super) incident_type: IncidentType,
    pub(super) rule: Option<ThresholdRule>,
    pub(super) detection_signal: Option<String>,
}

pub(super) fn read(reader: &mut Reader<'_>) -> Option<Matched> {
    let incident_type = read::incident_type(reader, "incidentType");
    let detection_signal = reader.text("detectionSignal");
    let rule = reader.section("threshold", read_rule);
    let incident_type = match (incident_type, &rule) {
        (Some(incident_type), _) => incident_type,
        // What a rule opens needs no type of its own.
        (None, Some(_)) if reader.node("incidentType").is_none() => IncidentType::Unknown,
        (None, _) => {
            reader.require_such_as("incidentType", incident_type, "oom-killed");
            return None;
        }
    };
    match rule {
        None => Some(Matched { incident_type, rule: None, detection_signal }),
        Some(rule) => rule.map(|rule| Matched { incident_type, rule: Some(rule), detection_signal }),
    }
}

fn read_rule(reader: &mut Reader<'_>) -> Option<ThresholdRule> {
    let metric = reader.text("metric");
    reader.require_such_as("metric", metric.as_ref(), "cpu");
    let comparison = reader.parsed::<Comparison>("operator");
    reader.require_such_as("operator", comparison, "\">\"");
    let threshold = reader.number("value", f64::MIN..=f64::MAX);
    reader.require_such_as("value", threshold, "0.8");
    let window = reader.duration_in("window", read::RULE_WINDOW);
    reader.require_such_as("window", window, "5m");
    Some(ThresholdRule { metric: metric?, comparison: comparison?, threshold: threshold?, window: window? })
}
