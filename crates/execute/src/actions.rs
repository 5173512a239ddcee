//! The actions, one file each. To add one: its file, its `mod` line, and its line in [`ACTIONS`].

mod cache_purge;
mod command;
mod configmap_flag;
mod cordon;
mod delete_pod;
mod drain;
mod evict_pod;
#[cfg(test)]
mod fake;
mod feature_flag;
mod git_change;
mod helm_rollback;
mod node_choice;
mod patch_fields;
mod pause_rollout;
mod paused;
mod pod_choice;
mod quarantine;
mod raise_memory_limit;
mod restart;
mod resume_rollout;
mod scale;
mod template;
mod traffic_weight;
mod uncordon;
mod undo;
mod unschedulable;
mod update_strategy;
mod webhook;
mod workload_rights;

use homeostat_remediate::{Action, Actions};

use crate::effect::Effect;

/// Every action, in the order in which messages name them.
pub(crate) static ACTIONS: &[&dyn Effect] = &[
    &restart::Restart,
    &undo::Undo,
    &scale::Scale,
    &evict_pod::EvictPod,
    &delete_pod::DeletePod,
    &pause_rollout::PauseRollout,
    &resume_rollout::ResumeRollout,
    &raise_memory_limit::RaiseMemoryLimit,
    &patch_fields::PatchFields,
    &configmap_flag::ConfigMapFlag,
    &cordon::Cordon,
    &uncordon::Uncordon,
    &drain::Drain,
    &quarantine::Quarantine,
    &traffic_weight::TrafficWeight,
    &helm_rollback::HelmRollback,
    &git_change::GitChange,
    &webhook::Webhook,
    &command::Command,
    &cache_purge::CachePurge,
    &feature_flag::FeatureFlag,
    #[cfg(test)]
    &fake::Fake,
];

/// What can be done, without the doing: for reading policies and for deciding.
pub fn actions() -> Actions {
    ACTIONS.iter().map(|action| *action as &'static dyn Action).collect()
}

#[cfg(test)]
mod tests;
