//! What is looked at to decide: what is proposed, what was seen of the target, what was done before, and what else is true.

use std::time::Duration;

use homeostat_core::{Calendar, Incident, IncidentState, Mode, Timestamp, Topology};

use crate::action::{Action, Actions};
use crate::dry_run::DryRun;
use crate::history::History;
use crate::inspect_error::InspectError;
use crate::inspected::Inspected;
use crate::kill_switch::KillSwitch;
use crate::limits::SafetyLimits;
use crate::newest_rows::NewestRows;
use crate::objection::Objection;
use crate::policy::{Policy, PolicyAction, policy_elsewhere, policy_for};
use crate::rego::RegoRules;
use crate::same_cluster::SameCluster;
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
    /// The policy's action whose turn it is, if there is one: the next step of its ladder after what was tried.
    pub wanted: Option<&'a PolicyAction>,
    /// All policies: the cooldown of another one may still run.
    pub(crate) policies: &'a [Policy],
}

impl<'a> Proposal<'a> {
    /// What the policies say about this incident, after what was done about it.
    pub fn new(incident: &'a Incident, policies: &'a [Policy], history: &History) -> Self {
        let policy = policy_for(policies, incident);
        let elsewhere = policy_elsewhere(policies, incident);
        let wanted = policy.or(elsewhere).and_then(|policy| {
            policy.action.as_ref().and_then(|first| first.after(history.tried(&incident.id, &policy.name)))
        });
        Self { incident, policy, elsewhere, wanted, policies }
    }

    /// What would be done.
    pub fn action(&self) -> Option<&'a ActionName> {
        self.wanted.map(|action| &action.name)
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
    /// What the newest rows of the incident's subject say.
    pub newest_rows: &'a NewestRows,
    /// What a dry run of the write came to.
    pub dry_run: &'a DryRun,
    /// Whether what is measured and what would be acted on are in one cluster.
    pub same_cluster: &'a SameCluster,
    /// Who depends on whom.
    pub topology: &'a Topology,
    /// Planned events.
    pub calendar: &'a Calendar,
    /// What the executor can do.
    pub actions: &'a Actions,
    /// The organisation's own rules, where there are some.
    pub rego: Option<&'a RegoRules>,
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
