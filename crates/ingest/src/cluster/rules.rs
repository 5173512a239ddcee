//! Every rule that makes facts of the cluster's objects. Each is a function of what is seen; none knows of another.
//! To add one: its file, its `mod` line, and its line in [`RULES`].

mod admission;
mod autoscaler;
mod claim;
mod container;
mod creation;
mod disruption;
mod mount;
mod node;
mod pod;
mod probe;
mod reason;
mod revisions;
mod rollout;
mod scale;
mod scheduling;
mod service;
mod terminating;
mod words;

use homeostat_core::ClusterFact;

use super::view::View;

/// A rule.
pub(super) type Rule = fn(&View<'_>) -> Vec<ClusterFact>;

/// Every rule, in any order.
pub(super) static RULES: &[Rule] = &[
    pod::facts,
    creation::facts,
    claim::facts,
    scale::facts,
    service::facts,
    rollout::facts,
    revisions::facts,
    node::facts,
    autoscaler::facts,
    disruption::facts,
    terminating::facts,
];
