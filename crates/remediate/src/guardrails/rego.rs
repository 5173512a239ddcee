//! The organisation's own rules, in Rego. They are asked about what would be done, can only refuse, and refuse as well when they give
//! no answer that could count. Nobody overrules them here: whoever may, changes the rule.

use crate::decision_context::DecisionContext;
use crate::guardrails::{Guardrail, Needs};
use crate::objection::Objection;
use crate::rego::input;

pub(super) struct DeniedByRego;

impl Guardrail for DeniedByRego {
    fn codes(&self) -> &'static [&'static str] {
        &["rego-denied", "rego-failed"]
    }

    fn needs(&self) -> Needs {
        Needs::Target
    }

    fn objections(&self, context: &DecisionContext<'_>) -> Vec<Objection> {
        // Where there is no step nothing is done whatever the rules say.
        let step = context.asked.and_then(|asked| asked.step.as_ref().ok());
        let (Some(rules), Ok(seen), Some((step, inverse))) = (context.environment.rego, context.seen, step) else {
            return Vec::new();
        };
        match rules.denials(input(context, seen, step, inverse)) {
            Ok(messages) => messages.into_iter().map(denied).collect(),
            Err(why) => {
                let text = format!("the Rego rules gave no answer that counts ({why}); nothing is done until they do");
                vec![Objection::escalate("rego-failed", text).with("why", why)]
            }
        }
    }
}

fn denied(message: String) -> Objection {
    Objection::escalate("rego-denied", format!("a Rego rule forbids it: {message}")).with("message", message)
}
