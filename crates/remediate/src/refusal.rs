//! Why an action isn't taken: a stable code, the values behind it, a sentence, and what follows.

use std::fmt;
use std::time::Duration;

use homeostat_core::{
    ActionKind, Confidence, IncidentId, IncidentState, IncidentType, Mode, PlanId, Subject, Timestamp, format_duration,
};
use serde::{Deserialize, Serialize};

/// One reason against an action. The serialised `code` is stable.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "code")]
#[expect(missing_docs, reason = "each variant's sentence is its Display, its fields are the values in it")]
pub enum Refusal {
    KillSwitch { why: String },
    JournalUnavailable { why: String },
    Mode { mode: Mode },
    IncidentNotOpen { state: IncidentState },
    PlannedEvent { name: String },
    DependencyFirst { dependency: Subject, incident: IncidentId, mutual: bool },
    NotTypedYet { wait_s: u64 },
    NoPolicy { incident_type: IncidentType },
    NoAction { policy: String },
    UnsupportedAction { action: ActionKind },
    OutOfScope { policy: String },
    NoScope { policy: String },
    SelfProtection { what: String },
    NeverAuto { why: String },
    PolicyFrozen { policy: String, why: String },
    AutoExecuteOff { policy: String },
    LowConfidence { lower: Confidence, confidence: Confidence, threshold: Confidence },
    TooFewOutcomes { n_outcomes: u32, outcomes_min: u32 },
    NotVerifiable,
    MaxAttempts { n_attempts: u32, max_attempts: u32, window_s: u64 },
    TargetAttempts { n_attempts: u32, attempts_max: u32, window_s: u64 },
    CooldownActive { remaining_s: u64, after: PlanId, same_incident: bool },
    JustRecovered { after: PlanId },
    InFlight { plan: PlanId, subject: Subject },
    StartLimit { n_starts: u32, starts_max: u32, window_s: u64 },
    Storm { n_open: usize, open_max: usize },
    NotInspected { why: String },
    ClusterUnavailable { why: String },
    SignalsNormal,
    TargetNotFound { why: String },
    TargetChanged { why: String },
    StaleDecision { why: String },
    ScaledToZero,
    RolloutInProgress,
    RolloutFailed { why: String },
    Paused,
    GitopsManaged { owner: String, seen_by: String },
    NoPreviousRevision,
    Overridden { after: PlanId },
    WriteRefused { after: PlanId, why: String, same_incident: bool },
    AnotherInstance { action: String, at: Option<Timestamp> },
    TakesAllDown { why: String },
    DisruptionBudget { name: String },
    ClusterUnproven { why: String },
}

/// What follows from a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NextStep {
    /// It is recorded; nobody needs to act on it.
    Note,
    /// It passes by itself: ask again in a while.
    Wait,
    /// A human is needed.
    Escalate,
}

impl Refusal {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::KillSwitch { .. } => "kill-switch",
            Self::JournalUnavailable { .. } => "journal-unavailable",
            Self::Mode { .. } => "mode",
            Self::IncidentNotOpen { .. } => "incident-not-open",
            Self::PlannedEvent { .. } => "planned-event",
            Self::DependencyFirst { .. } => "dependency-first",
            Self::NotTypedYet { .. } => "not-typed-yet",
            Self::NoPolicy { .. } => "no-policy",
            Self::NoAction { .. } => "no-action",
            Self::UnsupportedAction { .. } => "unsupported-action",
            Self::OutOfScope { .. } => "out-of-scope",
            Self::NoScope { .. } => "no-scope",
            Self::SelfProtection { .. } => "self-protection",
            Self::NeverAuto { .. } => "never-auto",
            Self::PolicyFrozen { .. } => "policy-frozen",
            Self::AutoExecuteOff { .. } => "auto-execute-off",
            Self::LowConfidence { .. } => "low-confidence",
            Self::TooFewOutcomes { .. } => "too-few-outcomes",
            Self::NotVerifiable => "not-verifiable",
            Self::MaxAttempts { .. } => "max-attempts",
            Self::TargetAttempts { .. } => "target-attempts",
            Self::CooldownActive { .. } => "cooldown-active",
            Self::JustRecovered { .. } => "just-recovered",
            Self::InFlight { .. } => "in-flight",
            Self::StartLimit { .. } => "start-limit",
            Self::Storm { .. } => "storm",
            Self::NotInspected { .. } => "not-inspected",
            Self::ClusterUnavailable { .. } => "cluster-unavailable",
            Self::SignalsNormal => "signals-normal",
            Self::TargetNotFound { .. } => "target-not-found",
            Self::TargetChanged { .. } => "target-changed",
            Self::StaleDecision { .. } => "stale-decision",
            Self::ScaledToZero => "scaled-to-zero",
            Self::RolloutInProgress => "rollout-in-progress",
            Self::RolloutFailed { .. } => "rollout-failed",
            Self::Paused => "paused",
            Self::GitopsManaged { .. } => "gitops-managed",
            Self::NoPreviousRevision => "no-previous-revision",
            Self::Overridden { .. } => "overridden",
            Self::WriteRefused { .. } => "write-refused",
            Self::AnotherInstance { .. } => "another-instance",
            Self::TakesAllDown { .. } => "takes-all-down",
            Self::DisruptionBudget { .. } => "disruption-budget",
            Self::ClusterUnproven { .. } => "cluster-unproven",
        }
    }

    /// What follows from it.
    pub const fn next_step(&self) -> NextStep {
        match self {
            // In observe mode nothing leaves; a proposal in recommend mode is for a human to see.
            Self::Mode { mode: Mode::Observe } => NextStep::Note,
            // A silent incident is no recovered one.
            Self::IncidentNotOpen {
                state: IncidentState::Resolved | IncidentState::Rebaselined | IncidentState::Expired | IncidentState::Open,
            } => NextStep::Note,
            // Expected, or called for by the dependency's own incident.
            Self::PlannedEvent { .. } | Self::DependencyFirst { mutual: false, .. } => NextStep::Note,
            // It is verified, and only waits to close; should it not, the end of the cooldown asks again.
            Self::JustRecovered { .. } => NextStep::Note,
            // How the attempt ended was told.
            Self::WriteRefused { same_incident: true, .. } => NextStep::Note,
            // One call for the whole storm, which the driver makes when it begins (I18).
            Self::Storm { .. } => NextStep::Note,
            // The next attempt for the same incident comes when the cooldown is over; its last one called somebody already.
            Self::CooldownActive { same_incident: true, .. }
            | Self::InFlight { .. }
            | Self::RolloutInProgress
            // An API server that restarts is back in a minute; one that isn't calls somebody when the wait is over.
            | Self::ClusterUnavailable { .. }
            // It is about to close.
            | Self::SignalsNormal
            // Its signals are about to say what it is; a call for "unknown" would be a call too early.
            | Self::NotTypedYet { .. }
            | Self::TargetChanged { .. }
            | Self::StaleDecision { .. } => NextStep::Wait,
            Self::Mode { mode: Mode::Recommend | Mode::Execute }
            | Self::IncidentNotOpen { state: IncidentState::Stale }
            // Both wait for each other: somebody must break the circle (I24).
            | Self::DependencyFirst { mutual: true, .. }
            | Self::CooldownActive { same_incident: false, .. }
            | Self::KillSwitch { .. }
            | Self::JournalUnavailable { .. }
            | Self::NoPolicy { .. }
            | Self::NoAction { .. }
            | Self::UnsupportedAction { .. }
            | Self::OutOfScope { .. }
            | Self::NoScope { .. }
            | Self::SelfProtection { .. }
            | Self::NeverAuto { .. }
            | Self::PolicyFrozen { .. }
            | Self::AutoExecuteOff { .. }
            | Self::LowConfidence { .. }
            | Self::TooFewOutcomes { .. }
            | Self::NotVerifiable
            | Self::MaxAttempts { .. }
            | Self::TargetAttempts { .. }
            | Self::StartLimit { .. }
            | Self::NotInspected { .. }
            | Self::TargetNotFound { .. }
            | Self::ScaledToZero
            | Self::RolloutFailed { .. }
            | Self::Paused
            | Self::GitopsManaged { .. }
            | Self::NoPreviousRevision
            | Self::Overridden { .. }
            | Self::WriteRefused { same_incident: false, .. }
            | Self::AnotherInstance { .. }
            | Self::TakesAllDown { .. }
            | Self::DisruptionBudget { .. }
            | Self::ClusterUnproven { .. } => NextStep::Escalate,
        }
    }

    /// Whether a human may sensibly decide otherwise on the evidence: then the plan is proposed. Everything else is
    /// refused outright, because doing it would be wrong, impossible or too soon whoever says yes.
    pub const fn is_approvable(&self) -> bool {
        match self {
            Self::Mode { mode } => !matches!(mode, Mode::Observe),
            Self::NoScope { .. }
            | Self::NeverAuto { .. }
            | Self::AutoExecuteOff { .. }
            | Self::LowConfidence { .. }
            | Self::TooFewOutcomes { .. }
            | Self::Overridden { .. }
            | Self::TakesAllDown { .. }
            | Self::DisruptionBudget { .. }
            | Self::ClusterUnproven { .. } => true,
            Self::KillSwitch { .. }
            | Self::JournalUnavailable { .. }
            | Self::IncidentNotOpen { .. }
            | Self::PlannedEvent { .. }
            | Self::DependencyFirst { .. }
            | Self::NotTypedYet { .. }
            | Self::NoPolicy { .. }
            | Self::NoAction { .. }
            | Self::UnsupportedAction { .. }
            | Self::OutOfScope { .. }
            | Self::SelfProtection { .. }
            | Self::PolicyFrozen { .. }
            | Self::NotVerifiable
            | Self::MaxAttempts { .. }
            | Self::TargetAttempts { .. }
            | Self::CooldownActive { .. }
            | Self::JustRecovered { .. }
            | Self::InFlight { .. }
            | Self::StartLimit { .. }
            | Self::Storm { .. }
            | Self::NotInspected { .. }
            | Self::TargetNotFound { .. }
            | Self::TargetChanged { .. }
            | Self::StaleDecision { .. }
            | Self::ScaledToZero
            | Self::ClusterUnavailable { .. }
            | Self::SignalsNormal
            | Self::RolloutInProgress
            | Self::RolloutFailed { .. }
            | Self::Paused
            | Self::GitopsManaged { .. }
            | Self::NoPreviousRevision
            | Self::WriteRefused { .. }
            | Self::AnotherInstance { .. } => false,
        }
    }
}

fn duration(seconds: u64) -> String {
    format_duration(Duration::from_secs(seconds))
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KillSwitch { why } => write!(f, "automation is stopped: {why}"),
            Self::JournalUnavailable { why } => write!(f, "{why}; without it nothing is done"),
            Self::Mode { mode } => write!(f, "the mode is {mode}"),
            Self::IncidentNotOpen { state: IncidentState::Stale } => f.write_str("the incident's data went silent"),
            Self::IncidentNotOpen { .. } => f.write_str("the incident isn't open any more"),
            Self::PlannedEvent { name } => write!(f, "the planned event {name:?} explains it"),
            Self::DependencyFirst { dependency, incident, .. } => {
                write!(f, "its dependency {dependency} has an incident of its own ({incident}), which comes first")
            }
            Self::NotTypedYet { wait_s } => {
                write!(
                    f,
                    "it isn't clear yet what it is; {} left before a human is called all the same",
                    duration(*wait_s)
                )
            }
            Self::NoPolicy { incident_type } => write!(f, "no policy says what to do about {incident_type}"),
            Self::NoAction { policy } => write!(f, "policy {policy:?} names no action"),
            Self::UnsupportedAction { action } => write!(f, "the executor can't do {action}"),
            Self::OutOfScope { policy } => write!(f, "it is outside the scope of policy {policy:?}"),
            Self::NoScope { policy } => {
                write!(f, "policy {policy:?} names no scope; add `scope: {{namespaces: [...]}}` to let it act")
            }
            Self::SelfProtection { what } => write!(f, "homeostat doesn't act on {what}, which it needs itself"),
            Self::NeverAuto { why } => write!(f, "never done automatically: {why}"),
            Self::PolicyFrozen { policy, why } => {
                write!(f, "policy {policy:?} is stopped since it made something worse: {why}")
            }
            Self::AutoExecuteOff { policy } => write!(f, "policy {policy:?} has auto_execute: false"),
            Self::LowConfidence { lower, confidence, threshold } => write!(
                f,
                "the confidence's lower bound is {:.2} (estimate {:.2}), below the threshold {:.2}",
                lower.value(),
                confidence.value(),
                threshold.value()
            ),
            Self::TooFewOutcomes { n_outcomes, outcomes_min } => {
                write!(f, "the confidence rests on {n_outcomes} labelled outcomes, {outcomes_min} are needed")
            }
            Self::NotVerifiable => f.write_str("no signal opened the incident by which recovery could be verified"),
            Self::MaxAttempts { n_attempts, max_attempts, window_s } => {
                write!(f, "{n_attempts} of {max_attempts} attempts were made in the last {}", duration(*window_s))
            }
            Self::TargetAttempts { n_attempts, attempts_max, window_s } => write!(
                f,
                "{n_attempts} actions of {attempts_max} were taken on this workload in the last {}",
                duration(*window_s)
            ),
            Self::CooldownActive { remaining_s, after, .. } => {
                write!(f, "{} of the cooldown after {after} remain", duration(*remaining_s))
            }
            Self::JustRecovered { after } => {
                write!(f, "{after} was verified to have helped; the incident is about to close")
            }
            Self::InFlight { plan, subject } => write!(f, "{plan} is still in flight on {subject}"),
            Self::StartLimit { n_starts, starts_max, window_s } => {
                write!(f, "{n_starts} of {starts_max} actions were started in the last {}", duration(*window_s))
            }
            Self::Storm { n_open, open_max } => {
                write!(f, "{n_open} incidents are open, more than {open_max}: that isn't for single actions")
            }
            Self::NotInspected { why } => write!(f, "the target can't be looked at: {why}"),
            Self::TargetNotFound { why } => write!(f, "the target isn't there: {why}"),
            Self::TargetChanged { why } => write!(f, "the target changed: {why}"),
            Self::StaleDecision { why } => write!(f, "what is known is too old to act on: {why}"),
            Self::ScaledToZero => f.write_str("the target is scaled to zero"),
            Self::RolloutInProgress => f.write_str("a roll-out of the target is going on"),
            Self::Paused => f.write_str("roll-outs of the target are paused"),
            Self::RolloutFailed { why } => write!(f, "the newest roll-out failed, a restart won't mend that: {why}"),
            Self::GitopsManaged { owner, seen_by } => write!(
                f,
                "{owner} manages the target ({seen_by}) and would put it back: act there, or set the annotation \
                 homeostat.io/act-in-place: \"true\" if changes in place are accepted"
            ),
            Self::NoPreviousRevision => f.write_str("there is no previous revision to go back to"),
            Self::ClusterUnavailable { why } => write!(f, "the target can't be looked at now: {why}"),
            Self::SignalsNormal => f.write_str("its newest measurements are normal"),
            Self::Overridden { after } => {
                write!(f, "somebody put back what {after} wrote; doing it again would be a fight")
            }
            Self::WriteRefused { after, why, .. } => write!(f, "{after} was refused, and would be again: {why}"),
            Self::AnotherInstance { action, at } => {
                write!(f, "another homeostat instance acts on the target: {action}")?;
                at.map_or(Ok(()), |at| write!(f, " at {at}"))
            }
            Self::TakesAllDown { why } => write!(f, "a roll-out would take all replicas down at once: {why}"),
            Self::DisruptionBudget { name } => {
                write!(f, "the disruption budget {name:?} allows no pod to be taken down now")
            }
            Self::ClusterUnproven { why } => {
                write!(f, "it isn't proven that the datasource watches the cluster that would be acted on: {why}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_is_what_is_serialised() {
        let why = || "why".to_owned();
        let refusals = [
            Refusal::KillSwitch { why: why() },
            Refusal::JournalUnavailable { why: why() },
            Refusal::Mode { mode: Mode::Observe },
            Refusal::IncidentNotOpen { state: IncidentState::Stale },
            Refusal::NoPolicy { incident_type: IncidentType::Latency },
            Refusal::NotTypedYet { wait_s: 60 },
            Refusal::NotVerifiable,
            Refusal::ScaledToZero,
            Refusal::RolloutInProgress,
            Refusal::GitopsManaged { owner: why(), seen_by: why() },
            Refusal::AnotherInstance { action: why(), at: None },
            Refusal::ClusterUnproven { why: why() },
            Refusal::NoPreviousRevision,
            Refusal::TooFewOutcomes { n_outcomes: 1, outcomes_min: 2 },
            Refusal::LowConfidence {
                lower: Confidence::ZERO,
                confidence: Confidence::ZERO,
                threshold: Confidence::ZERO,
            },
            Refusal::MaxAttempts { n_attempts: 2, max_attempts: 2, window_s: 3600 },
            Refusal::NotInspected { why: why() },
        ];
        for refusal in refusals {
            let json = serde_json::to_value(&refusal).unwrap();
            assert_eq!(json["code"], refusal.code());
            assert_eq!(serde_json::from_value::<Refusal>(json).unwrap(), refusal);
        }
    }
}
