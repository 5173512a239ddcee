//! `evict-pod`: has one pod replaced, if its disruption budget allows.

use homeostat_core::WorkloadKind;
use homeostat_remediate::{
    Action, ActionName, ActionSpec, Args, Ask, Disruption, Inspected, Inverse, Objection, PayloadError, Plan, Reader,
    Recovery, Repeat, Right, Step,
};

use super::{pod_choice, workload_rights};
use crate::effect::{ClusterAction, ClusterWrite};
use crate::removal;
use crate::sight::Sight;

const NAME: ActionName = ActionName::new("evict-pod");

static RIGHTS: [Right; 7] = workload_rights::and(
    &workload_rights::LOOK_AT_PODS,
    &[
        Right { verb: "get", resource: "pods", group: "" },
        Right { verb: "create", resource: "pods/eviction", group: "" },
    ],
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

pub(super) struct EvictPod;

impl Action for EvictPod {
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
        removal::evict(plan, step).map(|request| request.text())
    }

    fn disruption(&self, step: &Step, seen: &Inspected) -> Disruption {
        pod_choice::disruption(step, seen)
    }
}

impl ClusterAction for EvictPod {
    fn sights(&self, _: &Args) -> Vec<Sight> {
        vec![Sight::Pods]
    }

    fn write(&self) -> ClusterWrite {
        ClusterWrite::Evict
    }
}
