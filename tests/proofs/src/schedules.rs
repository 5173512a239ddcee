//! Schedules of faults against the product itself: the driver, the journal and the guardrails as they are, on the simulated shop,
//! with a clock, a cluster and a disk that fail. Everything follows from a seed, so a seed that fails can be run again.

mod cluster;
mod invariants;
mod record;
mod store;
mod world;

use std::sync::LazyLock;
use std::time::Duration;

use homeostat_core::{Seed, Timestamp, WorkloadKind};
use homeostat_remediate::{Action, Actions, Policy, load_policies};
use homeostat_simulate::{Call, ServiceSpec, ShopSpec};
use rand::Rng;
use sha2::{Digest, Sha256};

use self::record::Record;
use self::world::{Drill, World};

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
    let record = record(|| World::new(Seed::new(seed)));
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

/// What a drill of the kill switch came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stopped {
    /// Requests that change something before somebody said stop.
    pub n_before: usize,
    /// How long after it the last of them left; zero if none did.
    pub last_after: Duration,
}

/// Runs a schedule in which nothing goes wrong, but somebody says stop at a random moment and, if `hangs`, the API server has hung
/// since a random moment before.
pub fn drill(seed: u64, hangs: bool) -> Stopped {
    let mut chance = Seed::new(seed).fork("drill").rng();
    let after = Duration::from_millis(chance.random_range(0..3_600_000));
    let hangs_after = hangs.then(|| after.mul_f64(chance.random_range(0.5..1.0)));
    let record = record(|| World::drill(Seed::new(seed), Drill { after, hangs_after }));
    let stopped_at = START + after;
    let n_before = record.calls.iter().filter(|call| call.at <= stopped_at).count();
    let last_after = record.calls.iter().map(|call| call.at.since(stopped_at)).max().unwrap_or_default();
    Stopped { n_before, last_after }
}

/// Runs a world to its end, in time of its own.
fn record(world: impl FnOnce() -> World) -> Record {
    #[expect(clippy::expect_used, reason = "a runtime of one thread needs nothing that could be missing")]
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
    runtime.block_on(async { world().run().await })
}

/// Everything that was told and journaled in a schedule, for looking at one that fails.
pub fn story(seed: u64) -> String {
    let record = record(|| World::new(Seed::new(seed)));
    let mut story = String::new();
    for row in &record.rows {
        let text = format!("{} {} {} {} {} {}\n", row.seq, row.at, row.epoch.0, row.kind, row.about.plan, row.body);
        story.push_str(text.get(..400).unwrap_or(&text).trim_end());
        story.push('\n');
    }
    for (call, at) in record.calls.iter().map(|call| (call, call.at)) {
        story.push_str(&format!("call {at} {:?} {} by {}\n", call.what, call.plan.id, call.epoch));
    }
    for effect in &record.effects {
        story.push_str(&format!("effect {} {:?} {}\n", effect.at, effect.what, effect.plan.id));
    }
    for (from, until) in &record.stops {
        story.push_str(&format!("stopped {from} to {until}\n"));
    }
    story
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
    let can_play =
        |action: &&'static dyn Action| matches!(action.spec().name.as_str(), "rollout-restart" | "rollout-undo");
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
        calls: calls
            .iter()
            .map(|to| Call { to: (*to).to_owned(), per_request: 1.0, criticality: 1.0, waits: true })
            .collect(),
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
