//! Execute, propose or refuse: a pure function of what is proposed, what was seen, what was done before, and `now`.

#[cfg(test)]
mod tests;

use homeostat_core::Timestamp;

use crate::action::Ask;
use crate::approval::{Approval, PendingPlan};
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
use crate::step::ActionName;

/// What is to be done about an incident.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    /// Do it: nothing speaks against it.
    Execute(Plan),
    /// Do it: a person has approved exactly this plan.
    Approved {
        /// What was approved.
        plan: Plan,
        /// By whom.
        approval: Approval,
        /// The object's version that was looked at now: the plan has the one of its proposal.
        resource_version: String,
        /// Every reason against, which the person has overruled.
        overruled: Vec<Objection>,
    },
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
    /// Every reason against, overruled or not; none for [`Decision::Execute`].
    pub fn objections(&self) -> &[Objection] {
        match self {
            Self::Execute(_) => &[],
            Self::Approved { overruled: objections, .. }
            | Self::Propose { held_back_by: objections, .. }
            | Self::Refuse { objections, .. } => objections,
        }
    }

    /// The plan, if there is one.
    pub fn plan(&self) -> Option<&Plan> {
        match self {
            Self::Execute(plan) | Self::Approved { plan, .. } | Self::Propose { plan, .. } => Some(plan),
            Self::Refuse { .. } => None,
        }
    }

    /// What it is about, done or not.
    pub fn action(&self) -> Option<&ActionName> {
        match self {
            Self::Execute(plan) | Self::Approved { plan, .. } | Self::Propose { plan, .. } => Some(&plan.step.action),
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
            Self::Execute(_) | Self::Approved { .. } => DecisionOutcome::Execute,
            Self::Propose { .. } => DecisionOutcome::Propose,
            Self::Refuse { .. } => DecisionOutcome::Refuse,
        };
        let approved_by = match self {
            Self::Approved { approval, .. } => Some(approval.by.clone()),
            Self::Execute(_) | Self::Propose { .. } | Self::Refuse { .. } => None,
        };
        DecisionRecord {
            incident: proposal.incident.id.clone(),
            correlation: proposal.incident.correlation.clone(),
            subject: proposal.incident.subject.clone(),
            policy: proposal.policy.map(|policy| policy.name.clone()),
            outcome,
            action: self.action().map(|action| action.to_string()),
            plan: self.plan().map(|plan| plan.id.clone()),
            approved_by,
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
    let context = DecisionContext { proposal, seen, asked: None, history, environment, limits, now };
    let asked = ask(&context);
    let context = DecisionContext { asked: asked.as_ref(), ..context };
    let objections = guardrails::objections(&context);
    let plan = match (proposal.policy, seen, &asked) {
        (Some(policy), Ok(seen), Some(asked)) => plan(&context, policy, seen, asked),
        (None, _, _) | (_, Err(_), _) | (_, _, None) => None,
    };
    match plan {
        Some(plan) if objections.is_empty() => Decision::Execute(plan),
        Some(plan) if objections.iter().all(|objection| objection.approvable) => propose(&context, plan, objections),
        Some(_) | None => Decision::Refuse { action: proposal.action().cloned(), objections },
    }
}

fn ask(context: &DecisionContext<'_>) -> Option<Asked> {
    let DecisionContext { proposal, history, environment, now, .. } = *context;
    proposal.policy?;
    let wanted = proposal.wanted?;
    let action = environment.actions.get(&wanted.name)?;
    let subject = &proposal.incident.subject;
    let acted_at = history.actions.on(subject).map(|action| action.plan.decided_at);
    let opened_at = environment.open.iter().filter(|open| &open.subject == subject).map(|open| open.opened_at);
    let trouble_at: Vec<Timestamp> = acted_at.chain(opened_at).collect();
    let ask = Ask { args: &wanted.args, now, trouble_at: &trouble_at };
    Some(Asked { action, step: action.step(&ask, context.seen.ok()?) })
}

/// Shows a plan to people, who may overrule what speaks against it. While what was shown is what would be done, it stays that
/// very plan, so that an answer to it counts; then an approval leads to doing it (I25).
fn propose(context: &DecisionContext<'_>, plan: Plan, objections: Vec<Objection>) -> Decision {
    let pending = context.history.pending.get(&plan.incident);
    let Some(pending) = pending.filter(|pending| pending.is_in_time(context.now) && is_as_shown(context, pending))
    else {
        let apply_before = context.now + context.limits.approve_within;
        // It takes as long as ever, once it is applied.
        let deadline = apply_before + plan.deadline.since(plan.apply_before);
        return Decision::Propose { plan: Plan { apply_before, deadline, ..plan }, held_back_by: objections };
    };
    let shown = pending.plan().clone();
    // Below execute nothing is written, whoever approves it (I30).
    let may_write = !objections.iter().any(|objection| objection.code == "mode");
    match (pending.approval(), context.seen) {
        (Some(approval), Ok(seen)) if may_write => Decision::Approved {
            plan: shown,
            approval: approval.clone(),
            resource_version: seen.resource_version.clone(),
            overruled: objections,
        },
        (Some(_) | None, Ok(_) | Err(_)) => Decision::Propose { plan: shown, held_back_by: objections },
    }
}

/// Whether the plan that would be made as of the proposal's moment is the one that was shown.
fn is_as_shown(context: &DecisionContext<'_>, pending: &PendingPlan) -> bool {
    let then = pending.plan().decided_at;
    let context = DecisionContext { now: then, ..*context };
    let (Some(policy), Ok(seen)) = (context.proposal.policy, context.seen) else { return false };
    let asked = ask(&context);
    asked.and_then(|asked| plan(&context, policy, seen, &asked)).is_some_and(|plan| pending.offers(&plan))
}

/// The plan, if the action has a step for the target.
fn plan(context: &DecisionContext<'_>, policy: &Policy, seen: &Inspected, asked: &Asked) -> Option<Plan> {
    let DecisionContext { proposal, history, limits, now, .. } = *context;
    let incident = proposal.incident;
    let (step, inverse) = asked.step.clone().ok()?;
    let spec = asked.action.spec();
    let attempt = history.next_attempt(&incident.id);
    let undo_if_failed = policy.rollback_if_failed && inverse.step().is_some();
    // Fewer than before is no recovery, unless fewer is what it is for.
    let replicas_after = asked.action.replicas_after(&step).unwrap_or(seen.replicas_wanted);
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
            replicas_before: seen.replicas_wanted.min(replicas_after),
            rollout_failed_before: seen.rollout_failed.is_some(),
            recovery: spec.recovery,
        },
        decided_at: now,
        apply_before: now + limits.apply_within,
        deadline: now + ends_within(policy, limits),
    })
}
