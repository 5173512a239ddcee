//! Schedules of faults against the product itself: the driver, the journal and the guardrails as they are, on the simulated shop,
//! with a clock, a cluster and a disk that fail. Everything follows from a seed, so a seed that fails can be run again.

mod cluster;
mod invariants;
mod record;
mod store;
mod world;

use std::sync::LazyLock;
use std::time::Duration;

use homeostat_core::{
    Calibrated, Confidence, CorrelationId, Evidence, Incident, IncidentId, IncidentState, IncidentType, Score, Seed, Signal,
    Subject, Timestamp, WorkloadKind,
};
use homeostat_remediate::{Action, Actions, Policy, load_policies};
use homeostat_simulate::{Call, ServiceSpec, ShopSpec};
use sha2::{Digest, Sha256};

use self::record::Record;
use self::world::World;

/// Seeds that failed once, and must never again: one a line, what follows is why.
pub const FAILED_ONCE: &str = include_str!("../failed_seeds.txt");

const START: Timestamp = Timestamp::from_secs(36_000);
const NAMESPACE: &str = "shop";
const WEB: &str = "web";
const API: &str = "api";

const POLICIES: &str = "
remediation_policies:
- {incident_type: memory-leak, auto_execute: true, confidence_threshold: 0.9, max_attempts: 2, cooldown_after_action: 3m,
   verification_window: 3m, verification_settle: 30s, scope: {namespaces: [shop], workloads: [web, api]}}
- {incident_type: oom-killed, auto_execute: true, confidence_threshold: 0.9, max_attempts: 2, cooldown_after_action: 3m,
   verification_window: 3m, verification_settle: 30s, scope: {namespaces: [shop], workloads: [web, api]}}
- {incident_type: cpu-spike, auto_execute: true, confidence_threshold: 0.9, max_attempts: 2, cooldown_after_action: 3m,
   verification_window: 3m, verification_settle: 30s, scope: {namespaces: [shop], workloads: [web, api]}}
- {incident_type: bad-deployment, auto_execute: true, confidence_threshold: 0.9, max_attempts: 2, cooldown_after_action: 3m,
   rollback_if_failed: true, verification_window: 3m, verification_settle: 30s, scope: {namespaces: [shop], workloads: [web, api]}}
";

/// What a schedule came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// SHA-256 of everything that was told and journaled.
    pub digest: String,
    /// Violated invariants, each with how.
    pub violations: Vec<(u8, String)>,
    /// Writes that had an effect.
    pub n_effects: usize,
    /// Processes that were started.
    pub n_processes: i64,
    /// Actions, by the stage in which they are at the end.
    pub stages: Vec<&'static str>,
}

/// Runs one schedule.
pub fn run(seed: u64) -> Outcome {
    #[expect(clippy::expect_used, reason = "a runtime of one thread needs nothing that could be missing")]
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
    let record = runtime.block_on(async { World::new(Seed::new(seed)).run().await });
    let mut violations = Vec::new();
    for (number, check) in invariants::ALL.into_iter().chain([invariants::CALLS]) {
        violations.extend(check(&record).into_iter().map(|how| (number, how)));
    }
    Outcome {
        digest: digest(&record),
        violations,
        n_effects: record.effects.len(),
        n_processes: record.rows.iter().map(|row| row.epoch.0).max().unwrap_or_default(),
        stages: record.actions.iter().map(|action| action.stage.name()).collect(),
    }
}

/// The seeds that failed once.
pub fn failed_once() -> Vec<u64> {
    let number = |line: &str| line.split_whitespace().next().and_then(|word| word.parse().ok());
    FAILED_ONCE.lines().filter_map(number).collect()
}

fn digest(record: &Record) -> String {
    let mut hasher = Sha256::new();
    hasher.update(format!("{:?}", (&record.events, &record.calls, &record.effects)));
    for row in &record.rows {
        hasher.update(&row.hash);
    }
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What can be done to a shop.
fn actions() -> Actions {
    let can_play = |action: &&'static dyn Action| matches!(action.spec().name.as_str(), "rollout-restart" | "rollout-undo");
    homeostat_execute::actions().iter().filter(can_play).collect()
}

#[expect(clippy::expect_used, reason = "the policies above are constant")]
fn policies() -> Vec<Policy> {
    static LOADED: LazyLock<Vec<Policy>> =
        LazyLock::new(|| load_policies(POLICIES, "schedules", &actions()).expect("good policies"));
    LOADED.clone()
}

/// Two services that policies are for, one that none is for, and one that keeps state.
fn spec() -> ShopSpec {
    let service = |name: &str, kind: WorkloadKind, demand_rps: f64, calls: &[&str]| ServiceSpec {
        name: name.to_owned(),
        kind,
        replicas: 2,
        demand_rps,
        calls: calls.iter().map(|to| Call { to: (*to).to_owned(), per_request: 1.0, criticality: 1.0, waits: true }).collect(),
        cpu_s_per_request: 0.005,
        cpu_limit_cores: 1.0,
        latency_base_s: 0.02,
        memory_base: 0.4,
        memory_load: 0.1,
        startup_s: 20.0,
    };
    ShopSpec {
        namespace: NAMESPACE.to_owned(),
        step: Duration::from_secs(30),
        services: vec![
            service(WEB, WorkloadKind::Deployment, 50.0, &[API]),
            service(API, WorkloadKind::Deployment, 0.0, &["db"]),
            service("batch", WorkloadKind::Deployment, 5.0, &[]),
            service("db", WorkloadKind::StatefulSet, 0.0, &[]),
        ],
        history_steps: 10,
        scrape_loss: 0.0,
    }
}

/// An open incident of one feature, named like its type, of which it is certain enough.
fn incident(kind: IncidentType, subject: &Subject, at: Timestamp) -> Incident {
    #[expect(clippy::expect_used, reason = "constants between 0 and 1, and a score")]
    let (sure, lower, score) = (
        Confidence::new(0.99).expect("a confidence"),
        Confidence::new(0.95).expect("a confidence"),
        Score::new(2.0).expect("a score"),
    );
    Incident {
        id: IncidentId::of(subject, at),
        correlation: CorrelationId::of(subject, at),
        subject: subject.clone(),
        incident_type: kind,
        state: IncidentState::Open,
        opened_at: at,
        updated_at: at,
        score,
        score_peak: score,
        confidence: Calibrated { confidence: sure, lower, n_outcomes: 40, n_verdicts: 0 },
        evidence: vec![Evidence {
            feature: kind.name().to_owned(),
            signal: Signal::Other,
            observed: 3.0,
            expected: 0.0,
            deviation: 9.0,
        }],
        votes: vec![],
        affected: vec![],
        annotations: vec![],
        limits_ahead: vec![],
    }
}
