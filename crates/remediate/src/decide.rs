//! Execute, propose or refuse: a pure function of what is proposed, what was seen, what was done before, and `now`.

#[cfg(test)]
mod tests;

use homeostat_core::Timestamp;

use crate::action::Ask;
use crate::decision_context::{Asked, DecisionContext, Environment, Proposal, ends_within, features};
use crate::decision_record::{DecisionOutcome, DecisionRecord, Reason};
use crate::guardrails;
use crate::history::History;
use crate::inspect_error::InspectError;
use crate::inspected::Inspected;
use crate::limits::SafetyLimits;
use crate::objection::{NextStep, Objection};
use crate::plan::{Plan, PlanId, Target, VerifySpec};
use crate::policy::Policy;
use crate::step::{ActionName, Inverse};

/// What is to be done about an incident.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    /// Do it: nothing speaks against it.
    Execute(Plan),
    /// Show it to a human, who may sensibly say yes.
    Propose {
        /// What would be done.
        plan: Plan,
        /// Every reason why it isn't done without asking.
        held_back_by: Vec<Objection>,
    },
    /// Don't.
    Refuse {
        /// What would have been done, if something.
        action: Option<ActionName>,
        /// Every reason against.
        objections: Vec<Objection>,
    },
}

impl Decision {
    /// Every reason against, none for [`Decision::Execute`].
    pub fn objections(&self) -> &[Objection] {
        match self {
            Self::Execute(_) => &[],
            Self::Propose { held_back_by: objections, .. } | Self::Refuse { objections, .. } => objections,
        }
    }

    /// The plan, if there is one.
    pub fn plan(&self) -> Option<&Plan> {
        match self {
            Self::Execute(plan) | Self::Propose { plan, .. } => Some(plan),
            Self::Refuse { .. } => None,
        }
    }

    /// What it is about, done or not.
    pub fn action(&self) -> Option<&ActionName> {
        match self {
            Self::Execute(plan) | Self::Propose { plan, .. } => Some(&plan.step.action),
            Self::Refuse { action, .. } => action.as_ref(),
        }
    }

    /// The strongest next step of all reasons; [`NextStep::Note`] when nothing speaks against it.
    ///
    /// What explains the incident (a planned event, a dependency, observe mode) outweighs calling a human because of
    /// some other reason beside it.
    pub fn next_step(&self) -> NextStep {
        let objections = self.objections();
        if objections.iter().any(|objection| objection.next_step() == NextStep::Note) {
            return NextStep::Note;
        }
        objections.iter().map(Objection::next_step).max().unwrap_or(NextStep::Note)
    }

    /// As the journal keeps it.
    pub fn record(&self, proposal: &Proposal<'_>) -> DecisionRecord {
        let outcome = match self {
            Self::Execute(_) => DecisionOutcome::Execute,
            Self::Propose { .. } => DecisionOutcome::Propose,
            Self::Refuse { .. } => DecisionOutcome::Refuse,
        };
        DecisionRecord {
            incident: proposal.incident.id.clone(),
            correlation: proposal.incident.correlation.clone(),
            subject: proposal.incident.subject.clone(),
            policy: proposal.policy.map(|policy| policy.name.clone()),
            outcome,
            action: self.action().map(|action| action.to_string()),
            plan: self.plan().map(|plan| plan.id.clone()),
            refusals: self.objections().iter().map(Reason::from).collect(),
        }
    }
}

/// Decides. Every reason against is listed, not only the first; the order is the guardrails', so that equal facts give
/// equal decisions.
pub fn decide(
    proposal: &Proposal<'_>,
    seen: Result<&Inspected, &InspectError>,
    history: &History,
    environment: &Environment<'_>,
    limits: &SafetyLimits,
    now: Timestamp,
) -> Decision {
    let asked = ask(proposal, seen, environment, now);
    let context = DecisionContext { proposal, seen, asked: asked.as_ref(), history, environment, limits, now };
    let objections = guardrails::objections(&context);
    let plan = match (proposal.policy, seen, &asked) {
        (Some(policy), Ok(seen), Some(asked)) => plan(&context, policy, seen, asked),
        (None, _, _) | (_, Err(_), _) | (_, _, None) => None,
    };
    match plan {
        Some(plan) if objections.is_empty() => Decision::Execute(plan),
        Some(plan) if objections.iter().all(|objection| objection.approvable) => {
            Decision::Propose { plan, held_back_by: objections }
        }
        Some(_) | None => Decision::Refuse { action: proposal.action().cloned(), objections },
    }
}

fn ask(
    proposal: &Proposal<'_>,
    seen: Result<&Inspected, &InspectError>,
    environment: &Environment<'_>,
    now: Timestamp,
) -> Option<Asked> {
    proposal.policy?;
    let wanted = proposal.wanted?;
    let action = environment.actions.get(&wanted.name)?;
    let step = action.step(&Ask { args: &wanted.args, now }, seen.ok()?);
    Some(Asked { action, step })
}

/// The plan, if the action has a step for the target.
fn plan(context: &DecisionContext<'_>, policy: &Policy, seen: &Inspected, asked: &Asked) -> Option<Plan> {
    let DecisionContext { proposal, history, limits, now, .. } = *context;
    let incident = proposal.incident;
    let (step, inverse) = asked.step.clone().ok()?;
    let spec = asked.action.spec();
    let attempt = history.next_attempt(&incident.id);
    let undo_if_failed = policy.rollback_if_failed && matches!(inverse, Inverse::Step(_));
    Some(Plan {
        id: PlanId::of(&incident.id, attempt),
        incident: incident.id.clone(),
        correlation: incident.correlation.clone(),
        incident_type: incident.incident_type,
        policy: policy.name.clone(),
        attempt,
        target: Target {
            subject: incident.subject.clone(),
            uid: seen.uid.clone(),
            resource_version: seen.resource_version.clone(),
            generation: seen.generation,
        },
        step,
        inverse,
        undo_if_failed,
        repeat: spec.repeat,
        verify: VerifySpec {
            features: features(incident),
            window: policy.verification_window,
            settle: policy.verification_settle,
            fresh_points_min: limits.fresh_points_min,
            traffic_floor: policy.traffic_floor,
            replicas_before: seen.replicas_wanted,
            rollout_failed_before: seen.rollout_failed.is_some(),
            recovery: spec.recovery,
        },
        decided_at: now,
        apply_before: now + limits.apply_within,
        deadline: now + ends_within(policy, limits),
    })
}
