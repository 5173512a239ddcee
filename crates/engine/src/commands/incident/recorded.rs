//! An incident as it is recorded: itself, the latest decision about it, and what was done.
//!
//! It is read from JSON, the same from a journal and from a server, so that a newer server's additions are no error.

use anyhow::Context;
use homeostat_core::Incident;
use homeostat_remediate::{DIGEST_DIGITS_MIN, Inverse, PendingPlan};
use serde_json::{Value, json};

/// One incident with all that is known of it.
pub(super) struct Recorded {
    pub(super) incident: Incident,
    pub(super) decision: Option<Decided>,
    /// What somebody says it was.
    pub(super) label: Option<Labelled>,
    pub(super) actions: Vec<Done>,
    /// The plan that waits for an answer, where a journal was read.
    pub(super) proposal: Option<Proposal>,
    /// Every row of the journal about it; empty where only a server was asked.
    pub(super) rows: Vec<Value>,
    json: Value,
}

/// The latest decision.
pub(super) struct Decided {
    /// `execute`, `propose` or `refuse`.
    pub(super) outcome: String,
    pub(super) action: Option<String>,
    pub(super) policy: Option<String>,
    pub(super) reasons: Vec<Reason>,
    /// Who approved it, where somebody had to.
    pub(super) approved_by: Option<String>,
}

/// The label that counts, whichever version gave it.
pub(super) struct Labelled {
    pub(super) verdict: String,
    pub(super) by: String,
    pub(super) note: String,
    pub(super) at: String,
}

/// A plan that waits for a person's answer, or has one that wasn't followed yet.
pub(super) struct Proposal {
    pub(super) digest: String,
    pub(super) until: String,
    /// How it is taken back, in a sentence.
    pub(super) inverse: String,
    /// What would be sent, laid out where it is JSON.
    pub(super) write: String,
    /// What was said, and by whom.
    pub(super) answer: Option<(String, String)>,
}

/// One reason against acting.
pub(super) struct Reason {
    pub(super) code: String,
    pub(super) text: String,
}

/// One action that was taken, and how far it came.
pub(super) struct Done {
    pub(super) plan: String,
    pub(super) action: String,
    pub(super) at: String,
    pub(super) stage: String,
    pub(super) why: Option<String>,
}

impl Recorded {
    /// From its parts as JSON.
    pub(super) fn of(incident: Value, decision: Value, label: &Value, actions: &Value) -> anyhow::Result<Self> {
        let json = json!({ "incident": incident, "decision": decision, "label": label, "actions": actions });
        let incident = serde_json::from_value(incident).context("an incident that this version can't read")?;
        let actions = actions.as_array().map(Vec::as_slice).unwrap_or_default();
        Ok(Self {
            incident,
            decision: decision.is_object().then(|| Decided::of(&decision)),
            label: label.is_object().then(|| Labelled::of(label)),
            actions: actions.iter().map(Done::of).collect(),
            proposal: None,
            rows: Vec::new(),
            json,
        })
    }

    /// The same with the plan that waits for an answer.
    pub(super) fn with_proposal(mut self, pending: &PendingPlan) -> Self {
        let plan = pending.plan();
        self.json["proposal"] = json!({
            "digest": plan.digest(), "plan": plan, "write": pending.proposed.write, "answer": pending.answer,
        });
        self.proposal = Some(Proposal::of(pending));
        self
    }

    /// Without the journal's rows.
    pub(super) fn summary_json(&self) -> Value {
        self.json.clone()
    }

    /// With the journal's rows.
    pub(super) fn whole_json(&self) -> Value {
        let mut json = self.json.clone();
        json["record"] = Value::Array(self.rows.clone());
        json
    }
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

impl Decided {
    fn of(decision: &Value) -> Self {
        let reasons = decision["refusals"].as_array().or_else(|| decision["objections"].as_array());
        Self {
            outcome: text(&decision["outcome"]).unwrap_or_default(),
            action: text(&decision["action"]),
            policy: text(&decision["policy"]),
            reasons: reasons.into_iter().flatten().map(Reason::of).collect(),
            approved_by: text(&decision["approved_by"]),
        }
    }
}

impl Proposal {
    fn of(pending: &PendingPlan) -> Self {
        let plan = pending.plan();
        let digest = plan.digest();
        let inverse = match &plan.inverse {
            Inverse::Nothing => "there is nothing to take back".to_owned(),
            Inverse::Irreversible => "it can't be taken back".to_owned(),
            Inverse::Step(step) if plan.undo_if_failed => format!("if it doesn't help, by {}", step.action),
            Inverse::Step(step) => format!("by {}, which the policy leaves to you", step.action),
            Inverse::Temporary { step, until } => format!("at {until} at the latest, by {}", step.action),
        };
        let write = &pending.proposed.write;
        let laid_out =
            serde_json::from_str::<Value>(write).ok().and_then(|json| serde_json::to_string_pretty(&json).ok());
        Self {
            digest: digest.get(..DIGEST_DIGITS_MIN).unwrap_or(&digest).to_owned(),
            until: plan.apply_before.to_string(),
            inverse,
            write: laid_out.unwrap_or_else(|| write.clone()),
            answer: pending.answer.as_ref().map(|answer| (answer.answer.to_string(), answer.by.clone())),
        }
    }
}

impl Labelled {
    fn of(label: &Value) -> Self {
        let of = |key: &str| text(&label[key]).unwrap_or_default();
        Self { verdict: of("verdict"), by: of("by"), note: of("note"), at: of("at") }
    }
}

impl Reason {
    fn of(reason: &Value) -> Self {
        let code = text(&reason["code"]).unwrap_or_else(|| "unknown".to_owned());
        Self { text: text(&reason["text"]).unwrap_or_else(|| code.clone()), code }
    }
}

impl Done {
    fn of(action: &Value) -> Self {
        let of = |key: &str| text(&action[key]).unwrap_or_default();
        Self { plan: of("plan"), action: of("action"), at: of("at"), stage: of("stage"), why: text(&action["why"]) }
    }
}
