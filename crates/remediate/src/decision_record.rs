//! A decision as the journal keeps it.

use homeostat_core::{CorrelationId, IncidentId, Subject};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::objection::Objection;
use crate::plan::PlanId;

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
    /// The name of the action it is about, refused or not.
    pub action: Option<String>,
    /// The plan that was made or proposed.
    pub plan: Option<PlanId>,
    /// Who approved it, where somebody had to. Their reasons against are what was overruled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved_by: Option<String>,
    /// Every reason against, with its values.
    pub refusals: Vec<Reason>,
}

/// A reason against as it is kept: data, so that a journal can be read whichever version knew the reason.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reason {
    /// The stable code.
    pub code: String,
    /// The sentence; from an old journal the values, which is all that was kept.
    pub text: String,
    /// The values in it.
    pub values: Value,
}

impl From<&Objection> for Reason {
    fn from(objection: &Objection) -> Self {
        let values = objection.values.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        Self { code: objection.code.to_string(), text: objection.text.clone(), values: Value::Object(values) }
    }
}

impl DecisionRecord {
    /// Whether it says something else than `earlier`: another outcome, action, policy or set of reasons. Their values
    /// (a cooldown's rest, a confidence's digits) change all the time and make no new row.
    pub fn differs_from(&self, earlier: &Self) -> bool {
        let codes = |record: &Self| record.refusals.iter().map(|reason| reason.code.clone()).collect::<Vec<_>>();
        (self.outcome, &self.action, &self.policy) != (earlier.outcome, &earlier.action, &earlier.policy)
            || codes(self) != codes(earlier)
            // An attempt is its own decision, even when the one before came out the same.
            || (self.outcome == DecisionOutcome::Execute && self.plan != earlier.plan)
    }
}
