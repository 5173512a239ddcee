//! What a policy says: which action for which incident, where, how sure, how often. Reading it is `load`'s work.

mod formats;
mod lint;
mod load;
mod scope;
#[cfg(test)]
mod tests;

use std::time::Duration;

use homeostat_core::{Confidence, Incident, IncidentType, Mode, Subject};

pub use lint::lint;
pub use load::{load_policies, overlap, read_policies};
pub use scope::Scope;

use crate::step::{ActionName, Args};

/// Attempts that a policy may ask for at most. With the shortest window of [`ATTEMPTS_WINDOW_MIN`] it bounds what any
/// policy can do to a workload: "12 restarts in 45 minutes" can't be written down.
pub const MAX_ATTEMPTS_MAX: u32 = 10;

/// The shortest sliding window of `max_attempts`. Shorter, and a loop of restarts would fit through it.
pub const ATTEMPTS_WINDOW_MIN: Duration = Duration::from_secs(3600);

/// Labelled outcomes needed unless the policy says otherwise (I31). With 20 successes of 20 the Wilson lower bound at
/// 95 % is 0.84; with fewer, no sensible threshold could be met honestly anyway.
pub const OUTCOMES_MIN_DEFAULT: u32 = 20;

/// The action that a policy wants, with the action's own part of the policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyAction {
    /// Its name.
    pub name: ActionName,
    /// What the policy says about how.
    pub args: Args,
}

/// What may be done about one type of incident, and under which conditions.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// Its name; unless given, the incident type's.
    pub name: String,
    /// The incidents it is for.
    pub incident_type: IncidentType,
    /// The platform's own name for the cause, such as `OOMKilled`: for people; the incident type decides.
    pub detection_signal: Option<String>,
    /// Whether it may act without a human.
    pub auto_execute: bool,
    /// The confidence's lower bound must be at least this.
    pub confidence_threshold: Confidence,
    /// Attempts on one workload for this incident type in any `attempts_window`.
    pub max_attempts: u32,
    /// The sliding window of `max_attempts`.
    pub attempts_window: Duration,
    /// No action on the workload for this long after one has ended, however it ended.
    pub cooldown_after_action: Duration,
    /// How long the effect is watched, from the end of settling.
    pub verification_window: Duration,
    /// How long after the action measurements don't count yet.
    pub verification_settle: Duration,
    /// Whether to take the action back when it doesn't help; if it can't be, a human is called.
    pub rollback_if_failed: bool,
    /// Where a human is called; `None` means the default channel.
    pub escalation_channel: Option<String>,
    /// What to do. `None`: nothing sensible is known, a human is called.
    pub action: Option<PolicyAction>,
    /// How far this policy may go, whatever the global mode.
    pub mode: Mode,
    /// Where it holds.
    pub scope: Scope,
    /// Traffic after the action must be at least this share of before (I14).
    pub traffic_floor: f64,
    /// Labelled outcomes that the confidence must rest on (I31).
    pub outcomes_min: u32,
}

impl Policy {
    /// Whether it is for this incident: its type, and its place.
    pub fn applies_to(&self, incident: &Incident) -> bool {
        self.incident_type == incident.incident_type && self.scope.contains(&incident.subject)
    }
}

/// The policy for this incident, if there is one: of several (they can't overlap), the one whose scope names its place.
pub fn policy_for<'a>(policies: &'a [Policy], incident: &Incident) -> Option<&'a Policy> {
    policies.iter().find(|policy| policy.applies_to(incident))
}

/// Whether some policy is for this type of incident, but elsewhere: "out of scope" tells more than "no policy".
pub(crate) fn policy_elsewhere<'a>(
    policies: &'a [Policy],
    kind: IncidentType,
    subject: &Subject,
) -> Option<&'a Policy> {
    policies.iter().find(|policy| policy.incident_type == kind && !policy.scope.contains(subject))
}
