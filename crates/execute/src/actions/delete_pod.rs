//! `delete-pod`: has one pod replaced, whatever its disruption budget says: a pod that does not serve disrupts nobody when it goes.

use homeostat_core::WorkloadKind;
use homeostat_remediate::{
    Action, ActionName, ActionSpec, Args, Ask, Disruption, Inspected, Inverse, Objection, PayloadError, Plan, Policy,
    Reader, Recovery, Repeat, Right, Step,
};

use super::{pod_choice, workload_rights};
use crate::effect::{ClusterAction, ClusterWrite};
use crate::removal;
use crate::sight::Sight;

const NAME: ActionName = ActionName::new("delete-pod");

static RIGHTS: [Right; 7] = workload_rights::and(
    &workload_rights::LOOK_AT_PODS,
    &[Right { verb: "get", resource: "pods", group: "" }, Right { verb: "delete", resource: "pods", group: "" }],
);

static SPEC: ActionSpec = ActionSpec {
    name: NAME,
    targets: &[WorkloadKind::Deployment, WorkloadKind::StatefulSet, WorkloadKind::DaemonSet],
    default_for: &[],
    // A pod of one UID goes once.
    repeat: Repeat::Idempotent,
    recovery: Recovery::RollOut,
    rights: &RIGHTS,
};

pub(super) struct DeletePod;

impl Action for DeletePod {
    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    fn args(&self, with: &mut Reader<'_>) -> Args {
        pod_choice::read(with)
    }

    fn step(&self, ask: &Ask<'_>, seen: &Inspected) -> Result<(Step, Inverse), Objection> {
        let (args, _) = pod_choice::choose(ask, seen)?;
        Ok((Step { action: NAME, args }, Inverse::Nothing))
    }

    fn payload(&self, plan: &Plan, step: &Step) -> Result<String, PayloadError> {
        removal::delete(plan, step).map(|request| request.text())
    }

    fn lint(&self, policy: &Policy) -> Vec<String> {
        let wants_serving =
            policy.action.as_ref().is_some_and(|action| action.args.text("pod") == Some("most-restarted"));
        let text = "the pod with most restarts may serve: evict-pod asks its disruption budget, deleting it doesn't";
        if wants_serving { vec![text.to_owned()] } else { Vec::new() }
    }

    fn disruption(&self, step: &Step, seen: &Inspected) -> Disruption {
        pod_choice::disruption(step, seen)
    }
}

impl ClusterAction for DeletePod {
    fn sights(&self, _: &Args) -> Vec<Sight> {
        vec![Sight::Pods]
    }

    fn write(&self) -> ClusterWrite {
        ClusterWrite::Delete
    }
}
