//! While KEDA's scaling is paused, what is written to the ScaledObject has no effect until somebody resumes it, and may surprise then.

use serde_json::Value;

use crate::decision_context::DecisionContext;
use crate::guardrails::{Guardrail, Needs};
use crate::object_ref::{ObjectKind, ObjectRef};
use crate::objection::Objection;

/// With the value `"true"`: KEDA doesn't scale (out) at all.
const PAUSED: [&str; 2] = ["autoscaling.keda.sh/paused", "autoscaling.keda.sh/paused-scale-out"];

/// With any value: KEDA keeps this number of replicas.
const PAUSED_AT: &str = "autoscaling.keda.sh/paused-replicas";

pub(super) struct AutoscalerPaused;

impl Guardrail for AutoscalerPaused {
    fn codes(&self) -> &'static [&'static str] {
        &["autoscaler-paused"]
    }

    fn needs(&self) -> Needs {
        Needs::Target
    }

    fn objections(&self, context: &DecisionContext<'_>) -> Vec<Objection> {
        let step = context.asked.and_then(|asked| Some(&asked.step.as_ref().ok()?.0));
        let written = step.and_then(|step| ObjectRef::in_step(step).ok().flatten());
        let (Some(written), Ok(seen)) = (written.filter(|it| it.kind == ObjectKind::ScaledObject), context.seen) else {
            return Vec::new();
        };
        let annotation = |key: &str| seen.object(&written)?.manifest["metadata"]["annotations"].get(key);
        let is_true = |key: &&str| annotation(key).and_then(Value::as_str) == Some("true");
        let at_replicas = annotation(PAUSED_AT).map(|_| PAUSED_AT);
        let Some(key) = PAUSED.into_iter().find(is_true).or(at_replicas) else { return Vec::new() };
        let text = format!(
            "KEDA's scaling by the ScaledObject {:?} is paused by the annotation {key}: take it away to let it scale",
            written.name
        );
        vec![Objection::escalate("autoscaler-paused", text).with("name", written.name.as_str()).with("annotation", key)]
    }
}
