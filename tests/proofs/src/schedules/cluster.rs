//! The simulated shop behind an API server that fails: requests and answers are lost, late, doubled or refused.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use homeostat_core::{Subject, Timestamp};
use homeostat_execute::{Applied, ApplyError, Executor, WriteOutcome};
use homeostat_journal::Journaled;
use homeostat_remediate::{
    ActionName, Actions, InspectError, Inspected, Inverse, KillSwitch, Known, PayloadError, Plan, PreviousRevision,
    Progress,
};
use homeostat_simulate::{Shop, ShopProgress, ShopTrace, WriteError, Written};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::record::{Call, Effect, What};
use super::store::SharedRows;

/// The API server gives up on a write after this, whether somebody waits for it or not.
const GIVES_UP_AFTER_MS: u64 = 9_000;

/// The cluster, and everything that happens to requests.
pub(super) struct Cluster {
    /// The simulated cluster.
    pub(super) shop: Shop,
    /// Chance, in the order of calls.
    pub(super) chance: ChaCha8Rng,
    /// How many calls in a thousand fail.
    pub(super) fault_permille: u32,
    /// Whether it answers nobody.
    pub(super) is_down: bool,
    /// Writes on their way, with when they arrive.
    pub(super) late: Vec<(Timestamp, Plan, What, String)>,
    /// Every request that changes something, as it came.
    pub(super) calls: Vec<Call>,
    /// What had an effect.
    pub(super) effects: Vec<Effect>,
    /// The kill switch's source.
    pub(super) stop: bool,
    /// The kill switch is engaged at this many more requests of any kind.
    pub(super) stop_in: Option<u32>,
    /// The process dies at this many more requests.
    pub(super) die_in: Option<u32>,
    /// Whether the mode lets anything be written.
    pub(super) may_write: bool,
    /// What was last seen of objects, for reads that are stale.
    stale: std::collections::BTreeMap<Subject, Inspected>,
}

impl Cluster {
    /// A cluster whose faults are drawn from `chance`.
    pub(super) fn new(shop: Shop, chance: ChaCha8Rng, fault_permille: u32) -> Self {
        Self {
            shop,
            chance,
            fault_permille,
            is_down: false,
            late: Vec::new(),
            calls: Vec::new(),
            effects: Vec::new(),
            stop: false,
            stop_in: None,
            die_in: None,
            may_write: true,
            stale: std::collections::BTreeMap::new(),
        }
    }

    /// Lets every write take effect that has arrived by now.
    pub(super) fn arrive(&mut self, now: Timestamp) {
        self.late.sort_by_key(|(at, ..)| *at);
        while self.late.first().is_some_and(|(at, ..)| *at <= now) {
            let (at, plan, what, version) = self.late.remove(0);
            let _ = self.write(&plan, what, &version, at);
        }
    }

    fn write(&mut self, plan: &Plan, what: What, version: &str, now: Timestamp) -> Result<Applied, ApplyError> {
        let target = &plan.target;
        let seen = self.shop.inspect(&target.subject);
        let marker = match what {
            What::Apply => plan.id.to_string(),
            What::Undo => format!("{}-undo", plan.id),
        };
        let was_there = seen.as_ref().is_some_and(|object| object.marker.as_deref() == Some(marker.as_str()));
        let (version, step) = match (what, &plan.inverse) {
            (What::Apply, _) => (version.to_owned(), Some(&plan.step)),
            (What::Undo, Inverse::Step(step) | Inverse::Temporary { step, .. }) => {
                let is_as_left = |object: &&homeostat_simulate::ShopObject| {
                    object.uid == target.uid && (object.marker.as_deref() == Some(plan.id.as_str()) || was_there)
                };
                let object = seen.as_ref().filter(is_as_left);
                let object =
                    object.ok_or_else(|| ApplyError::Stale { why: "it isn't as the action left it".into() })?;
                (object.resource_version.clone(), Some(step))
            }
            (What::Undo, Inverse::Nothing | Inverse::Irreversible) => (String::new(), None),
        };
        let step = step.ok_or_else(|| ApplyError::Rejected { why: "the plan has no inverse".into() })?;
        let written = match step.args.text("to_revision") {
            Some(to) => self.shop.undo_to(&target.subject, &target.uid, &version, to, &marker),
            None => self.shop.restart(&target.subject, &target.uid, &version, &marker),
        };
        if written.is_ok() && !was_there {
            self.effects.push(Effect { plan: plan.clone(), what, at: now });
        }
        applied(written)
    }
}

fn applied(written: Result<Written, WriteError>) -> Result<Applied, ApplyError> {
    match written {
        Ok(written) => Ok(Applied { resource_version: written.resource_version, altered: None }),
        Err(error @ WriteError::Stale { .. }) => Err(ApplyError::Stale { why: error.to_string() }),
        Err(error @ (WriteError::NotFound(_) | WriteError::NoSuchRevision { .. })) => {
            Err(ApplyError::Rejected { why: error.to_string() })
        }
    }
}

/// The cluster as all processes share it.
#[derive(Clone)]
pub(super) struct SharedCluster {
    cluster: Arc<Mutex<Cluster>>,
    began: Instant,
    start: Timestamp,
}

impl SharedCluster {
    /// A cluster whose time begins at `start` now.
    pub(super) fn new(cluster: Cluster, start: Timestamp) -> Self {
        Self { cluster: Arc::new(Mutex::new(cluster)), began: Instant::now(), start }
    }

    /// The cluster.
    pub(super) fn lock(&self) -> MutexGuard<'_, Cluster> {
        self.cluster.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True time.
    pub(super) fn now(&self) -> Timestamp {
        self.start + self.began.elapsed()
    }
}

impl homeostat_execute::StopSwitch for SharedCluster {
    fn read(&self) -> KillSwitch {
        KillSwitch { engaged: self.lock().stop, why: "a drill".into() }
    }
}

/// One process's way to the cluster.
pub(super) struct Client {
    /// The cluster.
    pub(super) cluster: SharedCluster,
    /// The journal, to say what was in it when a call was made.
    pub(super) rows: SharedRows,
    /// The process's epoch.
    pub(super) epoch: i64,
    /// Told when the process dies.
    pub(super) died: Arc<Notify>,
    /// Whether it is dead.
    pub(super) is_dead: Arc<AtomicBool>,
}

/// What becomes of a request.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Works,
    LostRequest,
    LostAnswer,
    Late,
    Doubled,
    NotNow,
    Rejected,
    Conflict,
    Hangs,
}

const FATES: [Fate; 8] = [
    Fate::LostRequest,
    Fate::LostAnswer,
    Fate::Late,
    Fate::Doubled,
    Fate::NotNow,
    Fate::Rejected,
    Fate::Conflict,
    Fate::Hangs,
];

impl Client {
    /// Counts the request, and never returns if the process dies of it.
    async fn arrive(&self) {
        let dies = {
            let now = self.cluster.now();
            let mut cluster = self.cluster.lock();
            cluster.arrive(now);
            if is_due(&mut cluster.stop_in) {
                cluster.stop = true;
            }
            is_due(&mut cluster.die_in) || self.rows.lock().killed == Some(self.epoch)
        };
        if dies || self.is_dead.load(Ordering::SeqCst) {
            self.is_dead.store(true, Ordering::SeqCst);
            self.died.notify_one();
            std::future::pending::<()>().await;
        }
    }

    fn fate(&self) -> Fate {
        let mut cluster = self.cluster.lock();
        let permille = cluster.fault_permille;
        if cluster.chance.random_range(0..1000) >= permille {
            return Fate::Works;
        }
        FATES[cluster.chance.random_range(0..FATES.len())]
    }

    async fn read(&self) -> Result<(), InspectError> {
        self.arrive().await;
        let fate = self.fate();
        let is_down = self.cluster.lock().is_down;
        if fate == Fate::Hangs || is_down {
            tokio::time::sleep(Duration::from_secs(12)).await;
        }
        let fails = is_down || matches!(fate, Fate::Hangs | Fate::LostRequest | Fate::LostAnswer);
        if fails { Err(InspectError::Unavailable { why: "no answer".into() }) } else { Ok(()) }
    }

    /// One request that changes something.
    async fn write(&self, plan: &Plan, what: What, version: &str) -> Result<Applied, ApplyError> {
        self.called(plan, what);
        self.arrive().await;
        let fate = self.fate();
        let unknown = |why: &str| Err(ApplyError::Unknown { why: why.to_owned() });
        let now = self.cluster.now();
        if self.cluster.lock().is_down || fate == Fate::LostRequest {
            tokio::time::sleep(Duration::from_secs(12)).await;
            return unknown("no answer");
        }
        match fate {
            Fate::Late | Fate::Hangs => {
                let after = self.cluster.lock().chance.random_range(1..GIVES_UP_AFTER_MS);
                let arrives = now + Duration::from_millis(after);
                self.cluster.lock().late.push((arrives, plan.clone(), what, version.to_owned()));
                // Somebody gives up on it sooner, or later than it arrives.
                let waits = if fate == Fate::Late { 1 } else { 12 };
                tokio::time::sleep(Duration::from_secs(waits)).await;
                unknown("no answer in time")
            }
            Fate::NotNow => Err(ApplyError::NotNow { why: "an admission webhook is unavailable".into() }),
            Fate::Rejected => Err(ApplyError::Rejected { why: "forbidden".into() }),
            Fate::Conflict if what == What::Apply => {
                Err(ApplyError::Conflict { resource_version: version.to_owned(), why: "409".into() })
            }
            Fate::LostAnswer => {
                let _ = self.cluster.lock().write(plan, what, version, now);
                unknown("connection reset")
            }
            Fate::Doubled => {
                let mut cluster = self.cluster.lock();
                let answer = cluster.write(plan, what, version, now);
                let _ = cluster.write(plan, what, version, now);
                answer
            }
            Fate::Works | Fate::Conflict | Fate::LostRequest => self.cluster.lock().write(plan, what, version, now),
        }
    }

    fn called(&self, plan: &Plan, what: What) {
        let (now, n_rows, newest_epoch) = {
            let rows = self.rows.lock();
            (self.cluster.now(), rows.rows.len(), rows.epoch)
        };
        let mut cluster = self.cluster.lock();
        let (is_stopped, may_write) = (cluster.stop, cluster.may_write);
        let epoch = self.epoch;
        cluster.calls.push(Call {
            plan: plan.clone(),
            what,
            at: now,
            n_rows,
            epoch,
            newest_epoch,
            is_stopped,
            may_write,
        });
    }
}

/// Counts down.
fn is_due(left: &mut Option<u32>) -> bool {
    match left.take() {
        Some(0) => true,
        Some(n) => {
            *left = Some(n - 1);
            false
        }
        None => false,
    }
}

#[async_trait]
impl Executor for Client {
    fn name(&self) -> &'static str {
        "shop"
    }

    fn actions(&self) -> &Actions {
        static ACTIONS: LazyLock<Actions> = LazyLock::new(super::actions);
        &ACTIONS
    }

    fn payload(&self, plan: &Plan) -> Result<String, PayloadError> {
        serde_json::to_string(&plan.step).map_err(|error| PayloadError(error.to_string()))
    }

    async fn inspect(&self, _: &ActionName, subject: &Subject, now: Timestamp) -> Result<Inspected, InspectError> {
        self.read().await?;
        let is_stale = self.fate() != Fate::Works;
        let mut cluster = self.cluster.lock();
        let object =
            cluster.shop.inspect(subject).ok_or_else(|| InspectError::NotFound { subject: subject.clone() })?;
        let previous = object.revision_previous.map(|revision| PreviousRevision { revision, change: None });
        let seen = Inspected {
            resource_version: object.resource_version,
            revision: Some(object.revision),
            revision_previous: Known::seen(previous),
            replicas_wanted: object.replicas_wanted,
            replicas_available: object.replicas_available,
            rollout_in_progress: object.rollout_in_progress,
            ..Inspected::at_rest(object.uid, subject.kind, now)
        };
        let before = cluster.stale.insert(subject.clone(), seen.clone());
        // A cache may answer with what was there before.
        Ok(match before {
            Some(before) if is_stale => Inspected { seen_at: now, ..before },
            Some(_) | None => seen,
        })
    }

    async fn outcome_of_write(&self, plan: &Plan) -> Result<WriteOutcome, InspectError> {
        self.read().await?;
        let target = &plan.target;
        let cluster = self.cluster.lock();
        let trace = cluster.shop.trace(&target.subject, &target.uid, &target.resource_version, plan.id.as_str());
        Ok(match trace {
            ShopTrace::Written => WriteOutcome::AppliedByUs,
            ShopTrace::NotWritten => WriteOutcome::NotApplied,
            ShopTrace::ChangedByOther => WriteOutcome::ChangedByOther,
            ShopTrace::Gone => WriteOutcome::Gone,
        })
    }

    async fn apply(&self, plan: &Journaled, resource_version: &str) -> Result<Applied, ApplyError> {
        self.write(plan.plan(), What::Apply, resource_version).await
    }

    async fn undo(&self, plan: &Journaled) -> Result<Applied, ApplyError> {
        self.write(plan.plan(), What::Undo, "").await
    }

    async fn progress(&self, plan: &Plan) -> Result<Progress, InspectError> {
        self.read().await?;
        let cluster = self.cluster.lock();
        Ok(match cluster.shop.progress(&plan.target.subject, &plan.target.uid, plan.id.as_str()) {
            ShopProgress::Rolling { updated_available, wanted } => Progress::Rolling { updated_available, wanted },
            ShopProgress::Complete { wanted } => Progress::Complete { wanted },
            ShopProgress::Stalled => Progress::Failed { why: "nothing has moved for ten minutes".to_owned() },
            ShopProgress::Overridden => Progress::Overridden,
            ShopProgress::Gone => Progress::Gone,
        })
    }
}
