//! `resume-rollout`: lets a paused rollout go on.

use homeostat_core::WorkloadKind;
use homeostat_remediate::{
    Action, ActionName, ActionSpec, Ask, Inspected, Inverse, Objection, PayloadError, Plan, Policy, Recovery, Repeat,
    Right, Step, WorksWhile,
};

use super::paused;
use crate::effect::{ClusterAction, ClusterWrite};

const NAME: ActionName = ActionName::new("resume-rollout");

static SPEC: ActionSpec = ActionSpec {
    name: NAME,
    // Rollouts of StatefulSets and DaemonSets can't be paused.
    targets: &[WorkloadKind::Deployment],
    default_for: &[],
    repeat: Repeat::Idempotent,
    recovery: Recovery::RollOut,
    rights: &[
        Right { verb: "get", resource: "deployments", group: "apps" },
        Right { verb: "patch", resource: "deployments", group: "apps" },
    ],
};

pub(super) struct ResumeRollout;

impl Action for ResumeRollout {
    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    fn step(&self, _: &Ask<'_>, seen: &Inspected) -> Result<(Step, Inverse), Objection> {
        if !seen.paused {
            return Err(Objection::escalate("not-paused", "its rollouts aren't paused"));
        }
        Ok((paused::step(NAME, false), Inverse::Step(paused::step(NAME, true))))
    }

    fn payload(&self, plan: &Plan, step: &Step) -> Result<String, PayloadError> {
        paused::payload(plan, step)
    }

    fn lint(&self, _: &Policy) -> Vec<String> {
        vec!["whoever paused it may have had a reason: its owner should know of this policy".to_owned()]
    }

    fn works_while(&self) -> WorksWhile {
        WorksWhile { rolling_out: true, paused: true }
    }
}

impl ClusterAction for ResumeRollout {
    fn write(&self) -> ClusterWrite {
        ClusterWrite::Patch { holds: paused::holds }
    }
}
