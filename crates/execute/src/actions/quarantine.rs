//! `quarantine`: takes one pod out of service and keeps it, for people to look at. All its labels are taken away, so that no Service, disruption
//! budget or controller selects it any more, and its controller makes another pod; a NetworkPolicy lets nothing through to it.

use homeostat_core::WorkloadKind;
use homeostat_remediate::{
    Action, ActionName, ActionSpec, Args, Ask, Disruption, Inspected, Inverse, Objection, PayloadError, Plan, Policy,
    Reader, Recovery, Repeat, Right, Step,
};
use serde_json::{Map, Value, json};

use super::pod_choice;
use crate::effect::{ClusterAction, ClusterWrite};
use crate::patch;
use crate::quarantine::LABEL;
use crate::sight::Sight;

const NAME: ActionName = ActionName::new("quarantine");

static SPEC: ActionSpec = ActionSpec {
    name: NAME,
    // A StatefulSet's or DaemonSet's pod keeps its name or its node, so that there can be no other one beside it.
    targets: &[WorkloadKind::Deployment],
    default_for: &[],
    repeat: Repeat::Idempotent,
    recovery: Recovery::RollOut,
    rights: &[
        Right { verb: "get", resource: "deployments", group: "apps" },
        Right { verb: "list", resource: "replicasets", group: "apps" },
        Right { verb: "get", resource: "pods", group: "" },
        Right { verb: "list", resource: "pods", group: "" },
        Right { verb: "patch", resource: "pods", group: "" },
        Right { verb: "get", resource: "networkpolicies", group: "networking.k8s.io" },
        Right { verb: "create", resource: "networkpolicies", group: "networking.k8s.io" },
        Right { verb: "list", resource: "endpointslices", group: "discovery.k8s.io" },
    ],
};

pub(super) struct Quarantine;

impl Action for Quarantine {
    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    fn args(&self, with: &mut Reader<'_>) -> Args {
        pod_choice::read(with)
    }

    fn step(&self, ask: &Ask<'_>, seen: &Inspected) -> Result<(Step, Inverse), Objection> {
        let (args, pod) = pod_choice::choose(ask, seen)?;
        let taken: Map<String, Value> = pod.labels.keys().map(|key| (key.clone(), Value::Null)).collect();
        let kept: Map<String, Value> = pod.labels.iter().map(|(key, value)| (key.clone(), json!(value))).collect();
        let step = |is_quarantined: bool, labels: Map<String, Value>| Step {
            action: NAME,
            args: args.clone().with("quarantined", is_quarantined).with("labels", labels),
        };
        Ok((step(true, taken), Inverse::Step(step(false, kept))))
    }

    fn payload(&self, plan: &Plan, step: &Step) -> Result<String, PayloadError> {
        let labels = step.args.get("labels").filter(|labels| labels.is_object());
        let mut labels = labels.cloned().ok_or_else(|| PayloadError("it names no labels".to_owned()))?;
        labels[LABEL] = if is_quarantined(step) { json!(plan.id.as_str()) } else { Value::Null };
        patch::of(plan, step, json!({ "metadata": { "labels": labels } }))
    }

    fn lint(&self, _: &Policy) -> Vec<String> {
        vec![
            "a quarantined pod stays until somebody deletes it, and takes its share of nodes and quotas until then".to_owned(),
            "only a network plugin that enforces NetworkPolicies cuts it off; without one it is out of its Services only".to_owned(),
        ]
    }

    fn disruption(&self, step: &Step, seen: &Inspected) -> Disruption {
        pod_choice::disruption(step, seen)
    }
}

impl ClusterAction for Quarantine {
    fn sights(&self, _: &Args) -> Vec<Sight> {
        vec![Sight::Pods]
    }

    fn write(&self) -> ClusterWrite {
        ClusterWrite::Quarantine { holds: is_as_written }
    }
}

fn is_quarantined(step: &Step) -> bool {
    step.args.get("quarantined") == Some(&json!(true))
}

fn is_as_written(pod: &Value, step: &Step) -> bool {
    let labels = &pod["metadata"]["labels"];
    let all = step.args.get("labels").and_then(Value::as_object).into_iter().flatten();
    labels[LABEL].is_string() == is_quarantined(step) && all.into_iter().all(|(key, value)| &labels[key] == value)
}
