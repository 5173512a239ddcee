//! An incident as it is recorded: itself, the latest decision about it, and what was done.
//!
//! It is read from JSON, the same from a journal and from a server, so that a newer server's additions are no error.

use anyhow::Context;
use homeostat_core::Incident;
use serde_json::{Value, json};

/// One incident with all that is known of it.
pub(super) struct Recorded {
    pub(super) incident: Incident,
    pub(super) decision: Option<Decided>,
    /// What somebody says it was.
    pub(super) label: Option<Labelled>,
    pub(super) actions: Vec<Done>,
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
}

/// The label that counts, whichever version gave it.
pub(super) struct Labelled {
    pub(super) verdict: String,
    pub(super) by: String,
    pub(super) note: String,
    pub(super) at: String,
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
            rows: Vec::new(),
            json,
        })
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
