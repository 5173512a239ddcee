//! What can speak against an action. Each guardrail is a pure function that says its reasons; it never permits anything.
//! To add one: its file, its `mod` line, and its line in [`GUARDRAILS`].

mod another_instance;
mod approval;
mod attempts;
mod auto_execute;
mod autoscaler_paused;
mod cluster_identity;
mod confidence;
mod cooldown;
mod dependency;
mod disruption;
mod dry_run;
mod fact_forbids;
mod in_flight;
mod incident_open;
mod inspection;
mod kill_switch;
mod mode;
mod never_auto;
mod outcomes;
mod overridden;
mod owner;
mod paused;
mod planned_event;
mod policy_action;
mod policy_budget;
mod policy_calendar;
mod policy_frozen;
mod policy_match;
mod policy_scope;
mod poor_record;
mod rego;
mod rejected;
mod rollout;
mod scaled_to_zero;
mod self_protection;
mod signals_normal;
mod stale;
mod start_limit;
mod step;
mod storm;
mod target_attempts;
mod target_changed;
mod verifiable;
mod write_refused;

#[cfg(test)]
mod fake;
#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::decision_context::DecisionContext;
use crate::inspect_error::InspectError;
use crate::objection::Objection;

/// How long something that should pass by itself may last before a human is called all the same (I15): the deadline that
/// Kubernetes gives a rollout by default, and half of it again.
pub(crate) const WAIT_MAX: Duration = Duration::from_secs(900);

/// What can speak against an action.
pub trait Guardrail: Sync {
    /// The codes of its objections, stable. Empty for what an action itself objects to.
    fn codes(&self) -> &'static [&'static str];

    /// What it must know.
    fn needs(&self) -> Needs;

    /// Its reasons against, each with one of its codes.
    fn objections(&self, context: &DecisionContext<'_>) -> Vec<Objection>;
}

/// What a guardrail must know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// What is known without asking the cluster: it can be asked first, and spares the question.
    Context,
    /// The target as it is now.
    Target,
}

/// Every guardrail, in the order in which reasons are told: first what stops everything, then the incident, the policy, the
/// budget, and last the target.
pub static GUARDRAILS: &[&dyn Guardrail] = &[
    &kill_switch::KillSwitchEngaged,
    &storm::InStorm,
    &incident_open::IncidentNotOpen,
    &stale::Stale,
    &signals_normal::SignalsNormal,
    &planned_event::PlannedEvent,
    &dependency::DependencyFirst,
    &mode::ModeBelowExecute,
    &policy_match::NoPolicy,
    &policy_scope::NoScope,
    &policy_action::NoAction,
    &fact_forbids::FactForbids,
    &policy_frozen::PolicyFrozen,
    &poor_record::PoorRecord,
    &rejected::Rejected,
    &auto_execute::AutoExecuteOff,
    &approval::NeedsApproval,
    &policy_calendar::OutsideCalendar,
    &self_protection::SelfProtection,
    &never_auto::NeverAuto,
    &confidence::LowConfidence,
    &outcomes::TooFewOutcomes,
    &verifiable::NotVerifiable,
    &in_flight::InFlight,
    &cooldown::Cooldown,
    &attempts::MaxAttempts,
    &target_attempts::TargetAttempts,
    &policy_budget::PolicyBudget,
    &start_limit::StartLimit,
    &inspection::NotInspected,
    &target_changed::TargetChanged,
    &scaled_to_zero::ScaledToZero,
    &rollout::RolloutInProgress,
    &paused::Paused,
    &autoscaler_paused::AutoscalerPaused,
    &owner::ManagedByOther,
    &step::NoStep,
    &overridden::Overridden,
    &write_refused::WriteRefused,
    &rego::DeniedByRego,
    &dry_run::DryRunFailed,
    &another_instance::AnotherInstance,
    &disruption::TakesTooMuchDown,
    &cluster_identity::ClusterUnproven,
    #[cfg(test)]
    &fake::Fake,
];

/// Every reason against, in the guardrails' order. Until the target was asked about, only those that don't need it.
pub(crate) fn objections(context: &DecisionContext<'_>) -> Vec<Objection> {
    let is_asked = !matches!(context.seen, Err(InspectError::NotAsked));
    let asked = GUARDRAILS.iter().filter(|guardrail| match guardrail.needs() {
        Needs::Context => true,
        Needs::Target => is_asked,
    });
    asked.flat_map(|guardrail| guardrail.objections(context)).collect()
}
