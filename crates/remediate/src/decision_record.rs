//! A decision as the journal keeps it.

use homeostat_core::{ActionKind, CorrelationId, IncidentId, PlanId, Subject};
use serde::{Deserialize, Serialize};

use crate::refusal::Refusal;

/// How a decision came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DecisionOutcome {
    /// Do it.
    Execute,
    /// Show it to a human.
    Propose,
    /// Don't.
    Refuse,
}

/// A decision as it is kept (I32).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DecisionRecord {
    /// The incident.
    pub incident: IncidentId,
    /// The id that runs through everything.
    pub correlation: CorrelationId,
    /// Where.
    pub subject: Subject,
    /// The policy that was asked, if there is one.
    pub policy: Option<String>,
    /// How it came out.
    pub outcome: DecisionOutcome,
    /// The action it is about, refused or not.
    pub action: Option<ActionKind>,
    /// The plan that was made or proposed.
    pub plan: Option<PlanId>,
    /// Every reason against, with its values.
    pub refusals: Vec<Refusal>,
}

impl DecisionRecord {
    /// Whether it says something else than `earlier`: another outcome, action, policy or set of reasons. Their values
    /// (a cooldown's rest, a confidence's digits) change all the time and make no new row.
    pub fn differs_from(&self, earlier: &Self) -> bool {
        let codes = |record: &Self| record.refusals.iter().map(Refusal::code).collect::<Vec<_>>();
        (self.outcome, self.action, &self.policy) != (earlier.outcome, earlier.action, &earlier.policy)
            || codes(self) != codes(earlier)
            // An attempt is its own decision, even when the one before came out the same.
            || (self.outcome == DecisionOutcome::Execute && self.plan != earlier.plan)
    }
}
