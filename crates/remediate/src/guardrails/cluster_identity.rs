//! Is the cluster that is measured the one that would be acted on? Names repeat from cluster to cluster.

use serde::{Deserialize, Serialize};

use crate::decide::DecisionContext;
use crate::guardrails::{Guardrail, Needs};
use crate::objection::Objection;

/// Whether the datasource's object and the API server's are one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "same-cluster")]
pub enum SameCluster {
    /// They are, or there is but one.
    Proven,
    /// That isn't known, or they aren't.
    Unproven {
        /// What was found, and how to prove it.
        why: String,
    },
}

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
        let text = format!("it isn't proven that the datasource watches the cluster that would be acted on: {why}");
        vec![Objection::escalate("cluster-unproven", text).approvable()]
    }
}
