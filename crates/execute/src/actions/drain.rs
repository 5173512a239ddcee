//! `drain`: cordons the node on which the workload's pods fail and has all its pods replaced elsewhere, as far as their disruption budgets
//! allow. Evictions only, of pods in the workload's namespace and those that the policy names; pods of DaemonSets and mirror pods stay.

use homeostat_core::WorkloadKind;
use homeostat_remediate::{
    Action, ActionName, ActionSpec, Args, Ask, Disruption, Inspected, Inverse, ObjectKind, Objection, PayloadError,
    Plan, Policy, Reader, Recovery, Repeat, Right, Step,
};
use serde_json::{Value, json};

use super::{node_choice, unschedulable};
use crate::effect::{ClusterAction, ClusterWrite};
use crate::node_pods::{OnDrain, named_pod, on_drain};
use crate::sight::Sight;

const NAME: ActionName = ActionName::new("drain");

/// Pods that may be evicted: a node of usual size has room for 110.
const MAX_PODS_DEFAULT: u32 = 20;
const MAX_PODS_MAX: u32 = 250;

/// Namespaces of the cluster itself.
const SYSTEM_NAMESPACE_PREFIX: &str = "kube-";

static SPEC: ActionSpec = ActionSpec {
    name: NAME,
    targets: &[WorkloadKind::Deployment, WorkloadKind::StatefulSet],
    default_for: &[],
    // The node's pods say how far it has come: going on is safe.
    repeat: Repeat::Idempotent,
    recovery: Recovery::RollOut,
    rights: &[
        Right { verb: "get", resource: "deployments", group: "apps" },
        Right { verb: "list", resource: "replicasets", group: "apps" },
        Right { verb: "get", resource: "statefulsets", group: "apps" },
    ],
};

pub(super) struct Drain;

impl Action for Drain {
    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    fn args(&self, with: &mut Reader<'_>) -> Args {
        let max_pods = with.count("max_pods", 1..=MAX_PODS_MAX).unwrap_or(MAX_PODS_DEFAULT);
        let namespaces = with.texts("namespaces").unwrap_or_default();
        node_choice::read(with).with("max_pods", max_pods).with("namespaces", namespaces)
    }

    fn step(&self, ask: &Ask<'_>, seen: &Inspected) -> Result<(Step, Inverse), Objection> {
        let node = node_choice::choose(ask, seen)?;
        let pods = seen.others.iter().filter(|other| other.object.kind == ObjectKind::Pod).map(|pod| &pod.manifest);
        let pods: Vec<&Value> = pods.filter(|pod| pod["spec"]["nodeName"] == node.object.name.as_str()).collect();
        let of = |wanted: OnDrain| pods.iter().copied().filter(move |pod| on_drain(pod) == wanted);
        if let Some(pod) = of(OnDrain::Lost).map(name).next() {
            let text =
                format!("the pod {pod} on the node {} has no controller: nobody would replace it", node.object.name);
            return Err(Objection::escalate("unmanaged-pod", text).with("pod", pod));
        }
        let evicted: Vec<&Value> = of(OnDrain::Evicted).collect();
        let max = ask.args.count("max_pods").unwrap_or(MAX_PODS_DEFAULT);
        if !u32::try_from(evicted.len()).is_ok_and(|n_pods| n_pods <= max) {
            let text = format!(
                "{} pods on the node {} would be evicted, and the policy allows {max} at most",
                evicted.len(),
                node.object.name
            );
            return Err(Objection::escalate("too-many-pods", text).with("n_pods", evicted.len()));
        }
        // What lies outside the policy's own words isn't touched (I10).
        if let Some(pod) = evicted.iter().find(|pod| !is_allowed(ask, seen, pod)) {
            let text = format!(
                "the pod {} on the node {} is in a namespace that the policy doesn't name (`with.namespaces`)",
                name(pod),
                node.object.name
            );
            return Err(Objection::escalate("other-namespace", text).with("pod", name(pod)));
        }
        let step = |cordon: bool, pods: Value| Step {
            action: NAME,
            args: unschedulable::args(&node.object, cordon).with("pods", pods),
        };
        let pods = evicted.iter().map(|pod| named_pod(pod)).collect();
        Ok((step(true, Value::Array(pods)), Inverse::Step(step(false, json!([])))))
    }

    fn payload(&self, plan: &Plan, step: &Step) -> Result<String, PayloadError> {
        unschedulable::payload(plan, step)
    }

    fn lint(&self, _: &Policy) -> Vec<String> {
        vec!["taking a drain back uncordons the node; the pods that were evicted stay where they are then".to_owned()]
    }

    /// The pods of the workload on that node don't serve; those of others their own budgets guard.
    fn disruption(&self, _: &Step, _: &Inspected) -> Disruption {
        Disruption::default()
    }

    fn cluster_rights(&self) -> &'static [Right] {
        &[
            Right { verb: "get", resource: "nodes", group: "" },
            Right { verb: "list", resource: "nodes", group: "" },
            Right { verb: "patch", resource: "nodes", group: "" },
            Right { verb: "list", resource: "pods", group: "" },
            Right { verb: "create", resource: "pods/eviction", group: "" },
        ]
    }
}

impl ClusterAction for Drain {
    fn sights(&self, _: &Args) -> Vec<Sight> {
        vec![Sight::Pods, Sight::Nodes, Sight::PodsOfNodes]
    }

    fn write(&self) -> ClusterWrite {
        ClusterWrite::Drain { holds: unschedulable::holds }
    }
}

fn is_allowed(ask: &Ask<'_>, seen: &Inspected, pod: &Value) -> bool {
    let namespace = &pod["metadata"]["namespace"];
    let own = &seen.manifest["metadata"]["namespace"];
    let named = ask.args.get("namespaces").and_then(Value::as_array).into_iter().flatten();
    let is_system = namespace.as_str().is_none_or(|name| name.starts_with(SYSTEM_NAMESPACE_PREFIX));
    !is_system && (namespace == own || named.into_iter().any(|named| named == namespace))
}

fn name(pod: &Value) -> String {
    let text = |key: &str| pod["metadata"][key].as_str().unwrap_or_default().to_owned();
    format!("{}/{}", text("namespace"), text("name"))
}

#[cfg(test)]
mod tests;
