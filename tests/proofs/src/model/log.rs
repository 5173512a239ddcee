//! The journal of the model: the product's own ledger, and the true times beside it, which no replica knows.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, LazyLock};

use homeostat_core::Timestamp;
use homeostat_journal::{Fold, Intent, Note};
use homeostat_remediate::{JournalEvent, KillSwitch, PastAction, Plan, Stage};

/// A moment of the model.
pub type Tick = u8;

/// A plan, told from another by its digest.
#[derive(Clone)]
pub struct Planned {
    /// The plan.
    pub plan: Arc<Plan>,
    /// What an approval is for.
    pub digest: u64,
}

impl Planned {
    /// The plan with its digest.
    pub fn new(plan: Plan) -> Self {
        let mut hasher = DefaultHasher::new();
        let target = &plan.target;
        (&plan.id, plan.decided_at.as_millis(), &target.uid, &target.resource_version).hash(&mut hasher);
        Self { plan: Arc::new(plan), digest: hasher.finish() }
    }
}

impl PartialEq for Planned {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

impl Eq for Planned {}

impl Hash for Planned {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.digest.hash(state);
    }
}

impl fmt::Debug for Planned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Plan { target, attempt, decided_at, .. } = self.plan.as_ref();
        let (name, version) = (&target.subject.name, &target.resource_version);
        write!(f, "{name}, attempt {attempt}, decided {decided_at}, version {version}")
    }
}

/// When things really happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Times {
    /// When its intent was journaled.
    pub intended: Tick,
    /// When its end was.
    pub ended: Option<Tick>,
}

#[derive(Clone, Default)]
struct Content {
    fold: Fold,
    plans: Vec<(Planned, Times)>,
    digest: u64,
}

/// A journal as somebody knows it. Copying copies a pointer.
#[derive(Clone)]
pub struct Log(Arc<Content>);

impl Default for Log {
    fn default() -> Self {
        static EMPTY: LazyLock<Arc<Content>> = LazyLock::new(Arc::default);
        Self(Arc::clone(&EMPTY))
    }
}

impl PartialEq for Log {
    fn eq(&self, other: &Self) -> bool {
        self.0.digest == other.0.digest
    }
}

impl Eq for Log {}

impl Hash for Log {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.digest.hash(state);
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stages = self.actions().map(|(planned, times, action)| (planned.clone(), times, action.stage));
        f.debug_list().entries(stages).finish()?;
        if self.is_stopped() { f.write_str(" stopped") } else { Ok(()) }
    }
}

impl Log {
    /// The product's ledger.
    pub fn fold(&self) -> &Fold {
        &self.0.fold
    }

    /// Every action with its true times, in the order of their intents.
    pub fn actions(&self) -> impl Iterator<Item = (&Planned, Times, &PastAction)> {
        self.0
            .plans
            .iter()
            .filter_map(|(planned, times)| Some((planned, *times, self.fold().action(&planned.plan.id)?.as_ref())))
    }

    /// Those that haven't ended.
    pub fn in_flight(&self) -> impl Iterator<Item = (&Planned, &PastAction)> {
        self.actions().filter(|(_, _, action)| !action.stage.is_end()).map(|(planned, _, action)| (planned, action))
    }

    /// Where this very plan stands, if it is here.
    pub fn stage(&self, planned: &Planned) -> Option<Stage> {
        self.actions().find(|(known, _, _)| *known == planned).map(|(_, _, action)| action.stage)
    }

    /// Whether the kill switch was noted and not resumed.
    pub fn is_stopped(&self) -> bool {
        self.fold().kill_switch().engaged
    }

    /// With one more intent, if the ledger takes it.
    pub fn record(&self, planned: &Planned, at: Timestamp, now: Tick) -> Option<Self> {
        let mut content = Content::clone(&self.0);
        let intent = Intent {
            plan: Plan::clone(&planned.plan),
            executor: "model".into(),
            write: String::new(),
            traffic_before: None,
            levels_before: Default::default(),
        };
        content.fold.record(&intent, at).ok()?;
        content.plans.push((planned.clone(), Times { intended: now, ended: None }));
        Some(content.sealed())
    }

    /// With one more event of a plan, if it may follow.
    pub fn append(&self, planned: &Planned, event: &JournalEvent, at: Timestamp, now: Tick) -> Option<Self> {
        let mut content = Content::clone(&self.0);
        let stage = content.fold.append(&planned.plan.id, event, at).ok()?;
        let (_, times) = content.plans.iter_mut().find(|(known, _)| known == planned)?;
        if stage.is_end() {
            times.ended = Some(now);
        }
        Some(content.sealed())
    }

    /// With the kill switch so.
    pub fn with_switch(&self, engaged: bool, at: Timestamp) -> Option<Self> {
        let mut content = Content::clone(&self.0);
        content.fold.note(&Note::KillSwitch(KillSwitch { engaged, why: "a drill".into() }), at).ok()?;
        Some(content.sealed())
    }
}

impl Content {
    /// Two journals that say the same are the same, in whatever order it came.
    fn sealed(mut self) -> Log {
        let mut hasher = DefaultHasher::new();
        for (planned, times) in &self.plans {
            let action = self.fold.action(&planned.plan.id);
            let applied_at = action.and_then(|action| action.applied_at).map(Timestamp::as_millis);
            let stage =
                action.map(|action| (action.stage, action.stage_at.as_millis(), action.intended_at.as_millis()));
            (planned.digest, times, stage, applied_at).hash(&mut hasher);
        }
        self.fold.kill_switch().engaged.hash(&mut hasher);
        self.digest = hasher.finish();
        Log(Arc::new(self))
    }
}
