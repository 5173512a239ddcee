//! One reason against an action, as data: a stable code, what follows from it, a sentence, and the values behind it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use homeostat_core::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One reason against an action.
///
/// ```
/// use homeostat_remediate::{NextStep, Objection};
///
/// let paused = Objection::escalate("paused", "rollouts of the target are paused").with("n_replicas", 3);
/// assert_eq!(paused.next_step(), NextStep::Escalate);
/// assert!(!paused.approvable, "nothing would happen, whoever approves it");
/// let read: Objection = serde_json::from_str(&serde_json::to_string(&paused)?)?;
/// assert_eq!(read, paused);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Objection {
    /// The stable code.
    pub code: Cow<'static, str>,
    /// What follows from it.
    pub then: Then,
    /// Whether a human may sensibly decide otherwise on the evidence: then the plan is proposed. Everything else is refused
    /// outright, because doing it would be wrong, impossible or too soon whoever says yes.
    pub approvable: bool,
    /// A sentence.
    pub text: String,
    /// The values in it.
    pub values: BTreeMap<String, Value>,
}

/// What follows from an objection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Then {
    /// It is recorded; nobody needs to act on it.
    Note,
    /// It ends by itself at this moment: ask again then.
    Wait {
        /// When.
        until: Timestamp,
    },
    /// It should pass soon: ask again in a while, and call a human if it is still there after this long (I15).
    Expect {
        /// How long it may last.
        within_s: u64,
    },
    /// A human is needed.
    Escalate,
}

/// What follows, without when; the strongest comes last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NextStep {
    /// It is recorded.
    Note,
    /// Ask again in a while.
    Wait,
    /// A human is needed.
    Escalate,
}

impl Objection {
    /// An objection that is recorded only.
    pub fn note(code: &'static str, text: impl Into<String>) -> Self {
        Self::new(code, Then::Note, text)
    }

    /// One that ends by itself at this moment.
    pub fn wait(code: &'static str, until: Timestamp, text: impl Into<String>) -> Self {
        Self::new(code, Then::Wait { until }, text)
    }

    /// One that should pass within this long; a human is called if it doesn't.
    pub fn expect(code: &'static str, within: Duration, text: impl Into<String>) -> Self {
        Self::new(code, Then::Expect { within_s: within.as_secs() }, text)
    }

    /// One that needs a human.
    pub fn escalate(code: &'static str, text: impl Into<String>) -> Self {
        Self::new(code, Then::Escalate, text)
    }

    fn new(code: &'static str, then: Then, text: impl Into<String>) -> Self {
        Self { code: code.into(), then, approvable: false, text: text.into(), values: BTreeMap::new() }
    }

    /// The same, which a human may overrule.
    #[must_use]
    pub fn approvable(self) -> Self {
        Self { approvable: true, ..self }
    }

    /// The same with one more value.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.values.insert(name.to_owned(), value.into());
        self
    }

    /// What follows from it, without when.
    pub const fn next_step(&self) -> NextStep {
        match self.then {
            Then::Note => NextStep::Note,
            Then::Wait { .. } | Then::Expect { .. } => NextStep::Wait,
            Then::Escalate => NextStep::Escalate,
        }
    }
}

impl fmt::Display for Objection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_next_step_survives_the_journal() {
        let until = Timestamp::from_secs(60);
        let all = [
            Objection::note("storm", "many").with("n_open", 12),
            Objection::wait("cooldown-active", until, "soon"),
            Objection::expect("in-flight", Duration::from_secs(900), "soon"),
            Objection::escalate("low-confidence", "unsure").with("lower", 0.5).approvable(),
        ];
        for objection in all {
            let json = serde_json::to_string(&objection).unwrap();
            assert_eq!(serde_json::from_str::<Objection>(&json).unwrap(), objection, "{json}");
        }
    }
}
