//! What can speak against an action. Each guardrail is a pure function that says its reasons; it never permits anything.

mod budget;
mod cluster;
mod effect;
mod incident;
mod past;
mod policy;
mod protection;
mod target;

pub use self::cluster::SameCluster;
use crate::decide::Facts;
use crate::refusal::Refusal;

/// Every reason against, in a fixed order: first what stops everything, then the incident, the policy, the budget, and
/// last the target.
pub(crate) fn refusals(facts: &Facts<'_>) -> Vec<Refusal> {
    let mut found = Vec::new();
    incident::stopped(facts, &mut found);
    incident::goes_on(facts, &mut found);
    incident::explained(facts, &mut found);
    policy::permits(facts, &mut found);
    protection::protected(facts, &mut found);
    policy::is_sure(facts, &mut found);
    budget::left(facts, &mut found);
    target::ready(facts, &mut found);
    past::undisputed(facts, &mut found);
    effect::bearable(facts, &mut found);
    cluster::proven(facts, &mut found);
    found
}
