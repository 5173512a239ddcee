//! `pause-rollout`: stops a rollout where it is, so that no further pods get the newest template.

use homeostat_core::WorkloadKind;
use homeostat_remediate::{
    Action, ActionName, ActionSpec, Args, Ask, Disruption, Inspected, Inverse, Objection, PayloadError, Plan, Policy,
    Recovery, Repeat, Right, Step, WorksWhile,
};
use serde_json::{Value, json};

use crate::effect::{ClusterAction, ClusterWrite};
use crate::patch;

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

fn paused(is_paused: bool) -> Step {
    Step { action: NAME, args: Args::default().with("paused", is_paused) }
}

impl Action for PauseRollout {
    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    fn step(&self, _: &Ask<'_>, seen: &Inspected) -> Result<(Step, Inverse), Objection> {
        if !seen.rollout_in_progress && seen.rollout_failed.is_none() {
            return Err(Objection::escalate("no-rollout", "no rollout of it goes on that could be paused"));
        }
        Ok((paused(true), Inverse::Step(paused(false))))
    }

    fn payload(&self, plan: &Plan, step: &Step) -> Result<String, PayloadError> {
        let is_paused = step.args.get("paused").and_then(Value::as_bool);
        let is_paused = is_paused.ok_or_else(|| PayloadError("it doesn't say whether to pause".to_owned()))?;
        patch::of(plan, step, json!({ "spec": { "paused": is_paused } }))
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
        ClusterWrite::Patch { holds: is_so }
    }
}

fn is_so(object: &Value, step: &Step) -> bool {
    // An absent field means that it isn't paused.
    let is_paused = object["spec"]["paused"].as_bool().unwrap_or(false);
    step.args.get("paused").and_then(Value::as_bool) == Some(is_paused)
}
