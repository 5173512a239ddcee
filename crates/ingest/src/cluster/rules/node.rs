//! Nodes that aren't well, and the workloads with pods on them.

use std::collections::BTreeMap;

use homeostat_core::{ClusterFact, FactKind, Standing, Subject, Timestamp, WorkloadKind};

use super::super::draft::Draft;
use super::super::meta::{Condition, condition};
use super::super::node::Node;
use super::super::view::View;
use super::words::{cut, of_pods};

/// The namespace that a node has as a subject: nodes have none, and no namespace may be called so, with its dot.
const NODES: &str = "cluster.node";

/// Workloads named with a node: more help nobody.
const AFFECTED_MAX: usize = 16;

pub(super) fn facts(view: &View<'_>) -> Vec<ClusterFact> {
    view.nodes.values().flat_map(|node| of_node(view, node)).collect()
}

fn of_node(view: &View<'_>, node: &Node) -> Vec<ClusterFact> {
    let name = &node.meta.name;
    let mut facts = Vec::new();
    let mut add = |kind: FactKind, since: Timestamp, standing: Standing, sentence: String| {
        let subject = Subject { namespace: NODES.to_owned(), kind: WorkloadKind::External, name: name.clone() };
        facts.push(Draft::new(kind, node.meta.object("Node"), since, sentence).about(subject, standing));
    };
    let ready = condition(&node.conditions, "Ready").filter(|ready| !ready.is_true);
    if let Some(ready) = ready {
        let since = ready.since.unwrap_or(view.now);
        add(FactKind::NodeNotReady, since, Standing::Opens, format!("node `{name}` isn't ready: {}", why(ready)));
    } else {
        for (pressure, what) in
            [("MemoryPressure", "memory"), ("DiskPressure", "disk space"), ("PIDPressure", "process ids")]
        {
            if let Some(short) = condition(&node.conditions, pressure).filter(|short| short.is_true) {
                let since = short.since.unwrap_or(view.now);
                add(FactKind::NodePressure, since, Standing::Opens, format!("node `{name}` is short of {what}"));
            }
        }
    }
    if node.is_cordoned {
        let since = node.cordoned_since.or(node.meta.created).unwrap_or(Timestamp::from_secs(0));
        add(FactKind::NodeCordoned, since, Standing::Hints, format!("node `{name}` is cordoned: it takes no new pods"));
    }
    if let Some(ready) = ready {
        let affected = pods_on(view, name);
        if let Some(of_node) = facts.first_mut() {
            of_node.affected = affected.keys().take(AFFECTED_MAX).cloned().collect();
        }
        let since = ready.since.unwrap_or(view.now);
        for (subject, n_pods) in affected {
            let n_all = view.live_pods(&subject).count();
            let sentence = format!("{} on node `{name}`, which isn't ready", of_pods(n_pods, n_all));
            let draft = Draft::new(FactKind::NodeNotReady, node.meta.object("Node"), since, sentence);
            facts.push(draft.about(subject, Standing::Explains));
        }
    }
    facts
}

fn pods_on(view: &View<'_>, node: &str) -> BTreeMap<Subject, usize> {
    let mut found = BTreeMap::new();
    for subject in view.pods_of.keys() {
        let n_pods = view.live_pods(subject).filter(|pod| pod.node == node).count();
        if n_pods > 0 {
            found.insert(subject.clone(), n_pods);
        }
    }
    found
}

fn why(ready: &Condition) -> String {
    match ready.reason.as_str() {
        "NodeStatusUnknown" => "its kubelet doesn't report any more".to_owned(),
        _other if ready.message.is_empty() => "it doesn't say why".to_owned(),
        _other => cut(&ready.message),
    }
}
