//! Actions for tests of this crate: a restart, and going back to the revision before. What the real ones send is theirs.

use homeostat_core::{IncidentType, Remedy, WorkloadKind};

use crate::action::{Action, ActionSpec, Actions, Ask, Right};
use crate::inspected::{Inspected, PreviousRevision};
use crate::objection::Objection;
use crate::payload_error::PayloadError;
use crate::plan::Plan;
use crate::policy::Policy;
use crate::step::{ActionName, Args, Inverse, Recovery, Repeat, Step};

pub(crate) const RESTART: ActionName = ActionName::new("rollout-restart");
pub(crate) const UNDO: ActionName = ActionName::new("rollout-undo");

pub(crate) fn actions() -> Actions {
    [&Restart as &'static dyn Action, &Undo].into_iter().collect()
}

pub(crate) fn undo_to(revision: &str) -> Step {
    Step { action: UNDO, args: Args::default().with("to_revision", revision) }
}

const RIGHTS: &[Right] = &[Right { verb: "patch", resource: "deployments", group: "apps" }];

struct Restart;

impl Action for Restart {
    fn spec(&self) -> &'static ActionSpec {
        static SPEC: ActionSpec = ActionSpec {
            name: RESTART,
            targets: &[WorkloadKind::Deployment],
            default_for: &[IncidentType::OomKilled, IncidentType::MemoryLeak, IncidentType::CpuSpike],
            repeat: Repeat::Idempotent,
            recovery: Recovery::RollOut,
            rights: RIGHTS,
        };
        &SPEC
    }

    fn step(&self, ask: &Ask<'_>, seen: &Inspected) -> Result<(Step, Inverse), Objection> {
        if let Some(why) = seen.rollout_failed.clone() {
            let text = format!("the newest rollout failed, a restart won't mend that: {why}");
            return Err(Objection::escalate("rollout-failed", text));
        }
        let args = Args::default().with("restarted_at", ask.now.to_string());
        Ok((Step { action: RESTART, args }, Inverse::Nothing))
    }

    fn payload(&self, _: &Plan, step: &Step) -> Result<String, PayloadError> {
        Ok(format!("{step:?}"))
    }

    fn remedy(&self) -> Option<Remedy> {
        Some(Remedy::NewPods)
    }

    fn lint(&self, _: &Policy) -> Vec<String> {
        vec!["a restart is linted".to_owned()]
    }
}

struct Undo;

fn no_previous_revision() -> Objection {
    Objection::escalate("no-previous-revision", "there is no previous revision to go back to")
}

impl Action for Undo {
    fn spec(&self) -> &'static ActionSpec {
        static SPEC: ActionSpec = ActionSpec {
            name: UNDO,
            targets: &[WorkloadKind::Deployment],
            default_for: &[IncidentType::BadDeployment],
            repeat: Repeat::Idempotent,
            recovery: Recovery::RollOut,
            rights: RIGHTS,
        };
        &SPEC
    }

    fn step(&self, _: &Ask<'_>, seen: &Inspected) -> Result<(Step, Inverse), Objection> {
        let previous = seen.get::<PreviousRevision>().value().ok_or_else(no_previous_revision)?;
        let inverse = seen.revision.as_deref().map_or(Inverse::Irreversible, |now| Inverse::Step(undo_to(now)));
        Ok((undo_to(&previous.revision), inverse))
    }

    fn payload(&self, _: &Plan, step: &Step) -> Result<String, PayloadError> {
        Ok(format!("{step:?}"))
    }
}
