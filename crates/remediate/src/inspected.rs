//! A target as it is now.

use homeostat_core::{Timestamp, WorkloadKind};

/// What an executor saw when it looked at a target. Only facts; judging them is the guardrails' work.
#[derive(Clone, Debug, PartialEq)]
pub struct Inspected {
    /// The object's UID.
    pub uid: String,
    /// The version that was looked at.
    pub resource_version: String,
    /// What kind of workload it is.
    pub kind: WorkloadKind,
    /// When it was looked at, by the caller's clock.
    pub seen_at: Timestamp,
    /// Current revision of the template, as the cluster names it.
    pub revision: Option<String>,
    /// The revision before the current one, if it is still there.
    pub revision_previous: Option<String>,
    /// Replicas wanted.
    pub replicas_wanted: u32,
    /// Replicas available.
    pub replicas_available: u32,
    /// A roll-out is going on: it isn't observed yet, not all replicas are updated, or the updated ones aren't available
    /// for the first time yet. Pods that fail *after* their roll-out had completed are an incident, not a roll-out.
    pub rollout_in_progress: bool,
    /// Roll-outs are paused: a restart would do nothing until somebody resumes.
    pub paused: bool,
    /// An autoscaler targets it, or may do so. `None` means that somebody looked and there is none.
    pub autoscaler: Option<Autoscaler>,
    /// A GitOps controller manages it.
    pub gitops: Option<GitOpsOwner>,
    /// A persistent volume claim is mounted.
    pub has_persistent_volume: bool,
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

/// Who keeps the object as Git says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GitOpsOwner {
    /// Argo CD's tracking annotation or label is on it.
    ArgoCd,
    /// Flux's kustomize or helm labels are on it.
    Flux,
}
