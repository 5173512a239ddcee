//! What an action wants to see beside its workload. Whoever looks needs a right for each; what isn't asked for isn't looked at.

use homeostat_remediate::{Args, ObjectKind};

/// Something to look at beside the workload.
#[derive(Clone, Debug, PartialEq)]
pub enum Sight {
    /// The workload's own pods.
    Pods,
    /// What the namespace's quotas limit.
    Quotas,
    /// The KEDA ScaledObject that keeps the autoscaler, if one does.
    ScaledObject,
    /// The namespace's object of this kind and name. One that isn't there isn't seen.
    Object(ObjectKind, String),
    /// The Helm release that it is of.
    HelmRelease,
    /// The file in git that these arguments name.
    GitFile(Args),
    /// All nodes.
    Nodes,
    /// All pods on the nodes on which pods of the workload fail; with [`Sight::Pods`].
    PodsOfNodes,
}
