//! A target as it is now.

use homeostat_core::{Timestamp, WorkloadKind};

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
    /// The revision to go back to, if there is one.
    pub revision_previous: Option<PreviousRevision>,
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
    /// An autoscaler targets it, or may do so. `None` means that somebody looked and there is none.
    pub autoscaler: Option<Autoscaler>,
    /// Somebody keeps it as it is and would put back what is changed in place.
    pub owner: Option<Owner>,
    /// Which action of homeostat was the last to write it.
    pub marker: Option<Marker>,
    /// What rolling it out would take down.
    pub disruption: Disruption,
    /// A persistent volume claim is mounted.
    pub has_persistent_volume: bool,
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
    pub to: serde_json::Value,
    /// Makes the current template of the earlier one.
    pub back: serde_json::Value,
}

/// What is known of an autoscaler. Not knowing is a variant, so that `is_some()` fails closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Autoscaler {
    /// It targets the object.
    Seen {
        /// Its object's name.
        name: String,
        /// Fewest replicas.
        replicas_min: u32,
        /// Most replicas.
        replicas_max: u32,
    },
    /// Autoscalers can't be listed, so there may be one. A restart leaves the replica count alone and needn't care;
    /// anything that scales must take it as an autoscaler (I21).
    NotVisible {
        /// Why not, with the right that is missing.
        why: String,
    },
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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Disruption {
    /// All pods are taken down first, and new ones started then.
    pub is_recreate: bool,
    /// Pods that may be missing at once.
    pub unavailable_max: u32,
    /// The disruption budget that allows least, if one covers the pods and may be looked at.
    pub budget: Option<DisruptionBudget>,
}

/// A disruption budget as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DisruptionBudget {
    /// Its object's name.
    pub name: String,
    /// Pods that may be taken down now.
    pub allowed: u32,
}
