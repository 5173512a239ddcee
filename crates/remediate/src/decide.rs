//! Execute, propose or refuse: a pure function of what is proposed, what was seen, what was done before, and `now`.

#[cfg(test)]
mod tests;

use std::time::Duration;

use homeostat_core::{Calendar, Incident, IncidentState, Mode, Timestamp, Topology};

use crate::action::{Action, Actions, Ask};
use crate::decision_record::{DecisionOutcome, DecisionRecord, Reason};
use crate::guardrails::{self, SameCluster};
use crate::history::History;
use crate::inspect_error::InspectError;
use crate::inspected::Inspected;
use crate::kill_switch::KillSwitch;
use crate::limits::SafetyLimits;
use crate::objection::{NextStep, Objection};
use crate::plan::{Plan, PlanId, Target, VerifySpec};
use crate::policy::{Policy, policy_elsewhere, policy_for};
use crate::step::{ActionName, Inverse, Step};

/// An incident and what a policy wants done about it.
#[derive(Clone, Copy, Debug)]
pub struct Proposal<'a> {
    /// The incident.
    pub incident: &'a Incident,
    /// The policy for it, if there is one.
    pub policy: Option<&'a Policy>,
    /// A policy for its type that doesn't hold where it is.
    pub elsewhere: Option<&'a Policy>,
    /// All policies: the cooldown of another one may still run.
    pub(crate) policies: &'a [Policy],
}

impl<'a> Proposal<'a> {
    /// What the policies say about this incident.
    pub fn new(incident: &'a Incident, policies: &'a [Policy]) -> Self {
        Self {
            incident,
            policy: policy_for(policies, incident),
            elsewhere: policy_elsewhere(policies, incident.incident_type, &incident.subject),
            policies,
        }
    }

    /// What would be done.
    pub fn action(&self) -> Option<&'a ActionName> {
        self.policy.or(self.elsewhere).and_then(|policy| policy.action.as_ref()).map(|action| &action.name)
    }
}

/// What else is true at this moment.
#[derive(Clone, Copy, Debug)]
pub struct Environment<'a> {
    /// How far homeostat may go at all.
    pub mode: Mode,
    /// Whether automation is stopped.
    pub kill_switch: &'a KillSwitch,
    /// Every incident that isn't resolved.
    pub open: &'a [Incident],
    /// Whether a storm that began earlier hasn't cleared yet.
    pub is_storm: bool,
    /// Whether the newest measurements of everything that opened the incident are normal.
    pub signals_normal: bool,
    /// Whether what is measured and what would be acted on are in one cluster.
    pub same_cluster: &'a SameCluster,
    /// Who depends on whom.
    pub topology: &'a Topology,
    /// Planned events.
    pub calendar: &'a Calendar,
    /// What the executor can do.
    pub actions: &'a Actions,
}

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

/// Everything that guardrails look at.
#[derive(Clone, Copy)]
pub struct DecisionContext<'a> {
    /// What is proposed.
    pub proposal: &'a Proposal<'a>,
    /// What was seen of the target.
    pub seen: Result<&'a Inspected, &'a InspectError>,
    /// What the policy's action would do to it, if there is an action and something was seen.
    pub asked: Option<&'a Asked>,
    /// What was done before.
    pub history: &'a History,
    /// What else is true.
    pub environment: &'a Environment<'a>,
    /// The limits over all policies.
    pub limits: &'a SafetyLimits,
    /// Now.
    pub now: Timestamp,
}

/// The action that a policy names, asked for its step.
pub struct Asked {
    /// The action.
    pub action: &'static dyn Action,
    /// Its step, and how to take it back; or why there is none.
    pub step: Result<(Step, Inverse), Objection>,
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
    let wanted = proposal.policy?.action.as_ref()?;
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
            recovery: spec.recovery,
        },
        decided_at: now,
        apply_before: now + limits.apply_within,
        deadline: now + ends_within(policy, limits),
    })
}

/// How long an action may take at most, from its decision to its end (I15).
pub(crate) fn ends_within(policy: &Policy, limits: &SafetyLimits) -> Duration {
    limits.apply_within + policy.verification_settle + policy.verification_window + limits.undo_within
}

/// How many incidents go on. Those that went silent don't count: a hundred deleted previews are no storm.
pub fn n_going_on(incidents: &[Incident]) -> usize {
    incidents.iter().filter(|incident| incident.state == IncidentState::Open).count()
}

/// The features that opened the incident, strongest first, each once.
pub fn features(incident: &Incident) -> Vec<String> {
    let mut features: Vec<String> = Vec::new();
    for evidence in &incident.evidence {
        if !features.contains(&evidence.feature) {
            features.push(evidence.feature.clone());
        }
    }
    features
}
