//! What actions outside the cluster have in common: they look at no object, and what they did leaves no mark to be looked for.

use std::path::{Path, PathBuf};

use homeostat_core::{Subject, Timestamp, WorkloadKind};
use homeostat_http::{Answer, NoAnswer};
use homeostat_remediate::{Inspected, Plan, Policy, Reader};
use serde_json::{Value, json};

use crate::executor::{Applied, ApplyError};

/// They may be done for a workload of any kind.
pub(crate) const TARGETS: &[WorkloadKind] = &WorkloadKind::ALL;

/// What is seen of the target: nothing.
pub(crate) fn look(subject: &Subject, now: Timestamp) -> Inspected {
    Inspected::unseen(subject.kind, now)
}

/// It was done.
pub(crate) fn done() -> Applied {
    Applied { resource_version: String::new(), altered: None }
}

/// What it is for, for receivers and for people.
pub(crate) fn about(plan: &Plan) -> Value {
    let target = &plan.target;
    json!({
        "plan": plan.id,
        "incident": plan.incident,
        "correlation": plan.correlation,
        "type": plan.incident_type,
        "policy": plan.policy,
        "attempt": plan.attempt,
        "subject": target.subject,
        "target_uid": target.uid,
    })
}

/// A path of a policy, which is relative to the policy's own file.
pub(crate) fn path(with: &mut Reader<'_>, key: &'static str) -> Option<PathBuf> {
    let path = with.text(key)?;
    Some(Path::new(with.file()).parent().map(Path::to_owned).unwrap_or_default().join(path))
}

/// The secret that a file holds, without the line's end.
pub(crate) fn secret(file: &str) -> Result<String, String> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("{file} can't be read: {error}"))?;
    let secret = text.trim_end_matches(['\r', '\n']);
    if secret.is_empty() { Err(format!("{file} is empty")) } else { Ok(secret.to_owned()) }
}

/// What an answer says of something that is never sent twice. Only an answer that surely did nothing refuses it.
pub(crate) fn judged(answer: Result<Answer, NoAnswer>) -> Result<Applied, ApplyError> {
    let answer = match answer {
        Ok(answer) => answer,
        Err(error @ NoAnswer::NotSent { .. }) => return Err(ApplyError::NotNow { why: error.to_string() }),
        Err(NoAnswer::Unknown { why }) => return Err(ApplyError::Unknown { why }),
    };
    let why = answer.quote.clone();
    match answer.status {
        200..=299 => Ok(done()),
        // Request timeout, too early, too many requests: not now.
        408 | 425 | 429 => Err(ApplyError::NotNow { why }),
        300..=399 => {
            Err(ApplyError::Rejected { why: format!("{why} (redirects aren't followed: configure the final URL)") })
        }
        400..=499 => Err(ApplyError::Rejected { why }),
        // A server that failed may have done a part of it.
        _ => Err(ApplyError::Unknown { why }),
    }
}

/// What a policy may say of an action that can't be taken back but probably shouldn't.
pub(crate) fn lint_irreversible(policy: &Policy, what: &str) -> Vec<String> {
    let mut found = Vec::new();
    if policy.auto_execute && !policy.allow_irreversible {
        found.push(format!(
            "{what} can't be taken back, so it is only proposed; allow_irreversible: true lets it be executed"
        ));
    }
    if policy.rollback_if_failed {
        found.push(format!("rollback_if_failed does nothing for {what}, which can't be taken back; a human is called"));
    }
    found
}
