//! What the product's functions are given: incidents, policies and targets as the model has them.

use std::time::Duration;

use homeostat_core::{
    Calendar, Incident, IncidentState, IncidentType, Mode, Subject, Timestamp, Topology, WorkloadKind,
};
use homeostat_remediate::{
    Actions, DryRun, Inspected, KillSwitch, Known, Marker, NewestRows, Policy, PreviousRevision, SafetyLimits,
    SameCluster, load_policies,
};

use super::log::Tick;
use super::mutation::Mutation;
use super::state::{Object, TARGETS};
use crate::fixture::incident;

/// One tick of the model: two of the product's usual cycles.
pub(super) const TICK: Duration = Duration::from_secs(60);

/// When the model's time begins.
const START: Timestamp = Timestamp::from_secs(36_000);

/// The first target goes back by itself and is undone if that doesn't help; the second is restarted once a person approved it.
const POLICIES: &str = "
remediation_policies:
- {incident_type: bad-deployment, auto_execute: true, confidence_threshold: 0.9, rollback_if_failed: true, max_attempts: 2,
   scope: {namespaces: [shop]}}
- {incident_type: oom-killed, auto_execute: false, confidence_threshold: 0.9, max_attempts: 2, scope: {namespaces: [shop]}}
";

/// The cooldown of both policies.
pub(super) const COOLDOWN: Tick = 2;
/// The window and the number of the budget of attempts.
pub(super) const ATTEMPTS: (Tick, usize) = (8, 2);

/// Everything that stays as it is.
#[derive(Clone, Debug)]
pub(super) struct Inputs {
    /// The policies.
    pub(super) policies: Vec<Policy>,
    /// The limits.
    pub(super) limits: SafetyLimits,
    /// What can be done.
    pub(super) actions: Actions,
    /// Who depends on whom.
    pub(super) topology: Topology,
    /// Planned events.
    pub(super) calendar: Calendar,
    /// Nothing is measured beside the incident itself.
    pub(super) newest_rows: NewestRows,
    /// Every write would be accepted.
    pub(super) dry_run: DryRun,
    /// There is one cluster.
    pub(super) same_cluster: SameCluster,
    incidents: [Incident; TARGETS],
}

impl Inputs {
    /// The product's policies and limits in the model's short time, but for the guard that is broken.
    #[expect(clippy::expect_used, reason = "the policies above are constant")]
    pub(super) fn new(broken: Option<Mutation>) -> Self {
        let actions = homeostat_execute::actions();
        let mut policies = load_policies(POLICIES, "model", &actions).expect("good policies");
        for policy in &mut policies {
            policy.cooldown_after_action =
                if broken == Some(Mutation::Cooldown) { Duration::ZERO } else { TICK * u32::from(COOLDOWN) };
            policy.verification_window = TICK;
            policy.verification_settle = Duration::ZERO;
            policy.attempts_window = TICK * u32::from(ATTEMPTS.0);
            if broken == Some(Mutation::MaxAttempts) {
                policy.max_attempts = 100;
            }
        }
        let limits = SafetyLimits {
            apply_within: 2 * TICK,
            approve_within: 2 * TICK,
            undo_within: TICK,
            fresh_points_min: 1,
            // The policies' own budget is what holds.
            target_attempts_max: 10,
            ..SafetyLimits::default()
        };
        let incidents = [("api", IncidentType::BadDeployment), ("api-worker", IncidentType::OomKilled)];
        Self {
            policies,
            limits,
            actions,
            topology: Topology::new(),
            calendar: Calendar::default(),
            newest_rows: NewestRows::default(),
            dry_run: DryRun::Passed,
            same_cluster: SameCluster::Proven,
            incidents: incidents.map(|(name, kind)| incident(kind, &Subject::deployment("shop", name), START)),
        }
    }

    /// The incident of a target as it was heard of just now.
    pub(super) fn incident(&self, target: usize, is_open: bool, now: Timestamp) -> Incident {
        let state = if is_open { IncidentState::Open } else { IncidentState::Resolved };
        Incident { state, updated_at: now, ..self.incidents[target].clone() }
    }

    /// Which target a subject is.
    pub(super) fn target(&self, subject: &Subject) -> usize {
        usize::from(subject != &self.incidents[0].subject)
    }
}

/// The moment that a clock shows which is so far ahead.
pub(super) fn at(tick: Tick, skew: i8) -> Timestamp {
    // Backwards in two steps: moments only take durations that aren't negative.
    let ahead = |ticks: i8| TICK * u32::from(ticks.unsigned_abs());
    let now = START + TICK * u32::from(tick);
    if skew < 0 { now - ahead(skew) } else { now + ahead(skew) }
}

/// The kill switch as the product has it.
pub(super) fn kill_switch(engaged: bool) -> KillSwitch {
    KillSwitch { engaged, why: "a drill".into() }
}

/// What looking at an object says.
pub(super) fn inspected(object: &Object, now: Timestamp) -> Inspected {
    let marker = object.marker.as_ref().map(|planned| Marker { action: planned.plan.id.to_string(), at: None });
    Inspected {
        resource_version: object.version.to_string(),
        generation: Some(i64::from(object.version)),
        revision: Some("7".into()),
        revision_previous: Known::Is(PreviousRevision { revision: "6".into(), change: None }),
        marker,
        ..Inspected::at_rest(uid(object), WorkloadKind::Deployment, now)
    }
}

/// An object's UID as text.
pub(super) fn uid(object: &Object) -> String {
    format!("uid-{}", object.uid)
}

/// How far homeostat may go.
pub(super) const MODE: Mode = Mode::Execute;
