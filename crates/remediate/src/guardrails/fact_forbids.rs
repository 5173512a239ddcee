//! What the cluster itself says can't be cured by this action: a restart never brings a missing image.

use homeostat_core::Standing;

use crate::decision_context::DecisionContext;
use crate::guardrails::{Guardrail, Needs};
use crate::objection::Objection;

pub(super) struct FactForbids;

impl Guardrail for FactForbids {
    fn codes(&self) -> &'static [&'static str] {
        &["fact-forbids"]
    }

    fn needs(&self) -> Needs {
        Needs::Context
    }

    fn objections(&self, context: &DecisionContext<'_>) -> Vec<Objection> {
        let wanted = context.proposal.policy.and_then(|policy| policy.action.as_ref());
        let action = wanted.and_then(|wanted| context.environment.actions.get(&wanted.name));
        // An action that doesn't say what it brings about is none that a fact knows of.
        let Some((action, remedy)) = action.and_then(|action| Some((action, action.remedy()?))) else {
            return Vec::new();
        };
        let certain = context.proposal.incident.facts().filter(|fact| match fact.standing {
            Standing::Opens | Standing::Explains => true,
            Standing::Hints => false,
        });
        let forbids = certain.filter(|fact| fact.cannot_cure.contains(&remedy));
        let objection = |fact: &homeostat_core::ClusterFact| {
            let name = action.spec().name.as_str();
            let text = format!("{name} can't cure this, since it brings {}: {}", remedy.phrase(), fact.sentence);
            let objection = Objection::escalate("fact-forbids", text);
            objection.with("fact", fact.kind.name()).with("object", fact.object.to_string()).with("action", name)
        };
        forbids.map(objection).take(1).collect()
    }
}
