//! A policy format for tests: what registering one takes. A list of incident types that a human is called for.

use std::time::Duration;

use homeostat_core::{Confidence, IncidentType, Mode};
use homeostat_settings::{Place, Reader};

use super::PolicyFormat;
use crate::action::Actions;
use crate::policy::{ATTEMPTS_WINDOW_MIN, OUTCOMES_MIN_DEFAULT, Policy, Scope};

pub(super) struct Fake;

impl PolicyFormat for Fake {
    fn keys(&self) -> &'static [&'static str] {
        &["call_for"]
    }

    fn read(&self, document: &mut Reader<'_>, _: &Actions) -> Vec<(Place, Policy)> {
        let incident_type = document.parsed::<IncidentType>("call_for");
        incident_type.map(|incident_type| (document.place(), policy(incident_type))).into_iter().collect()
    }

    #[cfg(test)]
    fn example(&self) -> &'static str {
        "call_for: oom-killed"
    }
}

fn policy(incident_type: IncidentType) -> Policy {
    let minute = Duration::from_secs(60);
    Policy {
        name: format!("call-for-{incident_type}"),
        incident_type,
        detection_signal: None,
        auto_execute: false,
        confidence_threshold: Confidence::ZERO,
        max_attempts: 1,
        attempts_window: ATTEMPTS_WINDOW_MIN,
        cooldown_after_action: minute,
        verification_window: minute,
        verification_settle: minute,
        rollback_if_failed: false,
        escalation_channel: None,
        action: None,
        mode: Mode::Recommend,
        scope: Scope::Unstated,
        traffic_floor: 0.5,
        outcomes_min: OUTCOMES_MIN_DEFAULT,
    }
}
