//! Somebody keeps the target as it is, and would put back what is changed in place (I22).

use crate::decision_context::DecisionContext;
use crate::guardrails::{Guardrail, Needs};
use crate::inspected::Owner;
use crate::object_ref::ObjectRef;
use crate::objection::Objection;

pub(super) struct ManagedByOther;

impl Guardrail for ManagedByOther {
    fn codes(&self) -> &'static [&'static str] {
        &["gitops-managed"]
    }

    fn needs(&self) -> Needs {
        Needs::Target
    }

    fn objections(&self, context: &DecisionContext<'_>) -> Vec<Objection> {
        let (Some(_), Ok(seen)) = (context.proposal.policy, context.seen) else { return Vec::new() };
        // What goes the owner's own way isn't put back.
        if context.asked.is_some_and(|asked| !asked.action.changes_in_place()) {
            return Vec::new();
        }
        let step = context.asked.and_then(|asked| Some(&asked.step.as_ref().ok()?.0));
        let written = step.and_then(|step| ObjectRef::in_step(step).ok().flatten());
        let written = written.and_then(|written| seen.object(&written)).and_then(|written| written.owner.as_ref());
        let of_target = seen.owner.iter().map(|owner| objection("the target", owner));
        of_target.chain(written.map(|owner| objection("what would be written", owner))).collect()
    }
}

fn objection(what: &str, owner: &Owner) -> Objection {
    let text = format!(
        "{} manages {what} ({}) and would put it back: change it there (the action git-change proposes that), or set the annotation \
         homeostat.io/act-in-place: \"true\" if changes in place are accepted",
        owner.name, owner.seen_by
    );
    let objection = Objection::escalate("gitops-managed", text).with("owner", owner.name.as_str());
    objection.with("seen_by", owner.seen_by.as_str())
}
