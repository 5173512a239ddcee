//! A policy whose actions don't help acts no more by itself: it is back to asking, without anybody having to notice.

use crate::decision_context::DecisionContext;
use crate::guardrails::{Guardrail, Needs};
use crate::objection::Objection;
use crate::track_record::track_record;

/// It has to be sure that fewer than half of them help. A coin would then do as well, and a person better.
const HELPED_MIN: f64 = 0.5;

pub(super) struct PoorRecord;

impl Guardrail for PoorRecord {
    fn codes(&self) -> &'static [&'static str] {
        &["poor-record"]
    }

    fn needs(&self) -> Needs {
        Needs::Context
    }

    fn objections(&self, context: &DecisionContext<'_>) -> Vec<Objection> {
        let Some(policy) = context.proposal.policy else { return Vec::new() };
        let record = track_record(context.history, &policy.name, context.now);
        let at_most = record.interval().high;
        // Of nothing the interval is all there is, so that a policy without a record isn't held back.
        if at_most >= HELPED_MIN {
            return Vec::new();
        }
        let text = format!(
            "{} of the {} actions of policy {:?} in the last seven days helped (surely less than half): it only proposes until \
             those are older, or somebody approves",
            record.n, record.of, policy.name
        );
        let objection = Objection::escalate("poor-record", text).approvable();
        vec![objection.with("n_helped", record.n).with("n_actions", record.of).with("at_most", at_most)]
    }
}
