//! A target as it is now.

use homeostat_core::{Timestamp, WorkloadKind};
use serde_json::Value;

use crate::git_file::GitFile;
use crate::known::Known;
use crate::object_ref::ObjectRef;
use crate::quota::QuotaLimit;
use crate::release::Release;
use crate::seen_pod::SeenPod;

/// What an executor saw when it looked at a target. Only facts; judging them is the guardrails' work.
#[derive(Clone, Debug, PartialEq)]
pub struct Inspected {
    /// The object's UID.
    pub uid: String,
    /// The version that was looked at.
    pub resource_version: String,
    /// The number of its desired state, where it has one; a change of the status alone leaves it.
    pub generation: Option<i64>,
    /// What kind of workload it is.
    pub kind: WorkloadKind,
    /// When the object was created, by the cluster's clock, where it says so.
    pub created_at: Option<Timestamp>,
    /// When it was looked at, by the caller's clock.
    pub seen_at: Timestamp,
    /// Current revision of the template, as the cluster names it.
    pub revision: Option<String>,
    /// The revision to go back to.
    pub revision_previous: Known<PreviousRevision>,
    /// Replicas wanted.
    pub replicas_wanted: u32,
    /// Replicas available.
    pub replicas_available: u32,
    /// A roll-out is going on: it isn't observed yet, not all replicas are updated, or the updated ones aren't available
    /// for the first time yet. Pods that fail *after* their roll-out had completed are an incident, not a roll-out.
    pub rollout_in_progress: bool,
    /// Why the newest roll-out failed, if the cluster gave up on it: it won't end by itself, and only another one, or going
    /// back, helps.
    pub rollout_failed: Option<String>,
    /// Roll-outs are paused: a restart would do nothing until somebody resumes.
    pub paused: bool,
    /// The autoscaler that targets it.
    pub autoscaler: Known<Autoscaler>,
    /// Somebody keeps it as it is and would put back what is changed in place.
    pub owner: Option<Owner>,
    /// Which action of homeostat was the last to write it.
    pub marker: Option<Marker>,
    /// What rolling it out would take down.
    pub disruption: Disruption,
    /// A persistent volume claim is mounted.
    pub has_persistent_volume: bool,
    /// The object as the cluster sent it; `null` where nobody keeps it.
    pub manifest: Value,
    /// Its pods, where the action asks for them.
    pub pods: Known<Vec<SeenPod>>,
    /// What quotas of its namespace limit, where the action asks for it.
    pub quotas: Known<Vec<QuotaLimit>>,
    /// The Helm release that it is of, where the action asks for it.
    pub release: Known<Release>,
    /// The file in git that it is kept from, where the action asks for it.
    pub git_file: Known<GitFile>,
    /// What else the action asked to see, such as a ConfigMap that it names.
    pub others: Vec<SeenObject>,
}

/// An object beside the target that the action asked to see.
#[derive(Clone, Debug, PartialEq)]
pub struct SeenObject {
    /// Which one, and at which version.
    pub object: ObjectRef,
    /// As the cluster sent it.
    pub manifest: Value,
    /// Somebody keeps it as it is.
    pub owner: Option<Owner>,
}

/// Why something is unknown that no action asked for.
const NOT_LOOKED_AT: &str = "nobody looked";

impl Inspected {
    /// An object at rest that nobody else cares for: no rollout, owner, autoscaler, budget or earlier revision, one replica. For
    /// simulations and tests; what is seen of a real object is said fact by fact.
    pub fn at_rest(uid: impl Into<String>, kind: WorkloadKind, seen_at: Timestamp) -> Self {
        Self {
            uid: uid.into(),
            resource_version: "1".to_owned(),
            generation: None,
            kind,
            created_at: None,
            seen_at,
            revision: None,
            revision_previous: Known::NotApplicable,
            replicas_wanted: 1,
            replicas_available: 1,
            rollout_in_progress: false,
            rollout_failed: None,
            paused: false,
            autoscaler: Known::NotApplicable,
            owner: None,
            marker: None,
            disruption: Disruption::default(),
            has_persistent_volume: false,
            manifest: Value::Null,
            pods: Known::NotVisible { why: NOT_LOOKED_AT.to_owned() },
            quotas: Known::NotVisible { why: NOT_LOOKED_AT.to_owned() },
            release: Known::NotVisible { why: NOT_LOOKED_AT.to_owned() },
            git_file: Known::NotVisible { why: NOT_LOOKED_AT.to_owned() },
            others: Vec::new(),
        }
    }

    /// The object that a step names, as it was seen.
    pub fn object(&self, named: &ObjectRef) -> Option<&SeenObject> {
        let lever = self.autoscaler.value().and_then(|autoscaler| autoscaler.lever.value());
        self.others.iter().chain(lever).find(|seen| seen.object.uid == named.uid)
    }

    /// What an action that looks at nothing sees: a target without an object, so that nothing about an object is asked of it.
    pub fn unseen(kind: WorkloadKind, seen_at: Timestamp) -> Self {
        Self { resource_version: String::new(), ..Self::at_rest("", kind, seen_at) }
    }

    /// What is known of this fact.
    pub fn get<F: Fact>(&self) -> &Known<F> {
        F::of(self)
    }
}

/// What may be known of a target, or not be there, or not be visible.
pub trait Fact: Sized {
    /// What was seen of it.
    fn of(seen: &Inspected) -> &Known<Self>;
}

impl Fact for PreviousRevision {
    fn of(seen: &Inspected) -> &Known<Self> {
        &seen.revision_previous
    }
}

impl Fact for Vec<SeenPod> {
    fn of(seen: &Inspected) -> &Known<Self> {
        &seen.pods
    }
}

impl Fact for Vec<QuotaLimit> {
    fn of(seen: &Inspected) -> &Known<Self> {
        &seen.quotas
    }
}

impl Fact for Release {
    fn of(seen: &Inspected) -> &Known<Self> {
        &seen.release
    }
}

impl Fact for GitFile {
    fn of(seen: &Inspected) -> &Known<Self> {
        &seen.git_file
    }
}

impl Fact for Autoscaler {
    fn of(seen: &Inspected) -> &Known<Self> {
        &seen.autoscaler
    }
}

impl Fact for DisruptionBudget {
    fn of(seen: &Inspected) -> &Known<Self> {
        &seen.disruption.budget
    }
}

/// An earlier revision of the template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreviousRevision {
    /// Its name in the cluster.
    pub revision: String,
    /// How its template differs from the current one, where somebody looked that closely.
    pub change: Option<TemplateChange>,
}

/// Two templates' difference as JSON merge patches (RFC 7396), there and back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateChange {
    /// Makes the earlier template of the current one.
    pub to: Value,
    /// Makes the current template of the earlier one.
    pub back: Value,
}

/// An autoscaler. One that can't be seen may be there all the same: a restart leaves the replica count alone and needn't care;
/// anything that scales must take it as one (I21).
#[derive(Clone, Debug, PartialEq)]
pub struct Autoscaler {
    /// Its object's name.
    pub name: String,
    /// Fewest replicas.
    pub replicas_min: u32,
    /// Most replicas.
    pub replicas_max: u32,
    /// The object whose minimum counts: the autoscaler itself, or the KEDA ScaledObject that keeps it.
    pub lever: Known<SeenObject>,
}

/// Who keeps an object as it is, and would put back what is changed in place (I22).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Its name, such as "Argo CD" or "the controller of Shop eu".
    pub name: String,
    /// The trace that says so.
    pub seen_by: String,
}

/// The trace of an action on its target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marker {
    /// The action's plan. It is the journal that knows whose.
    pub action: String,
    /// When it was written, by the cluster's clock; `None` when that isn't told.
    pub at: Option<Timestamp>,
}

/// What a roll-out would take down before new pods are there (I19, I20).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disruption {
    /// All pods are taken down first, and new ones started then.
    pub is_recreate: bool,
    /// Pods that may be missing at once.
    pub unavailable_max: u32,
    /// The disruption budget that allows least of those that cover the pods.
    pub budget: Known<DisruptionBudget>,
}

impl Default for Disruption {
    /// Nothing is taken down, and no budget covers it.
    fn default() -> Self {
        Self { is_recreate: false, unavailable_max: 0, budget: Known::NotApplicable }
    }
}

/// A disruption budget as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DisruptionBudget {
    /// Its object's name.
    pub name: String,
    /// Pods that may be taken down now.
    pub allowed: u32,
}
