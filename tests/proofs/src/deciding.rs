//! How long deciding takes with a long history, and what many incidents at once come to.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use homeostat_core::{
    Calendar, Incident, IncidentState, IncidentType, Mode, Subject, Timestamp, Topology, WorkloadKind,
};
use homeostat_execute::{Applied, ApplyError, Driver, DriverEvent, Executor, SubjectSignals, TickInput, WriteOutcome};
use homeostat_journal::{CannotFollow, Fold, Intent, Journal, Journaled, Note};
use homeostat_remediate::{
    ActionName, Actions, Decision, DryRun, Environment, InspectError, Inspected, JournalEvent, KillSwitch, Level,
    NewestRows, PayloadError, Plan, Policy, Progress, Proposal, RegoFile, RegoRules, SafetyLimits, SameCluster, decide,
    load_policies,
};

use homeostat_settings::Findings;

use crate::fixture::incident;

const START: Timestamp = Timestamp::from_secs(1_000_000);

const POLICIES: &str = "
remediation_policy: {incident_type: oom-killed, auto_execute: true, confidence_threshold: 0.9, scope: {namespaces: [shop]}}
";

#[expect(clippy::expect_used, reason = "the policy above is constant")]
fn policies() -> Vec<Policy> {
    load_policies(POLICIES, "deciding", &homeostat_execute::actions()).expect("a good policy")
}

const RULES: &str = r#"
package homeostat

deny contains msg if {
    input.target.labels.tier == "payment"
    input.now.weekday in ["saturday", "sunday"]
    msg := sprintf("%s is a payment workload", [input.incident.name])
}

deny contains "too much is going on" if input.history.n_actions_1h > 20

deny contains "a second attempt is for a person" if input.action.attempt > 1
"#;

/// Rules as an organisation might have them, none of which objects to what is decided here.
#[expect(clippy::expect_used, reason = "the rules above are constant")]
pub fn rules() -> RegoRules {
    let file = RegoFile { name: "deciding.rego".into(), text: RULES.into() };
    RegoRules::read(&[file], &mut Findings::new()).expect("good rules")
}

/// What one moment of a decision knows beside the history.
struct Moment {
    policies: Vec<Policy>,
    actions: Actions,
    topology: Topology,
    calendar: Calendar,
    limits: SafetyLimits,
    rego: Option<RegoRules>,
}

impl Moment {
    fn new() -> Self {
        Self {
            policies: policies(),
            actions: homeostat_execute::actions(),
            topology: Topology::new(),
            calendar: Calendar::default(),
            limits: SafetyLimits::default(),
            rego: None,
        }
    }

    fn decide(&self, open: &Incident, fold: &Fold, now: Timestamp) -> Decision {
        let environment = Environment {
            mode: Mode::Execute,
            kill_switch: &KillSwitch::default(),
            open: std::slice::from_ref(open),
            is_storm: false,
            newest_rows: &NewestRows::default(),
            dry_run: &DryRun::Passed,
            same_cluster: &SameCluster::Proven,
            topology: &self.topology,
            calendar: &self.calendar,
            actions: &self.actions,
            rego: self.rego.as_ref(),
        };
        let seen = Inspected::at_rest("uid", WorkloadKind::Deployment, now);
        let history = fold.history();
        decide(&Proposal::new(open, &self.policies, &history), Ok(&seen), &history, &environment, &self.limits, now)
    }
}

/// How long this thread has computed: what others do on the machine meanwhile isn't counted.
fn computed() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(now.tv_sec).unwrap_or_default(), u32::try_from(now.tv_nsec).unwrap_or_default())
}

/// How long decisions took, and how much history there was.
#[derive(Clone, Debug)]
pub struct Decided {
    /// CPU time of each decision, shortest first.
    pub took: Vec<Duration>,
    /// Actions that deciding went by.
    pub n_actions: usize,
    /// Decisions to act.
    pub n_executed: usize,
}

/// Decides `n` times after a history of so many incidents, each with an action that has ended. What a decision takes includes
/// getting the history from the ledger, as in the product.
///
/// # Errors
/// [`CannotFollow`]: the history can't be made.
pub fn decide_often(n_incidents: u32, n: u32, rego: Option<RegoRules>) -> Result<Decided, CannotFollow> {
    let moment = Moment { rego, ..Moment::new() };
    let mut fold = Fold::default();
    // A minute apart: the newest seven days count.
    let at = |idx: u32| START + Duration::from_secs(60) * idx;
    for idx in 0..n_incidents {
        let now = at(idx);
        let subject = Subject::deployment("shop", format!("cart-{}", idx % 500));
        let open = incident(IncidentType::OomKilled, &subject, now);
        fold.note(&Note::Incident(Box::new(open.clone())), now)?;
        // The limits of a decision are for one cluster at one time; here a long past is made.
        let lax = SafetyLimits { starts_max: 25, target_attempts_max: 10, ..SafetyLimits::default() };
        let alone = Moment { limits: lax, ..Moment::new() };
        if let Decision::Execute(plan) = alone.decide(&open, &Fold::default(), now) {
            finish(&mut fold, plan, now)?;
        }
        fold.note(&Note::Incident(Box::new(Incident { state: IncidentState::Resolved, ..open })), now)?;
    }
    // An hour later, when the budgets of the last hour are free again.
    let now = at(n_incidents) + Duration::from_secs(3600);
    let n_actions = fold.history().actions.len();
    let (mut took, mut n_executed) = (Vec::new(), 0);
    for idx in 0..n {
        let open = incident(IncidentType::OomKilled, &Subject::deployment("shop", format!("cart-{}", idx % 500)), now);
        let began = computed();
        let decision = moment.decide(&open, &fold, now);
        took.push(computed().saturating_sub(began));
        n_executed += usize::from(matches!(decision, Decision::Execute(_)));
    }
    took.sort_unstable();
    Ok(Decided { took, n_actions, n_executed })
}

/// An action that was applied and helped.
fn finish(fold: &mut Fold, plan: Plan, now: Timestamp) -> Result<(), CannotFollow> {
    let id = plan.id.clone();
    let levels_before = [("oom-killed".to_owned(), Level { deviation: 9.0, value: 3.0 })].into();
    let intent =
        Intent { plan, executor: "model".into(), write: "{}".into(), traffic_before: Some(10.0), levels_before };
    fold.record(&intent, now)?;
    let applied = JournalEvent::Applied { resource_version: "2".into(), altered: None };
    for event in [JournalEvent::ApplyStarted, applied, JournalEvent::Recovered] {
        fold.append(&id, &event, now)?;
    }
    Ok(())
}

/// What many incidents at once came to.
#[derive(Clone, Debug)]
pub struct Storm {
    /// Calls for a human.
    pub n_calls: usize,
    /// Requests that ask or change something.
    pub n_requests: usize,
    /// The longest tick.
    pub longest: Duration,
    /// Rows of the journal.
    pub n_rows: i64,
}

/// So many incidents open at once, for several ticks.
///
/// # Errors
/// Why there is no journal.
pub fn storm(n_incidents: u32, n_ticks: u32) -> Result<Storm, homeostat_journal::OpenError> {
    let requests = Arc::new(AtomicUsize::new(0));
    let journal = Arc::new(Journal::in_memory()?);
    let executor = Arc::new(Counted(Arc::clone(&requests), homeostat_execute::actions()));
    let mut driver = Driver::new(executor, Arc::clone(&journal), policies(), SafetyLimits::default());
    let name = |idx: u32| Subject::deployment("shop", format!("cart-{idx}"));
    let mut incidents: Vec<Incident> =
        (0..n_incidents).map(|idx| incident(IncidentType::OomKilled, &name(idx), START)).collect();
    let signals: BTreeMap<Subject, SubjectSignals> = BTreeMap::new();
    #[expect(clippy::expect_used, reason = "a runtime of one thread needs nothing that could be missing")]
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let (mut n_calls, mut longest) = (0, Duration::ZERO);
    for tick in 0..n_ticks {
        let now = START + Duration::from_secs(30) * tick;
        for incident in &mut incidents {
            incident.updated_at = now;
        }
        let input = TickInput {
            incidents: &incidents,
            signals: &signals,
            kill_switch: &KillSwitch::default(),
            mode: Mode::Execute,
            topology: &Topology::new(),
            calendar: &Calendar::default(),
        };
        let began = Instant::now();
        let events = runtime.block_on(driver.tick(now, &input));
        longest = longest.max(began.elapsed());
        n_calls += events.iter().filter(|event| matches!(event, DriverEvent::Escalate(_))).count();
    }
    Ok(Storm { n_calls, n_requests: requests.load(Ordering::SeqCst), longest, n_rows: journal.head().seq })
}

/// A cluster that only counts who comes.
struct Counted(Arc<AtomicUsize>, Actions);

impl Counted {
    fn count(&self) -> InspectError {
        self.0.fetch_add(1, Ordering::SeqCst);
        InspectError::Unavailable { why: "nobody is to ask in a storm".into() }
    }
}

#[async_trait]
impl Executor for Counted {
    fn name(&self) -> &'static str {
        "counted"
    }

    fn actions(&self) -> &Actions {
        &self.1
    }

    fn payload(&self, _: &Plan) -> Result<String, PayloadError> {
        Ok(String::new())
    }

    async fn inspect(&self, _: &ActionName, _: &Subject, _: Timestamp) -> Result<Inspected, InspectError> {
        Err(self.count())
    }

    async fn outcome_of_write(&self, _: &Plan) -> Result<WriteOutcome, InspectError> {
        Err(self.count())
    }

    async fn apply(&self, _: &Journaled, _: &str) -> Result<Applied, ApplyError> {
        Err(ApplyError::Unknown { why: self.count().to_string() })
    }

    async fn undo(&self, _: &Journaled) -> Result<Applied, ApplyError> {
        Err(ApplyError::Unknown { why: self.count().to_string() })
    }

    async fn progress(&self, _: &Plan) -> Result<Progress, InspectError> {
        Err(self.count())
    }
}
