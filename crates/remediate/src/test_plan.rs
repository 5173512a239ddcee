//! A plan for tests of this crate.

use std::time::Duration;

use homeostat_core::{
    Action, CorrelationId, IncidentId, IncidentType, Inverse, Plan, PlanId, Subject, Target, Timestamp, VerifySpec,
};

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
        action: Action::RolloutRestart { restarted_at: at },
        inverse: Inverse::NothingToUndo,
        undo_if_failed: false,
        verify: VerifySpec {
            features: vec!["errors".into()],
            window: 5 * minute,
            settle: minute,
            fresh_points_min: 3,
            traffic_floor: 0.5,
            replicas_before: 3,
        },
        decided_at: at,
        apply_before: at + 2 * minute,
        deadline: at + 20 * minute,
    }
}
