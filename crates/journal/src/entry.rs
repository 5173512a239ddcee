//! What rows say: from what is recorded to a row's kind and body, and back, whichever version wrote it.

use std::sync::Arc;

use homeostat_core::{Escalation, IncidentId, IncidentLabel};
use homeostat_remediate::{Approval, DecisionRecord, JournalEvent, KillSwitch, Plan, PlanId, ProposedPlan, Storm};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::error::FoldError;
use crate::formats::{FORMAT, upcast};
use crate::intent::Intent;
use crate::kept::KeptIncident;
use crate::note::Note;
use crate::row::{About, Head, Row};

/// One row's content.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Entry {
    Intent(Box<Intent>),
    Step { plan: PlanId, event: JournalEvent },
    Incident(Arc<KeptIncident>),
    Label { label: Box<IncidentLabel>, about: Option<Arc<KeptIncident>> },
    Decision(Box<DecisionRecord>),
    Proposed(Box<ProposedPlan>),
    Approval(Box<Approval>),
    Escalated { escalation: Box<Escalation>, about: Option<Arc<KeptIncident>> },
    Delivered(Delivered),
    PolicyFrozen(PolicyNote),
    PolicyReleased(PolicyNote),
    Storm(StormNote),
    KillSwitch(KillSwitch),
    Archived(Archived),
}

/// The storm as it is now; `None` when it has cleared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct StormNote {
    pub(crate) storm: Option<Storm>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Delivered {
    pub(crate) incident: IncidentId,
    pub(crate) reason: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct PolicyNote {
    pub(crate) policy: String,
    pub(crate) why: String,
}

/// Rows went to the archive.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Archived {
    /// The last of them.
    pub(crate) through: Head,
    /// The digest of the rows up to there that stay because they still count.
    pub(crate) carried_sha256: String,
}

#[derive(Serialize, Deserialize)]
struct Step {
    plan: PlanId,
    event: JournalEvent,
}

impl Entry {
    /// What a note says. `about`: the incident that a call or a label is for, as far as it is known.
    pub(crate) fn of_note(note: &Note, about: Option<Arc<KeptIncident>>) -> Result<Self, String> {
        let data = |incident: &homeostat_core::Incident| {
            let value = serde_json::to_value(incident).map_err(|error| error.to_string())?;
            KeptIncident::read(&value, 0).map(Arc::new)
        };
        Ok(match note {
            Note::Incident(incident) => Self::Incident(data(incident)?),
            Note::Label(label) => Self::Label { label: Box::new(label.clone()), about },
            Note::Decision(record) => Self::Decision(Box::new(record.clone())),
            Note::Proposed(proposed) => Self::Proposed(proposed.clone()),
            Note::Approval(approval) => Self::Approval(Box::new(approval.clone())),
            Note::Escalated(escalation) => Self::Escalated { escalation: Box::new(escalation.clone()), about },
            Note::EscalationDelivered { incident, reason } => {
                Self::Delivered(Delivered { incident: incident.clone(), reason: reason.clone() })
            }
            Note::PolicyFrozen { policy, why } => {
                Self::PolicyFrozen(PolicyNote { policy: policy.clone(), why: why.clone() })
            }
            Note::PolicyReleased { policy, why } => {
                Self::PolicyReleased(PolicyNote { policy: policy.clone(), why: why.clone() })
            }
            Note::Storm { storm } => Self::Storm(StormNote { storm: storm.clone() }),
            Note::KillSwitch(switch) => Self::KillSwitch(switch.clone()),
        })
    }

    /// The stable name, as in the `kind` column.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Intent(_) => "intent",
            Self::Step { event, .. } => event.name(),
            Self::Incident(_) => "incident",
            Self::Label { .. } => "label",
            Self::Decision(_) => "decision",
            Self::Proposed(_) => "proposed",
            Self::Approval(_) => "approval",
            Self::Escalated { .. } => "escalated",
            Self::Delivered(_) => "escalation-delivered",
            Self::PolicyFrozen(_) => "policy-frozen",
            Self::PolicyReleased(_) => "policy-released",
            Self::Storm(_) => "storm",
            Self::KillSwitch(_) => "kill-switch",
            Self::Archived(_) => "archived",
        }
    }

    /// Whether a version that doesn't know this kind must not act on the journal: everything that budgets, the stage of an
    /// action, calls and switches are folded from. The rest is shown.
    pub(crate) const fn must_understand(&self) -> bool {
        match self {
            Self::Intent(_)
            | Self::Step { .. }
            | Self::Escalated { .. }
            | Self::Delivered(_)
            | Self::PolicyFrozen(_)
            | Self::PolicyReleased(_)
            | Self::Storm(_)
            | Self::KillSwitch(_)
            | Self::Archived(_) => true,
            // Whoever doesn't know approvals does nothing because of one.
            Self::Incident(_) | Self::Label { .. } | Self::Decision(_) | Self::Proposed(_) | Self::Approval(_) => false,
        }
    }

    /// The body, as JSON.
    pub(crate) fn body(&self) -> Result<String, String> {
        let value = match self {
            Self::Intent(intent) => serde_json::to_value(intent),
            Self::Step { plan, event } => serde_json::to_value(Step { plan: plan.clone(), event: event.clone() }),
            Self::Incident(incident) => Ok(json!({ "incident": incident.value() })),
            Self::Label { label, about } => serde_json::to_value(label).map(|body| with_about(body, about.as_deref())),
            Self::Decision(record) => serde_json::to_value(record),
            Self::Proposed(proposed) => serde_json::to_value(proposed),
            Self::Approval(approval) => serde_json::to_value(approval),
            Self::Escalated { escalation, about } => {
                serde_json::to_value(escalation).map(|body| with_about(body, about.as_deref()))
            }
            Self::Delivered(delivered) => serde_json::to_value(delivered),
            Self::PolicyFrozen(note) | Self::PolicyReleased(note) => serde_json::to_value(note),
            Self::Storm(note) => serde_json::to_value(note),
            Self::KillSwitch(switch) => serde_json::to_value(switch),
            Self::Archived(archived) => serde_json::to_value(archived),
        };
        value.map(|value| value.to_string()).map_err(|error| error.to_string())
    }

    /// What the row is about; `plan` is the one that it belongs to, if it belongs to one.
    pub(crate) fn about(&self, plan: Option<&Plan>) -> About {
        if let Some(plan) = plan {
            return About {
                incident: plan.incident.to_string(),
                correlation: plan.correlation.to_string(),
                subject: plan.target.subject.to_string(),
                plan: plan.id.to_string(),
                policy: plan.policy.clone(),
            };
        }
        match self {
            Self::Incident(incident) => About {
                incident: incident.id.to_string(),
                correlation: incident.correlation.to_string(),
                subject: incident.subject.clone(),
                ..About::default()
            },
            Self::Label { label, .. } => About { incident: label.incident.to_string(), ..About::default() },
            Self::Decision(record) => About {
                incident: record.incident.to_string(),
                correlation: record.correlation.to_string(),
                subject: record.subject.to_string(),
                plan: record.plan.as_ref().map(ToString::to_string).unwrap_or_default(),
                policy: record.policy.clone().unwrap_or_default(),
            },
            Self::Approval(approval) => About { incident: approval.incident.to_string(), ..About::default() },
            Self::Escalated { escalation, .. } => About {
                incident: escalation.incident.to_string(),
                correlation: escalation.correlation.to_string(),
                subject: escalation.subject.to_string(),
                ..About::default()
            },
            Self::Delivered(delivered) => About { incident: delivered.incident.to_string(), ..About::default() },
            Self::PolicyFrozen(note) | Self::PolicyReleased(note) => {
                About { policy: note.policy.clone(), ..About::default() }
            }
            Self::Intent(_)
            | Self::Step { .. }
            | Self::Proposed(_)
            | Self::Storm(_)
            | Self::KillSwitch(_)
            | Self::Archived(_) => About::default(),
        }
    }

    /// What a row says; `None` for one that this version doesn't understand and needn't.
    pub(crate) fn of_row(row: &Row) -> Result<Option<Self>, FoldError> {
        match Self::read(row) {
            Ok(entry) => Ok(Some(entry)),
            Err(_) if !row.must_understand => Ok(None),
            Err(why) => Err(FoldError::Newer(format!("row {}, {:?}: {why}", row.seq, row.kind))),
        }
    }

    fn read(row: &Row) -> Result<Self, String> {
        if row.format > FORMAT {
            return Err(format!("format {}, this version reads up to {FORMAT}", row.format));
        }
        let body: Value = serde_json::from_str(&row.body).map_err(|error| error.to_string())?;
        let body = upcast(row.format, &row.kind, body);
        Ok(match row.kind.as_str() {
            "intent" => Self::Intent(Box::new(read(body)?)),
            "incident" => {
                let incident = body.get("incident").ok_or("it has no incident")?;
                Self::Incident(Arc::new(KeptIncident::read(incident, row.seq)?))
            }
            "label" => {
                let about = about(&body, row.seq);
                Self::Label { label: Box::new(read(body)?), about }
            }
            "decision" => Self::Decision(Box::new(read(body)?)),
            "proposed" => Self::Proposed(Box::new(read(body)?)),
            "approval" => Self::Approval(Box::new(read(body)?)),
            "escalated" => {
                let about = about(&body, row.seq);
                Self::Escalated { escalation: Box::new(read(body)?), about }
            }
            "escalation-delivered" => Self::Delivered(read(body)?),
            "policy-frozen" => Self::PolicyFrozen(read(body)?),
            "policy-released" => Self::PolicyReleased(read(body)?),
            "storm" => Self::Storm(read(body)?),
            "kill-switch" => Self::KillSwitch(read(body)?),
            "archived" => Self::Archived(read(body)?),
            // The rest are steps of an action, each under its event's name.
            _ => {
                let Step { plan, event } = read(body)?;
                Self::Step { plan, event }
            }
        })
    }
}

/// The body with the incident it is about: what is needed to call, or to go by a label, also once the incident itself is archived.
fn with_about(mut body: Value, about: Option<&KeptIncident>) -> Value {
    if let (Value::Object(body), Some(about)) = (&mut body, about) {
        body.insert("about".to_owned(), about.value());
    }
    body
}

fn about(body: &Value, seq: i64) -> Option<Arc<KeptIncident>> {
    body.get("about").and_then(|about| KeptIncident::read(about, seq).ok()).map(Arc::new)
}

fn read<T: DeserializeOwned>(body: Value) -> Result<T, String> {
    serde_json::from_value(body).map_err(|error| error.to_string())
}
