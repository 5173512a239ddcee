//! `Incident` and `Remediation` objects: what people see with `kubectl`. They follow from the journal, and are made right
//! wherever they differ from it: nothing is ever read from them.

use std::collections::BTreeMap;
use std::sync::Arc;

use homeostat_core::Timestamp;
use homeostat_remediate::{DecisionOutcome, PastAction, Stage};
use serde_json::{Value, json};

use super::may_write::MayWrite;
use super::rows::API_VERSION;
use crate::journal::Journal;
use crate::objects::{Collection, Objects, RequestError, Verb, list, write};
use crate::page::{PageItem, PageRequest};

/// Objects of each kind at most: as many as a person scrolls through, and some 2 MB in etcd.
const OBJECTS_MAX: usize = 300;

/// Objects a page of the list at the start.
const PAGE: u32 = 500;

/// Where an object is.
type Place = (&'static str, String);

/// Keeps the objects as the journal has it.
pub struct Views {
    objects: Arc<dyn Objects>,
    namespace: String,
    /// Asked right before each write.
    may_write: MayWrite,
    /// What is in the cluster; `None` before it was looked at.
    known: Option<BTreeMap<Place, Value>>,
}

impl Views {
    /// The objects of this namespace. Nothing is asked yet.
    pub fn new(objects: Arc<dyn Objects>, namespace: &str, may_write: MayWrite) -> Self {
        Self { objects, namespace: namespace.to_owned(), may_write, known: None }
    }

    /// Another process may write from here on: what is in the cluster is looked at anew before the next write.
    pub fn forget(&mut self) {
        self.known = None;
    }

    /// Brings at most `n_max` objects up to date, and says how many were left. Call it again later.
    pub async fn sync(&mut self, journal: &Journal, n_max: usize) -> Result<usize, RequestError> {
        let wanted = self.wanted(journal);
        if self.known.is_none() {
            let mut known = self.list("incidents").await?;
            known.extend(self.list("remediations").await?);
            self.known = Some(known);
        }
        let known = self.known.clone().unwrap_or_default();
        let differs = |(place, object): &(&Place, &Value)| known.get(*place) != Some(&shown(object));
        let due: Vec<(&Place, &Value)> = wanted.iter().filter(differs).collect();
        let extra: Vec<&Place> = known.keys().filter(|place| !wanted.contains_key(*place)).collect();
        let left = (due.len() + extra.len()).saturating_sub(n_max);
        let n_deletions = n_max.saturating_sub(due.len());
        for (place, object) in due.into_iter().take(n_max) {
            self.write(place, Verb::Apply { name: place.1.clone(), object: object.clone() }).await?;
            self.note(place, Some(shown(object)));
        }
        for place in extra.into_iter().take(n_deletions) {
            self.write(place, Verb::Delete { name: place.1.clone() }).await?;
            self.note(place, None);
        }
        Ok(left)
    }

    async fn write(&self, place: &Place, verb: Verb) -> Result<(), RequestError> {
        (self.may_write)().map_err(|why| RequestError::NoAnswer { why })?;
        write(&*self.objects, &self.collection(place.0), verb).await.map(|_| ())
    }

    fn note(&mut self, place: &Place, object: Option<Value>) {
        let known = self.known.get_or_insert_default();
        match object {
            Some(object) => known.insert(place.clone(), object),
            None => known.remove(place),
        };
    }

    fn collection(&self, resource: &'static str) -> Collection {
        Collection { api_version: API_VERSION, resource, namespace: self.namespace.clone() }
    }

    async fn list(&self, resource: &'static str) -> Result<BTreeMap<Place, Value>, RequestError> {
        let (mut found, mut token) = (BTreeMap::new(), None);
        loop {
            let (items, next) = list(&*self.objects, &self.collection(resource), "", PAGE, token).await?;
            for item in items {
                let name = item["metadata"]["name"].as_str().unwrap_or_default().to_owned();
                found.insert((resource, name), shown(&item));
            }
            match next {
                Some(next) => token = Some(next),
                None => return Ok(found),
            }
        }
    }

    fn wanted(&self, journal: &Journal) -> BTreeMap<Place, Value> {
        let request = PageRequest { limit: OBJECTS_MAX, ..PageRequest::default() };
        let newest = journal.page(&request).items;
        let open = journal.page(&PageRequest { open_only: true, ..request }).items;
        let mut wanted: BTreeMap<Place, Value> = BTreeMap::new();
        for item in newest.iter().chain(&open) {
            let name = item.incident.id.to_string();
            wanted.insert(("incidents", name), incident(item, &self.namespace));
        }
        // Unreadable now means: as it was.
        let actions = journal.history().map(|history| history.actions).unwrap_or_default();
        let newest_first = actions.iter().rev().take(OBJECTS_MAX);
        wanted.extend(
            newest_first
                .map(|action| (("remediations", action.plan.id.to_string()), remediation(action, &self.namespace))),
        );
        wanted
    }
}

/// What of an object is ours.
fn shown(object: &Value) -> Value {
    json!({"spec": object["spec"], "status": object["status"]})
}

/// As conditions and reasons are written: `rollout-restart` is `RolloutRestart`.
fn camel(name: &str) -> String {
    let parts = name.split(['-', '_', ' ']);
    let capitals = parts.map(|part| {
        let mut letters = part.chars();
        letters.next().map(|first| first.to_ascii_uppercase().to_string() + letters.as_str()).unwrap_or_default()
    });
    let text: String = capitals.collect();
    if text.is_empty() { "Unknown".to_owned() } else { text }
}

fn condition(kind: &str, status: &str, reason: &str, message: &str, since: Timestamp) -> Value {
    json!({
        "type": kind,
        "status": status,
        "reason": camel(reason),
        "message": message,
        "lastTransitionTime": since.to_string(),
    })
}

fn incident(item: &PageItem, namespace: &str) -> Value {
    let kept = &item.incident;
    let value = kept.value();
    let (active, since) = match kept.is_over() {
        true => ("False", kept.updated_at),
        false => ("True", kept.opened_at),
    };
    let mut conditions = vec![condition("Active", active, &kept.state, &format!("it is {}", kept.state), since)];
    let mut status = json!({
        "state": kept.state,
        "updatedAt": kept.updated_at.to_string(),
        "confidence": value["confidence"]["confidence"].as_f64().map(|value| format!("{value:.2}")),
    });
    if let Some(decision) = &item.decision {
        let (outcome, decided) = match decision.outcome {
            DecisionOutcome::Execute => ("execute", "True"),
            DecisionOutcome::Propose => ("propose", "False"),
            DecisionOutcome::Refuse => ("refuse", "False"),
        };
        let reasons: Vec<String> =
            decision.refusals.iter().map(|reason| format!("{}: {}", reason.code, reason.text)).collect();
        status["decision"] = json!(outcome);
        status["action"] = json!(decision.action);
        status["remediation"] = json!(decision.plan.as_ref().map(ToString::to_string));
        status["reasons"] = json!(reasons);
        let first = decision.refusals.first().map_or(outcome, |reason| reason.code.as_str());
        conditions.push(condition("Executed", decided, first, &reasons.join("; "), kept.updated_at));
    }
    if let Some(verdict) = item.label.as_ref().and_then(|label| label.verdict) {
        status["label"] = json!(verdict.name());
    }
    status["conditions"] = json!(conditions);
    without_nulls(&mut status);
    json!({
        "apiVersion": API_VERSION,
        "kind": "Incident",
        "metadata": {"name": kept.id.to_string(), "namespace": namespace},
        "spec": {
            "type": kept.incident_type,
            "subject": kept.subject,
            "openedAt": kept.opened_at.to_string(),
            "correlation": kept.correlation.to_string(),
        },
        "status": status,
    })
}

fn remediation(action: &PastAction, namespace: &str) -> Value {
    let plan = &action.plan;
    let stage = action.stage.name();
    let why = action.why.clone().unwrap_or_default();
    let succeeded = match action.stage {
        Stage::Recovered => "True",
        Stage::Planned
        | Stage::Applying
        | Stage::Verifying
        | Stage::UndoDue
        | Stage::Undoing
        | Stage::Settling
        | Stage::Unknown => "Unknown",
        Stage::NotApplied | Stage::NotRecovered | Stage::Overridden | Stage::Undone | Stage::Stuck => "False",
    };
    let (applied, applied_since) = match (action.applied_at, action.stage) {
        (Some(at), _) => ("True", at),
        (None, Stage::Applying | Stage::Unknown) => ("Unknown", action.stage_at),
        (None, _) => ("False", action.intended_at),
    };
    let mut status = json!({
        "stage": stage,
        "why": action.why,
        "intendedAt": action.intended_at.to_string(),
        "appliedAt": action.applied_at.map(|at| at.to_string()),
        "stageAt": action.stage_at.to_string(),
        "conditions": [
            condition("Applied", applied, if applied == "True" { "applied" } else { stage }, "", applied_since),
            condition("Succeeded", succeeded, stage, &why, action.stage_at),
        ],
    });
    without_nulls(&mut status);
    json!({
        "apiVersion": API_VERSION,
        "kind": "Remediation",
        "metadata": {"name": plan.id.to_string(), "namespace": namespace},
        "spec": {
            "action": plan.step.action.to_string(),
            "target": plan.target.subject.to_string(),
            "targetUID": plan.target.uid,
            "incident": plan.incident.to_string(),
            "incidentType": plan.incident_type.name(),
            "policy": plan.policy,
            "attempt": plan.attempt,
            "correlation": plan.correlation.to_string(),
        },
        "status": status,
    })
}

/// The API server drops them, and what was sent must be what is read.
fn without_nulls(value: &mut Value) {
    if let Value::Object(fields) = value {
        fields.retain(|_, value| !value.is_null());
    }
}
