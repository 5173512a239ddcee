//! What counts must notice what it counts: each of these would be a wrong program.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use homeostat_core::{CorrelationId, IncidentId, IncidentType, Subject, Timestamp};
use homeostat_remediate::{
    ActionName, Args, Inverse, PastAction, Plan, PlanId, Recovery, Repeat, Stage, Step, Target, VerifySpec,
};
use homeostat_tests::audit::AuditEvent;

use super::life::Outcome;
use super::tally::Tally;

fn action(stage: Stage) -> Arc<PastAction> {
    let (subject, at) = (Subject::deployment("shop", "cart"), Timestamp::from_secs(36_000));
    let incident = IncidentId::of(&subject, at);
    let minute = Duration::from_secs(60);
    let plan = Plan {
        id: PlanId::of(&incident, 1),
        correlation: CorrelationId::of(&subject, at),
        incident,
        incident_type: IncidentType::Latency,
        policy: "test".into(),
        attempt: 1,
        target: Target { subject, uid: "u".into(), resource_version: "1".into(), generation: Some(1) },
        step: Step { action: ActionName::new("rollout-restart"), args: Args::default() },
        inverse: Inverse::Nothing,
        undo_if_failed: false,
        repeat: Repeat::Idempotent,
        verify: VerifySpec {
            features: vec!["latency".into()],
            window: minute,
            settle: minute,
            fresh_points_min: 3,
            traffic_floor: 0.0,
            replicas_before: 3,
            rollout_failed_before: false,
            recovery: Recovery::RollOut,
        },
        decided_at: at,
        apply_before: at + minute,
        deadline: at + 10 * minute,
    };
    Arc::new(PastAction { stage, ..PastAction::intended(plan, at) })
}

fn patched(resource: &str, name: &str) -> AuditEvent {
    AuditEvent {
        verb: "patch".into(),
        user: "u".into(),
        agent: String::new(),
        resource: resource.into(),
        subresource: String::new(),
        group: if resource == "nodes" { String::new() } else { "apps".into() },
        namespace: "shop".into(),
        name: name.into(),
        code: 200,
        uri: String::new(),
    }
}

fn outcome(stages: &[Stage], changes: Vec<AuditEvent>, calls: &[&str]) -> Outcome {
    Outcome {
        told: "a life".into(),
        was_killed: true,
        actions: stages.iter().map(|stage| action(*stage)).collect(),
        lent: Vec::new(),
        calls: calls.iter().map(|call| (*call).to_owned()).collect(),
        changes,
        n_rows: 1,
        log: String::new(),
    }
}

fn judged(outcome: &Outcome) -> Result<String> {
    let mut tally = Tally::default();
    tally.add(outcome)?;
    Ok(tally.conclude("test").err().map(|error| error.to_string()).unwrap_or_default())
}

#[test]
fn a_life_that_went_well_counts_nothing_and_each_wrong_one_is_counted() -> Result<()> {
    let once = || vec![patched("deployments", "cart")];
    let twice = || [once(), once()].concat();
    for well in [
        outcome(&[Stage::Recovered], once(), &[]),
        outcome(&[Stage::Undone], twice(), &["undone"]),
        outcome(&[Stage::NotApplied], vec![], &["not-applied"]),
        outcome(&[Stage::Unknown], once(), &["unknown"]),
        outcome(&[], vec![], &["not-inspected"]),
    ] {
        assert_eq!(judged(&well)?, "", "{:?}", well.changes);
    }
    let lent =
        Outcome { lent: vec![action(Stage::Recovered).plan.id.clone()], ..outcome(&[Stage::Recovered], once(), &[]) };
    for (wrong, kind) in [
        (outcome(&[Stage::Recovered], twice(), &[]), "double"),
        (outcome(&[Stage::Recovered, Stage::Recovered], once(), &[]), "double"),
        (outcome(&[], vec![], &[]), "forgotten"),
        (outcome(&[Stage::NotApplied], once(), &["not-applied"]), "forgotten"),
        (outcome(&[Stage::Recovered], vec![], &[]), "forgotten"),
        (outcome(&[Stage::Undone], once(), &["undone"]), "forgotten"),
        (outcome(&[Stage::Verifying], once(), &["a call"]), "forgotten"),
        (outcome(&[Stage::Unknown], once(), &[]), "forgotten"),
        (lent, "forgotten"),
        (outcome(&[Stage::Recovered], [once(), vec![patched("deployments", "other")]].concat(), &[]), "out_of_scope"),
        (outcome(&[Stage::Recovered], [once(), vec![patched("nodes", "cart")]].concat(), &[]), "out_of_scope"),
    ] {
        let judged = judged(&wrong)?;
        assert!(judged.contains(&format!("{kind}: a life")), "{kind}, not {judged:?}: {:?}", wrong.changes);
    }
    Ok(())
}
