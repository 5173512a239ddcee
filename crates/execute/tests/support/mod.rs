//! A simulated cluster to act on, and short ways to make incidents.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "shared by several test programs"
)]

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use homeostat_core::{
    Calibrated, Confidence, CorrelationId, Evidence, Incident, IncidentId, IncidentState, IncidentType, Score, Signal,
    Subject, Timestamp,
};
use homeostat_execute::{Applied, ApplyError, Executor, WriteOutcome};
use homeostat_journal::Journaled;
use homeostat_remediate::{
    ActionName, Actions, Disruption, DryRun, InspectError, Inspected, Inverse, Known, Marker, Owner, PayloadError,
    Plan, PlanId, PreviousRevision, Progress,
};

/// What the next write does instead of working.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// No answer; it wasn't written.
    LostRequest,
    /// No answer; it was written.
    LostAnswer,
    /// No answer; it is written when it [arrives](SimulatedExecutor::arrive).
    Late,
    /// A clear no.
    Forbidden,
    /// It can't be written now, and nothing was.
    NotNow,
    /// It was written, and changed on its way.
    Altered,
}

#[derive(Clone, Debug)]
pub struct Object {
    pub uid: String,
    pub version: u64,
    /// Raised by every change but one of the status.
    pub generation: i64,
    pub revision: u32,
    pub revision_previous: Option<u32>,
    pub replicas: u32,
    pub owner: Option<Owner>,
    pub disruption: Disruption,
    pub created_at: Option<Timestamp>,
    pub rollout_in_progress: bool,
    pub rollout_failed: Option<String>,
    /// The roll-out that the next write begins fails.
    pub rollout_breaks: bool,
    pub has_persistent_volume: bool,
    pub paused: bool,
    pub marker: Option<PlanId>,
    pub undone: Option<PlanId>,
}

#[derive(Debug, Default)]
pub struct Cluster {
    pub objects: BTreeMap<Subject, Object>,
    /// Writes that changed something, in order.
    pub writes: Vec<(Subject, PlanId)>,
    /// Undos that changed something, in order.
    pub undos: Vec<(Subject, PlanId)>,
    /// Every write request that came in, with what it was.
    pub requests: usize,
    pub trouble: Option<Trouble>,
    /// What dry runs come to.
    pub dry_run: DryRun,
    pub n_dry_runs: usize,
    pub is_down: bool,
    /// Every call waits so long for its answer.
    pub delay: Duration,
    /// Calls that looked at something, in order.
    pub looks: Vec<Subject>,
    /// So many writes find that only the status moved on.
    pub conflicts: usize,
    /// Whether a written object shows its marker is read from these instead of what is stored.
    pub past: Option<BTreeMap<Subject, Object>>,
    /// The write that is still on its way, with the version it was sent for.
    pub late: Option<(Plan, String)>,
}

/// A simulated cluster that keeps the executor's contract.
#[derive(Default)]
pub struct SimulatedExecutor(pub Mutex<Cluster>);

impl SimulatedExecutor {
    pub fn with(subjects: &[&Subject]) -> Self {
        let executor = Self::default();
        for subject in subjects {
            executor.add(subject);
        }
        executor
    }

    pub fn add(&self, subject: &Subject) {
        let object = Object {
            uid: format!("uid-{}", subject.name),
            version: 1,
            generation: 1,
            revision: 7,
            revision_previous: Some(6),
            replicas: 3,
            owner: None,
            disruption: Disruption::default(),
            created_at: None,
            rollout_in_progress: false,
            rollout_failed: None,
            rollout_breaks: false,
            has_persistent_volume: false,
            paused: false,
            marker: None,
            undone: None,
        };
        self.0.lock().unwrap().objects.entry(subject.clone()).or_insert(object);
    }

    pub fn change(&self, subject: &Subject, change: impl FnOnce(&mut Object)) {
        change(self.0.lock().unwrap().objects.get_mut(subject).unwrap());
    }

    /// The write that is still on its way arrives.
    /// From now on reads show what is there now.
    pub fn stand_still(&self) {
        let mut cluster = self.0.lock().unwrap();
        cluster.past = Some(cluster.objects.clone());
    }

    pub fn arrive(&self) {
        let mut cluster = self.0.lock().unwrap();
        if let Some((plan, version)) = cluster.late.take() {
            let _ = cluster.write(&plan, &version, false);
        }
    }

    pub fn n_writes(&self) -> usize {
        self.0.lock().unwrap().writes.len()
    }

    pub fn n_undos(&self) -> usize {
        self.0.lock().unwrap().undos.len()
    }
}

impl SimulatedExecutor {
    async fn wait(&self) {
        let delay = self.0.lock().unwrap().delay;
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
    }
}

impl Cluster {
    fn reach(&self) -> Result<(), InspectError> {
        if self.is_down { Err(InspectError::Unavailable { why: "connection refused".into() }) } else { Ok(()) }
    }

    fn write(&mut self, plan: &Plan, resource_version: &str, is_undo: bool) -> Result<Applied, ApplyError> {
        self.requests += 1;
        if self.is_down {
            return Err(ApplyError::Unknown { why: "connection refused".into() });
        }
        let trouble = self.trouble.take();
        match trouble {
            Some(Trouble::LostRequest) => return Err(ApplyError::Unknown { why: "timed out".into() }),
            Some(Trouble::Late) => {
                self.late = Some((plan.clone(), resource_version.to_owned()));
                return Err(ApplyError::Unknown { why: "timed out".into() });
            }
            Some(Trouble::Forbidden) => return Err(ApplyError::Rejected { why: "forbidden".into() }),
            Some(Trouble::NotNow) => {
                return Err(ApplyError::NotNow { why: "an admission webhook is unavailable".into() });
            }
            Some(Trouble::LostAnswer | Trouble::Altered) | None => {}
        }
        let subject = plan.target.subject.clone();
        let object = self.objects.get_mut(&subject).ok_or(ApplyError::Stale { why: "it is gone".into() })?;
        if self.conflicts > 0 {
            self.conflicts -= 1;
            object.version += 1;
            let resource_version = object.version.to_string();
            return Err(ApplyError::Conflict { resource_version, why: "409".into() });
        }
        let done = if is_undo { &object.undone } else { &object.marker };
        if done.as_ref() != Some(&plan.id) {
            let expected = if is_undo {
                object.marker == Some(plan.id.clone())
            } else {
                object.uid == plan.target.uid && object.version.to_string() == resource_version
            };
            if !expected {
                return Err(ApplyError::Stale { why: format!("version {}", object.version) });
            }
            let step = match &plan.inverse {
                Inverse::Step(inverse) | Inverse::Temporary { step: inverse, .. } if is_undo => inverse,
                Inverse::Step(_) | Inverse::Temporary { .. } | Inverse::Nothing | Inverse::Irreversible => &plan.step,
            };
            let to = step.args.text("to_revision").map(str::to_owned);
            if let Some(to) = to {
                object.revision_previous = Some(object.revision);
                object.revision = to.parse().unwrap();
            }
            object.version += 1;
            object.generation += 1;
            if is_undo {
                object.undone = Some(plan.id.clone());
                self.undos.push((subject.clone(), plan.id.clone()));
            } else {
                object.marker = Some(plan.id.clone());
                self.writes.push((subject.clone(), plan.id.clone()));
            }
        }
        if trouble == Some(Trouble::LostAnswer) {
            return Err(ApplyError::Unknown { why: "connection reset".into() });
        }
        let altered = (trouble == Some(Trouble::Altered)).then(|| "changed by admission".to_owned());
        Ok(Applied { resource_version: self.objects[&subject].version.to_string(), altered })
    }
}

#[async_trait]
impl Executor for SimulatedExecutor {
    fn name(&self) -> &'static str {
        "simulated"
    }

    fn actions(&self) -> &Actions {
        static ACTIONS: std::sync::LazyLock<Actions> = std::sync::LazyLock::new(homeostat_execute::actions);
        &ACTIONS
    }

    fn payload(&self, plan: &Plan) -> Result<String, PayloadError> {
        Ok(serde_json::to_string(&plan.step).unwrap())
    }

    async fn inspect(&self, _: &ActionName, subject: &Subject, now: Timestamp) -> Result<Inspected, InspectError> {
        self.wait().await;
        let mut cluster = self.0.lock().unwrap();
        cluster.looks.push(subject.clone());
        cluster.reach()?;
        let object = cluster.objects.get(subject).ok_or_else(|| InspectError::NotFound { subject: subject.clone() })?;
        Ok(Inspected {
            resource_version: object.version.to_string(),
            generation: Some(object.generation),
            created_at: object.created_at,
            revision: Some(object.revision.to_string()),
            revision_previous: Known::seen(
                object
                    .revision_previous
                    .map(|revision| PreviousRevision { revision: revision.to_string(), change: None }),
            ),
            replicas_wanted: object.replicas,
            replicas_available: object.replicas,
            rollout_in_progress: object.rollout_in_progress,
            rollout_failed: object.rollout_failed.clone(),
            paused: object.paused,
            owner: object.owner.clone(),
            marker: object.marker.as_ref().map(|plan| Marker { action: plan.to_string(), at: None }),
            disruption: object.disruption.clone(),
            has_persistent_volume: object.has_persistent_volume,
            ..Inspected::at_rest(object.uid.clone(), subject.kind, now)
        })
    }

    async fn outcome_of_write(&self, plan: &Plan) -> Result<WriteOutcome, InspectError> {
        let cluster = self.0.lock().unwrap();
        cluster.reach()?;
        Ok(match cluster.past.as_ref().unwrap_or(&cluster.objects).get(&plan.target.subject) {
            None => WriteOutcome::Gone,
            Some(object) if object.uid != plan.target.uid => WriteOutcome::Gone,
            Some(object) if object.marker.as_ref() == Some(&plan.id) => WriteOutcome::AppliedByUs,
            Some(object) if Some(object.generation) == plan.target.generation => WriteOutcome::NotApplied,
            Some(_) => WriteOutcome::ChangedByOther,
        })
    }

    async fn dry_run(&self, plan: &Plan) -> Result<(), ApplyError> {
        self.wait().await;
        let mut cluster = self.0.lock().unwrap();
        cluster.n_dry_runs += 1;
        let version = |objects: &BTreeMap<Subject, Object>| objects.get(&plan.target.subject).map(|one| one.version);
        if cluster.past.as_ref().is_some_and(|past| version(past) != version(&cluster.objects)) {
            return Err(ApplyError::Unknown { why: "what is read is older than what is stored".into() });
        }
        match cluster.dry_run.clone() {
            DryRun::Passed => Ok(()),
            DryRun::Refused { why } => Err(ApplyError::Rejected { why }),
            DryRun::NotNow { why } => Err(ApplyError::NotNow { why }),
        }
    }

    async fn apply(&self, plan: &Journaled, resource_version: &str) -> Result<Applied, ApplyError> {
        self.wait().await;
        self.0.lock().unwrap().write(plan.plan(), resource_version, false)
    }

    async fn undo(&self, plan: &Journaled) -> Result<Applied, ApplyError> {
        self.wait().await;
        self.0.lock().unwrap().write(plan.plan(), "", true)
    }

    async fn progress(&self, plan: &Plan) -> Result<Progress, InspectError> {
        self.wait().await;
        let cluster = self.0.lock().unwrap();
        cluster.reach()?;
        Ok(match cluster.objects.get(&plan.target.subject) {
            None => Progress::Gone,
            Some(object) if object.uid != plan.target.uid => Progress::Gone,
            Some(object) if object.marker.as_ref() != Some(&plan.id) => Progress::Overridden,
            Some(object) if object.rollout_breaks && object.undone.is_none() => {
                Progress::Failed { why: "ProgressDeadlineExceeded".into() }
            }
            Some(object) => Progress::Complete { wanted: object.replicas },
        })
    }
}

/// Runs a future to its end on this thread.
pub fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
}

pub fn confidence(value: f64) -> Confidence {
    Confidence::new(value).unwrap()
}

/// An open incident of one feature, named like its type.
pub fn incident(kind: IncidentType, subject: &Subject, at: Timestamp) -> Incident {
    let score = Score::new(2.0).unwrap();
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
        confidence: Calibrated { confidence: confidence(0.99), lower: confidence(0.95), n_outcomes: 40, n_verdicts: 0 },
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
