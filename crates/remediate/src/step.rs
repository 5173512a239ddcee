//! One step of an action as data: stored, shown and digested. What it means is its action's file.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use homeostat_core::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// An action's stable name, as policies and journals have it. A journal may name an action that this build doesn't have.
///
/// ```
/// use homeostat_remediate::ActionName;
///
/// let restart = ActionName::new("rollout-restart");
/// assert_eq!(restart.to_string(), "rollout-restart");
/// assert_eq!(serde_json::to_value(&restart)?, "rollout-restart");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ActionName(Cow<'static, str>);

impl ActionName {
    /// The name of an action of this build.
    pub const fn new(name: &'static str) -> Self {
        Self(Cow::Borrowed(name))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ActionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// An action's arguments, every value fixed, so that doing it again is doing the same. Sorted by name: equal arguments are
/// equal JSON.
///
/// ```
/// use homeostat_remediate::Args;
///
/// let args = Args::default().with("to_revision", "6");
/// assert_eq!(args.text("to_revision"), Some("6"));
/// assert_eq!(serde_json::to_string(&args)?, r#"{"to_revision":"6"}"#);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Args(BTreeMap<String, Value>);

impl Args {
    /// These arguments and one more.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.insert(name.to_owned(), value.into());
        self
    }

    /// One of them.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// One of them, if it is a whole number that isn't negative.
    pub fn count(&self, name: &str) -> Option<u32> {
        self.get(name)?.as_u64().and_then(|number| u32::try_from(number).ok())
    }

    /// One of them, if it is a text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name)?.as_str()
    }
}

/// One step: an action with every value fixed.
///
/// ```
/// use homeostat_remediate::{ActionName, Args, Step};
///
/// let undo = Step { action: ActionName::new("rollout-undo"), args: Args::default().with("to_revision", "6") };
/// let written = serde_json::json!({ "action": "rollout-undo", "args": { "to_revision": "6" } });
/// assert_eq!(serde_json::to_value(&undo)?, written);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// What is done.
    pub action: ActionName,
    /// With which values.
    pub args: Args,
}

/// How to take an action back, captured before it is done (I16). Closed: what the driver does next differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Inverse {
    /// It changes nothing that could be put back: fresh pods of the same template stay.
    Nothing,
    /// It can't be taken back.
    Irreversible,
    /// By this step.
    Step(Step),
    /// By this step, and at the latest then, also when it helped: it was only lent.
    Temporary {
        /// What gives it back.
        step: Step,
        /// When.
        until: Timestamp,
    },
}

impl Inverse {
    /// The step that takes it back, if there is one.
    pub const fn step(&self) -> Option<&Step> {
        match self {
            Self::Step(step) | Self::Temporary { step, .. } => Some(step),
            Self::Nothing | Self::Irreversible => None,
        }
    }
}

/// Whether sending an action twice is sending it once (I7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Repeat {
    /// Sent again it changes nothing: after a crash it may be sent again.
    #[default]
    Idempotent,
    /// Sent again it acts again: once its sending began, it is never sent again.
    AtMostOnce,
}

/// What shows that an action's effect is complete.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Recovery {
    /// A roll-out, which must be complete, and then the signals.
    #[default]
    RollOut,
    /// The signals alone.
    SignalsOnly,
}
