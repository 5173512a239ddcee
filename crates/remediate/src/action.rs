//! What can be done: the pure half of an action, which says what it is, reads its part of a policy, plans its step and
//! writes the bytes that will be sent. Doing it is the other half, in `homeostat-execute`.

use std::fmt;

use homeostat_core::{IncidentType, Remedy, Timestamp, WorkloadKind};
use homeostat_settings::Reader;

use crate::inspected::{Disruption, Inspected};
use crate::objection::Objection;
use crate::payload_error::PayloadError;
use crate::plan::Plan;
use crate::policy::Policy;
use crate::step::{ActionName, Args, Inverse, Recovery, Repeat, Step};

/// An action, without the doing. Every method is a pure function of its arguments.
pub trait Action: Send + Sync {
    /// What is true of it wherever it is used.
    fn spec(&self) -> &'static ActionSpec;

    /// Reads its own part of a policy, which is the section `with`, problems into the reader. Many actions need nothing.
    fn args(&self, _with: &mut Reader<'_>) -> Args {
        Args::default()
    }

    /// The step to take on the object that was seen, and how to take it back; or why it can't be taken.
    fn step(&self, ask: &Ask<'_>, seen: &Inspected) -> Result<(Step, Inverse), Objection>;

    /// Exactly what will be sent for the plan: for the journal, and for people who approve it. `step` is the plan's own or
    /// its inverse's.
    fn payload(&self, plan: &Plan, step: &Step) -> Result<String, PayloadError>;

    /// What it brings about, as far as that may cure something or surely can't; `None` for what no fact of the cluster speaks of.
    fn remedy(&self) -> Option<Remedy> {
        None
    }

    /// What a policy may say of it but probably shouldn't; a sentence each.
    fn lint(&self, _policy: &Policy) -> Vec<String> {
        Vec::new()
    }

    /// The least that a policy must say under `with`, in YAML. Empty where that is nothing.
    fn example(&self) -> &'static str {
        ""
    }

    /// What the step takes down. Unless the action says otherwise: what a rollout would.
    fn disruption(&self, _step: &Step, seen: &Inspected) -> Disruption {
        seen.disruption.clone()
    }

    /// In which states of the target it does what it should. Unless the action says otherwise: only at rest.
    fn works_while(&self) -> WorksWhile {
        WorksWhile::default()
    }

    /// Whether it changes the target itself, which whoever keeps the target would put back (I22).
    fn changes_in_place(&self) -> bool {
        true
    }

    /// How many replicas are wanted after the step, where it changes that.
    fn replicas_after(&self, _step: &Step) -> Option<u32> {
        None
    }

    /// Rights that it needs in the whole cluster, because what it acts on is in no namespace.
    fn cluster_rights(&self) -> &'static [Right] {
        &[]
    }
}

/// States of the target in which an action does what it should.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WorksWhile {
    /// While a rollout goes on.
    pub rolling_out: bool,
    /// While rollouts are paused.
    pub paused: bool,
}

/// What is true of an action wherever it is used.
#[derive(Debug)]
pub struct ActionSpec {
    /// Its name, as policies and journals have it.
    pub name: ActionName,
    /// What it can be done to.
    pub targets: &'static [WorkloadKind],
    /// The incidents that it is done about when a policy names no action. No two actions claim the same one.
    pub default_for: &'static [IncidentType],
    /// Whether it may be sent again after its sending began.
    pub repeat: Repeat,
    /// What shows that its own effect is complete.
    pub recovery: Recovery,
    /// The rights it needs where it acts.
    pub rights: &'static [Right],
}

impl ActionSpec {
    /// The rights that it needs where it acts on this kind of workload: those on other kinds, and on what only they keep their
    /// revisions in, aren't among them.
    pub fn rights_for(&self, kind: WorkloadKind) -> impl Iterator<Item = Right> + use<> {
        self.rights.iter().copied().filter(move |right| right.concerns(kind))
    }
}

/// A right on an API's objects.
///
/// ```
/// use homeostat_remediate::Right;
///
/// let right = Right { verb: "patch", resource: "deployments", group: "apps" };
/// assert_eq!(right.to_string(), "patch deployments.apps");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Right {
    /// Such as `patch`.
    pub verb: &'static str,
    /// The resource's plural, such as `deployments`.
    pub resource: &'static str,
    /// The API group; empty for the core group.
    pub group: &'static str,
}

impl Right {
    /// Whether it is of use to somebody who acts on this kind of workload.
    pub fn concerns(&self, kind: WorkloadKind) -> bool {
        let kinds: &[WorkloadKind] = match self.resource {
            "deployments" | "replicasets" => &[WorkloadKind::Deployment],
            "statefulsets" => &[WorkloadKind::StatefulSet],
            "daemonsets" => &[WorkloadKind::DaemonSet],
            "controllerrevisions" => &[WorkloadKind::StatefulSet, WorkloadKind::DaemonSet],
            _ => return true,
        };
        kinds.contains(&kind)
    }
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dot = if self.group.is_empty() { "" } else { "." };
        write!(f, "{} {}{dot}{}", self.verb, self.resource, self.group)
    }
}

/// What is asked of an action.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// The action's part of the policy.
    pub args: &'a Args,
    /// When.
    pub now: Timestamp,
    /// When the target was in trouble, as far as is known: homeostat acted on it, or an incident that is still open began.
    pub trouble_at: &'a [Timestamp],
}

/// The actions that are there, in the order of their registration.
#[derive(Clone, Default)]
pub struct Actions(Vec<&'static dyn Action>);

impl Actions {
    /// The action of this name.
    pub fn get(&self, name: &ActionName) -> Option<&'static dyn Action> {
        self.iter().find(|action| &action.spec().name == name)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &'static dyn Action> + '_ {
        self.0.iter().copied()
    }

    /// Their names.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.iter().map(|action| action.spec().name.as_str())
    }

    /// What is done about an incident type when the policy names no action. Where none is clearly right there is none: the
    /// kubelet restarts a crash loop by itself, and restarting for latency hides the cause.
    pub fn default_for(&self, incident_type: IncidentType) -> Option<&'static dyn Action> {
        self.iter().find(|action| action.spec().default_for.contains(&incident_type))
    }
}

impl FromIterator<&'static dyn Action> for Actions {
    fn from_iter<I: IntoIterator<Item = &'static dyn Action>>(actions: I) -> Self {
        Self(actions.into_iter().collect())
    }
}

impl fmt::Debug for Actions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}
