//! A plan for tests of this crate.

use std::time::Duration;

use homeostat_core::{CorrelationId, IncidentId, IncidentType, Subject, Timestamp};

use crate::plan::{Plan, PlanId, Target, VerifySpec};
use crate::step::{Args, Inverse, Recovery, Repeat, Step};
use crate::test_actions::RESTART;

/// A restart of `shop/deployment/NAME`, decided at `at`: one feature `errors`, settle 1 m, window 5 m, three points.
pub(crate) fn plan(name: &str, at: Timestamp) -> Plan {
    let subject = Subject::deployment("shop", name);
    let incident = IncidentId::of(&subject, at);
    let minute = Duration::from_secs(60);
    Plan {
        id: PlanId::of(&incident, 1),
        incident,
        correlation: CorrelationId::of(&subject, at),
        incident_type: IncidentType::OomKilled,
        policy: "restart".into(),
        attempt: 1,
        target: Target { subject, uid: "u".into(), resource_version: "1".into(), generation: None },
        step: Step { action: RESTART, args: Args::default().with("restarted_at", at.to_string()) },
        inverse: Inverse::Nothing,
        repeat: Repeat::Idempotent,
        undo_if_failed: false,
        verify: VerifySpec {
            features: vec!["errors".into()],
            window: 5 * minute,
            settle: minute,
            fresh_points_min: 3,
            traffic_floor: 0.5,
            replicas_before: 3,
            rollout_failed_before: false,
            recovery: Recovery::RollOut,
        },
        decided_at: at,
        apply_before: at + 2 * minute,
        deadline: at + 20 * minute,
    }
}
