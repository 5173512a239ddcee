//! Is the cluster that is measured the one that would be acted on?

use serde::{Deserialize, Serialize};

use crate::decide::Facts;
use crate::refusal::Refusal;

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

/// Names repeat from cluster to cluster: without proof the workload that is ill and the one that is acted on may be two.
pub(super) fn proven(facts: &Facts<'_>, found: &mut Vec<Refusal>) {
    match facts.context.same_cluster {
        SameCluster::Proven => {}
        SameCluster::Unproven { why } => found.push(Refusal::ClusterUnproven { why: why.clone() }),
    }
}
