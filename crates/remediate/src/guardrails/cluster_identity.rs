//! Is the cluster that is measured the one that would be acted on? Names repeat from cluster to cluster.

use crate::decision_context::DecisionContext;
use crate::guardrails::{Guardrail, Needs};
use crate::objection::Objection;
use crate::same_cluster::SameCluster;

pub(super) struct ClusterUnproven;

impl Guardrail for ClusterUnproven {
    fn codes(&self) -> &'static [&'static str] {
        &["cluster-unproven"]
    }

    fn needs(&self) -> Needs {
        Needs::Target
    }

    fn objections(&self, context: &DecisionContext<'_>) -> Vec<Objection> {
        let SameCluster::Unproven { why } = context.environment.same_cluster else { return Vec::new() };
        // An action that needs no right there touches no cluster.
        if context.asked.is_some_and(|asked| asked.action.spec().rights.is_empty()) {
            return Vec::new();
        }
        let text = format!("it isn't proven that the datasource watches the cluster that would be acted on: {why}");
        vec![Objection::escalate("cluster-unproven", text).approvable()]
    }
}
