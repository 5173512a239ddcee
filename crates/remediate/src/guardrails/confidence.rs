//! The confidence's lower bound must reach the policy's threshold, unless the cluster itself says what it is.

use crate::decision_context::DecisionContext;
use crate::guardrails::{Guardrail, Needs};
use crate::objection::Objection;

pub(super) struct LowConfidence;

impl Guardrail for LowConfidence {
    fn codes(&self) -> &'static [&'static str] {
        &["low-confidence"]
    }

    fn needs(&self) -> Needs {
        Needs::Context
    }

    fn objections(&self, context: &DecisionContext<'_>) -> Vec<Objection> {
        let Some(policy) = context.proposal.policy else { return Vec::new() };
        // What the cluster itself says is certain: no estimate is asked for.
        if context.proposal.incident.established_by().is_some() {
            return Vec::new();
        }
        let calibrated = context.proposal.incident.confidence;
        let (lower, threshold) = (calibrated.lower, policy.confidence_threshold);
        // Equal passes. A confidence can't be NaN, so the comparison always means something.
        if lower >= threshold {
            return Vec::new();
        }
        let (lower, threshold, estimate) = (lower.value(), threshold.value(), calibrated.confidence.value());
        let text = format!(
            "the confidence's lower bound is {lower:.2} (estimate {estimate:.2}), below the threshold {threshold:.2}"
        );
        let objection = Objection::escalate("low-confidence", text).approvable();
        vec![objection.with("lower", lower).with("confidence", estimate).with("threshold", threshold)]
    }
}
