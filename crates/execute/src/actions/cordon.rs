//! `cordon`: keeps new pods from the node on which the workload's pods fail.

use homeostat_core::WorkloadKind;
use homeostat_remediate::{
    Action, ActionName, ActionSpec, Args, Ask, Disruption, Inspected, Inverse, Objection, PayloadError, Plan, Reader,
    Recovery, Repeat, Right, Step, WorksWhile,
};

use super::{node_choice, unschedulable, workload_rights};
use crate::effect::{ClusterAction, ClusterWrite};
use crate::sight::Sight;

const NAME: ActionName = ActionName::new("cordon");

static SPEC: ActionSpec = ActionSpec {
    name: NAME,
    targets: &[WorkloadKind::Deployment, WorkloadKind::StatefulSet, WorkloadKind::DaemonSet],
    default_for: &[],
    repeat: Repeat::Idempotent,
    recovery: Recovery::SignalsOnly,
    rights: &workload_rights::LOOK_AT_PODS,
};

pub(super) struct Cordon;

impl Action for Cordon {
    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    fn args(&self, with: &mut Reader<'_>) -> Args {
        node_choice::read(with)
    }

    fn step(&self, ask: &Ask<'_>, seen: &Inspected) -> Result<(Step, Inverse), Objection> {
        let node = node_choice::choose(ask, seen)?;
        let step = |is_unschedulable| Step { action: NAME, args: unschedulable::args(&node.object, is_unschedulable) };
        Ok((step(true), Inverse::Step(step(false))))
    }

    fn payload(&self, plan: &Plan, step: &Step) -> Result<String, PayloadError> {
        unschedulable::payload(plan, step)
    }

    fn disruption(&self, _: &Step, _: &Inspected) -> Disruption {
        Disruption::default()
    }

    fn works_while(&self) -> WorksWhile {
        WorksWhile { rolling_out: true, paused: true }
    }

    fn cluster_rights(&self) -> &'static [Right] {
        node_choice::RIGHTS
    }
}

impl ClusterAction for Cordon {
    fn sights(&self, _: &Args) -> Vec<Sight> {
        vec![Sight::Pods, Sight::Nodes]
    }

    fn write(&self) -> ClusterWrite {
        ClusterWrite::Patch { holds: unschedulable::holds }
    }
}
