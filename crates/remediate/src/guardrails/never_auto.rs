//! What is never done without a human, whatever the policies say (I26): to the cluster's own parts, to what keeps state,
//! and what couldn't be taken back, unless its policy allows that.

use homeostat_core::WorkloadKind;

use crate::decision_context::DecisionContext;
use crate::guardrails::{Guardrail, Needs};
use crate::objection::Objection;
use crate::step::Inverse;

/// Kubernetes keeps this prefix for namespaces of the system itself.
const SYSTEM_NAMESPACE_PREFIX: &str = "kube-";

pub(super) struct NeverAuto;

impl Guardrail for NeverAuto {
    fn codes(&self) -> &'static [&'static str] {
        &["never-auto"]
    }

    fn needs(&self) -> Needs {
        Needs::Context
    }

    fn objections(&self, context: &DecisionContext<'_>) -> Vec<Objection> {
        let subject = &context.proposal.incident.subject;
        let mut reasons = Vec::new();
        if subject.namespace.starts_with(SYSTEM_NAMESPACE_PREFIX) {
            reasons.push("it is part of the cluster itself");
        }
        match subject.kind {
            WorkloadKind::StatefulSet => reasons.push("it keeps state"),
            WorkloadKind::External => reasons.push("it is outside the cluster"),
            WorkloadKind::Deployment | WorkloadKind::DaemonSet => {
                if context.seen.is_ok_and(|seen| seen.has_persistent_volume) {
                    reasons.push("it has a persistent volume");
                }
            }
        }
        let may_be_irreversible = context.proposal.policy.is_some_and(|policy| policy.allow_irreversible);
        if !may_be_irreversible
            && context.asked.is_some_and(|asked| matches!(asked.step, Ok((_, Inverse::Irreversible))))
        {
            reasons.push("it couldn't be taken back");
        }
        reasons.into_iter().map(never).collect()
    }
}

fn never(why: &str) -> Objection {
    Objection::escalate("never-auto", format!("never done automatically: {why}")).approvable()
}
