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
    /// A roll-out is going on (not all replicas are updated and available, or it isn't observed yet).
    pub rollout_in_progress: bool,
    /// Roll-outs are paused: a restart would do nothing until somebody resumes.
    pub paused: bool,
    /// An autoscaler targets it.
    pub autoscaler: Option<Autoscaler>,
    /// A GitOps controller manages it.
    pub gitops: Option<GitOpsOwner>,
    /// A persistent volume claim is mounted.
    pub has_persistent_volume: bool,
}

/// An autoscaler and its bounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Autoscaler {
    /// Its object's name.
    pub name: String,
    /// Fewest replicas.
    pub replicas_min: u32,
    /// Most replicas.
    pub replicas_max: u32,
}

/// Who keeps the object as Git says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GitOpsOwner {
    /// Argo CD's tracking annotation or label is on it.
    ArgoCd,
    /// Flux's kustomize or helm labels are on it.
    Flux,
}
