//! Which node an action on a node is done to: the one on which all pods of the workload that fail are, while others of it serve elsewhere.
//! Only then is it the node's fault.

use std::collections::BTreeSet;

use homeostat_remediate::{Args, Ask, Inspected, ObjectKind, Objection, Reader, Right, SeenObject, SeenPod};
use serde_json::Value;

use super::pod_choice;

/// Cordoned nodes at most, by whomever: each is capacity that is missing.
const MAX_CORDONED_DEFAULT: u32 = 1;
const MAX_CORDONED_MAX: u32 = 100;

/// What looking at nodes and writing one takes, in the whole cluster.
pub(super) const RIGHTS: &[Right] = &[
    Right { verb: "get", resource: "nodes", group: "" },
    Right { verb: "list", resource: "nodes", group: "" },
    Right { verb: "patch", resource: "nodes", group: "" },
];

/// Reads `max_cordoned`, which may be absent.
pub(super) fn read(with: &mut Reader<'_>) -> Args {
    let max = with.count("max_cordoned", 1..=MAX_CORDONED_MAX).unwrap_or(MAX_CORDONED_DEFAULT);
    Args::default().with("max_cordoned", max)
}

/// The node to cordon, or why there is none.
pub(super) fn choose<'a>(ask: &Ask<'_>, seen: &'a Inspected) -> Result<&'a SeenObject, Objection> {
    let pods = pod_choice::visible(seen)?;
    let name = suspect(pods)?;
    let nodes = || seen.others.iter().filter(|other| other.object.kind == ObjectKind::Node);
    let Some(node) = nodes().find(|node| node.object.name == name) else {
        return Err(Objection::escalate(
            "node-not-visible",
            format!("the node {name} isn't among those that can be seen"),
        ));
    };
    if is_cordoned(&node.manifest) {
        return Err(Objection::escalate("already-cordoned", format!("the node {name} is cordoned already")));
    }
    let n_cordoned = nodes().filter(|node| is_cordoned(&node.manifest)).count();
    let max = ask.args.count("max_cordoned").unwrap_or(MAX_CORDONED_DEFAULT);
    if u32::try_from(n_cordoned).is_ok_and(|n_cordoned| n_cordoned >= max) {
        let text = format!("{n_cordoned} nodes are cordoned, and the policy allows {max} at most");
        return Err(Objection::escalate("too-many-cordoned", text).with("n_cordoned", n_cordoned));
    }
    let takes_pods =
        |node: &&SeenObject| node.object.name != name && !is_cordoned(&node.manifest) && is_ready(&node.manifest);
    if !nodes().any(|node| takes_pods(&node)) {
        return Err(Objection::escalate("last-node", "no other node is ready and takes pods"));
    }
    Ok(node)
}

/// The node on which all failing pods are, while others serve elsewhere.
fn suspect(pods: &[SeenPod]) -> Result<&str, Objection> {
    let failing = pods.iter().filter(|pod| pod.failing.is_some());
    let nodes: BTreeSet<Option<&str>> = failing.map(|pod| pod.node.as_deref()).collect();
    let mut nodes = nodes.into_iter();
    let (Some(Some(node)), None) = (nodes.next(), nodes.next()) else {
        let text = "the pods that fail aren't all on one node: it isn't the node that is at fault";
        return Err(Objection::escalate("no-common-node", text));
    };
    let serves_elsewhere = |pod: &SeenPod| pod.failing.is_none() && pod.node.as_deref().is_some_and(|of| of != node);
    let serves_there = |pod: &SeenPod| pod.failing.is_none() && pod.node.as_deref() == Some(node);
    if !pods.iter().any(serves_elsewhere) || pods.iter().any(serves_there) {
        let text = format!(
            "pods of it serve on the node {node}, or none serves elsewhere: it isn't the node that is at fault"
        );
        return Err(Objection::escalate("no-common-node", text));
    }
    Ok(node)
}

/// Whether the scheduler leaves it alone.
pub(super) fn is_cordoned(node: &Value) -> bool {
    node["spec"]["unschedulable"].as_bool().unwrap_or(false)
}

fn is_ready(node: &Value) -> bool {
    let conditions = node["status"]["conditions"].as_array();
    conditions.into_iter().flatten().any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}
