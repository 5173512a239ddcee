//! `pause-rollout`: stops a rollout where it is, so that no further pods get the newest template.

use homeostat_core::WorkloadKind;
use homeostat_remediate::{
    Action, ActionName, ActionSpec, Ask, Disruption, Inspected, Inverse, Objection, PayloadError, Plan, Policy,
    Recovery, Repeat, Right, Step, WorksWhile,
};

use super::paused;
use crate::effect::{ClusterAction, ClusterWrite};

const NAME: ActionName = ActionName::new("pause-rollout");

static SPEC: ActionSpec = ActionSpec {
    name: NAME,
    // Rollouts of StatefulSets and DaemonSets can't be paused.
    targets: &[WorkloadKind::Deployment],
    default_for: &[],
    repeat: Repeat::Idempotent,
    recovery: Recovery::SignalsOnly,
    rights: &[
        Right { verb: "get", resource: "deployments", group: "apps" },
        Right { verb: "patch", resource: "deployments", group: "apps" },
    ],
};

pub(super) struct PauseRollout;

impl Action for PauseRollout {
    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    fn step(&self, _: &Ask<'_>, seen: &Inspected) -> Result<(Step, Inverse), Objection> {
        if !seen.rollout_in_progress && seen.rollout_failed.is_none() {
            return Err(Objection::escalate("no-rollout", "no rollout of it goes on that could be paused"));
        }
        Ok((paused::step(NAME, true), Inverse::Step(paused::step(NAME, false))))
    }

    fn payload(&self, plan: &Plan, step: &Step) -> Result<String, PayloadError> {
        paused::payload(plan, step)
    }

    fn lint(&self, _: &Policy) -> Vec<String> {
        vec!["somebody has to resume what is paused: its owner should know of this policy".to_owned()]
    }

    fn disruption(&self, _: &Step, _: &Inspected) -> Disruption {
        Disruption::default()
    }

    fn works_while(&self) -> WorksWhile {
        WorksWhile { rolling_out: true, paused: false }
    }
}

impl ClusterAction for PauseRollout {
    fn write(&self) -> ClusterWrite {
        ClusterWrite::Patch { holds: paused::holds }
    }
}
