//! What the journal keeps beside actions: incidents, decisions, calls for a human, switches.

use homeostat_core::{Escalation, Incident, IncidentId, IncidentLabel};
use homeostat_remediate::{Approval, DecisionRecord, KillSwitch, ProposedPlan, Storm};

/// Anything the journal keeps that isn't an action's own step.
#[derive(Clone, Debug, PartialEq)]
pub enum Note {
    /// An incident is now like this.
    Incident(Box<Incident>),
    /// A person says what an incident was.
    Label(IncidentLabel),
    /// A decision was made.
    Decision(DecisionRecord),
    /// A plan is shown to people, and waits for their answer (I25).
    Proposed(Box<ProposedPlan>),
    /// A person answers a proposed plan.
    Approval(Approval),
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
    /// A storm began, called more channels, or cleared (I18).
    Storm {
        /// As it is now; `None` when it has cleared.
        storm: Option<Storm>,
    },
    /// Automation was stopped or resumed.
    KillSwitch(KillSwitch),
}

impl Note {
    /// The stable name, as in the journal's `kind` column.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Incident(_) => "incident",
            Self::Label(_) => "label",
            Self::Decision(_) => "decision",
            Self::Proposed(_) => "proposed",
            Self::Approval(_) => "approval",
            Self::Escalated(_) => "escalated",
            Self::EscalationDelivered { .. } => "escalation-delivered",
            Self::PolicyFrozen { .. } => "policy-frozen",
            Self::PolicyReleased { .. } => "policy-released",
            Self::Storm { .. } => "storm",
            Self::KillSwitch(_) => "kill-switch",
        }
    }
}
