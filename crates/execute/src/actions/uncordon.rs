//! `uncordon`: lets the node take pods again that homeostat cordoned last.

use homeostat_core::WorkloadKind;
use homeostat_remediate::{
    Action, ActionName, ActionSpec, Args, Ask, Disruption, Inspected, Inverse, ObjectKind, Objection, PayloadError,
    Plan, Recovery, Repeat, Right, Step, WorksWhile,
};

use super::{node_choice, unschedulable, workload_rights};
use crate::effect::{ClusterAction, ClusterWrite};
use crate::patch::ACTION_ID;
use crate::sight::Sight;

const NAME: ActionName = ActionName::new("uncordon");

static SPEC: ActionSpec = ActionSpec {
    name: NAME,
    targets: &[WorkloadKind::Deployment, WorkloadKind::StatefulSet, WorkloadKind::DaemonSet],
    default_for: &[],
    repeat: Repeat::Idempotent,
    recovery: Recovery::SignalsOnly,
    rights: &workload_rights::LOOK,
};

pub(super) struct Uncordon;

impl Action for Uncordon {
    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    fn step(&self, _: &Ask<'_>, seen: &Inspected) -> Result<(Step, Inverse), Objection> {
        let nodes = seen.others.iter().filter(|other| other.object.kind == ObjectKind::Node);
        // What a person cordoned isn't ours to give back.
        let ours = |manifest: &serde_json::Value| {
            node_choice::is_cordoned(manifest) && manifest["metadata"]["annotations"][ACTION_ID].is_string()
        };
        let mut cordoned = nodes.filter(|node| ours(&node.manifest));
        match (cordoned.next(), cordoned.next()) {
            (Some(node), None) => {
                let step = |cordon| Step { action: NAME, args: unschedulable::args(&node.object, cordon) };
                Ok((step(false), Inverse::Step(step(true))))
            }
            (None, _) => Err(Objection::escalate("not-cordoned", "homeostat has cordoned no node")),
            (Some(_), Some(_)) => {
                let text = "homeostat has cordoned several nodes, and which of them is well isn't known";
                Err(Objection::escalate("which-node", text))
            }
        }
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

impl ClusterAction for Uncordon {
    fn sights(&self, _: &Args) -> Vec<Sight> {
        vec![Sight::Nodes]
    }

    fn write(&self) -> ClusterWrite {
        ClusterWrite::Patch { holds: unschedulable::holds }
    }
}
