//! Rows as `JournalRow` objects, one each, named by their number.

use homeostat_core::Timestamp;
use serde_json::{Value, json};

use crate::row::{About, Epoch, Row};

/// The group and version of all our kinds.
pub(super) const API_VERSION: &str = "homeostat.io/v1alpha1";

/// The journal that a row belongs to.
pub(super) const JOURNAL_LABEL: &str = "homeostat.io/journal";

/// The incident that a row is about.
pub(super) const INCIDENT_LABEL: &str = "homeostat.io/incident";

/// The object's name: with as many digits as ten thousand rows an hour fill in a century, so that names are in the order of rows.
pub(super) fn name(journal: &str, seq: i64) -> String {
    format!("{journal}-{seq:010}")
}

/// The row as an object.
pub(super) fn object(journal: &str, namespace: &str, row: &Row) -> Value {
    let mut labels = json!({JOURNAL_LABEL: journal});
    if !row.about.incident.is_empty() {
        labels[INCIDENT_LABEL] = json!(row.about.incident);
    }
    json!({
        "apiVersion": API_VERSION,
        "kind": "JournalRow",
        "metadata": {"name": name(journal, row.seq), "namespace": namespace, "labels": labels},
        "spec": spec(row),
    })
}

/// The row's own part.
pub(super) fn spec(row: &Row) -> Value {
    let About { incident, correlation, subject, plan, policy } = &row.about;
    json!({
        "seq": row.seq,
        "at": row.at.to_string(),
        "atMs": row.at.as_millis(),
        "epoch": row.epoch.0,
        "rowFormat": row.format,
        "rowKind": row.kind,
        "mustUnderstand": row.must_understand,
        "about": {
            "incident": incident, "correlation": correlation, "subject": subject, "plan": plan, "policy": policy,
        },
        "body": row.body,
        "prevHash": row.prev_hash,
        "hash": row.hash,
    })
}

/// Reads a row; the error says what is missing.
pub(super) fn of_spec(spec: &Value) -> Result<Row, String> {
    let number = |name: &str| spec[name].as_i64().ok_or_else(|| format!("a journal row has no {name}"));
    let text =
        |name: &str| spec[name].as_str().map(str::to_owned).ok_or_else(|| format!("a journal row has no {name}"));
    let about = |name: &str| spec["about"][name].as_str().unwrap_or_default().to_owned();
    let seq = number("seq")?;
    let at = Timestamp::from_millis(number("atMs")?);
    // The text is for people, and the hash covers it through the moment itself.
    if at.to_string() != text("at")? {
        return Err(format!("row {seq}: its time was changed after it was written"));
    }
    Ok(Row {
        seq,
        at,
        epoch: Epoch(number("epoch")?),
        format: number("rowFormat")?,
        kind: text("rowKind")?,
        must_understand: spec["mustUnderstand"].as_bool().ok_or("a journal row has no mustUnderstand")?,
        about: About {
            incident: about("incident"),
            correlation: about("correlation"),
            subject: about("subject"),
            plan: about("plan"),
            policy: about("policy"),
        },
        body: text("body")?,
        prev_hash: text("prevHash")?,
        hash: text("hash")?,
    })
}
