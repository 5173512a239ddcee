//! What a policy says: which action for which incident, where, how sure, how often. Reading it is `load`'s work.

mod action_budget;
mod approval_rule;
mod calendar;
mod explain;
mod formats;
mod ladder;
mod lint;
mod load;
mod read;
mod scope;
mod set;
#[cfg(test)]
mod tests;

use std::time::Duration;

use homeostat_core::{Confidence, Incident, IncidentType, Mode, ThresholdRule};

pub use action_budget::ActionBudget;
pub use approval_rule::ApprovalRule;
pub use calendar::{AllowedHours, Freeze, NotATimeOfDay, PolicyCalendar, TimeOfDay};
pub use explain::explain;
pub use ladder::{IfFailed, PolicyAction};
pub use lint::{lint, lint_confidence, lint_metrics};
pub use load::{load_policies, read_policies};
pub use scope::Scope;
pub use set::PolicySet;

/// Attempts that a policy may ask for at most. With the shortest window of [`ATTEMPTS_WINDOW_MIN`] it bounds what any
/// policy can do to a workload: "12 restarts in 45 minutes" can't be written down.
pub const MAX_ATTEMPTS_MAX: u32 = 10;

/// The shortest sliding window of `max_attempts`. Shorter, and a loop of restarts would fit through it.
pub const ATTEMPTS_WINDOW_MIN: Duration = Duration::from_secs(3600);

/// Labelled outcomes needed unless the policy says otherwise (I31). With 20 successes of 20 the Wilson lower bound at
/// 95 % is 0.84; with fewer, no sensible threshold could be met honestly anyway.
pub const OUTCOMES_MIN_DEFAULT: u32 = 20;

/// Half of the traffic before: a restart may cost some requests, but an error ratio over no requests is no recovery.
const TRAFFIC_FLOOR_DEFAULT: f64 = 0.5;

/// Ten minutes: L's own value, and about the time a workload needs to show whether it stays well.
const COOLDOWN_DEFAULT: Duration = Duration::from_secs(600);

/// The same for how long the effect is watched.
const VERIFICATION_DEFAULT: Duration = Duration::from_secs(300);

/// Two minutes: pods must start and Prometheus must have seen them, twice at the usual 30 s to 60 s.
const SETTLE_DEFAULT: Duration = Duration::from_secs(120);

/// What may be done about one type of incident, and under which conditions.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// Its name; unless given, the incident type's.
    pub name: String,
    /// The incidents it is for.
    pub incident_type: IncidentType,
    /// A rule that opens its incidents, whatever the detectors say: then it is for those only. `None`: it is for what the
    /// detectors find.
    pub rule: Option<ThresholdRule>,
    /// The platform's own name for the cause, such as `OOMKilled`: for people; the incident type decides.
    pub detection_signal: Option<String>,
    /// Whether it may act without a human.
    pub auto_execute: bool,
    /// What it asks a human about all the same.
    pub approval: ApprovalRule,
    /// Whether it may execute what can't be taken back (I16).
    pub allow_irreversible: bool,
    /// The confidence's lower bound must be at least this.
    pub confidence_threshold: Confidence,
    /// Attempts on one workload for this incident type in any `attempts_window`.
    pub max_attempts: u32,
    /// The sliding window of `max_attempts`.
    pub attempts_window: Duration,
    /// Actions on all its workloads together; `None` leaves that to the limits over all policies.
    pub budget: Option<ActionBudget>,
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
    /// When it may act.
    pub calendar: PolicyCalendar,
    /// Traffic after the action must be at least this share of before (I14).
    pub traffic_floor: f64,
    /// Labelled outcomes that the confidence must rest on (I31).
    pub outcomes_min: u32,
}

impl Policy {
    /// A policy of this name that does nothing yet, with every default.
    pub fn new(name: impl Into<String>, incident_type: IncidentType) -> Self {
        Self {
            name: name.into(),
            incident_type,
            rule: None,
            detection_signal: None,
            auto_execute: false,
            approval: ApprovalRule::default(),
            allow_irreversible: false,
            confidence_threshold: Confidence::ZERO,
            // One attempt: a second is for those who asked for it.
            max_attempts: 1,
            attempts_window: ATTEMPTS_WINDOW_MIN,
            budget: None,
            cooldown_after_action: COOLDOWN_DEFAULT,
            verification_window: VERIFICATION_DEFAULT,
            verification_settle: SETTLE_DEFAULT,
            rollback_if_failed: false,
            escalation_channel: None,
            action: None,
            mode: Mode::Execute,
            scope: Scope::Unstated,
            calendar: PolicyCalendar::default(),
            traffic_floor: TRAFFIC_FLOOR_DEFAULT,
            outcomes_min: OUTCOMES_MIN_DEFAULT,
        }
    }

    /// Whether it is for this incident: its type, or its own rule, and its place.
    pub fn applies_to(&self, incident: &Incident) -> bool {
        self.is_about(incident) && self.scope.contains(&incident.subject)
    }

    fn is_about(&self, incident: &Incident) -> bool {
        match (&self.rule, incident.opened_by_rule_of()) {
            (Some(_), opened_by) => opened_by == Some(self.name.as_str()),
            (None, Some(_)) => false,
            (None, None) => self.incident_type == incident.incident_type,
        }
    }

    /// Every action it may take, the first one first.
    pub fn actions(&self) -> impl Iterator<Item = &PolicyAction> {
        self.action.iter().flat_map(PolicyAction::steps)
    }

    /// Whether it may execute anything where homeostat's own mode allows it.
    pub fn may_execute(&self) -> bool {
        self.auto_execute && self.mode == Mode::Execute && self.scope != Scope::Unstated
    }
}

/// The policy for this incident, if there is one: of several (they can't overlap), the one whose scope names its place.
pub fn policy_for<'a>(policies: &'a [Policy], incident: &Incident) -> Option<&'a Policy> {
    policies.iter().find(|policy| policy.applies_to(incident))
}

/// Whether some policy is for this type of incident, but elsewhere: "out of scope" tells more than "no policy".
pub(crate) fn policy_elsewhere<'a>(policies: &'a [Policy], incident: &Incident) -> Option<&'a Policy> {
    policies.iter().find(|policy| policy.is_about(incident) && !policy.scope.contains(&incident.subject))
}
