//! What would the action take down? (I19, I20)

use crate::decide::Facts;
use crate::refusal::Refusal;

/// A roll-out that takes everything down before anything new is there is an outage, and where new pods don't start it stays
/// one. A disruption budget says what its owner allows to be taken down on purpose.
pub(super) fn bearable(facts: &Facts<'_>, found: &mut Vec<Refusal>) {
    let Ok(seen) = facts.seen else { return };
    let disruption = &seen.disruption;
    if disruption.is_recreate {
        found.push(Refusal::TakesAllDown { why: "its strategy is Recreate".to_owned() });
    } else if seen.replicas_wanted > 0 && disruption.unavailable_max >= seen.replicas_wanted {
        let why = format!("maxUnavailable allows all {} pods to be missing at once", seen.replicas_wanted);
        found.push(Refusal::TakesAllDown { why });
    }
    if let Some(budget) = disruption.budget.as_ref().filter(|budget| budget.allowed == 0) {
        found.push(Refusal::DisruptionBudget { name: budget.name.clone() });
    }
}
