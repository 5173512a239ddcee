//! Disruption budgets that allow no eviction.

use homeostat_core::{ClusterFact, FactKind, Standing, Subject, Timestamp};

use super::super::draft::Draft;
use super::super::pod::Pod;
use super::super::scaling::Budget;
use super::super::view::View;

pub(super) fn facts(view: &View<'_>) -> Vec<ClusterFact> {
    view.budgets.iter().filter_map(|budget| fact(view, budget)).collect()
}

fn fact(view: &View<'_>, budget: &Budget) -> Option<ClusterFact> {
    let blocks = budget.is_simple && budget.allowed == Some(0) && budget.needed > 0;
    if !blocks {
        return None;
    }
    let pods: Vec<&Pod> = view
        .pods
        .iter()
        .filter(|pod| pod.meta.namespace == budget.meta.namespace && pod.matches(&budget.selector) && !pod.has_ended())
        .copied()
        .collect();
    let subject: Subject = pods.iter().find_map(|pod| view.subject_of(pod))?;
    let name = &budget.meta.name;
    let why = format!("{} of its pods must stay ready and {} are", budget.needed, budget.healthy);
    let nodes = pods.iter().filter_map(|pod| view.nodes.get(pod.node.as_str()));
    let waiting = nodes.filter(|node| node.is_cordoned).min_by_key(|node| &node.meta.name);
    let blocks_since = budget.since.or(budget.meta.created).unwrap_or(Timestamp::from_secs(0));
    // Where nobody says since when a node is cordoned, nothing is known to have lasted.
    let since = waiting.map_or(blocks_since, |node| blocks_since.max(node.cordoned_since.unwrap_or(view.now)));
    let (sentence, standing) = match waiting.map(|node| &node.meta.name) {
        Some(node) => {
            let sentence = format!(
                "PodDisruptionBudget `{name}` allows no eviction, and node `{node}`, which has a pod of it, is cordoned: {why}"
            );
            (sentence, Standing::Opens)
        }
        None => (format!("PodDisruptionBudget `{name}` allows no eviction: {why}"), Standing::Hints),
    };
    let object = budget.meta.object("PodDisruptionBudget");
    Some(Draft::new(FactKind::EvictionBlocked, object, since, sentence).about(subject, standing))
}
