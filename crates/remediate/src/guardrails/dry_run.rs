//! The cluster said beforehand that it would refuse the write, or take its effect out of it (admission, a quota, a missing right), or
//! that nobody can write now. Known before anything is decided, it costs no attempt.

use std::time::Duration;

use crate::decision_context::DecisionContext;
use crate::dry_run::DryRun;
use crate::guardrails::{Guardrail, Needs};
use crate::objection::Objection;

/// A webhook that must be asked and is down is back within minutes, or somebody is needed for it.
const NOT_NOW_MAX: Duration = Duration::from_secs(300);

pub(super) struct DryRunFailed;

impl Guardrail for DryRunFailed {
    fn codes(&self) -> &'static [&'static str] {
        &["admission-denied", "dry-run-refused", "not-writable-now"]
    }

    fn needs(&self) -> Needs {
        Needs::Target
    }

    fn objections(&self, context: &DecisionContext<'_>) -> Vec<Objection> {
        match context.environment.dry_run {
            DryRun::Passed => Vec::new(),
            DryRun::Refused { why } => match denier(why) {
                Some(denier) => vec![denied(&denier)],
                None => vec![Objection::escalate("dry-run-refused", format!("the write would fail: {why}"))],
            },
            DryRun::NotNow { why } => {
                vec![Objection::expect("not-writable-now", NOT_NOW_MAX, format!("nothing can be written now: {why}"))]
            }
        }
    }
}

/// Who denied a write, and what it said.
struct Denier<'a> {
    kind: &'static str,
    name: &'a str,
    said: &'a str,
}

/// The API server tells a denial in one of these forms (`apiserver/pkg/admission/plugin/webhook/errors` and `…/policy/validating`).
fn denier(why: &str) -> Option<Denier<'_>> {
    let webhook = || {
        let (name, said) = after(why, "admission webhook \"")?.split_once("\" denied the request")?;
        Some(Denier { kind: "the admission webhook", name, said })
    };
    let policy = || {
        let (name, rest) = after(why, "ValidatingAdmissionPolicy '")?.split_once('\'')?;
        let (_, said) = rest.split_once(" denied request")?;
        Some(Denier { kind: "the ValidatingAdmissionPolicy", name, said })
    };
    webhook().or_else(policy)
}

fn after<'a>(text: &'a str, start: &str) -> Option<&'a str> {
    text.split_once(start).map(|(_, rest)| rest)
}

/// Word for word, so that whoever wrote the rule knows it again.
fn denied(Denier { kind, name, said }: &Denier<'_>) -> Objection {
    let said = said.trim_start_matches(':').trim();
    let said = if said.is_empty() { "without an explanation" } else { said };
    let text = format!(
        "{kind} {name:?} would deny the write: {said}. It isn't tried: change the rule, or exempt the workload"
    );
    Objection::escalate("admission-denied", text).with("by", *name).with("said", said)
}
