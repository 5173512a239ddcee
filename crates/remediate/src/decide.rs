//! Execute, propose or refuse: a pure function of what is proposed, what was seen, what was done before, and `now`.

#[cfg(test)]
mod tests;

use std::time::Duration;

use homeostat_core::{
    Action, ActionKind, Calendar, Incident, IncidentState, Inverse, Mode, Plan, PlanId, Target, Timestamp, Topology,
    VerifySpec,
};

use crate::decision_record::{DecisionOutcome, DecisionRecord, Reason};
use crate::guardrails::{self, SameCluster};
use crate::history::History;
use crate::inspect_error::InspectError;
use crate::inspected::Inspected;
use crate::kill_switch::KillSwitch;
use crate::limits::SafetyLimits;
use crate::policy::{Policy, policy_elsewhere, policy_for};
use crate::refusal::{NextStep, Refusal};

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
    pub fn action(&self) -> Option<ActionKind> {
        self.policy.or(self.elsewhere).and_then(|policy| policy.action)
    }
}

/// What else is true at this moment.
#[derive(Clone, Copy, Debug)]
pub struct DecisionContext<'a> {
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
    pub supported: &'a [ActionKind],
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
        held_back_by: Vec<Refusal>,
    },
    /// Don't.
    Refuse {
        /// What would have been done, if something.
        action: Option<ActionKind>,
        /// Every reason against.
        refusals: Vec<Refusal>,
    },
}

impl Decision {
    /// Every reason against, none for [`Decision::Execute`].
    pub fn refusals(&self) -> &[Refusal] {
        match self {
            Self::Execute(_) => &[],
            Self::Propose { held_back_by: refusals, .. } | Self::Refuse { refusals, .. } => refusals,
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
    pub fn action(&self) -> Option<ActionKind> {
        match self {
            Self::Execute(plan) | Self::Propose { plan, .. } => Some(plan.action.kind()),
            Self::Refuse { action, .. } => *action,
        }
    }

    /// The strongest next step of all reasons; [`NextStep::Note`] when nothing speaks against it.
    ///
    /// What explains the incident (a planned event, a dependency, observe mode) outweighs calling a human because of
    /// some other reason beside it.
    pub fn next_step(&self) -> NextStep {
        let refusals = self.refusals();
        if refusals.iter().any(|refusal| refusal.next_step() == NextStep::Note) {
            return NextStep::Note;
        }
        refusals.iter().map(Refusal::next_step).max().unwrap_or(NextStep::Note)
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
            action: self.action().map(|action| action.name().to_owned()),
            plan: self.plan().map(|plan| plan.id.clone()),
            refusals: self.refusals().iter().map(Reason::from).collect(),
        }
    }
}

/// Everything that guardrails look at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts<'a> {
    pub(crate) proposal: &'a Proposal<'a>,
    pub(crate) seen: Result<&'a Inspected, &'a InspectError>,
    pub(crate) history: &'a History,
    pub(crate) context: &'a DecisionContext<'a>,
    pub(crate) limits: &'a SafetyLimits,
    pub(crate) now: Timestamp,
}

/// Decides. Every reason against is listed, not only the first; the order is the guardrails', so that equal facts give
/// equal decisions.
pub fn decide(
    proposal: &Proposal<'_>,
    seen: Result<&Inspected, &InspectError>,
    history: &History,
    context: &DecisionContext<'_>,
    limits: &SafetyLimits,
    now: Timestamp,
) -> Decision {
    let facts = Facts { proposal, seen, history, context, limits, now };
    let refusals = guardrails::refusals(&facts);
    let plan = match (proposal.policy, seen) {
        (Some(policy), Ok(seen)) => plan(&facts, policy, seen),
        (None, _) | (_, Err(_)) => None,
    };
    match plan {
        Some(plan) if refusals.is_empty() => Decision::Execute(plan),
        Some(plan) if refusals.iter().all(Refusal::is_approvable) => Decision::Propose { plan, held_back_by: refusals },
        Some(_) | None => Decision::Refuse { action: proposal.action(), refusals },
    }
}

/// The plan, if the policy names an action and the target has what it takes.
fn plan(facts: &Facts<'_>, policy: &Policy, seen: &Inspected) -> Option<Plan> {
    let Facts { proposal, history, limits, now, .. } = *facts;
    let incident = proposal.incident;
    let (action, inverse) = match policy.action? {
        ActionKind::RolloutRestart => (Action::RolloutRestart { restarted_at: now }, Inverse::NothingToUndo),
        ActionKind::RolloutUndo => {
            let inverse = match &seen.revision {
                Some(revision) => Inverse::RolloutUndo { to_revision: revision.clone() },
                None => Inverse::Irreversible,
            };
            (Action::RolloutUndo { to_revision: seen.revision_previous.clone()? }, inverse)
        }
    };
    let attempt = history.next_attempt(&incident.id);
    let undo_if_failed = policy.rollback_if_failed && matches!(inverse, Inverse::RolloutUndo { .. });
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
        action,
        inverse,
        undo_if_failed,
        verify: VerifySpec {
            features: features(incident),
            window: policy.verification_window,
            settle: policy.verification_settle,
            fresh_points_min: limits.fresh_points_min,
            traffic_floor: policy.traffic_floor,
            replicas_before: seen.replicas_wanted,
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
