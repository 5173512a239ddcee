//! How often anything may be done to anything (I18).

use homeostat_core::format_duration;

use crate::decision_context::DecisionContext;
use crate::guardrails::{Guardrail, Needs};
use crate::objection::Objection;

pub(super) struct StartLimit;

impl Guardrail for StartLimit {
    fn codes(&self) -> &'static [&'static str] {
        &["start-limit"]
    }

    fn needs(&self) -> Needs {
        Needs::Context
    }

    fn objections(&self, context: &DecisionContext<'_>) -> Vec<Objection> {
        let (limits, now) = (context.limits, context.now);
        let (max, window) = (limits.starts_max, limits.starts_window);
        let n = context.history.starts(window, now);
        if n < max {
            return Vec::new();
        }
        let text = format!("{n} of {max} actions were started in the last {}", format_duration(window));
        let objection = Objection::escalate("start-limit", text).with("n_starts", n).with("starts_max", max);
        vec![objection.with("window_s", window.as_secs())]
    }
}
