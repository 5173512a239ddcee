//! The process that acts, and dies: the real driver on a real journal and a real API server. It is this test program, started with the name of
//! the test below and what it is to do in an environment variable.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use async_trait::async_trait;
use homeostat_core::{
    Calendar, Calibrated, Confidence, CorrelationId, Evidence, Incident, IncidentId, IncidentState, IncidentType, Mode,
    Score, Signal, Subject, Timestamp, Topology, WorkloadKind,
};
use homeostat_execute::{
    Clock, ConnectSpec, Driver, DriverEvent, PausePoint, Places, Registry, SubjectSignals, TickInput, actions,
};
use homeostat_journal::{AppendError, Cut, Epoch, Head, Journal, ReadError, Row, SqliteStore, Store};
use homeostat_remediate::{KillSwitch, Observation, RowScore, SafetyLimits, load_policies};
use homeostat_tests::shop_feed;
use serde_json::{Value, json};

/// What the process is to do, as JSON.
pub(super) const LIFE: &str = "HOMEOSTAT_FAULTS_LIFE";
/// The name of the test that is the process.
pub(super) const TEST: &str = "faults::child::acts_and_dies_where_it_is_told_to";
pub(super) const JOURNAL: &str = "journal.db";
/// One call for a human a line.
pub(super) const CALLS: &str = "calls";

/// Time runs so many times faster than the machine's: minutes of verification are seconds. The limits that depend on each other do so, too: a
/// write is given up after a second and a half, which is fifteen of the driver's, and it waits for thirty.
const SPEED: i64 = 10;
const API_TIMEOUT: Duration = Duration::from_millis(1500);

/// Between two cycles: three seconds of the driver's.
const CYCLE: Duration = Duration::from_millis(300);

/// The rows of a window, and how far apart they are.
const ROWS: usize = 40;
const ROW_STEP: Duration = Duration::from_secs(3);

/// Nothing is under way for longer: an action ends within a quarter of an hour, and what is lent is given back after five minutes.
const LIVES_AT_MOST: Duration = Duration::from_secs(30 * 60);

/// Where the process ends itself, as `kill -9` does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Death {
    Never,
    BeforeRow(u64),
    AfterRow(u64),
    BetweenJournalAndWrite,
    BetweenWriteAndItsRow,
}

impl Death {
    fn to_json(self) -> Value {
        match self {
            Self::Never => Value::Null,
            Self::BeforeRow(row) => json!({ "before": row }),
            Self::AfterRow(row) => json!({ "after": row }),
            Self::BetweenJournalAndWrite => json!("after-journal"),
            Self::BetweenWriteAndItsRow => json!("after-apply"),
        }
    }

    fn of(value: &Value) -> Self {
        match (value["before"].as_u64(), value["after"].as_u64(), value.as_str()) {
            (Some(row), _, _) => Self::BeforeRow(row),
            (_, Some(row), _) => Self::AfterRow(row),
            (_, _, Some("after-journal")) => Self::BetweenJournalAndWrite,
            (_, _, Some("after-apply")) => Self::BetweenWriteAndItsRow,
            (None, None, Some(_) | None) => Self::Never,
        }
    }
}

/// What the process is to do.
#[derive(Clone, Debug)]
pub(super) struct Orders {
    pub(super) kubeconfig: PathBuf,
    pub(super) folder: PathBuf,
    pub(super) policy: String,
    pub(super) subject: Subject,
    /// When the incident began.
    pub(super) began: Timestamp,
    /// Whether the signals become normal once the action is done.
    pub(super) recovers: bool,
    pub(super) death: Death,
}

impl Orders {
    pub(super) fn to_json(&self) -> String {
        json!({
            "kubeconfig": self.kubeconfig, "folder": self.folder, "policy": self.policy,
            "namespace": self.subject.namespace, "name": self.subject.name,
            "daemons": self.subject.kind == WorkloadKind::DaemonSet,
            "began": self.began.as_millis(), "recovers": self.recovers, "death": self.death.to_json(),
        })
        .to_string()
    }

    fn read(text: &str) -> Result<Self> {
        let orders: Value = serde_json::from_str(text)?;
        let text = |key: &str| orders[key].as_str().map(str::to_owned).context(key.to_owned());
        let kind = if orders["daemons"] == true { WorkloadKind::DaemonSet } else { WorkloadKind::Deployment };
        Ok(Self {
            kubeconfig: text("kubeconfig")?.into(),
            folder: text("folder")?.into(),
            policy: text("policy")?,
            subject: Subject { kind, ..Subject::deployment(text("namespace")?, text("name")?) },
            began: Timestamp::from_millis(orders["began"].as_i64().context("began")?),
            recovers: orders["recovers"] == true,
            death: Death::of(&orders["death"]),
        })
    }
}

/// This is no test of its own: the tests of faults start it.
#[tokio::test]
async fn acts_and_dies_where_it_is_told_to() -> Result<()> {
    let Ok(orders) = std::env::var(LIFE) else {
        println!("SKIP {TEST}: the tests of faults start it as a process of its own");
        return Ok(());
    };
    homeostat_tests::http::use_ring();
    live(&Orders::read(&orders)?).await
}

struct Fast {
    began: Timestamp,
}

impl Clock for Fast {
    fn now(&self) -> Timestamp {
        let passed_ms = shop_feed::now().as_millis() - self.began.as_millis();
        Timestamp::from_millis(self.began.as_millis() + passed_ms * SPEED)
    }
}

fn die() -> ! {
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    // The signal takes effect before this is reached, or never.
    std::process::abort()
}

/// A store whose process dies before or after its n-th row is durable.
struct Dying {
    store: SqliteStore,
    n_rows: AtomicU64,
    death: Death,
}

#[async_trait]
impl Store for Dying {
    async fn base(&self) -> Result<Option<Head>, ReadError> {
        self.store.base().await
    }
    async fn read(&self, after: i64) -> Result<Vec<Row>, ReadError> {
        self.store.read(after).await
    }
    async fn append(&self, row: &Row, after: &Head, epoch: Epoch) -> Result<(), AppendError> {
        let row_no = self.n_rows.fetch_add(1, Ordering::SeqCst) + 1;
        if self.death == Death::BeforeRow(row_no) {
            die();
        }
        let written = self.store.append(row, after, epoch).await;
        if self.death == Death::AfterRow(row_no) {
            die();
        }
        written
    }
    async fn archive(&self, cut: &Cut, row: &Row, after: &Head, epoch: Epoch) -> Result<(), AppendError> {
        self.store.archive(cut, row, after, epoch).await
    }
    async fn rows_of(&self, incident: &str) -> Result<Vec<Row>, ReadError> {
        self.store.rows_of(incident).await
    }
}

async fn live(orders: &Orders) -> Result<()> {
    let clock = Arc::new(Fast { began: orders.began });
    let (store, epoch) = SqliteStore::open(&orders.folder.join(JOURNAL))?;
    let dying = Dying { store, n_rows: AtomicU64::new(0), death: orders.death };
    let journal = Arc::new(Journal::over(Box::new(dying), epoch).map_err(|error| anyhow::anyhow!("{error:?}"))?);
    let spec = ConnectSpec { kubeconfig: Some(orders.kubeconfig.clone()), context: None, timeout: API_TIMEOUT };
    let cluster = homeostat_execute::Cluster::load(&spec).await?;
    let executor = Arc::new(Registry::new(Places::default().with_cluster(cluster)));
    let policies = load_policies(&orders.policy, "policy", &actions());
    let policies = policies.map_err(|problems| anyhow::anyhow!("{}: {problems:?}", orders.policy))?;
    let mut driver = Driver::new(executor, Arc::clone(&journal), policies, SafetyLimits::default())
        .with_clock(Arc::clone(&clock) as Arc<dyn Clock>);
    let death = orders.death;
    driver = driver.with_pause(Arc::new(move |point| match (point, death) {
        (PausePoint::AfterJournal, Death::BetweenJournalAndWrite)
        | (PausePoint::AfterApply, Death::BetweenWriteAndItsRow) => die(),
        (PausePoint::AfterJournal | PausePoint::AfterApply, _) => {}
    }));

    let incident = incident(&orders.subject, orders.began)?;
    let (topology, calendar, kill_switch) = (Topology::new(), Calendar::default(), KillSwitch::default());
    let events = driver.recover(clock.now()).await;
    hand_over(&mut driver, events, orders, clock.now())?;
    let mut cycle = tokio::time::interval(CYCLE);
    while clock.now() < orders.began + LIVES_AT_MOST && !is_over(&journal, orders, clock.now())? {
        cycle.tick().await;
        let now = clock.now();
        let mut open = incident.clone();
        open.updated_at = now;
        let signals = signals(&open, cured_at(&journal, orders)?, now);
        let input = TickInput {
            incidents: &[open],
            signals: &BTreeMap::from([(orders.subject.clone(), signals)]),
            kill_switch: &kill_switch,
            mode: Mode::Execute,
            topology: &topology,
            calendar: &calendar,
        };
        let events = driver.tick(now, &input).await;
        hand_over(&mut driver, events, orders, now)?;
    }
    Ok(())
}

/// Whoever is called has taken it over once it is in the file.
fn hand_over(driver: &mut Driver, events: Vec<DriverEvent>, orders: &Orders, now: Timestamp) -> Result<()> {
    for event in events {
        println!("{event:?}");
        if let DriverEvent::Escalate(call) = event {
            let calls = orders.folder.join(CALLS);
            let mut calls = std::fs::OpenOptions::new().create(true).append(true).open(calls)?;
            writeln!(calls, "{}: {}", call.reason, call.message.replace('\n', " "))?;
            // A journal that doesn't take it reports the call again, which is no harm.
            let _ = driver.escalation_delivered(&call.incident, &call.reason, now);
        }
    }
    Ok(())
}

/// From when on the signals are normal.
fn cured_at(journal: &Journal, orders: &Orders) -> Result<Option<Timestamp>> {
    let history = journal.history()?;
    Ok(history.actions.first().and_then(|action| action.applied_at).filter(|_| orders.recovers))
}

/// Whether there is nothing left to do: every action has ended and what was lent is back, or a person was called without any.
fn is_over(journal: &Journal, orders: &Orders, now: Timestamp) -> Result<bool> {
    let history = journal.history()?;
    if history.actions.is_empty() {
        return Ok(calls(&orders.folder).iter().any(|call| !call.is_empty()));
    }
    let later = now + Duration::from_secs(30 * 24 * 3600);
    Ok(history.actions.iter().all(|action| action.stage.is_end()) && journal.to_restore(later)?.is_empty())
}

/// The calls for a human so far.
pub(super) fn calls(folder: &Path) -> Vec<String> {
    std::fs::read_to_string(folder.join(CALLS)).unwrap_or_default().lines().map(str::to_owned).collect()
}

/// How an incident of the story looks.
fn incident(subject: &Subject, at: Timestamp) -> Result<Incident> {
    let score = Score::new(2.0).context("a score")?;
    let confidence = |value| Confidence::new(value).context("a confidence");
    let sure = Calibrated { confidence: confidence(0.99)?, lower: confidence(0.95)?, n_outcomes: 40, n_verdicts: 0 };
    let evidence =
        Evidence { feature: "latency".to_owned(), signal: Signal::Other, observed: 3.0, expected: 0.0, deviation: 9.0 };
    Ok(Incident {
        id: IncidentId::of(subject, at),
        correlation: CorrelationId::of(subject, at),
        subject: subject.clone(),
        incident_type: IncidentType::Latency,
        state: IncidentState::Open,
        opened_at: at,
        updated_at: at,
        score,
        score_peak: score,
        confidence: sure,
        evidence: vec![evidence],
        votes: vec![],
        affected: vec![],
        annotations: vec![],
        limits_ahead: vec![],
    })
}

fn signals(incident: &Incident, cured_at: Option<Timestamp>, now: Timestamp) -> SubjectSignals {
    let moments = std::iter::successors(Some(now.align_down(ROW_STEP)), |at| Some(*at - ROW_STEP));
    let rows: Vec<(Timestamp, bool)> = moments
        .take(ROWS)
        .filter(|at| *at > incident.opened_at)
        .map(|at| (at, cured_at.is_some_and(|cured_at| at > cured_at)))
        .collect();
    let observation = |(at, normal): &(Timestamp, bool)| Observation {
        feature: incident.evidence[0].feature.clone(),
        signal: incident.evidence[0].signal,
        at: *at,
        value: Some(1.0),
        deviation: Some(if *normal { 0.0 } else { 9.0 }),
        normal: *normal,
    };
    let score = |(at, normal): &(Timestamp, bool)| RowScore { at: *at, is_calm: *normal, opens_at_once: false };
    SubjectSignals {
        observations: rows.iter().map(observation).collect(),
        scores: rows.iter().map(score).collect(),
        traffic: None,
    }
}
