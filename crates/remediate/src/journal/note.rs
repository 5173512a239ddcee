//! What the journal keeps beside actions: incidents, decisions, calls for a human, switches.

use homeostat_core::{ActionKind, CorrelationId, Incident, IncidentId, PlanId, Subject};
use serde::{Deserialize, Serialize};

use crate::escalation::Escalation;
use crate::refusal::Refusal;

/// Whether automation is stopped.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct KillSwitch {
    /// Whether it is.
    pub engaged: bool,
    /// Who stopped or resumed it, and why.
    pub why: String,
}

/// How a decision came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
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
    pub outcome: Outcome,
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
            || (self.outcome == Outcome::Execute && self.plan != earlier.plan)
    }
}

/// Anything the journal keeps that isn't an action's own step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Note {
    /// An incident is now like this.
    Incident(Box<Incident>),
    /// A decision was made.
    Decision(DecisionRecord),
    /// A human is called.
    Escalated(Escalation),
    /// Somebody else (an outbox, a human) has taken the call over.
    EscalationDelivered {
        /// The incident.
        incident: IncidentId,
        /// The reason it was for.
        reason: String,
    },
    /// A policy made something worse and is stopped (I17).
    PolicyFrozen {
        /// Its name.
        policy: String,
        /// What happened.
        why: String,
    },
    /// A human lets a stopped policy act again.
    PolicyReleased {
        /// Its name.
        policy: String,
        /// Who, and why.
        why: String,
    },
    /// Automation was stopped or resumed.
    KillSwitch(KillSwitch),
}

impl Note {
    /// The stable name, as in the journal's `kind` column.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Incident(_) => "incident",
            Self::Decision(_) => "decision",
            Self::Escalated(_) => "escalated",
            Self::EscalationDelivered { .. } => "escalation-delivered",
            Self::PolicyFrozen { .. } => "policy-frozen",
            Self::PolicyReleased { .. } => "policy-released",
            Self::KillSwitch(_) => "kill-switch",
        }
    }
}
