//! `resume-rollout`: lets a paused rollout go on.

use homeostat_core::WorkloadKind;
use homeostat_remediate::{
    Action, ActionName, ActionSpec, Args, Ask, Inspected, Inverse, Objection, PayloadError, Plan, Policy, Recovery,
    Repeat, Right, Step, WorksWhile,
};
use serde_json::{Value, json};

use crate::effect::{ClusterAction, ClusterWrite};
use crate::patch;

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

fn paused(is_paused: bool) -> Step {
    Step { action: NAME, args: Args::default().with("paused", is_paused) }
}

impl Action for ResumeRollout {
    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    fn step(&self, _: &Ask<'_>, seen: &Inspected) -> Result<(Step, Inverse), Objection> {
        if !seen.paused {
            return Err(Objection::escalate("not-paused", "its rollouts aren't paused"));
        }
        Ok((paused(false), Inverse::Step(paused(true))))
    }

    fn payload(&self, plan: &Plan, step: &Step) -> Result<String, PayloadError> {
        let is_paused = step.args.get("paused").and_then(Value::as_bool);
        let is_paused = is_paused.ok_or_else(|| PayloadError("it doesn't say whether to resume".to_owned()))?;
        patch::of(plan, step, json!({ "spec": { "paused": is_paused } }))
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
        ClusterWrite::Patch { holds: is_so }
    }
}

fn is_so(object: &Value, step: &Step) -> bool {
    // An absent field means that it isn't paused.
    let is_paused = object["spec"]["paused"].as_bool().unwrap_or(false);
    step.args.get("paused").and_then(Value::as_bool) == Some(is_paused)
}
