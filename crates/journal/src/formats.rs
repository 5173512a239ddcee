//! The forms that bodies had, and the steps from each to the next. Rows are never rewritten: a body is brought up to date
//! whenever it is read, so that the chain of hashes stays as it was.
//!
//! To change what a body looks like: raise [`FORMAT`], add a step to [`upcast`], and add a file of the last version to
//! `tests/fixtures`.

use serde_json::{Map, Value, json};

/// The form in which bodies are written today.
///
/// 1: an externally tagged entry (`{"note":{"incident":{…}}}`), refusals as tagged enums.
/// 2: the entry itself, named by the row's kind; reasons as data (`code`, `text`, `values`).
pub(crate) const FORMAT: i64 = 2;

/// The body of a row of this kind, in today's form.
pub(crate) fn upcast(format: i64, kind: &str, mut body: Value) -> Value {
    if format < 2 {
        body = from_1(kind, body);
    }
    body
}

fn from_1(kind: &str, body: Value) -> Value {
    let mut entry = match body {
        Value::Object(mut outer) => match (outer.remove("intent"), outer.remove("step"), outer.remove("note")) {
            (Some(intent), _, _) => return intent,
            (None, Some(step), _) => return step,
            (None, None, Some(Value::Object(note))) => note,
            (None, None, _) => return Value::Object(outer),
        },
        other => return other,
    };
    let inner = entry.remove(kind).unwrap_or(Value::Null);
    match kind {
        "incident" => json!({ "incident": inner }),
        "decision" => decision_from_1(inner),
        _ => inner,
    }
}

/// Refusals were tagged enums: the code, and its values beside it. Their sentences weren't kept, the values stand for them.
fn decision_from_1(mut decision: Value) -> Value {
    let refusals = decision.get_mut("refusals").and_then(Value::as_array_mut).map(std::mem::take).unwrap_or_default();
    let reasons = refusals.into_iter().map(|refusal| {
        let mut values = match refusal {
            Value::Object(values) => values,
            other => Map::from_iter([("code".to_owned(), other)]),
        };
        let code = values.remove("code").unwrap_or_else(|| Value::from("unknown"));
        let text: Vec<String> = values.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        json!({ "code": code, "text": text.join(", "), "values": values })
    });
    let reasons = Value::Array(reasons.collect());
    if let Value::Object(decision) = &mut decision {
        decision.insert("refusals".to_owned(), reasons);
    }
    decision
}
